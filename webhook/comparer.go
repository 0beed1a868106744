// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/compile"
	"github.com/jackstaff-dev/jackstaff/internal/diff"
	"github.com/jackstaff-dev/jackstaff/internal/ownership"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// comparer says who gets another answer.
type comparer struct {
	*objects
	namespace string
	// work is how many rules may still be looked at, and reads how many datafiles may be read.
	work, reads int
	// files are the served contents that were read, by environment. Those that cannot be read are nil.
	files map[string]*datafile.Contents
}

// servedStays is said of a change that takes back one that was never served.
const servedStays = "nobody gets another answer than now"

// compareServed compares a flag in one environment before and after a change of it. Where changes wait, that is what is
// served, which may differ from what was stored; where it cannot be read, the change is compared with what was stored.
func (c *comparer) compareServed(
	ctx context.Context,
	environment *v1alpha1.FlagEnvironment,
	old, flag *v1alpha1.FeatureFlag,
	isBrake bool,
) ([]string, error) {
	before, after, err := c.forms(environment.Name, old, flag)
	if err != nil {
		return nil, err
	}
	said, err := c.difference(ctx, flag.Key(), before, after, nil)
	if err != nil || len(said) == 0 && !isBrake || !isHeld(environment, c.clock.Now()) {
		return said, err
	}
	served := c.served(ctx, environment, flag.Key())
	if served == nil {
		return said, nil
	}
	if isBrake {
		return c.difference(ctx, flag.Key(), served, compile.Off(served), nil)
	}
	if said, err = c.difference(ctx, flag.Key(), served, after, nil); err == nil && len(said) == 0 {
		said = []string{servedStays}
	}
	return said, err
}

// served is the flag of that key as the environment serves it, and nil where it does not or that is not known.
func (c *comparer) served(ctx context.Context, environment *v1alpha1.FlagEnvironment, key string) *datafile.Flag {
	contents := c.contents(ctx, environment)
	if contents == nil {
		return nil
	}
	part, has := contents.Flags.Get(key)
	form := &datafile.Flag{}
	if !has || json.Unmarshal(part.JSON, form) != nil || form.Retained {
		return nil
	}
	c.work -= rulesPerCompiled * (len(form.Rules) + len(form.Overrides) + 1)
	return form
}

// contents are what an environment serves, and nil where that is not known. They are read once.
func (c *comparer) contents(ctx context.Context, environment *v1alpha1.FlagEnvironment) *datafile.Contents {
	contents, known := c.files[environment.Name]
	if known || c.reads == 0 {
		return contents
	}
	c.reads--
	configMap := &corev1.ConfigMap{}
	key := client.ObjectKey{Namespace: c.namespace, Name: environment.DatafileName()}
	if c.live.Get(ctx, key, configMap) == nil {
		if native, err := ownership.Native(configMap); err == nil {
			if _, contents, err = datafile.Decode(native); err != nil {
				contents = nil
			}
		}
	}
	if c.files == nil {
		c.files = map[string]*datafile.Contents{}
	}
	c.files[environment.Name] = contents
	return contents
}

// compareAudience compares a flag in one environment before and after a change of an audience. Where changes wait, that
// is what is served of both, as compareServed does for a flag.
func (c *comparer) compareAudience(
	ctx context.Context,
	environment *v1alpha1.FlagEnvironment,
	flag *v1alpha1.FeatureFlag,
	old, audience *datafile.Audience,
	name string,
) ([]string, error) {
	before, after, err := c.forms(environment.Name, flag, flag)
	if err != nil {
		return nil, err
	}
	said, err := c.difference(ctx, flag.Key(), before, after, newChangedAudience(name, old, audience))
	if err != nil || len(said) == 0 || !isHeld(environment, c.clock.Now()) {
		return said, err
	}
	served := c.served(ctx, environment, flag.Key())
	if served == nil {
		return said, nil
	}
	servedAudience := &datafile.Audience{} // Of an audience that is not served nobody is.
	if part, has := c.contents(ctx, environment).Audiences.Get(name); has {
		if json.Unmarshal(part.JSON, servedAudience) != nil {
			return said, nil //nolint:nilerr // What cannot be read of the file is compared with what is stored.
		}
	}
	said, err = c.difference(ctx, flag.Key(), served, after, newChangedAudience(name, servedAudience, audience))
	if err == nil && len(said) == 0 {
		said = []string{servedStays}
	}
	return said, err
}

// forms compiles a flag for one environment as it was and as it is.
func (c *comparer) forms(
	environment string,
	old, flag *v1alpha1.FeatureFlag,
) (before, after *datafile.Flag, err error) {
	if before, err = compile.Flag(only(old, environment), environment); err != nil {
		return nil, nil, fmt.Errorf("compile flag %q as it was: %w", old.Name, err)
	}
	if after, err = compile.Flag(only(flag, environment), environment); err != nil {
		return nil, nil, fmt.Errorf("compile flag %q: %w", flag.Name, err)
	}
	for _, form := range []*datafile.Flag{before, after} {
		c.work -= rulesPerCompiled * (len(form.Rules) + len(form.Overrides) + 1)
	}
	return before, after, nil
}

// difference says who gets another answer by one form of a flag than by the other.
func (c *comparer) difference(
	ctx context.Context,
	key string,
	before, after *datafile.Flag,
	changed *changedAudience,
) ([]string, error) {
	audiences, err := c.audiences(ctx, before, after)
	if err != nil {
		return nil, err
	}
	was := &datafile.Document{Flags: map[string]*datafile.Flag{key: before}, Audiences: audiences}
	is := &datafile.Document{Flags: map[string]*datafile.Flag{key: after}, Audiences: audiences}
	if changed != nil {
		was.Audiences, is.Audiences = maps.Clone(audiences), maps.Clone(audiences)
		was.Audiences[changed.name], is.Audiences[changed.name] = changed.before, changed.after
	}
	difference := diff.FlagWithin(was, is, key, &c.work)
	if difference == nil {
		return nil, nil
	}
	said := difference.Effects()
	switch {
	case len(said) == 0:
	case after.Enabled && !before.Enabled:
		said = slices.Insert(said, 0, "the flag is switched on")
	case before.Enabled && !after.Enabled:
		said = slices.Insert(said, 0, "the flag is switched off")
	}
	if more := len(said) - maxEffects; more > 1 {
		said = append(said[:maxEffects], fmt.Sprintf("and %d more; jackstaff diff says all", more))
	}
	return said, nil
}

// only returns the flag without its other environments, so that they are not looked at for each of them.
func only(flag *v1alpha1.FeatureFlag, environment string) *v1alpha1.FeatureFlag {
	part := *flag
	part.Spec.Environments = nil
	if config := flag.In(environment); config != nil {
		part.Spec.Environments = []v1alpha1.EnvironmentConfig{*config}
	}
	return &part
}

// audiences returns a stand-in for each audience that forms of a flag name: of one that does not change it suffices to
// tell it from others and from one that holds for nobody. Each has one member, its name.
func (c *comparer) audiences(ctx context.Context, forms ...*datafile.Flag) (map[string]*datafile.Audience, error) {
	found := map[string]*datafile.Audience{}
	for _, form := range forms {
		for i := range form.Rules {
			for _, name := range form.Rules[i].Audiences {
				if _, known := found[name]; known {
					continue
				}
				audience := &v1alpha1.FlagAudience{}
				err := c.cached.Get(
					ctx,
					client.ObjectKey{Namespace: c.namespace, Name: name},
					audience,
					client.UnsafeDisableDeepCopy,
				)
				if client.IgnoreNotFound(err) != nil {
					return nil, fmt.Errorf("read audience %q: %w", name, err)
				}
				found[name] = &datafile.Audience{}
				if err == nil && len(audience.Spec.Members)+len(audience.Spec.MatchAny) > 0 {
					found[name].Members = []string{name}
				}
			}
		}
	}
	return found, nil
}

// audienceForms compiles an audience as it was and as it is.
func audienceForms(old, audience *v1alpha1.FlagAudience) (before, after *datafile.Audience, err error) {
	if before, err = compile.Audience(old); err != nil {
		return nil, nil, fmt.Errorf("compile audience %q as it was: %w", old.Name, err)
	}
	if after, err = compile.Audience(audience); err != nil {
		return nil, nil, fmt.Errorf("compile audience %q: %w", audience.Name, err)
	}
	return before, after, nil
}

// changedAudience is an audience before and after a change.
type changedAudience struct {
	name          string
	before, after *datafile.Audience
}

// newChangedAudience reduces the members, of whom there may be thousands, to one that goes, one that stays and one that
// comes: which of these there are is all that a comparison depends on.
func newChangedAudience(name string, old, audience *datafile.Audience) *changedAudience {
	before, after := *old, *audience
	had, has := sets.New(before.Members...), sets.New(after.Members...)
	before.Members, after.Members = nil, nil
	if had.Intersection(has).Len() > 0 {
		before.Members, after.Members = []string{"stays"}, []string{"stays"}
	}
	if had.Difference(has).Len() > 0 {
		before.Members = append([]string{"goes"}, before.Members...)
	}
	if has.Difference(had).Len() > 0 {
		after.Members = append([]string{"comes"}, after.Members...)
	}
	return &changedAudience{name, &before, &after}
}
