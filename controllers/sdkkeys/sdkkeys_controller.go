// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package sdkkeys makes, rotates and revokes the SDK keys of environments.
//
// The operator can create Secrets and cannot read, change or delete any. What it needs to recognise a key is its
// SHA-256 in the status, which is written first and unconfirmed, then the Secret, then the confirmation. What a crash
// leaves unconfirmed is dropped later, and a new pair is made under a new name: nobody can know whether the Secret was
// created.
package sdkkeys

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/retry"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/fairqueue"
	"github.com/jackstaff-dev/jackstaff/internal/index"
	"github.com/jackstaff-dev/jackstaff/internal/ownership"
	"github.com/jackstaff-dev/jackstaff/internal/publish"
)

// +kubebuilder:rbac:groups=flags.jackstaff.dev,resources=flagenvironments,verbs=get;list;watch
// +kubebuilder:rbac:groups=flags.jackstaff.dev,resources=flagenvironments/status,verbs=patch
// +kubebuilder:rbac:groups="",resources=configmaps,verbs=get
// +kubebuilder:rbac:groups="",resources=secrets,verbs=create
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// Reconciler keeps the SDK keys of environments.
type Reconciler struct {
	// Client reads environments from the cache, and writes.
	Client client.Client
	// Live reads from the API server. An old list of keys would bring revoked ones back, or forget a new one.
	Live     client.Reader
	Recorder events.EventRecorder
	Clock    clock.PassiveClock
	// Seal is what mirrored keys bear. Nil means that none is asked for.
	Seal *ownership.Seal
}

// SetupWithManager registers the controller.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	keysMayChange := predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, isBefore := e.ObjectOld.(*v1alpha1.FlagEnvironment)
		after, isAfter := e.ObjectNew.(*v1alpha1.FlagEnvironment)
		return isBefore && isAfter && (before.IsElsewhere() != after.IsElsewhere() ||
			!equality.Semantic.DeepEqual(before.Status.SDKKeys, after.Status.SDKKeys))
	}}
	return ctrl.NewControllerManagedBy(mgr).
		Named("sdkkeys").
		For(
			&v1alpha1.FlagEnvironment{},
			builder.WithPredicates(predicate.Or(predicate.AnnotationChangedPredicate{}, keysMayChange)),
		).
		WithOptions(fairqueue.Options(4, 1)).
		Complete(r)
}

// Reconcile revokes what is to be revoked, and makes a new pair of keys where one is wanted.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	environment := &v1alpha1.FlagEnvironment{}
	if err := r.Client.Get(ctx, request.NamespacedName, environment); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	// Of keys that cannot be read nobody knows which are valid; they stay as they are.
	if environment.IsElsewhere() || v1alpha1.Undecodable(environment) != "" {
		return ctrl.Result{}, nil
	}
	if err := r.tellOfShared(ctx, environment); err != nil {
		return ctrl.Result{}, err
	}
	p := planFor(environment, r.Clock.Now())
	if !environment.DeletionTimestamp.IsZero() || p.idle(&environment.Status) {
		return ctrl.Result{RequeueAfter: p.wait}, nil
	}
	environment, p, secret, err := r.begin(ctx, client.ObjectKeyFromObject(environment))
	if err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	r.tell(environment, &p)
	if secret == nil {
		return ctrl.Result{RequeueAfter: p.wait}, nil
	}
	if err := r.Client.Create(ctx, secret); err != nil {
		r.Recorder.Eventf(environment, nil, corev1.EventTypeWarning, v1alpha1.WriteFailedReason, "CreateSDKKeys",
			"the Secret with SDK keys is not created: %s; it is tried again", err)
		return ctrl.Result{}, fmt.Errorf(
			"create Secret %q: %w",
			secret.Name,
			err,
		) // Also where the name is taken: the next try has another.
	}
	if err := r.confirm(ctx, client.ObjectKeyFromObject(environment), secret.Name, p.request); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	log.FromContext(ctx).Info("Made SDK keys", "secret", secret.Name)
	r.Recorder.Eventf(
		environment,
		nil,
		corev1.EventTypeNormal,
		v1alpha1.SDKKeysCreatedReason,
		"CreateSDKKeys",
		"Secret %s holds new SDK keys",
		secret.Name,
	)
	return ctrl.Result{RequeueAfter: p.wait}, nil
}

// begin writes the keys that stay, and the hashes of a new pair where one is to be made. It returns the environment and
// the plan that was carried out, and the Secret that is to be created, which may be nil.
func (r *Reconciler) begin(
	ctx context.Context,
	key client.ObjectKey,
) (environment *v1alpha1.FlagEnvironment, p plan, secret *corev1.Secret, err error) {
	environment, err = r.update(ctx, key, func(environment *v1alpha1.FlagEnvironment) error {
		if err := r.rebuild(ctx, environment); err != nil {
			return err
		}
		now := r.Clock.Now()
		p, secret = planFor(environment, now), nil
		environment.Status.SDKKeys = p.keys
		if p.makes {
			made, entry := newPair(environment, now)
			secret = made
			environment.Status.SDKKeys = append([]v1alpha1.SDKKey{entry}, p.keys...)
		}
		return nil
	})
	return environment, p, secret, err
}

// rebuild takes the keys from the served ConfigMap where the status has none.
func (r *Reconciler) rebuild(ctx context.Context, environment *v1alpha1.FlagEnvironment) error {
	if len(environment.Status.SDKKeys) > 0 {
		return nil
	}
	served := ownership.ConfigMap()
	err := r.Live.Get(ctx, client.ObjectKey{Namespace: environment.Namespace, Name: environment.DatafileName()}, served)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read ConfigMap %q: %w", environment.DatafileName(), err)
	}
	mirrored, ok := served.Annotations[v1alpha1.SDKKeysAnnotation]
	if !ok || !ownership.IsDatafile(client.ObjectKeyFromObject(environment), served, v1alpha1.DatafileServed) {
		return nil
	}
	keys, err := publish.DecodeKeys(mirrored, r.Seal, client.ObjectKeyFromObject(environment))
	if err != nil {
		log.FromContext(
			ctx,
		).Info(
			"Making new SDK keys, because those of the served ConfigMap are not believed",
			"because",
			err.Error(),
		)
		r.Recorder.Eventf(environment, nil, corev1.EventTypeWarning, v1alpha1.TamperedReason, "CreateSDKKeys",
			"the SDK keys that ConfigMap %q mirrors are not believed, and new ones are made: %s", served.Name, err)
		return nil
	}
	environment.Status.SDKKeys, environment.Status.LastHandledRotateAt = keys.Keys, keys.LastHandledRotateAt
	return nil
}

// confirm makes the keys of a Secret valid. Where another process has dropped them, they stay invalid.
func (r *Reconciler) confirm(ctx context.Context, key client.ObjectKey, secretName, request string) error {
	_, err := r.update(ctx, key, func(environment *v1alpha1.FlagEnvironment) error {
		for i := range environment.Status.SDKKeys {
			if entry := &environment.Status.SDKKeys[i]; entry.SecretName == secretName {
				entry.Confirmed = true
				if request != "" {
					environment.Status.LastHandledRotateAt = request
				}
				return nil
			}
		}
		return fmt.Errorf("the keys of Secret %q were dropped before they were confirmed", secretName)
	})
	return err
}

// update changes the status of an environment as it is stored, and nothing that somebody else writes meanwhile. It
// returns the environment as it is then.
func (r *Reconciler) update(
	ctx context.Context,
	key client.ObjectKey,
	change func(*v1alpha1.FlagEnvironment) error,
) (*v1alpha1.FlagEnvironment, error) {
	var environment *v1alpha1.FlagEnvironment
	err := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		before := &v1alpha1.FlagEnvironment{}
		if err := r.Live.Get(ctx, key, before); err != nil {
			return err
		}
		environment = before.DeepCopy()
		if err := change(environment); err != nil || equality.Semantic.DeepEqual(before, environment) {
			return err
		}
		return r.Client.Status().Patch(
			ctx,
			environment,
			client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}),
		)
	})
	if err != nil {
		return nil, fmt.Errorf("update SDK keys: %w", err)
	}
	return environment, nil
}

// tellOfShared records, on all environments concerned, that one of the environment's keys is another's as well. No
// replica answers such a key: hashes are no secrets, and nobody can tell whose it is.
func (r *Reconciler) tellOfShared(ctx context.Context, environment *v1alpha1.FlagEnvironment) error {
	for i := range environment.Status.SDKKeys {
		key := &environment.Status.SDKKeys[i]
		for _, hash := range []string{key.ServerHash, key.ClientHash} {
			sharing := &v1alpha1.FlagEnvironmentList{}
			if err := r.Client.List(ctx, sharing, client.MatchingFields{index.SDKKeyHash: hash}); err != nil {
				return fmt.Errorf("look for other environments with an SDK key: %w", err)
			}
			if len(sharing.Items) < 2 {
				continue
			}
			for j := range sharing.Items {
				r.Recorder.Eventf(
					&sharing.Items[j],
					nil,
					corev1.EventTypeWarning,
					v1alpha1.SDKKeySharedReason,
					"RefuseSDKKey",
					"an SDK key with the hash %s… is that of another environment too, and opens neither; rotate the keys, then revoke "+
						"those of before by the annotation %s",
					hash[:min(len(hash), 19)],
					v1alpha1.RevokeKeysBeforeAnnotation,
				)
			}
		}
	}
	return nil
}

// tell records what the user is to know of a plan that was carried out.
func (r *Reconciler) tell(environment *v1alpha1.FlagEnvironment, p *plan) {
	if len(p.revoked) > 0 {
		r.Recorder.Eventf(environment, nil, corev1.EventTypeNormal, v1alpha1.SDKKeysRevokedReason, "RevokeSDKKeys",
			"the SDK keys of Secrets %s are no longer valid; delete these Secrets", strings.Join(p.revoked, ", "))
	}
	if p.full {
		r.Recorder.Eventf(
			environment,
			nil,
			corev1.EventTypeWarning,
			v1alpha1.SDKKeysLimitReason,
			"CreateSDKKeys",
			"%d pairs of SDK keys are valid, and there may not be more; the request for another is answered once some are revoked by the annotation %s",
			len(p.keys),
			v1alpha1.RevokeKeysBeforeAnnotation,
		)
	}
}
