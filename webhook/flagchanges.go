// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"context"
	"fmt"
	"net/http"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

// +kubebuilder:webhook:path=/validate-flags-jackstaff-dev-v1alpha1-flagchange,mutating=false,name=validate-flagchange.flags.jackstaff.dev,verbs=create;update;delete,failurePolicy=fail,matchPolicy=Equivalent,sideEffects=None,timeoutSeconds=10,groups=flags.jackstaff.dev,resources=flagchanges;flagchanges/status,versions=v1alpha1,admissionReviewVersions=v1,patch=`{"matchConditions":[{"name":"not-the-deletion-of-a-namespace-or-owner","expression":"request.operation != 'DELETE' || !(request.userInfo.username in ['system:serviceaccount:kube-system:namespace-controller', 'system:serviceaccount:kube-system:generic-garbage-collector', 'system:kube-controller-manager'])"}]}`

const flagChangePath = "/validate-flags-jackstaff-dev-v1alpha1-flagchange"

// flagChanges refuses every write of a FlagChange that is not the operator's own.
type flagChanges struct{ historian *historian }

func registerFlagChanges(mgr ctrl.Manager, historian *historian) {
	mgr.GetWebhookServer().Register(flagChangePath, &admission.Webhook{
		Handler: counted{"FlagChange", flagChanges{historian}, false},
	})
}

// Handle answers one request.
func (f flagChanges) Handle(ctx context.Context, request admission.Request) admission.Response {
	own, err := f.historian.isOwn(ctx, request.UserInfo.Username)
	if err != nil {
		return admission.Errored(http.StatusInternalServerError, err)
	}
	if !own {
		return admission.Denied(fmt.Sprintf(
			"change records are written by the operator alone, so that they tell what happened; user %q may read them: change "+
				"the object itself instead",
			request.UserInfo.Username,
		))
	}
	return admission.Allowed("")
}
