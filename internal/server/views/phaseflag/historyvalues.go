// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package phaseflag

import (
	"encoding/json"
	"regexp"
	"strings"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// shown are the paths of what the view has words for: the fields of the flag, of its part for an environment, and of a
// rule. A schedule decides whether the flag is on, which the view shows.
var shown = regexp.MustCompile(`^spec\.(?:` +
	`(?:key|displayName|description|type|classification|archived|defaultVariation)|` +
	`tags(?:\[.*\])?|` +
	`variations(?:\[[^\]]*\](?:\.(?:displayName|value))?)?|` +
	`environments\[[^\]]*\](?:\.(?:enabled|defaultVariation|codeDefault|schedule(?:\..*)?|` +
	`rules(?:\[[^\]]*\](?:\.(?:displayName|enabled|audiences|conditions|traffic|variation|split)(?:[.\[].*)?)?)?))?` +
	`)$`)

// isPart is the path of an environment's part as a whole.
var isPart = regexp.MustCompile(`^spec\.environments\[[^\]]*\]$`)

// isShown reports whether the view has words for what is at a path. What it has none for, such as a salt, is not told:
// the action of the event says what kind of change it was.
func isShown(path string) bool { return shown.MatchString(path) }

// showValue writes the value of a changed field as the view shows it, such as "boolean" for the type Boolean. What the
// view has no other word for stays as it is.
func showValue(path string, value json.RawMessage) json.RawMessage {
	if len(value) == 0 || string(value) == "null" {
		return value
	}
	path = strings.TrimPrefix(path, "spec.")
	if path == "type" {
		return asShown(value, func(of v1alpha1.FlagType) any { return nameOf(types, of) })
	}
	field, isElement := strings.CutSuffix(path, "]")
	if isElement {
		field = field[:max(strings.LastIndex(field, "["), 0)]
	}
	field = field[strings.LastIndex(field, ".")+1:]
	if isElement {
		switch field {
		case "rules":
			return asShown(value, func(rule v1alpha1.Rule) any { return withoutPriority(showRule(&rule, 0, nil)) })
		case "conditions":
			return asShown(value, func(condition v1alpha1.Condition) any { return showCondition(&condition) })
		case "variations":
			return asShown(value, showVariation)
		}
		return value
	}
	switch field {
	case "classification":
		return asShown(value, func(of v1alpha1.Classification) any { return nameOf(classifications, of) })
	case "rules":
		return asShown(value, func(rules []v1alpha1.Rule) any {
			return showRules(&v1alpha1.EnvironmentConfig{Rules: rules}, nil)
		})
	case "conditions":
		return asShown(value, func(conditions []v1alpha1.Condition) any {
			shown := make([]Condition, len(conditions))
			for i := range conditions {
				shown[i] = showCondition(&conditions[i])
			}
			return shown
		})
	case "operator":
		return asShown(value, func(operator v1alpha1.Operator) any {
			return showCondition(&v1alpha1.Condition{Operator: operator}).Operator
		})
	case "split":
		return asShown(value, func(split []v1alpha1.SplitEntry) any { return showSplit(split) })
	case "traffic":
		return asShown(value, func(traffic v1alpha1.Percent) any {
			thousandths, err := traffic.Thousandths()
			if err != nil {
				return traffic
			}
			return float64(thousandths) / 1000
		})
	}
	return value
}

// asShown writes a value of the Kinds by how the view shows it. A value that cannot be read stays as it is.
func asShown[T any](value json.RawMessage, show func(T) any) json.RawMessage {
	var of T
	if json.Unmarshal(value, &of) != nil {
		return value
	}
	shown, err := json.Marshal(show(of))
	if err != nil || string(shown) == `""` {
		return value
	}
	return shown
}

func withoutPriority(rule Rule) Rule {
	rule.Priority = 0 // One change of one rule does not say where it stands.
	return rule
}

func showVariation(variation v1alpha1.Variation) any {
	name := variation.DisplayName
	if name == "" {
		name = variation.Key
	}
	return Variation{Key: variation.Key, Name: name, Value: variation.Value.Raw}
}
