// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"fmt"
	"strconv"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/ownership"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
	"github.com/jackstaff-dev/jackstaff/sdk/flagd"
)

func newSealedCluster(t *testing.T) *cluster {
	t.Helper()
	c := newCluster(t)
	c.publisher.Seal = ownership.NewSeal([]byte("an operator's key of at least 32 bytes"))
	return c
}

// confirm makes the status say what the controller writes after a publish.
func (c *cluster) confirm(served *Served) {
	c.environment.Status.PublishedRevision, c.environment.Status.PublishedDigest = served.Revision, served.Digest
}

// forged is what an editor of ConfigMaps writes who knows everything but the key of the seal.
func (c *cluster) forged(revision int64, value string) *corev1.ConfigMap {
	content := small(value)
	header := datafile.Header{Project: "shop", Environment: "production", Revision: revision}
	key := client.ObjectKeyFromObject(c.environment)
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: c.environment.HistoryName(revision),
			Labels: ownership.DatafileLabels(key, v1alpha1.DatafileHistory),
			Annotations: map[string]string{
				v1alpha1.RevisionAnnotation: strconv.FormatInt(revision, 10),
				v1alpha1.DigestAnnotation:   content.Digest(c.environment.Spec.Datafile.Formats),
				v1alpha1.SealAnnotation: ownership.NewSeal([]byte("a guess of the operator's key, no more")).
					OfDatafile(key, revision, content.Digest(c.environment.Spec.Datafile.Formats), nil),
			},
		},
		Data: map[string]string{
			datafile.FileName: string(content.Contents.Encode(header)),
			flagd.FileName:    string(flagd.Encode(header, content.Flagd)),
		},
	}
}

func (c *cluster) create(object client.Object) {
	c.Helper()
	if err := c.Create(c.Context(), object); err != nil {
		c.Fatal(err)
	}
}

// TestAForgedHistoryIsNotServed fails where an editor of ConfigMaps decides what production serves: the history entry
// is made anew with other contents, the served ConfigMap is deleted, and the operator starts.
func TestAForgedHistoryIsNotServed(t *testing.T) {
	for name, forge := range map[string]func(c *cluster, honest *corev1.ConfigMap) *corev1.ConfigMap{
		"with the digest and seal of what was there": func(c *cluster, honest *corev1.ConfigMap) *corev1.ConfigMap {
			forged := c.forged(1, "evil")
			forged.Annotations = honest.Annotations
			return forged
		},
		"with a digest that fits": func(c *cluster, _ *corev1.ConfigMap) *corev1.ConfigMap { return c.forged(1, "evil") },
		"with a flagd file of its own": func(_ *cluster, honest *corev1.ConfigMap) *corev1.ConfigMap {
			forged := honest.DeepCopy()
			forged.Data[flagd.FileName] = `{"flags":{"a":{"y":"evil"}}}`
			return forged
		},
		"with a flagd file that it calls old": func(_ *cluster, honest *corev1.ConfigMap) *corev1.ConfigMap {
			forged := honest.DeepCopy()
			forged.Data[flagd.FileName] = `{"flags":{"a":{"y":"evil"}}}`
			forged.Annotations[v1alpha1.FlagdIncompleteAnnotation] = "true"
			return forged
		},
		"with a document beside the compressed one, which workloads read first": func(
			c *cluster, honest *corev1.ConfigMap,
		) *corev1.ConfigMap {
			forged := honest.DeepCopy()
			forged.BinaryData = map[string][]byte{datafile.CompressedFileName: compressed(small("one"), 1)}
			forged.Data[datafile.FileName] = c.forged(1, "evil").Data[datafile.FileName]
			return forged
		},
		"with nothing beside the compressed document": func(_ *cluster, honest *corev1.ConfigMap) *corev1.ConfigMap {
			forged := honest.DeepCopy()
			forged.BinaryData = map[string][]byte{datafile.CompressedFileName: compressed(small("one"), 1)}
			delete(forged.Data, datafile.FileName)
			return forged
		},
		"with the name of a pinned revision, for which a rollback to that would pass": func(
			_ *cluster, honest *corev1.ConfigMap,
		) *corev1.ConfigMap {
			forged := honest.DeepCopy()
			forged.Annotations[v1alpha1.PinnedRevisionAnnotation] = "7"
			return forged
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newSealedCluster(t)
			c.confirm(c.publish("one"))
			forged := forge(c, c.get("flags-production-r1"))
			forged.ResourceVersion = ""
			c.remove("flags-production-r1")
			c.remove("flags-production")
			c.create(forged)
			served := c.load()
			if served.Revision != 0 || len(served.Forged) != 1 || served.Forged[0].Name != "flags-production-r1" {
				t.Errorf("the forgery is believed, or nobody is told: %+v", served)
			}
			c.environment.Spec.Publish.Revision = new(int64(1))
			if _, err := c.publisher.Kept(t.Context(), c.environment, 1, served); !isTampered(err) {
				t.Errorf("the forgery can be pinned: error %v", err)
			}
			if _, err := c.publisher.Publish(t.Context(), c.environment, small("two"), served); err != nil {
				t.Fatal(err)
			}
			c.serves(2, "two")
		})
	}
}

// TestFilesBesideTheDatafileAreNotServed fails where an editor of ConfigMaps puts a file of their own beside those of
// the operator into every workload that mounts what is restored.
func TestFilesBesideTheDatafileAreNotServed(t *testing.T) {
	c := newSealedCluster(t)
	c.confirm(c.publish("one"))
	forged := c.get("flags-production-r1").DeepCopy()
	forged.ResourceVersion = ""
	forged.Data["else.json"], forged.BinaryData = "{}", map[string][]byte{"else.gz": {1}}
	c.remove("flags-production-r1", "flags-production")
	c.create(forged)
	served := c.load()
	if err := c.publisher.Serve(t.Context(), c.environment, served); err != nil {
		t.Fatal(err)
	}
	c.serves(1, "one")
	if got := c.get("flags-production"); len(got.Data) != 2 || len(got.BinaryData) != 0 {
		t.Errorf("what somebody put beside the datafile is served: %v, %v", got.Data, got.BinaryData)
	}
}

// TestTheMarkOfAPinnedRevisionIsSealed fails where a rollback is taken for done because of an annotation, or where a
// rollback that was done is done again.
func TestTheMarkOfAPinnedRevisionIsSealed(t *testing.T) {
	c := newSealedCluster(t)
	first := c.publish("one")
	content := small("two")
	content.PinnedRevision = 1
	pinned, err := c.publisher.Publish(t.Context(), c.environment, content, first)
	if err != nil {
		t.Fatal(err)
	}
	if served := c.load(); served.Revision != pinned.Revision || served.PinnedRevision != 1 || len(served.Forged) > 0 {
		t.Errorf("the pinned revision is not known by its mark: %+v", served)
	}
	c.edit(c.environment.HistoryName(pinned.Revision), func(m *corev1.ConfigMap) {
		m.Annotations[v1alpha1.PinnedRevisionAnnotation] = "3"
	})
	c.editServed(func(m *corev1.ConfigMap) { m.Annotations[v1alpha1.PinnedRevisionAnnotation] = "3" })
	if served := c.load(); served.PinnedRevision == 3 {
		t.Errorf("somebody else's mark is believed: %+v", served)
	}
}

// TestAnOlderRevisionIsNoPublishedOne fails where whoever edits the served ConfigMap rolls an environment back.
func TestAnOlderRevisionIsNoPublishedOne(t *testing.T) {
	c := newSealedCluster(t)
	c.publish("one")
	old := c.get("flags-production")
	c.confirm(c.publish("two"))
	c.editServed(func(m *corev1.ConfigMap) { m.Data, m.Annotations = old.Data, old.Annotations })
	served := c.load()
	if served.Revision != 2 || served.Intact(c.environment) {
		t.Errorf("revision %d counts as served, want 2", served.Revision)
	}
}

// TestNumbersOfForgedNames fails where a name decides which number comes next: none may be below the last, or beyond
// what can be told, and none may have two contents.
func TestNumbersOfForgedNames(t *testing.T) {
	names := map[string]int64{
		"flags-production-r9223372036854775807": 0,
		"flags-production-r9007199254740991":    ownership.MaxRevision,
		"flags-production-r9007199254740990":    ownership.MaxRevision - 1,
		"flags-production-r1099511627776":       1 << 40,
		"flags-production-r-5":                  0,
		"flags-production-r2":                   2,
		"flags-production-r3":                   3,
	}
	for _, sealed := range []bool{true, false} {
		for _, lost := range []bool{true, false} {
			t.Run(fmt.Sprintf("sealed %t, status lost %t", sealed, lost), func(t *testing.T) {
				c := newCluster(t)
				if sealed {
					c = newSealedCluster(t)
				}
				c.confirm(c.publish("one"))
				if lost {
					c.environment.Status = v1alpha1.FlagEnvironmentStatus{}
				}
				for name, revision := range names {
					forged := c.forged(revision, "evil")
					forged.Name = name
					c.create(forged)
				}
				last := int64(1)
				for _, value := range []string{"two", "three"} {
					served := c.publish(value)
					if served.Revision <= last || served.Revision > 1<<41 {
						t.Fatalf("revision %d follows %d", served.Revision, last)
					}
					if sealed && !lost && served.Revision > 10 {
						t.Errorf("revision %d follows %d, though nothing but a name says so", served.Revision, last)
					}
					last = served.Revision
					c.serves(last, value)
				}
			})
		}
	}
}

// TestForgedEntriesTakeNobodysPlace fails where forged entries push what was published out of the history.
func TestForgedEntriesTakeNobodysPlace(t *testing.T) {
	c := newSealedCluster(t)
	c.environment.Spec.Publish.RevisionHistoryLimit = new(int32(2))
	c.publish("one")
	c.confirm(c.publish("two"))
	for revision := range int64(5) {
		c.create(c.forged(100+revision, "evil"))
	}
	if err := c.publisher.Prune(t.Context(), c.environment, 2); err != nil {
		t.Fatal(err)
	}
	if c.get("flags-production-r1") == nil || c.get("flags-production-r2") == nil ||
		c.get("flags-production-r100") == nil {
		t.Error("what was published, or what is evidence, is gone")
	}
	names, err := c.publisher.Forged(t.Context(), c.environment)
	if err != nil || len(names) != 5 {
		t.Errorf("forged are %v, error %v", names, err)
	}
}

// TestWhatTheStatusConfirmsIsSealedAnew fails where an environment is stuck, or believes anybody, after the key of the
// seal was lost.
func TestWhatTheStatusConfirmsIsSealedAnew(t *testing.T) {
	c := newSealedCluster(t)
	c.publish("one")
	c.confirm(c.publish("two"))
	c.publisher.Seal = ownership.NewSeal([]byte("another key of at least 32 bytes, made anew"))
	served := c.load()
	if served.Revision != 2 || served.Contents == nil || len(served.Forged) != 0 {
		t.Fatalf("what the status confirms is not believed: %+v", served)
	}
	if served.Intact(c.environment) {
		t.Error("the served ConfigMap keeps its old seal")
	}
	if err := c.publisher.Serve(t.Context(), c.environment, served); err != nil {
		t.Fatal(err)
	}
	c.environment.Status = v1alpha1.FlagEnvironmentStatus{}
	if again := c.load(); again.Revision != 2 || again.Contents == nil || !again.Intact(c.environment) {
		t.Errorf("it is not sealed anew: %+v", again)
	}
	if _, err := c.publisher.Kept(t.Context(), c.environment, 1, served); !isTampered(err) {
		t.Errorf("what nothing confirms can be pinned: error %v", err)
	}
}
