// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
)

// TestKinds holds the table against the scheme and the types' own markers, so that a further Kind is not forgotten.
func TestKinds(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	for _, kind := range Kinds {
		for name, object := range map[string]runtime.Object{kind.Name: kind.New(), kind.Name + "List": kind.NewList()} {
			if gvks, _, err := scheme.ObjectKinds(object); err != nil || gvks[0].Kind != name {
				t.Errorf("%s: the scheme says %v, error %v", name, gvks, err)
			}
		}
		if of, known := KindOf(kind.New()); !known || of.Name != kind.Name {
			t.Errorf("%s: an object of it is taken for a %q", kind.Name, of.Name)
		}
		if named, known := KindNamed(kind.Name); !known || named.Resource != strings.ToLower(kind.Name)+"s" {
			t.Errorf("%s: its resource is %q", kind.Name, named.Resource)
		}
		source, err := os.ReadFile(strings.ToLower(kind.Name) + "_types.go")
		if err != nil {
			t.Fatal(err)
		}
		marker := regexp.MustCompile(`\+kubebuilder:resource:shortName=(\w+),`).FindSubmatch(source)
		if marker == nil || string(marker[1]) != kind.ShortName {
			t.Errorf("%s: its short name is %q, and its definition says %q", kind.Name, kind.ShortName, marker)
		}
	}
	for name := range scheme.KnownTypes(GroupVersion) {
		_, known := KindNamed(name)
		written := name != "FlagChange" && strings.HasPrefix(name, "F") && !strings.HasSuffix(name, "List")
		if written != known {
			t.Errorf("%s: in the table: %t, written by people: %t", name, known, written)
		}
	}
}
