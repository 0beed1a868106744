// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/ownership"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
	"github.com/jackstaff-dev/jackstaff/sdk/flagd"
)

// readers is how many datafiles are read at the same time. Each takes up to a few MiB until it is prepared.
const readers = 4

// historyRetry is how long to wait for the entry of the history of which a served ConfigMap holds a part. No event
// tells that it is there.
const historyRetry = 5 * time.Second

var errNoHistory = errors.New("the history does not hold the revision that is served")

// follower makes a store hold what a cluster serves.
type follower struct {
	store *Store
	// cache holds environments, and of ConfigMaps the metadata.
	cache client.Reader
	// live reads whole ConfigMaps.
	live client.Reader
	// guarded reports whether the policy on datafiles is in force.
	guarded func(ctx context.Context) (bool, error)
}

// SetupWithManager makes the store follow the environments of the manager's cluster, on every replica. The manager's
// cache holds the metadata of the operator's ConfigMaps.
func (s *Store) SetupWithManager(mgr ctrl.Manager) error {
	live := mgr.GetAPIReader()
	f := &follower{store: s, cache: mgr.GetCache(), live: live, guarded: func(ctx context.Context) (bool, error) {
		return ownership.Guarded(ctx, live)
	}}
	if err := mgr.Add(f); err != nil {
		return fmt.Errorf("follow environments: %w", err)
	}
	return ctrl.NewControllerManagedBy(mgr).
		Named("serving").
		For(&v1alpha1.FlagEnvironment{}).
		WatchesMetadata(&corev1.ConfigMap{}, handler.EnqueueRequestsFromMapFunc(environmentOf)).
		WithOptions(controller.Options{MaxConcurrentReconciles: readers, NeedLeaderElection: new(f.NeedLeaderElection())}).
		Complete(f)
}

// Synced reports whether everything that was served when the manager started was read. Until then an unknown key may be
// one that is not known yet.
func (s *Store) Synced() bool { return s.start.isOver() }

// NeedLeaderElection is false: every replica serves.
func (*follower) NeedLeaderElection() bool { return false }

// Start notes which environments there are at the start.
func (f *follower) Start(ctx context.Context) error {
	environments := &v1alpha1.FlagEnvironmentList{}
	// It waits for the cache, and only names are taken from it.
	if err := f.cache.List(ctx, environments, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("list environments: %w", err)
	}
	keys := make([]types.NamespacedName, 0, len(environments.Items))
	for i := range environments.Items {
		keys = append(keys, client.ObjectKeyFromObject(&environments.Items[i]))
	}
	f.store.start.expect(keys)
	return nil
}

// environmentOf names the environment that a served ConfigMap is of.
func environmentOf(_ context.Context, object client.Object) []reconcile.Request {
	environment, kind, found := ownership.Origin(object)
	if !found || kind != v1alpha1.DatafileServed {
		return nil
	}
	return []reconcile.Request{{NamespacedName: environment}}
}

// Reconcile makes the store hold an environment as it is now.
func (f *follower) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	environment := &v1alpha1.FlagEnvironment{}
	if err := f.cache.Get(ctx, request.NamespacedName, environment); apierrors.IsNotFound(err) {
		f.store.Remove(request.NamespacedName)
		f.store.start.done(request.NamespacedName)
		return ctrl.Result{}, nil
	} else if err != nil {
		return ctrl.Result{}, fmt.Errorf("get environment: %w", err)
	}
	if v1alpha1.Lost(environment, "status") {
		// Nobody knows which keys are valid. Those that were go on being so, unless they were another environment's.
		if held, found := f.store.Environment(environment.Namespace, environment.Name); found && held.UID != environment.UID {
			f.store.Remove(request.NamespacedName)
		}
		f.store.start.done(request.NamespacedName)
		return ctrl.Result{}, nil
	}
	document, version, err := f.read(ctx, environment)
	if errors.Is(err, errNoHistory) {
		_ = f.store.Set(environment, nil)
		f.store.start.done(request.NamespacedName) // Nobody knows whether it comes.
		return ctrl.Result{RequeueAfter: historyRetry}, nil
	}
	brokenFor := ""
	if isTampered(err) || errors.Is(err, datafile.ErrUnknownVersion) {
		// The operator restores it or reports it. The event of the next write leads here again.
		log.FromContext(ctx).Info("Keeping what was served before a broken datafile", "because", err.Error())
		// The status may confirm it later, such as what was written without the operator.
		err, brokenFor = nil, environment.ResourceVersion
	}
	if err != nil {
		// Keys that were revoked must not wait for the datafile.
		_ = f.store.Set(environment, nil)
		return ctrl.Result{}, err
	}
	if err := f.store.Set(environment, document); err != nil {
		log.FromContext(ctx).Error(err, "Keeping what was served before a broken datafile")
	}
	if held, found := f.store.Environment(environment.Namespace, environment.Name); found && version != "" {
		held.read, held.brokenFor = version, brokenFor
	}
	f.store.start.done(request.NamespacedName)
	return ctrl.Result{}, nil
}

// read reads what the environment serves, with the resource version of the ConfigMap. The document is nil where there
// is nothing else to read than last time.
func (f *follower) read(ctx context.Context, environment *v1alpha1.FlagEnvironment) (*Document, string, error) {
	key := types.NamespacedName{Namespace: environment.Namespace, Name: environment.DatafileName()}
	metadata := ownership.ConfigMap()
	if err := f.cache.Get(ctx, key, metadata); err != nil {
		return nil, "", client.IgnoreNotFound(err)
	}
	held, found := f.store.Environment(environment.Namespace, environment.Name)
	isRead := found && held.UID == environment.UID && held.read == metadata.ResourceVersion
	if isRead && (held.brokenFor == "" || held.brokenFor == environment.ResourceVersion) {
		return nil, "", nil
	}
	served, err := f.get(ctx, environment, key.Name, v1alpha1.DatafileServed)
	if served == nil || err != nil {
		return nil, "", err
	}
	document, err := f.document(ctx, environment, served)
	if isTampered(err) && (!found || held.Revision().Number == 0) {
		// Nothing is held that could be kept. The operator would restore what the status says is published.
		if last, lastErr := f.lastPublished(ctx, environment); last != nil || lastErr != nil {
			return last, "", lastErr
		}
	}
	return document, served.ResourceVersion, err
}

// lastPublished is the revision of the history that the status says is published, and nil where the history has not
// what the operator published under that number.
func (f *follower) lastPublished(ctx context.Context, environment *v1alpha1.FlagEnvironment) (*Document, error) {
	if environment.Status.PublishedRevision == 0 {
		return nil, nil
	}
	kept, read, err := f.kept(ctx, environment, environment.Status.PublishedRevision)
	if isTampered(err) || err == nil && (kept == nil || read.Native == nil) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	return documentFrom(kept, read), nil
}

// kept reads a revision of the history, whichever name its entry has, and nil where there is none. It fails with an
// *ownership.TamperedError where the operator has published none of what is there.
func (f *follower) kept(
	ctx context.Context,
	environment *v1alpha1.FlagEnvironment,
	revision int64,
) (*corev1.ConfigMap, *ownership.Datafile, error) {
	var forged error
	for _, name := range ownership.HistoryNames(environment, revision) {
		kept, err := f.get(ctx, environment, name, v1alpha1.DatafileHistory)
		if err != nil {
			return nil, nil, err
		}
		if kept == nil {
			continue
		}
		read, err := ownership.Read(f.store.Seal, environment, kept)
		if !isTampered(err) {
			return kept, read, err
		}
		forged = cmp.Or(forged, err)
	}
	return nil, nil, forged
}

// documentFrom is what is served of a ConfigMap that was read.
func documentFrom(configMap *corev1.ConfigMap, read *ownership.Datafile) *Document {
	document := &Document{
		Digest: read.Digest, Native: read.Native, Packed: read.Binary[datafile.CompressedFileName],
	}
	document.PublishedAt, _ = time.Parse(time.RFC3339, configMap.Annotations[v1alpha1.PublishedAtAnnotation])
	if file, has := read.Text[flagd.FileName]; has {
		document.Flagd = []byte(file)
	}
	return document
}

// breakGlass reads what somebody wrote without the operator, and decides as the operator does whether that is believed.
func (f *follower) breakGlass(
	ctx context.Context,
	environment *v1alpha1.FlagEnvironment,
	served *corev1.ConfigMap,
	mark ownership.BreakGlass,
) (*Document, error) {
	guarded, err := f.guarded(ctx)
	if err != nil {
		return nil, err
	}
	var kept metav1.Object
	if revision := ownership.RevisionOf(served); revision > 0 {
		configMap := &corev1.ConfigMap{}
		key := types.NamespacedName{Namespace: environment.Namespace, Name: environment.HistoryName(revision)}
		of := client.ObjectKeyFromObject(environment)
		switch err := f.live.Get(ctx, key, configMap); {
		case client.IgnoreNotFound(err) != nil:
			return nil, fmt.Errorf("read ConfigMap %q: %w", key.Name, err)
		case err == nil && (ownership.Owns(of, configMap) ||
			ownership.IsMislabelled(of, configMap, v1alpha1.DatafileHistory)):
			kept = configMap
		}
	}
	read, err := ownership.JudgeBreakGlass(environment, served, mark, guarded, kept)
	if err != nil {
		return nil, err
	}
	return documentFrom(served, read), nil
}

// document is what a served ConfigMap says. It fails with an *ownership.TamperedError where the operator has not
// published that, and nobody has written it in the operator's place who may.
func (f *follower) document(
	ctx context.Context,
	environment *v1alpha1.FlagEnvironment,
	served *corev1.ConfigMap,
) (*Document, error) {
	if mark, is := ownership.BreakGlassOf(served); is {
		if document, err := f.breakGlass(ctx, environment, served, mark); !isTampered(err) {
			return document, err
		}
	}
	read, err := ownership.Read(f.store.Seal, environment, served)
	_, hasFlagd := served.Data[flagd.FileName]
	if err == nil && read.Native == nil || isTampered(err) && !hasFlagd {
		// The history has the native document also where it is not published, and the flagd file that the digest is over.
		kept, keptRead, historyErr := f.kept(ctx, environment, ownership.RevisionOf(served))
		switch {
		case historyErr != nil:
			return nil, historyErr
		case kept != nil:
			read, err = keptRead, sameAsKept(served, keptRead)
		case err == nil:
			err = errNoHistory
		}
	}
	if err != nil {
		return nil, err
	}
	return documentFrom(served, read), nil
}

// sameAsKept fails where a served ConfigMap, which has some files of a history entry, has another one.
func sameAsKept(served *corev1.ConfigMap, kept *ownership.Datafile) error {
	for name, text := range served.Data {
		if kept.Text[name] != text {
			return &ownership.TamperedError{Name: served.Name, Why: name + " is not that of the history"}
		}
	}
	for name, data := range served.BinaryData {
		if !bytes.Equal(kept.Binary[name], data) {
			return &ownership.TamperedError{Name: served.Name, Why: name + " is not that of the history"}
		}
	}
	if served.Annotations[v1alpha1.DigestAnnotation] != kept.Digest {
		return &ownership.TamperedError{Name: served.Name, Why: "its digest is not that of the history"}
	}
	return nil
}

func isTampered(err error) bool {
	var tampered *ownership.TamperedError
	return errors.As(err, &tampered)
}

// get reads a datafile of the environment live. It returns nil where there is none.
func (f *follower) get(
	ctx context.Context,
	environment *v1alpha1.FlagEnvironment,
	name, kind string,
) (*corev1.ConfigMap, error) {
	configMap := &corev1.ConfigMap{}
	err := f.live.Get(ctx, types.NamespacedName{Namespace: environment.Namespace, Name: name}, configMap)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read ConfigMap %q: %w", name, err)
	case !ownership.IsDatafile(client.ObjectKeyFromObject(environment), configMap, kind):
		return nil, nil
	}
	return configMap, nil
}

// start is which of the environments that there were at the start were read.
type start struct {
	mu sync.Mutex
	// known is true once it is known which environments there were.
	known bool
	// missing are those of them that were not read yet.
	missing map[types.NamespacedName]struct{}
	// early are those that were read before it was known whether they were among them.
	early map[types.NamespacedName]struct{}
}

func (s *start) expect(keys []types.NamespacedName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known, s.missing = true, map[types.NamespacedName]struct{}{}
	for _, key := range keys {
		if _, read := s.early[key]; !read {
			s.missing[key] = struct{}{}
		}
	}
	s.early = nil
}

func (s *start) done(key types.NamespacedName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known {
		delete(s.missing, key)
		return
	}
	if s.early == nil {
		s.early = map[types.NamespacedName]struct{}{}
	}
	s.early[key] = struct{}{}
}

func (s *start) isOver() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.known && len(s.missing) == 0
}
