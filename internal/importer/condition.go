// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package importer

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// maxWays bounds in how many ways a condition can be met, each of which is a rule.
const maxWays = 50

// ways are those in which a condition is met: ANY of them, and of one ALL terms.
type ways [][]term

// term is a condition, or an audience that the context is in.
type term struct {
	condition v1alpha1.Condition
	audience  string
}

func (w ways) and(other ways) (ways, error) {
	var both ways
	for _, a := range w {
		for _, b := range other {
			way := append(append([]term{}, a...), b...)
			audiences := 0
			for _, term := range way {
				if term.audience != "" {
					audiences++
				}
			}
			if audiences > 1 {
				return nil, errTwoAudiences // A rule asks for any of its audiences.
			}
			both = append(both, way)
		}
	}
	if len(both) > maxWays {
		return nil, fmt.Errorf("a condition can be met in more than %d ways", maxWays)
	}
	return both, nil
}

var errTwoAudiences = errors.New("a condition asks for two shared evaluators at once")

// condition returns the ways to meet a condition, or not to meet it.
func (t *targeting) condition(logic any, not bool) (ways, error) {
	switch v := logic.(type) {
	case bool:
		if v != not {
			return ways{{}}, nil
		}
		return nil, nil
	case map[string]any:
		operator, arguments, err := operation(v)
		if err != nil {
			return nil, err
		}
		return t.operation(operator, arguments, not)
	}
	return nil, fmt.Errorf("%v is no condition", logic)
}

func (t *targeting) operation(operator string, arguments []any, not bool) (ways, error) {
	switch operator {
	case "and", "or":
		return t.junction(arguments, not, (operator == "and") != not)
	case "!":
		if len(arguments) == 1 {
			return t.condition(arguments[0], !not)
		}
	case "!!":
		if len(arguments) == 1 {
			return t.condition(arguments[0], not)
		}
	case "$ref":
		return t.reference(arguments, not)
	case "var":
		if name, is := variable(map[string]any{"var": arguments}); is && !strings.HasPrefix(name, "$flagd.") {
			t.lose(
				t.key,
				"attribute %q is compared with true, where it was true for everything but false, 0, null and empty",
				name,
			)
			return simple(name, v1alpha1.OperatorIn, v1alpha1.OperatorNotIn, not, "true"), nil
		}
	case "==", "===", "!=", "!==":
		return t.equal(arguments, not != strings.HasPrefix(operator, "!"))
	case "in":
		return t.in(arguments, not)
	case "starts_with", "ends_with":
		return edge(operator, arguments, not)
	case ">", ">=", "<", "<=":
		return t.compare(operator, arguments, not)
	case "sem_ver":
		return version(arguments, not)
	}
	return nil, fmt.Errorf("there is no condition for %q of these arguments", operator)
}

// junction joins conditions, by and where all must hold.
func (t *targeting) junction(arguments []any, not, all bool) (ways, error) {
	joined := ways{}
	if all {
		joined = ways{{}}
	}
	for _, argument := range arguments {
		next, err := t.condition(argument, not)
		if err != nil {
			return nil, err
		}
		if !all {
			joined = append(joined, next...)
			continue
		}
		if joined, err = joined.and(next); err != nil {
			return nil, err
		}
	}
	if len(joined) > maxWays {
		return nil, fmt.Errorf("a condition can be met in more than %d ways", maxWays)
	}
	return joined, nil
}

// reference makes an audience of a shared evaluator, or, where it must not hold, repeats it.
func (t *targeting) reference(arguments []any, not bool) (ways, error) {
	name, _ := arguments[0].(string)
	logic, known := t.from.Evaluators[name]
	if !known {
		return nil, fmt.Errorf("there is no shared evaluator %q", name)
	}
	t.used[name] = struct{}{}
	delete(t.from.Evaluators, name) // It may not lead back to itself.
	defer func() { t.from.Evaluators[name] = logic }()
	met, err := t.condition(logic, not)
	if err != nil || not {
		return met, err
	}
	audience := &v1alpha1.FlagAudience{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "FlagAudience"},
		ObjectMeta: metav1.ObjectMeta{Name: label(name), Namespace: t.namespace},
		Spec:       v1alpha1.FlagAudienceSpec{DisplayName: name},
	}
	for _, way := range met {
		group := v1alpha1.ConditionGroup{}
		for _, term := range way {
			if term.audience != "" {
				return met, nil // An audience does not refer to others; the rule says what this one would.
			}
			group.Conditions = append(group.Conditions, term.condition)
		}
		if len(group.Conditions) == 0 {
			return met, nil
		}
		audience.Spec.MatchAny = append(audience.Spec.MatchAny, group)
	}
	// Another evaluator may have the same name, be it of another document.
	place := t.namespace + "/" + audience.Name
	if other := t.audiences[place]; len(met) == 0 || other != nil && !equality.Semantic.DeepEqual(other, audience) {
		return met, nil
	}
	t.audiences[place] = audience
	return ways{{{audience: audience.Name}}}, nil
}

func simple(attribute string, operator, negation v1alpha1.Operator, not bool, values ...string) ways {
	if not {
		operator = negation
	}
	return ways{{{condition: v1alpha1.Condition{Attribute: attribute, Operator: operator, Values: values}}}}
}

// operands returns an attribute and what it is compared with, in whichever order they are. Swapped reports the order.
func operands(arguments []any) (attribute string, value any, swapped bool, err error) {
	if len(arguments) == 2 {
		for i, argument := range arguments {
			if name, is := variable(argument); is {
				if strings.HasPrefix(name, "$flagd.") {
					return "", nil, false, fmt.Errorf("%q is no attribute of the context", name)
				}
				return name, arguments[1-i], i == 1, nil
			}
			if name, is := withDefault(argument); is {
				return "", nil, false, fmt.Errorf(
					"attribute %q has a default for where it is missing, which a condition has not",
					name,
				)
			}
		}
	}
	return "", nil, false, errors.New("an attribute is compared with a value, and with nothing else")
}

// withDefault returns the attribute that {"var": [name, default]} names.
func withDefault(logic any) (name string, is bool) {
	object, _ := logic.(map[string]any)
	list, _ := object["var"].([]any)
	if len(list) != 2 {
		return "", false
	}
	name, is = list[0].(string)
	return name, is
}

// value returns the form that a condition has of a scalar.
func (t *targeting) value(attribute string, value any) (string, error) {
	switch v := value.(type) {
	case string:
		if other := any(nil); json.Unmarshal([]byte(v), &other) == nil && other != nil {
			t.lose(
				t.key,
				"attribute %q is compared with the text %q, which here is met by the number or boolean, too",
				attribute,
				v,
			)
		}
		return v, nil
	case bool:
		return strconv.FormatBool(v), nil
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64), nil
	}
	return "", fmt.Errorf("%v is no text, number or boolean", value)
}

func (t *targeting) equal(arguments []any, not bool) (ways, error) {
	attribute, value, _, err := operands(arguments)
	if err != nil {
		return nil, err
	}
	if value == nil {
		return simple(attribute, v1alpha1.OperatorDoesNotExist, v1alpha1.OperatorExists, not), nil
	}
	wanted, err := t.value(attribute, value)
	return simple(attribute, v1alpha1.OperatorIn, v1alpha1.OperatorNotIn, not, wanted), err
}

func (t *targeting) in(arguments []any, not bool) (ways, error) {
	attribute, value, swapped, err := operands(arguments)
	if err != nil {
		return nil, err
	}
	if list, isList := value.([]any); isList && !swapped {
		values := make([]string, len(list))
		for i := range list {
			if values[i], err = t.value(attribute, list[i]); err != nil {
				return nil, err
			}
		}
		return simple(attribute, v1alpha1.OperatorIn, v1alpha1.OperatorNotIn, not, values...), nil
	}
	part, isText := value.(string)
	if !isText || !swapped {
		return nil, errors.New(`"in" looks for something else than an attribute in a list, or a text in an attribute`)
	}
	t.lose(t.key, "attribute %q is taken for a text that contains %q; of a list, use the operator In", attribute, part)
	return simple(attribute, v1alpha1.OperatorContains, v1alpha1.OperatorNotContains, not, part), nil
}

func edge(operator string, arguments []any, not bool) (ways, error) {
	attribute, value, swapped, err := operands(arguments)
	affix, isText := value.(string)
	if err != nil || swapped || !isText {
		return nil, errors.Join(err, fmt.Errorf("%q takes an attribute and a text", operator))
	}
	if operator == "starts_with" {
		return simple(attribute, v1alpha1.OperatorStartsWith, v1alpha1.OperatorNotStartsWith, not, affix), nil
	}
	return simple(attribute, v1alpha1.OperatorEndsWith, v1alpha1.OperatorNotEndsWith, not, affix), nil
}

// comparison is an operator with the attribute first, the one that has the same meaning with the attribute last, and
// its opposite.
type comparison struct{ operator, swapped, opposite v1alpha1.Operator }

var comparisons = map[string]comparison{
	">":  {v1alpha1.OperatorGreaterThan, v1alpha1.OperatorLessThan, v1alpha1.OperatorLessThanOrEqual},
	">=": {v1alpha1.OperatorGreaterThanOrEqual, v1alpha1.OperatorLessThanOrEqual, v1alpha1.OperatorLessThan},
	"<":  {v1alpha1.OperatorLessThan, v1alpha1.OperatorGreaterThan, v1alpha1.OperatorGreaterThanOrEqual},
	"<=": {v1alpha1.OperatorLessThanOrEqual, v1alpha1.OperatorGreaterThanOrEqual, v1alpha1.OperatorGreaterThan},
}

// compare returns the ways to be, or not to be, beyond one number or between two. JSONLogic takes a missing attribute
// for 0.
func (t *targeting) compare(symbol string, arguments []any, not bool) (ways, error) {
	pairs := [][]any{arguments}
	if len(arguments) == 3 { // a < x < b
		pairs = [][]any{arguments[:2], arguments[1:]}
	}
	all := []term{}
	holdsForZero := true
	var missing term
	for _, pair := range pairs {
		attribute, value, swapped, err := operands(pair)
		if err != nil {
			return nil, err
		}
		number, isNumber := value.(float64)
		if !isNumber {
			return nil, fmt.Errorf("%q compares an attribute with %v, which is no number", symbol, value)
		}
		chosen := comparisons[symbol].operator
		if swapped {
			chosen = comparisons[symbol].swapped
		}
		holdsForZero = holdsForZero && zeroMeets(chosen, number)
		if number == 0 && strings.HasSuffix(symbol, "=") {
			t.lose(
				t.key,
				"where attribute %q is missing, flagd's evaluators do not agree whether %q holds for it and 0; here it does not",
				attribute,
				symbol,
			)
		}
		if not {
			chosen = opposite(chosen)
		}
		all = append(all, term{condition: v1alpha1.Condition{
			Attribute: attribute, Operator: chosen, Values: []string{strconv.FormatFloat(number, 'g', -1, 64)},
		}})
		missing.condition = v1alpha1.Condition{Attribute: attribute, Operator: v1alpha1.OperatorDoesNotExist}
	}
	met := ways{all}
	if not {
		met = nil
		for _, one := range all {
			met = append(met, []term{one})
		}
	}
	if holdsForZero != not {
		met = append(met, []term{missing})
	}
	return met, nil
}

func opposite(operator v1alpha1.Operator) v1alpha1.Operator {
	for _, comparison := range comparisons {
		if comparison.operator == operator {
			return comparison.opposite
		}
	}
	return operator
}

// zeroMeets reports whether a missing attribute meets a comparison: as 0 does, but for that it equals nothing.
func zeroMeets(operator v1alpha1.Operator, number float64) bool {
	if operator == v1alpha1.OperatorGreaterThan || operator == v1alpha1.OperatorGreaterThanOrEqual {
		return number < 0
	}
	return number > 0
}
