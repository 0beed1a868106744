// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"maps"
	"slices"
	"strings"
	"unicode"

	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// otherOperators are the names that other systems have for operators, in lower case and without what is between words.
var otherOperators = map[string]v1alpha1.Operator{
	"equals": v1alpha1.OperatorIn, "equal": v1alpha1.OperatorIn, "eq": v1alpha1.OperatorIn, "==": v1alpha1.OperatorIn,
	"=": v1alpha1.OperatorIn, "is": v1alpha1.OperatorIn, "oneof": v1alpha1.OperatorIn, "isoneof": v1alpha1.OperatorIn,
	"anyof": v1alpha1.OperatorIn, "exact": v1alpha1.OperatorIn,
	"notequals": v1alpha1.OperatorNotIn, "notequal": v1alpha1.OperatorNotIn, "neq": v1alpha1.OperatorNotIn,
	"ne": v1alpha1.OperatorNotIn, "!=": v1alpha1.OperatorNotIn, "isnot": v1alpha1.OperatorNotIn,
	"notoneof": v1alpha1.OperatorNotIn, "isnotoneof": v1alpha1.OperatorNotIn, "noneof": v1alpha1.OperatorNotIn,
	"isset": v1alpha1.OperatorExists, "present": v1alpha1.OperatorExists,
	"isnotset": v1alpha1.OperatorDoesNotExist, "notexists": v1alpha1.OperatorDoesNotExist,
	"absent": v1alpha1.OperatorDoesNotExist,
	"gt":     v1alpha1.OperatorGreaterThan, ">": v1alpha1.OperatorGreaterThan,
	"gte": v1alpha1.OperatorGreaterThanOrEqual, "ge": v1alpha1.OperatorGreaterThanOrEqual,
	">=": v1alpha1.OperatorGreaterThanOrEqual,
	"lt": v1alpha1.OperatorLessThan, "<": v1alpha1.OperatorLessThan,
	"lte": v1alpha1.OperatorLessThanOrEqual, "le": v1alpha1.OperatorLessThanOrEqual,
	"<=":     v1alpha1.OperatorLessThanOrEqual,
	"prefix": v1alpha1.OperatorStartsWith, "suffix": v1alpha1.OperatorEndsWith,
	"icontains": v1alpha1.OperatorContainsFold, "noticontains": v1alpha1.OperatorNotContainsFold,
	"regex": v1alpha1.OperatorMatches, "regexp": v1alpha1.OperatorMatches, "notregex": v1alpha1.OperatorNotMatches,
	"cidr": v1alpha1.OperatorInCIDR, "semver": v1alpha1.OperatorSemVerEqual,
}

// Operators are those of conditions, in the order of their names.
func Operators() []v1alpha1.Operator { return slices.Sorted(maps.Keys(operands)) }

// unknownOperator says which operator was probably meant, and which there are.
func unknownOperator(operator string) string {
	known := Operators()
	names := make([]string, len(known))
	for i := range known {
		names[i] = string(known[i])
	}
	meant := ""
	if other, found := otherOperators[simplified(operator)]; found {
		meant = "; write " + string(other)
	} else if nearest := Nearest(operator, names); len(nearest) > 0 {
		meant = "; write " + strings.Join(nearest, " or ")
	}
	return "is not an operator" + meant + "; the operators are " + strings.Join(names, ", ")
}

// Label makes of a name the nearest DNS label, such as new-checkout of newCheckout, New_Checkout and "New checkout". It
// is empty where the name has neither letters of ASCII nor digits.
func Label(name string) string {
	var label strings.Builder
	var before rune
	for _, r := range Truncate(name, 2*validation.DNS1123LabelMaxLength) {
		isWord := r < unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r))
		if label.Len() > 0 && before != '-' && (!isWord || unicode.IsUpper(r) && unicode.IsLower(before)) {
			label.WriteByte('-')
			before = '-'
		}
		if isWord {
			label.WriteRune(unicode.ToLower(r))
			before = r
		}
	}
	text := label.String()
	return strings.Trim(text[:min(len(text), validation.DNS1123LabelMaxLength)], "-")
}

// badName refuses a name that Kubernetes does not take, and says what to write instead. What code asks for may stay as
// it is where the Kind has a key.
func (m *mistakes) badName(path *field.Path, name, form string, hasKey bool) {
	label := Label(name)
	if label == "" || label == name {
		m.invalid(path, name, form)
		return
	}
	detail := form + "; write name: " + label
	if hasKey {
		detail += " and, for what code asks for, spec.key: " + shown(name)
	}
	m.invalid(path, name, detail)
}
