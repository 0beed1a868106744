// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package delivery writes copies of served datafiles into the namespaces that an environment selects and that accept
// them.
package delivery

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/fairqueue"
	"github.com/jackstaff-dev/jackstaff/internal/history"
	"github.com/jackstaff-dev/jackstaff/internal/index"
	"github.com/jackstaff-dev/jackstaff/internal/ownership"
	"github.com/jackstaff-dev/jackstaff/internal/publish"
	"github.com/jackstaff-dev/jackstaff/internal/topics"
)

// +kubebuilder:rbac:groups="",resources=namespaces,verbs=get;list;watch

const (
	// writers is how many copies of one environment are written at the same time.
	writers = 8

	// nameTakenRetry is how often a taken name is looked at again: a ConfigMap that is not the operator's is not watched.
	nameTakenRetry = 30 * time.Second

	// conflictRetry is how long to wait where somebody else has written a copy meanwhile.
	conflictRetry = time.Second

	// patience is how long the last report may stay while copies of a newer revision are being written.
	patience = time.Second
)

// Reconciler delivers the datafile of an environment. It reports to the FlagEnvironment controller and writes no status
// itself.
type Reconciler struct {
	Client client.Client
	// Metadata reads the metadata of namespaces and of the operator's ConfigMaps from a cache with the indexes of package
	// indexes.
	Metadata client.Reader
	// Live reads from the API server.
	Live       client.Reader
	Publisher  *publish.Publisher
	Deliveries *topics.Deliveries
	Clock      clock.PassiveClock

	mu sync.Mutex
	// states are those of the environments that exist.
	states map[types.NamespacedName]*state
}

// state is what is kept of an environment between reconciles. All of it can be read again. Only the worker that
// reconciles the environment uses it.
type state struct {
	// servedVersion is the resource version of the served ConfigMap when fingerprint and revision were read from it.
	servedVersion string
	// fingerprint and revision are those of the source of copies; revision is 0 where there is none.
	fingerprint string
	revision    int64
	// written are the copies that are known to be what was written, by namespace.
	written map[string]written
}

// written is a copy as it was written.
type written struct{ resourceVersion, fingerprint string }

// SetupWithManager registers the controller.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	r.states = map[types.NamespacedName]*state{}
	return ctrl.NewControllerManagedBy(mgr).
		Named("delivery").
		For(&v1alpha1.FlagEnvironment{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		WatchesMetadata(&corev1.ConfigMap{}, handler.EnqueueRequestsFromMapFunc(origin)).
		WatchesMetadata(&corev1.Namespace{}, r.namespaceHandler()).
		WithOptions(fairqueue.Options(4, 1)).
		Complete(r)
}

// origin is the environment of a served datafile or of a copy. At the start, copies of environments that are gone lead
// here too.
func origin(_ context.Context, object client.Object) []reconcile.Request {
	environment, kind, found := ownership.Origin(object)
	if !found || kind == v1alpha1.DatafileHistory {
		return nil
	}
	return []reconcile.Request{{NamespacedName: environment}}
}

// Reconcile brings the copies of one environment up to date.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	copies, err := r.copies(ctx, request.NamespacedName)
	if err != nil {
		return ctrl.Result{}, err
	}
	environment := &v1alpha1.FlagEnvironment{}
	if err := r.Client.Get(ctx, request.NamespacedName, environment); apierrors.IsNotFound(err) {
		return ctrl.Result{}, r.forget(ctx, request.NamespacedName, copies)
	} else if err != nil {
		return ctrl.Result{}, fmt.Errorf("get environment: %w", err)
	}
	// Where it is not known what is selected, copies stay.
	if !environment.DeletionTimestamp.IsZero() || environment.IsElsewhere() || v1alpha1.Undecodable(environment) != "" {
		return ctrl.Result{}, nil
	}
	s := &scope{
		environment: environment,
		state:       r.stateOf(request.NamespacedName),
		copies:      copies,
		failed:      map[string]error{},
	}
	for _, phase := range []func(context.Context, *scope) error{r.choose, r.remove, r.write} {
		if err := phase(ctx, s); err != nil {
			return ctrl.Result{}, err
		}
	}
	r.report(s)
	if err := s.failure(); apierrors.IsConflict(err) {
		return ctrl.Result{RequeueAfter: conflictRetry}, nil // Somebody else writes at the same time.
	} else if err != nil || len(s.taken) == 0 {
		return ctrl.Result{}, err
	}
	return ctrl.Result{RequeueAfter: nameTakenRetry}, nil
}

// stateOf returns what is kept of an environment.
func (r *Reconciler) stateOf(key types.NamespacedName) *state {
	r.mu.Lock()
	defer r.mu.Unlock()
	kept, ok := r.states[key]
	if !ok {
		kept = &state{written: map[string]written{}}
		r.states[key] = kept
	}
	return kept
}

// forget drops what is kept of an environment that is gone, and its copies, whatever its deletion policy was: that
// speaks of the project.
func (r *Reconciler) forget(
	ctx context.Context,
	key types.NamespacedName,
	copies []metav1.PartialObjectMetadata,
) error {
	r.mu.Lock()
	delete(r.states, key)
	r.mu.Unlock()
	r.Deliveries.Forget(key)
	if len(copies) == 0 {
		return nil
	}
	// An environment that was lost, such as with its CRD, leaves its copies to workloads.
	if isMeant, err := history.WasDeleted(
		ctx,
		r.Live,
		key.Namespace,
		"FlagEnvironment",
		key.Name,
	); err != nil ||
		!isMeant {
		return err
	}
	errs := r.removeAll(ctx, key, copies)
	return errors.Join(slices.Collect(maps.Values(errs))...)
}

// copies returns the metadata of an environment's copies.
func (r *Reconciler) copies(
	ctx context.Context,
	environment types.NamespacedName,
) ([]metav1.PartialObjectMetadata, error) {
	list := ownership.ConfigMaps()
	if err := r.Metadata.List(ctx, list, client.MatchingFields{index.CopyOrigin: environment.String()}); err != nil {
		return nil, fmt.Errorf("list copies: %w", err)
	}
	return slices.DeleteFunc(
		list.Items,
		func(object metav1.PartialObjectMetadata) bool { return !ownership.IsCopyOf(environment, &object) },
	), nil
}

// choose finds the namespaces that are to have a copy.
func (r *Reconciler) choose(ctx context.Context, s *scope) error {
	selector, err := metav1.LabelSelectorAsSelector(s.environment.Spec.Delivery.NamespaceSelector) // Nil selects nothing.
	if err != nil {
		s.invalid = err.Error()
		return nil //nolint:nilerr // A mistake, of which the condition Delivered tells.
	}
	namespaces := &metav1.PartialObjectMetadataList{}
	namespaces.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("NamespaceList"))
	if err := r.Metadata.List(
		ctx,
		namespaces,
		client.MatchingLabelsSelector{Selector: selector},
		client.UnsafeDisableDeepCopy,
	); err != nil {
		return fmt.Errorf("list namespaces: %w", err)
	}
	for i := range namespaces.Items {
		switch standingOf(&namespaces.Items[i], s.environment.Namespace, selector) {
		case accepting:
			s.accepting = append(s.accepting, namespaces.Items[i].Name)
		case refusing:
			s.refusing++
		case outside:
		}
	}
	slices.Sort(s.accepting)
	return nil
}

// remove removes the copies in namespaces that are not to have one. Where nobody can tell which those are, all stay.
func (r *Reconciler) remove(ctx context.Context, s *scope) error {
	if s.invalid != "" {
		return nil
	}
	var unwanted []metav1.PartialObjectMetadata
	s.copies = slices.DeleteFunc(s.copies, func(object metav1.PartialObjectMetadata) bool {
		_, isWanted := slices.BinarySearch(s.accepting, object.Namespace)
		if !isWanted {
			unwanted = append(unwanted, object)
		}
		return !isWanted
	})
	maps.Copy(s.failed, r.removeAll(ctx, client.ObjectKeyFromObject(s.environment), unwanted))
	for i := range unwanted {
		delete(s.state.written, unwanted[i].Namespace)
		if s.failed[unwanted[i].Namespace] != nil {
			s.copies = append(s.copies, unwanted[i])
		}
	}
	return ctx.Err()
}

// removeAll removes copies and returns why some could not be removed, by namespace.
func (r *Reconciler) removeAll(
	ctx context.Context,
	environment types.NamespacedName,
	copies []metav1.PartialObjectMetadata,
) map[string]error {
	errs := make([]error, len(copies))
	workqueue.ParallelizeUntil(ctx, writers, len(copies), func(i int) {
		errs[i] = r.Publisher.RemoveCopy(ctx, environment, &copies[i])
	})
	failed := map[string]error{}
	for i, err := range errs {
		if err != nil {
			failed[copies[i].Namespace] = err
		}
	}
	return failed
}

// write writes the copies that are not what they should be. One namespace that cannot be written to does not hold back
// another.
func (r *Reconciler) write(ctx context.Context, s *scope) error {
	if s.invalid != "" || len(s.accepting) == 0 {
		return nil
	}
	served, err := r.servedVersion(ctx, s.environment)
	if err != nil {
		return err
	}
	named := s.named()
	if s.state.servedVersion == served && len(s.outdated(named)) == 0 {
		return nil
	}
	source, err := r.Publisher.Source(ctx, s.environment)
	if err != nil {
		return err
	}
	if source == nil {
		s.waiting = len(s.outdated(named)) > 0 // The next event of the served ConfigMap leads here again.
		return nil
	}
	s.state.servedVersion, s.state.fingerprint, s.state.revision = served, source.Fingerprint, source.Revision
	outdated := s.outdated(named)
	if len(outdated) == 0 {
		return nil
	}
	log.FromContext(ctx).Info("Delivering", "revision", source.Revision, "namespaces", len(outdated))
	began, versions, errs := r.Clock.Now(), make([]string, len(outdated)), make([]error, len(outdated))
	var late sync.Once
	workqueue.ParallelizeUntil(ctx, writers, len(outdated), func(i int) {
		var seen *metav1.ObjectMeta
		if object := named[outdated[i]]; object != nil &&
			s.state.written[outdated[i]].resourceVersion == object.ResourceVersion {
			seen = &object.ObjectMeta
		}
		versions[i], errs[i] = r.Publisher.Copy(ctx, source, outdated[i], seen)
		if r.Clock.Since(began) > patience {
			late.Do(func() { r.reportProgress(s) })
		}
	})
	for i, namespace := range outdated {
		s.note(namespace, versions[i], errs[i])
	}
	return ctx.Err()
}

// servedVersion is the resource version of the served ConfigMap as the cache shows it, and empty where it shows none.
func (r *Reconciler) servedVersion(ctx context.Context, environment *v1alpha1.FlagEnvironment) (string, error) {
	served := ownership.ConfigMap()
	err := r.Metadata.Get(
		ctx,
		types.NamespacedName{Namespace: environment.Namespace, Name: environment.DatafileName()},
		served,
	)
	if client.IgnoreNotFound(err) != nil {
		return "", fmt.Errorf("get the served datafile: %w", err)
	}
	return served.ResourceVersion, nil
}
