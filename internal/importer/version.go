// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package importer

import (
	"errors"
	"fmt"
	"regexp"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

var versionOperators = map[string]v1alpha1.Operator{
	"=":  v1alpha1.OperatorSemVerEqual,
	">":  v1alpha1.OperatorSemVerGreaterThan,
	">=": v1alpha1.OperatorSemVerGreaterThanOrEqual,
	"<":  v1alpha1.OperatorSemVerLessThan,
	"<=": v1alpha1.OperatorSemVerLessThanOrEqual,
	"~":  v1alpha1.OperatorSemVerTilde,
	"^":  v1alpha1.OperatorSemVerCaret,
}

// validity returns the ways in which the attribute of a condition is of the kind that the condition is about, and nil
// for a condition that is true or false for every attribute.
func validity(operator string, arguments []any) ways {
	attribute, is := "", false
	if len(arguments) > 0 {
		attribute, is = variable(arguments[0])
	}
	switch {
	case !is:
	case operator == "sem_ver":
		return simple(attribute, v1alpha1.OperatorSemVerGreaterThanOrEqual, "", false, lowestVersion)
	case operator == "starts_with" || operator == "ends_with":
		return simple(attribute, v1alpha1.OperatorStartsWith, "", false, "")
	}
	return nil
}

// lowestVersion is below every other semantic version.
const lowestVersion = "0.0.0-0"

var shortVersion = regexp.MustCompile(`^v?\d+(\.\d+)?$`)

func version(arguments []any, not bool) (ways, error) {
	if not {
		return nil, errors.New(`the opposite of "sem_ver" would hold for what is no version, which a rule cannot say`)
	}
	if len(arguments) != 3 {
		return nil, errors.New(`"sem_ver" takes an attribute, an operator and a version`)
	}
	attribute, is := variable(arguments[0])
	symbol, _ := arguments[1].(string)
	wanted, isText := arguments[2].(string)
	operator := versionOperators[symbol]
	if name, has := withDefault(arguments[0]); has {
		return nil, fmt.Errorf("attribute %q has a default for where it is missing, which a condition has not", name)
	}
	if !is || !isText || operator == "" {
		return nil, fmt.Errorf(`"sem_ver" with the operator %q and these arguments has no condition`, symbol)
	}
	for shortVersion.MatchString(wanted) {
		wanted += ".0"
	}
	return simple(attribute, operator, "", false, wanted), nil
}
