// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package importer

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

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
	if t.def == "" {
		return t.codeDefault(config)
	}
	config.Rules = t.rules
	return nil
}

// codeDefault takes the rules of a flag without a default. Its last rules for whom the targeting chooses nothing are
// not needed, as the code's default is what then remains.
func (t *targeting) codeDefault(config *v1alpha1.EnvironmentConfig) error {
	for last := len(t.rules) - 1; last >= 0 && t.silent[last]; last-- {
		t.rules = t.rules[:last]
	}
	if len(t.silent) > 0 && slices.ContainsFunc(t.rules, func(rule v1alpha1.Rule) bool {
		return rule.Variation == "" && len(rule.Split) == 0
	}) {
		return errors.New("a choice before others leaves the value to the code, which a rule cannot")
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
	case dealing:
		return t.deal(v, reached)
	case map[string]any:
		operator, arguments, err := operation(v)
		if err != nil {
			return err
		}
		switch operator {
		case "if":
			return t.choice(arguments, reached)
		case "fractional":
			return t.deal(dealing{arguments: arguments}, reached)
		case "var":
			if name, is := variable(v); is && !strings.HasPrefix(name, "$flagd.") {
				return t.choice(t.named(name), reached)
			}
		}
		_, has := t.variants["true"]
		if isValid := validity(operator, arguments); has && isValid != nil && t.def != "false" {
			return t.guarded(v, isValid, reached)
		}
		if has && (isBoolean(operator) || t.def == "false" && operator != "var") {
			return t.test(v, reached)
		}
		return fmt.Errorf("%q does not choose a variant", operator)
	}
	return fmt.Errorf("%v does not choose a variant", logic)
}

func (t *targeting) choice(arguments []any, reached ways) error {
	for len(arguments) >= 2 {
		if dealt, is := t.dealtCondition(arguments); is {
			return t.deal(dealt, reached)
		}
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

// serveWhere adds rules that serve a variant to those who are reached and meet a condition.
func (t *targeting) serveWhere(logic any, reached ways, variant string) error {
	met, err := t.condition(logic, false)
	if err != nil {
		return err
	}
	both, err := reached.and(met)
	if err != nil {
		return err
	}
	return t.serve(variant, both)
}

// test adds rules for a condition whose result, true or false, names the variant.
func (t *targeting) test(logic any, reached ways) error {
	if err := t.serveWhere(logic, reached, "true"); err != nil {
		return err
	}
	return t.serve("false", reached)
}

// guarded adds rules for a condition that is neither true nor false, and so chooses nothing, where the attribute is not
// of its kind.
func (t *targeting) guarded(logic any, isValid ways, reached ways) error {
	if err := t.serveWhere(logic, reached, "true"); err != nil {
		return err
	}
	valid, err := reached.and(isValid)
	if err != nil {
		return err
	}
	if err := t.serve("false", valid); err != nil {
		return err
	}
	return t.serveDefault(reached)
}

// serveDefault adds rules for whom the targeting chooses nothing.
func (t *targeting) serveDefault(reached ways) error {
	first := len(t.rules)
	var err error
	if t.def == "" {
		t.add(reached, func(*v1alpha1.Rule) {}) // Left out where nothing follows.
	} else {
		err = t.serve(t.def, reached)
	}
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
