// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/history"
)

// DefaultSettle is how long a status settles after an edit of its object. `jackstaff … --wait` has to end within two
// seconds, and a client that updates what a PATCH answered does so within one.
const DefaultSettle = time.Second

// Urgency says how soon after an edit of its object a status has to say what it brought.
type Urgency int

const (
	// Calm is what nobody acts upon at once: it settles for Patcher.Settle.
	Calm Urgency = iota
	// Soon is what a person looks for: it settles for half of Patcher.Settle.
	Soon
	// Immediate does not settle.
	Immediate
)

// period is how long a status of that urgency settles.
func (u Urgency) period(settle time.Duration) time.Duration {
	switch u {
	case Calm:
		return settle
	case Soon:
		return settle / 2
	case Immediate:
	}
	return 0
}

// longest is how long a status of that urgency settles while its object is edited again and again. A person who looks
// for a switch is not kept waiting by the edits of others.
func (u Urgency) longest(settle time.Duration) time.Duration {
	if u == Calm {
		return 10 * settle
	}
	return 3 * settle / 2
}

// Settles is how long the status of an object still settles, and 0 where it is to be written now or has not changed. A
// write of the status raises the object's resourceVersion. Right after an edit, it would have the API server refuse an
// update that names the version which the edit was answered with. Where the change records are crowded, they are moved
// once the status has seen their edits: it does not settle.
func (p *Patcher) Settles(before, after client.Object, urgency Urgency, now time.Time) time.Duration {
	carried := before.GetAnnotations()[v1alpha1.ChangesAnnotation]
	period := urgency.period(p.Settle)
	if period <= 0 || len(carried) > history.CrowdedAnnotationBytes || equality.Semantic.DeepEqual(before, after) {
		return 0
	}
	records, _ := history.Decode(carried) // Records that cannot be read tell of no edit.
	return settles(records, period, urgency.longest(p.Settle), now)
}

// settles is how long after the edits that the records tell of, oldest first, a status still settles. Each edit begins
// the period anew, up to the longest time after the first edit of a burst.
func settles(records []history.Record, period, longest time.Duration, now time.Time) time.Duration {
	if len(records) == 0 {
		return 0
	}
	newest := records[len(records)-1].Time.Time
	first := newest
	for i := len(records) - 2; i >= 0 && first.Sub(records[i].Time.Time) < period; i-- {
		first = records[i].Time.Time
	}
	due := newest.Add(period)
	if latest := first.Add(longest); latest.Before(due) {
		due = latest
	}
	wait := due.Sub(now)
	if wait > 2*period { // The clock of the replica that admitted the edit is far ahead.
		return 0
	}
	return max(wait, 0)
}

// UrgencyOf is the urgency of a status whose conditions change: the first one is Immediate, for admission and others act
// upon it, and Ready that becomes True or False is looked for.
func UrgencyOf(was, is []metav1.Condition) Urgency {
	before := meta.FindStatusCondition(was, v1alpha1.ReadyCondition)
	after := meta.FindStatusCondition(is, v1alpha1.ReadyCondition)
	switch {
	case before == nil || after == nil:
		return Immediate
	case before.Status != after.Status:
		return Soon
	}
	return Calm
}
