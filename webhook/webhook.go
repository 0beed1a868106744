// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package webhook registers the admission webhooks of the Kinds. The rules themselves are internal/validation's; this
// package gives them the cluster's objects. FlagChange, which only the operator writes, has a webhook of its own.
//
// Both webhooks of a Kind refuse what is wrong with an object by itself. The API server looks at the Kind's schema
// after the mutating webhook and before the validating one, and reports what the first of these three refuses: refusing
// in the mutating webhook lets a user read all mistakes at once, refusing in the validating one holds against other
// webhooks that change the object in between.
package webhook

import (
	"context"
	"fmt"
	"strings"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/budget"
	"github.com/jackstaff-dev/jackstaff/internal/history"
	"github.com/jackstaff-dev/jackstaff/internal/validation"
)

// maxWarnings bounds the warnings of one request: the API server passes on 4096 bytes, of which one takes at most 256.
const maxWarnings = 15

// +kubebuilder:rbac:groups="",resources=namespaces,verbs=get
// +kubebuilder:rbac:groups="",resources=configmaps,verbs=get;list
// +kubebuilder:rbac:groups=flags.jackstaff.dev,resources=featureflags;flagenvironments;flagaudiences;flagevents,verbs=get;list;watch
// +kubebuilder:rbac:groups=authorization.k8s.io,resources=subjectaccessreviews,verbs=create
// +kubebuilder:rbac:groups=flags.jackstaff.dev,resources=flagchanges,verbs=create

// Setup registers the webhooks of the Kinds with mgr, whose cache has the indexes of internal/index. Compatible
// says why the flagd format cannot carry a flag; with nil, no look is taken at it. Setup fails where mgr's scheme lacks
// a Kind.
func Setup(mgr ctrl.Manager, compatible validation.Compatibility, options ...Option) error {
	return setup(mgr, compatible, false, chosen(options))
}

// SetupConfined is Setup for an operator that may ask for the rights of users in single namespaces only.
func SetupConfined(mgr ctrl.Manager, compatible validation.Compatibility, options ...Option) error {
	return setup(mgr, compatible, true, chosen(options))
}

func setup(mgr ctrl.Manager, compatible validation.Compatibility, confined bool, with *options) error {
	permission, err := newPermission(mgr.GetConfig(), mgr.GetHTTPClient(), confined)
	if err != nil {
		return err
	}
	objects := objects{
		cached: mgr.GetClient(), live: mgr.GetAPIReader(), clock: clock.RealClock{}, recent: &recentNames{},
		permission: permission,
	}
	historian := &historian{client: mgr.GetClient(), clock: clock.RealClock{}}
	registerFlagChanges(mgr, historian)
	register(mgr, "FeatureFlag", &featureFlags{objects, compatible}, permission, historian, with)
	register(mgr, "FlagEnvironment", &flagEnvironments{objects}, permission, historian, with)
	register(mgr, "FlagAudience", &flagAudiences{objects}, permission, historian, with)
	register(mgr, "FlagEvent", &flagEvents{objects}, permission, historian, with)
	return nil
}

// rules are what one Kind's objects are judged by.
type rules[P client.Object] interface {
	// mistakes says what forbids storing object in the place of old, which is nil on creation.
	mistakes(ctx context.Context, old, object P) (field.ErrorList, error)
	// findings says what there is to warn of when object is stored in the place of old, which is nil on creation.
	findings(ctx context.Context, old, object P) ([]validation.Finding, error)
	// effects says who gets another answer when object, of which there are those findings, takes the place of old. It
	// takes bounded time.
	effects(ctx context.Context, old, object P, findings []validation.Finding) ([]string, error)
	// deletion says what forbids deleting object.
	deletion(ctx context.Context, object P) (field.ErrorList, error)
	// guarded says for which environments the permission is needed to store object in the place of old. Old is nil on
	// creation, object on deletion.
	guarded(ctx context.Context, old, object P) ([]need, error)
	// servedBy names the production environments that serve object, or may come to do so, and for which the user of the
	// request may lack the permission. Old is nil on creation.
	servedBy(ctx context.Context, old, object P) ([]string, error)
}

// remembering are rules that remember what somebody with the permission stores, before the cache knows of it.
type remembering[P client.Object] interface{ permitted(object P) }

// pointer is a pointer to a Kind's struct.
type pointer[T any] interface {
	*T
	v1alpha1.Object
}

// webhook answers the admission requests for one Kind.
type webhook[T any, P pointer[T]] struct {
	kind       schema.GroupKind
	rules      rules[P]
	live       client.Reader
	permission *permission
	historian  *historian
	budgets    *budget.Ledger
	// guarded tells whether the policy on datafiles is in force. Nil means that nobody asks.
	guarded func(ctx context.Context) (bool, error)
}

func register[T any, P pointer[T]](
	mgr ctrl.Manager,
	kind string,
	rules rules[P],
	permission *permission,
	historian *historian,
	with *options,
) {
	webhook := &webhook[T, P]{
		kind: schema.GroupKind{Group: v1alpha1.GroupVersion.Group, Kind: kind}, rules: rules, live: mgr.GetAPIReader(),
		permission: permission, historian: historian, budgets: with.budgets, guarded: with.guarded,
	}
	path := strings.ReplaceAll(v1alpha1.GroupVersion.Group, ".", "-") + "-" + v1alpha1.GroupVersion.Version + "-" +
		strings.ToLower(kind)
	server := mgr.GetWebhookServer()
	server.Register("/mutate-"+path, &admission.Webhook{Handler: counted{kind, &mutating[T, P]{webhook}, true}})
	server.Register("/validate-"+path, &admission.Webhook{Handler: counted{kind, &validating[T, P]{webhook}, false}})
}

// Default sets defaults, refuses what would be refused after that, and records the change.
func (w *webhook[T, P]) Default(ctx context.Context, object P) error {
	request, err := admission.RequestFromContext(ctx)
	if err != nil {
		return fmt.Errorf("set defaults of %s: %w", w.kind.Kind, err)
	}
	setDefaults(object)
	var old P
	var before history.Object
	if request.Operation == admissionv1.Update {
		old = new(T)
		if err := readStored(request.OldObject.Raw, old); err != nil {
			return apierrors.NewBadRequest(fmt.Sprintf("read the stored %s: %v", w.kind.Kind, err))
		}
		setDefaults(old)
		keepBrake(old, object)
		before = old
	}
	if err := w.refuse(ctx, old, object); err != nil {
		return err
	}
	return w.historian.record(ctx, &request, before, object)
}

// ValidateCreate refuses an object that is wrong by itself, and warns of what is wrong with it among the others.
func (w *webhook[T, P]) ValidateCreate(ctx context.Context, object P) (admission.Warnings, error) {
	return w.validate(ctx, nil, object)
}

// ValidateUpdate does as ValidateCreate, and refuses what an update may not change.
func (w *webhook[T, P]) ValidateUpdate(ctx context.Context, old, object P) (admission.Warnings, error) {
	setDefaults(old)
	return w.validate(ctx, old, object)
}

// ValidateDelete refuses a deletion that would break something, except where the whole namespace goes.
func (w *webhook[T, P]) ValidateDelete(ctx context.Context, object P) (admission.Warnings, error) {
	if object.GetDeletionTimestamp() != nil {
		return nil, nil
	}
	namespace := &corev1.Namespace{}
	switch err := w.live.Get(ctx, client.ObjectKey{Name: object.GetNamespace()}, namespace); {
	case apierrors.IsNotFound(err), err == nil && namespace.DeletionTimestamp != nil:
		return nil, nil
	case err != nil:
		return nil, apierrors.NewInternalError(fmt.Errorf("read namespace %q: %w", object.GetNamespace(), err))
	}
	mistakes, err := w.rules.deletion(ctx, object)
	if err != nil {
		return nil, apierrors.NewInternalError(err)
	}
	if len(mistakes) > 0 {
		return nil, apierrors.NewInvalid(w.kind, object.GetName(), mistakes)
	}
	if err := w.permit(ctx, object, nil); err != nil {
		return nil, err
	}
	return nil, w.historian.recordDeletion(ctx, w.kind.Kind, object)
}

func (w *webhook[T, P]) validate(ctx context.Context, old, object P) (admission.Warnings, error) {
	// What is being deleted is judged by no rule, so that its finalizers can go; but it is published until it is gone.
	if object.GetDeletionTimestamp() != nil {
		if err := w.permit(ctx, old, object); err != nil {
			return nil, err
		}
		return nil, w.withinBudget(ctx, object) // A finalizer may hold it for long.
	}
	if err := w.refuse(ctx, old, object); err != nil {
		return nil, err
	}
	if err := w.permit(ctx, old, object); err != nil {
		return nil, err
	}
	if err := w.withinBudget(ctx, object); err != nil {
		return nil, err
	}
	findings, err := w.rules.findings(ctx, old, object)
	if err != nil {
		return nil, apierrors.NewInternalError(err)
	}
	var warnings admission.Warnings
	var advice []string
	for _, finding := range findings {
		if finding.IsAdvice() {
			advice = append(advice, finding.Warning())
		} else {
			warnings = append(warnings, finding.Warning())
		}
	}
	if old != nil {
		effects, err := w.rules.effects(ctx, old, object, findings)
		if err != nil { // What an update does is advice, for want of which none is refused.
			log.FromContext(ctx).V(1).Info("Does not say all that an update does", "reason", err.Error())
		}
		for _, effect := range effects {
			warnings = append(warnings, validation.Warning(effect))
		}
	}
	warnings = append(warnings, advice...)
	if unguarded := w.unguarded(ctx, old, object); unguarded != "" {
		warnings = append(warnings, unguarded)
	}
	if more := len(warnings) - (maxWarnings - 1); more > 1 {
		warnings = append(warnings[:maxWarnings-1], fmt.Sprintf("and %d more warnings", more))
	}
	return warnings, nil
}

func (w *webhook[T, P]) refuse(ctx context.Context, old, object P) error {
	mistakes, err := w.rules.mistakes(ctx, old, object)
	if err != nil {
		return apierrors.NewInternalError(err)
	}
	if len(mistakes) > 0 {
		return apierrors.NewInvalid(w.kind, object.GetName(), mistakes)
	}
	return nil
}

// permit refuses what the user needs a permission for and has not got.
func (w *webhook[T, P]) permit(ctx context.Context, old, object P) error {
	request, err := admission.RequestFromContext(ctx)
	if err != nil {
		return apierrors.NewInternalError(err)
	}
	needs, err := w.rules.guarded(ctx, old, object)
	if err != nil {
		return apierrors.NewInternalError(err)
	}
	if object != nil {
		metadata, err := w.guardedMetadata(ctx, &request, old, object)
		if err != nil {
			return apierrors.NewInternalError(err)
		}
		needs = append(needs, metadata...)
	}
	if len(needs) == 0 {
		return nil
	}
	if err := w.permission.check(ctx, &request, needs); err != nil {
		return err
	}
	if rules, remember := w.rules.(remembering[P]); remember && object != nil && !ptr.Deref(request.DryRun, false) {
		rules.permitted(object)
	}
	return nil
}

// setDefaults sets the defaults of a Kind that has any. What an object has lost is not set.
func setDefaults(object client.Object) {
	if v1alpha1.Undecodable(object) != "" {
		return
	}
	if object, has := object.(interface{ Default() }); has {
		object.Default()
	}
}
