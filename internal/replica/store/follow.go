// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
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

// follower makes a store hold what a cluster serves.
type follower struct {
	store *Store
	// cache holds environments, and of ConfigMaps the metadata.
	cache client.Reader
	// live reads whole ConfigMaps.
	live client.Reader
}

// SetupWithManager makes the store follow the environments of the manager's cluster, on every replica. The manager's
// cache holds the metadata of the operator's ConfigMaps.
func (s *Store) SetupWithManager(mgr ctrl.Manager) error {
	f := &follower{store: s, cache: mgr.GetCache(), live: mgr.GetAPIReader()}
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
	document, version, err := f.read(ctx, environment)
	if err != nil {
		// Keys that were revoked must not wait for the datafile.
		_ = f.store.Set(environment, nil)
		return ctrl.Result{}, err
	}
	if err := f.store.Set(environment, document); err != nil {
		log.FromContext(ctx).Error(err, "Keeping what was served before a broken datafile")
	}
	if held, found := f.store.Environment(environment.Namespace, environment.Name); found && version != "" {
		held.read = version
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
	if found && held.UID == environment.UID && held.read == metadata.ResourceVersion {
		return nil, "", nil
	}
	served, err := f.get(ctx, environment, key.Name, v1alpha1.DatafileServed)
	if served == nil || err != nil {
		return nil, "", err
	}
	document := &Document{Digest: served.Annotations[v1alpha1.DigestAnnotation]}
	document.PublishedAt, _ = time.Parse(time.RFC3339, served.Annotations[v1alpha1.PublishedAtAnnotation])
	if file, ok := served.Data[flagd.FileName]; ok {
		document.Flagd = []byte(file)
	}
	document.Native = nativeOf(served)
	if document.Native == nil {
		// Where the native format is not published, the history has it all the same.
		history, err := f.get(
			ctx,
			environment,
			"flags-"+environment.Name+"-r"+served.Annotations[v1alpha1.RevisionAnnotation],
			v1alpha1.DatafileHistory,
		)
		if err != nil {
			return nil, "", err
		}
		if history != nil {
			document.Native = nativeOf(history)
		}
	}
	return document, served.ResourceVersion, nil
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

// nativeOf returns the native document of a ConfigMap, decompressed. It is nil where there is none that can be read.
func nativeOf(configMap *corev1.ConfigMap) []byte {
	if compressed, ok := configMap.BinaryData[datafile.CompressedFileName]; ok {
		if native, err := datafile.Decompress(compressed); err == nil {
			return native
		}
		return nil
	}
	if text, ok := configMap.Data[datafile.FileName]; ok {
		return []byte(text)
	}
	return nil
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
