// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package status is what all controllers do with a status: conditions, one guarded patch, and an event for each
// transition.
package status

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// maxMessage is how long a condition's message may be, in bytes. The API allows 32 KiB; nobody reads that.
const maxMessage = 2048

// Conditions sets the conditions of one object. A condition keeps its transition time until its status changes.
type Conditions struct {
	// List is the conditions of the object's status.
	List *[]metav1.Condition
	// Generation is the generation that the conditions speak of.
	Generation int64
}

// Set sets one condition.
func (c Conditions) Set(conditionType string, isTrue bool, reason, message string) {
	conditionStatus := metav1.ConditionFalse
	if isTrue {
		conditionStatus = metav1.ConditionTrue
	}
	if len(message) > maxMessage {
		message = strings.ToValidUTF8(message[:maxMessage], "") + "…"
	}
	meta.SetStatusCondition(c.List, metav1.Condition{
		Type: conditionType, Status: conditionStatus, Reason: reason, Message: message, ObservedGeneration: c.Generation,
	})
}

// Remove removes a condition that does not apply.
func (c Conditions) Remove(conditionType string) {
	meta.RemoveStatusCondition(c.List, conditionType)
}

// SetReady sets the condition Ready from those that it sums up: the first that is not True gives reason and message.
func (c Conditions) SetReady(of ...string) {
	for _, conditionType := range of {
		condition := meta.FindStatusCondition(*c.List, conditionType)
		if condition != nil && condition.Status != metav1.ConditionTrue {
			c.Set(
				v1alpha1.ReadyCondition,
				false,
				v1alpha1.NotReadyReason,
				fmt.Sprintf("%s is %s: %s", conditionType, condition.Status, condition.Message),
			)
			return
		}
	}
	c.Set(v1alpha1.ReadyCondition, true, v1alpha1.ReadyReason, "all conditions are True")
}

// Patcher writes statuses. It is safe for concurrent use, for different objects.
type Patcher struct {
	Client   client.Client
	Recorder events.EventRecorder
	// Settle is how long a status that is not urgent is held back after the last edit of its object. Zero writes each at
	// once.
	Settle time.Duration

	// overtaken is since when statuses are overtaken by edits of their objects. What is older than a burst counts for
	// nothing, such as the entry of an object that is gone.
	overtaken sync.Map // types.UID → time.Time
}

// Change is the change of an object's status.
type Change struct {
	// Before is the object as it was read, and After the same with the new status.
	Before, After client.Object
	// Was and Is are the conditions of both.
	Was, Is []metav1.Condition
	// Urgency says how soon the change is to be written after an edit.
	Urgency Urgency
}

// Report writes a status that has changed and has settled, and records an event for each condition that became True or
// False. It returns how long to wait before the object is looked at again, and 0 where the status is as it should be.
// An object that is gone has no status to write.
//
// A status that is not urgent was computed from what its object no longer is where somebody has edited that meanwhile:
// written now, it would refuse the next update of whoever did. It settles anew, unless edits overtake it for too long.
func (p *Patcher) Report(ctx context.Context, change Change, now time.Time) (wait time.Duration, err error) {
	before, after := change.Before, change.After
	if equality.Semantic.DeepEqual(before, after) {
		p.overtaken.Delete(before.GetUID())
		return 0, nil
	}
	if wait := p.Settles(before, after, change.Urgency, now); wait > 0 {
		return wait, nil
	}
	var options client.MergeFromOption = unlocked{}
	if p.mustNotOvertake(change, now) {
		options = client.MergeFromWithOptimisticLock{}
	}
	err = p.Client.Status().Patch(ctx, after, client.MergeFromWithOptions(before, options))
	if apierrors.IsConflict(err) {
		p.forgetBursts(now)
		p.overtaken.LoadOrStore(before.GetUID(), now)
		return change.Urgency.period(p.Settle), nil
	}
	p.overtaken.Delete(before.GetUID())
	if err != nil {
		return 0, client.IgnoreNotFound(fmt.Errorf("patch status: %w", err))
	}
	p.tell(after, change.Was, change.Is)
	return 0, nil
}

// mustNotOvertake reports whether a status is to be written only to the object that it was computed from.
func (p *Patcher) mustNotOvertake(change Change, now time.Time) bool {
	if change.Urgency.period(p.Settle) <= 0 || change.Before.GetResourceVersion() == "" {
		return false
	}
	since, is := p.overtaken.Load(change.Before.GetUID())
	begun, _ := since.(time.Time)
	elapsed := now.Sub(begun)
	return !is || elapsed >= 0 && elapsed < change.Urgency.longest(p.Settle) || p.isOver(begun, now)
}

// isOver reports whether a burst that began then is over: within twice the longest time that a status may be held back,
// it has been written or there was nothing to write.
func (p *Patcher) isOver(begun, now time.Time) bool {
	return now.Sub(begun) >= 2*Calm.longest(p.Settle)
}

// forgetBursts forgets the bursts that are over.
func (p *Patcher) forgetBursts(now time.Time) {
	p.overtaken.Range(func(object, since any) bool {
		if begun, _ := since.(time.Time); p.isOver(begun, now) {
			p.overtaken.Delete(object)
		}
		return true
	})
}

// unlocked patches an object whatever its version.
type unlocked struct{}

// ApplyToMergeFrom changes nothing.
func (unlocked) ApplyToMergeFrom(*client.MergeFromOptions) {}

// tell records an event for each condition that became True or False.
func (p *Patcher) tell(about client.Object, was, is []metav1.Condition) {
	for _, condition := range is {
		previous := meta.FindStatusCondition(was, condition.Type)
		if previous != nil && previous.Status == condition.Status ||
			previous == nil && condition.Status == metav1.ConditionTrue {
			continue
		}
		eventType := corev1.EventTypeNormal
		if condition.Status != metav1.ConditionTrue {
			eventType = corev1.EventTypeWarning
		}
		p.Recorder.Eventf(
			about,
			nil,
			eventType,
			condition.Reason,
			condition.Type,
			"%s is %s: %s",
			condition.Type,
			condition.Status,
			condition.Message,
		)
	}
}
