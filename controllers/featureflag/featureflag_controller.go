// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package featureflag reports what has become of each flag.
package featureflag

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/fairqueue"
	"github.com/jackstaff-dev/jackstaff/internal/index"
	"github.com/jackstaff-dev/jackstaff/internal/status"
	"github.com/jackstaff-dev/jackstaff/internal/topics"
	"github.com/jackstaff-dev/jackstaff/internal/validation"
)

// +kubebuilder:rbac:groups=flags.jackstaff.dev,resources=featureflags;flagenvironments;flagaudiences;flagevents,verbs=get;list;watch
// +kubebuilder:rbac:groups=flags.jackstaff.dev,resources=featureflags/status,verbs=patch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// patience is how long a changed flag waits for its environments to compile and publish it, before its status says that
// it is pending. It is longer than a publish is ever held back, so that an edit usually costs one write of status.
const patience = 2 * time.Second

// Reconciler keeps the status of flags.
type Reconciler struct {
	Client client.Client
	Ledger *topics.Ledger
	Status *status.Patcher
	Clock  clock.PassiveClock
	// StaleAfter is how long a flag must be unchanged to be stale.
	StaleAfter time.Duration

	// waiting is since when flags wait for their environments.
	waiting sync.Map // types.NamespacedName → time.Time
}

// SetupWithManager registers the controller.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(mgr).
		For(
			&v1alpha1.FeatureFlag{},
			builder.WithPredicates(predicate.Or(predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{})),
		).
		Watches(&v1alpha1.FeatureFlag{}, edited()).
		Watches(
			&v1alpha1.FeatureFlag{},
			handler.EnqueueRequestsFromMapFunc(r.flagsConcernedByFlag),
			builder.WithPredicates(requirableChanged()),
		).
		Watches(
			&v1alpha1.FlagEnvironment{},
			handler.EnqueueRequestsFromMapFunc(r.flagsOfNamespace),
			builder.WithPredicates(predicate.GenerationChangedPredicate{}),
		).
		Watches(
			&v1alpha1.FlagAudience{},
			handler.EnqueueRequestsFromMapFunc(r.flagsUsing(index.FlagAudiences)),
			builder.WithPredicates(existenceChanged()),
		).
		Watches(
			&v1alpha1.FlagEvent{},
			handler.EnqueueRequestsFromMapFunc(r.flagsUsing(index.FlagEvents)),
			builder.WithPredicates(existenceChanged()),
		).
		WatchesRawSource(source.Func(r.followLedger)).
		WithOptions(fairqueue.Options(4, 1)).
		Complete(r)
}

// followLedger enqueues each flag that an environment reports on.
func (r *Reconciler) followLedger(
	ctx context.Context,
	queue workqueue.TypedRateLimitingInterface[reconcile.Request],
) error {
	r.Ledger.Subscribe(func(key types.NamespacedName) {
		flag, priority := &v1alpha1.FeatureFlag{}, 0
		// Only read, and not copied, for each of a namespace's flags may be reported on. One that cannot be read is gone, or
		// the reconcile says what is wrong.
		if err := r.Client.Get(ctx, key, flag, client.UnsafeDisableDeepCopy); err == nil {
			priority = priorityOf(flag)
		}
		fairqueue.Add(queue, priority, reconcile.Request{NamespacedName: key})
	})
	return nil
}

// priorityOf is the priority of a report on a flag. A brake is reported first and an edit next: the reports of all other
// flags of the namespace can wait.
func priorityOf(flag *v1alpha1.FeatureFlag) int {
	hasNews := func(state v1alpha1.EnvironmentState) bool {
		return state.Wanted.ForceDisabled != flag.ForceDisabledIn(state.Name) ||
			state.Wanted.ForceDisabled && isServedOn(&state)
	}
	switch {
	case slices.ContainsFunc(flag.Status.Environments, hasNews):
		return fairqueue.BrakePriority
	case flag.Generation != flag.Status.ObservedGeneration:
		return fairqueue.EditPriority
	}
	return 0
}

// edited asks for the reports on flags that somebody edits.
func edited() handler.Funcs {
	return handler.Funcs{UpdateFunc: func(
		_ context.Context, e event.UpdateEvent, queue workqueue.TypedRateLimitingInterface[reconcile.Request],
	) {
		if flag, is := e.ObjectNew.(*v1alpha1.FeatureFlag); is {
			if priority := priorityOf(flag); priority > 0 {
				fairqueue.Add(queue, priority, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(flag)})
			}
		}
	}}
}

// existenceChanged passes objects that are created or deleted.
func existenceChanged() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(event.UpdateEvent) bool { return false }}
}

// requirableChanged passes flags of which others can require something else than before: those that are created,
// deleted, archived or restored, and those whose variations have other keys.
func requirableChanged() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, isFlag := e.ObjectOld.(*v1alpha1.FeatureFlag)
		after, alsoFlag := e.ObjectNew.(*v1alpha1.FeatureFlag)
		sameKey := func(a, b v1alpha1.Variation) bool { return a.Key == b.Key }
		return isFlag && alsoFlag && (before.Spec.Archived != after.Spec.Archived ||
			!slices.EqualFunc(before.Spec.Variations, after.Spec.Variations, sameKey))
	}}
}

// flagsConcernedByFlag are the other flags with the same key, and those that require it.
func (r *Reconciler) flagsConcernedByFlag(ctx context.Context, object client.Object) []reconcile.Request {
	flag, ok := object.(*v1alpha1.FeatureFlag)
	if !ok {
		return nil
	}
	key := flag.Key()
	return append(r.find(ctx, flag.Namespace, client.MatchingFields{index.FlagKey: key}),
		r.find(ctx, flag.Namespace, client.MatchingFields{index.FlagPrerequisites: key})...)
}

// flagsUsing returns a function that maps an audience or event to the flags that name it.
func (r *Reconciler) flagsUsing(index string) handler.MapFunc {
	return func(ctx context.Context, object client.Object) []reconcile.Request {
		name := object.GetName()
		if flagEvent, ok := object.(*v1alpha1.FlagEvent); ok {
			name = flagEvent.Key()
		}
		return r.find(ctx, object.GetNamespace(), client.MatchingFields{index: name})
	}
}

// flagsOfNamespace are all flags: an environment came, went or was changed, which is rare.
func (r *Reconciler) flagsOfNamespace(ctx context.Context, object client.Object) []reconcile.Request {
	return r.find(ctx, object.GetNamespace())
}

func (r *Reconciler) find(ctx context.Context, namespace string, options ...client.ListOption) []reconcile.Request {
	flags := &v1alpha1.FeatureFlagList{}
	options = append(options, client.InNamespace(namespace), client.UnsafeDisableDeepCopy) // Only names are read.
	if err := r.Client.List(ctx, flags, options...); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Cannot list the flags that a change concerns")
		return nil
	}
	requests := make([]reconcile.Request, len(flags.Items))
	for i := range flags.Items {
		requests[i].NamespacedName = client.ObjectKeyFromObject(&flags.Items[i])
	}
	return requests
}

// scope carries facts from phase to phase of one reconcile.
type scope struct {
	// flag is the object as it is in the cache. It is not changed.
	flag *v1alpha1.FeatureFlag
	// now is when the reconcile began.
	now time.Time
	// environments are those of the namespace, in the order of display, with what they have made of the flag.
	environments []environment
	// mistakes are what is wrong with the flag by itself.
	mistakes field.ErrorList
	// findings are what is to be warned of about the flag among the other objects of its namespace.
	findings []validation.Finding
}

// environment is a FlagEnvironment with what it has made of the flag.
type environment struct {
	*v1alpha1.FlagEnvironment

	// facts hold for all flags of the environment.
	facts topics.Environment
	// entry is what it has made of this flag.
	entry topics.Entry
	// known is false where the environment has not compiled the flag's generation yet.
	known bool
	// unreported is true where the environment has said nothing of the flag since the operator started.
	unreported bool
	// missing is true where the flag names an environment that does not exist; the object has no more than the name.
	missing bool
}

// Reconcile gathers what environments, other flags and references say of the flag, and reports it.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	flag := &v1alpha1.FeatureFlag{}
	if err := r.Client.Get(ctx, request.NamespacedName, flag); err != nil {
		if apierrors.IsNotFound(err) {
			r.waiting.Delete(request.NamespacedName)
			r.Ledger.ForgetFlag(request.NamespacedName)
			return ctrl.Result{}, nil
		}
		return ctrl.Result{}, fmt.Errorf("get flag: %w", err)
	}
	if !flag.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, nil
	}
	s := &scope{flag: flag, now: r.Clock.Now()}
	for _, phase := range []func(context.Context, *scope) error{r.readEnvironments, r.validate} {
		if err := phase(ctx, s); err != nil {
			return ctrl.Result{}, err
		}
	}
	if wait := r.wait(s); wait > 0 {
		return ctrl.Result{RequeueAfter: wait}, nil
	}
	after := flag.DeepCopy()
	computeStatus(s, r.StaleAfter, &after.Status)
	wait, err := r.Status.Report(ctx, status.Change{
		Before: flag, After: after, Was: flag.Status.Conditions, Is: after.Status.Conditions,
		Urgency: urgencyOf(&flag.Status, &after.Status),
	}, s.now)
	if err != nil || wait > 0 {
		return ctrl.Result{RequeueAfter: wait}, err
	}
	r.tellLastGood(flag, after)
	return ctrl.Result{RequeueAfter: nextLook(s, &after.Status, r.StaleAfter)}, nil
}

// readEnvironments reads the environments of the namespace and what they have made of the flag.
func (r *Reconciler) readEnvironments(ctx context.Context, s *scope) error {
	list := &v1alpha1.FlagEnvironmentList{}
	if err := r.Client.List(ctx, list, client.InNamespace(s.flag.Namespace)); err != nil {
		return fmt.Errorf("list environments: %w", err)
	}
	slices.SortFunc(list.Items, func(a, b v1alpha1.FlagEnvironment) int {
		return cmp.Or(cmp.Compare(a.Spec.Order, b.Spec.Order), cmp.Compare(a.Name, b.Name))
	})
	for i := range list.Items {
		found := environment{FlagEnvironment: &list.Items[i]}
		found.facts, found.entry, found.known = r.Ledger.Read(client.ObjectKeyFromObject(found), s.flag.Name)
		found.unreported = !found.known
		found.known = found.known && found.entry.Outcome.Generation == s.flag.Generation
		s.environments = append(s.environments, found)
	}
	for _, name := range s.flag.NamedEnvironments() {
		if !slices.ContainsFunc(s.environments, func(e environment) bool { return e.Name == name }) {
			missing := &v1alpha1.FlagEnvironment{}
			missing.Name = name
			s.environments = append(s.environments, environment{FlagEnvironment: missing, missing: true})
		}
	}
	return nil
}

// validate applies the rules of admission, which an object may break that was stored before they were made, or before
// what it refers to was deleted.
func (r *Reconciler) validate(ctx context.Context, s *scope) error {
	s.mistakes = validation.FeatureFlag(s.flag)
	var err error
	s.findings, err = validation.FeatureFlagFindings(
		ctx,
		index.Namespace{Reader: r.Client, Name: s.flag.Namespace},
		nil,
		nil,
		s.flag,
	)
	return err
}

// wait is how long to wait for environments that have not compiled the flag yet, and 0 once all have or patience is at
// its end.
func (r *Reconciler) wait(s *scope) time.Duration {
	key := client.ObjectKeyFromObject(s.flag)
	compiles := func(e environment) bool { return !e.known && !e.missing && !e.IsElsewhere() }
	if !slices.ContainsFunc(s.environments, compiles) {
		r.waiting.Delete(key)
		return 0
	}
	since, _ := r.waiting.LoadOrStore(key, s.now)
	begun, ok := since.(time.Time)
	if elapsed := s.now.Sub(begun); ok && elapsed >= 0 && elapsed < patience {
		return patience - elapsed
	}
	return 0
}
