// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package flagenvironment

import (
	"time"

	"k8s.io/utils/ptr"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// ActionKind is what a reconcile does with the served datafile.
type ActionKind string

// The kinds of Action.
const (
	// ActionNone leaves the served datafile as it is.
	ActionNone ActionKind = "None"
	// ActionHold publishes or restores later, because the environment has done so a moment ago.
	ActionHold ActionKind = "Hold"
	// ActionRestore writes the served revision again.
	ActionRestore ActionKind = "Restore"
	// ActionPin serves a revision of the history.
	ActionPin ActionKind = "Pin"
	// ActionPublish makes what is compiled the next revision.
	ActionPublish ActionKind = "Publish"
	// ActionBrake makes what is served the next revision, with the flags off that are forced off and nothing else changed.
	ActionBrake ActionKind = "Brake"
)

// Action is what a reconcile does with the served datafile.
type Action struct {
	Kind ActionKind
	// Hold is how long a publish has to wait. It is set for ActionHold alone.
	Hold time.Duration
	// Drops is true where what is compiled is dropped, so that it takes no memory until the publish.
	Drops bool
	// Revision is the revision to pin. It is set for ActionPin alone.
	Revision int64
	// Answers is the publish request that is answered once the action is done, and empty where none is.
	Answers string
}

// facts are what decide needs to know.
type facts struct {
	spec v1alpha1.Publish
	// revision is the served revision, and 0 where nothing is published yet. Digest is its digest.
	revision int64
	digest   string
	// pinned is the revision of the history that the served one is, with flags forced off, and 0 where it is none.
	pinned int64
	// pinAgain is the revision that the pinned one is to replace though it comes from that, and 0 where none is.
	pinAgain int64
	// breakGlass is true where somebody wrote what is served without the operator, and has not ended that yet.
	breakGlass bool
	// endedUnseen is true where that has been ended, and the watches may not have shown what was edited before.
	endedUnseen bool
	// braked is true where a flag is served as on that is forced off.
	braked bool
	// intact is false where somebody has deleted or edited the served ConfigMap.
	intact bool
	// compiledDigest is the digest of what is compiled.
	compiledDigest string
	// request is the publish request that is not answered yet, and empty where there is none.
	request string
	// requestedDigest is the digest of what was wanted when the request was seen, where it had to wait, else empty.
	requestedDigest string
	// wait is how long the pace holds a publish back, and restoreWait a restore.
	wait, restoreWait time.Duration
}

// decide chooses what to serve. A brake waits for nothing: neither for a mode nor for a freeze, a pin or the pace. What
// somebody wrote without the operator stays, whatever is asked for, until a person ends that; deleted, it is restored.
func decide(f facts) Action {
	serveAsIs := Action{Kind: ActionNone}
	switch {
	case f.revision == 0:
	case f.braked && !f.breakGlass:
		serveAsIs.Kind = ActionBrake
	case !f.intact && f.restoreWait > 0:
		serveAsIs = Action{Kind: ActionHold, Hold: f.restoreWait}
	case !f.intact:
		serveAsIs.Kind = ActionRestore
	}
	switch {
	case f.breakGlass, f.endedUnseen && f.braked:
		return serveAsIs
	case f.endedUnseen:
		return Action{Kind: ActionHold, Hold: catchUpPoll}
	case f.spec.Revision != nil && *f.spec.Revision != f.revision &&
		(*f.spec.Revision != f.pinned || f.pinAgain == f.revision):
		return Action{Kind: ActionPin, Revision: *f.spec.Revision}
	case f.spec.Revision != nil, f.spec.Suspend:
		return serveAsIs
	case f.spec.Mode == v1alpha1.PublishModeManual && f.request == "":
		return serveAsIs
	case f.revision != 0 && f.digest == f.compiledDigest:
		serveAsIs.Answers = f.request
		return serveAsIs
	case isOutdated(f):
		serveAsIs.Answers = f.request
		return serveAsIs
	case f.wait > 0 && !f.braked:
		return Action{Kind: ActionHold, Hold: f.wait}
	}
	return Action{Kind: ActionPublish, Answers: f.request}
}

// isOutdated reports whether the compiled contents changed while a publish request waited. Publishing them now would
// serve edits that are newer than the request.
func isOutdated(f facts) bool {
	return f.spec.Mode == v1alpha1.PublishModeManual && f.request != "" && f.requestedDigest != "" &&
		f.requestedDigest != f.compiledDigest
}

// waits reports whether a publish request has to wait.
func waits(f facts) bool {
	return f.request != "" && f.spec.Mode == v1alpha1.PublishModeManual &&
		(f.spec.Suspend || f.spec.Revision != nil || f.breakGlass)
}

// decideLastGood chooses what to serve where what is wanted cannot be: what is served stays, and takes brakes.
func decideLastGood(f facts) Action {
	f.spec = v1alpha1.Publish{Suspend: true}
	return decide(f)
}

// pinServed is the pinned revision that is served, as it is or with brakes, and 0 where another one is: a brake of that
// must not pass for the rollback that is asked for and has not happened.
func pinServed(f facts) int64 {
	wanted := ptr.Deref(f.spec.Revision, 0)
	if wanted == f.revision || wanted == f.pinned {
		return wanted
	}
	return 0
}

// unansweredRequest returns the publish request of the environment that nobody has answered yet, and "" where there is
// none. Handled is the request that was answered last as far as memory knows, which may be ahead of the status.
func unansweredRequest(environment *v1alpha1.FlagEnvironment, handled string) string {
	request := environment.Annotations[v1alpha1.PublishRequestedAtAnnotation]
	if _, err := time.Parse(time.RFC3339, request); err != nil {
		return ""
	}
	if request == environment.Status.LastHandledPublishAt || request == handled {
		return ""
	}
	return request
}
