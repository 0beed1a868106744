// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"strings"
	"testing"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
)

// Whoever writes what they know a part of loses the rest, or writes another ConfigMap than workloads mount.
func TestCommandsDoNotWriteWhatTheyCannotRead(t *testing.T) {
	environment := builders.MakeEnvironment("production", "shop").Obj()
	environment.Annotations = map[string]string{v1alpha1.UndecodableAnnotation: "spec.datafile\nspec.datafile is text"}
	_, err := (&App{}).serveWithoutOperator(t.Context(), &cluster{}, environment, false, nil)
	if err == nil || !strings.Contains(err.Error(), "spec.datafile is text") {
		t.Errorf("break glass writes a ConfigMap of a name that it does not know: %v", err)
	}
	frozen := environment.DeepCopy()
	frozen.Spec.Publish.Suspend = true
	if err := readable(environment, frozen); err == nil {
		t.Error("a freeze writes a spec of which it knows a part")
	}
	asked := environment.DeepCopy()
	asked.Annotations[v1alpha1.PublishRequestedAtAnnotation] = "2027-01-01T09:00:00Z"
	if err := readable(environment, asked); err != nil {
		t.Errorf("an annotation is refused: %v", err)
	}
}
