// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package importer

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/murmur3"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// targeting turns the targeting of one flag into rules.
type targeting struct {
	*part

	key, def string
	variants map[string]json.RawMessage
	rules    []v1alpha1.Rule
	// silent are the indexes of rules for whom the targeting chooses nothing, so that they get the default.
	silent map[int]bool
}

// top reads a whole targeting into the part of an environment.
func (t *targeting) top(logic any, config *v1alpha1.EnvironmentConfig) error {
	if object, isObject := logic.(map[string]any); logic == nil || isObject && len(object) == 0 {
		return nil
	}
	if err := t.branch(logic, ways{{}}); err != nil {
		return err
	}
	// A last rule for everybody for whom the targeting chooses nothing is what the default is for. One that the targeting
	// itself chooses stays a rule, so that the reason is the one that flagd gives.
	if last := len(t.rules) - 1; last >= 0 && t.silent[last] && t.rules[last].Variation != "" &&
		len(t.rules[last].Conditions)+len(t.rules[last].Audiences) == 0 {
		t.rules = t.rules[:last]
	}
	config.Rules = t.rules
	return nil
}

// branch adds rules for a part of the targeting that is reached in the given ways. The rules decide for everybody who
// reaches it.
func (t *targeting) branch(logic any, reached ways) error {
	if len(t.rules) > maxRules {
		return fmt.Errorf("it becomes more than %d rules", maxRules)
	}
	switch v := logic.(type) {
	case nil:
		return t.serveDefault(reached)
	case string:
		return t.serve(v, reached)
	case bool:
		return t.serve(strconv.FormatBool(v), reached)
	case map[string]any:
		operator, arguments, err := operation(v)
		if err != nil {
			return err
		}
		switch operator {
		case "if":
			return t.choice(arguments, reached)
		case "fractional":
			return t.fractional(arguments, reached)
		}
		if _, has := t.variants["true"]; has && (isBoolean(operator) || t.def == "false" && operator != "var") {
			return t.test(v, reached)
		}
		return fmt.Errorf("%q does not choose a variant", operator)
	}
	return fmt.Errorf("%v does not choose a variant", logic)
}

func (t *targeting) choice(arguments []any, reached ways) error {
	for len(arguments) >= 2 {
		met, err := t.condition(arguments[0], false)
		if err != nil {
			return err
		}
		both, err := reached.and(met)
		if err != nil {
			return err
		}
		if err := t.branch(arguments[1], both); err != nil {
			return err
		}
		arguments = arguments[2:]
	}
	if len(arguments) == 1 {
		return t.branch(arguments[0], reached)
	}
	return t.serveDefault(reached)
}

// isBoolean reports whether an operator gives nothing but true and false. Others give null where an attribute is
// missing, and so the default.
func isBoolean(operator string) bool {
	return slices.Contains([]string{"==", "===", "!=", "!==", "<", "<=", ">", ">=", "in", "!", "!!"}, operator)
}

// test adds rules for a condition whose result, true or false, names the variant.
func (t *targeting) test(logic any, reached ways) error {
	met, err := t.condition(logic, false)
	if err != nil {
		return err
	}
	both, err := reached.and(met)
	if err != nil {
		return err
	}
	if err := t.serve("true", both); err != nil {
		return err
	}
	return t.serve("false", reached)
}

// serveDefault adds rules for whom the targeting chooses nothing.
func (t *targeting) serveDefault(reached ways) error {
	first := len(t.rules)
	err := t.serve(t.def, reached)
	for i := first; i < len(t.rules); i++ {
		if t.silent == nil {
			t.silent = map[int]bool{}
		}
		t.silent[i] = true
	}
	return err
}

// serve adds rules that serve one variant.
func (t *targeting) serve(variant string, reached ways) error {
	if _, known := t.variants[variant]; !known {
		return fmt.Errorf("there is no variant %q", variant)
	}
	t.add(reached, func(rule *v1alpha1.Rule) { rule.Variation = variant })
	return nil
}

// add adds a rule for every way in which it is reached.
func (t *targeting) add(reached ways, set func(*v1alpha1.Rule)) {
	for _, way := range reached {
		rule := v1alpha1.Rule{Name: fmt.Sprintf("rule-%d", len(t.rules)+1)}
		for _, term := range way {
			if term.audience != "" {
				rule.Audiences = append(rule.Audiences, term.audience)
			} else {
				rule.Conditions = append(rule.Conditions, term.condition)
			}
		}
		set(&rule)
		t.rules = append(t.rules, rule)
	}
}

// fractional adds rules that split. The hash of flagd is that of a rule: the salt and then the subject.
func (t *targeting) fractional(arguments []any, reached ways) error {
	if choice, inside := choiceInside(arguments); inside {
		return t.branch(choice, reached)
	}
	salt, attribute, isText := t.key, "", false
	if len(arguments) > 0 {
		if _, isShare := arguments[0].([]any); !isShare {
			var err error
			if salt, attribute, err = t.bucketing(arguments[0]); err != nil {
				return err
			}
			isText = true
			arguments = arguments[1:]
		}
	}
	var split []v1alpha1.SplitEntry
	for _, argument := range arguments {
		entry, err := share(argument)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(split, func(other v1alpha1.SplitEntry) bool { return other.Variation == entry.Variation }) {
			return fmt.Errorf("a fractional has the variant %q twice", entry.Variation)
		}
		split = append(split, entry)
	}
	if total(split) == 0 {
		return t.serveDefault(reached) // A split without weight chooses nothing.
	}
	if salt == "" {
		t.lose(
			t.key,
			"a fractional hashes an attribute by itself, which a rule cannot do without a salt: subjects are dealt anew",
		)
	}
	t.add(reached, func(rule *v1alpha1.Rule) { rule.Split, rule.HashAttribute, rule.Salt = split, attribute, salt })
	// Whoever has nothing to hash gets past a split. Of a text with an attribute behind it flagd hashes the text alone
	// then; else it serves the default.
	if isText {
		return t.serve(assigned(salt, split, t.def), reached)
	}
	return t.serveDefault(reached)
}

// maxRules is how many rules an environment of a flag may have.
const maxRules = 100

// maxChoices bounds how many fractionals become of the choices inside one.
const maxChoices = 64

// choiceInside returns a choice of fractionals in the place of a fractional with a choice inside: of a share's variant, or
// of its weight. Which subject gets which bucket does not change by that.
func choiceInside(arguments []any) (choice any, found bool) {
	for i, argument := range arguments {
		parts, isShare := argument.([]any)
		for j := 0; isShare && j < len(parts); j++ {
			object, _ := parts[j].(map[string]any)
			operator, branches, err := operation(object)
			if err != nil || operator != "if" || len(branches) > maxChoices {
				continue
			}
			if len(branches)%2 == 0 {
				branches = append(slices.Clone(branches), nil) // Where nothing is met, the choice is null.
			}
			hoisted := slices.Clone(branches)
			for k := range hoisted {
				if k%2 == 0 && k < len(hoisted)-1 {
					continue // It is a condition.
				}
				share := slices.Clone(parts)
				share[j] = branches[k]
				shares := slices.Clone(arguments)
				shares[i] = share
				hoisted[k] = map[string]any{"fractional": shares}
			}
			return map[string]any{"if": hoisted}, true
		}
	}
	return nil, false
}

// total is the sum of the weights of a split.
func total(split []v1alpha1.SplitEntry) (sum uint64) {
	for _, entry := range split {
		sum += uint64(entry.Weight)
	}
	return sum
}

// assigned returns the variant that a split gives to a key, and otherwise where the split has no weight.
func assigned(key string, split []v1alpha1.SplitEntry, otherwise string) string {
	var sum uint64
	bucket := uint64(murmur3.StringSum32(key)) * total(split) >> 32
	for _, entry := range split {
		if sum += uint64(entry.Weight); bucket < sum {
			return entry.Variation
		}
	}
	return otherwise
}

func share(argument any) (v1alpha1.SplitEntry, error) {
	parts, isList := argument.([]any)
	if !isList || len(parts) < 1 || len(parts) > 2 {
		return v1alpha1.SplitEntry{}, fmt.Errorf("%v is no share of a fractional", argument)
	}
	variant, isString := parts[0].(string)
	weight, isNumber := 1.0, true
	if len(parts) == 2 {
		weight, isNumber = parts[1].(float64)
	}
	weight = max(weight, 0) // flagd takes a negative weight for none.
	if !isString || !isNumber || weight > math.MaxInt32 || weight != math.Trunc(weight) {
		return v1alpha1.SplitEntry{}, fmt.Errorf("%v is no share of a fractional with a weight of 0 or more", argument)
	}
	return v1alpha1.SplitEntry{Variation: variant, Weight: int32(weight)}, nil
}

// bucketing returns the salt and the attribute of what a fractional hashes.
func (t *targeting) bucketing(logic any) (salt, attribute string, err error) {
	if name, isVar := variable(logic); isVar {
		return "", name, nil
	}
	object, _ := logic.(map[string]any)
	operator, parts, err := operation(object)
	if err != nil || operator != "cat" || len(parts) == 0 {
		return "", "", errors.New("a fractional hashes something else than a text and an attribute behind it")
	}
	for i, part := range parts {
		name, isVar := variable(part)
		text, isText := part.(string)
		switch {
		case isVar && name == "$flagd.flagKey":
			salt += t.key
		case isText:
			salt += text
		case isVar && i == len(parts)-1:
			return salt, name, nil
		default:
			return "", "", errors.New("a fractional hashes something else than a text and an attribute behind it")
		}
	}
	return "", "", errors.New("a fractional hashes no attribute")
}

// operation returns the only operator of a JSONLogic object and its arguments, of which a single one needs no list.
func operation(object map[string]any) (operator string, arguments []any, err error) {
	if len(object) != 1 {
		return "", nil, errors.New("an expression has one operator")
	}
	for operator, value := range object {
		if list, isList := value.([]any); isList {
			return operator, list, nil
		}
		return operator, []any{value}, nil
	}
	return "", nil, nil
}

// variable returns the attribute that {"var": …} names, without a default.
func variable(logic any) (name string, is bool) {
	object, _ := logic.(map[string]any)
	operator, arguments, err := operation(object)
	if err != nil || operator != "var" || len(arguments) != 1 {
		return "", false
	}
	name, is = arguments[0].(string)
	return strings.TrimSpace(name), is && name != ""
}
