// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// source returns what copies are made from, and fails where there is nothing.
func (c *cluster) source() *Source {
	c.Helper()
	source, err := c.publisher.Source(c.Context(), c.environment)
	if err != nil || source == nil {
		c.Fatalf("source %v, error %v", source, err)
	}
	return source
}

// copyIn returns the ConfigMap flags-production of another namespace, and nil where there is none.
func (c *cluster) copyIn(namespace string) *corev1.ConfigMap {
	c.Helper()
	configMap := &corev1.ConfigMap{}
	err := c.Get(c.Context(), client.ObjectKey{Namespace: namespace, Name: "flags-production"}, configMap)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		c.Fatal(err)
	}
	return configMap
}

// deliver copies the source into a namespace that it looks at live.
func (c *cluster) deliver(namespace string) *corev1.ConfigMap {
	c.Helper()
	version, err := c.publisher.Copy(c.Context(), c.source(), namespace, nil)
	if err != nil {
		c.Fatalf("copy: %v", err)
	}
	delivered := c.copyIn(namespace)
	if delivered.ResourceVersion != version {
		c.Errorf("the copy has resource version %s, and %s is returned", delivered.ResourceVersion, version)
	}
	return delivered
}

func TestACopyIsWhatIsServed(t *testing.T) {
	c := newCluster(t)
	c.publish("one")
	c.edit(
		"flags-production",
		func(served *corev1.ConfigMap) { served.Annotations["example.com/note"] = "of the project" },
	)
	delivered, served := c.deliver("web"), c.get("flags-production")
	if diff := cmp.Diff(served.Data, delivered.Data); diff != "" {
		t.Errorf("a copy differs (-served +copy):\n%s", diff)
	}
	delete(served.Annotations, "example.com/note")
	if diff := cmp.Diff(served.Annotations, delivered.Annotations); diff != "" {
		t.Errorf("annotations of a copy differ (-served +copy):\n%s", diff)
	}
	want := map[string]string{
		v1alpha1.ManagedByLabel:   v1alpha1.ManagedBy,
		v1alpha1.ProjectLabel:     "shop",
		v1alpha1.EnvironmentLabel: "production",
		v1alpha1.DatafileLabel:    v1alpha1.DatafileCopy,
	}
	if diff := cmp.Diff(want, delivered.Labels); diff != "" {
		t.Errorf("labels of a copy (-want +got):\n%s", diff)
	}
	writes := c.writes
	c.deliver("web")
	if c.writes != writes {
		t.Error("a copy that is as it should be is written")
	}
	before := c.source().Fingerprint
	c.publish("two")
	if c.source().Fingerprint == before {
		t.Error("another revision does not make another source")
	}
	if _, err := c.publisher.Copy(t.Context(), c.source(), "web", &delivered.ObjectMeta); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(c.get("flags-production").Data, c.copyIn("web").Data); diff != "" {
		t.Errorf("a copy stays at an older revision (-served +copy):\n%s", diff)
	}
	if _, err := c.publisher.Copy(t.Context(), c.source(), "web", &delivered.ObjectMeta); !apierrors.IsConflict(err) {
		t.Errorf("a copy that has changed is overwritten unseen: error %v", err)
	}
}

func TestNoCopiesAreMadeOfWhatWasEdited(t *testing.T) {
	for name, change := range map[string]func(*corev1.ConfigMap){
		"data":     func(served *corev1.ConfigMap) { served.Data["datafile.json"] = `{"flags":{}}` },
		"revision": func(served *corev1.ConfigMap) { served.Annotations[v1alpha1.RevisionAnnotation] = "7" },
		"digest":   func(served *corev1.ConfigMap) { served.Annotations[v1alpha1.DigestAnnotation] = "sha256:0" },
		"labels":   func(served *corev1.ConfigMap) { served.Labels = nil },
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t)
			if source, err := c.publisher.Source(t.Context(), c.environment); source != nil || err != nil {
				t.Errorf("something is copied before anything is published: %v, error %v", source, err)
			}
			c.publish("one")
			c.edit("flags-production", change)
			if source, err := c.publisher.Source(t.Context(), c.environment); source != nil || err != nil {
				t.Errorf("an edit by hand would be delivered: %v, error %v", source, err)
			}
		})
	}
}

func TestOnlyItsOwnCopiesAreTouched(t *testing.T) {
	own := map[string]string{
		v1alpha1.ManagedByLabel:   v1alpha1.ManagedBy,
		v1alpha1.ProjectLabel:     "shop",
		v1alpha1.EnvironmentLabel: "production",
		v1alpha1.DatafileLabel:    v1alpha1.DatafileCopy,
	}
	with := func(label, value string) map[string]string { return merge(own, map[string]string{label: value}) }
	for name, tc := range map[string]struct {
		labels map[string]string
		isOwn  bool
	}{
		"its own":                           {own, true},
		"its own with another label":        {with("example.com/team", "web"), true},
		"without labels":                    {nil, false},
		"of another environment":            {with(v1alpha1.EnvironmentLabel, "staging"), false},
		"of another project":                {with(v1alpha1.ProjectLabel, "web"), false},
		"served":                            {with(v1alpha1.DatafileLabel, v1alpha1.DatafileServed), false},
		"of the history":                    {with(v1alpha1.DatafileLabel, v1alpha1.DatafileHistory), false},
		"that somebody else manages by now": {with(v1alpha1.ManagedByLabel, "helm"), false},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t)
			c.publish("one")
			found := &corev1.ConfigMap{
				ObjectMeta: metav1.ObjectMeta{Namespace: "web", Name: "flags-production", Labels: tc.labels},
				Data:       map[string]string{"mine": "yes"},
			}
			if err := c.Create(t.Context(), found); err != nil {
				t.Fatal(err)
			}
			_, err := c.publisher.Copy(t.Context(), c.source(), "web", nil)
			if HasReason(err, v1alpha1.NameTakenReason) == tc.isOwn {
				t.Errorf("error %v", err)
			}
			if _, isLeft := c.copyIn("web").Data["mine"]; isLeft == tc.isOwn {
				t.Errorf("left alone: %t", isLeft)
			}
			seen := &metav1.PartialObjectMetadata{ObjectMeta: c.copyIn("web").ObjectMeta}
			if err := c.publisher.RemoveCopy(t.Context(), client.ObjectKeyFromObject(c.environment), seen); err != nil {
				t.Fatal(err)
			}
			if isGone := c.copyIn("web") == nil; isGone != tc.isOwn {
				t.Errorf("removed: %t", isGone)
			}
		})
	}
}
