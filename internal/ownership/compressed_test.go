// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package ownership

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// The command line and admission read the history by this. Without it nobody rolls back to yesterday.
func TestGetHistory(t *testing.T) {
	environment := builders.MakeEnvironment("production", "shop").Obj()
	plain := object("shop", "flags-production-r7", DatafileLabels(production, v1alpha1.DatafileHistory))
	plain.Data = map[string]string{datafile.FileName: "document", "flagd.json": "flags"}
	compressed, err := Compress(plain)
	if err != nil {
		t.Fatal(err)
	}
	if IsCompressed(plain) || !IsCompressed(compressed) || RevisionOf(compressed) != 7 {
		t.Errorf("the compressed entry %s is not known as that of revision 7", compressed.Name)
	}
	for name, tc := range map[string]struct {
		held []*corev1.ConfigMap
		want string
	}{
		"as it was published":     {[]*corev1.ConfigMap{plain}, plain.Name},
		"compressed":              {[]*corev1.ConfigMap{compressed}, compressed.Name},
		"while it is exchanged":   {[]*corev1.ConfigMap{compressed, plain}, plain.Name},
		"not held by the history": {nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			reader := fake.NewClientBuilder()
			for _, held := range tc.held {
				reader = reader.WithObjects(held.DeepCopy())
			}
			got, err := GetHistory(t.Context(), reader.Build(), environment, 7)
			if tc.want == "" {
				if !apierrors.IsNotFound(err) {
					t.Errorf("the error is %v", err)
				}
				return
			}
			if err != nil || got.Name != tc.want {
				t.Fatalf("got %v, %v", got, err)
			}
			if native, err := Native(got); err != nil || string(native) != "document" {
				t.Errorf("it has the document %q, %v", native, err)
			}
		})
	}
}
