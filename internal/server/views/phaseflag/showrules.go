// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package phaseflag

import (
	"cmp"
	"encoding/json"
	"slices"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/server"
)

// inOrder are the indexes of rules in the order of evaluation: experiments come first.
func inOrder(rules []v1alpha1.Rule) []int {
	var experiments, others []int
	for i := range rules {
		if rules[i].Type == v1alpha1.RuleTypeABTest {
			experiments = append(experiments, i)
		} else {
			others = append(others, i)
		}
	}
	return append(experiments, others...)
}

// showRules makes the rules of an environment's part, which is nil where there is none.
func showRules(config *v1alpha1.EnvironmentConfig, sent spellings) []Rule {
	shown := []Rule{}
	if config == nil {
		return shown
	}
	for priority, i := range inOrder(config.Rules) {
		shown = append(shown, showRule(&config.Rules[i], priority+1, sent))
	}
	return shown
}

func showRule(rule *v1alpha1.Rule, priority int, sent spellings) Rule {
	shown := Rule{
		ID: rule.Name, Priority: priority, Name: showName(rule), Conditions: make([]Condition, len(rule.Conditions)),
		Variation: rule.Variation, PercentageRollout: showSplit(rule.Split), Audiences: rule.Audiences,
	}
	for i := range rule.Conditions {
		spelled, found := sent.of(rule.Name, &rule.Conditions[i])
		if !found {
			spelled = showCondition(&rule.Conditions[i])
		}
		shown.Conditions[i] = spelled
	}
	if !rule.IsEnabled() {
		shown.Enabled = rule.Enabled
	}
	if traffic, err := rule.Traffic.Thousandths(); err == nil && traffic != v1alpha1.FullTraffic {
		shown.TrafficPercentage = new(float64(traffic) / 1000)
	}
	return shown
}

func showName(rule *v1alpha1.Rule) string { return cmp.Or(rule.DisplayName, rule.Name) }

// showSplit makes percentages that sum to exactly 100 out of weights: what rounding leaves goes to the first ones that
// lose most by it.
func showSplit(split []v1alpha1.SplitEntry) []Share {
	var total, given int64
	for _, entry := range split {
		total += int64(entry.Weight)
	}
	if total == 0 {
		return nil
	}
	thousandths, byLoss := make([]int64, len(split)), make([]int, len(split))
	loss := func(i int) int64 { return int64(split[i].Weight) * v1alpha1.FullTraffic % total }
	for i, entry := range split {
		thousandths[i], byLoss[i] = int64(entry.Weight)*v1alpha1.FullTraffic/total, i
		given += thousandths[i]
	}
	slices.SortStableFunc(byLoss, func(a, b int) int { return cmp.Compare(loss(b), loss(a)) })
	for _, i := range byLoss[:v1alpha1.FullTraffic-given] {
		thousandths[i]++
	}
	shares := make([]Share, len(split))
	for i, entry := range split {
		shares[i] = Share{Variation: entry.Variation, Percentage: float64(thousandths[i]) / 1000}
	}
	return shares
}

func showCondition(condition *v1alpha1.Condition) Condition {
	shown := Condition{Attribute: condition.Attribute}
	for _, operator := range operators {
		if operator.of == condition.Operator {
			shown.Operator = operator.name
			if len(condition.Values) == 1 {
				break
			}
		}
	}
	// What clients would round is text, which comes back as it is.
	if isOrder(condition.Operator) && len(condition.Values) == 1 && json.Valid([]byte(condition.Values[0])) &&
		server.IsFloat(condition.Values[0]) {
		shown.Value = json.RawMessage(condition.Values[0])
		return shown
	}
	switch len(condition.Values) {
	case 0:
	case 1:
		shown.Value, _ = json.Marshal(condition.Values[0]) // A string always has a JSON form.
	default:
		shown.Value, _ = json.Marshal(condition.Values) // Strings always have one.
	}
	return shown
}
