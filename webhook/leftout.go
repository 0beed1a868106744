// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	admissionv1 "k8s.io/api/admission/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// leavesOutProduction reports whether the author of an environment says nothing of spec.production. A default of the
// Kind would hide that.
func leavesOutProduction(request *admission.Request) bool {
	var written struct {
		Spec *struct {
			Production json.RawMessage `json:"production"`
		} `json:"spec"`
	}
	return json.Unmarshal(request.Object.Raw, &written) == nil && written.Spec != nil && written.Spec.Production == nil
}

// keepProduction makes an environment production that is created without a word on that in the place of a production
// environment, whose files it takes up. It returns the warning that tells so, and an empty one where it changes
// nothing.
func (r *flagEnvironments) keepProduction(
	ctx context.Context,
	request *admission.Request,
	environment *v1alpha1.FlagEnvironment,
) (string, error) {
	switch {
	case !leavesOutProduction(request):
		return "", nil
	case request.Operation != admissionv1.Create:
		return endsProduction(request), nil
	}
	left, err := r.leftByProduction(ctx, environment)
	if err != nil {
		return "", apierrors.NewInternalError(err)
	}
	if left == "" {
		return "", nil
	}
	environment.Spec.Production = true
	return fmt.Sprintf(
		"spec.production: is left out, and a production environment of this name has left ConfigMap %q, so that it "+
			"stays production; write production: false to end that",
		left,
	), nil
}

// endsProduction is the warning of an update that leaves spec.production out of a production environment, which ends it:
// so tools take back a field that they no longer name.
func endsProduction(request *admission.Request) string {
	stored := &v1alpha1.FlagEnvironment{}
	if json.Unmarshal(request.OldObject.Raw, stored) != nil || !stored.Spec.Production {
		return ""
	}
	return "spec.production: is left out, so that the environment is production no more, and editors may change what it serves; " +
		"write production: true to keep it"
}

// sayProduction writes the default of spec.production into a response where the author left it out.
func sayProduction(response *admission.Response, request *admission.Request, environment *v1alpha1.FlagEnvironment) {
	if environment.Spec.Production || v1alpha1.Undecodable(environment) != "" || !leavesOutProduction(request) {
		return
	}
	said := admission.PatchResponseFromRaw([]byte(`{"spec":{}}`), []byte(`{"spec":{"production":false}}`))
	response.Patches = append(response.Patches, said.Patches...)
}

// freezesNothing is the warning of an environment that is given the end or the reason of a freeze without the freeze
// itself, so that both are removed. It is empty where a freeze ends, which leaves them over.
func freezesNothing(request *admission.Request, environment *v1alpha1.FlagEnvironment) string {
	stored := &v1alpha1.FlagEnvironment{}
	if request.Operation != admissionv1.Create && json.Unmarshal(request.OldObject.Raw, stored) != nil {
		return ""
	}
	publish, was := &environment.Spec.Publish, &stored.Spec.Publish
	var removed []string
	if publish.SuspendUntil != nil && !publish.SuspendUntil.Equal(was.SuspendUntil) {
		removed = append(removed, "spec.publish.suspendUntil")
	}
	if publish.SuspendReason != "" && publish.SuspendReason != was.SuspendReason {
		removed = append(removed, "spec.publish.suspendReason")
	}
	if publish.Suspend || len(removed) == 0 {
		return ""
	}
	return strings.Join(removed, ", ") + ": removed, because spec.publish.suspend is not true: nothing is frozen; " +
		"write suspend: true in the same change"
}
