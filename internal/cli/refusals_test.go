// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// Whoever tries a command by --dry-run must not be told that it works where the command itself is refused.
func TestADryRunEndsAsTheCommandWould(t *testing.T) {
	for _, output := range []string{"", jsonOutput} {
		streams, _, printed, noted := genericiooptions.NewTestIOStreams()
		app, o := &App{Streams: streams}, &changing{dryRun: true, output: output}
		if err := o.refuse(app, errors.New("it needs --yes")); err != nil {
			t.Fatalf("a dry run ends before it has said everything: %v", err)
		}
		if err := o.print(app, &outcome{DryRun: true, Message: "done"}, "done"); !errors.Is(err, errReported) {
			t.Errorf("a dry run of what is refused ends with %v", err)
		}
		if !strings.Contains(noted.String(), "it needs --yes") {
			t.Errorf("it says %q", noted)
		}
		if output == "" {
			if printed.String() != "done (dry run: it would be refused)\n" {
				t.Errorf("it prints %q", printed)
			}
			continue
		}
		var done struct{ Refused []string }
		if err := json.Unmarshal(printed.Bytes(), &done); err != nil || len(done.Refused) != 1 {
			t.Errorf("it prints %s, %v", printed, err)
		}
	}
	refusal := errors.New("no")
	if err := (&changing{}).refuse(&App{}, refusal); !errors.Is(err, refusal) {
		t.Errorf("without --dry-run it is not refused, but %v", err)
	}
}

// A rollback that promises a flag and leaves it off sends on call home while customers are hurt.
func TestARollbackToWhatIsPinned(t *testing.T) {
	for name, tc := range map[string]struct {
		published, pinned int64
		keys              []string
		want              bool
	}{
		"a brake was lifted":            {8, 3, []string{"payments"}, true},
		"no brake was lifted":           {8, 3, nil, false},
		"no brake was pulled":           {3, 3, []string{"payments"}, false},
		"another revision is pinned":    {8, 4, []string{"payments"}, false},
		"nothing is pinned":             {8, 0, []string{"payments"}, false},
		"the operator has not acted on": {7, 0, []string{"payments"}, false},
	} {
		environment := &v1alpha1.FlagEnvironment{}
		environment.Status.PublishedRevision, environment.Status.PinnedRevision = tc.published, tc.pinned
		if got := (&rollback{target: 3, keys: tc.keys}).isPinnedAgain(environment); got != tc.want {
			t.Errorf("%s: it is asked for anew: %t, want %t", name, got, tc.want)
		}
		environment.Status.State = v1alpha1.PublishStateBreakGlass
		if (&rollback{target: 3, keys: tc.keys}).isPinnedAgain(environment) {
			t.Errorf("%s: it is asked for anew under break glass, which the operator leaves", name)
		}
	}
}
