// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import "testing"

// A client of a documented API knows neither verbs of RBAC nor annotations.
func TestPlainIsInWordsOfTheViews(t *testing.T) {
	const role = "make the change, or ask for a role that carries it, such as the publisher role"
	const webhook = `admission webhook "validate-featureflag.flags.jackstaff.dev" denied the request: featureflags.flags.jackstaff.dev ` +
		`"payments" is forbidden: `
	for message, want := range map[string]string{
		webhook + `user "ann" needs the verb "publish" in namespace "shop" on flagenvironments/production ` +
			`(what it publishes of the flag changes); let somebody who has it ` + role: `ann may not publish environment "production" ` +
			`(what it publishes of the flag changes) in project "shop"; let somebody who may ` + role,
		webhook + `user "ann" needs the verb "publish" in namespace "shop" on flagenvironments/a (it is new) and on ` +
			`flagenvironments/b (its annotations change: flags.jackstaff.dev/publish-requested-at); let somebody who has it ` + role: `ann ` +
			`may not publish environment "a" (it is new) and environment "b" in project "shop"; let somebody who may ` + role,
		webhook + "the flag is frozen": "the flag is frozen",
		`featureflags.flags.jackstaff.dev "payments" is forbidden: User "ann" cannot patch resource "featureflags" in API group ` +
			`"flags.jackstaff.dev" in the namespace "shop"`: `ann may not patch featureflags in project "shop"`,
	} {
		if got := plain(message); got != want {
			t.Errorf("it says %q, want %q", got, want)
		}
	}
}
