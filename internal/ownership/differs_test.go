// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package ownership

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
	"github.com/jackstaff-dev/jackstaff/sdk/flagd"
)

// Whoever serves an older revision by kubectl copies its data alone. On call must see that the annotations are not those
// of the content.
func TestDiffers(t *testing.T) {
	environment := builders.MakeEnvironment("production", "shop").Obj()
	contents := &datafile.Contents{}
	of := func(revision int64) string {
		return string(contents.Encode(datafile.Header{
			SchemaVersion: datafile.SchemaVersion, Project: "shop", Environment: "production", Revision: revision,
		}))
	}
	for name, tc := range map[string]struct{ document, digest, want string }{
		"as it was published":   {of(7), contents.Digest(), ""},
		"of another revision":   {of(3), contents.Digest(), "it is revision 3"},
		"of another content":    {of(7), "sha256:other", "another digest"},
		"of a newer operator":   {strings.Replace(of(7), `"schemaVersion":"`, `"schemaVersion":"v9`, 1), contents.Digest(), ""},
		"no document":           {"", contents.Digest(), ""},
		"of nothing that reads": {"{", contents.Digest(), "unexpected"},
	} {
		t.Run(name, func(t *testing.T) {
			served := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
				Namespace: "shop", Name: "flags-production",
				Annotations: map[string]string{v1alpha1.RevisionAnnotation: "7", v1alpha1.DigestAnnotation: tc.digest},
			}}
			if tc.document != "" {
				served.Data = map[string]string{datafile.FileName: tc.document}
			}
			if got := Differs(environment, served); (got == "") != (tc.want == "") || !strings.Contains(got, tc.want) {
				t.Errorf("it says %q, want %q", got, tc.want)
			}
		})
	}
}

// After an upgrade the operator would take every file that it published before for forged, and restore what it has not.
func TestFlagdFilesFromBeforeSetsHadNamesAreRead(t *testing.T) {
	environment := builders.MakeEnvironment("production", "shop").Obj()
	header := datafile.Header{
		SchemaVersion: datafile.SchemaVersion, Project: "shop", Environment: "production", Revision: 7,
	}
	contents, definitions := &datafile.Contents{}, &datafile.Section{}
	definitions.Put(datafile.RawPart("a", []byte(`{"state":"ENABLED"}`)))
	for name, tc := range map[string]struct{ file, want string }{
		"as it is written":  {string(flagd.Encode(header, definitions)), ""},
		"as it was written": {`{"flags":{"a":{"state":"ENABLED"}},"metadata":{"environment":"production","project":"shop","revision":7}}`, ""},
		"of another set": {
			strings.Replace(string(flagd.Encode(header, definitions)), "shop.production", "shop.staging", 1), "not written as",
		},
		"of another revision": {
			`{"flags":{"a":{"state":"ENABLED"}},"metadata":{"environment":"production","project":"shop","revision":8}}`, "not written as",
		},
	} {
		t.Run(name, func(t *testing.T) {
			served := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
				Namespace: "shop", Name: "flags-production",
				Annotations: map[string]string{
					v1alpha1.RevisionAnnotation: "7", v1alpha1.DigestAnnotation: contents.Digest(definitions),
				},
			}, Data: map[string]string{
				datafile.FileName: string(contents.Encode(header)), flagd.FileName: tc.file,
			}}
			if got := Differs(environment, served); (got == "") != (tc.want == "") || !strings.Contains(got, tc.want) {
				t.Errorf("it says %q, want %q", got, tc.want)
			}
		})
	}
}
