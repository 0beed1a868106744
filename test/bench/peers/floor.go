// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strconv"
	"strings"

	"github.com/twmb/murmur3"
)

// The floor is what somebody would write by hand for exactly these flags: the least that a lookup by flag key, reading
// attributes from a map and the same four facts in the answer cost.

// byHand is an answer with the facts of evaluate.Result.
type byHand struct {
	value                   any
	variation, reason, rule string
}

func on(reason, rule string) byHand  { return byHand{true, "on", reason, rule} }
func off(reason, rule string) byHand { return byHand{false, "off", reason, rule} }

func floor() map[string]func(map[string]any) byHand {
	listed := map[string]struct{}{}
	for _, key := range members() {
		listed[key] = struct{}{}
	}
	constant := func(map[string]any) byHand { return off("STATIC", "") }
	flags := map[string]func(map[string]any) byHand{
		static: constant,
		rule: func(context map[string]any) byHand {
			switch country, _ := context["country"].(string); country {
			case "de", "at", "ch":
				return on("TARGETING_MATCH", "german")
			}
			return off("DEFAULT", "")
		},
		split: func(context map[string]any) byHand {
			key, _ := context["targetingKey"].(string)
			if uint64(murmur3.StringSum32("split/half/"+key))*100>>32 < 50 {
				return on("SPLIT", "half")
			}
			return off("SPLIT", "half")
		},
		ten: tenByHand,
		list: func(context map[string]any) byHand {
			key, _ := context["targetingKey"].(string)
			if _, found := listed[key]; found {
				return on("TARGETING_MATCH", "listed")
			}
			return off("DEFAULT", "")
		},
	}
	for i := range others {
		flags[other(i)] = constant
	}
	return flags
}

// tenByHand reads every attribute where it is needed, as somebody does who adds a rule now and then.
func tenByHand(context map[string]any) byHand {
	if country, _ := context["country"].(string); country == "fr" {
		return on("TARGETING_MATCH", "1")
	}
	if email, _ := context["email"].(string); strings.HasSuffix(email, "@example.org") {
		return on("TARGETING_MATCH", "2")
	}
	if age, isNumber := context["age"].(float64); isNumber && age < 18 {
		return on("TARGETING_MATCH", "3")
	}
	if email, _ := context["email"].(string); strings.HasPrefix(email, "admin") {
		return on("TARGETING_MATCH", "4")
	}
	if version, _ := context["version"].(string); isBeforeOne(version) {
		return on("TARGETING_MATCH", "5")
	}
	if plan, _ := context["plan"].(string); plan == "enterprise" || plan == "beta" {
		return on("TARGETING_MATCH", "6")
	}
	if age, isNumber := context["age"].(float64); isNumber && age > 65 {
		return on("TARGETING_MATCH", "7")
	}
	if email, _ := context["email"].(string); strings.Contains(email, "+test") {
		return on("TARGETING_MATCH", "8")
	}
	if country, _ := context["country"].(string); country == "us" || country == "ca" {
		return on("TARGETING_MATCH", "9")
	}
	age, isNumber := context["age"].(float64)
	if plan, _ := context["plan"].(string); isNumber && age >= 18 && plan == "free" {
		return on("TARGETING_MATCH", "10")
	}
	return off("DEFAULT", "")
}

// isBeforeOne reports whether a version precedes 1.0.0: it has the major version 0, or is a pre-release of 1.0.0.
func isBeforeOne(version string) bool {
	major, rest, _ := strings.Cut(version, ".")
	n, err := strconv.Atoi(major)
	return err == nil && (n == 0 || n == 1 && strings.HasPrefix(rest, "0.0-"))
}
