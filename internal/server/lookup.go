// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/index"
	"github.com/jackstaff-dev/jackstaff/internal/validation"
)

// What is looked up here comes from the caches, uncopied: it must not be changed. Each look-up fails with an *Error of
// status 403 where the caller may not read it, and of 404 where there is no such thing.

// Flags returns the flags of a project, by name.
func (c *Cluster) Flags(ctx context.Context, project *Project) ([]*v1alpha1.FeatureFlag, error) {
	return list(ctx, c, project, flags)
}

// Flag returns the flag of a UID, key or name. Of several flags with one key it is the one that holds the key.
func (c *Cluster) Flag(ctx context.Context, project *Project, id string) (*v1alpha1.FeatureFlag, error) {
	return get(ctx, c, project, flags, id)
}

// Environments returns the environments of a project, in their order, then by name.
func (c *Cluster) Environments(ctx context.Context, project *Project) ([]*v1alpha1.FlagEnvironment, error) {
	all, err := list(ctx, c, project, environments)
	slices.SortStableFunc(all, func(a, b *v1alpha1.FlagEnvironment) int { return cmp.Compare(a.Spec.Order, b.Spec.Order) })
	return all, err
}

// EnvironmentsOf returns the environments with which a single flag is shown, in their order: all of the project, and to
// whoever may not list them those that the flag names and the caller may get.
func (c *Cluster) EnvironmentsOf(
	ctx context.Context, project *Project, flag *v1alpha1.FeatureFlag,
) ([]*v1alpha1.FlagEnvironment, error) {
	all, listed := c.Environments(ctx, project)
	if !isForbidden(listed) {
		return all, listed
	}
	var found []*v1alpha1.FlagEnvironment
	for i := range flag.Spec.Environments {
		environment, err := c.Environment(ctx, project, flag.Spec.Environments[i].Name)
		switch {
		case err == nil:
			found = append(found, environment)
		case !isForbidden(err) && !isNotFound(err):
			return nil, err
		}
	}
	if len(found) == 0 && c.Authorize(ctx, "get", Environments, project.Name, "") != nil {
		return nil, listed
	}
	slices.SortStableFunc(found, func(a, b *v1alpha1.FlagEnvironment) int {
		return cmp.Or(cmp.Compare(a.Spec.Order, b.Spec.Order), cmp.Compare(a.Name, b.Name))
	})
	return found, nil
}

// AudiencesOf returns the audiences of names that the caller may read. Where one may not be read, its name has to do.
func (c *Cluster) AudiencesOf(
	ctx context.Context, project *Project, names []string,
) (map[string]*v1alpha1.FlagAudience, error) {
	found := map[string]*v1alpha1.FlagAudience{}
	for _, name := range names {
		if found[name] != nil {
			continue
		}
		audience, err := c.Audience(ctx, project, name)
		switch {
		case err == nil && audience.Name == name:
			found[name] = audience
		case err != nil && !isForbidden(err) && !isNotFound(err):
			return nil, err
		}
	}
	return found, nil
}

func isForbidden(err error) bool { return hasStatus(err, http.StatusForbidden) }

func isNotFound(err error) bool { return hasStatus(err, http.StatusNotFound) }

// hasStatus reports whether an error is an *Error of a status.
func hasStatus(err error, status int) bool {
	refused := (*Error)(nil)
	return errors.As(err, &refused) && refused.Status == status
}

// Environment returns the environment of a UID or name.
func (c *Cluster) Environment(ctx context.Context, project *Project, id string) (*v1alpha1.FlagEnvironment, error) {
	return get(ctx, c, project, environments, id)
}

// EnvironmentAnywhere returns the environment of a UID, or of a name in the form <namespace>.<name>, with its project.
func (c *Cluster) EnvironmentAnywhere(ctx context.Context, id string) (*Project, *v1alpha1.FlagEnvironment, error) {
	namespace, name, qualified := strings.Cut(id, ".")
	if !qualified {
		name = id
		found := &v1alpha1.FlagEnvironmentList{}
		if err := c.Reader.List(ctx, found, client.MatchingFields{index.UID: id}, client.UnsafeDisableDeepCopy); err != nil {
			return nil, nil, fmt.Errorf("find environment: %w", err)
		}
		if len(found.Items) == 0 {
			return nil, nil, cmp.Or(c.Authorize(ctx, "get", Environments, "", ""), error(NotFound("environment", id)))
		}
		namespace = found.Items[0].Namespace
	}
	project, err := c.Project(ctx, namespace)
	if err != nil {
		return nil, nil, err
	}
	environment, err := c.Environment(ctx, project, name)
	return project, environment, err
}

// Audiences returns the audiences of a project, by name.
func (c *Cluster) Audiences(ctx context.Context, project *Project) ([]*v1alpha1.FlagAudience, error) {
	return list(ctx, c, project, audiences)
}

// Audience returns the audience of a UID or name.
func (c *Cluster) Audience(ctx context.Context, project *Project, id string) (*v1alpha1.FlagAudience, error) {
	return get(ctx, c, project, audiences, id)
}

// Events returns the events of a project, by name.
func (c *Cluster) Events(ctx context.Context, project *Project) ([]*v1alpha1.FlagEvent, error) {
	return list(ctx, c, project, events)
}

// Event returns the event of a UID, key or name.
func (c *Cluster) Event(ctx context.Context, project *Project, id string) (*v1alpha1.FlagEvent, error) {
	return get(ctx, c, project, events, id)
}

// pointer is a pointer to a Kind's struct.
type pointer[T any] interface {
	*T
	v1alpha1.Object
}

// kind is how the objects of a Kind are found.
type kind[T any, L client.ObjectList] struct {
	// resource and name are what it is called in rights and in messages.
	resource, name string
	// key is the index of its keys, and empty where it has none.
	key string
	// newList makes an empty list, and items are what is in it.
	newList func() L
	items   func(L) []T
}

var (
	flags = kind[v1alpha1.FeatureFlag, *v1alpha1.FeatureFlagList]{
		Flags, "flag", index.FlagKey, func() *v1alpha1.FeatureFlagList { return &v1alpha1.FeatureFlagList{} },
		func(all *v1alpha1.FeatureFlagList) []v1alpha1.FeatureFlag { return all.Items },
	}
	environments = kind[v1alpha1.FlagEnvironment, *v1alpha1.FlagEnvironmentList]{
		Environments, "environment", "", func() *v1alpha1.FlagEnvironmentList { return &v1alpha1.FlagEnvironmentList{} },
		func(all *v1alpha1.FlagEnvironmentList) []v1alpha1.FlagEnvironment { return all.Items },
	}
	audiences = kind[v1alpha1.FlagAudience, *v1alpha1.FlagAudienceList]{
		Audiences, "audience", "", func() *v1alpha1.FlagAudienceList { return &v1alpha1.FlagAudienceList{} },
		func(all *v1alpha1.FlagAudienceList) []v1alpha1.FlagAudience { return all.Items },
	}
	events = kind[v1alpha1.FlagEvent, *v1alpha1.FlagEventList]{
		Events, "event", index.EventKey, func() *v1alpha1.FlagEventList { return &v1alpha1.FlagEventList{} },
		func(all *v1alpha1.FlagEventList) []v1alpha1.FlagEvent { return all.Items },
	}
)

// list returns the objects of a project, by name.
func list[T any, L client.ObjectList, P pointer[T]](
	ctx context.Context,
	c *Cluster,
	project *Project,
	of kind[T, L],
) ([]P, error) {
	if err := c.Authorize(ctx, "list", of.resource, project.Name, ""); err != nil {
		return nil, err
	}
	if err := project.exists(); err != nil {
		return nil, err
	}
	objects, err := find[T, L, P](ctx, c, of, client.InNamespace(project.Name))
	slices.SortFunc(objects, func(a, b P) int { return cmp.Compare(a.GetName(), b.GetName()) })
	for _, object := range objects {
		warnUnreadable(ctx, of.name, object)
	}
	return objects, err
}

// get returns the object that an id stands for: as UID, else as key, else as name.
func get[T any, L client.ObjectList, P pointer[T]](
	ctx context.Context,
	c *Cluster,
	project *Project,
	of kind[T, L],
	id string,
) (P, error) {
	found, err := lookUp[T, L, P](ctx, c, project, of, id)
	if err != nil {
		return nil, err
	}
	name := ""
	if found != nil {
		name = found.GetName()
	}
	if err := c.Authorize(ctx, "get", of.resource, project.Name, name); err != nil {
		return nil, err
	}
	if err := project.exists(); err != nil {
		return nil, err
	}
	if found == nil {
		among, err := proposable[T, L, P](ctx, c, project, of, id)
		if err != nil {
			return nil, err
		}
		return nil, NotFoundAmong(of.name, id, among)
	}
	warnUnreadable(ctx, of.name, found)
	return found, nil
}

const (
	// maxProposed is how many names are compared with one that does not exist.
	maxProposed = 1000
	// maxMisspelt is how long a name is that is compared with others, in bytes.
	maxMisspelt = 128
)

// proposable are names and keys that an id which does not exist may mean: those of a length near to its own, and where
// there are few, all. Who may not list them is told none.
func proposable[T any, L client.ObjectList, P pointer[T]](
	ctx context.Context,
	c *Cluster,
	project *Project,
	of kind[T, L],
	id string,
) ([]string, error) {
	refused := (*Error)(nil)
	if err := c.Authorize(ctx, "list", of.resource, project.Name, ""); errors.As(err, &refused) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	if len(id) > maxMisspelt {
		return nil, nil
	}
	objects, err := find[T, L, P](ctx, c, of, client.InNamespace(project.Name))
	if err != nil {
		return nil, err
	}
	var names []string
	for _, object := range objects {
		name := object.GetName()
		if keyed, has := any(object).(interface{ Key() string }); has {
			name = keyed.Key() // By which clients and people know it.
		}
		isNear := 2*len(name) >= len(id) && len(name) <= 2*len(id)
		if (isNear || len(objects) <= maxMisspelt) && len(names) < maxProposed {
			names = append(names, name)
		}
	}
	return names, nil
}

func lookUp[T any, L client.ObjectList, P pointer[T]](
	ctx context.Context,
	c *Cluster,
	project *Project,
	of kind[T, L],
	id string,
) (P, error) {
	if project.UID == "" {
		return nil, nil // A confined operator has no cache of a namespace that is not one of its own.
	}
	for _, field := range []string{index.UID, of.key} {
		if field == "" || field == index.UID && !isUID(id) {
			continue
		}
		objects, err := find[T, L, P](ctx, c, of, client.InNamespace(project.Name), client.MatchingFields{field: id})
		if err != nil {
			return nil, err
		}
		if len(objects) > 0 {
			return validation.Holder(objects[0], objects[1:]...), nil
		}
	}
	object := P(new(T))
	if err := c.Reader.Get(
		ctx,
		types.NamespacedName{Namespace: project.Name, Name: id},
		object,
		client.UnsafeDisableDeepCopy,
	); err != nil {
		return nil, client.IgnoreNotFound(err)
	}
	return object, nil
}

// find lists objects from the cache.
func find[T any, L client.ObjectList, P pointer[T]](
	ctx context.Context,
	c *Cluster,
	of kind[T, L],
	options ...client.ListOption,
) ([]P, error) {
	all := of.newList()
	if err := c.Reader.List(ctx, all, append(options, client.UnsafeDisableDeepCopy)...); err != nil {
		return nil, fmt.Errorf("find %s: %w", of.resource, err)
	}
	items := of.items(all)
	objects := make([]P, len(items))
	for i := range items {
		objects[i] = P(&items[i])
	}
	return objects, nil
}
