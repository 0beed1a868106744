// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/compile"
	"github.com/jackstaff-dev/jackstaff/internal/diff"
	"github.com/jackstaff-dev/jackstaff/internal/validation"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

const (
	// maxRulesCompared bounds the work of saying what an update does, in rules that are looked at (see diff.FlagWithin):
	// that many take about ten milliseconds.
	maxRulesCompared = 100_000

	// Compiling a rule or an override takes about as long as looking at this many.
	rulesPerCompiled = 30

	// maxEffects bounds what is said of one flag in one environment, so that there is room for the others.
	maxEffects = 5

	// maxFlagsCompared bounds the flags that are looked at for one audience.
	maxFlagsCompared = 20
)

// tooMuch ends what is said where the rest is not known.
const tooMuch = "the change is too large to say all that it does; jackstaff diff does"

// effects compares the flag in every environment that it or its namespace has. Where the flag is not what its key
// stands for, or a cycle keeps what is published, there is nothing to say.
func (r *featureFlags) effects(
	ctx context.Context,
	old, flag *v1alpha1.FeatureFlag,
	findings []validation.Finding,
) ([]string, error) {
	if slices.ContainsFunc(findings, func(finding validation.Finding) bool {
		return finding.Kind == validation.KeyTaken || finding.Kind == validation.PrerequisiteCycle
	}) {
		return nil, nil
	}
	switch {
	case old.Spec.Archived && flag.Spec.Archived:
		return nil, nil
	case flag.Spec.Archived:
		return []string{"the flag is archived: no environment serves it any more, and code gets the default in the code"}, nil
	case old.Spec.Archived:
		return []string{
			"the flag is restored: every environment serves it again, where code got the default in the code",
		}, nil
	}
	environments, err := r.environmentsOf(ctx, old, flag)
	if err != nil {
		return nil, err
	}
	c := &comparer{objects: &r.objects, namespace: flag.Namespace, work: maxRulesCompared}
	everywhere := differsEverywhere(old, flag)
	var texts []string
	for _, environment := range environments {
		name := environment.Name
		if !everywhere && old.ForceDisabledIn(name) == flag.ForceDisabledIn(name) &&
			equality.Semantic.DeepEqual(old.In(name), flag.In(name)) {
			continue
		}
		said, err := c.compare(ctx, name, old, flag, nil)
		if err != nil {
			return texts, err
		}
		for _, text := range said {
			isBrake := flag.ForceDisabledIn(name) && !old.ForceDisabledIn(name)
			texts = append(texts, when(environment, isBrake, c.clock.Now())+": "+text)
		}
		if c.work < 0 {
			return append(texts, tooMuch), nil
		}
	}
	return texts, nil
}

// differsEverywhere compares what is the same in all environments.
func differsEverywhere(old, flag *v1alpha1.FeatureFlag) bool {
	was, is := old.Spec, flag.Spec
	was.Environments, is.Environments = nil, nil
	return !equality.Semantic.DeepEqual(was, is)
}

// effects compares the flags that name the audience in every environment in which they do.
func (r *flagAudiences) effects(
	ctx context.Context,
	old, audience *v1alpha1.FlagAudience,
	_ []validation.Finding,
) ([]string, error) {
	if equality.Semantic.DeepEqual(old.Spec, audience.Spec) {
		return nil, nil
	}
	flags, err := r.namespace(audience).FlagsUsingAudience(ctx, audience.Name)
	if err != nil || len(flags) == 0 {
		return nil, err
	}
	flags = slices.SortedFunc(
		slices.Values(flags),
		func(a, b *v1alpha1.FeatureFlag) int { return cmp.Compare(a.Name, b.Name) },
	)
	environments, err := r.environmentsOf(ctx, flags...)
	if err != nil {
		return nil, err
	}
	changed, err := newChangedAudience(old, audience)
	if err != nil {
		return nil, err
	}
	c := &comparer{objects: &r.objects, namespace: audience.Namespace, work: maxRulesCompared}
	var texts []string
	for _, environment := range environments {
		for _, flag := range flags[:min(len(flags), maxFlagsCompared)] {
			if !validation.NamesAudience(only(flag, environment.Name), audience.Name) {
				continue
			}
			if sameKey, err := r.namespace(
				audience,
			).FlagsWithKey(
				ctx,
				flag.Key(),
			); err != nil ||
				validation.Holder(flag, sameKey...).Name != flag.Name {
				continue // It is not served.
			}
			said, err := c.compare(ctx, environment.Name, flag, flag, changed)
			if err != nil {
				return texts, err
			}
			for _, text := range said {
				texts = append(texts, when(environment, false, c.clock.Now())+": flag "+strconv.Quote(flag.Key())+": "+text)
			}
			if c.work < 0 {
				return append(texts, tooMuch), nil
			}
		}
	}
	if len(flags) > maxFlagsCompared {
		texts = append(texts, tooMuch)
	}
	return texts, nil
}

func (r *flagEvents) effects(
	context.Context,
	*v1alpha1.FlagEvent,
	*v1alpha1.FlagEvent,
	[]validation.Finding,
) ([]string, error) {
	return nil, nil
}

// environmentsOf returns the environments of the flags' namespace, and those that the flags have besides, which do not
// exist yet: production first, so that what there is no room for is least important, then by name.
func (o *objects) environmentsOf(
	ctx context.Context,
	flags ...*v1alpha1.FeatureFlag,
) ([]*v1alpha1.FlagEnvironment, error) {
	environments, err := o.namespace(flags[0]).Environments(ctx)
	if err != nil {
		return nil, fmt.Errorf("find environments: %w", err)
	}
	known := map[string]struct{}{}
	for _, environment := range environments {
		known[environment.Name] = struct{}{}
	}
	for _, flag := range flags {
		for i := range flag.Spec.Environments {
			name := flag.Spec.Environments[i].Name
			if _, exists := known[name]; !exists {
				known[name] = struct{}{}
				environments = append(environments, &v1alpha1.FlagEnvironment{ObjectMeta: metav1.ObjectMeta{Name: name}})
			}
		}
	}
	slices.SortFunc(environments, func(a, b *v1alpha1.FlagEnvironment) int {
		if a.Spec.Production != b.Spec.Production {
			if a.Spec.Production {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.Name, b.Name)
	})
	return environments, nil
}

// when names an environment, and says where it does not publish a change by itself. A brake, which forces a flag off,
// waits for no mode, freeze or pin.
func when(environment *v1alpha1.FlagEnvironment, isBrake bool, now time.Time) string {
	publish := environment.Spec.Publish.At(now)
	switch {
	case environment.IsElsewhere():
		return environment.Name + ", in the cluster that serves it"
	case environment.Status.State == v1alpha1.PublishStateBreakGlass:
		return environment.Name + ", once break glass has ended"
	case isBrake, isAutomatic(environment) && !publish.Suspend && publish.Revision == nil:
		return environment.Name
	}
	return environment.Name + ", once published"
}

// comparer says who gets another answer.
type comparer struct {
	*objects
	namespace string
	// work is how many rules may still be looked at.
	work int
}

// compare compares a flag in one environment before and after a change of it, or of an audience.
func (c *comparer) compare(
	ctx context.Context,
	environment string,
	old, flag *v1alpha1.FeatureFlag,
	changed *changedAudience,
) ([]string, error) {
	before, err := compile.Flag(only(old, environment), environment)
	if err != nil {
		return nil, fmt.Errorf("compile flag %q as it was: %w", old.Name, err)
	}
	after, err := compile.Flag(only(flag, environment), environment)
	if err != nil {
		return nil, fmt.Errorf("compile flag %q: %w", flag.Name, err)
	}
	for _, form := range []*datafile.Flag{before, after} {
		c.work -= rulesPerCompiled * (len(form.Rules) + len(form.Overrides) + 1)
	}
	audiences, err := c.audiences(ctx, before, after)
	if err != nil {
		return nil, err
	}
	key := flag.Key()
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

// changedAudience is an audience before and after a change.
type changedAudience struct {
	name          string
	before, after *datafile.Audience
}

// newChangedAudience reduces the members, of whom there may be thousands, to one that goes, one that stays and one that
// comes: which of these there are is all that a comparison depends on.
func newChangedAudience(old, audience *v1alpha1.FlagAudience) (*changedAudience, error) {
	before, err := compile.Audience(old)
	if err != nil {
		return nil, fmt.Errorf("compile audience %q as it was: %w", old.Name, err)
	}
	after, err := compile.Audience(audience)
	if err != nil {
		return nil, fmt.Errorf("compile audience %q: %w", audience.Name, err)
	}
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
	return &changedAudience{audience.Name, before, after}, nil
}
