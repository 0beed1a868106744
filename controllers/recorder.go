// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/jackstaff-dev/jackstaff/internal/validation"
)

// maxNoteBytes is what the API server takes as the note of an event. It refuses an event with more, which nobody then
// sees.
const maxNoteBytes = 1024

// recorder records events with notes that the API server takes.
type recorder struct{ events.EventRecorder }

func recorderFor(mgr ctrl.Manager, controller string) events.EventRecorder {
	return recorder{mgr.GetEventRecorder(controller)}
}

// Eventf shortens the note.
func (r recorder) Eventf(regarding, related runtime.Object, eventType, reason, action, note string, args ...any) {
	r.EventRecorder.Eventf(
		regarding,
		related,
		eventType,
		reason,
		action,
		"%s",
		validation.Truncate(fmt.Sprintf(note, args...), maxNoteBytes),
	)
}
