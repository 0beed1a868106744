// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package phaseflag

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/server"
)

// operators are the view's names for operators. Of two names for one, the first takes one value and the second a list.
var operators = []struct {
	name string
	of   v1alpha1.Operator
}{
	{"is", v1alpha1.OperatorIn},
	{"one_of", v1alpha1.OperatorIn},
	{"is_not", v1alpha1.OperatorNotIn},
	{"not_one_of", v1alpha1.OperatorNotIn},
	{"contains", v1alpha1.OperatorContains},
	{"not_contains", v1alpha1.OperatorNotContains},
	{"starts_with", v1alpha1.OperatorStartsWith},
	{"not_starts_with", v1alpha1.OperatorNotStartsWith},
	{"ends_with", v1alpha1.OperatorEndsWith},
	{"not_ends_with", v1alpha1.OperatorNotEndsWith},
	{"gt", v1alpha1.OperatorGreaterThan},
	{"gte", v1alpha1.OperatorGreaterThanOrEqual},
	{"lt", v1alpha1.OperatorLessThan},
	{"lte", v1alpha1.OperatorLessThanOrEqual},
	{"exists", v1alpha1.OperatorExists},
	{"not_exists", v1alpha1.OperatorDoesNotExist},
	{"matches", v1alpha1.OperatorMatches},
	{"not_matches", v1alpha1.OperatorNotMatches},
	{"semver_eq", v1alpha1.OperatorSemVerEqual},
	{"semver_gt", v1alpha1.OperatorSemVerGreaterThan},
	{"semver_gte", v1alpha1.OperatorSemVerGreaterThanOrEqual},
	{"semver_lt", v1alpha1.OperatorSemVerLessThan},
	{"semver_lte", v1alpha1.OperatorSemVerLessThanOrEqual},
	{"semver_tilde", v1alpha1.OperatorSemVerTilde},
	{"semver_caret", v1alpha1.OperatorSemVerCaret},
	{"before", v1alpha1.OperatorBefore},
	{"after", v1alpha1.OperatorAfter},
	{"before_unix", v1alpha1.OperatorBeforeUnix},
	{"after_unix", v1alpha1.OperatorAfterUnix},
	{"in_cidr", v1alpha1.OperatorInCIDR},
	{"not_in_cidr", v1alpha1.OperatorNotInCIDR},
	{"is_ignoring_case", v1alpha1.OperatorEqualFold},
	{"is_not_ignoring_case", v1alpha1.OperatorNotEqualFold},
	{"contains_ignoring_case", v1alpha1.OperatorContainsFold},
	{"not_contains_ignoring_case", v1alpha1.OperatorNotContainsFold},
}

// replaceRules makes the rules that a request gives out of those before it. It returns which of the request's rules
// each of them is.
//
// A rule before is matched by its id, else by its name, and keeps what the request does not give: its name in the Kind,
// and so its salt. Every other rule is new, also where its id is that of another environment.
func replaceRules(before []v1alpha1.Rule, given []Rule) (rules []v1alpha1.Rule, order []int, err error) {
	order = byPriority(given)
	matched, err := match(before, given, order)
	if err != nil {
		return nil, nil, err
	}
	taken := map[string]bool{}
	for i := range before {
		taken[before[i].Name] = true
	}
	for place, i := range order {
		rule := v1alpha1.Rule{}
		if matched[i] != nil {
			rule = *matched[i].DeepCopy()
		} else {
			rule.Name = newName(&given[i], taken)
			taken[rule.Name] = true
		}
		path := fmt.Sprintf("targeting_rules[%d]", i)
		if err := given[i].apply(&rule, path); err != nil {
			return nil, nil, err
		}
		if place > 0 && rule.Type == v1alpha1.RuleTypeABTest && rules[place-1].Type != v1alpha1.RuleTypeABTest {
			return nil, nil, server.InvalidField(
				path+".priority",
				"rule %q is an A/B test, and these are evaluated before all other rules; put it before rule %q",
				rule.Name,
				rules[place-1].Name,
			)
		}
		rules = append(rules, rule)
	}
	if sameInOrder(before, rules) {
		return before, inStored(before, order), nil
	}
	return rules, order, nil
}

// sameInOrder reports whether rules are those before, in the order of evaluation. Then the stored order stays.
func sameInOrder(before, rules []v1alpha1.Rule) bool {
	places := inOrder(before)
	if len(places) != len(rules) {
		return false
	}
	for place, i := range places {
		if !equality.Semantic.DeepEqual(before[i], rules[place]) {
			return false
		}
	}
	return true
}

// inStored says which of the request's rules each stored rule is, from their order of evaluation.
func inStored(before []v1alpha1.Rule, order []int) []int {
	stored := make([]int, len(order))
	for place, i := range inOrder(before) {
		stored[i] = order[place]
	}
	return stored
}

// newName is the name in the Kind of a rule that is new: its id where that may be one, so that a rule which is copied
// from another environment keeps it, else one made from its name for people.
func newName(given *Rule, taken map[string]bool) string {
	isTaken := func(name string) bool { return taken[name] }
	if given.ID != "" && server.Label(given.ID, "", func(string) bool { return false }) == given.ID && !taken[given.ID] {
		return given.ID
	}
	return server.Label(cmp.Or(given.Name, given.ID), "rule", isTaken)
}

// byPriority are the indexes of rules in the order of their priorities. A rule without one has that of its place in the
// list.
func byPriority(given []Rule) []int {
	order := make([]int, len(given))
	for i := range given {
		order[i] = i
	}
	slices.SortStableFunc(
		order,
		func(a, b int) int { return cmp.Compare(cmp.Or(given[a].Priority, a+1), cmp.Or(given[b].Priority, b+1)) },
	)
	return order
}

// match finds for each rule of a request the rule that it was before, and nil for a new one.
func match(before []v1alpha1.Rule, given []Rule, order []int) ([]*v1alpha1.Rule, error) {
	matched, used, ids := make([]*v1alpha1.Rule, len(given)), map[string]bool{}, map[string]bool{}
	take := func(i int, is func(*v1alpha1.Rule) bool) {
		for j := range before {
			if matched[i] == nil && !used[before[j].Name] && is(&before[j]) {
				matched[i] = &before[j]
				used[before[j].Name] = true
			}
		}
	}
	for i := range given {
		id := given[i].ID
		if id == "" {
			continue
		}
		if ids[id] {
			return nil, server.InvalidField(
				fmt.Sprintf("targeting_rules[%d].id", i),
				"rule %q is there twice; leave the id out of the new rule",
				id,
			)
		}
		ids[id] = true
		take(i, func(rule *v1alpha1.Rule) bool { return rule.Name == id })
	}
	for _, i := range order {
		if given[i].Name != "" {
			take(i, func(rule *v1alpha1.Rule) bool { return showName(rule) == given[i].Name })
		}
	}
	return matched, nil
}

// apply makes a rule what a request says.
func (r *Rule) apply(rule *v1alpha1.Rule, path string) error {
	if r.Name != "" && r.Name != showName(rule) {
		rule.DisplayName = r.Name
	}
	if r.Enabled != nil {
		rule.Enabled = r.Enabled
	}
	if r.Audiences != nil {
		rule.Audiences = r.Audiences
	}
	if r.TrafficPercentage != nil {
		thousandths, err := thousandths(*r.TrafficPercentage, path+".traffic_percentage")
		if err != nil {
			return err
		}
		if before, err := rule.Traffic.Thousandths(); err != nil || before != thousandths || rule.Traffic == "" {
			rule.Traffic = server.Percent(thousandths)
		}
	}
	if (r.Variation == "") == (len(r.PercentageRollout) == 0) {
		return server.InvalidField(path, "exactly one of variation and percentage_rollout is required")
	}
	rule.Variation = r.Variation
	if !slices.Equal(r.PercentageRollout, showSplit(rule.Split)) { // Weights that are shown so stay as they are.
		split, err := splitOf(r.PercentageRollout, path+".percentage_rollout")
		if err != nil {
			return err
		}
		rule.Split = split
	}
	before := rule.Conditions
	rule.Conditions = nil
	for i := range r.Conditions {
		condition, err := r.Conditions[i].make(fmt.Sprintf("%s.conditions[%d]", path, i))
		if err != nil {
			return err
		}
		if i < len(before) && isSameNumber(&before[i], &condition) {
			condition = before[i]
		}
		rule.Conditions = append(rule.Conditions, condition)
	}
	return nil
}

// isSameNumber reports whether two conditions compare with one number, however a client writes it.
func isSameNumber(a, b *v1alpha1.Condition) bool {
	return a.Attribute == b.Attribute && a.Operator == b.Operator && isOrder(a.Operator) &&
		len(a.Values) == 1 && len(b.Values) == 1 && server.IsSameNumber(a.Values[0], b.Values[0])
}

// isOrder reports whether an operator compares numbers by their order.
func isOrder(operator v1alpha1.Operator) bool {
	switch operator {
	case v1alpha1.OperatorGreaterThan, v1alpha1.OperatorGreaterThanOrEqual, v1alpha1.OperatorLessThan,
		v1alpha1.OperatorLessThanOrEqual:
		return true
	default:
		return false
	}
}

// splitOf makes weights in thousandths of a percent.
func splitOf(shares []Share, path string) ([]v1alpha1.SplitEntry, error) {
	var split []v1alpha1.SplitEntry
	sum := int32(0)
	for i, share := range shares {
		weight, err := thousandths(share.Percentage, fmt.Sprintf("%s[%d].percentage", path, i))
		if err != nil {
			return nil, err
		}
		split = append(split, v1alpha1.SplitEntry{Variation: share.Variation, Weight: weight})
		sum += weight
	}
	if len(split) > 0 && sum != v1alpha1.FullTraffic {
		return nil, server.InvalidField(
			path,
			"the percentages sum to %s; the sum must be 100",
			strings.TrimSuffix(string(server.Percent(sum)), "%"),
		)
	}
	return split, nil
}

// thousandths are those of a percentage from 0 to 100.
func thousandths(percentage float64, path string) (int32, error) {
	exact := percentage * 1000
	rounded := math.Round(exact)
	if math.Abs(exact-rounded) > 1e-6 {
		return 0, server.InvalidField(path, "a percentage has at most three decimals")
	}
	return int32(rounded), nil
}

// make makes the condition that a request gives.
func (c *Condition) make(path string) (v1alpha1.Condition, error) {
	made := v1alpha1.Condition{Attribute: c.Attribute}
	known := make([]string, len(operators))
	for i, operator := range operators {
		known[i] = operator.name
		if operator.name == c.Operator {
			made.Operator = operator.of
		}
	}
	if made.Operator == "" {
		return made, server.InvalidField(
			path+".operator",
			"there is no operator %q; there are %s",
			c.Operator,
			strings.Join(known, ", "),
		)
	}
	var err error
	if made.Values, err = texts(c.Value); err != nil {
		return made, server.InvalidField(path+".value", "%v", err)
	}
	if (c.Operator == "is" || c.Operator == "is_not") && len(made.Values) != 1 {
		return made, server.InvalidField(path+".value", "%s takes one value; one_of and not_one_of take a list", c.Operator)
	}
	return made, nil
}

// texts are the values of a condition: a string, number or boolean, or a list of these.
func texts(value json.RawMessage) ([]string, error) {
	if len(value) == 0 {
		return nil, nil
	}
	var decoded any
	decoder := json.NewDecoder(bytes.NewReader(value))
	decoder.UseNumber()
	if err := decoder.Decode(&decoded); err != nil {
		return nil, err
	}
	elements, isList := decoded.([]any)
	if !isList && decoded != nil {
		elements = []any{decoded}
	}
	var values []string
	for _, element := range elements {
		switch element := element.(type) {
		case string:
			values = append(values, element)
		case json.Number:
			values = append(values, element.String())
		case bool:
			values = append(values, strconv.FormatBool(element))
		default:
			return nil, errors.New("takes a string, a number or a boolean, or a list of these")
		}
	}
	return values, nil
}

// renameRule gives the view's name for a field of an environment's part.
func renameRule(path string, order []int) string {
	indexed, ok := strings.CutPrefix(path, "rules[")
	if !ok {
		return path
	}
	index, field, ok := strings.Cut(indexed, "]")
	if i, err := strconv.Atoi(index); ok && err == nil && i < len(order) {
		index = strconv.Itoa(order[i])
	}
	return "targeting_rules[" + index + "]" + ruleNames.Replace(field)
}

var ruleNames = strings.NewReplacer(
	".split",
	".percentage_rollout",
	".weight",
	".percentage",
	".values",
	".value",
	".traffic",
	".traffic_percentage",
)

// words are the view's words for those of the Kinds in messages.
func words() *strings.Replacer {
	pairs := []string{"variation and split", "variation and percentage_rollout", "defaultVariation", "default_variation"}
	for _, operator := range slices.Backward(operators) { // Of two names for one, a message has the one that takes a list.
		for _, end := range []string{" ", ":"} { // So that no operator is taken for the beginning of another.
			pairs = append(pairs, "operator "+string(operator.of)+end, "operator "+operator.name+end)
		}
	}
	for word, of := range types {
		pairs = append(pairs, "flag's type "+string(of), "flag's type "+word, "a "+string(of)+" flag", "a "+word+" flag")
	}
	return strings.NewReplacer(pairs...)
}
