// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package refresh makes kubelet look at a new revision at once: it patches an annotation of the pods that mount the
// datafile, because kubelet syncs a pod whose metadata changes, and otherwise only on its next round.
package refresh

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/flowcontrol"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/fairqueue"
	"github.com/jackstaff-dev/jackstaff/internal/index"
	"github.com/jackstaff-dev/jackstaff/internal/mounts"
	"github.com/jackstaff-dev/jackstaff/internal/ownership"
)

const (
	// patchesPerSecond and patchBurst limit what all environments together ask of the API server and of kubelets.
	patchesPerSecond, patchBurst = 50, 200

	// batch is how many pods one reconcile patches before the next datafile has its turn.
	batch = 100

	// patchers is how many pods of a batch are patched at the same time.
	patchers = 8

	// batchPause is how long the next batch of the same datafile waits, so that the cache shows the pods that were
	// patched.
	batchPause = 20 * time.Millisecond

	// rightsRetry is how often a datafile is looked at again while the operator may not see pods, and forbiddenRetry while
	// it sees them and may not patch them.
	rightsRetry, forbiddenRetry = 10 * time.Second, 5 * time.Minute

	// maxNamed is how many pods an event names.
	maxNamed = 10

	// syncRetry is how often a datafile is looked at again while pods are read for the first time.
	syncRetry = 500 * time.Millisecond
)

// Reconciler refreshes the pods that mount one served datafile or one copy. It never writes anything but that
// annotation of pods. There are no RBAC markers for pods, because the rights come with config/refresh-pods, where an
// administrator wants them.
type Reconciler struct {
	Client client.Client
	// Metadata reads the metadata of the operator's ConfigMaps from a cache with the indexes of package indexes.
	Metadata client.Reader
	Recorder events.EventRecorder
	// Namespaces are those whose pods may be refreshed. Empty means all.
	Namespaces []string

	// pods is a cache of its own, so that missing rights on pods hold up nothing else.
	pods      cache.Cache
	hasSynced func() bool
	limiter   flowcontrol.RateLimiter
	// isForbidden is true while the operator may not list and watch pods.
	isForbidden atomic.Bool
	said        notices
}

// SetupWithManager registers the controller and its cache of pods, which only the leader fills.
//
// A cache of trimmed pods takes about a kilobyte for each pod of the cluster. Listing a namespace's pods at each
// publish would take none, but with a few thousand pods in a namespace the list alone takes longer than the second in
// which pods are to be refreshed.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	var err error
	in := map[string]cache.Config{}
	for _, name := range r.Namespaces {
		in[name] = cache.Config{}
	}
	r.pods, err = cache.New(mgr.GetConfig(), cache.Options{
		DefaultNamespaces: in,
		HTTPClient:        mgr.GetHTTPClient(), Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper(),
		DefaultTransform: trim, DefaultWatchErrorHandler: r.noteWatchError,
	})
	if err != nil {
		return fmt.Errorf("make a cache of pods: %w", err)
	}
	ctx := context.Background() // Neither call waits for anything before the cache starts.
	if err := r.pods.IndexField(ctx, &corev1.Pod{}, mountedDatafiles, indexMounted); err != nil {
		return fmt.Errorf("index pods: %w", err)
	}
	informer, err := r.pods.GetInformer(ctx, &corev1.Pod{}, cache.BlockUntilSynced(false))
	if err != nil {
		return fmt.Errorf("watch pods: %w", err)
	}
	r.hasSynced = informer.HasSynced
	r.limiter = flowcontrol.NewTokenBucketRateLimiter(patchesPerSecond, patchBurst)
	if err := mgr.Add(manager.RunnableFunc(r.pods.Start)); err != nil {
		return fmt.Errorf("add a cache of pods: %w", err)
	}
	return ctrl.NewControllerManagedBy(mgr).
		Named("refresh").
		WatchesMetadata(&corev1.ConfigMap{}, &handler.EnqueueRequestForObject{}, builder.WithPredicates(revisionChanged())).
		Watches(
			&v1alpha1.FlagEnvironment{},
			handler.EnqueueRequestsFromMapFunc(r.datafiles),
			builder.WithPredicates(predicate.GenerationChangedPredicate{}),
		).
		WithOptions(fairqueue.Options(4, 1)).
		Complete(r)
}

// revisionChanged lets only events through after which pods may have to look again.
func revisionChanged() predicate.Predicate {
	revision := func(object client.Object) string { return object.GetAnnotations()[v1alpha1.RevisionAnnotation] }
	isMounted := predicate.NewPredicateFuncs(func(object client.Object) bool {
		kind := object.GetLabels()[v1alpha1.DatafileLabel]
		return kind == v1alpha1.DatafileServed || kind == v1alpha1.DatafileCopy
	})
	return predicate.And(isMounted, predicate.Funcs{
		UpdateFunc: func(e event.UpdateEvent) bool { return revision(e.ObjectOld) != revision(e.ObjectNew) },
	})
}

// datafiles are the served ConfigMap of an environment and its copies.
func (r *Reconciler) datafiles(ctx context.Context, object client.Object) []reconcile.Request {
	environment, ok := object.(*v1alpha1.FlagEnvironment)
	if !ok {
		return nil
	}
	requests := []reconcile.Request{
		{NamespacedName: types.NamespacedName{Namespace: environment.Namespace, Name: environment.DatafileName()}},
	}
	copies := &metav1.PartialObjectMetadataList{}
	copies.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("ConfigMapList"))
	if err := r.Metadata.List(
		ctx,
		copies,
		client.MatchingFields{index.CopyOrigin: client.ObjectKeyFromObject(environment).String()},
	); err != nil {
		log.FromContext(ctx).Error(err, "Cannot list the copies of a datafile")
	}
	for i := range copies.Items {
		requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&copies.Items[i])})
	}
	return requests
}

// noteWatchError says once that pods may not be listed or watched. The informer goes on trying, with growing pauses.
func (r *Reconciler) noteWatchError(ctx context.Context, reflector *toolscache.Reflector, err error) {
	if !apierrors.IsForbidden(err) {
		toolscache.DefaultWatchErrorHandler(ctx, reflector, err)
	} else if !r.isForbidden.Swap(true) {
		log.FromContext(ctx).Error(err, "Cannot refresh pods without the rights that config/refresh-pods gives")
	}
}

// Reconcile refreshes the pods that mount the ConfigMap of the request.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	environment, revision, err := r.wanted(ctx, request.NamespacedName)
	if err != nil {
		return ctrl.Result{}, err
	}
	if environment == nil {
		r.said.forget(request.NamespacedName)
		return ctrl.Result{}, nil
	}
	if !r.hasSynced() {
		if !r.isForbidden.Load() {
			return ctrl.Result{RequeueAfter: syncRetry}, nil
		}
		r.sayForbidden(environment)
		return ctrl.Result{RequeueAfter: rightsRetry}, nil
	}
	pods := &corev1.PodList{}
	if err := r.pods.List(
		ctx,
		pods,
		client.InNamespace(request.Namespace),
		client.MatchingFields{mountedDatafiles: request.Name},
		client.UnsafeDisableDeepCopy,
	); err != nil {
		return ctrl.Result{}, fmt.Errorf("list pods: %w", err)
	}
	mounting := slices.DeleteFunc(pods.Items, func(pod corev1.Pod) bool { return !hasMounted(&pod) })
	r.saySubPaths(environment, request.NamespacedName, mounting)
	stale := slices.DeleteFunc(
		mounting,
		func(pod corev1.Pod) bool { return pod.Annotations[v1alpha1.RevisionAnnotation] == revision },
	)
	err = r.patch(ctx, stale[:min(len(stale), batch)], revision)
	switch {
	case apierrors.IsForbidden(err):
		if r.sayForbidden(environment) {
			log.FromContext(ctx).Error(err, "Cannot refresh pods without the rights that config/refresh-pods gives")
		}
		return ctrl.Result{RequeueAfter: forbiddenRetry}, nil
	case err != nil:
		return ctrl.Result{}, fmt.Errorf("refresh pods: %w", err)
	case len(stale) > batch:
		return ctrl.Result{RequeueAfter: batchPause}, nil
	}
	r.said.take(client.ObjectKeyFromObject(environment), v1alpha1.PodRefreshForbiddenReason)
	return ctrl.Result{}, nil
}

// wanted returns the environment whose datafile a ConfigMap is, and its revision. The environment is nil where no pods
// are to be refreshed.
func (r *Reconciler) wanted(ctx context.Context, key types.NamespacedName) (*v1alpha1.FlagEnvironment, string, error) {
	datafile := ownership.ConfigMap()
	if err := r.Metadata.Get(ctx, key, datafile); err != nil {
		return nil, "", client.IgnoreNotFound(err)
	}
	origin, kind, found := ownership.Origin(datafile)
	if !found || kind == v1alpha1.DatafileHistory {
		return nil, "", nil
	}
	environment := &v1alpha1.FlagEnvironment{}
	if err := r.Client.Get(ctx, origin, environment); err != nil {
		r.said.forget(origin)
		return nil, "", client.IgnoreNotFound(err)
	}
	if !environment.Spec.Delivery.RefreshPods || environment.DatafileName() != key.Name ||
		ownership.RevisionOf(datafile) == 0 {
		return nil, "", nil
	}
	return environment, datafile.Annotations[v1alpha1.RevisionAnnotation], nil
}

// patch annotates pods. It tries all of them, and returns the first error that is not a missing right before one that
// is.
func (r *Reconciler) patch(ctx context.Context, pods []corev1.Pod, revision string) error {
	if len(pods) > 0 {
		log.FromContext(ctx).V(1).Info("Refreshing pods", "revision", revision, "pods", len(pods))
	}
	errs := make([]error, len(pods))
	workqueue.ParallelizeUntil(ctx, patchers, len(pods), func(i int) {
		if errs[i] = r.limiter.Wait(ctx); errs[i] != nil {
			return
		}
		pod := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: pods[i].Namespace, Name: pods[i].Name}}
		pod.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Pod"))
		// The UID keeps the patch off another pod that has come under the name, as those of a StatefulSet do.
		patch := fmt.Appendf(
			nil,
			`{"metadata":{"uid":%q,"annotations":{%q:%q}}}`,
			pods[i].UID,
			v1alpha1.RevisionAnnotation,
			revision,
		)
		err := r.Client.Patch(ctx, pod, client.RawPatch(types.MergePatchType, patch))
		if !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) && !apierrors.IsInvalid(err) {
			errs[i] = err
		}
	})
	var forbidden error
	for _, err := range errs {
		if apierrors.IsForbidden(err) {
			forbidden = err
		} else if err != nil {
			return err
		}
	}
	return forbidden
}

// sayForbidden records an event the first time, and returns whether it was that.
func (r *Reconciler) sayForbidden(environment *v1alpha1.FlagEnvironment) bool {
	if !r.said.add(client.ObjectKeyFromObject(environment), v1alpha1.PodRefreshForbiddenReason, "") {
		return false
	}
	r.Recorder.Eventf(
		environment,
		nil,
		corev1.EventTypeWarning,
		v1alpha1.PodRefreshForbiddenReason,
		"Refresh",
		"pods see new revisions only on kubelet's next sync, because the operator may not list, watch or patch them; install config/refresh-pods",
	)
	return true
}

// saySubPaths records an event where a pod mounts the datafile by subPath that did not when pods were looked at last.
func (r *Reconciler) saySubPaths(
	environment *v1alpha1.FlagEnvironment,
	datafile types.NamespacedName,
	pods []corev1.Pod,
) {
	names := []string{}
	for i := range pods {
		if mounts.FrozenAt(&pods[i], datafile.Name) {
			names = append(names, pods[i].Name)
		}
	}
	slices.Sort(names)
	if !r.said.add(datafile, v1alpha1.SubPathMountReason, names...) {
		return
	}
	shown := strings.Join(names[:min(len(names), maxNamed)], ", ")
	if len(names) > maxNamed {
		shown += fmt.Sprintf(" and %d more", len(names)-maxNamed)
	}
	// Without what it is related to, the event would count as a repetition of another namespace's.
	configMap := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: datafile.Namespace, Name: datafile.Name}}
	r.Recorder.Eventf(
		environment,
		configMap,
		corev1.EventTypeWarning,
		v1alpha1.SubPathMountReason,
		"Refresh",
		"pods in namespace %s mount ConfigMap %q by subPath and never see another revision; mount it as a directory: %s",
		datafile.Namespace,
		datafile.Name,
		shown,
	)
}

// notices remembers what was said of datafiles and environments, so that events tell of transitions. It is safe for
// concurrent use.
type notices struct {
	mu sync.Mutex
	// said are the subjects that were named, by object and reason.
	said map[types.NamespacedName]map[string]map[string]struct{}
}

// add remembers that a reason holds for subjects, and for no others any more. It returns whether one of them is new.
func (n *notices) add(object types.NamespacedName, reason string, subjects ...string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.said == nil {
		n.said = map[types.NamespacedName]map[string]map[string]struct{}{}
	}
	if n.said[object] == nil {
		n.said[object] = map[string]map[string]struct{}{}
	}
	before, after, isNew := n.said[object][reason], map[string]struct{}{}, false
	for _, subject := range subjects {
		after[subject] = struct{}{}
		if _, ok := before[subject]; !ok {
			isNew = true
		}
	}
	n.said[object][reason] = after
	return isNew
}

// take forgets a reason that no longer holds.
func (n *notices) take(object types.NamespacedName, reason string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.said[object], reason)
}

// forget forgets all that was said of an object.
func (n *notices) forget(object types.NamespacedName) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.said, object)
}
