// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/history"
)

// historian records admitted changes.
type historian struct {
	client client.Client
	clock  clock.PassiveClock

	mu sync.Mutex
	// own is the operator's user name, and empty as long as nobody asked.
	own string
}

// record appends a record of the change from old to object, if there is one, to the records that old carries. What the
// request itself says of the records counts for nothing, unless it is the operator that takes away what it has moved. A
// dry run gets no new record, so that a tool that compares with what is stored sees only what the user changes.
func (h *historian) record(ctx context.Context, request *admission.Request, old, object history.Object) error {
	record, changed, err := history.Compare(old, object)
	if err != nil {
		return apierrors.NewInternalError(err)
	}
	stored := ""
	if old != nil {
		stored = old.GetAnnotations()[v1alpha1.ChangesAnnotation]
	}
	sent := object.GetAnnotations()[v1alpha1.ChangesAnnotation]
	records, err := history.Decode(stored)
	if err != nil {
		// It was written while there was no admission. The next record says that something is missing.
		record.LoseBefore()
	}
	text := stored
	if sent != stored && old != nil {
		own, err := h.isOwn(ctx, request.UserInfo.Username)
		if err != nil {
			return apierrors.NewInternalError(err)
		}
		if left, err := history.Decode(sent); own && err == nil && (sent == "" || history.IsShortened(records, left)) {
			records, text = left, sent
		}
	}
	if changed && (request.DryRun == nil || !*request.DryRun) {
		actor := history.Actor{Name: request.UserInfo.Username, UID: request.UserInfo.UID}
		if err := record.Stamp(string(request.UID), actor, h.clock.Now(), records); err != nil {
			return apierrors.NewInternalError(err)
		}
		if text, err = history.Encode(append(records, record)); err != nil {
			return apierrors.NewInternalError(err)
		}
	}
	setAnnotation(object, v1alpha1.ChangesAnnotation, text)
	return nil
}

// recordDeletion stores that the deletion of object was admitted, together with the records that object carries, for a
// deletion leaves no object to carry them. The operator confirms it once the object is gone.
func (h *historian) recordDeletion(ctx context.Context, kind string, object client.Object) error {
	request, err := admission.RequestFromContext(ctx)
	if err != nil {
		return apierrors.NewInternalError(err)
	}
	record, has, err := history.Compare(object, nil)
	if err != nil {
		return apierrors.NewInternalError(err)
	}
	if !has || request.DryRun != nil && *request.DryRun {
		return nil
	}
	records, err := history.Decode(object.GetAnnotations()[v1alpha1.ChangesAnnotation])
	if err != nil {
		record.LoseBefore()
	}
	actor := history.Actor{Name: request.UserInfo.Username, UID: request.UserInfo.UID}
	if err := record.Stamp(string(request.UID), actor, h.clock.Now(), records); err != nil {
		return apierrors.NewInternalError(err)
	}
	var stored struct {
		Spec json.RawMessage `json:"spec"`
	}
	if err := json.Unmarshal(request.OldObject.Raw, &stored); err != nil {
		return apierrors.NewInternalError(fmt.Errorf("read the stored object: %w", err))
	}
	changes, err := deletionChanges(kind, object, records, &record, stored.Spec)
	if err != nil {
		return apierrors.NewInternalError(err)
	}
	for _, change := range changes {
		// A namespace that has begun to go takes nothing new, and keeps no history.
		err := h.client.Create(ctx, change)
		if apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
			return nil
		}
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return apierrors.NewInternalError(fmt.Errorf("record the deletion; try again: %w", err))
		}
	}
	return nil
}

// maxDetailed is how many changes that a deleted object still carries are recorded in detail. There is time for no
// more before the API server gives up.
const maxDetailed = 25

// deletionChanges returns the FlagChanges of a deletion that is requested, and of the changes that the object carries,
// which have happened whatever becomes of the deletion.
func deletionChanges(
	kind string,
	object client.Object,
	carried []history.Record,
	deletion *history.Record,
	spec json.RawMessage,
) ([]*v1alpha1.FlagChange, error) {
	of := history.ObjectOf(kind, object)
	var changes []*v1alpha1.FlagChange
	var older []v1alpha1.FlagChange
	for i := range carried {
		change, err := history.NewChange(object.GetNamespace(), of, v1alpha1.HistoryRecorded, &carried[i], nil)
		if err != nil {
			return nil, err
		}
		if i < len(carried)-maxDetailed {
			older = append(older, *change)
		} else {
			changes = append(changes, change)
		}
	}
	folded, err := history.Fold(older)
	if err != nil {
		return nil, err
	}
	change, err := history.NewChange(object.GetNamespace(), of, v1alpha1.HistoryRequested, deletion, spec)
	if err != nil {
		return nil, err
	}
	return append(append(folded, changes...), change), nil
}

// isOwn reports whether a user name is the operator's own.
func (h *historian) isOwn(ctx context.Context, name string) (bool, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.own == "" {
		review := &authenticationv1.SelfSubjectReview{}
		if err := h.client.Create(ctx, review); err != nil {
			return false, fmt.Errorf("ask for the operator's own user name: %w", err)
		}
		h.own = review.Status.UserInfo.Username
	}
	return h.own != "" && name == h.own, nil
}

// setAnnotation sets an annotation, or removes it where value is empty.
func setAnnotation(object history.Object, name, value string) {
	annotations := object.GetAnnotations()
	if value == "" {
		delete(annotations, name)
		return
	}
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[name] = value
	object.SetAnnotations(annotations)
}
