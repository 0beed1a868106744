// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/gitops"
)

// collectors are the accounts by which Kubernetes deletes what an owner owned. They take away finalizers and owner
// references once they have done what these ask for. Where the controller manager has no service account for each
// controller, it acts as system:kube-controller-manager.
var collectors = []string{
	"system:serviceaccount:kube-system:namespace-controller",
	"system:serviceaccount:kube-system:generic-garbage-collector",
	"system:kube-controller-manager",
}

// lifecycle are the fields of an object's metadata that cause its deletion or prevent it, which differ between old and
// object. Old is nil on creation. Who removes a finalizer from an object that is being deleted completes what was
// admitted; that is no difference here.
func lifecycle(old, object client.Object) []string {
	var owners []metav1.OwnerReference
	var finalizers []string
	isGoing := false
	if old != nil {
		owners, finalizers, isGoing = old.GetOwnerReferences(), old.GetFinalizers(), old.GetDeletionTimestamp() != nil
	}
	var changed []string
	if !equality.Semantic.DeepEqual(owners, object.GetOwnerReferences()) {
		changed = append(changed, "ownerReferences")
	}
	switch is := object.GetFinalizers(); {
	case isGoing && !slices.ContainsFunc(is, func(name string) bool { return !slices.Contains(finalizers, name) }):
	case !equality.Semantic.DeepEqual(finalizers, is):
		changed = append(changed, "finalizers")
	}
	return changed
}

// fieldManagerOf is the name under which a request writes, which its author chooses.
func fieldManagerOf(request *admission.Request) string {
	var options struct {
		FieldManager string `json:"fieldManager"`
	}
	if json.Unmarshal(request.Options.Raw, &options) != nil {
		return ""
	}
	return options.FieldManager
}

// guardedMetadata says for which environments the permission is needed to change an object's lifecycle, or the marks of
// GitOps tools that somebody else sets or takes away. A flag that is
// off in production counts too: its owner would go on owning it when somebody switches it on.
func (w *webhook[T, P]) guardedMetadata(
	ctx context.Context,
	request *admission.Request,
	old, object P,
) ([]need, error) {
	var before client.Object
	if old != nil {
		before = old
	}
	reason := ""
	if changed := lifecycle(before, object); len(changed) > 0 && !slices.Contains(collectors, request.UserInfo.Username) {
		reason = changedLifecycle(changed)
	} else if before != nil && !gitops.SameMarks(before, object) && !gitops.IsTool(fieldManagerOf(request)) {
		reason = "the marks of a GitOps tool change, for which REST leaves the object to the tool"
	}
	if reason == "" {
		return nil, nil
	}
	environments, err := w.rules.servedBy(ctx, old, object)
	if err != nil {
		return nil, err
	}
	var needs []need
	for _, environment := range environments {
		needs = append(needs, need{environment, reason, nil})
	}
	return needs, nil
}

// servedBy returns the names of the production environments of the namespace that guardedProduction returns.
func (o *objects) servedBy(ctx context.Context, object client.Object) ([]string, error) {
	environments, err := o.guardedProduction(ctx, object.GetNamespace())
	if err != nil {
		return nil, err
	}
	var names []string
	for _, environment := range environments {
		names = append(names, environment.Name)
	}
	return names, nil
}

func (r *featureFlags) servedBy(ctx context.Context, _, flag *v1alpha1.FeatureFlag) ([]string, error) {
	return r.objects.servedBy(ctx, flag)
}

func (r *flagAudiences) servedBy(ctx context.Context, _, audience *v1alpha1.FlagAudience) ([]string, error) {
	return r.objects.servedBy(ctx, audience)
}

func (r *flagEvents) servedBy(ctx context.Context, _, event *v1alpha1.FlagEvent) ([]string, error) {
	return r.objects.servedBy(ctx, event)
}

// servedBy returns the environment's own name where it is or becomes a production environment.
func (r *flagEnvironments) servedBy(_ context.Context, old, environment *v1alpha1.FlagEnvironment) ([]string, error) {
	if environment.Spec.Production || old != nil && old.Spec.Production {
		return []string{environment.Name}, nil
	}
	return nil, nil
}

// changedLifecycle says why the permission is needed.
func changedLifecycle(changed []string) string {
	return "metadata." + strings.Join(changed, " and metadata.") + " changes, which deletes the object or prevents that"
}
