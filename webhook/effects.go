// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/validation"
)

const (
	// maxRulesCompared bounds the work of saying what an update does, in rules that are looked at (see diff.FlagWithin):
	// that many take about ten milliseconds.
	maxRulesCompared = 100_000

	// Compiling a rule or an override takes about as long as looking at this many.
	rulesPerCompiled = 30

	// maxEffects bounds what is said of one flag in one environment, so that there is room for the others.
	maxEffects = 5

	// maxServedRead bounds the datafiles that are read to compare with what is served, a mebibyte each.
	maxServedRead = 3

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
	c := &comparer{objects: &r.objects, namespace: flag.Namespace, work: maxRulesCompared, reads: maxServedRead}
	everywhere := differsEverywhere(old, flag)
	var texts []string
	for _, environment := range environments {
		name := environment.Name
		if !everywhere && old.ForceDisabledIn(name) == flag.ForceDisabledIn(name) &&
			equality.Semantic.DeepEqual(old.In(name), flag.In(name)) {
			continue
		}
		isBrake := flag.ForceDisabledIn(name) && !old.ForceDisabledIn(name)
		said, err := c.compareServed(ctx, environment, old, flag, isBrake)
		if err != nil {
			return texts, err
		}
		for _, text := range said {
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
	before, after, err := audienceForms(old, audience)
	if err != nil {
		return nil, err
	}
	c := &comparer{objects: &r.objects, namespace: audience.Namespace, work: maxRulesCompared, reads: maxServedRead}
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
			said, err := c.compareAudience(ctx, environment, flag, before, after, audience.Name)
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
	switch {
	case environment.IsElsewhere():
		return environment.Name + ", in the cluster that serves it"
	case environment.Status.State == v1alpha1.PublishStateBreakGlass:
		return environment.Name + ", once break glass has ended"
	case isBrake, !isHeld(environment, now):
		return environment.Name
	}
	return environment.Name + ", once published"
}

// isHeld reports whether the environment serves something, and no change of it by itself.
func isHeld(environment *v1alpha1.FlagEnvironment, now time.Time) bool {
	publish := environment.Spec.Publish.At(now)
	return !environment.IsElsewhere() && (environment.Status.State == v1alpha1.PublishStateBreakGlass ||
		!isAutomatic(environment) || publish.Suspend || publish.Revision != nil)
}
