// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package evaluate

import (
	"fmt"
	"net/netip"
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
	"time"
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

func (v *version) of(attribute any) bool {
	s, isText := text(attribute)
	return isText && v.parse(s)
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
