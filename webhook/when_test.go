// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
)

// Whoever switches a broken flag off under a freeze reads whether that reaches anybody now. "Once published" sends them
// to thaw, which publishes everything else too.
func TestWhen(t *testing.T) {
	now := time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)
	const at, later = "production", "production, once published"
	for name, tc := range map[string]struct {
		change             func(*v1alpha1.FlagEnvironment)
		wantEdit, wantStop string
	}{
		"automatic": {func(*v1alpha1.FlagEnvironment) {}, at, at},
		"manual":    {func(e *v1alpha1.FlagEnvironment) { e.Spec.Publish.Mode = v1alpha1.PublishModeManual }, later, at},
		"frozen":    {func(e *v1alpha1.FlagEnvironment) { e.Spec.Publish.Suspend = true }, later, at},
		"a freeze that has ended": {func(e *v1alpha1.FlagEnvironment) {
			e.Spec.Publish.Suspend, e.Spec.Publish.SuspendUntil = true, new(metav1.NewTime(now))
		}, at, at},
		"pinned": {func(e *v1alpha1.FlagEnvironment) { e.Spec.Publish.Revision = new(int64(3)) }, later, at},
		"break glass": {
			func(e *v1alpha1.FlagEnvironment) { e.Status.State = v1alpha1.PublishStateBreakGlass },
			"production, once break glass has ended", "production, once break glass has ended",
		},
		"served elsewhere": {
			func(e *v1alpha1.FlagEnvironment) { e.Spec.Publish.Mode = v1alpha1.PublishModeNone },
			"production, in the cluster that serves it", "production, in the cluster that serves it",
		},
	} {
		t.Run(name, func(t *testing.T) {
			environment := builders.MakeEnvironment("production", "shop").Defaulted().Obj()
			tc.change(environment)
			if got := when(environment, false, now); got != tc.wantEdit {
				t.Errorf("an edit is said to act in %q, want %q", got, tc.wantEdit)
			}
			if got := when(environment, true, now); got != tc.wantStop {
				t.Errorf("a brake is said to act in %q, want %q", got, tc.wantStop)
			}
		})
	}
}
