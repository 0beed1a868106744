// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"fmt"
	"strconv"
	"strings"
)

// Operator compares an attribute of the context with the values of a condition.
//
// +kubebuilder:validation:Enum=In;NotIn;Exists;DoesNotExist;GreaterThan;GreaterThanOrEqual;LessThan;LessThanOrEqual;StartsWith;NotStartsWith;EndsWith;NotEndsWith;Contains;NotContains;SemVerEqual;SemVerGreaterThan;SemVerGreaterThanOrEqual;SemVerLessThan;SemVerLessThanOrEqual;SemVerTilde;SemVerCaret;Before;After;BeforeUnix;AfterUnix;Matches;NotMatches;InCIDR;NotInCIDR;EqualFold;NotEqualFold;ContainsFold;NotContainsFold
type Operator string

// The operators. A missing attribute, or one of the wrong type, makes a positive operator false and a negative one
// (Not…, DoesNotExist) true.
const (
	OperatorIn                       Operator = "In"
	OperatorNotIn                    Operator = "NotIn"
	OperatorExists                   Operator = "Exists"
	OperatorDoesNotExist             Operator = "DoesNotExist"
	OperatorGreaterThan              Operator = "GreaterThan"
	OperatorGreaterThanOrEqual       Operator = "GreaterThanOrEqual"
	OperatorLessThan                 Operator = "LessThan"
	OperatorLessThanOrEqual          Operator = "LessThanOrEqual"
	OperatorStartsWith               Operator = "StartsWith"
	OperatorNotStartsWith            Operator = "NotStartsWith"
	OperatorEndsWith                 Operator = "EndsWith"
	OperatorNotEndsWith              Operator = "NotEndsWith"
	OperatorContains                 Operator = "Contains"
	OperatorNotContains              Operator = "NotContains"
	OperatorSemVerEqual              Operator = "SemVerEqual"
	OperatorSemVerGreaterThan        Operator = "SemVerGreaterThan"
	OperatorSemVerGreaterThanOrEqual Operator = "SemVerGreaterThanOrEqual"
	OperatorSemVerLessThan           Operator = "SemVerLessThan"
	OperatorSemVerLessThanOrEqual    Operator = "SemVerLessThanOrEqual"
	OperatorSemVerTilde              Operator = "SemVerTilde"
	OperatorSemVerCaret              Operator = "SemVerCaret"
	OperatorBefore                   Operator = "Before"
	OperatorAfter                    Operator = "After"
	OperatorBeforeUnix               Operator = "BeforeUnix"
	OperatorAfterUnix                Operator = "AfterUnix"
	OperatorMatches                  Operator = "Matches"
	OperatorNotMatches               Operator = "NotMatches"
	OperatorInCIDR                   Operator = "InCIDR"
	OperatorNotInCIDR                Operator = "NotInCIDR"
	OperatorEqualFold                Operator = "EqualFold"
	OperatorNotEqualFold             Operator = "NotEqualFold"
	OperatorContainsFold             Operator = "ContainsFold"
	OperatorNotContainsFold          Operator = "NotContainsFold"
)

// Condition is one test of one attribute of the context.
type Condition struct {
	// attribute is the dot path of the attribute in the context; "targetingKey" is the targeting key itself.
	// At most 256 characters.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Attribute string `json:"attribute"`

	// operator says how the attribute is compared with the values.
	//
	// +required
	Operator Operator `json:"operator"`

	// values are what the attribute is compared with, written as strings: a number, version, RFC 3339 time, network or
	// regular expression where the operator takes one. Exists and DoesNotExist take none; In, NotIn and the string and
	// network tests take one or more, of which one must fit; every other operator takes exactly one.
	// At most 1000 values of at most 512 characters.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=1000
	// +kubebuilder:validation:items:MaxLength=512
	Values []string `json:"values,omitempty"`
}

// Percent is a share of subjects from 0% to 100%, with up to three decimals, such as "12.5%".
//
// +kubebuilder:validation:MaxLength=8
// +kubebuilder:validation:Pattern=`^(100(\.0{1,3})?|[0-9]{1,2}(\.[0-9]{1,3})?)%$`
type Percent string

// FullTraffic is the Percent of everybody, in thousandths of a percent.
const FullTraffic = 100000

// Thousandths returns the percent in thousandths of a percent, from 0 to FullTraffic. The empty Percent is everybody.
// It fails where p is not of the form that the Kind's schema asks for.
func (p Percent) Thousandths() (int32, error) {
	if p == "" {
		return FullTraffic, nil
	}
	number, hasSign := strings.CutSuffix(string(p), "%")
	whole, fraction, hasPoint := strings.Cut(number, ".")
	if !hasSign || len(fraction) > 3 || hasPoint && fraction == "" {
		return 0, fmt.Errorf("percent %q is not of the form 12.5%%", string(p))
	}
	n, err := strconv.ParseUint(whole+fraction+"000"[len(fraction):], 10, 31)
	if err != nil || n > FullTraffic {
		return 0, fmt.Errorf("percent %q is not between 0%% and 100%%", string(p))
	}
	return int32(n), nil
}
