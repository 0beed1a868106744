// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package phaseflag

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/server"
)

// viewName names the annotation that keeps what only this view has.
const viewName = "phaseflag"

// kept is what only this view has.
type kept struct {
	// Conditions are conditions as they were sent, such as one_of ["x"], by environment and rule. Only those are here that
	// would be shown otherwise.
	Conditions map[string]spellings `json:"conditions,omitempty"`
}

// spellings are the conditions as they were sent, by the name of the rule in the Kind.
type spellings map[string][]Condition

// spellingsOf are those of a flag in an environment.
func spellingsOf(flag *v1alpha1.FeatureFlag, environment string) spellings {
	return server.ViewFields[kept](flag, viewName).Conditions[environment]
}

// of is a condition of a rule as it was sent, if the rule still has it.
func (s spellings) of(rule string, condition *v1alpha1.Condition) (Condition, bool) {
	for i := range s[rule] {
		made, err := s[rule][i].make("")
		if err == nil && equality.Semantic.DeepEqual(&made, condition) {
			return s[rule][i], true
		}
	}
	return Condition{}, false
}

// keepSpellings remembers how a request wrote the conditions of the rules in a part. Order says which of the request's
// rules each rule of the part was. What is too much to remember is shown in the view's usual way, which means the same.
func keepSpellings(flag *v1alpha1.FeatureFlag, part *v1alpha1.EnvironmentConfig, given []Rule, order []int) error {
	fields := server.ViewFields[kept](flag, viewName)
	own := spellings{}
	for place, i := range order {
		rule := &part.Rules[place]
		for j := range given[i].Conditions {
			sent := given[i].Conditions[j]
			if made, err := sent.make(""); err != nil || sameCondition(sent, showCondition(&made)) {
				continue
			}
			own[rule.Name] = append(own[rule.Name], sent)
		}
	}
	delete(fields.Conditions, part.Name)
	if len(own) > 0 {
		if fields.Conditions == nil {
			fields.Conditions = map[string]spellings{}
		}
		fields.Conditions[part.Name] = own
	}
	if len(fields.Conditions) == 0 {
		delete(flag.Annotations, v1alpha1.ViewAnnotationPrefix+viewName)
		return nil
	}
	err := server.SetViewFields(flag, viewName, fields)
	if refused := (*server.Error)(nil); errors.As(err, &refused) && refused.Status == http.StatusUnprocessableEntity {
		return nil
	}
	return err
}

func sameCondition(a, b Condition) bool {
	return a.Attribute == b.Attribute && a.Operator == b.Operator && bytes.Equal(compact(a.Value), compact(b.Value))
}

// compact is JSON without white space.
func compact(value json.RawMessage) []byte {
	var text bytes.Buffer
	if json.Compact(&text, value) != nil {
		return slices.Clone(value)
	}
	return text.Bytes()
}
