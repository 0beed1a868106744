// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package flagenvironment compiles and publishes environments.
package flagenvironment

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	ctrlsource "sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/budget"
	"github.com/jackstaff-dev/jackstaff/internal/fairqueue"
	"github.com/jackstaff-dev/jackstaff/internal/history"
	"github.com/jackstaff-dev/jackstaff/internal/publish"
	"github.com/jackstaff-dev/jackstaff/internal/status"
	"github.com/jackstaff-dev/jackstaff/internal/topics"
	"github.com/jackstaff-dev/jackstaff/internal/validation"
)

// +kubebuilder:rbac:groups=flags.jackstaff.dev,resources=featureflags;flagenvironments;flagaudiences;flagevents,verbs=get;list;watch
// +kubebuilder:rbac:groups=flags.jackstaff.dev,resources=flagenvironments/status,verbs=patch
// +kubebuilder:rbac:groups="",resources=configmaps,verbs=get;list;watch;create;update;delete
// +kubebuilder:rbac:groups=admissionregistration.k8s.io,resources=validatingadmissionpolicies;validatingadmissionpolicybindings,resourceNames=jackstaff-datafiles,verbs=get
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// nameTakenRetry is how often a taken name is looked at again: a ConfigMap that is not the operator's is not watched.
const nameTakenRetry = 30 * time.Second

// conflictRetry is how long to wait where somebody else has written the served ConfigMap meanwhile.
const conflictRetry = 100 * time.Millisecond

// Reconciler compiles an environment and publishes its datafile.
type Reconciler struct {
	Client client.Client
	// Metadata reads the metadata of FlagChanges from a cache with the indexes of package index.
	Metadata client.Reader
	// Live reads from the API server.
	Live      client.Reader
	Publisher *publish.Publisher
	Ledger    *topics.Ledger
	// Deliveries are what the delivery controller reports. This controller writes them, so that conditions have one
	// writer.
	Deliveries *topics.Deliveries
	Status     *status.Patcher
	Clock      clock.PassiveClock
	// Budgets say which namespaces store too much to be published. Nil means that there is no limit.
	Budgets *budget.Ledger
	// WatchProblem says which watches are not alive, and nothing where all are. Nil means that nobody knows.
	WatchProblem func() string

	changes  *changes
	states   *states
	projects *projects
	volumes  *volumes
}

// SetupWithManager registers the controller.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	r.changes, r.states, r.projects, r.volumes = newChanges(), newStates(), newProjects(), newVolumes()
	return ctrl.NewControllerManagedBy(mgr).
		For(&v1alpha1.FlagEnvironment{}, builder.WithPredicates(
			predicate.Or(
				predicate.GenerationChangedPredicate{},
				predicate.AnnotationChangedPredicate{},
				deletionBegan(),
				keysChanged(),
				conditionsChanged(),
				instancesChanged(),
			),
		)).
		Watches(&v1alpha1.FeatureFlag{}, r.changes.handler(flagSource, r.projects.refresh)).
		Watches(&v1alpha1.FlagAudience{}, r.changes.handler(audienceSource, r.projects.refresh)).
		Watches(&v1alpha1.FlagEvent{}, r.changes.handler(eventSource, r.projects.refresh)).
		WatchesMetadata(&corev1.ConfigMap{}, r.datafileHandler()).
		WatchesRawSource(ctrlsource.Func(r.followDeliveries)).
		WatchesRawSource(ctrlsource.Func(r.followBudgets)).
		WatchesRawSource(ctrlsource.Func(r.followWatches)).
		WithOptions(fairqueue.Options(4, 2)).
		Complete(r)
}

// scope carries facts from phase to phase of one reconcile.
type scope struct {
	// environment is the object as it is in the cache. It is not changed.
	environment *v1alpha1.FlagEnvironment
	// state is what is remembered of the environment between reconciles.
	state *state
	// now is when the reconcile began.
	now time.Time
	// problem is why what is wanted is not served, and nil where it is or where only time keeps it back.
	problem error
	// isBehind is true while a publish request, or the end of a break glass, is newer than what the watches have shown.
	isBehind bool
	// hold is how long the publish has to wait for its pace.
	hold time.Duration
	// settles is how long the status is held back, and zero where it is written.
	settles time.Duration
	// delivery is what the delivery controller has reported, and nil where it has not yet.
	delivery *topics.Delivery
	// unsealed are the names of history entries that are not the operator's.
	unsealed []string
	// watchProblem says which watches are not alive, and is empty where all are.
	watchProblem string
	// deletedEvents are the admitted deletions of events, and nil until somebody asks.
	deletedEvents *history.Deletions
}

// stopped reports whether a problem keeps what is wanted from being served.
func (s *scope) stopped() bool { return s.problem != nil }

// facts are what is known for the choice of what to serve.
func (s *scope) facts() facts {
	request, requestedDigest := unansweredRequest(s.environment, s.state.handledRequest), ""
	if waiting := s.state.waiting; waiting != nil && waiting.RequestedAt == request {
		requestedDigest = waiting.Digest
	}
	if s.isBehind && requestedDigest == "" {
		request = ""
	}
	return facts{
		spec:           s.environment.Spec.Publish.At(s.now),
		revision:       s.state.revision(),
		digest:         s.state.served.Digest,
		pinned:         s.state.served.PinnedRevision,
		pinAgain:       validation.PinAgain(s.environment),
		breakGlass:     s.state.served.BreakGlass != nil,
		endedUnseen:    s.isBehind && s.state.endedGlass != "",
		braked:         len(s.state.braked) > 0,
		intact:         s.state.served.Intact(s.environment),
		compiledDigest: s.state.digest,
		request:        request, requestedDigest: requestedDigest,
		wait:        s.state.pace.wait(s.now),
		restoreWait: s.state.restores.pace.wait(s.now),
	}
}

// Reconcile compiles what changed, publishes it where it is to be published, and reports.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	environment := &v1alpha1.FlagEnvironment{}
	if err := r.Client.Get(ctx, request.NamespacedName, environment); err != nil {
		if apierrors.IsNotFound(err) {
			return ctrl.Result{}, r.forget(ctx, request.NamespacedName)
		}
		return ctrl.Result{}, fmt.Errorf("get environment: %w", err)
	}
	if environment.IsElsewhere() {
		r.drop(request.NamespacedName)
		return r.patchElsewhere(ctx, environment)
	}
	s := &scope{environment: environment, state: r.states.of(request.NamespacedName), now: r.Clock.Now()}
	if r.WatchProblem != nil {
		s.watchProblem = r.WatchProblem()
	}
	s.state.records.see(environmentKind, environment.Name, environment)
	for _, phase := range []func(context.Context, *scope) error{r.load, r.catchUp, r.compile, r.publish, r.prune} {
		switch err := phase(ctx, s); {
		case publish.ProblemOf(err) != nil:
			s.problem = err
		case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause), errors.Is(err, publish.ErrNamespaceGone):
			return ctrl.Result{}, nil // The namespace is deleted, with everything that it serves.
		case apierrors.IsConflict(err):
			s.state.reload = true // Somebody else writes at the same time, which is no failure.
			return ctrl.Result{RequeueAfter: conflictRetry}, nil
		case err != nil:
			s.state.reload = true
			r.recordUnread(s)
			return ctrl.Result{}, errors.Join(err, r.patchStatus(ctx, s, err))
		}
	}
	if s.hold > 0 {
		return ctrl.Result{RequeueAfter: s.hold}, nil
	}
	s.state.records.drop(s.state.pending, s.state.isServed(), s.state.keeps, s.now)
	s.state.report(r.Ledger, request.NamespacedName)
	result := ctrl.Result{RequeueAfter: sooner(untilSilent(environment, s.now), untilThaw(environment, s.now))}
	// Nor does anybody tell that the other environments of the namespace have come to serve less.
	if publish.HasReason(s.problem, v1alpha1.NameTakenReason) || publish.HasReason(s.problem, v1alpha1.OverBudgetReason) {
		result.RequeueAfter = nameTakenRetry
	}
	err := r.patchStatus(ctx, s, s.problem)
	result.RequeueAfter = sooner(sooner(result.RequeueAfter, s.settles), s.state.room.wait(s.now))
	if s.isBehind {
		result.RequeueAfter = sooner(result.RequeueAfter, catchUpPoll)
	}
	return result, err
}

// forget drops an environment that is gone, and its datafiles where their deletion policy says so.
func (r *Reconciler) forget(ctx context.Context, key types.NamespacedName) error {
	r.drop(key)
	// An environment that was lost, such as with its CRD, leaves its datafiles to workloads.
	if isMeant, err := history.WasDeleted(ctx, r.Live, key.Namespace, environmentKind, key.Name); err != nil || !isMeant {
		return err
	}
	return r.Publisher.Sweep(ctx, key)
}

// drop drops what is remembered of an environment that is gone or that another cluster serves.
func (r *Reconciler) drop(key types.NamespacedName) {
	r.states.forget(key)
	r.volumes.forget(key)
	if last := r.changes.forget(key); last {
		r.projects.forget(key.Namespace)
	}
	r.Ledger.Forget(key)
}
