// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package status is what all controllers do with a status: conditions, one guarded patch, and an event for each
// transition.
package status

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
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

// Patcher writes statuses.
type Patcher struct {
	Client   client.Client
	Recorder events.EventRecorder
	// Settle is how long a status that is not urgent is held back after the last edit of its object. Zero writes each at
	// once.
	Settle time.Duration
}

// Patch writes the status of after where it differs from that of before, and records an event for each condition that
// became True or False. An object that is gone has no status to write.
func (p Patcher) Patch(ctx context.Context, before, after client.Object, was, is []metav1.Condition) error {
	if equality.Semantic.DeepEqual(before, after) {
		return nil
	}
	if err := p.Client.Status().Patch(ctx, after, client.MergeFrom(before)); err != nil {
		return client.IgnoreNotFound(fmt.Errorf("patch status: %w", err))
	}
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
			after,
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
	return nil
}
