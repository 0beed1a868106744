// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/ownership"
)

// attentive is how long an operator that works takes at most to act on something. What has waited longer waits for an
// operator that is away.
const attentive = time.Minute

// notSeen ends a sentence about what the status does not show.
const notSeen = ", which the operator has not seen"

// servedMark is what the ConfigMap that an environment serves says of itself.
type servedMark struct {
	// name is that of the ConfigMap, and missing is true where there is none.
	name    string
	missing bool
	// revision is 0 where the ConfigMap claims none.
	revision    int64
	publishedAt time.Time
	// changedAt is when it was written last, and zero where nobody knows.
	changedAt time.Time
	// differs is why its content is not that revision, and empty where it is.
	differs string
	// breakGlass is who wrote it without the operator, and nil where nobody did.
	breakGlass *ownership.BreakGlass
}

// unseen is something that is so while the environment's status says otherwise.
type unseen struct {
	// what says it to a person.
	what string
	// since is when it came to be, and zero where nobody knows.
	since time.Time
}

// servedMark reads what is said by what an environment serves. It is nil where the caller may not read it, and where
// nobody knows its name, because what is stored of the environment does not fit this version.
func (c *cluster) servedMark(ctx context.Context, environment *v1alpha1.FlagEnvironment) (*servedMark, error) {
	if v1alpha1.Lost(environment, "spec.datafile") {
		return nil, nil //nolint:nilnil // As below.
	}
	served := &corev1.ConfigMap{}
	name := environment.DatafileName()
	err := c.client.Get(ctx, client.ObjectKey{Namespace: environment.Namespace, Name: name}, served)
	switch {
	case apierrors.IsForbidden(err):
		return nil, nil //nolint:nilnil // That it may not be read is no error, and there is nothing to return.
	case apierrors.IsNotFound(err):
		return &servedMark{name: name, missing: true}, nil
	case err != nil:
		return nil, fmt.Errorf("read what environment %q serves: %w", environment.Name, err)
	}
	mark := newServedMark(served)
	if mark.revision > 0 {
		mark.differs = ownership.Differs(environment, served)
	}
	return mark, nil
}

func newServedMark(served metav1.Object) *servedMark {
	mark := &servedMark{name: served.GetName(), revision: ownership.RevisionOf(served), changedAt: changedAt(served)}
	if at, err := time.Parse(time.RFC3339, served.GetAnnotations()[v1alpha1.PublishedAtAnnotation]); err == nil {
		mark.publishedAt = at
	}
	if breakGlass, found := ownership.BreakGlassOf(served); found {
		mark.breakGlass, mark.publishedAt = &breakGlass, breakGlass.At
	}
	return mark
}

// servedRevision is the revision that an environment serves: by the ConfigMap, or where that is not known by the
// status.
func servedRevision(environment *v1alpha1.FlagEnvironment, served *servedMark) int64 {
	if served == nil {
		return environment.Status.PublishedRevision
	}
	return served.revision
}

// unseenOf says what is so of an environment that its status does not say. Served is nil where it may not be read.
func unseenOf(environment *v1alpha1.FlagEnvironment, served *servedMark, now time.Time) []unseen {
	if environment.Status.State == "" { // That no operator has ever looked at it is said.
		return nil
	}
	var all []unseen
	status, publish := &environment.Status, &environment.Spec.Publish
	elsewhere := publish.Mode == v1alpha1.PublishModeNone || status.State == v1alpha1.PublishStateElsewhere
	if served != nil && !elsewhere {
		if what := servedOtherwise(status, served); what != "" {
			all = append(all, unseen{what, served.changedAt})
		}
	}
	ended := publish.Suspend && publish.SuspendUntil != nil && !publish.At(now).Suspend
	if ended && status.State == v1alpha1.PublishStateFrozen {
		until := publish.SuspendUntil.Time
		all = append(all, unseen{"the freeze has ended at " + until.UTC().Format(time.RFC3339) + notSeen, until})
	}
	if status.ObservedGeneration < environment.Generation {
		all = append(all, unseen{"its spec has been changed" + notSeen, changedAt(environment)})
	}
	return all
}

// servedOtherwise says how what is served differs from what the status says is served.
func servedOtherwise(status *v1alpha1.FlagEnvironmentStatus, served *servedMark) string {
	switch {
	case served.missing && status.PublishedRevision == 0:
		return ""
	case served.missing:
		return "nothing is served, as ConfigMap " + served.name + " is missing" + notSeen
	case served.differs != "":
		return fmt.Sprintf("ConfigMap %s serves content that is not revision %d, which it says it is: %s; an operator that "+
			"works restores what it has published", served.name, served.revision, served.differs)
	case served.breakGlass != nil && served.revision != status.PublishedRevision:
		return fmt.Sprintf("revision %d is served, by break glass of %s at %s"+notSeen,
			served.revision, served.breakGlass.Actor, served.breakGlass.At.UTC().Format(time.RFC3339))
	case served.breakGlass == nil && status.State == v1alpha1.PublishStateBreakGlass:
		return fmt.Sprintf("break glass has ended at revision %d"+notSeen, served.revision)
	case served.revision != status.PublishedRevision:
		return fmt.Sprintf("revision %d is served, and the status says %d: it follows in a moment, or somebody else has "+
			"written ConfigMap %s", served.revision, status.PublishedRevision, served.name)
	}
	return ""
}

// changedAt is when an object was written last, but for its status. It is zero where nobody knows.
func changedAt(object metav1.Object) time.Time {
	var last time.Time
	for _, entry := range object.GetManagedFields() {
		if entry.Subresource == "" && entry.Time != nil && entry.Time.After(last) {
			last = entry.Time.Time
		}
	}
	return last
}

// overdue reports whether an operator that works would have acted.
func (u unseen) overdue(now time.Time) bool { return !u.since.IsZero() && now.Sub(u.since) > attentive }
