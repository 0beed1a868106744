// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package importer

import (
	"encoding/json"
	"fmt"
	"math"
)

// declaration is a flag of OpenFeature's flag manifest, from which code is generated: what code asks for, and what it
// gets where nobody answers.
type declaration struct {
	FlagType     string          `json:"flagType"`
	DefaultValue json.RawMessage `json:"defaultValue"`
	Description  string          `json:"description"`
}

// declarationMembers are those that a flag of such a manifest has.
var declarationMembers = []string{"flagType", "defaultValue", "description"}

// isDeclaration reports whether a flag is one of a flag manifest, and not one of flagd.
func isDeclaration(data json.RawMessage) bool {
	return member(data, "flagType") != nil && member(data, "variants") == nil
}

// definition is the flag as flagd would define it: disabled, so that code gets its own default until somebody decides.
func (d *declaration) definition() (definition, error) {
	made := definition{State: "DISABLED", Description: d.Description, DefaultVariant: "default"}
	var value any
	if err := json.Unmarshal(d.DefaultValue, &value); err != nil {
		return made, fmt.Errorf("defaultValue: %w", err)
	}
	fits := false
	switch d.FlagType {
	case "boolean":
		var on bool
		on, fits = value.(bool)
		made.DefaultVariant = map[bool]string{true: "on", false: "off"}[on]
		made.Variants = map[string]json.RawMessage{"on": json.RawMessage("true"), "off": json.RawMessage("false")}
		if !fits {
			return made, fmt.Errorf("defaultValue %s is not of the flagType boolean", d.DefaultValue)
		}
		return made, nil
	case "string":
		_, fits = value.(string)
	case "integer":
		number, is := value.(float64)
		fits = is && number == math.Trunc(number)
	case "float":
		_, fits = value.(float64)
	case "object":
		_, fits = value.(map[string]any)
	default:
		return made, fmt.Errorf("flagType %q is none of boolean, string, integer, float and object", d.FlagType)
	}
	if !fits {
		return made, fmt.Errorf("defaultValue %s is not of the flagType %s", d.DefaultValue, d.FlagType)
	}
	made.Variants = map[string]json.RawMessage{made.DefaultVariant: d.DefaultValue}
	return made, nil
}

// define reads the definition of a flag.
func (p *part) define(key string) (definition, error) {
	data := p.from.Flags[key]
	if !isDeclaration(data) {
		from := definition{}
		if err := json.Unmarshal(data, &from); err != nil {
			return from, err
		}
		p.loseUnknown(key, "", data, flagMembers...)
		return from, nil
	}
	from := declaration{}
	if err := json.Unmarshal(data, &from); err != nil {
		return definition{}, err
	}
	p.loseUnknown(key, "", data, declarationMembers...)
	return from.definition()
}
