// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package flagd

import (
	"fmt"

	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

func (d *definer) audiences(names []string) expression {
	if len(names) == 0 {
		return always
	}
	var member []expression
	for _, name := range names {
		if audience, found := d.source.Audience(name); found {
			member = append(member, inAudience(audience).within(fmt.Sprintf("audience %q", name)))
		}
	}
	return or(member...)
}

func inAudience(audience *datafile.Audience) expression {
	member := []expression{targeted(audience.Members)}
	for i := range audience.Groups {
		member = append(member, conditions(audience.Groups[i].Conditions))
	}
	return or(member...)
}

// targeted holds where the targeting key is one of keys.
func targeted(keys []string) expression {
	if len(keys) == 0 {
		return never
	}
	// The Go core takes a number for the string that spells it, hence isText.
	return and(apply("in", targetingKey.value(), texts(keys)), targetingKey.isText())
}
