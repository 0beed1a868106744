// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package evaluate

import (
	"bytes"
	"fmt"
	"math"
	"net/netip"
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// exists is the predicate of Exists.
type exists struct{}

func newExists([]string) (predicate, error) { return exists{}, nil }

func (exists) holds(attribute any) bool { return attribute != nil }

// set is the predicate of In: its values by the type of attribute that they equal.
type set struct {
	few     []string // The strings where they are at most maxFew, which are found faster one by one.
	strings map[string]struct{}
	// numbers are the values that are numbers, but for integers beyond 2^53-1, which large has by their digits.
	numbers map[float64]struct{}
	large   map[string]struct{}
	isTrue  bool
	isFalse bool
}

const maxFew = 8

// jsonNumber is the form of numbers in JSON (RFC 8259, section 6).
var jsonNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?$`)

func newSet(values []string) (predicate, error) {
	s := &set{isTrue: slices.Contains(values, "true"), isFalse: slices.Contains(values, "false")}
	if len(values) <= maxFew {
		s.few = values
	} else {
		s.strings = newStrings(values)
	}
	s.numbers, s.large = numbersOf(values)
	return s, nil
}

// numbersOf returns the values that are numbers as JSON writes them, by how they compare.
func numbersOf(values []string) (numbers map[float64]struct{}, large map[string]struct{}) {
	for _, value := range values {
		f, err := strconv.ParseFloat(value, 64)
		if err != nil || !jsonNumber.MatchString(value) {
			continue
		}
		if integer := largeInteger(value, f); integer != "" {
			if large == nil {
				large = map[string]struct{}{}
			}
			large[integer] = struct{}{}
			continue
		}
		if numbers == nil {
			numbers = map[float64]struct{}{}
		}
		numbers[f] = struct{}{}
	}
	return numbers, large
}

func (s *set) gate() gate {
	if s.few == nil {
		return open
	}
	return beginning(s.few)
}

func newStrings(values []string) map[string]struct{} {
	set := make(map[string]struct{}, len(values))
	for _, value := range values {
		set[value] = struct{}{}
	}
	return set
}

func (s *set) holds(attribute any) bool {
	switch v := attribute.(type) {
	case string:
		return s.hasText(v)
	case []any:
		return slices.ContainsFunc(v, s.has)
	case []string:
		return slices.ContainsFunc(v, s.hasText)
	default:
		return s.has(attribute)
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
	if s.numbers == nil && s.large == nil {
		return false
	}
	f, isNumber := number(value)
	if !isNumber {
		return false
	}
	_, found := s.numbers[f]
	return found || s.large != nil && isLarge(f) && s.hasInteger(value)
}

// hasInteger reports whether a number beyond 2^53-1 equals one of the values exactly.
func (s *set) hasInteger(value any) bool {
	var buffer [maxDigits]byte
	_, found := s.large[string(integerOf(buffer[:0], value))]
	return found
}

// prefixes is the predicate of StartsWith.
type prefixes []string

func newPrefixes(values []string) (predicate, error) { return prefixes(values), nil }

func (p prefixes) gate() gate { return beginning(p) }

func (p prefixes) holds(attribute any) bool {
	s, isText := text(attribute)
	if !isText {
		return false
	}
	for _, prefix := range p {
		if strings.HasPrefix(s, prefix) {
			return true
		}
	}
	return false
}

// suffixes is the predicate of EndsWith.
type suffixes []string

func newSuffixes(values []string) (predicate, error) { return suffixes(values), nil }

func (p suffixes) gate() gate { return ending(p) }

func (p suffixes) holds(attribute any) bool {
	s, isText := text(attribute)
	if !isText {
		return false
	}
	for _, suffix := range p {
		if strings.HasSuffix(s, suffix) {
			return true
		}
	}
	return false
}

// parts is the predicate of Contains.
type parts []string

func newParts(values []string) (predicate, error) { return parts(values), nil }

func (p parts) holds(attribute any) bool {
	s, isText := text(attribute)
	if !isText {
		return false
	}
	for _, part := range p {
		if strings.Contains(s, part) {
			return true
		}
	}
	return false
}

// order is how an attribute may compare with a value for the predicate to hold.
type order struct{ less, equal, greater bool }

// admits reports whether a comparison with that result, which is negative, 0 or positive, passes.
func (o order) admits(result int) bool {
	switch {
	case result < 0:
		return o.less
	case result > 0:
		return o.greater
	default:
		return o.equal
	}
}

// numberOrder is the predicate of the comparisons with a number.
type numberOrder struct {
	order
	number float64
	// integer is the number where it is an integer beyond 2^53-1, and empty where it is not.
	integer string
}

func newNumber(accepted order) func([]string) (predicate, error) {
	return func(values []string) (predicate, error) {
		value, err := one(values)
		if err != nil {
			return nil, err
		}
		f, err := strconv.ParseFloat(value, 64)
		if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
			return nil, fmt.Errorf("%q is not a number", value)
		}
		return &numberOrder{order: accepted, number: f, integer: largeInteger(value, f)}, nil
	}
}

// newUnixTime compares seconds since 1970 with an instant.
func newUnixTime(accepted order) func([]string) (predicate, error) {
	return func(values []string) (predicate, error) {
		t, err := oneTime(values)
		if err != nil {
			return nil, err
		}
		return &numberOrder{order: accepted, number: float64(t.Unix()) + float64(t.Nanosecond())/1e9}, nil
	}
}

func (p *numberOrder) gate() gate {
	g := gate{low: math.Inf(-1), high: math.Inf(1)} // No string is a number.
	if !p.less {
		g.low = p.number
	}
	if !p.greater {
		g.high = p.number
	}
	return g
}

func (p *numberOrder) holds(attribute any) bool {
	f, isNumber := number(attribute)
	switch {
	case !isNumber:
		return false
	case f < p.number:
		return p.less
	case f > p.number:
		return p.greater
	case p.integer != "":
		return p.admits(compareIntegers(attribute, p.integer))
	default:
		return p.equal
	}
}

// releaseOrder is the predicate of the comparisons with a semantic version.
type releaseOrder struct {
	order
	version version
}

func newRelease(accepted order) func([]string) (predicate, error) {
	return func(values []string) (predicate, error) {
		v, err := oneVersion(values)
		if err != nil {
			return nil, err
		}
		return &releaseOrder{order: accepted, version: v}, nil
	}
}

// gate makes use of that a version with one digit before the first dot precedes all with more.
func (p *releaseOrder) gate() gate {
	major := p.version.numbers[0]
	if p.greater || len(major) > 1 {
		return open
	}
	g := beginning([]string{"v", "V"})
	for digit := byte('0'); digit <= major[0]; digit++ {
		g.bytes |= byteBit(digit)
	}
	return g
}

func (p *releaseOrder) holds(attribute any) bool {
	var v version
	return v.of(attribute) && p.admits(v.compare(&p.version))
}

// releaseLine is the predicate of SemVerTilde and SemVerCaret: the first numbers of a version.
type releaseLine []string

func newReleaseLine(numbers int) func([]string) (predicate, error) {
	return func(values []string) (predicate, error) {
		v, err := oneVersion(values)
		return releaseLine(v.numbers[:numbers]), err
	}
}

func (p releaseLine) holds(attribute any) bool {
	var v version
	return v.of(attribute) && slices.Equal(v.numbers[:len(p)], p)
}

func oneVersion(values []string) (v version, err error) {
	value, err := one(values)
	if err == nil && !v.parse(value) {
		err = fmt.Errorf("%q is not a semantic version", value)
	}
	return v, err
}

func (v *version) of(attribute any) bool {
	s, isText := text(attribute)
	return isText && v.parse(s)
}

// momentOrder is the predicate of Before and After.
type momentOrder struct {
	order
	instant time.Time
}

func newMoment(accepted order) func([]string) (predicate, error) {
	return func(values []string) (predicate, error) {
		t, err := oneTime(values)
		return &momentOrder{order: accepted, instant: t}, err
	}
}

func (p *momentOrder) holds(attribute any) bool {
	t, isTime := instant(attribute)
	return isTime && p.admits(t.Compare(p.instant))
}

func oneTime(values []string) (time.Time, error) {
	value, err := one(values)
	if err != nil {
		return time.Time{}, err
	}
	t, err := time.Parse(time.RFC3339, value)
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is not an RFC 3339 time", value)
	}
	return t, nil
}

// expression is the predicate of Matches.
type expression struct {
	*regexp.Regexp

	// parts is the size of the expression.
	parts int64
}

func newExpression(values []string) (predicate, error) {
	value, err := one(values)
	if err != nil {
		return nil, err
	}
	parsed, err := syntax.Parse(value, syntax.Perl)
	if err != nil {
		return nil, err
	}
	compiled, err := regexp.Compile(value)
	return expression{compiled, int64(ExpressionSize(parsed))}, err
}

func (p expression) holds(attribute any) bool {
	s, isText := text(attribute)
	return isText && p.MatchString(s)
}

// networks is the predicate of InCIDR. An IPv4 address that is written as an IPv6 one counts as the IPv4 address. One
// with a zone is in no network.
type networks []netip.Prefix

func newNetworks(values []string) (predicate, error) {
	all := make(networks, len(values))
	for i, value := range values {
		network, err := netip.ParsePrefix(value)
		if err != nil {
			address, err := netip.ParseAddr(value)
			if err != nil || address.Zone() != "" {
				return nil, fmt.Errorf("%q is not an IP network or address", value)
			}
			network = netip.PrefixFrom(address, address.BitLen())
		}
		if address := network.Addr(); address.Is4In6() && network.Bits() >= 96 {
			network = netip.PrefixFrom(address.Unmap(), network.Bits()-96)
		}
		all[i] = network
	}
	return all, nil
}

func (p networks) holds(attribute any) bool {
	s, isString := attribute.(string)
	if !isString || strings.Trim(s, "0123456789abcdefABCDEF.:") != "" {
		return false
	}
	address, err := netip.ParseAddr(s)
	if err != nil {
		return false
	}
	address = address.Unmap()
	for _, network := range p {
		if network.Contains(address) {
			return true
		}
	}
	return false
}

// foldedTexts is the predicate of EqualFold.
type foldedTexts []string

func newFoldedTexts(values []string) (predicate, error) { return foldedTexts(values), nil }

func (p foldedTexts) holds(attribute any) bool {
	s, isText := text(attribute)
	if !isText {
		return false
	}
	for _, other := range p {
		if strings.EqualFold(s, other) {
			return true
		}
	}
	return false
}

// foldedParts is the predicate of ContainsFold. Its texts are folded.
type foldedParts [][]byte

// foldedOnStack is the size of a text that is folded without allocating, in bytes.
const foldedOnStack = 4 << 10

func newFoldedParts(values []string) (predicate, error) {
	folded := make(foldedParts, len(values))
	for i, value := range values {
		folded[i] = appendFolded(nil, value)
	}
	return folded, nil
}

func (p foldedParts) holds(attribute any) bool {
	s, isText := text(attribute)
	if !isText {
		return false
	}
	// Comparing in place would take time in proportion to the product of both lengths.
	var buffer [foldedOnStack]byte
	folded := appendFolded(buffer[:0], s)
	for _, part := range p {
		if bytes.Contains(folded, part) {
			return true
		}
	}
	return false
}

func appendFolded(to []byte, s string) []byte {
	for _, r := range s {
		to = utf8.AppendRune(to, fold(r))
	}
	return to
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
