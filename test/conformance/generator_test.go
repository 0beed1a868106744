// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
	"github.com/jackstaff-dev/jackstaff/sdk/flagd"
)

// generator makes random documents, and contexts that come close to what the documents ask for.
type generator struct{ *rand.Rand }

func pick[T any](g *generator, from ...T) T { return from[g.IntN(len(from))] }

// chance is true in percent of all cases.
func (g *generator) chance(percent int) bool { return g.IntN(100) < percent }

// some returns from low to high values made one by one.
func some[T any](g *generator, low, high int, one func() T) []T {
	values := []T{}
	for range low + g.IntN(high-low+1) {
		values = append(values, one())
	}
	return values
}

var (
	plainAttributes = []string{
		"plan",
		"country",
		"email",
		"beta",
		"age",
		"spend",
		"tags",
		"targetingKey",
		"weird key-1",
		"größe",
		"0",
		"length",
		"constructor",
	}
	nestedAttributes = []string{"user.plan", "user.age", "user.address.city", "user.name", "user.at"}
	versionAttribute = []string{"version", "user.version", "plan"}
	timeAttributes   = []string{"seen", "user.seen", "age"}
	hashAttributes   = []string{"", "", "", "targetingKey", "email", "user.plan", "age"}
	oddAttributes    = []string{
		"user.0",
		"user.length",
		"a..b",
		`a\b`,
		"__proto__.x",
		"$flagd.flagKey",
		"constructor.name",
		"user.at.name",
	}

	plainStrings = []string{
		"free",
		"beta",
		"enterprise",
		"de",
		"at",
		"alice@example.com",
		"bob@example.org",
		"Alice",
		"x",
		"user-1",
		"user-2",
		"user-17",
	}
	oddStrings = []string{
		"",
		" ",
		"  beta ",
		"beta\n",
		"\tx",
		"true",
		"false",
		"null",
		"undefined",
		"0",
		"-0",
		"5",
		"05",
		"5.0",
		"+5",
		"1e3",
		"1E3",
		"0x10",
		"1_000",
		"NaN",
		"Infinity",
		"-Infinity",
		"__proto__",
		"constructor",
		"toString",
		"[object Object]",
		"$flagd",
		`{"var":"plan"}`,
		`"quoted"`,
		`back\slash`,
		"<script>",
		"a&b",
		"é",
		"é",
		"İstanbul",
		"straße",
		"日本語",
		"👍🏽",
		"\u2028",
		"\u0000",
		"1.2.3",
		"v1.2.3",
		"2000-01-01T00:00:00Z",
		"a,b",
	}
	versions = []string{
		"1.2.3",
		"1.2.4",
		"1.3.0",
		"2.0.0",
		"0.9.9",
		"1.2.3-alpha",
		"1.2.3-alpha.1",
		"1.2.3-alpha.beta",
		"1.2.3-beta.2",
		"1.2.3-beta.11",
		"1.2.3-rc.1",
		"1.2.3+build.5",
		"1.10.0",
		"10.0.0",
		"0.0.0",
		"1.2.3--",
		"1.2.3-0a.01b",
		"999999999999999.0.1",
	}
	attributeVersions = []string{
		"v1.2.3",
		"V1.2.3",
		"1.2",
		"1",
		"v1",
		"v2.0",
		" 1.2.3",
		"1.2.3 ",
		"\n1.2.3",
		"1.2.3\u00a0",
		"v 1.2.3",
		"vv1.2.3",
		"Vv1.2.3",
		"vV1.2.3",
		"=1.2.3",
		"01.2.3",
		"1.02.3",
		"1.2.03",
		"1.2.3-01",
		"1.2.3-",
		"1.2.3+",
		"1.2.3-a..b",
		"1.2.3.4",
		"1.2-beta",
		"1.2+b",
		"1.",
		".1",
		"",
		"v",
		"x",
		"1.2.3-é",
		"1.2.3-ALPHA",
		"1.2.3-9999999999",
		"12345678901234567890.0.0",
		"1.2.3-beta.2+meta",
		"1,2,3",
		"1.2.x",
		"∞",
	}
	numbers = []string{
		"0",
		"1",
		"5",
		"17",
		"18",
		"-3",
		"2.5",
		"0.1",
		"1e3",
		"1e21",
		"9007199254740991",
		"-0",
		"100",
		"1000",
		"4.9e-324",
	}
)

func (g *generator) attribute() string {
	switch {
	case g.chance(2):
		return pick(g, oddAttributes...)
	case g.chance(30):
		return pick(g, nestedAttributes...)
	default:
		return pick(g, plainAttributes...)
	}
}

func (g *generator) text() string {
	if g.chance(40) {
		return pick(g, oddStrings...)
	}
	return pick(g, plainStrings...)
}

// instant is a time at or near now.
func (g *generator) instant() time.Time {
	return now.Add(time.Duration(pick(g, -86400, -2, -1, 0, 1, 2, 86400)) * time.Second)
}

func (g *generator) condition() datafile.Condition {
	c := datafile.Condition{Attribute: g.attribute()}
	switch g.IntN(20) {
	case 0, 1, 2, 3, 4:
		c.Operator = pick(g, datafile.In, datafile.In, datafile.NotIn)
		c.Values = some(g, 1, 12, func() string { return pick(g, g.text(), g.text(), pick(g, numbers...)) })
	case 5, 6:
		c.Operator = pick(g, datafile.Exists, datafile.DoesNotExist)
	case 7, 8, 9, 10:
		c.Operator = pick(g, datafile.GreaterThan, datafile.GreaterThanOrEqual, datafile.LessThan, datafile.LessThanOrEqual)
		c.Values = []string{pick(g, numbers...)}
	case 11, 12, 13, 14:
		c.Operator = pick(
			g,
			datafile.StartsWith,
			datafile.NotStartsWith,
			datafile.EndsWith,
			datafile.NotEndsWith,
			datafile.Contains,
			datafile.NotContains,
		)
		c.Values = some(g, 1, 3, func() string {
			text := g.text()
			return pick(g, text, strings.ToValidUTF8(text[:len(text)/2], ""), strings.ToValidUTF8(text[len(text)/2:], ""))
		})
	case 15, 16, 17:
		c.Attribute = pick(g, versionAttribute...)
		c.Operator = pick(
			g,
			datafile.SemVerEqual,
			datafile.SemVerGreaterThan,
			datafile.SemVerGreaterThanOrEqual,
			datafile.SemVerLessThan,
			datafile.SemVerLessThanOrEqual,
			datafile.SemVerTilde,
			datafile.SemVerCaret,
		)
		c.Values = []string{pick(g, "", "v") + pick(g, versions...)}
	default:
		c.Attribute = pick(g, timeAttributes...)
		c.Operator = pick(g, datafile.BeforeUnix, datafile.AfterUnix)
		c.Values = []string{
			pick(
				g,
				g.instant().Format(time.RFC3339),
				g.instant().Add(time.Second/4).In(time.FixedZone("", 3600)).Format(time.RFC3339Nano),
			),
		}
	}
	if g.chance(1) { // What flagd cannot say must be left out, unless it cannot decide.
		c.Operator, c.Values = datafile.EqualFold, []string{g.text()}
	}
	return c
}

func (g *generator) audience() *datafile.Audience {
	a := &datafile.Audience{}
	if g.chance(70) {
		a.Members = some(g, 1, 20, g.text)
		slices.Sort(a.Members)
	}
	for range g.IntN(3) {
		a.Groups = append(a.Groups, datafile.Group{Conditions: some(g, 1, 2, g.condition)})
	}
	return a
}

func (g *generator) variations(flagType datafile.FlagType) []datafile.Variation {
	values := map[datafile.FlagType][]string{
		datafile.Boolean: {"true", "false"},
		datafile.String:  {`"red"`, `""`, `"<b>"`, `"日本"`},
		datafile.Number:  {"1", "-0.5", "0", "1e+21"},
		datafile.JSON:    {`{}`, `{"a":[1,{"b":null}]}`, `{"var":"plan"}`, `{"if":[true,"x"]}`},
	}[flagType]
	keys := pick(
		g,
		[]string{"on", "off", "null", "a-b"},
		[]string{"true", "false", "1", "x.y"},
		[]string{"constructor", "in", "Out_2", "0"},
	)
	n := 2
	if flagType != datafile.Boolean {
		n = 1 + g.IntN(4)
	}
	variations := make([]datafile.Variation, n)
	for i := range variations {
		variations[i] = datafile.Variation{Key: keys[i], Value: json.RawMessage(values[i])}
		if g.chance(20) {
			variations[i].Payload = json.RawMessage(`{"note":"along"}`)
		}
	}
	return variations
}

func (g *generator) rule(name string, variations, audiences []string) datafile.Rule {
	r := datafile.Rule{Name: name, Variation: pick(g, variations...)}
	if g.chance(30) {
		r.Type = datafile.ABTest
	}
	if g.chance(30) {
		r.Audiences = some(g, 1, 2, func() string { return pick(g, audiences...) })
	}
	if g.chance(75) {
		r.Conditions = some(g, 1, 3, g.condition)
	}
	if g.chance(40) {
		r.Variation, r.Split = "", g.split(variations)
	}
	if g.chance(30) {
		traffic := pick(g, int32(0), 1, 50_000, 99_999, g.Int32N(100_000))
		r.Traffic = &traffic
	}
	if r.Split != nil || r.Traffic != nil {
		r.HashAttribute = pick(g, hashAttributes...)
		r.Salt = pick(g, "flag/"+name+"/", "salt", " salt ", "\n~", "")
		if g.chance(2) {
			r.Salt = "Größe"
		}
	}
	return r
}

func (g *generator) split(variations []string) []datafile.Weight {
	var split []datafile.Weight
	sum := int32(0)
	for _, variation := range variations {
		weight := pick(g, 0, 1, 50, 33, g.Int32N(500_000_000))
		split = append(split, datafile.Weight{Variation: variation, Weight: weight})
		sum += weight
	}
	if sum == 0 {
		split[0].Weight = 1
	}
	return split
}

func (g *generator) flag(number int, audiences []string, document *datafile.Document) *datafile.Flag {
	f := &datafile.Flag{
		Type:    pick(g, datafile.Boolean, datafile.Boolean, datafile.String, datafile.Number, datafile.JSON),
		Enabled: g.chance(96),
	}
	f.Variations = g.variations(f.Type)
	var keys []string
	for _, variation := range f.Variations {
		keys = append(keys, variation.Key)
	}
	f.DefaultVariation = pick(g, keys...)
	f.CodeDefault = g.chance(10)
	if g.chance(20) {
		f.Metadata = map[string]string{"owner": g.text(), g.text(): "<b>"}
	}
	if g.chance(2) {
		f.Bucketing = datafile.PostHogSHA1
	}
	if !f.Enabled {
		return f
	}
	f.Fallthrough = pick(g, "", pick(g, keys...))
	if g.chance(12) {
		f.Schedule = &datafile.Schedule{EnableAt: g.instant().Format(time.RFC3339)}
		if until := g.instant().Format(time.RFC3339); g.chance(50) && until != f.Schedule.EnableAt {
			f.Schedule.DisableAt = until
		} else if g.chance(50) {
			f.Schedule.DisableAt, f.Schedule.EnableAt = f.Schedule.EnableAt, ""
		}
	}
	for range pick(g, 0, 0, 1, 1, 2) {
		if other := fmt.Sprintf(
			"flag/%d",
			g.IntN(number+1),
		); document.Flags[other] != nil &&
			other != fmt.Sprintf("flag/%d", number) {
			p := datafile.Prerequisite{Flag: other, Variations: []string{"gone"}}
			for _, variation := range document.Flags[other].Variations {
				if g.chance(60) {
					p.Variations = append(p.Variations, variation.Key)
				}
			}
			f.Prerequisites = append(f.Prerequisites, p)
		}
	}
	if g.chance(2) {
		f.Prerequisites = append(f.Prerequisites, datafile.Prerequisite{Flag: "not there", Variations: []string{"on"}})
	}
	if g.chance(25) {
		f.Overrides = map[string]string{}
		for _, key := range some(g, 1, 6, g.text) {
			f.Overrides[key] = pick(g, keys...)
		}
	}
	for i := range 1 + g.IntN(5) {
		f.Rules = append(f.Rules, g.rule(fmt.Sprintf("rule-%d", i), keys, audiences))
	}
	return f
}

func (g *generator) document() *datafile.Document {
	document := &datafile.Document{
		Header:    datafile.Header{Environment: "production", Project: "shop", Revision: 7},
		Flags:     map[string]*datafile.Flag{},
		Audiences: map[string]*datafile.Audience{},
	}
	audiences := []string{"gone"}
	for i := range 4 {
		audiences = append(audiences, fmt.Sprintf("audience-%d", i))
		document.Audiences[audiences[i+1]] = g.audience()
	}
	for i := range 20 {
		document.Flags[fmt.Sprintf("flag/%d", i)] = g.flag(i, audiences, document)
	}
	return document
}

// largest is a document with the longest chain of prerequisites that a flagd file has, and almost its largest
// definition.
func largest() *datafile.Document {
	document := &datafile.Document{
		Flags: map[string]*datafile.Flag{}, Audiences: map[string]*datafile.Audience{"many": {}},
	}
	many := document.Audiences["many"]
	for i := range 12_000 {
		many.Members = append(many.Members, fmt.Sprintf("subject-%06d", i))
	}
	for i := range flagd.MaxPrerequisiteDepth {
		f := &datafile.Flag{
			Type: datafile.Boolean, Enabled: true, DefaultVariation: "off", Fallthrough: "on",
			Variations: []datafile.Variation{{Key: "on", Value: []byte("true")}, {Key: "off", Value: []byte("false")}},
			Rules: []datafile.Rule{{Name: "a", Variation: "off", Conditions: []datafile.Condition{{
				Attribute: "age", Operator: datafile.LessThan, Values: []string{strconv.Itoa(i)},
			}}}},
		}
		if i > 0 {
			f.Prerequisites = []datafile.Prerequisite{{Flag: fmt.Sprintf("chain-%d", i-1), Variations: []string{"on"}}}
		}
		document.Flags[fmt.Sprintf("chain-%d", i)] = f
	}
	members := *document.Flags["chain-0"]
	members.Rules = []datafile.Rule{{Name: "a", Variation: "off", Audiences: []string{"many"}}}
	document.Flags["members"] = &members
	return document
}
