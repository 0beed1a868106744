// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"time"
	_ "time/tzdata" // A machine without a tz database must judge time zones as every other does.

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// The bounds of api/v1alpha1/featureflag_types.go.
const (
	maxDisplayNameLength   = 256
	maxDescriptionLength   = 4096
	maxTags                = 50
	maxKeyLength           = 128
	maxOwnerLength         = 256
	maxMetadata            = 50
	maxMetadataNameBytes   = 128
	maxMetadataValueLength = 1024
	maxHistoryLimit        = 1000
	maxVariations          = 50
	maxSecretNameLength    = 253
	maxEnvironments        = 50
	maxEnvironmentLength   = 63
	maxTimeZoneLength      = 64
	maxPrerequisites       = 20
	maxOverrides           = 1000
	maxRules               = 100
	maxRuleNameLength      = 63
	maxAudiences           = 20
	maxAudienceNameLength  = 253
	maxSaltLength          = 256
	maxMetrics             = 50
)

// FeatureFlag returns everything that is wrong with a flag by itself, in the order of its fields, at most 101 errors. A
// field on which no default was set counts as if it had been.
func FeatureFlag(flag *v1alpha1.FeatureFlag) field.ErrorList {
	if lost := undecodable(flag); lost != nil {
		return lost
	}
	v := newFlagValidator(flag)
	v.metadata(flag, nil)
	v.spec()
	return v.result()
}

// FeatureFlagUpdate returns everything that forbids replacing old by flag: what is wrong with flag by itself, a changed
// key or type, and variations that were removed though they are used. A spec or annotation that does not change is not
// judged again, and an object that is being deleted is not judged at all, so that its finalizers can go.
func FeatureFlagUpdate(old, flag *v1alpha1.FeatureFlag) field.ErrorList {
	if flag.DeletionTimestamp != nil {
		return nil
	}
	if v1alpha1.Undecodable(old) != "" && v1alpha1.Undecodable(flag) == "" {
		return mended(FeatureFlag(flag), old, specPath.Child("key"), flag.Key(), old.Key())
	}
	v := newFlagValidator(flag)
	v.metadata(flag, old)
	if !equality.Semantic.DeepEqual(old.Spec, flag.Spec) {
		for _, variation := range old.Spec.Variations {
			if _, stays := v.variations[variation.Key]; !stays {
				v.removed[variation.Key] = nil
			}
		}
		v.spec()
		immutable(&v.mistakes, specPath.Child("key"), flag.Key(), old.Key())
		immutable(&v.mistakes, specPath.Child("type"), flag.Spec.Type, old.Spec.Type)
	}
	return v.result()
}

// flagValidator judges one flag.
type flagValidator struct {
	mistakes
	flag *v1alpha1.FeatureFlag
	// variations are the keys of the flag's variations.
	variations map[string]struct{}
	// removed are the keys of the variations that an update removes, each with what still uses it.
	removed map[string][]string
}

func newFlagValidator(flag *v1alpha1.FeatureFlag) *flagValidator {
	v := &flagValidator{
		flag:       flag,
		variations: make(map[string]struct{}, len(flag.Spec.Variations)),
		removed:    map[string][]string{},
	}
	for i := range flag.Spec.Variations {
		v.variations[flag.Spec.Variations[i].Key] = struct{}{}
	}
	return v
}

func (v *flagValidator) spec() {
	spec := &v.flag.Spec
	if spec.Key != "" {
		v.key(specPath.Child("key"), spec.Key, flagKeyPattern, flagKeyForm)
	}
	v.characters(specPath.Child("displayName"), spec.DisplayName, maxDisplayNameLength)
	v.characters(specPath.Child("description"), spec.Description, maxDescriptionLength)
	oneOf(&v.mistakes, specPath.Child("type"), spec.Type, true,
		v1alpha1.FlagTypeBoolean, v1alpha1.FlagTypeString, v1alpha1.FlagTypeNumber, v1alpha1.FlagTypeJSON)
	oneOf(&v.mistakes, specPath.Child("classification"), spec.Classification, false,
		v1alpha1.ClassificationRelease, v1alpha1.ClassificationExperiment, v1alpha1.ClassificationKillSwitch,
		v1alpha1.ClassificationPermission, v1alpha1.ClassificationMigration)
	v.set(specPath.Child("tags"), spec.Tags, maxTags, maxKeyLength)
	oneOf(
		&v.mistakes,
		specPath.Child("runtime"),
		spec.Runtime,
		false,
		v1alpha1.RuntimeAll,
		v1alpha1.RuntimeServer,
		v1alpha1.RuntimeClient,
	)
	v.characters(specPath.Child("owner"), spec.Owner, maxOwnerLength)
	v.publishedMetadata(specPath.Child("metadata"), spec.Metadata)
	oneOf(
		&v.mistakes,
		specPath.Child("bucketing"),
		spec.Bucketing,
		false,
		v1alpha1.BucketingMurmur3,
		v1alpha1.BucketingPostHogSHA1,
	)
	between(&v.mistakes, specPath.Child("historyLimit"), spec.HistoryLimit, 0, maxHistoryLimit)
	v.variationList(specPath.Child("variations"))
	v.uses(specPath.Child("defaultVariation"), spec.DefaultVariation, func() string { return "the flag's default" })

	environments := specPath.Child("environments")
	v.count(environments, len(spec.Environments), maxEnvironments)
	names := seen{}
	for i := range spec.Environments {
		path := environments.Index(i)
		names.check(&v.mistakes, spec.Environments[i].Name, path.Child("name"))
		v.environment(path, &spec.Environments[i])
	}

	for _, key := range slices.Sorted(maps.Keys(v.removed)) {
		if users := v.removed[key]; len(users) > 0 {
			v.add(
				field.Forbidden(
					specPath.Child("variations"),
					fmt.Sprintf("variation %q was removed and is still used by %s; change these first",
						shown(key), join(users[:min(len(users), maxNamed)], len(users)-maxNamed)),
				),
			)
		}
	}
	v.size(spec)
}

func (v *flagValidator) publishedMetadata(path *field.Path, metadata map[string]string) {
	v.count(path, len(metadata), maxMetadata)
	for _, name := range slices.Sorted(maps.Keys(metadata)) {
		if name == "" {
			v.invalid(path, name, "a name is not empty")
		} else if len(name) > maxMetadataNameBytes {
			v.add(field.TooLong(path.Key(shown(name)), name, maxMetadataNameBytes))
		}
		v.characters(path.Key(shown(name)), metadata[name], maxMetadataValueLength)
	}
}

// uses refuses a key that names no variation. Where an update removed that variation, what uses it is kept for one
// message about it.
func (v *flagValidator) uses(path *field.Path, key string, user func() string) {
	if key == "" {
		v.add(field.Required(path, "the key of a variation of this flag"))
		return
	}
	if _, found := v.variations[key]; found {
		return
	}
	if users, removed := v.removed[key]; removed {
		v.removed[key] = append(users, user())
		return
	}
	v.invalid(path, key, "names no variation of this flag; it has "+joinQuoted(v.variationKeys()))
}

func (v *flagValidator) environment(path *field.Path, environment *v1alpha1.EnvironmentConfig) {
	v.name(path.Child("name"), environment.Name, maxEnvironmentLength)
	if environment.DefaultVariation != "" {
		v.uses(path.Child("defaultVariation"), environment.DefaultVariation, func() string {
			return fmt.Sprintf("the default of environment %q", shown(environment.Name))
		})
	}
	if environment.Schedule != nil {
		v.schedule(path.Child("schedule"), environment.Schedule)
	}
	v.prerequisites(path.Child("prerequisites"), environment.Prerequisites)
	conditions := make([][]v1alpha1.Condition, len(environment.Rules))
	for i := range environment.Rules {
		conditions[i] = environment.Rules[i].Conditions
	}
	v.steps(path.Child("rules"), fmt.Sprintf("environment %q", shown(environment.Name)), conditions...)

	overrides := path.Child("overrides")
	v.count(overrides, len(environment.Overrides), maxOverrides)
	targetingKeys := seen{}
	for i := range environment.Overrides {
		override, path := &environment.Overrides[i], overrides.Index(i)
		v.targetingKey(path.Child("targetingKey"), override.TargetingKey)
		targetingKeys.check(&v.mistakes, override.TargetingKey, path.Child("targetingKey"))
		v.uses(path.Child("variation"), override.Variation, func() string {
			return fmt.Sprintf("an override for %q in environment %q", shown(override.TargetingKey), shown(environment.Name))
		})
	}

	rules := path.Child("rules")
	v.count(rules, len(environment.Rules), maxRules)
	names := seen{}
	for i := range environment.Rules {
		rule, path := &environment.Rules[i], rules.Index(i)
		names.check(&v.mistakes, rule.Name, path.Child("name"))
		v.rule(path, rule, environment.Name)
	}
	if v.flag.Spec.Bucketing == v1alpha1.BucketingPostHogSHA1 {
		v.postHog(rules, environment.Rules)
	}
}

func (v *flagValidator) schedule(path *field.Path, schedule *v1alpha1.Schedule) {
	// Whole seconds are published.
	if schedule.EnableAt != nil && schedule.DisableAt != nil && schedule.EnableAt.Unix() == schedule.DisableAt.Unix() {
		v.invalid(path.Child("disableAt"), schedule.DisableAt.UTC().Format(time.RFC3339), "must differ from enableAt")
	}
	if zone := schedule.TimeZone; len(zone) > maxTimeZoneLength {
		v.add(field.TooLong(path.Child("timeZone"), zone, maxTimeZoneLength))
	} else if _, err := time.LoadLocation(zone); err != nil || zone == "Local" {
		v.invalid(path.Child("timeZone"), zone, "is not in the tz database; a name looks like America/New_York")
	}
}

func (v *flagValidator) prerequisites(path *field.Path, prerequisites []v1alpha1.Prerequisite) {
	v.count(path, len(prerequisites), maxPrerequisites)
	flags := seen{}
	for i := range prerequisites {
		prerequisite, path := &prerequisites[i], path.Index(i)
		if prerequisite.Flag == "" {
			v.add(field.Required(path.Child("flag"), "the key of another flag"))
		} else {
			v.key(path.Child("flag"), prerequisite.Flag, flagKeyPattern, flagKeyForm)
		}
		flags.check(&v.mistakes, prerequisite.Flag, path.Child("flag"))
		if len(prerequisite.Variations) == 0 {
			v.add(field.Required(path.Child("variations"), "the variations of the other flag that satisfy"))
		}
		v.set(path.Child("variations"), prerequisite.Variations, maxVariations, maxKeyLength)
	}
}

func (v *flagValidator) rule(path *field.Path, rule *v1alpha1.Rule, environment string) {
	if rule.Name == "" {
		v.add(field.Required(path.Child("name"), ""))
	} else if len(rule.Name) > maxRuleNameLength || !labelPattern.MatchString(rule.Name) {
		v.badName(path.Child("name"), rule.Name, labelForm, false)
	}
	v.characters(path.Child("displayName"), rule.DisplayName, maxDisplayNameLength)
	oneOf(&v.mistakes, path.Child("type"), rule.Type, false, v1alpha1.RuleTypeTargetedDelivery, v1alpha1.RuleTypeABTest)
	v.set(path.Child("audiences"), rule.Audiences, maxAudiences, maxAudienceNameLength)
	v.conditions(path.Child("conditions"), rule.Conditions)
	if rule.Traffic != "" && !percentPattern.MatchString(string(rule.Traffic)) {
		v.invalid(path.Child("traffic"), string(rule.Traffic), percentForm)
	}
	user := func() string { return fmt.Sprintf("rule %q in environment %q", shown(rule.Name), shown(environment)) }
	switch {
	case rule.Variation == "" && len(rule.Split) == 0:
		v.add(field.Required(path, "exactly one of variation and split is required"))
	case rule.Variation != "" && len(rule.Split) > 0:
		v.add(field.Forbidden(path, "exactly one of variation and split is required"))
	}
	if rule.Variation != "" {
		v.uses(path.Child("variation"), rule.Variation, user)
	}
	v.split(path.Child("split"), rule.Split, user)
	v.characters(path.Child("hashAttribute"), rule.HashAttribute, maxAttributeLength)
	v.characters(path.Child("salt"), rule.Salt, maxSaltLength)
	if rule.Unsalted && rule.Salt != "" {
		v.add(field.Forbidden(path.Child("unsalted"), "the rule has a salt; remove one of salt and unsalted"))
	}
	v.set(path.Child("metrics"), rule.Metrics, maxMetrics, maxKeyLength)
}

func (v *flagValidator) split(path *field.Path, split []v1alpha1.SplitEntry, user func() string) {
	v.count(path, len(split), maxVariations)
	var sum int64
	variations := seen{}
	for i, entry := range split {
		path := path.Index(i)
		variations.check(&v.mistakes, entry.Variation, path.Child("variation"))
		v.uses(path.Child("variation"), entry.Variation, user)
		between(&v.mistakes, path.Child("weight"), &entry.Weight, 0, math.MaxInt32)
		sum += int64(max(entry.Weight, 0))
	}
	if len(split) > 0 && (sum < 1 || sum > math.MaxInt32) {
		v.add(
			field.Invalid(
				path,
				field.OmitValueType{},
				fmt.Sprintf("the weights sum to %d; the sum must be between 1 and %d", sum, math.MaxInt32),
			),
		)
	}
}

// postHog refuses what PostHog's hash cannot say: it knows no salts, and hashes every split of a flag in the same way.
func (v *flagValidator) postHog(path *field.Path, rules []v1alpha1.Rule) {
	var first *v1alpha1.Rule
	for i := range rules {
		rule, path := &rules[i], path.Index(i)
		if rule.Salt != "" {
			v.add(field.Forbidden(path.Child("salt"), "bucketing PostHogSHA1 has no salts"))
		}
		if rule.Unsalted {
			v.add(field.Forbidden(path.Child("unsalted"), "bucketing PostHogSHA1 has no salts; remove unsalted"))
		}
		switch {
		case len(rule.Split) == 0:
		case first == nil:
			first = rule
		case !slices.Equal(rule.Split, first.Split):
			v.add(field.Invalid(
				path.Child("split"),
				field.OmitValueType{},
				fmt.Sprintf(
					"bucketing PostHogSHA1 has one split for all rules of an environment; this one is not that of rule %q",
					shown(first.Name),
				),
			))
		}
	}
}
