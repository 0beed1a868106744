// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// maxNearest is how many names a message proposes.
const maxNearest = 3

// Nearest returns the names that a misspelt name probably means, the nearest first, at most three: those that begin
// with it or that it begins with, and those that a few edits make of it.
func Nearest(name string, among []string) []string {
	type candidate struct {
		name     string
		distance int
	}
	var candidates []candidate
	wanted := simplified(name)
	for _, other := range among {
		simple := simplified(other)
		limit := max(1, min(len(wanted), len(simple))/3)
		distance := editDistance(wanted, simple)
		if min(len(wanted), len(simple)) >= 3 && (strings.HasPrefix(simple, wanted) || strings.HasPrefix(wanted, simple)) {
			distance = min(distance, limit)
		}
		if other != name && distance <= limit {
			candidates = append(candidates, candidate{other, distance})
		}
	}
	slices.SortFunc(candidates, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.distance, b.distance), cmp.Compare(a.name, b.name))
	})
	var names []string
	for _, found := range candidates[:min(len(candidates), maxNearest)] {
		names = append(names, found.name)
	}
	return slices.Compact(names)
}

// DidYouMean is the end of a message about a name that does not exist: the nearest names, else the names there are,
// else nothing.
func DidYouMean(name string, among []string) string {
	if nearest := Nearest(name, among); len(nearest) > 0 {
		quoted := make([]string, len(nearest))
		for i := range nearest {
			quoted[i] = strconv.Quote(nearest[i])
		}
		return "; did you mean " + strings.Join(quoted, " or ") + "?"
	}
	if len(among) > 0 && len(among) <= maxNamed {
		return "; there are " + joinQuoted(slices.Sorted(slices.Values(among)))
	}
	return ""
}

// simplified drops what people confuse: case, and the characters between words.
func simplified(name string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune("-_./ ", r) {
			return -1
		}
		return r
	}, strings.ToLower(Truncate(name, maxKeyLength)))
}

// editDistance is the number of bytes to insert, delete or replace, or of neighbours to swap, to make b of a.
func editDistance(a, b string) int {
	var before, above []int
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		before, above, row = above, row, make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(above[j]+1, row[j-1]+1, above[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
	}
	return row[len(b)]
}
