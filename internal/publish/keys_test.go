// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"k8s.io/apimachinery/pkg/types"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/ownership"
)

func sdkKey(name string) v1alpha1.SDKKey {
	return v1alpha1.SDKKey{
		SecretName: name, CreatedAt: metav1.NewTime(time.Date(2027, 1, 1, 9, 0, 0, 0, time.UTC)), Confirmed: true,
		ServerHash: "sha256:" + strings.Repeat("a", 64), ClientHash: "sha256:" + strings.Repeat("b", 64),
	}
}

func TestTheServedConfigMapMirrorsConfirmedKeys(t *testing.T) {
	c := newCluster(t)
	c.publish("one")
	unconfirmed := sdkKey("new")
	unconfirmed.Confirmed = false
	c.environment.Status.SDKKeys = []v1alpha1.SDKKey{unconfirmed, sdkKey("old")}
	c.environment.Status.LastHandledRotateAt = "2027-01-01T09:00:00Z"
	served := c.load()
	if served.Intact(c.environment) {
		t.Fatal("nobody notices that the keys are not mirrored")
	}
	if err := c.publisher.Serve(t.Context(), c.environment, served); err != nil {
		t.Fatal(err)
	}
	c.serves(1, "one")

	mirrored := func() Keys {
		t.Helper()
		keys, err := DecodeKeys(c.get("flags-production").Annotations[v1alpha1.SDKKeysAnnotation], nil, shopProduction)
		if err != nil {
			t.Fatal(err)
		}
		return keys
	}
	want := Keys{Keys: []v1alpha1.SDKKey{sdkKey("old")}, LastHandledRotateAt: "2027-01-01T09:00:00Z"}
	if diff := cmp.Diff(want, mirrored()); diff != "" {
		t.Errorf("the mirror (-want +got):\n%s", diff)
	}

	c.environment.Status.SDKKeys = nil
	c.publish("two")
	c.serves(2, "two")
	if diff := cmp.Diff(want, mirrored()); diff != "" {
		t.Errorf("a lost status takes its mirror along (-want +got):\n%s", diff)
	}
}

func TestDecodeKeysRefusesWhatWasEdited(t *testing.T) {
	good := Keys{Keys: []v1alpha1.SDKKey{sdkKey("a")}}.Encode(nil, shopProduction)
	tests := map[string]string{
		"no JSON":       "x",
		"not confirmed": strings.Replace(good, `"confirmed":true`, `"confirmed":false`, 1),
		"a wrong hash":  strings.Replace(good, "aaaa", "zzzz", 1),
		"four keys": Keys{
			Keys: []v1alpha1.SDKKey{sdkKey("a"), sdkKey("b"), sdkKey("c"), sdkKey("d")},
		}.Encode(
			nil,
			shopProduction,
		),
	}
	for name, annotation := range tests {
		t.Run(name, func(t *testing.T) {
			if keys, err := DecodeKeys(annotation, nil, shopProduction); err == nil {
				t.Errorf("taken for keys: %+v", keys)
			}
		})
	}
	if _, err := DecodeKeys(good, nil, shopProduction); err != nil {
		t.Error(err)
	}
}

var shopProduction = types.NamespacedName{Namespace: "shop", Name: "production"}

// TestKeysOfAnotherEnvironmentAreNotBelieved fails where a ConfigMap that was prepared before its environment exists
// makes the clients of another one read what this one serves.
func TestKeysOfAnotherEnvironmentAreNotBelieved(t *testing.T) {
	seal := ownership.NewSeal([]byte("an operator's key of at least 32 bytes"))
	keys := Keys{Keys: []v1alpha1.SDKKey{sdkKey("a")}}
	for name, annotation := range map[string]string{
		"without a seal":            keys.Encode(nil, shopProduction),
		"sealed for another":        keys.Encode(seal, types.NamespacedName{Namespace: "evil", Name: "production"}),
		"sealed with another key":   keys.Encode(ownership.NewSeal([]byte("a guess of the operator's key, no more")), shopProduction),
		"with another hash in them": strings.Replace(keys.Encode(seal, shopProduction), "aaaa", "cccc", 1),
	} {
		if got, err := DecodeKeys(annotation, seal, shopProduction); err == nil {
			t.Errorf("keys %s are believed: %+v", name, got)
		}
	}
	if _, err := DecodeKeys(keys.Encode(seal, shopProduction), seal, shopProduction); err != nil {
		t.Error(err)
	}
}
