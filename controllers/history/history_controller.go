// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package history moves change records from the objects that carry them into FlagChanges, and keeps these within their
// bounds.
package history

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/fairqueue"
	"github.com/jackstaff-dev/jackstaff/internal/history"
	"github.com/jackstaff-dev/jackstaff/internal/index"
)

// +kubebuilder:rbac:groups=flags.jackstaff.dev,resources=featureflags;flagenvironments;flagaudiences;flagevents,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch
// +kubebuilder:rbac:groups=flags.jackstaff.dev,resources=flagchanges,verbs=get;list;watch;create;patch;delete

const (
	// DefaultQuiet is how long records stay with their object after its last change, so that whoever edits it twice in a
	// row is not interrupted by the operator's own write.
	DefaultQuiet = 5 * time.Second

	// maxCarried is how long records stay at most with an object that changes again and again, in units of Quiet.
	maxCarried = 6

	// defaultLimit is how many detailed records are kept of an object whose spec does not say.
	defaultLimit = 25

	// grace is how long an admitted deletion may take to happen.
	grace = time.Minute
)

// Reconciler keeps the history of the objects of one Kind.
type Reconciler struct {
	// Client reads the objects from a cache, and writes.
	Client client.Client
	// Metadata reads the metadata of FlagChanges from a cache with the indexes of package index.
	Metadata client.Reader
	// Live reads from the API server.
	Live  client.Reader
	Clock clock.PassiveClock
	// Recorder records who did what to an environment.
	Recorder events.EventRecorder
	// Kind is the Kind of the objects.
	Kind v1alpha1.Kind
	// Quiet is how long records stay with their object after its last change. Zero moves them at once.
	Quiet time.Duration

	told told
}

// SetupWithManager registers the controller.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("history-"+strings.ToLower(r.Kind.Name)).
		For(r.Kind.New(), builder.WithPredicates(carriesRecordsOrGoes())).
		WatchesMetadata(&v1alpha1.FlagChange{}, handler.EnqueueRequestsFromMapFunc(r.subject)).
		WatchesMetadata(&corev1.ConfigMap{}, handler.EnqueueRequestsFromMapFunc(r.changedBy)).
		WithOptions(fairqueue.Options(2, 1)).
		Complete(r)
}

// carriesRecordsOrGoes passes objects that carry records, and those that are deleted.
func carriesRecordsOrGoes() predicate.Predicate {
	carries := func(object client.Object) bool { return object.GetAnnotations()[v1alpha1.ChangesAnnotation] != "" }
	return predicate.Funcs{
		CreateFunc: func(e event.CreateEvent) bool { return carries(e.Object) },
		UpdateFunc: func(e event.UpdateEvent) bool { return carries(e.ObjectNew) },
	}
}

// subject maps a FlagChange to the object whose history it belongs to.
func (r *Reconciler) subject(_ context.Context, change client.Object) []reconcile.Request {
	kind, name, is := history.Subject(change)
	if !is || kind != r.Kind.Name {
		return nil
	}
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: change.GetNamespace(), Name: name}}}
}

// scope carries facts from phase to phase of one reconcile.
type scope struct {
	key types.NamespacedName
	// object is the object as it is in the cache, and nil where it is gone. It is not changed.
	object v1alpha1.Object
	// uid is that of object, and empty where it is gone.
	uid types.UID
	// changes are the FlagChanges of all objects of that name, newest first.
	changes []metav1.PartialObjectMetadata
	// now is when the reconcile began.
	now time.Time
	// carries is true where records that are stored stay with the object too, so that none of them may be folded yet.
	carries bool
	// again is when something is to be looked at again, and zero where nothing is.
	again time.Time
}

// lookAgain notes that something is to be looked at at that time.
func (s *scope) lookAgain(at time.Time) {
	if s.again.IsZero() || at.Before(s.again) {
		s.again = at
	}
}

// Reconcile moves the records of one object, confirms or drops its deletion, and folds or removes FlagChanges that are
// out of bounds.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	s := &scope{key: request.NamespacedName, now: r.Clock.Now()}
	for _, phase := range []func(context.Context, *scope) error{r.read, r.move, r.settle, r.tellRevisions, r.expire, r.fold, r.trim} {
		if err := phase(ctx, s); err != nil {
			return ctrl.Result{}, err
		}
	}
	if s.again.IsZero() {
		return ctrl.Result{}, nil
	}
	return ctrl.Result{RequeueAfter: max(s.again.Sub(s.now), time.Second)}, nil
}

func (r *Reconciler) read(ctx context.Context, s *scope) error {
	object, err := r.get(ctx, r.Client, s.key)
	if err != nil {
		return err
	}
	if object != nil {
		s.object, s.uid = object, object.GetUID()
	}
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("FlagChangeList"))
	if err := r.Metadata.List(ctx, list, client.InNamespace(s.key.Namespace),
		client.MatchingFields{index.HistoryOf: index.HistoryKey(r.Kind.Name, s.key.Name)}); err != nil {
		return fmt.Errorf("list the history: %w", err)
	}
	s.changes = list.Items
	slices.SortFunc(s.changes, func(a, b metav1.PartialObjectMetadata) int {
		return cmp.Or(changedAt(&b).Compare(changedAt(&a)), cmp.Compare(b.Name, a.Name))
	})
	return nil
}

// get returns the object of that name, and nil where there is none.
func (r *Reconciler) get(ctx context.Context, reader client.Reader, key types.NamespacedName) (v1alpha1.Object, error) {
	object := r.Kind.New()
	if err := reader.Get(ctx, key, object); apierrors.IsNotFound(err) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("get the object: %w", err)
	}
	return object, nil
}

// move makes a FlagChange of each record that the object carries, and takes the records from the object only then. What
// is cut off in between is made again under the same name.
func (r *Reconciler) move(ctx context.Context, s *scope) error {
	// What is not known as it is stored is recorded once it is mended.
	if s.object == nil || v1alpha1.Undecodable(s.object) != "" ||
		s.object.GetAnnotations()[v1alpha1.ChangesAnnotation] == "" {
		return nil
	}
	records, err := history.Decode(s.object.GetAnnotations()[v1alpha1.ChangesAnnotation])
	if err != nil {
		log.FromContext(ctx).Error(err, "Ignoring malformed change records")
	}
	isTimed := isTimed(s.object, records)
	if !isTimed && len(s.object.GetAnnotations()[v1alpha1.ChangesAnnotation]) <= history.CrowdedAnnotationBytes {
		return nil
	}
	if at := r.due(s, records); at.After(s.now) {
		s.lookAgain(at)
		return nil
	}
	// What the status has not seen stays with the object too, and is stored before admission finds no place for it.
	s.carries = !isTimed
	if isStored, err := r.store(ctx, s, records); err != nil || !isStored || !isTimed {
		return err
	}
	return r.clear(ctx, s.object)
}

// store makes a FlagChange of each record that has none yet. It reports false where the namespace is being deleted.
func (r *Reconciler) store(ctx context.Context, s *scope, records []history.Record) (bool, error) {
	spec, err := json.Marshal(s.object.SpecValue())
	if err != nil {
		return false, err
	}
	of := history.ObjectOf(r.Kind.Name, s.object)
	stored := map[string]bool{}
	for i := range s.changes {
		stored[s.changes[i].Name] = true
	}
	for i := range records {
		if stored[records[i].ID] {
			continue
		}
		var after json.RawMessage
		if i == len(records)-1 {
			after = spec
		}
		change, err := history.NewChange(s.key.Namespace, of, v1alpha1.HistoryRecorded, &records[i], after)
		if err != nil {
			return false, err
		}
		err = r.Client.Create(ctx, change)
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return false, ignoreTerminating(
				fmt.Errorf("record change %q of %s %q: %w", records[i].ID, r.Kind.Name, s.key.Name, err),
			)
		}
		if err == nil {
			r.tell(s.object, &records[i])
		}
	}
	return true, nil
}

// due is when the records of an object are moved: some seconds after the last change, so that an edit is not followed
// at once by another write to the same object; but not for ever, and at once where they are many or the object goes.
func (r *Reconciler) due(s *scope, records []history.Record) time.Time {
	if len(records) == 0 || s.object.GetDeletionTimestamp() != nil ||
		len(s.object.GetAnnotations()[v1alpha1.ChangesAnnotation]) > history.CrowdedAnnotationBytes {
		return s.now
	}
	quiet, latest := records[len(records)-1].Time.Add(r.Quiet), records[0].Time.Add(maxCarried*r.Quiet)
	if latest.Before(quiet) {
		quiet = latest
	}
	// The clock of the replica that admitted the change may be ahead.
	if limit := s.now.Add(r.Quiet); quiet.After(limit) {
		return limit
	}
	return quiet
}

// clear takes all records from the object, unless it has changed since it was read, which is an event of its own.
func (r *Reconciler) clear(ctx context.Context, object client.Object) error {
	after, ok := object.DeepCopyObject().(client.Object)
	if !ok {
		return fmt.Errorf("%T is no object", object)
	}
	annotations := after.GetAnnotations()
	delete(annotations, v1alpha1.ChangesAnnotation)
	after.SetAnnotations(annotations)
	err := r.Client.Patch(ctx, after, client.MergeFromWithOptions(object, client.MergeFromWithOptimisticLock{}))
	if err == nil || apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return nil
	}
	return fmt.Errorf("take the records from the object: %w", err)
}

// ignoreTerminating drops the error of a namespace that takes nothing new because it goes, with its history.
func ignoreTerminating(err error) error {
	if apierrors.IsNotFound(err) || apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
		return nil
	}
	return err
}

// settle decides what becomes of admitted deletions: where the object is gone, the newest is recorded; where it lives
// on, none is.
func (r *Reconciler) settle(ctx context.Context, s *scope) error {
	isRequested := func(change metav1.PartialObjectMetadata) bool {
		return change.Labels[v1alpha1.HistoryLabel] == v1alpha1.HistoryRequested
	}
	if !slices.ContainsFunc(s.changes, isRequested) {
		return nil
	}
	// A cache that lags behind would take a deletion for one that has happened, or the other way round.
	live, err := r.get(ctx, r.Live, s.key)
	if err != nil {
		return err
	}
	recorded := map[string]bool{} // UIDs of objects whose deletion is recorded.
	for i := range s.changes {
		change := &s.changes[i]
		uid := change.Labels[v1alpha1.UIDLabel]
		lives := live != nil && string(live.GetUID()) == uid
		switch {
		case !isRequested(*change):
			continue
		case !lives && !recorded[uid]:
			recorded[uid] = true
			err = r.confirm(ctx, change)
		case lives && live.GetDeletionTimestamp() != nil:
			continue // A finalizer holds it. Its going is an event.
		case lives && s.now.Sub(change.CreationTimestamp.Time) < grace:
			s.lookAgain(change.CreationTimestamp.Add(grace))
		default:
			err = r.remove(ctx, change)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *Reconciler) confirm(ctx context.Context, change *metav1.PartialObjectMetadata) error {
	before := change.DeepCopy()
	change.Labels[v1alpha1.HistoryLabel] = v1alpha1.HistoryRecorded
	if err := r.Client.Patch(ctx, change, client.MergeFrom(before)); err != nil {
		return client.IgnoreNotFound(fmt.Errorf("record a deletion: %w", err))
	}
	return nil
}

func (r *Reconciler) remove(ctx context.Context, change *metav1.PartialObjectMetadata) error {
	if err := r.Client.Delete(ctx, change, client.Preconditions{UID: &change.UID}); err != nil {
		return client.IgnoreNotFound(fmt.Errorf("remove change %q from the history: %w", change.Name, err))
	}
	return nil
}

// isTimed reports whether an object's status has taken its times from the records, which then may go. A brake has no
// generation of its own.
func isTimed(object client.Object, records []history.Record) bool {
	flag, isFlag := object.(*v1alpha1.FeatureFlag)
	if !isFlag || flag.DeletionTimestamp != nil {
		return true
	}
	if len(records) > 0 {
		newest := metav1.NewTime(records[len(records)-1].Time.Truncate(time.Second))
		if flag.Status.LastChangedTime.Before(&newest) {
			return false
		}
	}
	return flag.Status.ObservedGeneration == flag.Generation
}

func limitOf(object client.Object) int {
	if flag, isFlag := object.(*v1alpha1.FeatureFlag); isFlag && flag.Spec.HistoryLimit != nil {
		return int(*flag.Spec.HistoryLimit)
	}
	return defaultLimit
}
