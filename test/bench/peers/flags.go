// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/internal/compile"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
	"github.com/jackstaff-dev/jackstaff/sdk/flagd"
)

// The flags that are measured. Each is Boolean and off by default; what it is for, its manifest says.
const (
	static = "static"
	rule   = "rule"
	split  = "split"
	ten    = "ten"
	list   = "list"
)

var measured = []string{static, rule, split, ten, list}

// others is how many static flags every engine holds beside those that are measured.
const others = 100

func other(i int) string { return fmt.Sprintf("other-%d", i) }

// members are the targeting keys of the list.
func members() []string {
	keys := make([]string, 1000)
	for i := range keys {
		keys[i] = fmt.Sprintf("user-%d", i)
	}
	return keys
}

// user is whom a flag is evaluated for.
type user struct {
	key, country, email, version, plan string
	age                                float64
}

// customer is the user of the measurements: the rule matches, of the ten rules only the last one, and the list has the
// key.
var customer = user{
	key:     "user-500",
	country: "de",
	email:   "user500@example.com",
	version: "2.1.0",
	plan:    "free",
	age:     33,
}

// attributes are everything but the targeting key.
func (u user) attributes() map[string]any {
	return map[string]any{
		"country": u.country, "email": u.email, "version": u.version, "plan": u.plan, "age": u.age, "beta": true,
	}
}

// context is the attributes with the targeting key among them.
func (u user) context() map[string]any {
	context := u.attributes()
	context["targetingKey"] = u.key
	return context
}

const environmentName = "production"

// environment compiles the flags that are measured from their manifests.
func environment() *compile.Environment {
	compiled := compile.NewEnvironment(environmentName, nil)
	set := func(flag *builders.FlagBuilder) { compiled.SetFlag(flag.Defaulted().Obj()) }
	begin := func(name string) *builders.FlagBuilder {
		return builders.MakeFlag(name, "shop").Boolean().Environment(environmentName)
	}
	where := func(name, attribute string, operator v1alpha1.Operator, values ...string) *builders.RuleBuilder {
		return builders.MakeRule(name).Condition(attribute, operator, values...).Serve("on")
	}
	set(begin(static))
	set(begin(rule).Rule(where("german", "country", v1alpha1.OperatorIn, "de", "at", "ch")))
	set(begin(split).Rule(builders.MakeRule("half").Split("on", 50).Split("off", 50)))
	set(begin(ten).Rule(
		where("1", "country", v1alpha1.OperatorIn, "fr"),
		where("2", "email", v1alpha1.OperatorEndsWith, "@example.org"),
		where("3", "age", v1alpha1.OperatorLessThan, "18"),
		where("4", "email", v1alpha1.OperatorStartsWith, "admin"),
		where("5", "version", v1alpha1.OperatorSemVerLessThan, "1.0.0"),
		where("6", "plan", v1alpha1.OperatorIn, "enterprise", "beta"),
		where("7", "age", v1alpha1.OperatorGreaterThan, "65"),
		where("8", "email", v1alpha1.OperatorContains, "+test"),
		where("9", "country", v1alpha1.OperatorIn, "us", "ca"),
		where("10", "age", v1alpha1.OperatorGreaterThanOrEqual, "18").Condition("plan", v1alpha1.OperatorIn, "free"),
	))
	compiled.SetAudience(builders.MakeAudience("customers", "shop").Members(members()...).Obj())
	set(begin(list).Rule(builders.MakeRule("listed").Audiences("customers").Serve("on")))
	for i := range others {
		set(begin(other(i)))
	}
	compiled.Compile()
	return compiled
}

// many compiles n flags as teams have them, about 400 bytes each, and the flag "revision", which serves the revision.
func many(n int) *compile.Environment {
	compiled := compile.NewEnvironment(environmentName, nil)
	for i := range 50 {
		compiled.SetAudience(
			builders.MakeAudience(fmt.Sprintf("group-%d", i), "shop").Members(fmt.Sprintf("user-%d@example.com", i)).Obj(),
		)
	}
	for i := range n - 1 {
		flag := builders.MakeFlag(fmt.Sprintf("team-%02d-flag-%05d", i%40, i), "shop").Boolean().Environment(environmentName)
		flag.Spec(func(spec *v1alpha1.FeatureFlagSpec) {
			spec.Metadata = map[string]string{"jira": fmt.Sprintf("SHOP-%d", i), "team": fmt.Sprintf("team-%02d", i%40)}
		})
		switch i % 4 {
		case 0:
			flag.Override(fmt.Sprintf("user-%d@example.com", i), "on")
		case 1:
			flag.Rule(builders.MakeRule("beta").Audiences(fmt.Sprintf("group-%d", i%50)).Serve("on"))
		case 2:
			flag.Rule(builders.MakeRule("rollout").Traffic("25%").Serve("on"),
				builders.MakeRule("staff").Condition("email", v1alpha1.OperatorEndsWith, "@example.com").Serve("on"))
		case 3:
			flag.Rule(builders.MakeRule("plan").Condition("plan", v1alpha1.OperatorIn, "pro", "enterprise").
				Condition("country", v1alpha1.OperatorNotIn, "us", "ca").Split("on", 50).Split("off", 50))
		}
		compiled.SetFlag(flag.Defaulted().Obj())
	}
	setRevision(compiled, 1)
	return compiled
}

// setRevision has the flag "revision" serve another number.
func setRevision(compiled *compile.Environment, revision int64) {
	compiled.SetFlag(builders.MakeFlag("revision", "shop").Type(v1alpha1.FlagTypeNumber).
		Variation("only", strconv.FormatInt(revision, 10)).Environment(environmentName).Defaulted().Obj())
	compiled.Compile()
}

func header(revision int64) datafile.Header {
	return datafile.Header{Project: "shop", Environment: environmentName, Revision: revision}
}

// datafileOf is the native document, as it is published.
func datafileOf(compiled *compile.Environment, revision int64) []byte {
	return compiled.Contents().Encode(header(revision))
}

// flagdOf is the flagd file, as it is published.
func flagdOf(compiled *compile.Environment, revision int64) []byte {
	return flagd.Encode(header(revision), compiled.Flagd())
}

// definitions returns the JSON of a map of flags in a peer's own form, with the others.
func definitions(flags map[string]any, static any) ([]byte, error) {
	for i := range others {
		flags[other(i)] = static
	}
	return json.Marshal(flags)
}
