// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/ownership"
	"github.com/jackstaff-dev/jackstaff/internal/topics"
)

// maxNamed is how many namespaces a message names.
const maxNamed = 10

// report tells the FlagEnvironment controller how the copies stand.
func (r *Reconciler) report(s *scope) {
	delivery := topics.Delivery{Selector: s.environment.Spec.Delivery.NamespaceSelector, Copies: s.delivered()}
	delivery.Delivered, delivery.Reason, delivery.Message = s.condition()
	r.Deliveries.Write(client.ObjectKeyFromObject(s.environment), delivery)
}

// reportProgress tells of a delivery that takes its time. The copies are counted when it is done.
func (r *Reconciler) reportProgress(s *scope) {
	key := client.ObjectKeyFromObject(s.environment)
	delivery, _ := r.Deliveries.Read(key)
	delivery.Selector = s.environment.Spec.Delivery.NamespaceSelector
	delivery.Delivered, delivery.Reason = false, v1alpha1.PendingReason
	delivery.Message = fmt.Sprintf("revision %d is being written to %d namespaces", s.state.revision, len(s.accepting))
	r.Deliveries.Write(key, delivery)
}

// delivered are the namespaces that have a copy, and the revision of each.
func (s *scope) delivered() []v1alpha1.NamespaceDelivery {
	revisions := map[string]int64{}
	for namespace, object := range s.named() {
		revisions[namespace] = ownership.RevisionOf(object)
	}
	for _, namespace := range s.accepting {
		if copied, ok := s.state.written[namespace]; ok && copied.fingerprint == s.state.fingerprint {
			revisions[namespace] = s.state.revision
		}
	}
	for _, namespace := range s.taken {
		delete(revisions, namespace)
	}
	delivered := make([]v1alpha1.NamespaceDelivery, 0, len(revisions))
	for _, namespace := range slices.Sorted(maps.Keys(revisions)) {
		delivered = append(delivered, v1alpha1.NamespaceDelivery{Namespace: namespace, Revision: revisions[namespace]})
	}
	return delivered
}

// condition is what the condition Delivered says. It does not apply where no selector is set.
func (s *scope) condition() (isTrue bool, reason, message string) {
	switch {
	case s.invalid != "":
		return false, v1alpha1.InvalidReason, fmt.Sprintf(
			"spec.delivery.namespaceSelector: %s; copies stay as they are",
			s.invalid,
		)
	case len(s.failed) > 0:
		failed := slices.Sorted(maps.Keys(s.failed))
		return false, v1alpha1.WriteFailedReason, fmt.Sprintf(
			"%d namespaces are not up to date: %s: %s; it is tried again",
			len(failed),
			names(failed),
			s.failed[failed[0]],
		)
	case len(s.taken) > 0:
		return false, v1alpha1.NameTakenReason, fmt.Sprintf(
			"ConfigMap %q exists in %s and is not a copy of this environment's datafile; delete it there, or choose another name in spec.datafile.name",
			s.environment.DatafileName(),
			names(s.taken),
		)
	case s.waiting:
		return false, v1alpha1.PendingReason, "copies wait until the environment serves its datafile, see its condition Published"
	}
	message = fmt.Sprintf(
		"all %d selected namespaces that accept the datafile have revision %d",
		len(s.accepting),
		s.state.revision,
	)
	if len(s.accepting) == 0 {
		message = "no selected namespace accepts the datafile"
	}
	if s.refusing > 0 {
		message += fmt.Sprintf("; %d selected namespaces do not accept it, because their annotation %s does not name %s",
			s.refusing, v1alpha1.AcceptFromAnnotation, s.environment.Namespace)
	}
	return true, v1alpha1.DeliveredReason, message
}

// names lists the first namespaces.
func names(namespaces []string) string {
	if len(namespaces) <= maxNamed {
		return strings.Join(namespaces, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(namespaces[:maxNamed], ", "), len(namespaces)-maxNamed)
}
