// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	authorizationv1 "k8s.io/client-go/kubernetes/typed/authorization/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/compile"
	"github.com/jackstaff-dev/jackstaff/internal/identity"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

const (
	// publishVerb on a production environment is the permission to change what it serves.
	publishVerb = "publish"

	// A right that was withdrawn, or given after a refusal, is noticed within these.
	allowedFor = 5 * time.Second
	deniedFor  = time.Second
)

// need is one reason for which the permission is needed.
type need struct {
	// environment is the name of a production environment.
	environment string
	// reason is what the change does to it.
	reason string
	// waived reports whether the permission is not needed after all. It is asked about users who lack the permission, and
	// nil where there is nothing to ask.
	waived func(context.Context) (bool, error)
}

// permission asks the API server whether users have the verb publish.
type permission struct{ authorizer authorizer.Authorizer }

// newPermission asks by SubjectAccessReview or, in a confined operator, by LocalSubjectAccessReview.
func newPermission(config *rest.Config, httpClient *http.Client, confined bool) (*permission, error) {
	reviews, err := authorizationv1.NewForConfigAndClient(config, httpClient)
	if err != nil {
		return nil, fmt.Errorf("set up the permission: %w", err)
	}
	ask := identity.BySubjectAccessReview(reviews)
	if confined {
		ask = identity.ByLocalSubjectAccessReview(reviews)
	}
	return &permission{identity.Rights(ask, identity.Memory{Yes: allowedFor, No: deniedFor})}, nil
}

// allows reports whether the user of a request may publish an environment. An empty name asks for all environments of the
// request's namespace, those to come among them, as a SubjectAccessReview does.
func (p *permission) allows(ctx context.Context, request *admission.Request, environment string) (bool, error) {
	asking := identity.User(&request.UserInfo)
	decision, _, err := p.authorizer.Authorize(ctx, authorizer.AttributesRecord{
		User: asking, Verb: publishVerb, Namespace: request.Namespace, Name: environment, ResourceRequest: true,
		APIGroup: v1alpha1.GroupVersion.Group, APIVersion: v1alpha1.GroupVersion.Version, Resource: "flagenvironments",
	})
	if err != nil {
		return false, fmt.Errorf(
			"ask whether %q may publish flagenvironments/%s of namespace %q; try again: %w",
			asking.GetName(), cmp.Or(environment, "*"), request.Namespace, err,
		)
	}
	return decision == authorizer.DecisionAllow, nil
}

// check refuses a request whose user lacks the permission on any environment of needs, naming all of these.
func (p *permission) check(ctx context.Context, request *admission.Request, needs []need) error {
	asking := identity.User(&request.UserInfo)
	byEnvironment := map[string][]need{}
	for _, need := range needs {
		byEnvironment[need.environment] = append(byEnvironment[need.environment], need)
	}
	var refusals []string
	for _, environment := range slices.Sorted(maps.Keys(byEnvironment)) {
		allowed, err := p.allows(ctx, request, environment)
		if err != nil {
			return apierrors.NewInternalError(err)
		}
		if allowed {
			continue
		}
		reasons, err := notWaived(ctx, byEnvironment[environment])
		if err != nil {
			return apierrors.NewInternalError(err)
		}
		if len(reasons) > 0 {
			refusals = append(refusals, fmt.Sprintf("flagenvironments/%s (%s)", environment, strings.Join(reasons, ", ")))
		}
	}
	if len(refusals) == 0 {
		return nil
	}
	resource := schema.GroupResource{Group: request.Resource.Group, Resource: request.Resource.Resource}
	return apierrors.NewForbidden(resource, cmp.Or(request.Name, "(new)"), fmt.Errorf(
		"user %q needs the verb %q in namespace %q on %s; let somebody who has it make the change, or ask for a role that "+
			"carries it, such as the publisher role",
		asking.GetName(),
		publishVerb,
		request.Namespace,
		strings.Join(refusals, " and on "),
	))
}

// notWaived returns the reasons of the needs that are not waived.
func notWaived(ctx context.Context, needs []need) ([]string, error) {
	var reasons []string
	for _, need := range needs {
		if need.waived != nil {
			waived, err := need.waived(ctx)
			if err != nil {
				return nil, err
			}
			if waived {
				continue
			}
		}
		reasons = append(reasons, need.reason)
	}
	return reasons, nil
}

// isAutomatic reports whether an environment publishes changes by itself. Suspending or pinning only delays that.
func isAutomatic(environment *v1alpha1.FlagEnvironment) bool {
	return environment.Spec.Publish.Mode != v1alpha1.PublishModeManual && !environment.IsElsewhere()
}

func (r *featureFlags) guarded(ctx context.Context, old, flag *v1alpha1.FeatureFlag) ([]need, error) {
	if old != nil && flag != nil && equality.Semantic.DeepEqual(old.Spec, flag.Spec) &&
		old.Annotations[v1alpha1.ForceDisabledAnnotation] == flag.Annotations[v1alpha1.ForceDisabledAnnotation] {
		return nil, nil
	}
	environments, err := r.guardedProduction(ctx, cmp.Or(flag, old).Namespace, environmentsNamedBy(old, flag)...)
	if err != nil || len(environments) == 0 {
		return nil, err
	}
	decidesKey, err := r.decidesKey(ctx, old, flag)
	if err != nil {
		return nil, err
	}
	var needs []need
	for _, environment := range environments {
		name := environment.Name
		isBraked := flag != nil && flag.ForceDisabledIn(name)
		wasBraked := old != nil && old.ForceDisabledIn(name)
		switch {
		case flag == nil && wasBraked:
			needs = append(needs, need{name, "the flag is force-disabled in it, which its deletion ends", nil})
		case isBraked != wasBraked:
			needs = append(needs, need{name, "the annotation " + v1alpha1.ForceDisabledAnnotation + " changes for it", nil})
		case isAutomatic(environment) && (decidesKey || !samePart(flagPart(old, name), flagPart(flag, name))):
			needs = append(needs, need{name, "what it publishes of the flag changes", func(ctx context.Context) (bool, error) {
				return r.isDraft(ctx, old, flag, environment)
			}})
		}
	}
	return needs, nil
}

// decidesKey reports whether a flag comes or goes whose key another flag has too. Which of them is served may change
// then, even where this one is archived and so not published itself.
func (r *featureFlags) decidesKey(ctx context.Context, old, flag *v1alpha1.FeatureFlag) (bool, error) {
	if old != nil && flag != nil {
		return false, nil
	}
	changed := cmp.Or(flag, old)
	sameKey, err := r.namespace(changed).FlagsWithKey(ctx, changed.Key())
	if err != nil {
		return false, fmt.Errorf("list flags: %w", err)
	}
	return slices.ContainsFunc(sameKey, func(other *v1alpha1.FeatureFlag) bool { return other.Name != changed.Name }), nil
}

func (r *flagAudiences) guarded(ctx context.Context, old, audience *v1alpha1.FlagAudience) ([]need, error) {
	return r.guardedIn(
		ctx,
		cmp.Or(audience, old).Namespace,
		"audience",
		part(old, (*v1alpha1.FlagAudience).GetName, compile.Audience),
		part(audience, (*v1alpha1.FlagAudience).GetName, compile.Audience),
	)
}

func (r *flagEvents) guarded(ctx context.Context, old, event *v1alpha1.FlagEvent) ([]need, error) {
	return r.guardedIn(ctx, cmp.Or(event, old).Namespace, "event", part(old, (*v1alpha1.FlagEvent).Key, compile.Event),
		part(event, (*v1alpha1.FlagEvent).Key, compile.Event))
}

// guardedIn names the environments that publish at once what becomes of an object whose part is the same in all of
// them.
func (o *objects) guardedIn(ctx context.Context, namespace, what string, before, after *datafile.Part) ([]need, error) {
	if samePart(before, after) {
		return nil, nil
	}
	environments, err := o.guardedProduction(ctx, namespace)
	if err != nil {
		return nil, err
	}
	var needs []need
	for i := range environments {
		if isAutomatic(environments[i]) {
			needs = append(needs, need{environments[i].Name, "what it publishes of the " + what + " changes", nil})
		}
	}
	return needs, nil
}

// uncompiled stands for what does not compile, of which it is not known what is published.
var uncompiled = &datafile.Part{}

// part compiles an object, and returns nil where there is none. Whether another object holds the same key, so that this
// one is not published, is not looked at: the other one may go at any time.
func part[P interface {
	*T
	comparable
}, T, F any](object P, key func(P) string, form func(P) (F, error)) *datafile.Part {
	if object == nil {
		return nil
	}
	compiled, err := form(object)
	if err != nil {
		return uncompiled
	}
	result, err := datafile.NewPart(key(object), compiled)
	if err != nil {
		return uncompiled
	}
	return &result
}

// flagPart compiles a flag for an environment. An archived flag is not published.
func flagPart(flag *v1alpha1.FeatureFlag, environment string) *datafile.Part {
	if flag != nil && flag.Spec.Archived {
		return nil
	}
	return part(flag, (*v1alpha1.FeatureFlag).Key, func(flag *v1alpha1.FeatureFlag) (*datafile.Flag, error) {
		return compile.Flag(flag, environment)
	})
}

// samePart reports whether two parts are published as the same bytes. Nothing is known of what does not compile.
func samePart(a, b *datafile.Part) bool {
	if a == nil || b == nil || a == uncompiled || b == uncompiled {
		return a == nil && b == nil
	}
	return a.Key == b.Key && a.Digest == b.Digest
}

// permitted remembers a production environment that somebody with the permission stores, so that it is looked up by name
// until the cache knows of it. Nobody else can add to what is looked up.
func (r *flagEnvironments) permitted(environment *v1alpha1.FlagEnvironment) {
	if environment.Spec.Production {
		r.recent.add(client.ObjectKeyFromObject(environment), r.clock.Now())
	}
}

func (r *flagEnvironments) guarded(ctx context.Context, old, environment *v1alpha1.FlagEnvironment) ([]need, error) {
	name := cmp.Or(environment, old).Name
	switch {
	case old == nil:
		return r.guardedCreation(ctx, environment)
	case !old.Spec.Production && (environment == nil || !environment.Spec.Production):
		return nil, nil
	case environment == nil:
		return []need{{name, "it is deleted", nil}}, nil
	}
	var needs []need
	was, is := old.Spec, environment.Spec
	was.DisplayName, was.Order, is.DisplayName, is.Order = "", 0, "", 0
	if !equality.Semantic.DeepEqual(was, is) {
		needs = append(needs, need{name, "its spec changes", nil})
	}
	if annotations := changedAnnotations(old, environment); len(annotations) > 0 {
		needs = append(needs, need{name, "its annotations change: " + strings.Join(annotations, ", "), nil})
	}
	return needs, nil
}

// guardedCreation says why the permission is needed to create an environment.
func (r *flagEnvironments) guardedCreation(ctx context.Context, environment *v1alpha1.FlagEnvironment) ([]need, error) {
	left, err := r.leftByProduction(ctx, environment)
	switch {
	case err != nil:
		return nil, err
	case left != "":
		reason := fmt.Sprintf("it takes up ConfigMap %q, which a production environment has left", left)
		return []need{{environment.Name, reason, nil}}, nil
	case environment.Spec.Production:
		return []need{{environment.Name, "it is created as a production environment", nil}}, nil
	}
	return nil, nil
}

// changedAnnotations returns the names of this project's annotations that differ, in order, but for the one that
// admission itself writes.
func changedAnnotations(old, object client.Object) []string {
	names := maps.Clone(old.GetAnnotations())
	if names == nil {
		names = map[string]string{}
	}
	maps.Copy(names, object.GetAnnotations())
	var changed []string
	for _, name := range slices.Sorted(maps.Keys(names)) {
		was, had := old.GetAnnotations()[name]
		is, has := object.GetAnnotations()[name]
		if strings.HasPrefix(name, v1alpha1.AnnotationPrefix) && name != v1alpha1.ChangesAnnotation &&
			(was != is || had != has) {
			changed = append(changed, name)
		}
	}
	return changed
}
