// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"encoding/json"
	"fmt"

	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// keepBrake keeps the annotation that forces a flag off where an update leaves it out. A manifest that does not know of
// a brake, as after kubectl replace, does not lift it; an explicit empty value does.
func keepBrake(old, object client.Object) {
	flag, isFlag := object.(*v1alpha1.FeatureFlag)
	brake := old.GetAnnotations()[v1alpha1.ForceDisabledAnnotation]
	if !isFlag || brake == "" {
		return
	}
	if _, isSaid := flag.Annotations[v1alpha1.ForceDisabledAnnotation]; !isSaid {
		metav1.SetMetaDataAnnotation(&flag.ObjectMeta, v1alpha1.ForceDisabledAnnotation, brake)
	}
}

// staysOff is the warning of an update that leaves out the annotation that forces a flag off, which keepBrake keeps:
// whoever removes it by hand means to switch the flag on. It is empty where there is nothing to say.
func staysOff(request *admission.Request, object client.Object) string {
	flag, isFlag := object.(*v1alpha1.FeatureFlag)
	if !isFlag || request.Operation != admissionv1.Update {
		return ""
	}
	old := &metav1.PartialObjectMetadata{}
	if json.Unmarshal(request.OldObject.Raw, old) != nil {
		return ""
	}
	brake := old.Annotations[v1alpha1.ForceDisabledAnnotation]
	if _, isSaid := flag.Annotations[v1alpha1.ForceDisabledAnnotation]; isSaid || brake == "" {
		return ""
	}
	return fmt.Sprintf(
		"the flag stays off in %s: to leave out the annotation %s does not lift it; write %s= with an empty value",
		brake, v1alpha1.ForceDisabledAnnotation, v1alpha1.ForceDisabledAnnotation,
	)
}
