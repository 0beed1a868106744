// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package ownership

import (
	"fmt"
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

// Ended is the value of v1alpha1.BreakGlassAnnotation with which b ends a break glass.
func (b BreakGlass) Ended() string { return b.String() + endedSuffix }

// endedSuffix follows name and time of whoever ended a break glass.
const endedSuffix = " ended"

// BreakGlassOf is what a served datafile says of who wrote it without the operator. It finds none where the annotation
// is absent, or is not one that String makes: then the datafile is an ordinary one. A user name may have spaces, and the
// last space ends it: the policy lets nothing but a time follow the name of whoever writes.
func BreakGlassOf(object metav1.Object) (mark BreakGlass, found bool) {
	return parseBreakGlass(object.GetAnnotations()[v1alpha1.BreakGlassAnnotation])
}

// BreakGlassEndOf is what a served datafile says of who ended the break glass. It finds none where nobody has, or where
// the annotation was removed, which ends it too.
func BreakGlassEndOf(object metav1.Object) (by BreakGlass, found bool) {
	value, is := strings.CutSuffix(object.GetAnnotations()[v1alpha1.BreakGlassAnnotation], endedSuffix)
	if !is {
		return BreakGlass{}, false
	}
	return parseBreakGlass(value)
}

func parseBreakGlass(value string) (mark BreakGlass, found bool) {
	space := strings.LastIndexByte(value, ' ')
	if space < 1 {
		return BreakGlass{}, false
	}
	at, err := time.Parse(time.RFC3339, value[space+1:])
	if err != nil || strings.TrimSpace(value[:space]) == "" {
		return BreakGlass{}, false
	}
	return BreakGlass{Actor: value[:space], At: at}, true
}

// MaxUnconfirmed is the highest revision that is believed where nothing but the contents of a ConfigMap tells it, so
// that numbers are left.
const MaxUnconfirmed = 1 << 40

// JudgeBreakGlass reads a served datafile that somebody wrote without the operator, and so without its seal. Guarded
// says whether the admission policy on datafiles is in force, which lets only those write it who may publish. Kept is
// the ConfigMap that has the name of the revision in the history, and nil where there is none. It fails with a
// *TamperedError where nothing vouches for the writer or the parts do not fit together. The operator and the servers of
// OFREP and SDKs decide by it alike.
func JudgeBreakGlass(
	environment *v1alpha1.FlagEnvironment,
	served *corev1.ConfigMap,
	mark BreakGlass,
	guarded bool,
	kept metav1.Object,
) (*Datafile, error) {
	tampered := func(why string) error { return &TamperedError{Name: served.Name, Why: why} }
	if !guarded {
		return nil, tampered("it is marked as break glass by " + mark.Actor + ", and the ValidatingAdmissionPolicy " +
			PolicyName + ", which would vouch for that, is not in force")
	}
	read, err := read(environment, served, false)
	switch {
	case err != nil:
		return nil, err
	case read.Native == nil:
		return nil, tampered("it is marked as break glass and holds no native document")
	case read.Revision > MaxUnconfirmed:
		return nil, tampered(fmt.Sprintf("its revision is over %d", int64(MaxUnconfirmed)))
	case kept != nil && kept.GetAnnotations()[v1alpha1.DigestAnnotation] != read.Digest:
		return nil, tampered(fmt.Sprintf("the history has something else as revision %d", read.Revision))
	}
	return read, nil
}
