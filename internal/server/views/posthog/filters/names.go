// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package filters

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// rulePath is the path of a rule, and of what is in it.
var rulePath = regexp.MustCompile(`^spec\.environments\[\d+\]\.rules\[(\d+)\](?:\.conditions\[(\d+)\])?(.*)$`)

// payloadPath is the path of a variation's payload.
var payloadPath = regexp.MustCompile(`^spec\.variations\[(\d+)\]\.payload`)

// Rename gives the names that fields of the flag have in the request.
func (w *Writer) Rename(path string) string {
	if found := payloadPath.FindStringSubmatch(path); found != nil && w != nil {
		if i, err := strconv.Atoi(found[1]); err == nil && i < len(w.Flag.Spec.Variations) {
			key := w.Flag.Spec.Variations[i].Key
			if w.isBoolean() {
				key = payloadTrue
			}
			return "filters.payloads." + key
		}
	}
	if found := rulePath.FindStringSubmatch(path); found != nil && w != nil {
		rule, _ := strconv.Atoi(found[1])
		if rule >= len(w.places) {
			return "filters.groups"
		}
		name := groupField(w.places[rule])
		if condition, err := strconv.Atoi(found[2]); err == nil && condition < len(w.properties[rule]) {
			name += fmt.Sprintf(".properties[%d]", w.properties[rule][condition])
			return name + map[bool]string{true: ".operator", false: ".value"}[found[3] == ".operator"]
		}
		if strings.HasPrefix(found[3], ".audiences") || strings.HasPrefix(found[3], ".conditions") {
			return name + ".properties"
		}
		return name
	}
	return RenameField(path)
}

// names are those that fields have here.
var names = []struct{ from, to string }{
	{
		"spec.key",
		"key",
	},
	{"spec.displayName", "name"},
	{"spec.tags", "tags"},
	{"spec.archived", "deleted"},
	{"spec.runtime", "evaluation_runtime"},
	{
		"spec.variations",
		"filters.multivariate.variants",
	},
	{"spec.environments", "filters.groups"},
	{"metadata.name", "key"},
	{"spec.bucketing", "bucketing_identifier"},
}

// RenameField gives the name of a field that no group has.
func RenameField(path string) string {
	for _, name := range names {
		if rest, has := strings.CutPrefix(path, name.from); has && (rest == "" || rest[0] == '[' || rest[0] == '.') {
			if name.from == "spec.environments" {
				rest = ""
			}
			return name.to + rest
		}
	}
	return path
}

// Words are PostHog's words for those of the Kinds in messages.
func Words() *strings.Replacer {
	var pairs []string
	for operator, word := range same {
		for _, end := range []string{" ", ":"} { // So that no operator is taken for the beginning of another.
			pairs = append(pairs, "operator "+string(operator)+end, "operator "+word+end)
		}
	}
	return strings.NewReplacer(pairs...)
}
