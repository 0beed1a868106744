// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/index"
	"github.com/jackstaff-dev/jackstaff/internal/ownership"
	"github.com/jackstaff-dev/jackstaff/internal/validation"
)

// The match conditions let a namespace and what an owner owned be deleted while no webhook answers. Where the
// controller manager has no service account for each controller, it acts as system:kube-controller-manager.
//
// +kubebuilder:webhook:path=/mutate-flags-jackstaff-dev-v1alpha1-featureflag,mutating=true,name=mutate-featureflag.flags.jackstaff.dev,verbs=create;update,failurePolicy=fail,matchPolicy=Equivalent,sideEffects=NoneOnDryRun,timeoutSeconds=10,groups=flags.jackstaff.dev,resources=featureflags,versions=v1alpha1,admissionReviewVersions=v1
// +kubebuilder:webhook:path=/validate-flags-jackstaff-dev-v1alpha1-featureflag,mutating=false,name=validate-featureflag.flags.jackstaff.dev,verbs=create;update;delete,failurePolicy=fail,matchPolicy=Equivalent,sideEffects=NoneOnDryRun,timeoutSeconds=10,groups=flags.jackstaff.dev,resources=featureflags,versions=v1alpha1,admissionReviewVersions=v1,patch=`{"matchConditions":[{"name":"not-the-deletion-of-a-namespace-or-owner","expression":"request.operation != 'DELETE' || !(request.userInfo.username in ['system:serviceaccount:kube-system:namespace-controller', 'system:serviceaccount:kube-system:generic-garbage-collector', 'system:kube-controller-manager'])"}]}`
// +kubebuilder:webhook:path=/mutate-flags-jackstaff-dev-v1alpha1-flagaudience,mutating=true,name=mutate-flagaudience.flags.jackstaff.dev,verbs=create;update,failurePolicy=fail,matchPolicy=Equivalent,sideEffects=NoneOnDryRun,timeoutSeconds=10,groups=flags.jackstaff.dev,resources=flagaudiences,versions=v1alpha1,admissionReviewVersions=v1
// +kubebuilder:webhook:path=/validate-flags-jackstaff-dev-v1alpha1-flagaudience,mutating=false,name=validate-flagaudience.flags.jackstaff.dev,verbs=create;update;delete,failurePolicy=fail,matchPolicy=Equivalent,sideEffects=NoneOnDryRun,timeoutSeconds=10,groups=flags.jackstaff.dev,resources=flagaudiences,versions=v1alpha1,admissionReviewVersions=v1,patch=`{"matchConditions":[{"name":"not-the-deletion-of-a-namespace-or-owner","expression":"request.operation != 'DELETE' || !(request.userInfo.username in ['system:serviceaccount:kube-system:namespace-controller', 'system:serviceaccount:kube-system:generic-garbage-collector', 'system:kube-controller-manager'])"}]}`
// +kubebuilder:webhook:path=/mutate-flags-jackstaff-dev-v1alpha1-flagenvironment,mutating=true,name=mutate-flagenvironment.flags.jackstaff.dev,verbs=create;update,failurePolicy=fail,matchPolicy=Equivalent,sideEffects=NoneOnDryRun,timeoutSeconds=10,groups=flags.jackstaff.dev,resources=flagenvironments,versions=v1alpha1,admissionReviewVersions=v1
// +kubebuilder:webhook:path=/validate-flags-jackstaff-dev-v1alpha1-flagenvironment,mutating=false,name=validate-flagenvironment.flags.jackstaff.dev,verbs=create;update;delete,failurePolicy=fail,matchPolicy=Equivalent,sideEffects=NoneOnDryRun,timeoutSeconds=10,groups=flags.jackstaff.dev,resources=flagenvironments,versions=v1alpha1,admissionReviewVersions=v1,patch=`{"matchConditions":[{"name":"not-the-deletion-of-a-namespace-or-owner","expression":"request.operation != 'DELETE' || !(request.userInfo.username in ['system:serviceaccount:kube-system:namespace-controller', 'system:serviceaccount:kube-system:generic-garbage-collector', 'system:kube-controller-manager'])"}]}`
// +kubebuilder:webhook:path=/mutate-flags-jackstaff-dev-v1alpha1-flagevent,mutating=true,name=mutate-flagevent.flags.jackstaff.dev,verbs=create;update,failurePolicy=fail,matchPolicy=Equivalent,sideEffects=NoneOnDryRun,timeoutSeconds=10,groups=flags.jackstaff.dev,resources=flagevents,versions=v1alpha1,admissionReviewVersions=v1
// +kubebuilder:webhook:path=/validate-flags-jackstaff-dev-v1alpha1-flagevent,mutating=false,name=validate-flagevent.flags.jackstaff.dev,verbs=create;update;delete,failurePolicy=fail,matchPolicy=Equivalent,sideEffects=NoneOnDryRun,timeoutSeconds=10,groups=flags.jackstaff.dev,resources=flagevents,versions=v1alpha1,admissionReviewVersions=v1,patch=`{"matchConditions":[{"name":"not-the-deletion-of-a-namespace-or-owner","expression":"request.operation != 'DELETE' || !(request.userInfo.username in ['system:serviceaccount:kube-system:namespace-controller', 'system:serviceaccount:kube-system:generic-garbage-collector', 'system:kube-controller-manager'])"}]}`

// pageSize is how many objects a live list reads at a time.
const pageSize = 500

// objects finds the cluster's objects. What it finds in the cache is not copied and must not be changed.
type objects struct {
	// cached is the manager's client, with the indexes of internal/index.
	cached client.Reader
	// live reads from the API server.
	live client.Reader
	// clock says what is past.
	clock clock.PassiveClock
	// recent are the environments that were admitted a moment ago.
	recent *recentNames
	// permission tells who may change what a production environment serves.
	permission *permission
}

// namespace gives the other objects of object's namespace from the cache.
func (o *objects) namespace(object client.Object) index.Namespace {
	return index.Namespace{Reader: o.cached, Name: object.GetNamespace()}
}

// featureFlags are the rules of FeatureFlag.
type featureFlags struct {
	objects
	compatible validation.Compatibility
}

func (r *featureFlags) mistakes(_ context.Context, old, flag *v1alpha1.FeatureFlag) (field.ErrorList, error) {
	if old == nil {
		return validation.FeatureFlag(flag), nil
	}
	return validation.FeatureFlagUpdate(old, flag), nil
}

func (r *featureFlags) findings(ctx context.Context, old, flag *v1alpha1.FeatureFlag) ([]validation.Finding, error) {
	return validation.FeatureFlagFindings(ctx, r.namespace(flag), r.compatible, old, flag)
}

// deletion looks for another flag of the same key in the cache and reads it live, so that a cache that lags behind can
// only deny.
func (r *featureFlags) deletion(ctx context.Context, flag *v1alpha1.FeatureFlag) (field.ErrorList, error) {
	if mistakes := validation.FeatureFlagDelete(flag, nil); len(mistakes) == 0 {
		return nil, nil
	}
	candidates, err := r.namespace(flag).FlagsWithKey(ctx, flag.Key())
	if err != nil {
		return nil, err
	}
	sameKey, err := readLive(ctx, r.live, candidates)
	if err != nil {
		return nil, err
	}
	return validation.FeatureFlagDelete(flag, sameKey), nil
}

// flagEnvironments are the rules of FlagEnvironment.
type flagEnvironments struct{ objects }

func (r *flagEnvironments) mistakes(
	ctx context.Context,
	old, environment *v1alpha1.FlagEnvironment,
) (field.ErrorList, error) {
	var mistakes field.ErrorList
	if old == nil {
		mistakes = validation.FlagEnvironment(environment)
	} else {
		mistakes = validation.FlagEnvironmentUpdate(old, environment)
	}
	mistakes = append(mistakes, validation.NewSuspension(old, environment, r.clock.Now())...)
	mistakes = append(mistakes, validation.NewPinAgain(old, environment)...)
	revision := validation.NewRevision(old, environment)
	if len(mistakes) > 0 {
		return mistakes, nil
	}
	if revision == 0 {
		return r.pinAgainMistakes(ctx, old, environment)
	}
	held, err := r.holds(ctx, environment, revision)
	if err != nil {
		return nil, err
	}
	if !held {
		others, err := r.heldRevisions(ctx, environment)
		if err != nil {
			return nil, err
		}
		mistakes = append(mistakes, validation.RevisionNotHeld(revision, others...))
	}
	return mistakes, nil
}

// holds reports whether the environment's history holds a revision.
func (r *flagEnvironments) holds(
	ctx context.Context,
	environment *v1alpha1.FlagEnvironment,
	revision int64,
) (bool, error) {
	for _, name := range ownership.HistoryNames(environment, revision) {
		file := ownership.ConfigMap()
		switch err := r.live.Get(ctx, client.ObjectKey{Namespace: environment.Namespace, Name: name}, file); {
		case apierrors.IsNotFound(err):
			continue
		case err != nil:
			return false, fmt.Errorf("read revision %d of environment %q: %w", revision, environment.Name, err)
		}
		if ownership.IsDatafile(client.ObjectKeyFromObject(environment), file, v1alpha1.DatafileHistory) {
			return true, nil
		}
	}
	return false, nil
}

// findings warns of what will be able to change or delete the environment without the permission.
func (r *flagEnvironments) findings(
	ctx context.Context,
	old, environment *v1alpha1.FlagEnvironment,
) ([]validation.Finding, error) {
	if environment.Spec.Production {
		return validation.FlagEnvironmentFindings(environment, ""), nil
	}
	if old != nil {
		if equality.Semantic.DeepEqual(old.Spec, environment.Spec) {
			return nil, nil
		}
		return validation.FlagEnvironmentFindings(environment, ""), nil
	}
	left, err := r.leftByProduction(ctx, environment)
	return validation.FlagEnvironmentFindings(environment, left), err
}

func (r *flagEnvironments) deletion(_ context.Context, environment *v1alpha1.FlagEnvironment) (field.ErrorList, error) {
	return validation.FlagEnvironmentDelete(environment), nil
}

// flagAudiences are the rules of FlagAudience.
type flagAudiences struct{ objects }

func (r *flagAudiences) mistakes(_ context.Context, old, audience *v1alpha1.FlagAudience) (field.ErrorList, error) {
	if old == nil {
		return validation.FlagAudience(audience), nil
	}
	return validation.FlagAudienceUpdate(old, audience), nil
}

func (r *flagAudiences) findings(
	ctx context.Context,
	old, audience *v1alpha1.FlagAudience,
) ([]validation.Finding, error) {
	return validation.FlagAudienceFindings(ctx, r.namespace(audience), old, audience)
}

func (r *flagAudiences) deletion(ctx context.Context, audience *v1alpha1.FlagAudience) (field.ErrorList, error) {
	users, err := r.flagsThat(
		ctx,
		audience.Namespace,
		func(flag *v1alpha1.FeatureFlag) bool { return validation.NamesAudience(flag, audience.Name) },
	)
	return validation.FlagAudienceDelete(audience, users), err
}

// flagEvents are the rules of FlagEvent.
type flagEvents struct{ objects }

func (r *flagEvents) mistakes(_ context.Context, old, event *v1alpha1.FlagEvent) (field.ErrorList, error) {
	if old == nil {
		return validation.FlagEvent(event), nil
	}
	return validation.FlagEventUpdate(old, event), nil
}

func (r *flagEvents) findings(ctx context.Context, old, event *v1alpha1.FlagEvent) ([]validation.Finding, error) {
	return validation.FlagEventFindings(ctx, r.namespace(event), old, event)
}

func (r *flagEvents) deletion(ctx context.Context, event *v1alpha1.FlagEvent) (field.ErrorList, error) {
	key := event.Key()
	users, err := r.flagsThat(
		ctx,
		event.Namespace,
		func(flag *v1alpha1.FeatureFlag) bool { return validation.MeasuresEvent(flag, key) },
	)
	if err != nil || len(users) == 0 {
		return nil, err
	}
	candidates, err := r.namespace(event).EventsWithKey(ctx, key)
	if err != nil {
		return nil, err
	}
	sameKey, err := readLive(ctx, r.live, candidates)
	if err != nil {
		return nil, err
	}
	return validation.FlagEventDelete(event, sameKey, users), nil
}

// flagsThat returns the names of the flags that use what is to be deleted, in order. It reads every flag of the
// namespace live, because a flag that the cache has not seen yet would be left with a reference to nothing.
func (o *objects) flagsThat(ctx context.Context, in string, use func(*v1alpha1.FeatureFlag) bool) ([]string, error) {
	var names []string
	page := &v1alpha1.FeatureFlagList{}
	for {
		if err := o.live.List(
			ctx,
			page,
			client.InNamespace(in),
			client.Limit(pageSize),
			client.Continue(page.Continue),
		); err != nil {
			return nil, fmt.Errorf("list flags: %w", err)
		}
		for i := range page.Items {
			if use(&page.Items[i]) {
				names = append(names, page.Items[i].Name)
			}
		}
		if page.Continue == "" {
			slices.Sort(names)
			return names, nil
		}
	}
}

// readLive reads objects of the cache again from the API server, and leaves out those that are gone.
func readLive[T any, P pointer[T]](ctx context.Context, live client.Reader, candidates []P) ([]P, error) {
	found := make([]P, 0, len(candidates))
	for _, candidate := range candidates {
		object := P(new(T))
		if err := live.Get(ctx, client.ObjectKeyFromObject(candidate), object); apierrors.IsNotFound(err) {
			continue
		} else if err != nil {
			return nil, fmt.Errorf("read %q: %w", candidate.GetName(), err)
		}
		found = append(found, object)
	}
	return found, nil
}
