// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"encoding/json"
	"fmt"
	"regexp"

	"k8s.io/apimachinery/pkg/types"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/ownership"
)

// hashForm is the form of a key's hash in a status.
var hashForm = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// Keys is what a served ConfigMap mirrors of an environment's status, so that SDK keys stay valid though the status is
// lost: with the environment, which somebody creates again, or by a restore from a backup, which has no statuses.
type Keys struct {
	// Keys are the confirmed SDK keys, newest first.
	Keys []v1alpha1.SDKKey `json:"keys"`
	// LastHandledRotateAt is the request for keys that was answered last. Without it the request would be answered again.
	LastHandledRotateAt string `json:"lastHandledRotateAt,omitempty"`
	// Seal binds all of this to the environment. Without it, whoever writes the ConfigMap decides whose clients the
	// environment answers.
	Seal string `json:"seal,omitempty"`
}

// KeysOf is what is to be mirrored of a status.
func KeysOf(status *v1alpha1.FlagEnvironmentStatus) Keys {
	keys := Keys{LastHandledRotateAt: status.LastHandledRotateAt}
	for _, key := range status.SDKKeys {
		if key.Confirmed {
			keys.Keys = append(keys.Keys, key)
		}
	}
	return keys
}

// Encode returns the value of the annotation v1alpha1.SDKKeysAnnotation for the environment.
func (k Keys) Encode(seal *ownership.Seal, environment types.NamespacedName) string {
	k.Seal = seal.OfKeys(environment, k.unsealed())
	data, _ := json.Marshal(k) // Strings, times and booleans always have a JSON form.
	return string(data)
}

// unsealed is what the seal is over.
func (k Keys) unsealed() string {
	k.Seal = ""
	data, _ := json.Marshal(k)
	return string(data)
}

// DecodeKeys reads the value of the annotation v1alpha1.SDKKeysAnnotation of the environment. It fails where that is
// not what Encode writes for it, because somebody has edited it or taken it from elsewhere.
func DecodeKeys(annotation string, seal *ownership.Seal, environment types.NamespacedName) (Keys, error) {
	var keys Keys
	if err := json.Unmarshal([]byte(annotation), &keys); err != nil {
		return Keys{}, fmt.Errorf("read annotation %s: %w", v1alpha1.SDKKeysAnnotation, err)
	}
	if len(keys.Keys) > v1alpha1.MaxSDKKeys {
		return Keys{}, fmt.Errorf(
			"read annotation %s: it has %d keys, and at most %d are valid",
			v1alpha1.SDKKeysAnnotation,
			len(keys.Keys),
			v1alpha1.MaxSDKKeys,
		)
	}
	for _, key := range keys.Keys {
		if !key.Confirmed || !hashForm.MatchString(key.ServerHash) || !hashForm.MatchString(key.ClientHash) {
			return Keys{}, fmt.Errorf("read annotation %s: it has a key that is none", v1alpha1.SDKKeysAnnotation)
		}
	}
	if !seal.HoldsKeys(environment, keys.unsealed(), keys.Seal) {
		return Keys{}, fmt.Errorf("read annotation %s: it does not bear the operator's seal", v1alpha1.SDKKeysAnnotation)
	}
	return keys, nil
}
