// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package importer

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/murmur3"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// maxRules is how many rules an environment of a flag may have.
const maxRules = 100

// maxChoices bounds how many fractionals become of the choices inside one.
const maxChoices = 64

// dealing is a fractional, and the logic that decides for whoever has nothing to hash.
type dealing struct {
	arguments []any
	otherwise any
}

// deal adds rules that split. The hash of flagd is that of a rule: the salt and then the subject.
func (t *targeting) deal(d dealing, reached ways) error {
	if choice, inside := t.choiceInside(d); inside {
		return t.branch(choice, reached)
	}
	of := bucketing{salt: t.key}
	shares := d.arguments
	if len(shares) > 0 {
		if _, isShare := shares[0].([]any); !isShare {
			var err error
			if of, err = t.bucketing(shares[0]); err != nil {
				return err
			}
			shares = shares[1:]
		}
	}
	split, err := t.split(shares)
	if err != nil {
		return err
	}
	if total(split) == 0 {
		return t.branch(d.otherwise, reached) // A split without weight chooses nothing.
	}
	t.add(reached, func(rule *v1alpha1.Rule) {
		rule.Split, rule.HashAttribute, rule.Salt, rule.Unsalted = split, of.attribute, of.salt, of.salt == ""
	})
	return t.nothingToHash(d, of, split, reached)
}

// nothingToHash adds rules for whoever gets past a split. Of a text with an attribute behind it flagd hashes the text
// alone then. In the place of an attribute that is missing it hashes the flag's key and the targeting key, and an empty
// text as it is.
func (t *targeting) nothingToHash(d dealing, of bucketing, split []v1alpha1.SplitEntry, reached ways) error {
	switch {
	case of.isText:
		return t.serve(assigned(of.salt, split), reached)
	case of.attribute == "":
		return t.branch(d.otherwise, reached)
	}
	empty, err := reached.and(simple(of.attribute, v1alpha1.OperatorIn, "", false, ""))
	if err != nil {
		return err
	}
	if err := t.serve(assigned("", split), empty); err != nil {
		return err
	}
	if of.attribute != targetingKey {
		missing, err := reached.and(simple(of.attribute, v1alpha1.OperatorDoesNotExist, "", false))
		if err != nil {
			return err
		}
		t.add(missing, func(rule *v1alpha1.Rule) { rule.Split, rule.Salt = split, t.key })
	}
	return t.branch(d.otherwise, reached)
}

// split returns the entries of shares, of which neighbours with the same variant are one.
func (t *targeting) split(shares []any) (split []v1alpha1.SplitEntry, err error) {
	for _, argument := range shares {
		entry, err := t.share(argument)
		if err != nil {
			return nil, err
		}
		if last := len(split) - 1; last >= 0 && split[last].Variation == entry.Variation &&
			int64(split[last].Weight)+int64(entry.Weight) <= math.MaxInt32 {
			split[last].Weight += entry.Weight
			continue
		}
		if slices.ContainsFunc(split, func(other v1alpha1.SplitEntry) bool { return other.Variation == entry.Variation }) {
			return nil, fmt.Errorf("a fractional has the variant %q twice, with another one between", entry.Variation)
		}
		split = append(split, entry)
	}
	return split, nil
}

// choiceInside returns a choice of fractionals in the place of a fractional with a choice inside: of a share's variant,
// or of its weight. Which subject gets which bucket does not change by that.
func (t *targeting) choiceInside(d dealing) (choice any, found bool) {
	for i, argument := range d.arguments {
		parts, isShare := argument.([]any)
		for j := 0; isShare && j < len(parts); j++ {
			branches := t.branches(parts[j], j == 0)
			if branches == nil || len(branches) > maxChoices {
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
				shares := slices.Clone(d.arguments)
				shares[i] = share
				hoisted[k] = dealing{arguments: shares, otherwise: d.otherwise}
			}
			return map[string]any{"if": hoisted}, true
		}
	}
	return nil, false
}

// branches are the arguments of the "if" that a part of a share is, and nil where it is none. A variant may be named by
// an attribute, too.
func (t *targeting) branches(part any, isVariant bool) []any {
	object, _ := part.(map[string]any)
	operator, branches, err := operation(object)
	switch name, isVar := variable(part); {
	case err != nil:
		return nil
	case operator == "if":
		return branches
	case isVariant && isVar && !strings.HasPrefix(name, "$flagd."):
		return t.named(name)
	}
	return nil
}

// named returns the arguments of an "if" that chooses the variant whose key is the value of an attribute.
func (t *targeting) named(attribute string) []any {
	t.lose(
		t.key,
		"where attribute %q names no variant, flagd fails and code gets its own default; here the default is served",
		attribute,
	)
	var arguments []any
	for _, variant := range slices.Sorted(maps.Keys(t.variants)) {
		arguments = append(arguments, map[string]any{"==": []any{map[string]any{"var": attribute}, variant}}, variant)
	}
	return arguments
}

// dealtCondition returns the fractional that an "if" is whose first condition is a fractional of true and false.
func (t *targeting) dealtCondition(arguments []any) (dealing, bool) {
	object, _ := arguments[0].(map[string]any)
	operator, shares, err := operation(object)
	if err != nil || operator != "fractional" {
		return dealing{}, false
	}
	var otherwise any
	switch rest := arguments[2:]; len(rest) {
	case 0:
	case 1:
		otherwise = rest[0]
	default:
		otherwise = map[string]any{"if": rest}
	}
	dealt := slices.Clone(shares)
	for i, argument := range dealt {
		share, isShare := argument.([]any)
		if !isShare && i == 0 {
			continue // It says what is hashed.
		}
		if !isShare || len(share) == 0 {
			return dealing{}, false
		}
		chosen := slices.Clone(share)
		switch share[0] {
		case true:
			chosen[0] = arguments[1]
		case false, nil:
			chosen[0] = otherwise
		default:
			return dealing{}, false
		}
		dealt[i] = chosen
	}
	return dealing{arguments: dealt, otherwise: otherwise}, true
}

// total is the sum of the weights of a split.
func total(split []v1alpha1.SplitEntry) (sum uint64) {
	for _, entry := range split {
		sum += uint64(entry.Weight)
	}
	return sum
}

// assigned returns the variant that a split with a weight gives to a key.
func assigned(key string, split []v1alpha1.SplitEntry) string {
	var sum uint64
	bucket := uint64(murmur3.StringSum32(key)) * total(split) >> 32
	for _, entry := range split {
		if sum += uint64(entry.Weight); bucket < sum {
			return entry.Variation
		}
	}
	return "" // Unreachable: the last sum is the total.
}

// share reads a share. A variant that is null is that of the default, and true and false are those of that key.
func (t *targeting) share(argument any) (v1alpha1.SplitEntry, error) {
	parts, isList := argument.([]any)
	if !isList || len(parts) < 1 || len(parts) > 2 {
		return v1alpha1.SplitEntry{}, fmt.Errorf("%v is no share of a fractional", argument)
	}
	variant, isVariant := t.def, true
	switch named := parts[0].(type) {
	case nil:
		if t.def == "" {
			return v1alpha1.SplitEntry{}, errors.New("a fractional leaves a share to the code, which a split cannot")
		}
	case bool:
		variant = strconv.FormatBool(named)
	default:
		variant, isVariant = named.(string)
	}
	weight, isNumber := 1.0, true
	if len(parts) == 2 && parts[1] != nil {
		weight, isNumber = parts[1].(float64)
	}
	weight = max(weight, 0) // flagd takes a negative weight for none.
	if !isVariant || !isNumber || weight > math.MaxInt32 || weight != math.Trunc(weight) {
		return v1alpha1.SplitEntry{}, fmt.Errorf("%v is no share of a fractional with a weight of 0 or more", argument)
	}
	return v1alpha1.SplitEntry{Variation: variant, Weight: int32(weight)}, nil
}

// targetingKey is the attribute that subjects have.
const targetingKey = "targetingKey"

// bucketing is what a fractional hashes.
type bucketing struct {
	salt string
	// attribute is empty where the fractional says nothing of what it hashes.
	attribute string
	// isText says that texts are put together, so that there always is something to hash.
	isText bool
}

// bucketing reads what a fractional hashes.
func (t *targeting) bucketing(logic any) (bucketing, error) {
	if name, isVar := variable(logic); isVar && !strings.HasPrefix(name, "$flagd.") {
		return bucketing{attribute: name}, nil
	}
	object, _ := logic.(map[string]any)
	operator, parts, err := operation(object)
	if err != nil || operator != "cat" || len(parts) == 0 {
		return bucketing{}, errors.New("a fractional hashes something else than a text and an attribute behind it")
	}
	of := bucketing{isText: true}
	for i, part := range parts {
		name, isVar := variable(part)
		text, isText := part.(string)
		switch {
		case isVar && name == "$flagd.flagKey":
			of.salt += t.key
		case isText:
			of.salt += text
		case isVar && i == len(parts)-1 && !strings.HasPrefix(name, "$flagd."):
			of.attribute = name
			return of, nil
		default:
			return bucketing{}, errors.New("a fractional hashes something else than a text and an attribute behind it")
		}
	}
	return bucketing{}, errors.New("a fractional hashes no attribute")
}
