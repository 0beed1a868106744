// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/decode"
	"github.com/jackstaff-dev/jackstaff/internal/ownership"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
	"github.com/jackstaff-dev/jackstaff/sdk/flagd"
)

// cluster is a fake API server that counts what is read live from it.
type cluster struct {
	*testing.T
	client.Client
	store    *Store
	follower *follower
	// reads are how many ConfigMaps were read live, and fails makes that fail.
	reads int
	fails error
	// unguarded is true where the policy on datafiles is not in force.
	unguarded bool
}

func newCluster(t *testing.T, objects ...client.Object) *cluster {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	c := &cluster{T: t, store: NewStore()}
	server := fake.NewClientBuilder().WithScheme(
		scheme,
	).WithObjects(
		objects...).WithStatusSubresource(
		&v1alpha1.FlagEnvironment{},
	).Build()
	c.Client = server
	live := interceptor.NewClient(server, interceptor.Funcs{
		Get: func(ctx context.Context, from client.WithWatch, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
			c.reads++
			if c.fails != nil {
				return c.fails
			}
			return from.Get(ctx, key, object, options...)
		},
	})
	c.follower = &follower{store: c.store, cache: server, live: live, guarded: func(context.Context) (bool, error) {
		return !c.unguarded, nil
	}}
	return c
}

// sync reconciles production of shop and returns what the store holds of it, which is nil where it holds nothing.
func (c *cluster) sync() *Environment {
	c.Helper()
	request := ctrl.Request{NamespacedName: client.ObjectKey{Namespace: "shop", Name: "production"}}
	if _, err := c.follower.Reconcile(c.Context(), request); err != nil && c.fails == nil {
		c.Fatal(err)
	}
	held, _ := c.store.Environment("shop", "production")
	return held
}

func (c *cluster) change(object client.Object, change func()) {
	c.Helper()
	if err := c.Get(c.Context(), client.ObjectKeyFromObject(object), object); err != nil {
		c.Fatal(err)
	}
	change()
	if err := c.Update(c.Context(), object); err != nil {
		c.Fatal(err)
	}
}

func configMap(name, kind string, document *Document) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: name,
			Labels: map[string]string{
				v1alpha1.ManagedByLabel: v1alpha1.ManagedBy, v1alpha1.ProjectLabel: "shop",
				v1alpha1.EnvironmentLabel: "production", v1alpha1.DatafileLabel: kind,
			},
			Annotations: map[string]string{
				v1alpha1.RevisionAnnotation:    "1",
				v1alpha1.DigestAnnotation:      document.Digest,
				v1alpha1.PublishedAtAnnotation: "2027-01-01T09:00:00Z",
			},
		},
		Data: map[string]string{
			"datafile.json": string(document.Native),
			"flagd.json": string(flagd.Encode(
				datafile.Header{Project: "shop", Environment: "production", Revision: 1},
				&datafile.Section{},
			)),
		},
	}
}

func TestFollow(t *testing.T) {
	served := configMap("flags-production", v1alpha1.DatafileServed, oneFlag(1, "a"))
	c := newCluster(t, environment("k"), served)
	held := c.sync()
	if revision := held.Revision(); revision.Number != 1 || revision.Digest != oneFlag(1, "a").Digest ||
		!revision.PublishedAt.Equal(time.Date(2027, 1, 1, 9, 0, 0, 0, time.UTC)) {
		t.Fatalf("got %+v", revision)
	}
	if _, err := held.Download(ServerKey, Flagd, Identity); err != nil {
		t.Errorf("the flagd file: %v", err)
	}
	c.sync()
	if c.reads != 1 {
		t.Errorf("an unchanged ConfigMap is read %d times", c.reads)
	}
	changed := held.Changed()
	c.change(served, func() { served.Annotations["note"] = "mine" })
	c.sync()
	if isClosed(changed) {
		t.Error("a changed annotation counts as a revision")
	}
	c.change(served, func() {
		next := configMap("flags-production", v1alpha1.DatafileServed, oneFlag(2, "b"))
		served.Data, served.Annotations = next.Data, next.Annotations
		served.Data["flagd.json"] = string(flagd.Encode(
			datafile.Header{Project: "shop", Environment: "production", Revision: 2}, &datafile.Section{},
		))
		served.Annotations[v1alpha1.RevisionAnnotation] = "2"
	})
	c.sync()
	if !isClosed(changed) || held.Revision().Number != 2 {
		t.Error("the next revision is not served")
	}
	c.change(served, func() { served.Data["datafile.json"] = "broken" })
	c.sync()
	c.sync()
	if held.Revision().Number != 2 {
		t.Error("a broken datafile is served")
	}
	if c.reads != 4 {
		t.Errorf("%d reads; a broken ConfigMap is read again and again", c.reads)
	}
	if err := c.Delete(t.Context(), served); err != nil {
		t.Fatal(err)
	}
	if c.sync() != held || held.Revision().Number != 2 {
		t.Error("a deleted ConfigMap ends what is served")
	}
	if err := c.Delete(t.Context(), environment()); err != nil {
		t.Fatal(err)
	}
	if c.sync() != nil || !held.Gone() {
		t.Error("a deleted environment goes on being served")
	}
}

func TestFollowEveryLayout(t *testing.T) {
	compressed := func(configMap *corev1.ConfigMap) *corev1.ConfigMap {
		data, err := datafile.Compress(oneFlag(1, "a").Native)
		if err != nil {
			t.Fatal(err)
		}
		configMap.BinaryData = map[string][]byte{"datafile.json.gz": data}
		configMap.Data["datafile.json"] = string(datafile.EncodeHeader(datafile.Header{
			Compressed: "datafile.json.gz", Project: "shop", Environment: "production", Revision: 1,
		}))
		return configMap
	}
	flagdOnly := func(configMap *corev1.ConfigMap) *corev1.ConfigMap {
		delete(configMap.Data, "datafile.json")
		configMap.BinaryData = nil
		return configMap
	}
	served := func() *corev1.ConfigMap {
		return configMap("flags-production", v1alpha1.DatafileServed, oneFlag(1, "a"))
	}
	history := func() *corev1.ConfigMap {
		return configMap("flags-production-r1", v1alpha1.DatafileHistory, oneFlag(1, "a"))
	}
	tests := map[string]struct {
		objects []client.Object
		want    int64
	}{
		"plain":                               {[]client.Object{served()}, 1},
		"compressed":                          {[]client.Object{compressed(served())}, 1},
		"flagd alone":                         {[]client.Object{flagdOnly(served()), history()}, 1},
		"flagd alone, history compressed":     {[]client.Object{flagdOnly(served()), compressed(history())}, 1},
		"flagd alone, without history":        {[]client.Object{flagdOnly(served())}, 0},
		"a history that is somebody else's":   {[]client.Object{flagdOnly(served()), foreign(history())}, 0},
		"a ConfigMap that is somebody else's": {[]client.Object{foreign(served())}, 0},
		"nothing":                             {nil, 0},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			held := newCluster(t, append(tc.objects, environment())...).sync()
			if got := held.Revision().Number; got != tc.want {
				t.Errorf("revision %d is served, want %d", got, tc.want)
			}
		})
	}
}

// A replica may read the served file before it can see the entry of the history. No event tells it later that the entry
// is there.
func TestALateHistoryIsReadAgain(t *testing.T) {
	served := configMap("flags-production", v1alpha1.DatafileServed, oneFlag(1, "a"))
	delete(served.Data, "datafile.json")
	c := newCluster(t, served, environment())
	request := ctrl.Request{NamespacedName: client.ObjectKey{Namespace: "shop", Name: "production"}}
	result, err := c.follower.Reconcile(t.Context(), request)
	if err != nil || result.RequeueAfter == 0 {
		t.Fatalf("it is not looked at again: %+v, %v", result, err)
	}
	if err := c.Create(
		t.Context(),
		configMap("flags-production-r1", v1alpha1.DatafileHistory, oneFlag(1, "a")),
	); err != nil {
		t.Fatal(err)
	}
	if got := c.sync().Revision().Number; got != 1 {
		t.Errorf("revision %d is served once the history is there", got)
	}
}

func foreign(configMap *corev1.ConfigMap) *corev1.ConfigMap {
	configMap.Labels[v1alpha1.EnvironmentLabel] = "staging"
	return configMap
}

func TestARevokedKeyDoesNotWaitForTheDatafile(t *testing.T) {
	from := environment("a")
	c := newCluster(t, from, configMap("flags-production", v1alpha1.DatafileServed, oneFlag(1, "a")))
	c.fails = errors.New("the API server is away")
	c.sync()
	if _, _, found := c.store.ByKey("sdk_a"); !found {
		t.Error("a key is not valid before the datafile is read")
	}
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(from), from); err != nil {
		t.Fatal(err)
	}
	from.Status.SDKKeys = nil
	if err := c.Status().Update(t.Context(), from); err != nil {
		t.Fatal(err)
	}
	c.sync()
	if _, _, found := c.store.ByKey("sdk_a"); found {
		t.Error("a revoked key is valid")
	}
	c.fails = nil
	if c.sync().Revision().Number != 1 {
		t.Error("the datafile is not read once that is possible")
	}
}

// Nobody knows from a status that cannot be read which keys are valid: callers must not be turned away until it is made
// again.
func TestALostStatusKeepsKeys(t *testing.T) {
	for name, tc := range map[string]struct {
		raw      string // What is stored, as the cache reads it.
		uid      types.UID
		wantKeys bool
	}{
		"a status of another form": {raw: `"status":{"sdkKeys":"none"}`, uid: "1", wantKeys: true},
		"a status and a spec of another form": {
			raw: `"spec":[],"status":{"sdkKeys":"none"}`, uid: "1", wantKeys: true,
		},
		"another environment of that name": {raw: `"status":{"sdkKeys":"none"}`, uid: "2"},
		"a status without keys":            {raw: `"status":{}`, uid: "1"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, environment("a"), configMap("flags-production", v1alpha1.DatafileServed, oneFlag(1, "a")))
			if c.sync().Revision().Number != 1 {
				t.Fatal("nothing is served before")
			}
			raw := fmt.Sprintf(`{"kind":"FlagEnvironment","apiVersion":"flags.jackstaff.dev/v1alpha1",`+
				`"metadata":{"namespace":"shop","name":"production","uid":%q},%s}`, tc.uid, tc.raw)
			c.follower.cache = interceptor.NewClient(c.Client.(client.WithWatch), interceptor.Funcs{
				Get: func(ctx context.Context, from client.WithWatch, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
					if environment, is := object.(*v1alpha1.FlagEnvironment); is {
						return decode.Object([]byte(raw), environment)
					}
					return from.Get(ctx, key, object, options...)
				},
			})
			held := c.sync()
			if _, _, found := c.store.ByKey("sdk_a"); found != tc.wantKeys {
				t.Errorf("that the key is valid is %t", found)
			}
			if tc.wantKeys && (held == nil || held.Revision().Number != 1) {
				t.Error("what was served is gone")
			}
			c.follower.cache = c.Client
			c.sync()
			if _, _, found := c.store.ByKey("sdk_a"); !found {
				t.Error("the key is not valid once the status is made again")
			}
		})
	}
}

func TestSynced(t *testing.T) {
	for name, early := range map[string]bool{"listed before it is read": false, "read before it is listed": true} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, environment(), configMap("flags-production", v1alpha1.DatafileServed, oneFlag(1, "a")))
			if early {
				c.sync()
			}
			if c.store.Synced() {
				t.Error("ready before anybody knows which environments there are")
			}
			if err := c.follower.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			if c.store.Synced() != early {
				t.Errorf("ready %v before the datafile is read", !early)
			}
			c.fails = errors.New("the API server is away")
			c.sync()
			c.fails = nil
			if c.store.Synced() != early {
				t.Errorf("ready %v though the datafile could not be read", !early)
			}
			c.sync()
			if !c.store.Synced() {
				t.Error("not ready though everything is read")
			}
		})
	}
}

func TestEnvironmentOf(t *testing.T) {
	ours := configMap("flags-production", v1alpha1.DatafileServed, oneFlag(1, "a"))
	deliveredCopy := ours.DeepCopy()
	deliveredCopy.Namespace = "other"
	tests := map[string]struct {
		object *corev1.ConfigMap
		want   int
	}{
		"served":          {ours, 1},
		"history":         {configMap("flags-production-r1", v1alpha1.DatafileHistory, oneFlag(1, "a")), 0},
		"a copy":          {deliveredCopy, 0},
		"somebody else's": {&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "flags-production"}}, 0},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := environmentOf(t.Context(), tc.object); len(got) != tc.want || tc.want == 1 && got[0].Name != "production" {
				t.Errorf("got %v, want %d", got, tc.want)
			}
		})
	}
}

// TestFollowServesNoForgery fails where clients get what an editor of ConfigMaps has written.
func TestFollowServesNoForgery(t *testing.T) {
	seal := ownership.NewSeal([]byte("an operator's key of at least 32 bytes"))
	key := client.ObjectKey{Namespace: "shop", Name: "production"}
	sealed := func(document *Document) *corev1.ConfigMap {
		served := configMap("flags-production", v1alpha1.DatafileServed, document)
		served.Annotations[v1alpha1.SealAnnotation] = seal.OfDatafile(key, 1, document.Digest, nil)
		return served
	}
	confirmed := environment()
	confirmed.Status.PublishedRevision, confirmed.Status.PublishedDigest = 1, oneFlag(1, "a").Digest
	tests := map[string]struct {
		environment *v1alpha1.FlagEnvironment
		forge       func(*corev1.ConfigMap)
		want        int64
	}{
		"nothing forged": {environment(), func(*corev1.ConfigMap) {}, 1},
		"other contents": {environment(), func(m *corev1.ConfigMap) {
			m.Data["datafile.json"] = string(oneFlag(1, "b").Native)
		}, 0},
		"other contents with their digest": {environment(), func(m *corev1.ConfigMap) {
			m.Data["datafile.json"] = string(oneFlag(1, "b").Native)
			m.Annotations[v1alpha1.DigestAnnotation] = oneFlag(1, "b").Digest
		}, 0},
		"another flagd file": {environment(), func(m *corev1.ConfigMap) { m.Data["flagd.json"] = `{"flags":{}}` }, 0},
		"no seal": {
			environment(),
			func(m *corev1.ConfigMap) { delete(m.Annotations, v1alpha1.SealAnnotation) },
			0,
		},
		"the seal of another environment": {environment(), func(m *corev1.ConfigMap) {
			m.Annotations[v1alpha1.SealAnnotation] = seal.OfDatafile(
				client.ObjectKey{Namespace: "shop", Name: "staging"}, 1, oneFlag(1, "a").Digest, nil)
		}, 0},
		"the seal of another revision": {environment(), func(m *corev1.ConfigMap) {
			m.Annotations[v1alpha1.SealAnnotation] = seal.OfDatafile(key, 2, oneFlag(1, "a").Digest, nil)
		}, 0},
		"no seal, and the status confirms it": {confirmed, func(m *corev1.ConfigMap) {
			delete(m.Annotations, v1alpha1.SealAnnotation)
		}, 1},
		"no seal and other contents than the status confirms": {confirmed, func(m *corev1.ConfigMap) {
			delete(m.Annotations, v1alpha1.SealAnnotation)
			m.Data["datafile.json"] = string(oneFlag(1, "b").Native)
		}, 0},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			served := sealed(oneFlag(1, "a"))
			tc.forge(served)
			c := newCluster(t, served, tc.environment)
			c.store.Seal = seal
			if got := c.sync().Revision().Number; got != tc.want {
				t.Errorf("revision %d is served, want %d", got, tc.want)
			}
		})
	}
}

// TestFollowBreakGlass fails where clients of OFREP and SDKs do not get what somebody wrote while no leader is there, or
// get what nobody vouches for.
func TestFollowBreakGlass(t *testing.T) {
	seal := ownership.NewSeal([]byte("an operator's key of at least 32 bytes"))
	key := client.ObjectKey{Namespace: "shop", Name: "production"}
	made := func(name, kind string, revision int64, value string) *corev1.ConfigMap {
		document := oneFlag(revision, value)
		file := configMap(name, kind, document)
		file.Annotations[v1alpha1.RevisionAnnotation] = strconv.FormatInt(revision, 10)
		file.Data["flagd.json"] = string(flagd.Encode(
			datafile.Header{Project: "shop", Environment: "production", Revision: revision}, &datafile.Section{}))
		if kind == v1alpha1.DatafileHistory {
			file.Annotations[v1alpha1.SealAnnotation] = seal.OfDatafile(key, revision, document.Digest, nil)
		}
		return file
	}
	published := environment()
	published.Status.PublishedRevision, published.Status.PublishedDigest = 1, oneFlag(1, "a").Digest
	for name, tc := range map[string]struct {
		unguarded bool
		change    func(*corev1.ConfigMap)
		history   []client.Object
		want      int64
	}{
		"admission vouches for the writer": {want: 2},
		"the leader has kept it":           {history: []client.Object{made("flags-production-r2", v1alpha1.DatafileHistory, 2, "b")}, want: 2},
		"nothing vouches for the writer":   {unguarded: true, want: 1},
		"the number stands for something else": {
			history: []client.Object{made("flags-production-r2", v1alpha1.DatafileHistory, 2, "c")}, want: 1,
		},
		"other contents than its digest says": {
			change: func(m *corev1.ConfigMap) { m.Data["datafile.json"] = string(oneFlag(2, "c").Native) }, want: 1,
		},
		"no mark": {change: func(m *corev1.ConfigMap) { delete(m.Annotations, v1alpha1.BreakGlassAnnotation) }, want: 1},
	} {
		t.Run(name, func(t *testing.T) {
			served := made("flags-production", v1alpha1.DatafileServed, 2, "b")
			served.Annotations[v1alpha1.BreakGlassAnnotation] = "alice 2027-01-01T09:00:00Z"
			if tc.change != nil {
				tc.change(served)
			}
			objects := slices.Concat(tc.history, []client.Object{
				served, published.DeepCopy(), made("flags-production-r1", v1alpha1.DatafileHistory, 1, "a"),
			})
			c := newCluster(t, objects...)
			c.store.Seal, c.unguarded = seal, tc.unguarded
			if got := c.sync().Revision().Number; got != tc.want {
				t.Errorf("a server that starts serves revision %d, want %d", got, tc.want)
			}
			if got := c.sync().Revision().Number; got != tc.want {
				t.Errorf("revision %d is served after another look, want %d", got, tc.want)
			}
		})
	}
}
