// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package ownership

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

const (
	// sealKeyField is where the Secret of the seal holds its key.
	sealKeyField = "key"
	// minSealKey is the length of a key, in bytes.
	minSealKey = 32
	// sealPrefix names the algorithm.
	sealPrefix = "hmac-sha256:"
)

// Seal tells what the operator has written into a project from what others have. It is an HMAC with a key that only
// the operator reads. A nil Seal seals nothing, and then every seal holds.
type Seal struct{ key []byte }

// NewSeal returns the seal of a key of at least 32 bytes.
func NewSeal(key []byte) *Seal { return &Seal{key: key} }

// LoadSeal returns the seal whose key a Secret holds, and makes the key where the Secret has none yet. Of several
// replicas that do so at once, one is first and the others read what it wrote. It fails where there is no Secret of
// that name.
func LoadSeal(ctx context.Context, secrets client.Client, name types.NamespacedName) (*Seal, error) {
	for {
		secret := &corev1.Secret{}
		if err := secrets.Get(ctx, name, secret); err != nil {
			return nil, fmt.Errorf("get the key of the seal: %w", err)
		}
		if key := secret.Data[sealKeyField]; len(key) >= minSealKey {
			return NewSeal(key), nil
		}
		key := make([]byte, minSealKey)
		_, _ = rand.Read(key) // It never fails.
		secret.Data = map[string][]byte{sealKeyField: key}
		if err := secrets.Update(ctx, secret); apierrors.IsConflict(err) {
			continue
		} else if err != nil {
			return nil, fmt.Errorf("make the key of the seal: %w", err)
		}
		return NewSeal(key), nil
	}
}

// OfDatafile is the seal of a revision of the environment with the given digest, of which the annotations say whether
// its flagd file is complete and which pinned revision it is. Both may be missing: who could say that a pinned revision
// is served which is not would keep a rollback from happening.
func (s *Seal) OfDatafile(
	environment types.NamespacedName, revision int64, digest string, annotations map[string]string,
) string {
	parts := []string{
		"datafile", environment.Namespace, environment.Name, strconv.FormatInt(revision, 10), digest,
		annotations[v1alpha1.FlagdIncompleteAnnotation],
	}
	if pinned := annotations[v1alpha1.PinnedRevisionAnnotation]; pinned != "" {
		parts = append(parts, pinned)
	}
	return s.of(parts...)
}

// OfKeys is the seal of what the served ConfigMap mirrors of the environment's SDK keys.
func (s *Seal) OfKeys(environment types.NamespacedName, keys string) string {
	return s.of("keys", environment.Namespace, environment.Name, keys)
}

// HoldsKeys reports whether the seal is that of the keys.
func (s *Seal) HoldsKeys(environment types.NamespacedName, keys, seal string) bool {
	return s == nil || hmac.Equal([]byte(s.OfKeys(environment, keys)), []byte(seal))
}

// HoldsDatafile reports whether the metadata of a datafile bears the operator's seal: its revision has the digest that
// the annotation says. It says nothing about the contents; see Read.
func (s *Seal) HoldsDatafile(environment types.NamespacedName, object metav1.Object) bool {
	annotations := object.GetAnnotations()
	return s == nil || hmac.Equal([]byte(annotations[v1alpha1.SealAnnotation]), []byte(s.OfDatafile(
		environment,
		RevisionOf(object),
		annotations[v1alpha1.DigestAnnotation],
		annotations,
	)))
}

// of writes the length before each part, so that no two lists of parts have the same seal.
func (s *Seal) of(parts ...string) string {
	if s == nil {
		return ""
	}
	sum := hmac.New(sha256.New, s.key)
	for _, part := range parts {
		_, _ = sum.Write([]byte(strconv.Itoa(len(part)) + " " + part))
	}
	return sealPrefix + hex.EncodeToString(sum.Sum(nil))
}
