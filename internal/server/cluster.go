// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/google/uuid"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/decode"
	"github.com/jackstaff-dev/jackstaff/internal/index"
)

// The resources that views read and write.
const (
	Flags        = "featureflags"
	Environments = "flagenvironments"
	Audiences    = "flagaudiences"
	Events       = "flagevents"
	Changes      = "flagchanges"
)

// Cluster is the resources, as the caller of a request may see and change them. Every reader takes the caller from the
// context.
type Cluster struct {
	// Reader reads the informers' caches, with the indexes of internal/index. What it returns must not be changed.
	Reader client.Reader

	writer     client.Client
	authorizer authorizer.Authorizer
	options    Options
	turns      turns
}

// newWriter makes a client that writes with the token of the context's caller, never with the operator's own rights.
func newWriter(config *rest.Config, options client.Options) (client.Client, error) {
	writer, err := client.New(asCallerConfig(config), options)
	if err != nil {
		return nil, fmt.Errorf("set up writing: %w", err)
	}
	return client.WithFieldOwner(writer, "jackstaff-rest"), nil
}

// asCallerConfig is for clients that send the token of the context's caller, and none where there is no caller.
func asCallerConfig(config *rest.Config) *rest.Config {
	anonymous := rest.AnonymousClientConfig(config)
	anonymous.QPS = -1
	decode.Tolerate(anonymous)
	anonymous.Wrap(func(next http.RoundTripper) http.RoundTripper { return &asCaller{next} })
	return anonymous
}

// AsCaller reads live and writes with the token of the context's caller, for what views do with other objects than
// those of the Kinds.
func (c *Cluster) AsCaller() client.Client { return c.writer }

// asCaller adds the caller's token to each request.
type asCaller struct{ next http.RoundTripper }

// RoundTrip sends a request with the token of its context's caller.
func (t *asCaller) RoundTrip(r *http.Request) (*http.Response, error) {
	if caller := CallerFrom(r.Context()); caller != nil {
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", "Bearer "+caller.Token)
	}
	return t.next.RoundTrip(r)
}

// Authorize fails with an *Error of status 403 where the caller lacks a right in a project. Name is empty for a right
// to all names.
func (c *Cluster) Authorize(ctx context.Context, verb, resource, project, name string) error {
	caller := CallerFrom(ctx)
	if caller == nil {
		return Errorf(http.StatusUnauthorized, "a Kubernetes token is needed")
	}
	return c.AuthorizeUser(ctx, caller.User, verb, resource, project, name)
}

// AuthorizeUser is Authorize for somebody else than the caller.
func (c *Cluster) AuthorizeUser(ctx context.Context, who user.Info, verb, resource, project, name string) error {
	decision, reason, err := c.authorizer.Authorize(ctx, authorizer.AttributesRecord{
		User:            who,
		Verb:            verb,
		Namespace:       project,
		Name:            name,
		APIGroup:        v1alpha1.GroupVersion.Group,
		APIVersion:      v1alpha1.GroupVersion.Version,
		Resource:        resource,
		ResourceRequest: true,
	})
	if err != nil {
		return &Error{
			Status:     http.StatusServiceUnavailable,
			Message:    "the API server does not say what you may do",
			RetryAfter: time.Second,
			Cause:      err,
		}
	}
	if decision != authorizer.DecisionAllow {
		log.FromContext(
			ctx,
		).V(
			1,
		).Info(
			"Denied",
			"user",
			who.GetName(),
			"verb",
			verb,
			"resource",
			resource,
			"project",
			project,
			"reason",
			reason,
		)
		what, where := resource, "in any project"
		// Whoever may not read learns no names.
		if name != "" && verb != "get" {
			what += "/" + name
		}
		if project != "" {
			where = fmt.Sprintf("in project %q", project)
		}
		return Errorf(http.StatusForbidden, "%s may not %s %s %s", who.GetName(), verb, what, where)
	}
	return nil
}

// Project is the namespace that a request speaks of.
type Project struct {
	// Name is the namespace's name, and empty where an id was given that no namespace has.
	Name string
	// UID is the namespace's UID, and empty where there is no such namespace.
	UID types.UID
	// Organization is the organization that it belongs to.
	Organization string

	asked string
	// environment is the name that the project's default environment has by its label, and empty where it has none.
	environment string
}

// exists fails with an *Error of status 404 where there is no such project. It is asked after the caller's rights, so
// that whoever may not read a project gets the same answer whether it exists or not.
func (p *Project) exists() error {
	if p.UID == "" {
		return NotFound("project", p.asked)
	}
	return nil
}

// Project finds the project that a name or UID stands for. Whether it exists, and whether the caller may know, shows
// when something in it is read or written.
func (c *Cluster) Project(ctx context.Context, id string) (*Project, error) {
	namespace, err := c.namespace(ctx, id)
	if err != nil {
		return nil, err
	}
	if namespace == nil {
		project := &Project{asked: id, Name: id}
		if isUID(id) {
			project.Name = ""
		}
		return project, nil
	}
	return &Project{
		asked: id, Name: namespace.Name, UID: namespace.UID,
		Organization: cmp.Or(namespace.Labels[v1alpha1.OrganizationLabel], v1alpha1.DefaultOrganization),
		environment:  namespace.Labels[v1alpha1.DefaultEnvironmentLabel],
	}, nil
}

// ProjectOf finds the project of a request whose path has none: that of the header, else that of the service account
// which asks, else that of the server. It fails with an *Error of status 400 where none of these names one.
func (c *Cluster) ProjectOf(ctx context.Context, header string) (*Project, error) {
	caller := CallerFrom(ctx)
	id := header
	if id == "" && caller != nil {
		id = caller.ServiceAccountNamespace()
	}
	if id = cmp.Or(id, c.options.DefaultProject); id == "" {
		return nil, Errorf(http.StatusBadRequest, "no project: name one in the header %s", ProjectHeader)
	}
	return c.Project(ctx, id)
}

// EnvironmentOf returns the environment that a header names, and the default one where there is no such header.
func (c *Cluster) EnvironmentOf(
	ctx context.Context,
	project *Project,
	header string,
) (*v1alpha1.FlagEnvironment, error) {
	if header != "" {
		return c.Environment(ctx, project, header)
	}
	return c.DefaultEnvironment(ctx, project)
}

// DefaultEnvironment returns the environment of a project that a request means where it names none: that of the
// project's label flags.jackstaff.dev/default-environment, else its only environment, else its only production
// environment. It fails with an *Error of status 400 where there is no such choice.
func (c *Cluster) DefaultEnvironment(ctx context.Context, project *Project) (*v1alpha1.FlagEnvironment, error) {
	if project.environment != "" {
		return c.Environment(ctx, project, project.environment)
	}
	if err := project.exists(); err != nil {
		return nil, cmp.Or(c.Authorize(ctx, "list", Environments, project.Name, ""), err)
	}
	all, err := find[v1alpha1.FlagEnvironment, *v1alpha1.FlagEnvironmentList, *v1alpha1.FlagEnvironment](
		ctx,
		c,
		environments,
		client.InNamespace(project.Name),
	)
	if err != nil {
		return nil, err
	}
	production := slices.DeleteFunc(
		slices.Clone(all),
		func(environment *v1alpha1.FlagEnvironment) bool { return !environment.Spec.Production },
	)
	only := production
	if len(all) == 1 {
		only = all
	}
	if len(only) == 1 {
		return c.Environment(ctx, project, only[0].Name)
	}
	if err := c.Authorize(ctx, "list", Environments, project.Name, ""); err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, Errorf(
			http.StatusBadRequest,
			"project %q has no environment; create one, and choose it with the label %s on the namespace "+
				"once there are several",
			project.Name,
			v1alpha1.DefaultEnvironmentLabel,
		)
	}
	return nil, Errorf(
		http.StatusBadRequest,
		"project %q has %d production environments: name one in the header %s, or choose one with the label %s "+
			"on the namespace",
		project.Name,
		len(production),
		EnvironmentHeader,
		v1alpha1.DefaultEnvironmentLabel,
	)
}

// namespace finds a namespace by its UID, or by its name, and returns nil where there is none.
func (c *Cluster) namespace(ctx context.Context, id string) (*metav1.PartialObjectMetadata, error) {
	kind := corev1.SchemeGroupVersion.WithKind("Namespace")
	if isUID(id) {
		found := &metav1.PartialObjectMetadataList{}
		found.SetGroupVersionKind(kind)
		if err := c.Reader.List(ctx, found, client.MatchingFields{index.UID: id}); err != nil {
			return nil, fmt.Errorf("list namespaces: %w", err)
		}
		if len(found.Items) > 0 {
			return &found.Items[0], nil
		}
	}
	namespace := &metav1.PartialObjectMetadata{}
	namespace.SetGroupVersionKind(kind)
	if err := c.Reader.Get(ctx, types.NamespacedName{Name: id}, namespace); err != nil {
		return nil, client.IgnoreNotFound(err)
	}
	return namespace, nil
}

// isUID reports whether an id has the form of a UID.
func isUID(id string) bool { return uuid.Validate(id) == nil }
