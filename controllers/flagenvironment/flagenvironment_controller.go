// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package flagenvironment compiles and publishes environments.
package flagenvironment

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	ctrlsource "sigs.k8s.io/controller-runtime/pkg/source"

	"k8s.io/client-go/util/workqueue"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/compile"
	"github.com/jackstaff-dev/jackstaff/internal/ownership"
	"github.com/jackstaff-dev/jackstaff/internal/publish"
	"github.com/jackstaff-dev/jackstaff/internal/status"
	"github.com/jackstaff-dev/jackstaff/internal/topics"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// +kubebuilder:rbac:groups=flags.jackstaff.dev,resources=featureflags;flagenvironments;flagaudiences;flagevents,verbs=get;list;watch
// +kubebuilder:rbac:groups=flags.jackstaff.dev,resources=flagenvironments/status,verbs=patch
// +kubebuilder:rbac:groups="",resources=configmaps,verbs=get;list;watch;create;update;delete
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// nameTakenRetry is how often a taken name is looked at again: a ConfigMap that is not the operator's is not watched.
const nameTakenRetry = 30 * time.Second

// Reconciler compiles an environment and publishes its datafile.
type Reconciler struct {
	Client    client.Client
	Publisher *publish.Publisher
	Ledger    *topics.Ledger
	// Deliveries are what the delivery controller reports. This controller writes them, so that conditions have one
	// writer.
	Deliveries *topics.Deliveries
	Status     status.Patcher
	Clock      clock.PassiveClock

	changes *changes

	mu sync.Mutex
	// states are those of the environments that exist.
	states map[types.NamespacedName]*state
	// seen are the resource versions of served ConfigMaps in the last event of each, empty after a deletion.
	seen map[types.NamespacedName]string
}

// SetupWithManager registers the controller.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	r.changes = newChanges()
	r.states, r.seen = map[types.NamespacedName]*state{}, map[types.NamespacedName]string{}
	return ctrl.NewControllerManagedBy(mgr).
		For(&v1alpha1.FlagEnvironment{}, builder.WithPredicates(
			predicate.Or(
				predicate.GenerationChangedPredicate{},
				predicate.AnnotationChangedPredicate{},
				keysChanged(),
				conditionsChanged(),
				instancesChanged(),
			),
		)).
		Watches(&v1alpha1.FeatureFlag{}, r.changes.handler(flagSource)).
		Watches(&v1alpha1.FlagAudience{}, r.changes.handler(audienceSource)).
		Watches(&v1alpha1.FlagEvent{}, r.changes.handler(eventSource)).
		WatchesMetadata(&corev1.ConfigMap{}, r.datafileHandler()).
		WatchesRawSource(ctrlsource.Func(r.followDeliveries)).
		WithOptions(controller.Options{MaxConcurrentReconciles: 4}).
		Complete(r)
}

// keysChanged lets updates through that change what the served ConfigMap mirrors of the SDK keys.
func keysChanged() predicate.Predicate {
	keysOf := func(object client.Object) string {
		environment, _ := object.(*v1alpha1.FlagEnvironment)
		return publish.KeysOf(&environment.Status).Encode(nil, types.NamespacedName{})
	}
	return predicate.Funcs{
		UpdateFunc: func(e event.UpdateEvent) bool { return keysOf(e.ObjectOld) != keysOf(e.ObjectNew) },
	}
}

// conditionsChanged lets updates of the conditions through. What a reconcile computes may be equal to a status that the
// cache shows though it was patched a moment ago, and is then not written; once the cache shows the patch, it is.
func conditionsChanged() predicate.Predicate {
	conditionsOf := func(object client.Object) []metav1.Condition {
		environment, _ := object.(*v1alpha1.FlagEnvironment)
		return environment.Status.Conditions
	}
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		return !equality.Semantic.DeepEqual(conditionsOf(e.ObjectOld), conditionsOf(e.ObjectNew))
	}}
}

// instancesChanged lets updates through that bring reports of instances.
func instancesChanged() predicate.Predicate {
	instancesOf := func(object client.Object) []v1alpha1.Instance {
		environment, _ := object.(*v1alpha1.FlagEnvironment)
		return environment.Status.Instances
	}
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		return !equality.Semantic.DeepEqual(instancesOf(e.ObjectOld), instancesOf(e.ObjectNew))
	}}
}

// followDeliveries enqueues each environment whose copies the delivery controller reports on.
func (r *Reconciler) followDeliveries(
	_ context.Context,
	queue workqueue.TypedRateLimitingInterface[reconcile.Request],
) error {
	r.Deliveries.Subscribe(
		func(environment types.NamespacedName) { queue.Add(reconcile.Request{NamespacedName: environment}) },
	)
	return nil
}

// datafileHandler notes the resource version of each served ConfigMap and enqueues its environment.
func (r *Reconciler) datafileHandler() handler.EventHandler {
	note := func(object client.Object, resourceVersion string, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
		key, kind, found := ownership.Origin(object)
		if !found || kind != v1alpha1.DatafileServed {
			return
		}
		r.mu.Lock()
		r.seen[key] = resourceVersion
		r.mu.Unlock()
		queue.Add(reconcile.Request{NamespacedName: key})
	}
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			note(e.Object, e.Object.GetResourceVersion(), queue)
		},
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			note(e.ObjectNew, e.ObjectNew.GetResourceVersion(), queue)
		},
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			note(e.Object, "", queue)
		},
	}
}

// scope carries facts from phase to phase of one reconcile.
type scope struct {
	// environment is the object as it is in the cache. It is not changed.
	environment *v1alpha1.FlagEnvironment
	// state is what is kept of the environment between reconciles.
	state *state
	// now is when the reconcile began.
	now time.Time
	// problem is why what is wanted is not served, and nil where it is or where nothing keeps it back but time.
	problem error
	// hold is how long the publish has to wait for its pace.
	hold time.Duration
	// request is the publish request that this reconcile is to answer.
	request string
	// delivery is what the delivery controller has reported, and nil where it has not yet.
	delivery *topics.Delivery
	// unsealed are the names of history entries that are not the operator's.
	unsealed []string
}

// stopped reports whether a problem keeps what is wanted from being served.
func (s *scope) stopped() bool { return s.problem != nil }

// Reconcile compiles what changed, publishes it where it is to be published, and reports.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	environment := &v1alpha1.FlagEnvironment{}
	if err := r.Client.Get(ctx, request.NamespacedName, environment); err != nil {
		if apierrors.IsNotFound(err) {
			return ctrl.Result{}, r.forget(ctx, request.NamespacedName)
		}
		return ctrl.Result{}, fmt.Errorf("get environment: %w", err)
	}
	if !environment.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, nil
	}
	s := &scope{environment: environment, state: r.stateOf(request.NamespacedName), now: r.Clock.Now()}
	for _, phase := range []func(context.Context, *scope) error{r.load, r.compile, r.publish, r.prune} {
		if err := phase(ctx, s); isMistake(err) {
			s.problem = err // Retrying cannot help; what was published stays.
		} else if err != nil {
			s.state.reload = true
			return ctrl.Result{}, errors.Join(err, r.patchStatus(ctx, s, err))
		}
	}
	if s.hold > 0 {
		return ctrl.Result{RequeueAfter: s.hold}, nil
	}
	s.state.report(r.Ledger, request.NamespacedName, publishesByItself(environment))
	result := ctrl.Result{RequeueAfter: untilSilent(environment, s.now)}
	if taken := (*publish.NameTakenError)(nil); errors.As(s.problem, &taken) {
		result.RequeueAfter = nameTakenRetry
	}
	return result, r.patchStatus(ctx, s, s.problem)
}

// isMistake reports whether err is for a person to mend.
func isMistake(err error) bool {
	tooLarge, unreadable, taken := (*publish.TooLargeError)(
		nil,
	), (*publish.UnreadableError)(
		nil,
	), (*publish.NameTakenError)(
		nil,
	)
	tampered := (*ownership.TamperedError)(nil)
	return errors.As(err, &tooLarge) || errors.As(err, &unreadable) || errors.As(err, &taken) || errors.As(err, &tampered) ||
		errors.Is(err, publish.ErrRevisionNotFound) ||
		errors.Is(err, datafile.ErrUnknownVersion)
}

// stateOf returns what is kept of an environment, and marks it for reading again where an event shows that somebody
// else wrote.
func (r *Reconciler) stateOf(key types.NamespacedName) *state {
	r.mu.Lock()
	defer r.mu.Unlock()
	kept, ok := r.states[key]
	if !ok {
		kept = newState()
		r.states[key] = kept
	}
	if seen, ok := r.seen[key]; ok {
		delete(r.seen, key)
		kept.reload = kept.reload || kept.served != nil && kept.served.ResourceVersion() != seen
	}
	return kept
}

// forget drops what is kept of an environment that is gone, and its datafiles where their deletion policy says so.
func (r *Reconciler) forget(ctx context.Context, key types.NamespacedName) error {
	r.mu.Lock()
	delete(r.states, key)
	delete(r.seen, key)
	r.mu.Unlock()
	r.changes.forget(key)
	r.Ledger.Forget(key)
	return r.Publisher.Sweep(ctx, key)
}

// load reads what is served, where that is not known.
func (r *Reconciler) load(ctx context.Context, s *scope) error {
	kept := s.state
	renamed := kept.served != nil && kept.served.ResourceVersion() != "" &&
		!kept.served.Named(s.environment.DatafileName())
	if kept.served != nil && !kept.reload && !renamed {
		return nil
	}
	var known int64
	if kept.served != nil {
		known = kept.served.Revision
	}
	kept.reload = true
	served, err := r.Publisher.Load(ctx, s.environment, known)
	if err != nil {
		return err
	}
	kept.reload = false
	if kept.served != nil && served.Revision == 0 {
		served = kept.served.Lost(served) // Neither the ConfigMap nor its history is left; memory is.
	}
	kept.served = served
	if kept.compiled != nil {
		kept.compiled.SetPublished(served.Contents)
		kept.compareAll()
	}
	return nil
}

// compile brings the compiled environment up to date.
func (r *Reconciler) compile(ctx context.Context, s *scope) error {
	kept, key := s.state, client.ObjectKeyFromObject(s.environment)
	var err error
	isFirst := kept.compiled == nil
	if isFirst {
		err = r.compileAll(ctx, s)
	} else {
		err = r.compileChanges(ctx, s, key)
	}
	if err != nil {
		return err
	}
	changes := kept.compiled.Compile()
	for _, flagKey := range changes.Keys {
		kept.comparePart(flagKey)
		kept.unreported[flagKey] = struct{}{}
	}
	if isFirst {
		kept.compareAll()
	}
	if changes.Contents || isFirst {
		log.FromContext(ctx).V(4).Info("Compiled the environment", "flags", len(changes.Keys))
	}
	content := publish.Content{Contents: kept.compiled.Contents(), Flagd: kept.compiled.Flagd()}
	if changes.Contents || isFirst || s.environment.Generation != s.environment.Status.ObservedGeneration {
		kept.digest = content.Digest(s.environment.Spec.Datafile.Formats)
	}
	return nil
}

// compileAll sets every object of the namespace.
func (r *Reconciler) compileAll(ctx context.Context, s *scope) error {
	r.changes.follow(client.ObjectKeyFromObject(s.environment))
	flags, audiences, flagEvents := &v1alpha1.FeatureFlagList{}, &v1alpha1.FlagAudienceList{}, &v1alpha1.FlagEventList{}
	for _, list := range []client.ObjectList{flags, audiences, flagEvents} {
		// Compiling only reads, so that the cache's own objects will do.
		if err := r.Client.List(
			ctx,
			list,
			client.InNamespace(s.environment.Namespace),
			client.UnsafeDisableDeepCopy,
		); err != nil {
			return fmt.Errorf("list: %w", err)
		}
	}
	var published *datafile.Contents
	if s.state.served != nil {
		published = s.state.served.Contents
	}
	s.state.compiled = compile.NewEnvironment(s.environment.Name, published)
	for i := range flags.Items {
		s.state.compiled.SetFlag(&flags.Items[i])
	}
	for i := range audiences.Items {
		s.state.compiled.SetAudience(&audiences.Items[i])
	}
	for i := range flagEvents.Items {
		s.state.compiled.SetEvent(&flagEvents.Items[i])
	}
	return nil
}

// compileChanges sets and removes the objects that changed since the last time.
func (r *Reconciler) compileChanges(ctx context.Context, s *scope, key types.NamespacedName) error {
	taken := r.changes.take(key)
	for changed := range taken {
		if err := r.compileChange(ctx, s, changed); err != nil {
			r.changes.giveBack(key, taken)
			return err
		}
	}
	return nil
}

func (r *Reconciler) compileChange(ctx context.Context, s *scope, changed change) error {
	key := types.NamespacedName{Namespace: s.environment.Namespace, Name: changed.name}
	compiled := s.state.compiled
	switch changed.source {
	case flagSource:
		flag := &v1alpha1.FeatureFlag{}
		return setOrRemove(
			r.Client.Get(ctx, key, flag),
			func() { compiled.SetFlag(flag) },
			func() { compiled.RemoveFlag(changed.name) },
		)
	case audienceSource:
		audience := &v1alpha1.FlagAudience{}
		return setOrRemove(
			r.Client.Get(ctx, key, audience),
			func() { compiled.SetAudience(audience) },
			func() { compiled.RemoveAudience(changed.name) },
		)
	case eventSource:
		flagEvent := &v1alpha1.FlagEvent{}
		return setOrRemove(
			r.Client.Get(ctx, key, flagEvent),
			func() { compiled.SetEvent(flagEvent) },
			func() { compiled.RemoveEvent(changed.name) },
		)
	}
	return nil
}

func setOrRemove(err error, set, remove func()) error {
	switch {
	case err == nil:
		set()
	case apierrors.IsNotFound(err):
		remove()
	default:
		return fmt.Errorf("get: %w", err)
	}
	return nil
}

// publish serves what is to be served, and where that cannot be, what was served last.
func (r *Reconciler) publish(ctx context.Context, s *scope) error {
	if s.stopped() {
		return nil
	}
	err := r.serve(ctx, s)
	if isMistake(err) {
		if restoreErr := r.restore(ctx, s); restoreErr != nil {
			return restoreErr
		}
	}
	if err == nil && s.hold == 0 && s.request != "" {
		s.state.handledRequest = s.request
	}
	return err
}

func (r *Reconciler) serve(ctx context.Context, s *scope) error {
	kept, spec := s.state, &s.environment.Spec.Publish
	if spec.Revision != nil {
		if kept.served.Revision == *spec.Revision {
			return r.restore(ctx, s)
		}
		pinned, err := r.Publisher.Kept(ctx, s.environment, *spec.Revision, kept.served)
		if err != nil {
			return err
		}
		return r.take(ctx, s, pinned, r.Publisher.Serve(ctx, s.environment, pinned))
	}
	if !wantsPublish(s) {
		return r.restore(ctx, s)
	}
	if s.hold = kept.pace.wait(s.now); s.hold > 0 {
		return nil
	}
	kept.pace.published(s.now)
	served, err := r.Publisher.Publish(ctx, s.environment, kept.content(), kept.served)
	return r.take(ctx, s, served, err)
}

// wantsPublish reports whether what is compiled is to be published, and notes the request that asks for it. Where
// everything is published by itself, a request is answered as soon as that is done.
func wantsPublish(s *scope) bool {
	spec, kept := &s.environment.Spec.Publish, s.state
	if spec.Suspend {
		return false
	}
	request := s.environment.Annotations[v1alpha1.PublishRequestedAtAnnotation]
	if _, err := time.Parse(
		time.RFC3339,
		request,
	); err == nil && request != s.environment.Status.LastHandledPublishAt &&
		request != kept.handledRequest {
		s.request = request
	} else if spec.Mode == v1alpha1.PublishModeManual {
		return false
	}
	return kept.served.Revision == 0 || kept.served.Digest != kept.digest
}

// restore serves again what was served, where somebody has deleted or edited it.
func (r *Reconciler) restore(ctx context.Context, s *scope) error {
	served := s.state.served
	if served.Revision == 0 || served.Intact(s.environment) {
		return nil
	}
	log.FromContext(ctx).Info("Writing the datafile again", "revision", served.Revision)
	return r.Publisher.Serve(ctx, s.environment, served)
}

// take makes served what the state knows to be served.
func (r *Reconciler) take(ctx context.Context, s *scope, served *publish.Served, err error) error {
	if err != nil {
		return err
	}
	log.FromContext(ctx).Info("Published", "revision", served.Revision, "digest", served.Digest)
	s.state.take(served)
	return nil
}

// prune drops what the history keeps beyond its limit.
func (r *Reconciler) prune(ctx context.Context, s *scope) error {
	if s.stopped() || s.hold > 0 {
		return nil
	}
	return r.Publisher.Prune(ctx, s.environment, s.state.served.Revision)
}

// publishesByItself reports whether a change is published without anybody asking for it.
func publishesByItself(environment *v1alpha1.FlagEnvironment) bool {
	spec := &environment.Spec.Publish
	return spec.Mode != v1alpha1.PublishModeManual && !spec.Suspend && spec.Revision == nil
}
