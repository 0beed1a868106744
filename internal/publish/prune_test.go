// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/ownership"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
	"github.com/jackstaff-dev/jackstaff/sdk/flagd"
)

// old are the values of a history of six hours, one revision an hour.
var old = []string{"zero", "one", "two", "three", "four", "five"}

// large is a value that a datafile of some kilobytes has.
func large(value string) string { return strings.Repeat(value+" ", 1000) }

// newOldHistory publishes the large values of old, of which the newest two stay as they are.
func newOldHistory(t *testing.T) *cluster {
	t.Helper()
	c := newSealedCluster(t)
	c.environment.Spec.Publish.RevisionHistoryLimit = new(int32(2))
	for _, value := range old {
		c.advance(time.Hour)
		c.confirm(c.publish(large(value)))
	}
	c.advance(10 * time.Minute)
	return c
}

func (c *cluster) advance(by time.Duration) {
	now := c.publisher.Clock.(*clocktesting.FakePassiveClock)
	now.SetTime(now.Now().Add(by))
}

func (c *cluster) prune() {
	c.Helper()
	if err := c.publisher.Prune(c.Context(), c.environment, 6); err != nil {
		c.Fatal(err)
	}
}

// history are the names of the history entries, and the size of their values together.
func (c *cluster) history() (names []string, size int) {
	c.Helper()
	for _, name := range c.names() {
		if name != "flags-production" {
			names = append(names, strings.TrimPrefix(name, "flags-production-"))
			size += filesOf(c.get(name)).Bytes()
		}
	}
	return names, size
}

// keeps checks that a revision can be served again as it was published.
func (c *cluster) keeps(revision int64, value string) *Served {
	c.Helper()
	kept, err := c.publisher.Kept(c.Context(), c.environment, revision, c.load())
	if err != nil {
		c.Fatalf("revision %d cannot be served again: %v", revision, err)
	}
	header := datafile.Header{Project: "shop", Environment: "production", Revision: revision}
	want := map[string]string{
		datafile.FileName: string(small(value).Contents.Encode(header)),
		flagd.FileName:    string(flagd.Encode(header, small(value).Flagd)),
	}
	if diff := cmp.Diff(want, kept.Files.Text); diff != "" || len(kept.Files.Binary) > 0 {
		c.Errorf("revision %d is not what was published (-want +got):\n%s", revision, diff)
	}
	return kept
}

// A history of a week beside the newest ten would take five times the room of etcd.
func TestOldEntriesAreCompressed(t *testing.T) {
	c := newOldHistory(t)
	annotations := c.get("flags-production-r2").Annotations
	_, before := c.history()
	c.prune()
	names, after := c.history()
	if want := []string{"r1.gz", "r2.gz", "r3.gz", "r4.gz", "r5", "r6"}; !slices.Equal(names, want) {
		t.Fatalf("the history has %v, want %v", names, want)
	}
	if after > before/2 {
		t.Errorf("compressed, the history takes %d bytes, and took %d before", after, before)
	}
	compressed := c.get("flags-production-r2.gz")
	if compressed.Immutable == nil || !*compressed.Immutable {
		t.Error("the compressed entry can be edited")
	}
	if diff := cmp.Diff(annotations, compressed.Annotations); diff != "" {
		t.Errorf("who, when and the seal are not those of the entry (-want +got):\n%s", diff)
	}
	for i, value := range old {
		c.keeps(int64(i+1), large(value))
	}
	writes := c.writes
	c.prune()
	if c.writes != writes {
		t.Errorf("what is compressed is written %d times more", c.writes-writes)
	}
}

func TestTheNewestAndTheHourThatGoesOnStayReadable(t *testing.T) {
	now := time.Date(2027, 1, 20, 12, 30, 0, 0, time.UTC)
	at := func(revision int64, age time.Duration) kept { return kept{revision, now.Add(-age)} }
	all := []kept{at(1, 3*time.Hour), at(2, 2*time.Hour), at(3, 31*time.Minute), at(4, 20*time.Minute), at(5, 0)}
	if got := compressible(all, []int64{2}, 1, now); !slices.Equal(got, []int64{1, 3}) {
		t.Errorf("revisions %v are compressed: not one that is removed, of this hour, or among the newest", got)
	}
	if got := compressible(all, nil, 10, now); got != nil {
		t.Errorf("revisions %v are compressed of a history that has less than its limit", got)
	}
}

// A rollback to yesterday serves what yesterday was served, byte for byte, and stays restorable.
func TestRollbackToACompressedRevision(t *testing.T) {
	c := newOldHistory(t)
	c.prune()
	if err := c.publisher.Serve(t.Context(), c.environment, c.keeps(2, large("one"))); err != nil {
		t.Fatal(err)
	}
	c.environment.Spec.Publish.Revision = new(int64(2))
	c.confirm(&Served{Revision: 2, Digest: small(large("one")).Digest(both)})
	c.serves(2, large("one"))
	if source := c.source(); source == nil || source.Revision != 2 {
		t.Errorf("no copies are made of a compressed revision: %v", source)
	}
	c.editServed(func(m *corev1.ConfigMap) { m.Data[datafile.FileName] = "{}" })
	served := c.load()
	if served.Intact(c.environment) {
		t.Error("an edit is not found")
	}
	if err := c.publisher.Serve(t.Context(), c.environment, served); err != nil {
		t.Fatal(err)
	}
	c.serves(2, large("one"))
	// A new revision never takes the number of a compressed one, whatever else is lost.
	c.remove("flags-production", "flags-production-r5", "flags-production-r6")
	c.environment.Status = v1alpha1.FlagEnvironmentStatus{}
	clear(c.revisions)
	if revision := c.publish("new").Revision; revision != 5 {
		t.Errorf("the next revision is %d, want 5", revision)
	}
}

// TestACrashWhileCompressing fails each write of a prune in turn, before and after it is carried out: at no moment a
// revision is lost, and the next prune ends as if nothing had happened.
func TestACrashWhileCompressing(t *testing.T) {
	calm := newOldHistory(t)
	begin := calm.writes
	calm.prune()
	want, _ := calm.history()
	for _, lost := range []bool{false, true} {
		for failAt := begin + 1; failAt <= calm.writes; failAt++ {
			t.Run(fmt.Sprintf("write %d, carried out %t", failAt-begin, lost), func(t *testing.T) {
				c := newOldHistory(t)
				c.failAt, c.lost = failAt, lost
				if err := c.publisher.Prune(t.Context(), c.environment, 6); err == nil {
					t.Fatal("no write has failed")
				}
				for i, value := range old {
					c.keeps(int64(i+1), large(value))
				}
				c.prune()
				if got, _ := c.history(); !slices.Equal(got, want) {
					t.Errorf("after a crash the history has %v, want %v", got, want)
				}
			})
		}
	}
}

// bomb is some kilobytes of gzip that decompress to more than a ConfigMap holds.
func bomb(t *testing.T) []byte {
	t.Helper()
	var buffer bytes.Buffer
	writer := gzip.NewWriter(&buffer)
	for range 8 {
		if _, err := writer.Write(make([]byte, 1<<20)); err != nil {
			t.Fatal(err)
		}
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	return buffer.Bytes()
}

// What an editor of ConfigMaps puts in the place of a compressed revision is not served, takes no memory, and makes
// nobody delete the revision that was published.
func TestForgedCompressedEntries(t *testing.T) {
	for name, forge := range map[string]func(*testing.T, *corev1.ConfigMap){
		"another content": func(_ *testing.T, m *corev1.ConfigMap) {
			m.BinaryData[datafile.CompressedFileName] = compressed(small("forged"), 2)
		},
		"another flagd file": func(_ *testing.T, m *corev1.ConfigMap) {
			m.BinaryData[flagd.FileName+".gz"] = m.BinaryData[datafile.CompressedFileName]
		},
		"no gzip": func(_ *testing.T, m *corev1.ConfigMap) {
			m.BinaryData[datafile.CompressedFileName] = []byte("x")
		},
		"a bomb": func(t *testing.T, m *corev1.ConfigMap) {
			m.BinaryData[datafile.CompressedFileName] = bomb(t)
		},
		"a bomb beside it": func(t *testing.T, m *corev1.ConfigMap) { m.BinaryData["else.gz"] = bomb(t) },
		"a file too many": func(_ *testing.T, m *corev1.ConfigMap) {
			m.Data = map[string]string{datafile.FileName: string(small("forged").Contents.Encode(datafile.Header{}))}
			delete(m.BinaryData, datafile.CompressedFileName)
		},
		"no seal": func(_ *testing.T, m *corev1.ConfigMap) { delete(m.Annotations, v1alpha1.SealAnnotation) },
	} {
		t.Run(name, func(t *testing.T) {
			c := newOldHistory(t)
			forged, err := ownership.Compress(c.get("flags-production-r2"))
			if err != nil {
				t.Fatal(err)
			}
			forge(t, forged)
			c.create(forged)
			c.prune()
			if names, _ := c.history(); !slices.Contains(names, "r2") {
				t.Fatalf("the published revision is deleted, and a forged one is left: %v", names)
			}
			c.keeps(2, large("one"))
			c.remove("flags-production-r2")
			if _, err := c.publisher.Kept(t.Context(), c.environment, 2, c.load()); !HasReason(err, v1alpha1.TamperedReason) {
				t.Errorf("a forged revision would be served: %v", err)
			}
		})
	}
}

func TestAForgedEntryDoesNotHideTheCompressedOne(t *testing.T) {
	c := newOldHistory(t)
	c.prune()
	forged := c.forged(2, "forged")
	forged.Annotations[v1alpha1.SealAnnotation] = c.get("flags-production-r2.gz").Annotations[v1alpha1.SealAnnotation]
	forged.UID = types.UID("forged")
	c.create(forged)
	c.keeps(2, large("one"))
	c.prune()
	c.keeps(2, large("one"))
}

// The name may belong to something else. The revision then stays as it is.
func TestATakenNameOfACompressedEntry(t *testing.T) {
	c := newOldHistory(t)
	c.foreign("flags-production-r2.gz")
	c.prune()
	c.keeps(2, large("one"))
	if c.get("flags-production-r2.gz").Data["mine"] != "yes" {
		t.Error("somebody else's ConfigMap was overwritten")
	}
}

// A document that was published compressed has a header that names it, and a flagd file that may be older than it.
func TestWhatWasPublishedCompressedIsCompressedToo(t *testing.T) {
	c := newOldHistory(t)
	c.environment.Spec.Datafile.Compression = v1alpha1.CompressionAlways
	c.confirm(c.publish(large("six")))
	want := c.get("flags-production-r7")
	for _, value := range []string{"seven", "eight"} {
		c.advance(time.Hour)
		c.confirm(c.publish(value))
	}
	c.advance(time.Hour)
	c.prune()
	c.prune()
	if c.get("flags-production-r7") != nil {
		t.Fatal("the revision is not compressed")
	}
	kept, err := c.publisher.Kept(t.Context(), c.environment, 7, c.load())
	if err != nil || !kept.Files.Equal(filesOf(want)) {
		t.Errorf("the revision is not what was published: %v", err)
	}
}

func compressed(content Content, revision int64) []byte {
	data, _ := datafile.Compress(content.Contents.Encode(datafile.Header{
		Project: "shop", Environment: "production", Revision: revision,
	}))
	return data
}
