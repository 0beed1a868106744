// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// flagFinder looks for what there is to warn of about one flag.
type flagFinder struct {
	findings
	namespace Namespace
	old, flag *v1alpha1.FeatureFlag
	key       string
	// environments are those of the namespace by name.
	environments map[string]*v1alpha1.FlagEnvironment
	// holders are the flags that hold a key, as far as they were looked up; nil where there is none.
	holders map[string]*v1alpha1.FeatureFlag
	// proposed counts for how many names the nearest ones were looked for.
	proposed int
}

// keyTaken warns where another flag holds the key. It reports whether this flag holds it.
func (f *flagFinder) keyTaken(ctx context.Context) (bool, error) {
	flags, err := f.namespace.FlagsWithKey(ctx, f.key)
	if err != nil {
		return false, fmt.Errorf("find flags with key %q: %w", f.key, err)
	}
	holder := Holder(
		f.flag,
		slices.DeleteFunc(
			slices.Clone(flags),
			func(other *v1alpha1.FeatureFlag) bool { return other.Name == f.flag.Name },
		)...)
	f.holders[f.key] = holder
	if holder == f.flag {
		return true, nil
	}
	f.add(
		KeyTaken,
		specPath.Child("key"),
		"FeatureFlag %q holds the key %q already; this flag is not served until that one is gone",
		holder.Name,
		f.key,
	)
	return false, nil
}

// holder returns the flag that holds key, or nil.
func (f *flagFinder) holder(ctx context.Context, key string) (*v1alpha1.FeatureFlag, error) {
	if holder, known := f.holders[key]; known {
		return holder, nil
	}
	flags, err := f.namespace.FlagsWithKey(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("find flags with key %q: %w", key, err)
	}
	var holder *v1alpha1.FeatureFlag
	if len(flags) > 0 {
		holder = Holder(flags[0], flags[1:]...)
	}
	f.holders[key] = holder
	return holder, nil
}

// cycles warns where the flag requires itself in an environment, directly or through other flags.
func (f *flagFinder) cycles(ctx context.Context) error {
	if f.flag.Spec.Archived {
		return nil
	}
	for i := range f.flag.Spec.Environments {
		environment := f.flag.Spec.Environments[i].Name
		path, err := f.cycle(ctx, environment)
		if err != nil {
			return err
		}
		if path != nil {
			f.add(
				PrerequisiteCycle,
				specPath.Child("environments").Index(i).Child("prerequisites"),
				"the flag requires itself in environment %q: %s; none of these flags changes there until one of the "+
					"prerequisites is removed",
				environment,
				Truncate(strings.Join(path, " → "), maxShown),
			)
		}
	}
	return nil
}

// cycle returns the keys of the shortest way from the flag back to itself, or nil. It searches breadth first.
func (f *flagFinder) cycle(ctx context.Context, environment string) ([]string, error) {
	requiredBy := map[string]string{}
	for queue := []string{f.key}; len(queue) > 0 && len(requiredBy) < maxVisited; queue = queue[1:] {
		flag, err := f.holder(ctx, queue[0])
		if err != nil {
			return nil, err
		}
		for _, key := range requirements(flag, environment) {
			if _, known := requiredBy[key]; known {
				continue
			}
			requiredBy[key] = queue[0]
			if key != f.key {
				queue = append(queue, key)
				continue
			}
			path := []string{f.key}
			for step := queue[0]; step != f.key; step = requiredBy[step] {
				path = append(path, step)
			}
			path = append(path, f.key)
			slices.Reverse(path)
			return path, nil
		}
	}
	return nil, nil
}

// requirements returns the keys of the flags that a flag, if there is one, requires in an environment.
func requirements(flag *v1alpha1.FeatureFlag, environment string) []string {
	if flag == nil || flag.Spec.Archived {
		return nil
	}
	var keys []string
	for i := range flag.Spec.Environments {
		if flag.Spec.Environments[i].Name == environment {
			for _, prerequisite := range flag.Spec.Environments[i].Prerequisites {
				keys = append(keys, prerequisite.Flag)
			}
		}
	}
	return keys
}

// required warns where this change archives the flag, or removes a variation, while others require it.
func (f *flagFinder) required(ctx context.Context) error {
	archives := f.flag.Spec.Archived && (f.old == nil || !f.old.Spec.Archived)
	removed := map[string]struct{}{}
	if f.old != nil && !f.flag.Spec.Archived {
		for i := range f.old.Spec.Variations {
			removed[f.old.Spec.Variations[i].Key] = struct{}{}
		}
		for i := range f.flag.Spec.Variations {
			delete(removed, f.flag.Spec.Variations[i].Key)
		}
	}
	if !archives && len(removed) == 0 {
		return nil
	}
	flags, err := f.namespace.FlagsRequiring(ctx, f.key)
	if err != nil {
		return fmt.Errorf("find flags that require %q: %w", f.key, err)
	}
	var all []string
	byVariation := map[string][]string{}
	for _, flag := range flags {
		if flag.Name == f.flag.Name || flag.DeletionTimestamp != nil {
			continue
		}
		all = append(all, flag.Name)
		for i := range flag.Spec.Environments {
			for _, prerequisite := range flag.Spec.Environments[i].Prerequisites {
				for _, variation := range prerequisite.Variations {
					if _, gone := removed[variation]; gone && prerequisite.Flag == f.key {
						byVariation[variation] = append(byVariation[variation], flag.Name)
					}
				}
			}
		}
	}
	if archives && len(all) > 0 {
		slices.Sort(all)
		f.add(
			ArchivedButRequired,
			specPath.Child("archived"),
			"required by %s, for which an archived flag is a prerequisite that is not met; remove it there first",
			joinQuoted(all),
		)
	}
	for _, variation := range slices.Sorted(maps.Keys(byVariation)) {
		names := byVariation[variation]
		slices.Sort(names)
		f.add(
			VariationRequired,
			specPath.Child("variations"),
			"variation %q was removed and is required by %s",
			shown(variation),
			joinQuoted(slices.Compact(names)),
		)
	}
	return nil
}

// references warns of everything that the flag names and that is not there, once each.
func (f *flagFinder) references(ctx context.Context) error {
	for _, name := range f.flag.ForceDisabled() {
		if f.environments[name] == nil {
			f.add(
				NotFound,
				metadataPath.Child("annotations").Key(v1alpha1.ForceDisabledAnnotation),
				"FlagEnvironment %q does not exist%s",
				name,
				f.meant(name, f.environmentNames),
			)
		}
	}
	if f.flag.Spec.Archived {
		return nil
	}
	audiences, events := map[string]struct{}{}, map[string]struct{}{}
	for i := range f.flag.Spec.Environments {
		environment, path := &f.flag.Spec.Environments[i], specPath.Child("environments").Index(i)
		if f.environments[environment.Name] == nil {
			f.add(NotFound, path.Child("name"), "FlagEnvironment %q does not exist%s",
				shown(environment.Name), f.meant(environment.Name, f.environmentNames))
		}
		for j := range environment.Prerequisites {
			if err := f.prerequisite(ctx, path.Child("prerequisites").Index(j), &environment.Prerequisites[j]); err != nil {
				return err
			}
		}
		for j := range environment.Rules {
			rule, path := &environment.Rules[j], path.Child("rules").Index(j)
			for k, name := range rule.Audiences {
				if _, known := audiences[name]; known {
					continue
				}
				audiences[name] = struct{}{}
				found, err := f.namespace.HasAudience(ctx, name)
				if err != nil {
					return fmt.Errorf("find audience %q: %w", name, err)
				}
				if !found {
					f.add(
						NotFound,
						path.Child("audiences").Index(k),
						"FlagAudience %q does not exist, and holds for nobody until it does%s",
						shown(name),
						f.meant(name, func() ([]string, error) { return f.namespace.Audiences(ctx) }),
					)
				}
			}
			for k, key := range rule.Metrics {
				if _, known := events[key]; known {
					continue
				}
				events[key] = struct{}{}
				found, err := f.namespace.EventsWithKey(ctx, key)
				if err != nil {
					return fmt.Errorf("find event %q: %w", key, err)
				}
				if len(found) == 0 {
					f.add(NotFound, path.Child("metrics").Index(k), "no FlagEvent has the key %q%s", shown(key),
						f.meant(key, func() ([]string, error) { return f.namespace.EventKeys(ctx) }))
				}
			}
		}
	}
	return nil
}

func (f *flagFinder) prerequisite(ctx context.Context, path *field.Path, prerequisite *v1alpha1.Prerequisite) error {
	other, err := f.holder(ctx, prerequisite.Flag)
	if err != nil {
		return err
	}
	switch {
	case other == nil:
		f.add(
			NotFound,
			path.Child("flag"),
			"no FeatureFlag has the key %q; the prerequisite is not met until one does%s",
			shown(prerequisite.Flag),
			f.meant(prerequisite.Flag, func() ([]string, error) { return f.namespace.FlagKeys(ctx) }),
		)
	case other.Spec.Archived:
		f.add(
			NotFound,
			path.Child("flag"),
			"flag %q is archived, so that the prerequisite is not met",
			shown(prerequisite.Flag),
		)
	default:
		for i, key := range prerequisite.Variations {
			if !slices.ContainsFunc(
				other.Spec.Variations,
				func(variation v1alpha1.Variation) bool { return variation.Key == key },
			) {
				f.add(
					NotFound,
					path.Child("variations").Index(i),
					"flag %q has no variation %q%s",
					shown(prerequisite.Flag),
					shown(key),
					nearestOnly(key, variationKeys(other)),
				)
			}
		}
	}
	return nil
}

// rules warns of rules that are never reached and of variations that a split gives to nobody.
func (f *flagFinder) rules() {
	for i := range f.flag.Spec.Environments {
		rules, path := f.flag.Spec.Environments[i].Rules, specPath.Child("environments").Index(i).Child("rules")
		decider := ""
		for _, ruleType := range []v1alpha1.RuleType{v1alpha1.RuleTypeABTest, v1alpha1.RuleTypeTargetedDelivery} {
			for j := range rules {
				rule := &rules[j]
				if cmp.Or(rule.Type, v1alpha1.RuleTypeTargetedDelivery) != ruleType || !rule.IsEnabled() {
					continue
				}
				if decider != "" {
					f.add(
						Unreachable,
						path.Index(j),
						"rule %q is never reached, because rule %q decides for everybody before",
						rule.Name,
						decider,
					)
				} else if decidesForEverybody(rule) {
					decider = rule.Name
				}
			}
		}
	}
	for i := range f.flag.Spec.Environments {
		for j := range f.flag.Spec.Environments[i].Rules {
			for k, entry := range f.flag.Spec.Environments[i].Rules[j].Split {
				if entry.Weight == 0 {
					f.add(
						ZeroWeight,
						specPath.Child("environments").Index(i).Child("rules").Index(j).Child("split").Index(k).Child("weight"),
						"is 0, so that nobody gets variation %q",
						shown(entry.Variation),
					)
				}
			}
		}
	}
}

// decidesForEverybody reports whether no context gets past the rule. A split lets pass who has no hash attribute; that
// of a targeting key is taken for granted.
func decidesForEverybody(rule *v1alpha1.Rule) bool {
	traffic, err := rule.Traffic.Thousandths()
	return err == nil && traffic == v1alpha1.FullTraffic && len(rule.Audiences) == 0 && len(rule.Conditions) == 0 &&
		(len(rule.Split) == 0 || rule.HashAttribute == "" || rule.HashAttribute == "targetingKey")
}

// sizes warns of a large spec and of datafiles that come near to what a ConfigMap holds. How much a datafile grows is
// estimated by the specs' JSON, of which each datafile holds what concerns its environment.
func (f *flagFinder) sizes() {
	common, entries := specSizes(f.flag)
	oldCommon, oldEntries := specSizes(f.old)
	for _, name := range slices.Sorted(maps.Keys(f.environments)) {
		growth := common + entries[name]
		if !isAbsent(f.old, name) {
			growth -= oldCommon + oldEntries[name]
		}
		f.datafileSize(f.environments[name], growth, isDraftIn(f.old, f.flag, name))
	}
	f.largeSpec(jsonSize(&f.flag.Spec))
}

// isAbsent reports whether the operator says that a flag is not served in an environment.
func isAbsent(flag *v1alpha1.FeatureFlag, environment string) bool {
	return flag != nil && slices.ContainsFunc(flag.Status.Environments, func(state v1alpha1.EnvironmentState) bool {
		return state.Name == environment && state.Served == nil
	})
}

// isDraftIn reports whether a flag that takes the place of old is off in an environment and was never enabled there.
func isDraftIn(old, flag *v1alpha1.FeatureFlag, environment string) bool {
	if config := flag.In(environment); config != nil && config.Enabled {
		return false
	}
	return old == nil || slices.Contains(old.Status.NeverEnabledIn, environment)
}

// specSizes returns about how many bytes a flag, if there is one, takes in every datafile, and how many more in that of
// each environment.
func specSizes(flag *v1alpha1.FeatureFlag) (int, map[string]int) {
	if flag == nil || flag.Spec.Archived {
		return 0, nil
	}
	entries := make(map[string]int, len(flag.Spec.Environments))
	for i := range flag.Spec.Environments {
		entries[flag.Spec.Environments[i].Name] = jsonSize(&flag.Spec.Environments[i])
	}
	common := flag.Spec
	common.Description, common.Environments = "", nil
	return jsonSize(&common), entries
}
