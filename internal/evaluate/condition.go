// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package evaluate

import (
	"fmt"
	"math"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/jackstaff-dev/jackstaff/internal/datafile"
)

// condition is a prepared datafile.Condition. Only what its operator needs is set.
type condition struct {
	path     path
	shared   uint8             // Which of the evaluation's shared attributes it looks at, from 1 on. 0 is none of them.
	operator datafile.Operator // The positive one.
	negative bool
	test     test

	texts      []string
	set        *set
	number     float64
	instant    time.Time
	version    version
	expression *regexp.Regexp
	networks   []netip.Prefix
}

// test says whether an attribute, nil where it is missing, passes a condition.
type test func(*condition, any) bool

// operators are the tests of the positive operators, and what prepares the condition for them.
var operators = map[datafile.Operator]struct {
	test    test
	prepare func(*condition, []string) error
}{
	datafile.In:                       {(*condition).in, (*condition).prepareSet},
	datafile.Exists:                   {(*condition).exists, (*condition).prepareNothing},
	datafile.GreaterThan:              {(*condition).greaterThan, (*condition).prepareNumber},
	datafile.GreaterThanOrEqual:       {(*condition).greaterThanOrEqual, (*condition).prepareNumber},
	datafile.LessThan:                 {(*condition).lessThan, (*condition).prepareNumber},
	datafile.LessThanOrEqual:          {(*condition).lessThanOrEqual, (*condition).prepareNumber},
	datafile.StartsWith:               {(*condition).startsWith, (*condition).prepareTexts},
	datafile.EndsWith:                 {(*condition).endsWith, (*condition).prepareTexts},
	datafile.Contains:                 {(*condition).contains, (*condition).prepareTexts},
	datafile.SemVerEqual:              {(*condition).versionEqual, (*condition).prepareVersion},
	datafile.SemVerGreaterThan:        {(*condition).versionGreaterThan, (*condition).prepareVersion},
	datafile.SemVerGreaterThanOrEqual: {(*condition).versionGreaterThanOrEqual, (*condition).prepareVersion},
	datafile.SemVerLessThan:           {(*condition).versionLessThan, (*condition).prepareVersion},
	datafile.SemVerLessThanOrEqual:    {(*condition).versionLessThanOrEqual, (*condition).prepareVersion},
	datafile.SemVerTilde:              {(*condition).versionTilde, (*condition).prepareVersion},
	datafile.SemVerCaret:              {(*condition).versionCaret, (*condition).prepareVersion},
	datafile.Before:                   {(*condition).before, (*condition).prepareInstant},
	datafile.After:                    {(*condition).after, (*condition).prepareInstant},
	datafile.BeforeUnix:               {(*condition).lessThan, (*condition).prepareUnix},
	datafile.AfterUnix:                {(*condition).greaterThan, (*condition).prepareUnix},
	datafile.Matches:                  {(*condition).matches, (*condition).prepareExpression},
	datafile.InCIDR:                   {(*condition).inNetwork, (*condition).prepareNetworks},
	datafile.EqualFold:                {(*condition).equalFold, (*condition).prepareTexts},
	datafile.ContainsFold:             {(*condition).containsFold, (*condition).prepareFolded},
}

// negations are the negative operators, which hold where the positive ones do not.
var negations = map[datafile.Operator]datafile.Operator{
	datafile.NotIn: datafile.In, datafile.DoesNotExist: datafile.Exists, datafile.NotStartsWith: datafile.StartsWith,
	datafile.NotEndsWith: datafile.EndsWith, datafile.NotContains: datafile.Contains, datafile.NotMatches: datafile.Matches,
	datafile.NotInCIDR: datafile.InCIDR, datafile.NotEqualFold: datafile.EqualFold, datafile.NotContainsFold: datafile.ContainsFold,
}

func newConditions(from []datafile.Condition) ([]condition, error) {
	conditions := make([]condition, len(from))
	for i := range from {
		c := &conditions[i]
		c.path, c.operator = newPath(from[i].Attribute), from[i].Operator
		if positive, negative := negations[c.operator]; negative {
			c.operator, c.negative = positive, true
		}
		operator, known := operators[c.operator]
		if !known {
			return nil, fmt.Errorf("condition %d: unknown operator %q", i+1, from[i].Operator)
		}
		c.test = operator.test
		if err := operator.prepare(c, from[i].Values); err != nil {
			return nil, fmt.Errorf("condition %d: operator %s: %w", i+1, from[i].Operator, err)
		}
	}
	return conditions, nil
}

func (c *condition) prepareNothing([]string) error { return nil }

func (c *condition) prepareTexts(values []string) error {
	c.texts = values
	return nil
}

func one(values []string) (string, error) {
	if len(values) != 1 {
		return "", fmt.Errorf("takes one value, not %d", len(values))
	}
	return values[0], nil
}

func (c *condition) exists(value any) bool { return value != nil }

// set is the values of In by the type of attribute that they equal.
type set struct {
	few     []string // The strings where they are at most maxFew, which are found faster one by one.
	strings map[string]struct{}
	numbers map[float64]struct{}
	isTrue  bool
	isFalse bool
}

const maxFew = 8

// jsonNumber is the form of numbers in JSON (RFC 8259, section 6).
var jsonNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?$`)

func (c *condition) prepareSet(values []string) error {
	c.set = &set{isTrue: slices.Contains(values, "true"), isFalse: slices.Contains(values, "false"), numbers: map[float64]struct{}{}}
	if len(values) <= maxFew {
		c.set.few = values
	} else {
		c.set.strings = newStrings(values)
	}
	for _, value := range values {
		if f, err := strconv.ParseFloat(value, 64); err == nil && jsonNumber.MatchString(value) {
			c.set.numbers[f] = struct{}{}
		}
	}
	return nil
}

func newStrings(values []string) map[string]struct{} {
	set := make(map[string]struct{}, len(values))
	for _, value := range values {
		set[value] = struct{}{}
	}
	return set
}

func (c *condition) in(value any) bool {
	switch v := value.(type) {
	case string:
		return c.set.hasText(v)
	case []any:
		return slices.ContainsFunc(v, c.set.has)
	case []string:
		return slices.ContainsFunc(v, c.set.hasText)
	default:
		return c.set.has(value)
	}
}

func (s *set) hasText(text string) bool {
	if s.strings != nil {
		_, found := s.strings[text]
		return found
	}
	return slices.Contains(s.few, text)
}

func (s *set) has(value any) bool {
	switch v := value.(type) {
	case string:
		return s.hasText(v)
	case bool:
		return v && s.isTrue || !v && s.isFalse
	case time.Time:
		text, _ := text(v)
		return s.hasText(text)
	}
	if len(s.numbers) == 0 {
		return false
	}
	f, isNumber := number(value)
	if !isNumber {
		return false
	}
	_, found := s.numbers[f]
	return found
}

func (c *condition) prepareNumber(values []string) error {
	value, err := one(values)
	if err != nil {
		return err
	}
	if c.number, err = strconv.ParseFloat(value, 64); err != nil || math.IsInf(c.number, 0) || math.IsNaN(c.number) {
		return fmt.Errorf("%q is not a number", value)
	}
	return nil
}

func (c *condition) prepareUnix(values []string) error {
	err := c.prepareInstant(values)
	c.number = float64(c.instant.Unix()) + float64(c.instant.Nanosecond())/1e9
	return err
}

func (c *condition) greaterThan(value any) bool {
	f, isNumber := number(value)
	return isNumber && f > c.number
}

func (c *condition) greaterThanOrEqual(value any) bool {
	f, isNumber := number(value)
	return isNumber && f >= c.number
}

func (c *condition) lessThan(value any) bool {
	f, isNumber := number(value)
	return isNumber && f < c.number
}

func (c *condition) lessThanOrEqual(value any) bool {
	f, isNumber := number(value)
	return isNumber && f <= c.number
}

func (c *condition) startsWith(value any) bool {
	s, isText := text(value)
	if !isText {
		return false
	}
	for _, prefix := range c.texts {
		if strings.HasPrefix(s, prefix) {
			return true
		}
	}
	return false
}

func (c *condition) endsWith(value any) bool {
	s, isText := text(value)
	if !isText {
		return false
	}
	for _, suffix := range c.texts {
		if strings.HasSuffix(s, suffix) {
			return true
		}
	}
	return false
}

func (c *condition) contains(value any) bool {
	s, isText := text(value)
	if !isText {
		return false
	}
	for _, part := range c.texts {
		if strings.Contains(s, part) {
			return true
		}
	}
	return false
}

func (c *condition) prepareVersion(values []string) error {
	value, err := one(values)
	if err != nil {
		return err
	}
	if !c.version.parse(value) {
		return fmt.Errorf("%q is not a semantic version", value)
	}
	return nil
}

func (v *version) of(value any) bool {
	s, isText := text(value)
	return isText && v.parse(s)
}

func (c *condition) versionEqual(value any) bool {
	var v version
	return v.of(value) && v.compare(&c.version) == 0
}

func (c *condition) versionGreaterThan(value any) bool {
	var v version
	return v.of(value) && v.compare(&c.version) > 0
}

func (c *condition) versionGreaterThanOrEqual(value any) bool {
	var v version
	return v.of(value) && v.compare(&c.version) >= 0
}

func (c *condition) versionLessThan(value any) bool {
	var v version
	return v.of(value) && v.compare(&c.version) < 0
}

func (c *condition) versionLessThanOrEqual(value any) bool {
	var v version
	return v.of(value) && v.compare(&c.version) <= 0
}

func (c *condition) versionTilde(value any) bool {
	var v version
	return v.of(value) && v.numbers[0] == c.version.numbers[0] && v.numbers[1] == c.version.numbers[1]
}

func (c *condition) versionCaret(value any) bool {
	var v version
	return v.of(value) && v.numbers[0] == c.version.numbers[0]
}

func (c *condition) prepareInstant(values []string) error {
	value, err := one(values)
	if err != nil {
		return err
	}
	if c.instant, err = time.Parse(time.RFC3339, value); err != nil {
		return fmt.Errorf("%q is not an RFC 3339 time", value)
	}
	return nil
}

func (c *condition) before(value any) bool {
	t, isTime := instant(value)
	return isTime && t.Before(c.instant)
}

func (c *condition) after(value any) bool {
	t, isTime := instant(value)
	return isTime && t.After(c.instant)
}

func (c *condition) prepareExpression(values []string) error {
	value, err := one(values)
	if err != nil {
		return err
	}
	c.expression, err = regexp.Compile(value)
	return err
}

func (c *condition) matches(value any) bool {
	s, isText := text(value)
	return isText && c.expression.MatchString(s)
}

func (c *condition) prepareNetworks(values []string) error {
	for _, value := range values {
		network, err := netip.ParsePrefix(value)
		if err != nil {
			address, err := netip.ParseAddr(value)
			if err != nil || address.Zone() != "" {
				return fmt.Errorf("%q is not an IP network or address", value)
			}
			network = netip.PrefixFrom(address, address.BitLen())
		}
		if address := network.Addr(); address.Is4In6() && network.Bits() >= 96 {
			network = netip.PrefixFrom(address.Unmap(), network.Bits()-96)
		}
		c.networks = append(c.networks, network)
	}
	return nil
}

// inNetwork takes an IPv4 address that is written as an IPv6 one for the IPv4 address, and no address with a zone.
func (c *condition) inNetwork(value any) bool {
	s, isString := value.(string)
	if !isString || strings.Trim(s, "0123456789abcdefABCDEF.:") != "" {
		return false
	}
	address, err := netip.ParseAddr(s)
	if err != nil {
		return false
	}
	address = address.Unmap()
	for _, network := range c.networks {
		if network.Contains(address) {
			return true
		}
	}
	return false
}

func (c *condition) equalFold(value any) bool {
	s, isText := text(value)
	if !isText {
		return false
	}
	for _, other := range c.texts {
		if strings.EqualFold(s, other) {
			return true
		}
	}
	return false
}

// maxFoldInPlace is how many bytes of an attribute are compared in place: that takes time in proportion to both lengths, beyond
// it a copy is made.
const maxFoldInPlace = 4 << 10

func (c *condition) prepareFolded(values []string) error {
	for _, value := range values {
		c.texts = append(c.texts, strings.Map(fold, value))
	}
	return nil
}

func (c *condition) containsFold(value any) bool {
	s, isText := text(value)
	if !isText {
		return false
	}
	if len(s) > maxFoldInPlace {
		folded := strings.Map(fold, s)
		return slices.ContainsFunc(c.texts, func(part string) bool { return strings.Contains(folded, part) })
	}
	for _, part := range c.texts {
		if containsFolded(s, part) {
			return true
		}
	}
	return false
}

// containsFolded reports whether s contains part, which is folded.
func containsFolded(s, part string) bool {
	for {
		if beginsFolded(s, part) {
			return true
		}
		if s == "" {
			return false
		}
		_, size := utf8.DecodeRuneInString(s)
		s = s[size:]
	}
}

func beginsFolded(s, part string) bool {
	for part != "" {
		if s == "" {
			return false
		}
		have, size := utf8.DecodeRuneInString(s)
		want, wantSize := utf8.DecodeRuneInString(part)
		if have != want && fold(have) != want {
			return false
		}
		s, part = s[size:], part[wantSize:]
	}
	return true
}

// fold returns the smallest of the characters that differ from r only in case, which are those of strings.EqualFold.
func fold(r rune) rune {
	if r < utf8.RuneSelf {
		if 'a' <= r && r <= 'z' {
			return r - 'a' + 'A'
		}
		return r
	}
	smallest := r
	for other := unicode.SimpleFold(r); other != r; other = unicode.SimpleFold(other) {
		smallest = min(smallest, other)
	}
	return smallest
}
