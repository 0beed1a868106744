// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package ownership

import (
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// BreakGlass is who wrote a served datafile without the operator, and when.
type BreakGlass struct {
	// Actor is the user's name as the API server knows it. The ValidatingAdmissionPolicy on datafiles sees to that.
	Actor string
	// At is when, in seconds.
	At time.Time
}

// String is the value of v1alpha1.BreakGlassAnnotation.
func (b BreakGlass) String() string { return b.Actor + " " + b.At.UTC().Format(time.RFC3339) }

// BreakGlassOf is what a served datafile says of who wrote it without the operator. It finds none where the annotation
// is absent, or is not one that String makes: then the datafile is an ordinary one.
func BreakGlassOf(object metav1.Object) (mark BreakGlass, found bool) {
	value := object.GetAnnotations()[v1alpha1.BreakGlassAnnotation]
	space := strings.LastIndexByte(value, ' ')
	if space < 1 {
		return BreakGlass{}, false
	}
	at, err := time.Parse(time.RFC3339, value[space+1:])
	if err != nil {
		return BreakGlass{}, false
	}
	return BreakGlass{Actor: value[:space], At: at}, true
}

// ReadBreakGlass reads a served datafile that somebody wrote without the operator, and without its seal. It fails with a
// *TamperedError where its digest, its revision or its documents do not fit together. Whether the writer had the right
// to write it, only the admission policy on datafiles knows.
func ReadBreakGlass(environment *v1alpha1.FlagEnvironment, configMap *corev1.ConfigMap) (*Datafile, error) {
	return read(environment, configMap, false)
}
