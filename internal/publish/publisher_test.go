// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
	"github.com/jackstaff-dev/jackstaff/sdk/flagd"
)

// cluster is a fake API server that fails the publisher's writes on demand and records every revision that it ever
// wrote.
type cluster struct {
	*testing.T
	client.Client // What the test itself reads and writes by.
	publisher     *Publisher
	environment   *v1alpha1.FlagEnvironment

	// writes counts attempts. The one of number failAt fails, after it was carried out where lost is set.
	writes, failAt int
	lost           bool
	// hideHistory makes lists show no history, as a cache that lags behind.
	hideHistory bool
	// revisions are the native documents by revision, of everything that was ever written.
	revisions map[string]string
}

var errInjected = errors.New("the connection broke")

func newCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{
		T:           t,
		environment: builders.MakeEnvironment("production", "shop").Defaulted().Obj(),
		revisions:   map[string]string{},
	}
	write := func(object client.Object, do func() error) error {
		c.writes++
		if c.writes == c.failAt && !c.lost {
			return errInjected
		}
		if err := do(); err != nil {
			return err
		}
		c.note(object)
		if c.writes == c.failAt {
			return errInjected
		}
		return nil
	}
	server := fake.NewClientBuilder().Build()
	c.Client = server
	c.publisher = &Publisher{Clock: clocktesting.NewFakePassiveClock(time.Date(2027, 1, 1, 9, 0, 0, 123, time.UTC))}
	c.publisher.Client = interceptor.NewClient(server, interceptor.Funcs{
		Create: func(ctx context.Context, to client.WithWatch, object client.Object, options ...client.CreateOption) error {
			return write(object, func() error { return to.Create(ctx, object, options...) })
		},
		Update: func(ctx context.Context, to client.WithWatch, object client.Object, options ...client.UpdateOption) error {
			return write(object, func() error { return to.Update(ctx, object, options...) })
		},
		Delete: func(ctx context.Context, to client.WithWatch, object client.Object, options ...client.DeleteOption) error {
			return write(nil, func() error { return to.Delete(ctx, object, options...) })
		},
		List: func(ctx context.Context, from client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
			if c.hideHistory {
				return nil
			}
			return from.List(ctx, list, options...)
		},
	})
	c.publisher.Metadata = c.publisher.Client
	return c
}

// note checks that a revision never gets two contents.
func (c *cluster) note(object client.Object) {
	configMap, ok := object.(*corev1.ConfigMap)
	if !ok {
		return
	}
	files := filesOf(configMap)
	native, err := files.Native()
	if err != nil || native == nil {
		return
	}
	revision := fmt.Sprintf("%s of %s/%s", configMap.Annotations[v1alpha1.RevisionAnnotation],
		configMap.Labels[v1alpha1.ProjectLabel], configMap.Labels[v1alpha1.EnvironmentLabel])
	if before, found := c.revisions[revision]; found && before != string(native) {
		c.Errorf("revision %s was used for two different contents:\n%s\n%s", revision, before, native)
	}
	c.revisions[revision] = string(native)
}

func small(value string) Content {
	content := Content{Contents: &datafile.Contents{}, Flagd: &datafile.Section{}, Document: emptyDocument}
	content.Contents.Flags.Put(datafile.RawPart("a", []byte(`{"x":"`+value+`"}`)))
	content.Flagd.Put(datafile.RawPart("a", []byte(`{"y":"`+value+`"}`)))
	return content
}

func (c *cluster) load() *Served {
	c.Helper()
	served, err := c.publisher.Load(c.Context(), c.environment, 0)
	if err != nil {
		c.Fatalf("load: %v", err)
	}
	return served
}

func (c *cluster) publish(value string) *Served {
	c.Helper()
	served, err := c.publisher.Publish(c.Context(), c.environment, small(value), c.load())
	if err != nil {
		c.Fatalf("publish: %v", err)
	}
	return served
}

// get returns a ConfigMap of the project, and nil where there is none.
func (c *cluster) get(name string) *corev1.ConfigMap {
	c.Helper()
	configMap := &corev1.ConfigMap{}
	err := c.Get(c.Context(), client.ObjectKey{Namespace: "shop", Name: name}, configMap)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		c.Fatal(err)
	}
	return configMap
}

func (c *cluster) edit(name string, change func(*corev1.ConfigMap)) {
	c.Helper()
	configMap := c.get(name)
	change(configMap)
	if err := c.Update(c.Context(), configMap); err != nil {
		c.Fatal(err)
	}
}

func (c *cluster) remove(names ...string) {
	c.Helper()
	for _, name := range names {
		if err := c.Delete(c.Context(), c.get(name)); err != nil {
			c.Fatal(err)
		}
	}
}

func (c *cluster) foreign(name string) {
	c.Helper()
	configMap := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name},
		Data:       map[string]string{"mine": "yes"},
	}
	if err := c.Create(c.Context(), configMap); err != nil {
		c.Fatal(err)
	}
}

// names are the names of all ConfigMaps.
func (c *cluster) names() []string {
	c.Helper()
	list := &corev1.ConfigMapList{}
	if err := c.List(c.Context(), list); err != nil {
		c.Fatal(err)
	}
	var names []string
	for i := range list.Items {
		names = append(names, list.Items[i].Name)
	}
	slices.Sort(names)
	return names
}

// serves checks that the served ConfigMap has that revision and value, and that it is intact.
func (c *cluster) serves(revision int64, value string) {
	c.Helper()
	content := small(value)
	header := datafile.Header{Project: "shop", Environment: "production", Revision: revision}
	configMap := c.get(c.environment.DatafileName())
	if configMap == nil {
		c.Fatal("nothing is served")
	}
	want := map[string]string{
		datafile.FileName: string(content.Contents.Encode(header)),
		flagd.FileName:    string(flagd.Encode(header, content.Flagd)),
	}
	if diff := cmp.Diff(want, configMap.Data); diff != "" {
		c.Errorf("workloads do not get revision %d (-want +got):\n%s", revision, diff)
	}
	if got := configMap.Annotations[v1alpha1.RevisionAnnotation]; got != strconv.FormatInt(revision, 10) {
		c.Errorf("the served ConfigMap says revision %s, want %d", got, revision)
	}
	served := c.load()
	if !served.Intact(c.environment) || served.Revision != revision || served.Digest != content.Digest(both) ||
		served.Contents == nil {
		c.Errorf("the operator does not know after a restart what it serves: %+v", served)
	}
}

func TestPublishFirst(t *testing.T) {
	c := newCluster(t)
	if served := c.load(); served.Revision != 0 || served.Contents != nil {
		t.Fatalf("something is served before anything was published: %+v", served)
	}
	served := c.publish("one")
	c.serves(1, "one")
	if !served.Intact(c.environment) || !served.FlagdComplete || served.Revision != 1 {
		t.Errorf("what was just published is not right: %+v", served)
	}
	current, history := c.get("flags-production"), c.get("flags-production-r1")
	if history == nil || history.Immutable == nil || !*history.Immutable {
		t.Fatal("the history can be edited")
	}
	if diff := cmp.Diff(current.Data, history.Data); diff != "" {
		t.Errorf("the history does not keep what is served (-served +kept):\n%s", diff)
	}
	wantAnnotations := map[string]string{
		v1alpha1.RevisionAnnotation: "1", v1alpha1.DigestAnnotation: small("one").Digest(both),
		v1alpha1.PublishedAtAnnotation: "2027-01-01T09:00:00Z", "flagger.app/config-tracking": "disabled",
	}
	if diff := cmp.Diff(wantAnnotations, current.Annotations); diff != "" {
		t.Errorf("the served ConfigMap's annotations (-want +got):\n%s", diff)
	}
	if len(current.OwnerReferences)+len(current.Finalizers) != 0 {
		t.Error("a datafile goes with its environment, though it may have to outlive it")
	}
}

func TestTheNextRevisionIsHigherThanAnyBefore(t *testing.T) {
	tests := map[string]struct {
		prepare func(c *cluster)
		want    int64
	}{
		"than what is served":           {func(*cluster) {}, 3},
		"than status":                   {func(c *cluster) { c.environment.Status.PublishedRevision = 9 }, 10},
		"than what history keeps":       {func(c *cluster) { c.publish("three"); c.remove("flags-production") }, 4},
		"than a history of other bytes": {func(c *cluster) { c.remove("flags-production", "flags-production-r1") }, 3},
		"than a history without notes": {func(c *cluster) {
			c.edit("flags-production-r2", func(configMap *corev1.ConfigMap) { configMap.Annotations = nil })
			c.remove("flags-production")
		}, 3},
		"than the annotation alone": {func(c *cluster) { c.remove("flags-production-r1", "flags-production-r2") }, 3},
		"than what a stranger holds": {
			func(c *cluster) { c.foreign("flags-production-r3"); c.foreign("flags-production-r4") },
			5,
		},
		"than what the cache shows":   {func(c *cluster) { c.hideHistory = true }, 3},
		"than a pinned older one":     {func(c *cluster) { c.pin(1) }, 3},
		"than what nobody remembers":  {func(c *cluster) { c.remove(c.names()...); clear(c.revisions) }, 1},
		"than another environment's":  {func(c *cluster) { c.other("staging", "shop").publish("x") }, 3},
		"than one of another project": {func(c *cluster) { c.other("production", "blog").publish("x") }, 3},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t)
			c.publish("one")
			c.publish("two")
			tc.prepare(c)
			if served := c.publish("new"); served.Revision != tc.want {
				t.Errorf("revision %d is published, want %d", served.Revision, tc.want)
			}
			c.hideHistory = false
			c.environment.Status.PublishedRevision = tc.want
			c.serves(tc.want, "new")
		})
	}
}

// pin serves an older revision.
func (c *cluster) pin(revision int64) {
	c.Helper()
	pinned, err := c.publisher.Kept(c.Context(), c.environment, revision, c.load())
	if err != nil {
		c.Fatal(err)
	}
	if err := c.publisher.Serve(c.Context(), c.environment, pinned); err != nil {
		c.Fatal(err)
	}
}

// other is the same cluster seen by another environment.
func (c *cluster) other(name, namespace string) *cluster {
	other := *c
	other.environment = builders.MakeEnvironment(name, namespace).Defaulted().Obj()
	return &other
}

func TestPublishTakesUpWhatACrashLeft(t *testing.T) {
	for name, hideHistory := range map[string]bool{"after a restart": false, "with a cache that lags": true} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t)
			c.publish("one")
			c.failAt = c.writes + 2 // The history is written, what is served is not.
			if _, err := c.publisher.Publish(t.Context(), c.environment, small("two"), c.load()); !errors.Is(err, errInjected) {
				t.Fatalf("error %v", err)
			}
			c.serves(1, "one")
			before := c.get("flags-production-r2")
			c.hideHistory = hideHistory
			c.publisher.Clock = clocktesting.NewFakePassiveClock(time.Date(2028, 1, 1, 0, 0, 0, 0, time.UTC))
			if served := c.publish("two"); served.Revision != 2 {
				t.Errorf("a crash uses revision %d up", served.Revision)
			}
			c.hideHistory = false
			c.serves(2, "two")
			if diff := cmp.Diff(before, c.get("flags-production-r2")); diff != "" {
				t.Errorf("the history was written again (-before +after):\n%s", diff)
			}
			if got := c.get("flags-production").Annotations[v1alpha1.PublishedAtAnnotation]; got != "2027-01-01T09:00:00Z" {
				t.Errorf("served and kept revision differ in when they were published: %s", got)
			}
		})
	}
	t.Run("but not for other content", func(t *testing.T) {
		c := newCluster(t)
		c.publish("one")
		c.failAt = c.writes + 2
		if _, err := c.publisher.Publish(t.Context(), c.environment, small("two"), c.load()); !errors.Is(err, errInjected) {
			t.Fatalf("error %v", err)
		}
		c.publish("three")
		c.serves(3, "three")
	})
}

func TestATakenNameIsLeftAlone(t *testing.T) {
	c := newCluster(t)
	c.foreign("flags-production")
	_, err := c.publisher.Load(t.Context(), c.environment, 0)
	if !HasReason(err, v1alpha1.NameTakenReason) || !strings.Contains(err.Error(), `"flags-production"`) {
		t.Errorf("the conflict is not reported: error %v", err)
	}
	// One who takes the name after it was looked at.
	if _, err := c.publisher.Publish(t.Context(), c.environment, small("one"), &Served{}); err == nil {
		t.Error("a ConfigMap of somebody else is overwritten")
	}
	if diff := cmp.Diff(map[string]string{"mine": "yes"}, c.get("flags-production").Data); diff != "" {
		t.Errorf("a ConfigMap of somebody else was changed (-want +got):\n%s", diff)
	}
	c.remove("flags-production")
	if err := c.publisher.Serve(t.Context(), c.environment, c.load()); err != nil {
		t.Fatal(err)
	}
	c.serves(1, "one")
}

func TestASecondWriterLoses(t *testing.T) {
	c := newCluster(t)
	c.publish("one")
	stale := c.load()
	c.publish("two")
	if err := c.publisher.Serve(t.Context(), c.environment, stale); !apierrors.IsConflict(err) {
		t.Errorf("an operator that is no longer the leader overwrites a newer revision: error %v", err)
	}
	c.serves(2, "two")
}

func TestARevisionOfAnotherManagerIsTakenUp(t *testing.T) {
	tests := map[string]struct {
		known, want int64
		damage      func(c *cluster)
	}{
		"as it was published": {known: 1, want: 2, damage: func(*cluster) {}},
		"edited by hand": {known: 1, want: 1, damage: func(c *cluster) {
			c.editServed(func(m *corev1.ConfigMap) { m.Data[datafile.FileName] = "{}" })
		}},
		"not in the history": {known: 1, want: 1, damage: func(c *cluster) { c.remove("flags-production-r2") }},
		"an older one": {known: 2, want: 2, damage: func(c *cluster) {
			older, err := c.publisher.Kept(c.Context(), c.environment, 1, c.load())
			if err == nil {
				err = c.publisher.Serve(c.Context(), c.environment, older)
			}
			if err != nil {
				c.Fatal(err)
			}
		}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t)
			c.publish("one")
			c.publish("two")
			tc.damage(c)
			served, err := c.publisher.Load(t.Context(), c.environment, tc.known)
			if err != nil {
				t.Fatal(err)
			}
			if served.Revision != tc.want {
				t.Errorf("a manager that knows revision %d believes that %d is served, want %d", tc.known, served.Revision, tc.want)
			}
		})
	}
}

func TestWhatIsServedIsRestored(t *testing.T) {
	tests := map[string]func(c *cluster){
		"deleted":                 func(c *cluster) { c.remove("flags-production") },
		"deleted, without status": func(c *cluster) { c.environment.Status.PublishedRevision = 0; c.remove("flags-production") },
		"a value edited":          func(c *cluster) { c.editServed(func(m *corev1.ConfigMap) { m.Data[flagd.FileName] = "{}" }) },
		"the document edited":     func(c *cluster) { c.editServed(func(m *corev1.ConfigMap) { m.Data[datafile.FileName] = "{}" }) },
		"a key removed":           func(c *cluster) { c.editServed(func(m *corev1.ConfigMap) { delete(m.Data, flagd.FileName) }) },
		"the other key removed":   func(c *cluster) { c.editServed(func(m *corev1.ConfigMap) { delete(m.Data, datafile.FileName) }) },
		"all keys removed":        func(c *cluster) { c.editServed(func(m *corev1.ConfigMap) { m.Data = nil }) },
		"a key added":             func(c *cluster) { c.editServed(func(m *corev1.ConfigMap) { m.Data["x"] = "" }) },
		"a binary key added": func(c *cluster) {
			c.editServed(func(m *corev1.ConfigMap) { m.BinaryData = map[string][]byte{"x": nil} })
		},
		"the revision removed": func(c *cluster) {
			c.editServed(func(m *corev1.ConfigMap) { delete(m.Annotations, v1alpha1.RevisionAnnotation) })
		},
		"the digest edited": func(c *cluster) {
			c.editServed(func(m *corev1.ConfigMap) { m.Annotations[v1alpha1.DigestAnnotation] = "x" })
		},
		"the policy's label removed": func(c *cluster) {
			c.editServed(func(m *corev1.ConfigMap) { delete(m.Labels, v1alpha1.DeletionPolicyLabel) })
		},
	}
	for _, name := range []string{
		v1alpha1.ManagedByLabel, v1alpha1.ProjectLabel, v1alpha1.EnvironmentLabel, v1alpha1.DatafileLabel,
	} {
		tests[name+" removed"] = func(c *cluster) {
			c.editServed(func(m *corev1.ConfigMap) { delete(m.Labels, name) })
		}
		if name != v1alpha1.EnvironmentLabel { // Another name there says that it is another's.
			tests[name+" changed"] = func(c *cluster) {
				c.editServed(func(m *corev1.ConfigMap) { m.Labels[name] = "Helm" })
			}
		}
	}
	for name, damage := range tests {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t)
			c.publish("one")
			c.publish("two")
			c.environment.Status.PublishedRevision = 2
			damage(c)
			served := c.load()
			if served.Intact(c.environment) {
				t.Fatal("nobody notices")
			}
			if err := c.publisher.Serve(t.Context(), c.environment, served); err != nil {
				t.Fatal(err)
			}
			c.serves(2, "two")
		})
	}
}

func (c *cluster) editServed(change func(*corev1.ConfigMap)) {
	c.Helper()
	c.edit("flags-production", change)
}

func TestWhatOthersAddStays(t *testing.T) {
	c := newCluster(t)
	c.publish("one")
	owner := metav1.OwnerReference{APIVersion: "v1", Kind: "Secret", Name: "x", UID: "1"}
	c.editServed(func(m *corev1.ConfigMap) {
		m.Labels["team"], m.Annotations["note"] = "checkout", "hello"
		m.Finalizers, m.OwnerReferences = []string{"example.com/backup"}, []metav1.OwnerReference{owner}
	})
	c.publish("two")
	got := c.get("flags-production")
	if got.Labels["team"] != "checkout" || got.Annotations["note"] != "hello" || len(got.Finalizers) != 1 ||
		len(got.OwnerReferences) != 1 {
		t.Errorf("a publish removes what others have added: %+v", got.ObjectMeta)
	}
	c.serves(2, "two")
}

func TestLoadWithoutHistory(t *testing.T) {
	big := map[string]string{
		datafile.FileName: string(datafile.EncodeHeader(datafile.Header{Compressed: datafile.CompressedFileName})),
	}
	tests := map[string]struct {
		data   map[string]string
		binary map[string][]byte
		wantIs error
	}{
		"no datafile at all":              {data: map[string]string{datafile.FileName: "hello"}},
		"an empty object":                 {data: map[string]string{datafile.FileName: "{}"}},
		"nothing":                         {},
		"a header that lost its document": {data: big},
		"a damaged compressed document": {
			data:   big,
			binary: map[string][]byte{datafile.CompressedFileName: []byte("x")},
		},
		"a document of a newer operator": {
			data:   map[string]string{datafile.FileName: `{"schemaVersion":"2.0"}`},
			wantIs: datafile.ErrUnknownVersion,
		},
		"a flag that is null": {
			data: map[string]string{datafile.FileName: `{"flags":{"a":null},"schemaVersion":"1.0"}`},
		},
		"a flagd file without native format": {data: map[string]string{flagd.FileName: "{}"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t)
			c.publish("one")
			c.remove("flags-production-r1")
			c.editServed(func(m *corev1.ConfigMap) { m.Data, m.BinaryData = tc.data, tc.binary })
			served, err := c.publisher.Load(t.Context(), c.environment, 0)
			if tc.wantIs != nil {
				if !errors.Is(err, tc.wantIs) {
					t.Errorf("what a newer operator published would be overwritten: error %v", err)
				}
				return
			}
			if err != nil {
				t.Fatalf("the environment is stuck: %v", err)
			}
			if served.Contents != nil || served.Digest != "" || served.Revision != 1 {
				t.Errorf("what cannot be read counts as published: %+v", served)
			}
			c.publish("one")
			c.serves(2, "one")
		})
	}
}

func TestKept(t *testing.T) {
	c := newCluster(t)
	c.publish("one")
	c.publish("two")
	for _, revision := range []int64{3, 0, -1} {
		if _, err := c.publisher.Kept(
			t.Context(),
			c.environment,
			revision,
			c.load(),
		); !HasReason(
			err,
			v1alpha1.RevisionNotFoundReason,
		) {
			t.Errorf("revision %d: error %v", revision, err)
		}
	}
	c.foreign("flags-production-r3")
	if _, err := c.publisher.Kept(
		t.Context(),
		c.environment,
		3,
		c.load(),
	); !HasReason(
		err,
		v1alpha1.RevisionNotFoundReason,
	) {
		t.Errorf("somebody else's ConfigMap is served: error %v", err)
	}
	c.pin(1)
	c.serves(1, "one")
	// Served again, the newest revision needs no new number.
	if served := c.publish("two"); served.Revision != 2 {
		t.Errorf("revision %d is published for what revision 2 holds", served.Revision)
	}
	c.serves(2, "two")
}

func TestAnnotationsOfTheHistoryAreNotBelieved(t *testing.T) {
	c := newCluster(t)
	c.publish("one")
	c.publish("two")
	c.environment.Status.PublishedRevision = 2
	c.edit("flags-production-r2", func(m *corev1.ConfigMap) { m.Annotations[v1alpha1.RevisionAnnotation] = "7" })
	c.serves(2, "two")
	if kept, err := c.publisher.Kept(t.Context(), c.environment, 2, c.load()); err != nil || kept.Revision != 2 {
		t.Errorf("revision 2 is served as revision %d, error %v", kept.Revision, err)
	}
}

func TestPrune(t *testing.T) {
	tests := map[string]struct {
		limit *int32
		keep  []int64
		want  []string
	}{
		"none too many": {
			new(int32(12)),
			nil,
			[]string{"1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12"},
		},
		"the limit by default":   {nil, []int64{12}, []string{"3", "4", "5", "6", "7", "8", "9", "10", "11", "12"}},
		"one":                    {new(int32(1)), nil, []string{"12"}},
		"never what is served":   {new(int32(2)), []int64{12}, []string{"11", "12"}},
		"never what is pinned":   {new(int32(2)), []int64{1, 4}, []string{"1", "4", "11", "12"}},
		"nor what was not there": {new(int32(2)), []int64{99}, []string{"11", "12"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t)
			for i := range 12 {
				c.publish(strconv.Itoa(i))
			}
			c.other("staging", "shop").publish("x")
			c.foreign("flags-production-r0")
			c.environment.Spec.Publish.RevisionHistoryLimit = tc.limit
			if err := c.publisher.Prune(t.Context(), c.environment, tc.keep...); err != nil {
				t.Fatal(err)
			}
			want := []string{"flags-production", "flags-production-r0", "flags-staging", "flags-staging-r1"}
			for _, revision := range tc.want {
				want = append(want, "flags-production-r"+revision)
			}
			slices.Sort(want)
			if diff := cmp.Diff(want, c.names()); diff != "" {
				t.Errorf("the history is not what was asked for (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSweep(t *testing.T) {
	everything := []string{
		"flags-production",
		"flags-production-r1",
		"flags-production-r2",
		"flags-staging",
		"flags-staging-r1",
	}
	prepare := func(t *testing.T, policy v1alpha1.DeletionPolicy) *cluster {
		t.Helper()
		c := newCluster(t)
		c.environment.Spec.DeletionPolicy = policy
		c.publish("one")
		c.publish("two")
		staging := c.other("staging", "shop")
		staging.environment.Spec.DeletionPolicy = v1alpha1.DeletionPolicyDelete
		staging.publish("x")
		return c
	}
	t.Run("keeps what is retained", func(t *testing.T) {
		c := prepare(t, v1alpha1.DeletionPolicyRetain)
		if err := c.publisher.Sweep(t.Context(), client.ObjectKeyFromObject(c.environment)); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(everything, c.names()); diff != "" {
			t.Errorf("datafiles that workloads mount are gone (-want +got):\n%s", diff)
		}
	})
	t.Run("ends however often it is interrupted", func(t *testing.T) {
		c := prepare(t, v1alpha1.DeletionPolicyDelete)
		for range 2 {
			c.failAt = c.writes + 2
			if err := c.publisher.Sweep(t.Context(), client.ObjectKeyFromObject(c.environment)); !errors.Is(err, errInjected) {
				t.Fatalf("error %v", err)
			}
			if c.get("flags-production") == nil {
				t.Fatal("what carries the policy goes first, so the rest would stay for ever")
			}
		}
		if err := c.publisher.Sweep(t.Context(), client.ObjectKeyFromObject(c.environment)); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"flags-staging", "flags-staging-r1"}, c.names()); diff != "" {
			t.Errorf("what is left (-want +got):\n%s", diff)
		}
	})
}

func TestATooLargeDatafileChangesNothing(t *testing.T) {
	c := newCluster(t)
	c.publish("one")
	_, err := c.publisher.Publish(t.Context(), c.environment, contentOf(t, 1500<<10, 0, true), c.load())
	if !HasReason(err, v1alpha1.DatafileTooLargeReason) {
		t.Errorf("error %v", err)
	}
	c.serves(1, "one")
	if diff := cmp.Diff([]string{"flags-production", "flags-production-r1"}, c.names()); diff != "" {
		t.Errorf("something was written (-want +got):\n%s", diff)
	}
}

func TestAFlagdFileThatDoesNotFitIsMarked(t *testing.T) {
	c := newCluster(t)
	c.publish("one")
	large := contentOf(t, 1<<10, 1100<<10, false)
	large.Document = func() *datafile.Document { // The flag is served still.
		return &datafile.Document{Flags: map[string]*datafile.Flag{"a": {Enabled: true}}}
	}
	served, err := c.publisher.Publish(t.Context(), c.environment, large, c.load())
	if err != nil {
		t.Fatal(err)
	}
	if again := c.load(); served.FlagdComplete || again.FlagdComplete || !again.Intact(c.environment) {
		t.Error("nobody is told that the flagd file is old")
	}
	if !strings.Contains(c.get("flags-production").Data[flagd.FileName], `"y":"one"`) {
		t.Error("the last good flagd file is gone")
	}
	c.publish("three")
	if _, marked := c.get("flags-production").Annotations[v1alpha1.FlagdIncompleteAnnotation]; marked ||
		!c.load().FlagdComplete {
		t.Error("the flagd file is said to be old though it fits again")
	}
	c.serves(3, "three")
}

func TestACompressedDatafileIsReadAgain(t *testing.T) {
	c := newCluster(t)
	c.environment.Spec.Datafile.Compression = v1alpha1.CompressionAlways
	c.publish("one")
	served := c.load()
	if !served.Intact(c.environment) || served.Contents == nil ||
		served.Contents.Digest() != small("one").Contents.Digest() {
		t.Errorf("what was compressed cannot be read: %+v", served)
	}
	c.editServed(func(m *corev1.ConfigMap) { m.BinaryData = nil })
	if served := c.load(); served.Intact(c.environment) || served.Contents == nil {
		t.Errorf("the compressed document is gone and nobody notices: %+v", served)
	}
}

func TestAnotherNameIsServedFromTheHistory(t *testing.T) {
	c := newCluster(t)
	c.publish("one")
	c.environment.Status.PublishedRevision = 1
	c.environment.Spec.Datafile.Name = "flags-shop.web"
	served := c.load()
	if served.Revision != 1 || served.Intact(c.environment) {
		t.Fatalf("the revision is forgotten with the name: %+v", served)
	}
	if err := c.publisher.Serve(t.Context(), c.environment, served); err != nil {
		t.Fatal(err)
	}
	c.serves(1, "one")
}

// story is what an operator goes through: it wants values in order, prunes, and finds its ConfigMap edited and deleted.
// After an error it begins the step again, from what it finds.
func (c *cluster) story() {
	c.Helper()
	c.environment.Spec.Publish.RevisionHistoryLimit = new(int32(2))
	until := func(do func() error) {
		c.Helper()
		for range 5 {
			err := do()
			if err == nil {
				return
			}
			if !errors.Is(err, errInjected) && !apierrors.IsConflict(err) {
				c.Fatalf("a failed write leaves something that nobody gets over: %v", err)
			}
		}
		c.Fatal("the operator never gets there")
	}
	reconcile := func(value string) func() error {
		return func() error {
			served, err := c.publisher.Load(c.Context(), c.environment, 0)
			switch {
			case err != nil:
				return err
			case served.Digest != small(value).Digest(both):
				served, err = c.publisher.Publish(c.Context(), c.environment, small(value), served)
			case !served.Intact(c.environment):
				err = c.publisher.Serve(c.Context(), c.environment, served)
			}
			if err != nil {
				return err
			}
			if err := c.publisher.Prune(c.Context(), c.environment, served.Revision); err != nil {
				return err
			}
			c.environment.Status.PublishedRevision = served.Revision
			return nil
		}
	}
	for i, value := range []string{"one", "two", "three", "four"} {
		until(reconcile(value))
		c.serves(int64(i+1), value)
	}
	c.editServed(func(m *corev1.ConfigMap) { m.Data[flagd.FileName] = "{}" })
	until(reconcile("four"))
	c.serves(4, "four")
	c.remove("flags-production")
	until(reconcile("four"))
	c.serves(4, "four")
}

// TestEveryWriteMayFail fails each write in turn, before and after it is carried out.
func TestEveryWriteMayFail(t *testing.T) {
	calm := newCluster(t)
	calm.story()
	state := func(c *cluster) map[string]map[string]string {
		found := map[string]map[string]string{}
		for _, name := range c.names() {
			configMap := c.get(name)
			found[name] = maps.Clone(configMap.Data)
			maps.Copy(found[name], configMap.Annotations)
			maps.Copy(found[name], configMap.Labels)
		}
		return found
	}
	want := state(calm)
	if calm.writes < 11 {
		t.Fatalf("the story has only %d writes", calm.writes)
	}
	for _, lost := range []bool{false, true} {
		for failAt := range calm.writes {
			t.Run(fmt.Sprintf("write %d, carried out %t", failAt+1, lost), func(t *testing.T) {
				c := newCluster(t)
				c.failAt, c.lost = failAt+1, lost
				c.story()
				if diff := cmp.Diff(want, state(c)); diff != "" {
					t.Errorf("a failed write ends in another state (-calm +failed):\n%s", diff)
				}
			})
		}
	}
}
