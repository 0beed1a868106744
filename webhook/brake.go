// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

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
