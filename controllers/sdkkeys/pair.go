// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package sdkkeys

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/ownership"
)

const (
	// keyBytes is how much chance is in a key.
	keyBytes = 32
	// suffixLength is how long the random end of a Secret's name is: long enough that no name is ever used twice.
	suffixLength = 10
)

// newPair makes a Secret with a new pair of keys, and what the status says of it.
func newPair(environment *v1alpha1.FlagEnvironment, now time.Time) (*corev1.Secret, v1alpha1.SDKKey) {
	serverKey, clientKey := newKey("sdk_"), newKey("cli_")
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: environment.Namespace,
			Name:      "flags-" + environment.Name + "-sdk-key-" + strings.ToLower(rand.Text()[:suffixLength]),
			Labels:    ownership.Labels(client.ObjectKeyFromObject(environment)),
		},
		// Other keys under this name would not be recognised.
		Immutable:  new(true),
		StringData: map[string]string{"server": serverKey, "client": clientKey},
	}
	if environment.Spec.DeletionPolicy == v1alpha1.DeletionPolicyDelete {
		// The operator may not delete Secrets, but the garbage collector does. Without the policy, an environment that is
		// created again takes its keys up again, and workloads that mount the Secret go on starting meanwhile.
		secret.OwnerReferences = []metav1.OwnerReference{{
			APIVersion: v1alpha1.GroupVersion.String(), Kind: "FlagEnvironment", Name: environment.Name, UID: environment.UID,
		}}
	}
	return secret, v1alpha1.SDKKey{
		SecretName: secret.Name,
		CreatedAt:  metav1.NewTime(now.Truncate(time.Second)),
		ServerHash: hashOf(serverKey),
		ClientHash: hashOf(clientKey),
	}
}

func newKey(prefix string) string {
	random := make([]byte, keyBytes)
	_, _ = rand.Read(random) // It never fails (https://pkg.go.dev/crypto/rand#Read).
	return prefix + hex.EncodeToString(random)
}

// hashOf is what a status says of a key.
func hashOf(key string) string {
	sum := sha256.Sum256([]byte(key))
	return "sha256:" + hex.EncodeToString(sum[:])
}
