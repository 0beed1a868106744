// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package ownership

import (
	"bytes"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// FuzzRead gives the operator ConfigMaps as a tenant could write them. It must never stop, never take contents that
// bear neither the seal nor the status' confirmation, and never believe a number that no environment publishes.
func FuzzRead(f *testing.F) {
	environment := &v1alpha1.FlagEnvironment{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "production"}}
	environment.Status.PublishedRevision, environment.Status.PublishedDigest = 7, "sha256:confirmed"
	seal := NewSeal(bytes.Repeat([]byte("k"), 32))
	f.Add(
		"flags-production",
		"served",
		"production",
		"shop",
		"7",
		"sha256:confirmed",
		"",
		[]byte(`{"schemaVersion":1}`),
		[]byte(nil),
	)
	f.Add(
		"flags-production-r9223372036854775807",
		"history",
		"production",
		"shop",
		"-1",
		"",
		"x",
		[]byte(`{`),
		[]byte{0x1f, 0x8b},
	)
	f.Add("flags-production-r08", "history", "", "", "08", "sha256:", "v1:", []byte(nil), []byte("garbage"))
	f.Fuzz(func(t *testing.T, name, kind, of, project, revision, digest, sealed string, text, compressed []byte) {
		configMap := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: name,
			Labels: map[string]string{
				v1alpha1.ManagedByLabel: v1alpha1.ManagedBy, v1alpha1.DatafileLabel: kind,
				v1alpha1.EnvironmentLabel: of, v1alpha1.ProjectLabel: project,
			},
			Annotations: map[string]string{
				v1alpha1.RevisionAnnotation: revision, v1alpha1.DigestAnnotation: digest, v1alpha1.SealAnnotation: sealed,
			},
		}}
		if len(text) > 0 {
			configMap.Data = map[string]string{datafile.FileName: string(text)}
		}
		if len(compressed) > 0 {
			configMap.BinaryData = map[string][]byte{datafile.CompressedFileName: compressed}
		}
		if number := RevisionOf(configMap); number < 0 || number > MaxRevision {
			t.Errorf("the metadata claim revision %d", number)
		}
		_, _, _ = Origin(configMap)
		read, err := Read(seal, environment, configMap)
		if err != nil {
			return
		}
		if read.Revision < 1 || read.Revision > MaxRevision {
			t.Errorf("revision %d is believed", read.Revision)
		}
		if read.Contents == nil {
			return
		}
		if isConfirmed := read.Revision == 7 && digest == "sha256:confirmed"; !isConfirmed {
			t.Errorf("contents are taken that nobody sealed and no status confirms: %q", digest)
		}
		if got := configMap.Annotations[v1alpha1.DigestAnnotation]; got != read.Digest {
			t.Errorf("contents with digest %q are taken for %q", got, read.Digest)
		}
	})
}
