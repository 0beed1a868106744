// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package history

import (
	"encoding/json"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/history"
)

// said is an event that tells what somebody did to an environment.
type said struct{ reason, action, note string }

// eventsOf are the events of a change of an environment: who froze, thawed, pinned or unpinned it, asked for a publish
// or confirmed a loss, as its change record knows.
func eventsOf(record *history.Record) []said {
	var all []said
	add := func(reason, action, format string, arguments ...any) {
		all = append(all, said{reason, action, record.Actor.Name + " " + fmt.Sprintf(format, arguments...)})
	}
	for i := range record.Changes {
		change := &record.Changes[i]
		switch to := string(change.To); change.Path {
		case "spec.publish.suspend":
			if to == "true" {
				add(v1alpha1.FrozenReason, "Freeze", "froze what is served (spec.publish.suspend)%s", suspension(record))
			} else {
				add(v1alpha1.ThawedReason, "Thaw", "ended the freeze (spec.publish.suspend)")
			}
		case "spec.publish.suspendUntil":
			if !changes(record, "spec.publish.suspend") {
				add(v1alpha1.FrozenReason, "Freeze", "changed the end of the freeze (spec.publish.suspendUntil)%s",
					suspension(record))
			}
		case "spec.publish.revision":
			if to == "" || to == "null" {
				add(v1alpha1.UnpinnedReason, "Unpin", "ended the pin on revision %s (spec.publish.revision)", change.From)
			} else {
				add(v1alpha1.PinnedReason, "Pin", "pinned revision %s (spec.publish.revision)", to)
			}
		case "metadata.annotations[" + v1alpha1.PublishRequestedAtAnnotation + "]":
			if to != "" {
				add(v1alpha1.PublishRequestedReason, "Publish", "asked for a publish")
			}
		case "metadata.annotations[" + v1alpha1.PinAgainAnnotation + "]":
			if to != "" {
				add(v1alpha1.PinnedReason, "Pin", "asked for the pinned revision anew, in place of revision %s", to)
			}
		case "metadata.annotations[" + v1alpha1.ConfirmVanishedAnnotation + "]":
			if to != "" {
				add(v1alpha1.VanishedConfirmedReason, "ConfirmVanished", "confirmed that lost flags are meant to be gone: %s", to)
			}
		}
	}
	return all
}

// changes reports whether a record changes a field.
func changes(record *history.Record, path string) bool {
	return slices.ContainsFunc(record.Changes, func(change history.Change) bool { return change.Path == path })
}

// suspension says until when a freeze lasts and why, as far as the record says so.
func suspension(record *history.Record) string {
	text := ""
	for i := range record.Changes {
		var to string
		if change := &record.Changes[i]; json.Unmarshal(change.To, &to) != nil || to == "" {
			continue
		}
		switch record.Changes[i].Path {
		case "spec.publish.suspendUntil":
			text = " until " + to + text
		case "spec.publish.suspendReason":
			text += ": " + to
		}
	}
	return text
}

// tell records events for a change of an environment.
func (r *Reconciler) tell(object client.Object, record *history.Record) {
	if _, isEnvironment := object.(*v1alpha1.FlagEnvironment); !isEnvironment {
		return
	}
	for _, event := range eventsOf(record) {
		r.Recorder.Eventf(object, nil, corev1.EventTypeNormal, event.reason, event.action, "%s", event.note)
	}
}
