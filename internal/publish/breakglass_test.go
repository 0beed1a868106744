// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"context"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/ownership"
)

// breakGlass writes what the command line writes without the operator, with a change on top.
func (c *cluster) breakGlass(revision int64, value string, change func(*corev1.ConfigMap)) {
	c.Helper()
	c.editServed(func(served *corev1.ConfigMap) {
		written := c.forged(revision, value)
		served.Data, served.Annotations = written.Data, written.Annotations
		delete(served.Annotations, v1alpha1.SealAnnotation)
		served.Annotations[v1alpha1.BreakGlassAnnotation] = ownership.BreakGlass{
			Actor: "alice", At: time.Date(2027, 1, 1, 9, 0, 0, 0, time.UTC),
		}.String()
		change(served)
	})
}

// Somebody has switched a broken flag off while the operator was away. What the operator makes of it when it is back
// decides whether the flag stays off.
func TestWhatIsWrittenWithoutTheOperator(t *testing.T) {
	for name, tc := range map[string]struct {
		unguarded bool
		revision  int64
		change    func(*corev1.ConfigMap)
		// forged is why it is not believed, and empty where it is.
		forged string
	}{
		"is believed where admission vouches for the writer": {revision: 2},
		"is forged where nothing vouches for the writer":     {revision: 2, unguarded: true, forged: "ValidatingAdmissionPolicy"},
		"is forged with another digest": {
			revision: 2, forged: "digest",
			change: func(m *corev1.ConfigMap) {
				m.Annotations[v1alpha1.DigestAnnotation] = "sha256:" + strings.Repeat("0", 64)
			},
		},
		"is forged without a document":                            {revision: 2, forged: "document", change: func(m *corev1.ConfigMap) { m.Data = nil }},
		"is forged under a number that stands for something else": {revision: 1, forged: "something else as revision 1"},
		"is forged under a number that leaves no room":            {revision: maxUnconfirmed + 1, forged: "revision is over"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newSealedCluster(t)
			c.publisher.Guarded = func(context.Context) (bool, error) { return !tc.unguarded, nil }
			c.confirm(c.publish("1"))
			if tc.change == nil {
				tc.change = func(*corev1.ConfigMap) {}
			}
			c.breakGlass(tc.revision, "2", tc.change)
			served := c.load()
			if tc.forged != "" {
				if served.Revision != 1 || served.BreakGlass != nil || len(served.Forged) == 0 ||
					!strings.Contains(served.Forged[0].Why, tc.forged) {
					t.Errorf("revision %d is served, %v is forged", served.Revision, served.Forged)
				}
				return
			}
			if served.Revision != 2 || served.BreakGlass == nil || served.BreakGlass.Actor != "alice" || len(served.Forged) > 0 {
				t.Errorf("revision %d by %v is served, %v is forged", served.Revision, served.BreakGlass, served.Forged)
			}
		})
	}
}

// Whoever may write ConfigMaps takes the name of the next revision in the history. That must not undo what somebody
// switched off while the operator was away.
func TestATakenHistoryNameDoesNotUndoBreakGlass(t *testing.T) {
	c := newSealedCluster(t)
	c.publisher.Guarded = func(context.Context) (bool, error) { return true, nil }
	c.confirm(c.publish("1"))
	taken := &corev1.ConfigMap{}
	taken.Namespace, taken.Name = c.environment.Namespace, c.environment.HistoryName(2)
	if err := c.publisher.Client.Create(c.Context(), taken); err != nil {
		t.Fatal(err)
	}
	c.breakGlass(2, "2", func(*corev1.ConfigMap) {})
	served := c.load()
	if served.Revision != 2 || served.BreakGlass == nil {
		t.Errorf("revision %d is served, %v is forged", served.Revision, served.Forged)
	}
	if len(served.Forged) != 1 || served.Forged[0].Name != taken.Name {
		t.Errorf("what has the name is not reported: %v", served.Forged)
	}
}

// Once somebody has ended it, the revision is one like others: it is served with the operator's seal, it is in the
// history, and the next one has a higher number.
func TestTheEndOfBreakGlass(t *testing.T) {
	c := newSealedCluster(t)
	c.publisher.Guarded = func(context.Context) (bool, error) { return true, nil }
	c.confirm(c.publish("1"))
	c.breakGlass(2, "2", func(*corev1.ConfigMap) {})
	c.load()
	c.editServed(func(m *corev1.ConfigMap) { delete(m.Annotations, v1alpha1.BreakGlassAnnotation) })
	served := c.load()
	if served.Revision != 2 || served.BreakGlass != nil || len(served.Forged) > 0 || served.Intact(c.environment) {
		t.Fatalf("revision %d is served, %v is forged", served.Revision, served.Forged)
	}
	if err := c.publisher.Serve(c.Context(), c.environment, served); err != nil {
		t.Fatal(err)
	}
	if !c.load().Intact(c.environment) {
		t.Error("what was adopted does not bear the operator's seal")
	}
	if next := c.publish("3"); next.Revision != 3 {
		t.Errorf("the next revision is %d", next.Revision)
	}
}

func TestTheMarkOfBreakGlass(t *testing.T) {
	at := time.Date(2027, 1, 1, 9, 0, 0, 0, time.UTC)
	for value, want := range map[string]ownership.BreakGlass{
		"alice 2027-01-01T09:00:00Z":           {Actor: "alice", At: at},
		"alice of shop 2027-01-01T09:00:00Z":   {Actor: "alice of shop", At: at},
		"alice 2027-01-01T10:00:00+01:00":      {Actor: "alice", At: at},
		"":                                     {},
		"alice":                                {},
		"2027-01-01T09:00:00Z":                 {},
		" 2027-01-01T09:00:00Z":                {},
		"   2027-01-01T09:00:00Z":              {},
		"alice yesterday":                      {},
		"alice 2027-01-01T09:00:00Z and later": {},
	} {
		served := &corev1.ConfigMap{}
		served.Annotations = map[string]string{v1alpha1.BreakGlassAnnotation: value}
		mark, found := ownership.BreakGlassOf(served)
		if found != (want.Actor != "") || mark.Actor != want.Actor || !mark.At.Equal(want.At) {
			t.Errorf("%q is read as %v, %t", value, mark, found)
		}
		if again, _ := ownership.BreakGlassOf(&corev1.ConfigMap{}); again.Actor != "" {
			t.Error("a datafile without the mark has one")
		}
	}
}

// Two people who break the glass of one environment at the same moment must not undo what the other has switched off.
func TestBreakGlassOfTwo(t *testing.T) {
	c := newCluster(t)
	c.publish("1")
	serve := func(actor string, render func(*corev1.ConfigMap) (*Content, error)) int64 {
		t.Helper()
		revision, err := c.publisher.ServeWithoutOperator(
			t.Context(), c.environment, ownership.BreakGlass{Actor: actor, At: time.Unix(1000, 0)}, render)
		if err != nil {
			t.Fatal(err)
		}
		return revision
	}
	var seen []int64
	revision := serve("alice", func(current *corev1.ConfigMap) (*Content, error) {
		seen = append(seen, ownership.RevisionOf(current))
		if len(seen) == 1 {
			serve("bob", func(*corev1.ConfigMap) (*Content, error) { return new(small("2")), nil })
		}
		return new(small("3")), nil
	})
	if len(seen) != 2 || seen[0] != 1 || seen[1] != 2 || revision != 3 {
		t.Errorf("alice's switch was made from revisions %v, want 1 and then bob's 2, and is revision %d", seen, revision)
	}
	if revision := serve("carol", func(*corev1.ConfigMap) (*Content, error) { return nil, nil }); revision != 0 {
		t.Errorf("nothing to do made revision %d", revision)
	}
}
