// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package flagd writes flags in the format of flagd, which unmodified OpenFeature SDKs read.
//
// The format is flagd's schema v0 (github.com/open-feature/flagd-schemas v0.2.13). Its targeting is JSONLogic, whose
// evaluators differ in how they treat values of an unexpected type. What this package writes is guarded, so that
// flagd's Go core from 0.15 on and @openfeature/flagd-core from 4.0 on both give the variation that sdk/evaluate
// gives. What cannot be said that way is reported as a NotExpressibleError, never approximated.
//
// Three things depend on the context, and so cannot be left out. They are known limits of @openfeature/flagd-core
// 4.0.1:
//   - It hashes UTF-16 code units, not UTF-8 bytes. A subject outside of ASCII may get another variation of a split.
//   - It takes no version that has more than 256 characters or a number beyond 2^53-1.
//   - It fails for an object that has its own toString or valueOf and stands where a number is expected. The SDK then
//     returns the code's default.
//
// # Stability
//
// The module is at v0: a name may change with a minor version, and the changelog says so. What a document means does
// not change without a new major version of the document: every later version of this package writes definitions that
// answer alike, if not the same bytes.
package flagd

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

const (
	// FileName is the key of the flagd file in a ConfigMap, and so its file name in a mounted directory.
	FileName = "flagd.json"

	// MaxDefinitionSize is the size of the largest definition, in bytes: as large as the spec of a flag or audience may
	// be. Inlined prerequisites could make it grow without end.
	MaxDefinitionSize = 768 << 10

	// MaxPrerequisiteDepth is how many flags a chain of prerequisites may hold, because readers bound how deep JSON is
	// nested.
	MaxPrerequisiteDepth = 32

	// fullTraffic is everybody in thousandths of a percent.
	fullTraffic = 100_000
)

// Source is where a definition finds the flags and audiences that it refers to.
type Source interface {
	// Flag returns the flag of that key, a retained one too, and whether there is one.
	Flag(key string) (*datafile.Flag, bool)
	// Audience returns the audience of that name, and whether there is one.
	Audience(name string) (*datafile.Audience, bool)
}

// NotExpressibleError says that flagd cannot say what a flag says.
type NotExpressibleError struct {
	// Construct is what cannot be said and where it stands, such as `rule "staff", operator InCIDR on attribute "ip"`.
	Construct string
	// Remedy is what the flag's author can do, in the imperative.
	Remedy string
}

// Error is one sentence with the construct and the remedy.
func (e *NotExpressibleError) Error() string {
	return "flagd cannot say: " + e.Construct + "; " + e.Remedy + ", or read the native datafile"
}

var tooLarge = inexpressible(
	"a definition larger than "+strconv.Itoa(MaxDefinitionSize>>10)+" KiB with its audiences and prerequisites inlined",
	"use fewer prerequisites, or smaller audiences",
)

// Definition returns the flagd definition of a flag as canonical JSON. It fails with a *NotExpressibleError where flagd
// cannot say what the flag says, and with another error where the source does not hold the flag or holds it as
// retained, for a retained flag is not found by its key, and for a flag that internal/evaluate refuses.
func Definition(source Source, key string) ([]byte, error) {
	flag, found := source.Flag(key)
	if !found {
		return nil, fmt.Errorf("flag %q does not exist", key)
	}
	if flag.Retained {
		return nil, fmt.Errorf("flag %q is retained for other flags only", key)
	}
	variants, err := variants(flag)
	if err != nil {
		return nil, err
	}
	definer := definer{source: source, variations: map[string]expression{}}
	variation := definer.variation(key, flag)
	if variation.err != nil {
		return nil, variation.err
	}
	// A null that the targeting gives means the default variant, so that the code's default takes a definition without
	// one.
	defaultVariant, codeDefault := variation, flag.CodeDefault && !variation.isString()
	members := map[string]string{"state": `"ENABLED"`, "variants": object(variants)}
	switch {
	case variation.isString() || variation == null:
	case codeDefault:
		members["targeting"] = variation.json
	default:
		defaultVariant = fallthroughOf(flag)
		// A targeting that ends in null lets flagd report its reason DEFAULT, as the engine does.
		if begin, endsInDefault := strings.CutSuffix(variation.json, ","+defaultVariant.json+"]}"); endsInDefault {
			variation.json = begin + ",null]}"
		}
		members["targeting"] = variation.json
	}
	if !codeDefault &&
		!slices.ContainsFunc(flag.Variations, func(v datafile.Variation) bool { return text(v.Key) == defaultVariant }) {
		return nil, fmt.Errorf(
			"flag %q has no variation %s",
			key,
			defaultVariant.json,
		) // It would make SDKs refuse the whole file.
	}
	if !codeDefault { // Without one, SDKs use the code's default.
		members["defaultVariant"] = defaultVariant.json
	}
	if len(flag.Metadata) > 0 {
		members["metadata"] = object(metadata(flag))
	}
	definition := object(members)
	if len(definition) > MaxDefinitionSize {
		return nil, tooLarge.err
	}
	return []byte(definition), nil
}

// Encode returns the flagd file: definitions is a section of Definition results by flag key. Its metadata, which every
// answer carries, name the project, the environment and the revision, and also by the names that OpenFeature's telemetry
// reads as feature_flag.set.id and feature_flag.version.
func Encode(header datafile.Header, definitions *datafile.Section) []byte {
	data := definitions.AppendJSON([]byte(`{"flags":`))
	data = append(data, `,"metadata":{"environment":`...)
	data = append(data, text(header.Environment).json...)
	data = append(data, `,"flagSetId":`...)
	data = append(data, text(header.SetID()).json...)
	data = append(data, `,"project":`...)
	data = append(data, text(header.Project).json...)
	data = append(data, `,"revision":`...)
	data = strconv.AppendInt(data, header.Revision, 10)
	data = append(data, `,"version":"`...)
	data = strconv.AppendInt(data, header.Revision, 10)
	return append(data, `"}}`...)
}

func variants(flag *datafile.Flag) (map[string]string, error) {
	values := make(map[string]string, len(flag.Variations))
	for _, variation := range flag.Variations {
		if !json.Valid(variation.Value) {
			return nil, fmt.Errorf("the value of variation %q is not JSON", variation.Key)
		}
		if variation.Value[0] == '[' {
			return nil, &NotExpressibleError{
				Construct: fmt.Sprintf("variation %q, whose value is an array", variation.Key),
				Remedy:    "put the array into an object",
			}
		}
		values[variation.Key] = string(variation.Value)
	}
	return values, nil
}

func metadata(flag *datafile.Flag) map[string]string {
	values := make(map[string]string, len(flag.Metadata))
	for name, value := range flag.Metadata {
		values[name] = text(value).json
	}
	return values
}

// object is the canonical JSON object of members that are JSON themselves.
func object(members map[string]string) string {
	fields := make([]string, 0, len(members))
	for _, name := range slices.Sorted(maps.Keys(members)) {
		fields = append(fields, text(name).json+":"+members[name])
	}
	return "{" + strings.Join(fields, ",") + "}"
}

// fallthroughOf is the key of the variation where nothing decides, and null for the code's default.
func fallthroughOf(flag *datafile.Flag) expression {
	if flag.Enabled && flag.Fallthrough != "" {
		return text(flag.Fallthrough)
	}
	return offOf(flag)
}

// offOf is the key of the variation while the flag is off, and null for the code's default.
func offOf(flag *datafile.Flag) expression {
	if flag.CodeDefault {
		return null
	}
	return text(flag.DefaultVariation)
}

// definer writes one definition.
type definer struct {
	source Source
	// variations are the finished flags by key, because several flags may require the same one.
	variations map[string]expression
	// path are the keys of the flags that are being written, each required by the one before.
	path []string
}

// variation is the key of the variation that the flag serves.
func (d *definer) variation(key string, flag *datafile.Flag) expression {
	if finished, found := d.variations[key]; found {
		return finished
	}
	if slices.Contains(d.path, key) {
		return inexpressible("a prerequisite that leads back to the flag itself", "remove the cycle")
	}
	if len(d.path) == MaxPrerequisiteDepth {
		return inexpressible(fmt.Sprintf("a chain of more than %d prerequisites", MaxPrerequisiteDepth), "shorten the chain")
	}
	d.path = append(d.path, key)
	variation := d.decide(flag)
	d.path = d.path[:len(d.path)-1]
	d.variations[key] = variation
	return variation
}

// decide writes the order of evaluation from its end, where the default variation is, to its beginning.
func (d *definer) decide(flag *datafile.Flag) expression {
	off := offOf(flag)
	if !flag.Enabled {
		return off
	}
	decision := fallthroughOf(flag)
	for _, rule := range slices.Backward(inOrder(flag.Rules)) {
		decision = d.rule(flag, rule, decision)
	}
	decision = overrides(flag.Overrides, decision)
	return choose(not(and(scheduled(flag.Schedule), d.prerequisites(flag.Prerequisites))), off, decision)
}

// inOrder returns the rules of type ABTest before the others.
func inOrder(rules []datafile.Rule) []*datafile.Rule {
	ordered := make([]*datafile.Rule, 0, len(rules))
	for _, test := range []bool{true, false} {
		for i := range rules {
			if (rules[i].Type == datafile.ABTest) == test {
				ordered = append(ordered, &rules[i])
			}
		}
	}
	return ordered
}

func scheduled(schedule *datafile.Schedule) expression {
	if schedule == nil {
		return always
	}
	now := variable("$flagd.timestamp")
	instants, err := schedule.Instants()
	if err != nil {
		return inexpressible("the schedule", "write two RFC 3339 times that differ, or one")
	}
	enabled, disabled := never, never // Since EnableAt; until DisableAt.
	if instants.EnableAt != datafile.Never {
		enabled = apply(">=", now, number(float64(instants.EnableAt)))
	}
	if instants.DisableAt != datafile.Never {
		disabled = apply("<", now, number(float64(instants.DisableAt)))
	}
	if instants.EnableAt < instants.DisableAt && instants.DisableAt != datafile.Never {
		return and(enabled, disabled)
	}
	return or(disabled, enabled)
}

func (d *definer) prerequisites(prerequisites []datafile.Prerequisite) expression {
	met := make([]expression, len(prerequisites))
	for i, prerequisite := range prerequisites {
		met[i] = d.prerequisite(prerequisite).within(fmt.Sprintf("prerequisite %q", prerequisite.Flag))
	}
	return and(met...)
}

func (d *definer) prerequisite(prerequisite datafile.Prerequisite) expression {
	flag, found := d.source.Flag(prerequisite.Flag)
	if !found {
		return never
	}
	variation := d.variation(prerequisite.Flag, flag)
	if variation == null {
		return never
	}
	if !variation.isString() {
		return apply("in", variation, texts(prerequisite.Variations))
	}
	for _, key := range prerequisite.Variations {
		if text(key) == variation {
			return always
		}
	}
	return never
}

// overrides groups the targeting keys by variation, which their order does not matter to.
func overrides(variations map[string]string, otherwise expression) expression {
	keys := map[string][]string{}
	for key, variation := range variations {
		keys[variation] = append(keys[variation], key)
	}
	decision := otherwise
	for _, variation := range slices.Backward(slices.Sorted(maps.Keys(keys))) {
		slices.Sort(keys[variation])
		decision = choose(targeted(keys[variation]), text(variation), decision)
	}
	return decision
}

// rule decides where the rule matches and its traffic includes the subject.
func (d *definer) rule(flag *datafile.Flag, rule *datafile.Rule, otherwise expression) expression {
	place := fmt.Sprintf("rule %q", rule.Name)
	matches := and(d.audiences(rule.Audiences), conditions(rule.Conditions))
	if rule.Traffic != nil || len(rule.Split) > 0 {
		subject := subjectOf(rule)
		matches = and(matches, subject.reach(
			different(subject.value(), null), different(subject.value(), text("")), subject.isText(), traffic(flag, rule)))
	}
	return choose(matches.within(place), served(flag, rule).within(place), otherwise)
}

var postHog = inexpressible("the bucketing PostHogSHA1", "use the bucketing Murmur3")

// subjectOf is the attribute whose hash decides.
func subjectOf(rule *datafile.Rule) attribute {
	if rule.HashAttribute == "" {
		return targetingKey
	}
	return attribute(rule.HashAttribute)
}

// traffic holds where the rule's traffic includes the subject.
func traffic(flag *datafile.Flag, rule *datafile.Rule) expression {
	switch {
	case rule.Traffic == nil:
		return always
	case *rule.Traffic == 0:
		return never
	case flag.Bucketing == datafile.PostHogSHA1:
		return postHog
	}
	in := text("in")
	return same(in, fractional(rule.Salt+"/traffic/", subjectOf(rule),
		list(in, number(float64(*rule.Traffic))), list(text("out"), number(float64(fullTraffic-*rule.Traffic)))))
}

// served is the variation of a rule that decides.
func served(flag *datafile.Flag, rule *datafile.Rule) expression {
	if len(rule.Split) == 0 {
		return text(rule.Variation)
	}
	var only expression
	hashed, sum := false, int64(0)
	weights := make([]expression, len(rule.Split))
	for i, entry := range rule.Split {
		weights[i] = list(text(entry.Variation), number(float64(entry.Weight)))
		sum += int64(max(entry.Weight, 0))
		if entry.Weight > 0 {
			hashed = hashed || only.json != "" && only != text(entry.Variation)
			only = text(entry.Variation)
		}
	}
	switch {
	case sum < 1 || sum > math.MaxInt32:
		return inexpressible("weights that sum up to "+strconv.FormatInt(sum, 10), "let the sum be 1 to 2147483647")
	case !hashed:
		return only
	case flag.Bucketing == datafile.PostHogSHA1:
		return postHog
	}
	return fractional(rule.Salt, subjectOf(rule), weights...)
}

// fractional hashes salt and subject. The Go core trims white space from what "cat" puts together, so characters that
// are no white space are put around it and taken off again.
func fractional(salt string, subject attribute, weights ...expression) expression {
	if strings.ContainsFunc(salt, func(r rune) bool { return r > '~' }) {
		return inexpressible("a salt outside of ASCII, which JavaScript hashes otherwise", "use a salt in ASCII")
	}
	key := apply("cat", text("."+salt), subject.value(), text("."))
	return apply("fractional", append([]expression{apply("substr", key, number(1), number(-1))}, weights...)...)
}
