// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package posthog

import (
	"bytes"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/history"
	"github.com/jackstaff-dev/jackstaff/internal/server/views/posthog/filters"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// activities are PostHog's words for what was done to a flag. Everything else is an update.
var activities = map[history.Action]string{
	history.FlagCreated: "created", history.FlagDeleted: "deleted", history.FlagArchived: "deleted",
	history.FlagRestored: "restored",
}

// told collects the changes of one record in PostHog's words, in the order in which they came.
type told struct {
	environment string
	fields      []string
	before      map[string]any
	after       map[string]any
}

// changesIn are the changes of a record as seen from an environment. What PostHog has no field for is left out, such as
// a salt: that and by whom the flag was changed is told all the same.
func changesIn(record *history.Record, environment string) []ActivityChange {
	changes := []ActivityChange{}
	if record.Action == history.FlagCreated || record.Action == history.FlagDeleted {
		return changes // Of these, PostHog tells no fields.
	}
	t := &told{environment: environment, before: map[string]any{}, after: map[string]any{}}
	for i := range record.Changes {
		t.tell(&record.Changes[i])
	}
	for _, field := range t.fields {
		before, after := t.before[field], t.after[field]
		if filters.Canonical(before) == filters.Canonical(after) {
			continue
		}
		change := ActivityChange{
			Type: "FeatureFlag", Action: "changed", Field: field,
			Before: json.RawMessage(filters.Canonical(before)), After: json.RawMessage(filters.Canonical(after)),
		}
		switch {
		case before == nil:
			change.Action = "created"
		case after == nil:
			change.Action = "deleted"
		}
		changes = append(changes, change)
	}
	return changes
}

// set tells a field once; a list grows by what is told of it again.
func (t *told) set(field string, before, after any) {
	if !slices.Contains(t.fields, field) {
		t.fields = append(t.fields, field)
		t.before[field], t.after[field] = before, after
		return
	}
	t.before[field], t.after[field] = merged(t.before[field], before), merged(t.after[field], after)
}

// merged is two parts of one value: objects by field, lists one after the other.
func merged(a, b any) any {
	inA, isMapA := a.(map[string]any)
	inB, isMapB := b.(map[string]any)
	listA, isListA := a.([]any)
	listB, isListB := b.([]any)
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	case isMapA && isMapB:
		both := maps.Clone(inA)
		for name, value := range inB {
			both[name] = merged(both[name], value)
		}
		return both
	case isListA && isListB:
		return append(slices.Clone(listA), listB...)
	default:
		return b
	}
}

// value is JSON as it is told, and nil where there is none.
func value(data json.RawMessage) any {
	if len(data) == 0 {
		return nil
	}
	var decoded any
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	if err := decoder.Decode(&decoded); err != nil {
		return nil
	}
	return decoded
}

// element is a path to something in a list of the flag, and what is in it.
var element = regexp.MustCompile(`^spec\.(environments|variations|tags)\[([^\]]*)\]\.?(.*)$`)

// tell tells one change.
func (t *told) tell(change *history.Change) {
	before, after := value(change.From), value(change.To)
	if found := element.FindStringSubmatch(change.Path); found != nil {
		switch found[1] {
		case "tags":
			t.set("tags", listOf(before), listOf(after))
		case "variations":
			t.set("filters", variationWords(found[2], found[3], before), variationWords(found[2], found[3], after))
		case "environments":
			t.part(found[2], found[3], before, after)
		}
		return
	}
	switch change.Path {
	case "metadata.annotations[" + v1alpha1.ViewAnnotationPrefix + filters.ViewName + "]":
		t.stored(before, after)
	case "metadata.annotations[" + v1alpha1.ForceDisabledAnnotation + "]":
		off, ended := change.Brakes()
		for _, name := range off {
			t.part(name, "enabled", true, false)
		}
		for _, name := range ended {
			t.part(name, "enabled", false, true)
		}
	case "spec.runtime":
		t.set("evaluation_runtime", runtimeWord(before), runtimeWord(after))
	case "spec.archived":
		t.set("deleted", before == true, after == true)
	case "spec.tags":
		t.set("tags", before, after)
	case "spec.displayName":
		t.set("name", before, after)
	}
}

func listOf(value any) any {
	if value == nil {
		return []any{}
	}
	return []any{value}
}

func runtimeWord(value any) any {
	text, _ := value.(string)
	if word, known := filters.Runtimes[v1alpha1.Runtime(text)]; known {
		return word
	}
	return value
}

// stored tells what the view's annotation holds, by PostHog's names.
func (t *told) stored(before, after any) {
	was, is := annotation(before), annotation(after)
	names := map[string]bool{}
	for name := range was {
		names[name] = true
	}
	for name := range is {
		names[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		switch name {
		case "shares":
		case "createInFolder":
			t.set("_create_in_folder", was[name], is[name])
		default:
			t.set(snake(name), was[name], is[name])
		}
	}
}

func annotation(text any) map[string]any {
	data, _ := text.(string)
	fields, _ := value(json.RawMessage(data)).(map[string]any)
	return fields
}

// variationWords are filters with what is said of a variation.
func variationWords(key, field string, of any) any {
	if of == nil {
		return nil
	}
	variant := map[string]any{"key": key}
	words := map[string]any{}
	of, isWhole := wholeOrField(field, of)
	if fields, is := of.(map[string]any); is {
		if name := fields["displayName"]; name != nil {
			variant["name"] = name
		}
		if payload, has := fields["payload"]; has {
			words["payloads"] = map[string]any{key: filters.Canonical(payload)}
		}
		if _, has := fields["payloadFrom"]; has {
			words["payloads"] = map[string]any{key: filters.Redacted}
		}
		if field == "value" {
			variant["value"] = fields["value"]
		}
	}
	if isWhole || len(variant) > 1 {
		words["multivariate"] = map[string]any{"variants": []any{variant}}
	}
	return words
}

// wholeOrField is a whole element, or an element that has one field.
func wholeOrField(field string, of any) (any, bool) {
	if field == "" {
		return of, true
	}
	name, _, _ := strings.Cut(field, ".")
	return map[string]any{name: of}, false
}

// part tells what changed in an environment. That of the request is active and filters; others are told apart by name.
func (t *told) part(environment, field string, before, after any) {
	prefix := ""
	if environment != t.environment {
		prefix = "environments[" + environment + "]."
	}
	was, is := partFields(field, before), partFields(field, after)
	if field == "" || field == "enabled" {
		t.set(prefix+"active", was["enabled"] == true, is["enabled"] == true)
	}
	if identifier := strings.HasSuffix(field, "].hashAttribute"); identifier {
		t.set(prefix+"bucketing_identifier", hashWord(before), hashWord(after))
		return
	}
	if field != "enabled" {
		t.set(prefix+"filters", filterWords(field, was), filterWords(field, is))
	}
}

func hashWord(attribute any) any {
	if attribute == filters.DeviceID {
		return "device_id"
	}
	return filters.DistinctID
}

// partFields are the fields of an environment's part, of which one may be all that is known.
func partFields(field string, of any) map[string]any {
	if of == nil {
		return map[string]any{}
	}
	whole, _ := wholeOrField(strings.TrimSuffix(listPath.ReplaceAllString(field, "$1"), "."), of)
	fields, _ := whole.(map[string]any)
	return fields
}

// listPath is a path to an element of a list in an environment's part.
var listPath = regexp.MustCompile(`^(rules|overrides|prerequisites)(\[[^\]]*\])(.*)$`)

// filterWords are filters with what is said in an environment's part.
func filterWords(field string, part map[string]any) any {
	found, groups := listPath.FindStringSubmatch(field), []any{}
	if len(part) == 0 && found != nil && found[1] == "rules" && found[3] != "" {
		return map[string]any{"groups": append(groups, map[string]any{"sort_key": strings.Trim(found[2], "[]")})}
	}
	switch {
	case len(part) == 0:
		return nil
	case found != nil:
		key, inside := strings.Trim(found[2], "[]"), strings.TrimPrefix(found[3], ".")
		of, _ := wholeOrField(inside, part[found[1]])
		return map[string]any{"groups": append(groups, groupWords(found[1], key, of))}
	}
	for _, list := range []string{"overrides", "rules", "prerequisites"} {
		elements, _ := part[list].([]any)
		for _, of := range elements {
			if fields, is := of.(map[string]any); is {
				key, _ := fields["name"].(string)
				groups = append(groups, groupWords(list, key, of))
			} else {
				groups = append(groups, map[string]any{"sort_key": of}) // Only their order changed.
			}
		}
	}
	if served := part["defaultVariation"]; served != nil {
		groups = append(groups, map[string]any{"sort_key": filters.FallthroughKey, "variant": served})
	}
	if len(groups) == 0 {
		return nil
	}
	return map[string]any{"groups": groups}
}

// groupWords is a group with what is said of a rule, an override or a prerequisite.
func groupWords(list, key string, of any) map[string]any {
	fields, is := of.(map[string]any)
	if !is {
		return map[string]any{"sort_key": key}
	}
	switch list {
	case "overrides":
		if subject, has := fields["targetingKey"].(string); has {
			key = subject
		}
		return map[string]any{
			"sort_key": filters.OverrideKey,
			"variant":  fields["variation"],
			"properties": []any{
				map[string]any{"key": filters.DistinctID, "type": filters.TypePerson, "operator": "exact", "value": []any{key}},
			},
		}
	case "prerequisites":
		if flag, has := fields["flag"].(string); has {
			key = flag
		}
		return map[string]any{"properties": []any{
			map[string]any{
				"key":      key,
				"type":     filters.TypeFlag,
				"operator": filters.FlagEvaluatesTo,
				"value":    fields["variations"],
			},
		}}
	}
	group := map[string]any{"sort_key": key}
	for name, in := range fields {
		switch name {
		case "name":
		case "displayName":
			group["description"] = in
		case "traffic":
			text, _ := in.(string)
			group["rollout_percentage"] = json.Number(strings.TrimSuffix(text, "%"))
		case "variation":
			group["variant"] = in
		case "conditions":
			group["properties"] = propertyWords(in)
		case "audiences":
			group["cohorts"] = in
		case "split":
			group["variants"] = variantWords(in)
		default:
			if found := splitPath.FindStringSubmatch(name); found != nil {
				group["variants"] = []any{map[string]any{"key": found[1], "weight": in}}
			}
		}
	}
	return group
}

// splitPath is the path to a share of a rule's split.
var splitPath = regexp.MustCompile(`^split\[([^\]]*)\]$`)

// variantWords are the shares of a split, whose weights need not be percent.
func variantWords(split any) any {
	shares, _ := split.([]any)
	variants := []any{}
	for _, share := range shares {
		if fields, is := share.(map[string]any); is {
			variants = append(variants, map[string]any{"key": fields["variation"], "weight": fields["weight"]})
		} else {
			variants = append(variants, map[string]any{"key": share})
		}
	}
	return variants
}

// propertyWords are conditions as properties.
func propertyWords(conditions any) any {
	data, err := json.Marshal(conditions)
	if err != nil {
		return conditions
	}
	var list []datafile.Condition
	if err := json.Unmarshal(data, &list); err != nil {
		return conditions
	}
	properties := []filters.Property{}
	for i := range list {
		property, _ := (&filters.Surroundings{}).Property(&list[i])
		properties = append(properties, property)
	}
	return properties
}
