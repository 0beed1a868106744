// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package avsb

import (
	"regexp"
	"strings"
)

// words are the view's words for those of the Kinds in messages.
func words() *strings.Replacer {
	pairs := []string{
		"enableAt", "scheduledEnableAt", "disableAt", "scheduledDisableAt", "variation and split", "one or more variations",
		"write name: ", "write key: ",
	}
	for of, word := range flagTypes {
		pairs = append(pairs, "flag's type "+string(of), "flag's type "+word, "a "+string(of)+" flag", "a "+word+" flag")
	}
	return strings.NewReplacer(pairs...)
}

// renames are the view's names for what begins the path of a field, in the order in which they are tried.
var renames = []struct {
	path *regexp.Regexp
	name string
}{
	{regexp.MustCompile(`^spec\.environments\[\d+\]\.rules\[\d+\](\.|$)`), ""},
	{regexp.MustCompile(`^spec\.environments\[\d+\]\.schedule\.enableAt$`), "scheduledEnableAt"},
	{regexp.MustCompile(`^spec\.environments\[\d+\]\.schedule\.disableAt$`), "scheduledDisableAt"},
	{regexp.MustCompile(`^spec\.environments\[\d+\]\.schedule\.timeZone$`), "timezone"},
	{regexp.MustCompile(`^spec\.environments\[\d+\]\.defaultVariation$`), "defaultVariationId"},
	{regexp.MustCompile(`^spec\.environments\[\d+\]\.`), ""},
	{regexp.MustCompile(`^spec\.defaultVariation$`), "defaultVariationKey"},
	{regexp.MustCompile(`^spec\.`), ""},
	{regexp.MustCompile(`^metadata\.name$`), "key"},
	// Of what is left, single names.
	{regexp.MustCompile(`\bdisplayName$`), "name"},
	{regexp.MustCompile(`^production$`), "isProduction"},
	{regexp.MustCompile(`^publish\.mode$`), "publishMode"},
	{regexp.MustCompile(`^traffic$`), "trafficAllocation"},
	{regexp.MustCompile(`^audiences\b`), "audienceIds"},
	{regexp.MustCompile(`\btargetingKey$`), "userId"},
	{regexp.MustCompile(`^variation$`), "variations[0].variationId"},
	{regexp.MustCompile(`^split\b`), "variations"},
	{regexp.MustCompile(`\bvariation$`), "variationId"},
	{regexp.MustCompile(`\bweight$`), "percentage"},
}

// rename gives the view's name for the field of a Kind.
func rename(path string) string {
	for _, rule := range renames {
		if at := rule.path.FindStringIndex(path); at != nil {
			path = path[:at[0]] + rule.name + path[at[1]:]
		}
	}
	return path
}
