// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package history moves change records from the objects that carry them into ControllerRevisions, and keeps these
// within their bounds.
package history

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/history"
	"github.com/jackstaff-dev/jackstaff/internal/index"
)

// +kubebuilder:rbac:groups=flags.jackstaff.dev,resources=featureflags;flagenvironments;flagaudiences,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=apps,resources=controllerrevisions,verbs=list;watch;create;patch;delete

const (
	// defaultLimit is how many revisions are kept of an object whose spec does not say.
	defaultLimit = 25

	// grace is how long an admitted deletion may take to happen.
	grace = time.Minute
)

// Reconciler keeps the history of the objects of one Kind.
type Reconciler struct {
	// Client reads the objects from a cache, and writes.
	Client client.Client
	// Metadata reads the metadata of ControllerRevisions from a cache with the indexes of package indexes.
	Metadata client.Reader
	// Live reads from the API server.
	Live  client.Reader
	Clock clock.PassiveClock
	// Object is an empty object of the Kind: a FeatureFlag, FlagEnvironment or FlagAudience.
	Object client.Object

	kind string
}

// SetupWithManager registers the controller.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	gvk, err := apiutil.GVKForObject(r.Object, mgr.GetScheme())
	if err != nil {
		return err
	}
	r.kind = gvk.Kind
	return ctrl.NewControllerManagedBy(mgr).
		Named("history-"+strings.ToLower(r.kind)).
		For(r.Object, builder.WithPredicates(carriesRecordsOrGoes())).
		WatchesMetadata(&appsv1.ControllerRevision{}, handler.EnqueueRequestsFromMapFunc(r.subject)).
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

// subject maps a revision to the object whose history it belongs to.
func (r *Reconciler) subject(_ context.Context, revision client.Object) []reconcile.Request {
	kind, name, is := history.Subject(revision)
	if !is || kind != r.kind {
		return nil
	}
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: revision.GetNamespace(), Name: name}}}
}

// scope carries facts from phase to phase of one reconcile.
type scope struct {
	key types.NamespacedName
	// object is the object as it is in the cache, and nil where it is gone. It is not changed.
	object client.Object
	// uid is that of object, and empty where it is gone.
	uid types.UID
	// revisions are those of all objects of that name, newest first.
	revisions []metav1.PartialObjectMetadata
	// now is when the reconcile began.
	now time.Time
	// again is when something is to be looked at again, and zero where nothing is.
	again time.Time
}

// lookAgain notes that something is to be looked at at that time.
func (s *scope) lookAgain(at time.Time) {
	if s.again.IsZero() || at.Before(s.again) {
		s.again = at
	}
}

// Reconcile moves the records of one object, confirms or drops its deletion, and removes revisions that are out of
// bounds.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	s := &scope{key: request.NamespacedName, now: r.Clock.Now()}
	for _, phase := range []func(context.Context, *scope) error{r.read, r.move, r.settle, r.prune} {
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
	list.SetGroupVersionKind(appsv1.SchemeGroupVersion.WithKind("ControllerRevisionList"))
	if err := r.Metadata.List(ctx, list, client.InNamespace(s.key.Namespace),
		client.MatchingFields{index.HistoryOf: index.HistoryKey(r.kind, s.key.Name)}); err != nil {
		return fmt.Errorf("list the history: %w", err)
	}
	s.revisions = list.Items
	slices.SortFunc(s.revisions, func(a, b metav1.PartialObjectMetadata) int {
		return cmp.Or(changedAt(&b).Compare(changedAt(&a)), cmp.Compare(b.Name, a.Name))
	})
	return nil
}

// get returns the object of that name, and nil where there is none.
func (r *Reconciler) get(ctx context.Context, reader client.Reader, key types.NamespacedName) (client.Object, error) {
	object, ok := r.Object.DeepCopyObject().(client.Object)
	if !ok {
		return nil, fmt.Errorf("%T is no object", r.Object)
	}
	if err := reader.Get(ctx, key, object); apierrors.IsNotFound(err) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("get the object: %w", err)
	}
	return object, nil
}

// move makes a revision of each record that the object carries, and takes the records from the object only then. What
// is cut off in between is made again under the same name.
func (r *Reconciler) move(ctx context.Context, s *scope) error {
	if s.object == nil || s.object.GetAnnotations()[v1alpha1.ChangesAnnotation] == "" || !isTimed(s.object) {
		return nil
	}
	records, err := history.Decode(s.object.GetAnnotations()[v1alpha1.ChangesAnnotation])
	if err != nil {
		log.FromContext(ctx).Error(err, "Dropping what is no history")
	}
	spec, err := specOf(s.object)
	if err != nil {
		return err
	}
	for i := max(0, len(records)-limitOf(s.object)); i < len(records); i++ {
		contents := history.Contents{Records: records[i : i+1]}
		if i == len(records)-1 {
			contents.Spec = spec
		}
		revision, err := history.NewRevision(r.kind, s.object, v1alpha1.HistoryRecorded, contents)
		if err != nil {
			return err
		}
		if err := r.Client.Create(ctx, revision); err != nil && !apierrors.IsAlreadyExists(err) {
			return ignoreTerminating(fmt.Errorf("move record %q: %w", records[i].ID, err))
		}
	}
	return r.clear(ctx, s.object)
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
	isRequested := func(revision metav1.PartialObjectMetadata) bool {
		return revision.Labels[v1alpha1.HistoryLabel] == v1alpha1.HistoryRequested
	}
	if !slices.ContainsFunc(s.revisions, isRequested) {
		return nil
	}
	// A cache that lags behind would take a deletion for one that has happened, or the other way round.
	live, err := r.get(ctx, r.Live, s.key)
	if err != nil {
		return err
	}
	recorded := map[string]bool{} // UIDs of objects whose deletion is recorded.
	for i := range s.revisions {
		revision := &s.revisions[i]
		uid := revision.Labels[v1alpha1.UIDLabel]
		lives := live != nil && string(live.GetUID()) == uid
		switch {
		case !isRequested(*revision):
			continue
		case !lives && !recorded[uid]:
			recorded[uid] = true
			err = r.confirm(ctx, revision)
		case lives && live.GetDeletionTimestamp() != nil:
			continue // A finalizer holds it. Its going is an event.
		case lives && s.now.Sub(revision.CreationTimestamp.Time) < grace:
			s.lookAgain(revision.CreationTimestamp.Add(grace))
		default:
			err = r.remove(ctx, revision)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *Reconciler) confirm(ctx context.Context, revision *metav1.PartialObjectMetadata) error {
	before := revision.DeepCopy()
	revision.Labels[v1alpha1.HistoryLabel] = v1alpha1.HistoryRecorded
	if err := r.Client.Patch(ctx, revision, client.MergeFrom(before)); err != nil {
		return client.IgnoreNotFound(fmt.Errorf("record a deletion: %w", err))
	}
	return nil
}

func (r *Reconciler) remove(ctx context.Context, revision *metav1.PartialObjectMetadata) error {
	if err := r.Client.Delete(ctx, revision, client.Preconditions{UID: &revision.UID}); err != nil {
		return client.IgnoreNotFound(fmt.Errorf("remove revision %q of the history: %w", revision.Name, err))
	}
	return nil
}

// prune removes what the object may not keep, and what objects that are gone have left for long enough.
func (r *Reconciler) prune(ctx context.Context, s *scope) error {
	kept, size := 0, 0
	expires := map[string]time.Time{} // By UID.
	for i := range s.revisions {
		revision := &s.revisions[i]
		uid := revision.Labels[v1alpha1.UIDLabel]
		if revision.Labels[v1alpha1.HistoryLabel] != v1alpha1.HistoryRecorded {
			continue
		}
		var isOver bool
		if s.object != nil && uid == string(s.uid) {
			bytes, err := strconv.Atoi(revision.Annotations[v1alpha1.BytesAnnotation])
			if err != nil {
				bytes = 0 // Somebody has removed the annotation. Counting bounds the history all the same.
			}
			kept, size = kept+1, size+bytes
			isOver = kept > limitOf(s.object) || kept > 1 && size > history.MaxStoredBytes
		} else {
			if _, has := expires[uid]; !has {
				expires[uid] = changedAt(revision).Add(history.Retention)
			}
			if isOver = !s.now.Before(expires[uid]); !isOver {
				s.lookAgain(expires[uid])
			}
		}
		if isOver {
			if err := r.remove(ctx, revision); err != nil {
				return err
			}
		}
	}
	return nil
}

// changedAt is the time of a revision's change. A revision whose annotation somebody has removed is as old as itself.
func changedAt(revision *metav1.PartialObjectMetadata) time.Time {
	at, err := time.Parse(metav1.RFC3339Micro, revision.Annotations[v1alpha1.ChangedAtAnnotation])
	if err != nil {
		return revision.CreationTimestamp.Time
	}
	return at
}

// isTimed reports whether an object's status has taken its times from the records, which then may go.
func isTimed(object client.Object) bool {
	flag, isFlag := object.(*v1alpha1.FeatureFlag)
	return !isFlag || flag.Status.ObservedGeneration == flag.Generation || flag.DeletionTimestamp != nil
}

func limitOf(object client.Object) int {
	if flag, isFlag := object.(*v1alpha1.FeatureFlag); isFlag && flag.Spec.HistoryLimit != nil {
		return int(*flag.Spec.HistoryLimit)
	}
	return defaultLimit
}

func specOf(object client.Object) (json.RawMessage, error) {
	var spec any
	switch object := object.(type) {
	case *v1alpha1.FeatureFlag:
		spec = object.Spec
	case *v1alpha1.FlagEnvironment:
		spec = object.Spec
	case *v1alpha1.FlagAudience:
		spec = object.Spec
	}
	data, err := json.Marshal(spec)
	if err != nil {
		return nil, fmt.Errorf("encode the spec: %w", err)
	}
	return data, nil
}
