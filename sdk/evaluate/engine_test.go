// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package evaluate_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
	"github.com/jackstaff-dev/jackstaff/sdk/evaluate"
	"github.com/jackstaff-dev/jackstaff/sdk/internal/diff"
)

var noon = time.Date(2027, 3, 15, 12, 0, 0, 0, time.UTC)

// document reads the flags and audiences of a datafile.
func document(t testing.TB, flags, audiences string) *datafile.Document {
	t.Helper()
	if audiences == "" {
		audiences = "{}"
	}
	read, err := datafile.Read(
		[]byte(
			`{"schemaVersion":"1.0","project":"shop","environment":"production","revision":3,"flags":` + flags + `,"audiences":` + audiences + `}`,
		),
	)
	if err != nil {
		t.Fatal(err)
	}
	return read
}

func engine(t testing.TB, flags, audiences string) *evaluate.Engine {
	t.Helper()
	prepared, err := evaluate.New(document(t, flags, audiences))
	if err != nil {
		t.Fatal(err)
	}
	return prepared
}

// flag is a Boolean flag that is on in the middle of JSON fields.
func flag(fields string) string {
	if fields != "" {
		fields = "," + fields
	}
	return `{"type":"Boolean","enabled":true,"defaultVariation":"off","variations":[{"key":"on","value":true},{"key":"off","value":false}]` + fields + `}`
}

const all = `{"name":"all","variation":"on"}`

// TestOrder checks every step of the order of evaluation.
func TestOrder(t *testing.T) {
	const audiences = `{"staff":{"members":["amy","bob"],"groups":[{"conditions":[{"attribute":"team","operator":"In","values":["core"]},
		{"attribute":"level","operator":"GreaterThan","values":["3"]}]},{"conditions":[{"attribute":"root","operator":"In","values":["true"]}]}]},"nobody":{}}`
	type want struct {
		variation string
		reason    evaluate.Reason
		rule      string
	}
	for name, tc := range map[string]struct {
		flag    string
		others  string
		context map[string]any
		want    want
	}{
		"nothing decides":               {flag: flag(``), want: want{"off", evaluate.Static, ""}},
		"fallthrough":                   {flag: flag(`"fallthrough":"on"`), want: want{"on", evaluate.Static, ""}},
		"disabled":                      {flag: strings.Replace(flag(`"fallthrough":"on"`), "true", "false", 1), want: want{"off", evaluate.Disabled, ""}},
		"rule":                          {flag: flag(`"rules":[` + all + `]`), want: want{"on", evaluate.TargetingMatch, "all"}},
		"no rule matches":               {flag: flag(`"rules":[{"name":"a","variation":"on","conditions":[{"attribute":"x","operator":"Exists"}]}]`), want: want{"off", evaluate.Default, ""}},
		"experiments come first":        {flag: flag(`"rules":[` + all + `,{"name":"test","type":"ABTest","variation":"off"}]`), want: want{"off", evaluate.TargetingMatch, "test"}},
		"override":                      {flag: flag(`"overrides":{"amy":"off"},"rules":[` + all + `]`), context: map[string]any{"targetingKey": "amy"}, want: want{"off", evaluate.TargetingMatch, ""}},
		"override of somebody else":     {flag: flag(`"overrides":{"amy":"on"}`), context: map[string]any{"targetingKey": "bob"}, want: want{"off", evaluate.Default, ""}},
		"override of a number":          {flag: flag(`"overrides":{"5":"on"}`), context: map[string]any{"targetingKey": 5}, want: want{"off", evaluate.Default, ""}},
		"member":                        {flag: flag(`"rules":[{"name":"a","variation":"on","audiences":["nobody","staff"]}]`), context: map[string]any{"targetingKey": "bob"}, want: want{"on", evaluate.TargetingMatch, "a"}},
		"group":                         {flag: flag(`"rules":[{"name":"a","variation":"on","audiences":["staff"]}]`), context: map[string]any{"team": "core", "level": 4}, want: want{"on", evaluate.TargetingMatch, "a"}},
		"half a group":                  {flag: flag(`"rules":[{"name":"a","variation":"on","audiences":["staff"]}]`), context: map[string]any{"team": "core"}, want: want{"off", evaluate.Default, ""}},
		"another group":                 {flag: flag(`"rules":[{"name":"a","variation":"on","audiences":["staff"]}]`), context: map[string]any{"root": true}, want: want{"on", evaluate.TargetingMatch, "a"}},
		"audience that is gone":         {flag: flag(`"rules":[{"name":"a","variation":"on","audiences":["gone"]}]`), want: want{"off", evaluate.Default, ""}},
		"audience and condition":        {flag: flag(`"rules":[{"name":"a","variation":"on","audiences":["staff"],"conditions":[{"attribute":"x","operator":"Exists"}]}]`), context: map[string]any{"targetingKey": "bob"}, want: want{"off", evaluate.Default, ""}},
		"traffic of nobody":             {flag: flag(`"rules":[{"name":"a","variation":"on","traffic":0,"salt":"s"}]`), context: map[string]any{"targetingKey": "bob"}, want: want{"off", evaluate.Default, ""}},
		"traffic includes":              {flag: flag(`"rules":[{"name":"a","variation":"on","traffic":99999,"salt":"s"}]`), context: map[string]any{"targetingKey": "bob"}, want: want{"on", evaluate.Split, "a"}},
		"traffic without a subject":     {flag: flag(`"rules":[{"name":"a","variation":"on","traffic":99999,"salt":"s"}]`), want: want{"off", evaluate.Default, ""}},
		"split":                         {flag: flag(`"rules":[{"name":"a","salt":"s","split":[{"variation":"off","weight":0},{"variation":"on","weight":99999},{"variation":"off","weight":1}]}]`), context: map[string]any{"targetingKey": "bob"}, want: want{"on", evaluate.Split, "a"}},
		"split of one":                  {flag: flag(`"rules":[{"name":"a","salt":"s","split":[{"variation":"on","weight":7},{"variation":"off","weight":0}]}]`), context: map[string]any{"targetingKey": "bob"}, want: want{"on", evaluate.TargetingMatch, "a"}},
		"split of one, empty subject":   {flag: flag(`"rules":[{"name":"a","salt":"s","split":[{"variation":"on","weight":7}]}]`), context: map[string]any{"targetingKey": ""}, want: want{"off", evaluate.Default, ""}},
		"split of a number":             {flag: flag(`"rules":[{"name":"a","salt":"s","hashAttribute":"id","split":[{"variation":"on","weight":7}]},` + all + `]`), context: map[string]any{"id": 5}, want: want{"on", evaluate.TargetingMatch, "all"}},
		"hash attribute":                {flag: flag(`"rules":[{"name":"a","salt":"s","hashAttribute":"user.id","split":[{"variation":"on","weight":7}]}]`), context: map[string]any{"user": map[string]any{"id": "5"}}, want: want{"on", evaluate.TargetingMatch, "a"}},
		"PostHog traffic":               {flag: flag(`"bucketing":"PostHogSHA1","rules":[{"name":"a","variation":"on","traffic":99999}]`), context: map[string]any{"targetingKey": "distinct_id_1"}, want: want{"on", evaluate.Split, "a"}},
		"PostHog traffic excludes":      {flag: flag(`"bucketing":"PostHogSHA1","rules":[{"name":"a","variation":"on","traffic":100}]`), context: map[string]any{"targetingKey": "distinct_id_0"}, want: want{"off", evaluate.Default, ""}},
		"PostHog split":                 {flag: flag(`"bucketing":"PostHogSHA1","rules":[{"name":"a","split":[{"variation":"off","weight":1},{"variation":"on","weight":99}]}]`), context: map[string]any{"targetingKey": "distinct_id_0"}, want: want{"on", evaluate.Split, "a"}},
		"prerequisite met":              {flag: flag(`"prerequisites":[{"flag":"other","variations":["x","on"]}],"rules":[` + all + `]`), others: `,"other":` + flag(`"rules":[`+all+`]`), want: want{"on", evaluate.TargetingMatch, "all"}},
		"prerequisite not met":          {flag: flag(`"prerequisites":[{"flag":"other","variations":["on"]}],"fallthrough":"on"`), others: `,"other":` + flag(``), want: want{"off", evaluate.PrerequisiteFailed, ""}},
		"prerequisite that is gone":     {flag: flag(`"prerequisites":[{"flag":"other","variations":["on"]}],"fallthrough":"on"`), want: want{"off", evaluate.PrerequisiteFailed, ""}},
		"prerequisite that is retained": {flag: flag(`"prerequisites":[{"flag":"other","variations":["off"]}],"fallthrough":"on"`), others: `,"other":` + flag(`"retained":true`), want: want{"on", evaluate.Static, ""}},
		"variation that is gone":        {flag: flag(`"prerequisites":[{"flag":"other","variations":["gone"]}],"fallthrough":"on"`), others: `,"other":` + flag(``), want: want{"off", evaluate.PrerequisiteFailed, ""}},
		"prerequisite of prerequisite": {
			flag:   flag(`"prerequisites":[{"flag":"other","variations":["off"]}],"fallthrough":"on"`),
			others: `,"other":` + flag(`"prerequisites":[{"flag":"last","variations":["on"]}],"fallthrough":"on"`) + `,"last":` + flag(``),
			want:   want{"on", evaluate.Static, ""},
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := engine(t, `{"flag":`+tc.flag+tc.others+`}`, audiences)
			got := e.Evaluate("flag", tc.context, noon)
			if got := (want{got.Variation.Key, got.Reason, got.Rule}); got != tc.want {
				t.Errorf("got %v, want %v", got, tc.want)
			}
			explanation := e.Explain("flag", tc.context, noon)
			if !reflect.DeepEqual(explanation.Result, got) || len(explanation.Steps) == 0 {
				t.Errorf("the explanation %v is not of the result %v", explanation, got)
			}
		})
	}
}

func TestSchedule(t *testing.T) {
	for name, tc := range map[string]struct {
		schedule string
		on       [3]bool // At 11:59:59.9, 12:00 and 13:00.
	}{
		"from noon":              {`{"enableAt":"2027-03-15T12:00:00Z"}`, [3]bool{false, true, true}},
		"until noon":             {`{"disableAt":"2027-03-15T12:00:00Z"}`, [3]bool{true, false, false}},
		"from noon until one":    {`{"enableAt":"2027-03-15T12:00:00Z","disableAt":"2027-03-15T13:00:00Z"}`, [3]bool{false, true, false}},
		"until noon, from one":   {`{"enableAt":"2027-03-15T13:00:00Z","disableAt":"2027-03-15T12:00:00Z"}`, [3]bool{true, false, true}},
		"written in another way": {`{"enableAt":"2027-03-15T13:00:00+01:00"}`, [3]bool{false, true, true}},
	} {
		e := engine(t, `{"flag":`+flag(`"fallthrough":"on","schedule":`+tc.schedule)+`}`, "")
		for i, now := range []time.Time{noon.Add(-time.Millisecond), noon, noon.Add(time.Hour)} {
			got := e.Evaluate("flag", nil, now)
			if (got.Variation.Key == "on") != tc.on[i] || (got.Reason == evaluate.Disabled) == tc.on[i] {
				t.Errorf("%s: at %s the flag serves %s for %s", name, now, got.Variation.Key, got.Reason)
			}
		}
	}
}

func TestResult(t *testing.T) {
	e := engine(t, `{
		"b":{"type":"JSON","enabled":false,"defaultVariation":"x","metadata":{"jira":"S-1"},"runtime":"Server","variations":[{"key":"x","value":{"a":[1]},"payload":{"p":1}}]},
		"a":{"type":"Number","enabled":false,"defaultVariation":"x","variations":[{"key":"x","value":1.5}]},
		"gone":{"type":"String","enabled":false,"retained":true,"defaultVariation":"x","variations":[{"key":"x","value":"s"}]}}`, "")
	got := e.Evaluate("b", nil, noon)
	want := evaluate.Variation{
		Key:     "x",
		Value:   map[string]any{"a": []any{1.0}},
		JSON:    json.RawMessage(`{"a":[1]}`),
		Payload: json.RawMessage(`{"p":1}`),
	}
	served := *got.Variation
	if diff := diff.Diff(
		want,
		evaluate.Variation{Key: served.Key, Value: served.Value, JSON: served.JSON, Payload: served.Payload},
	); diff != "" {
		t.Errorf("variation: %s", diff)
	}
	if got.Flag.Key != "b" || got.Flag.Metadata["jira"] != "S-1" || got.Flag.Runtime != datafile.Server ||
		got.Flag.Type != datafile.JSON {
		t.Errorf("flag: %+v", got.Flag)
	}
	if got := e.Evaluate("a", nil, noon).Variation.Value; got != 1.5 {
		t.Errorf("number: %v", got)
	}
	for _, key := range []string{"gone", "never was", ""} {
		if got := e.Evaluate(
			key,
			nil,
			noon,
		); got != (evaluate.Result{Reason: evaluate.FlagNotFound}) ||
			e.Explain(key, nil, noon).Result != got {
			t.Errorf("%q: %+v", key, got)
		}
	}
	var keys []string
	for flag := range e.Flags() {
		keys = append(keys, flag.Key)
	}
	if diff := diff.Diff([]string{"a", "b"}, keys); diff != "" || e.Len() != 2 || e.Header().Revision != 3 {
		t.Errorf("flags: %s", diff)
	}
}

// TestNewRefuses fails where a broken datafile would replace a good one.
// TestRemembersAttributes shows that no condition sees the attribute of another one, however many there are and
// whatever else is evaluated on the way.
func TestRemembersAttributes(t *testing.T) {
	rules := func(order ...int) string {
		var rules []string
		for range 2 { // What is looked at once is not remembered.
			for _, i := range order {
				rules = append(rules, fmt.Sprintf(`{"name":"%d","variation":"on","conditions":[
					{"attribute":"object.a%d","operator":"In","values":["%d"]},{"attribute":"a%d","operator":"In","values":["%d"]}]}`,
					len(rules), i, i, i, i))
			}
		}
		return `"rules":[` + strings.Join(rules, ",") + `]`
	}
	flags := engine(t, `{"required":`+flag(rules(5, 4, 3, 2, 1))+`,"asked":`+
		flag(rules(1, 2, 3, 4, 5, 6, 7)+`,"prerequisites":[{"flag":"required","variations":["on"]}]`)+`}`, "")
	for match := range 9 {
		object, context := map[string]any{}, map[string]any{}
		for i := 1; i <= 7; i++ {
			object[fmt.Sprintf("a%d", i)], context[fmt.Sprintf("a%d", i)] = "0", strconv.Itoa(i)
		}
		object[fmt.Sprintf("a%d", match)], context["object"] = strconv.Itoa(match), object
		want := evaluate.PrerequisiteFailed
		if match >= 1 && match <= 5 {
			want = evaluate.TargetingMatch
		}
		got := flags.Evaluate("asked", context, noon)
		if explained := flags.Explain("asked", context, noon).Result; got.Reason != want || got != explained {
			t.Errorf("%d: got %+v, explained as %+v, want %s", match, got, explained, want)
		}
	}
}

func TestEvaluateConverting(t *testing.T) {
	type country string
	flags := engine(t, `{"flag":`+flag(`"rules":[{"name":"a","variation":"on","conditions":[
		{"attribute":"user.country","operator":"In","values":["de"]},{"attribute":"user.country","operator":"StartsWith","values":["d"]}]}]`)+`}`, "")
	prepared, _ := flags.Flag("flag")
	var converted []any
	convert := func(value any) any {
		converted = append(converted, value)
		return map[string]any{"country": string(value.(country))}
	}
	context := map[string]any{"user": country("de"), "other": country("at")}
	if got := prepared.EvaluateConverting(context, noon, convert); got.Rule != "a" {
		t.Errorf("got %+v", got)
	}
	if diff := diff.Diff([]any{country("de")}, converted); diff != "" {
		t.Errorf("converted (-want +got):\n%s", diff)
	}
	if got := prepared.Evaluate(context, noon); got.Reason != evaluate.Default {
		t.Errorf("without a conversion got %+v", got)
	}
}

func TestScheduled(t *testing.T) {
	schedule := `"schedule":{"enableAt":"2027-01-01T00:00:00Z"}`
	flags := engine(t, `{"plain":`+flag("")+`,"scheduled":`+flag(schedule)+`,"requiring":`+
		flag(`"prerequisites":[{"flag":"scheduled","variations":["on"]}]`)+`}`, "")
	for key, want := range map[string]bool{"plain": false, "scheduled": true, "requiring": true} {
		if flag, _ := flags.Flag(key); flag.Scheduled() != want {
			t.Errorf("%s: scheduled %t", key, flag.Scheduled())
		}
	}
}

func TestInstants(t *testing.T) {
	at := func(hour, minute int) string {
		return time.Date(2027, 3, 15, hour, minute, 0, 0, time.UTC).Format(time.RFC3339)
	}
	schedule := func(enable, disable string) string {
		return `"schedule":{"enableAt":"` + enable + `","disableAt":"` + disable + `"}`
	}
	flags := engine(t, `{"plain":`+flag("")+`,
		"sale":`+flag(schedule(at(9, 0), at(17, 0)))+`,
		"server":`+flag(`"runtime":"Server",`+schedule(at(10, 0), at(17, 0)))+`,
		"base":`+flag(`"runtime":"Server","retained":true,`+schedule(at(12, 0), at(13, 0)))+`,
		"first":`+flag(`"prerequisites":[{"flag":"base","variations":["on"]},{"flag":"gone","variations":["on"]}]`)+`,
		"second":`+flag(`"prerequisites":[{"flag":"base","variations":["on"]}]`)+`}`, "")
	clients := flags.Without(datafile.Server)
	for _, tc := range []struct{ now, last, next, lastOfClients, nextOfClients string }{
		{now: at(8, 59), next: at(9, 0), nextOfClients: at(9, 0)},
		{now: at(9, 0), last: at(9, 0), next: at(10, 0), lastOfClients: at(9, 0), nextOfClients: at(12, 0)},
		{now: at(12, 30), last: at(12, 0), next: at(13, 0), lastOfClients: at(12, 0), nextOfClients: at(13, 0)},
		{now: at(16, 59), last: at(13, 0), next: at(17, 0), lastOfClients: at(13, 0), nextOfClients: at(17, 0)},
		{now: at(17, 0), last: at(17, 0), lastOfClients: at(17, 0)},
	} {
		now, err := time.Parse(time.RFC3339, tc.now)
		if err != nil {
			t.Fatal(err)
		}
		check := func(who string, of *evaluate.Engine, wantLast, wantNext string) {
			last, next := of.Instants(now.Add(999 * time.Millisecond))
			for want, got := range map[string]time.Time{"last " + wantLast: last, "next " + wantNext: next} {
				kind, want, _ := strings.Cut(want, " ")
				if want == "" && !got.IsZero() || want != "" && got.UTC().Format(time.RFC3339) != want {
					t.Errorf("%s at %s: the %s instant is %v, want %q", who, tc.now, kind, got.UTC(), want)
				}
			}
		}
		check("servers", flags, tc.last, tc.next)
		check("clients", clients, tc.lastOfClients, tc.nextOfClients)
	}
	if last, next := (&evaluate.Engine{}).Instants(noon); !last.IsZero() || !next.IsZero() {
		t.Error("an engine without flags has instants", last, next)
	}
}

func TestWithout(t *testing.T) {
	whole := engine(t, `{"server":`+flag(`"runtime":"Server","fallthrough":"on"`)+
		`,"client":`+flag(`"runtime":"Client","prerequisites":[{"flag":"server","variations":["on"]}],"fallthrough":"on"`)+`}`, "")
	clients := whole.Without(datafile.Server)
	if result := clients.Evaluate("server", nil, noon); result.Reason != evaluate.FlagNotFound || clients.Len() != 1 {
		t.Errorf("a flag of the runtime that is left out is served: %+v", result)
	}
	if result := clients.Evaluate("client", nil, noon); result.Variation == nil || result.Variation.Key != "on" {
		t.Errorf("a prerequisite that is left out decides no more: %+v", result)
	}
	if clients.Header() != whole.Header() || whole.Len() != 2 {
		t.Error("the header is lost, or the whole engine has changed")
	}
}

func TestNewRefuses(t *testing.T) {
	condition := func(operator, values string) string {
		return flag(
			`"rules":[{"name":"a","variation":"on","conditions":[{"attribute":"x","operator":"` + operator + `","values":` + values + `}]}]`,
		)
	}
	for name, tc := range map[string]struct{ flag, audience, want string }{
		"operator":            {condition("Near", `["x"]`), "", "unknown operator"},
		"regular expression":  {condition("Matches", `["("]`), "", "missing closing"},
		"number":              {condition("LessThan", `["x"]`), "", "not a number"},
		"infinite number":     {condition("LessThan", `["inf"]`), "", "not a number"},
		"no number":           {condition("LessThan", `[]`), "", "one value"},
		"version":             {condition("NotInCIDR", `["10/8"]`), "", "not an IP network"},
		"network":             {condition("SemVerEqual", `["1.x"]`), "", "not a semantic version"},
		"instant":             {condition("BeforeUnix", `["noon"]`), "", "RFC 3339"},
		"audience":            {flag(``), `{"a":{"groups":[{"conditions":[{"attribute":"x","operator":"Before","values":["x"]}]}]}}`, `audience "a"`},
		"default":             {strings.Replace(flag(``), `"off"`, `"gone"`, 1), "", "unknown variation"},
		"fallthrough":         {flag(`"fallthrough":"gone"`), "", "unknown variation"},
		"override":            {flag(`"overrides":{"a":"gone"}`), "", "unknown variation"},
		"rule":                {flag(`"rules":[{"name":"a","variation":"gone"}]`), "", "unknown variation"},
		"split":               {flag(`"rules":[{"name":"a","split":[{"variation":"gone","weight":1}]}]`), "", "unknown variation"},
		"sum of zero":         {flag(`"rules":[{"name":"a","split":[{"variation":"on","weight":0}]}]`), "", "sum up"},
		"negative weight":     {flag(`"rules":[{"name":"a","split":[{"variation":"on","weight":-1},{"variation":"off","weight":2}]}]`), "", "negative"},
		"sum that is too big": {flag(`"rules":[{"name":"a","split":[{"variation":"on","weight":2147483647},{"variation":"off","weight":1}]}]`), "", "sum up"},
		"traffic":             {flag(`"rules":[{"name":"a","variation":"on","traffic":100001}]`), "", "traffic"},
		"schedule":            {flag(`"schedule":{"enableAt":"soon"}`), "", "RFC 3339"},
		"empty schedule":      {flag(`"schedule":{}`), "", "differ"},
		"bucketing":           {flag(`"bucketing":"MD5"`), "", "unknown bucketing"},
		"type":                {strings.Replace(flag(``), "Boolean", "String", 1), "", "not of type"},
		"unknown type":        {strings.Replace(flag(``), "Boolean", "Tuple", 1), "", "not of type"},
		"no value":            {strings.Replace(flag(``), `,"value":true`, "", 1), "", "value"},
		"variations":          {strings.Replace(flag(``), `"variations":[`, `"variations":[`+strings.Repeat(`{"key":"more","value":true},`, 63), 1), "", "more than 64 variations"},
		"expressions": {condition("Matches", `["x"]`), `{"a":{"groups":[{"conditions":[` + strings.Repeat(
			`{"attribute":"x","operator":"NotMatches","values":["`+strings.Repeat("a{999}", 5)+`"]},`, 201) + `{"attribute":"x","operator":"Exists"}]}]}}`, "make more than 2000000 parts"},
		"cycle": {flag(`"prerequisites":[{"flag":"flag","variations":["on"]}]`), "", "cycle"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := evaluate.New(document(t, `{"flag":`+tc.flag+`}`, tc.audience))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want an error with %q", err, tc.want)
			}
			if (name == "cycle") != errors.Is(err, evaluate.ErrCycle) {
				t.Errorf("%v is ErrCycle: %t", err, errors.Is(err, evaluate.ErrCycle))
			}
		})
	}
}

// TestManyPrerequisites fails where flags that require each other in many ways take time without bounds.
func TestManyPrerequisites(t *testing.T) {
	flags := []string{`"flag-0":` + flag(`"fallthrough":"on"`)}
	for i := range 200 {
		required := fmt.Sprintf(`{"flag":"flag-%d","variations":["on"]}`, i)
		flags = append(
			flags,
			fmt.Sprintf(`"flag-%d":`, i+1)+flag(`"fallthrough":"on","prerequisites":[`+required+`,`+required+`,`+required+`]`),
		)
	}
	e := engine(t, "{"+strings.Join(flags, ",")+"}", "")
	if got := e.Evaluate("flag-200", nil, noon); got.Variation.Key != "on" {
		t.Errorf("got %s", got.Reason)
	}
	if got := e.Explain("flag-200", nil, noon); got.Variation.Key != "on" {
		t.Errorf("got %s", got.Reason)
	}
}

// TestCodeDefault fails where a flag that leaves the value to the code serves a variation, or loses one that it decides on.
func TestCodeDefault(t *testing.T) {
	const staff = `"rules":[{"name":"staff","conditions":[{"attribute":"role","operator":"In","values":["staff"]}],"variation":"on"}]`
	e := engine(t, `{
		"undecided":`+flag(`"codeDefault":true,`+staff)+`,
		"constant":`+flag(`"codeDefault":true`)+`,
		"later":`+flag(`"codeDefault":true,"fallthrough":"on","schedule":{"enableAt":"2027-06-01T00:00:00Z"}`)+`,
		"off":`+strings.Replace(flag(`"codeDefault":true`), `"enabled":true`, `"enabled":false`, 1)+`,
		"decided":`+flag(`"codeDefault":true,"fallthrough":"on"`)+`,
		"dependent":`+flag(`"codeDefault":true,"prerequisites":[{"flag":"undecided","variations":["on","off"]}],"fallthrough":"on"`)+`}`, "")
	for _, tc := range []struct {
		key, role, want string
		at              time.Time
		reason          evaluate.Reason
	}{
		{"undecided", "guest", "", noon, evaluate.Default},
		{"undecided", "staff", "on", noon, evaluate.TargetingMatch},
		{"constant", "", "", noon, evaluate.Default},
		{"later", "", "", noon, evaluate.Disabled},
		{"later", "", "on", noon.AddDate(1, 0, 0), evaluate.Static},
		{"off", "", "", noon, evaluate.Disabled},
		{"decided", "", "on", noon, evaluate.Static},
		{"dependent", "guest", "", noon, evaluate.PrerequisiteFailed},
		{"dependent", "staff", "on", noon, evaluate.Static},
	} {
		context, got := map[string]any{"role": tc.role}, ""
		result := e.Evaluate(tc.key, context, tc.at)
		if result.Variation != nil {
			got = result.Variation.Key
		}
		if got != tc.want || result.Reason != tc.reason || result.Flag == nil {
			t.Errorf("%s of %q is %q by %s, want %q by %s", tc.key, tc.role, got, result.Reason, tc.want, tc.reason)
		}
		if explained := e.Explain(tc.key, context, tc.at); explained.Result != result {
			t.Errorf("%s of %q is explained as %+v", tc.key, tc.role, explained.Result)
		}
	}
}

// TestLongChain fails where a chain of prerequisites exhausts the stack instead of being refused.
func TestLongChain(t *testing.T) {
	for _, order := range []string{"flag-%06[1]d", "flag-%06[2]d"} { // Each flag before, and after, the one that it requires.
		var flags []string
		name := func(i int) string { return fmt.Sprintf(order, i, 100_000-i) }
		for i := range evaluate.MaxPrerequisiteDepth {
			flags = append(
				flags,
				fmt.Sprintf(
					"%q:",
					name(i),
				)+flag(
					fmt.Sprintf(`"prerequisites":[{"flag":%q,"variations":["off"]}],"fallthrough":"off"`, name(i+1)),
				),
			)
		}
		last := fmt.Sprintf("%q:", name(evaluate.MaxPrerequisiteDepth))
		e := engine(t, "{"+strings.Join(flags[1:], ",")+","+last+flag("")+"}", "")
		if got := e.Evaluate(name(1), nil, noon); got.Reason != evaluate.Static {
			t.Errorf("got %s", got.Reason)
		}
		if _, err := evaluate.New(
			document(t, "{"+strings.Join(flags, ",")+","+last+flag("")+"}", ""),
		); err == nil ||
			!strings.Contains(err.Error(), "chain") {
			t.Errorf("a longer chain: %v", err)
		}
	}
}

// TestExplain shows what an explanation looks like.
func TestExplain(t *testing.T) {
	e := engine(
		t,
		`{"flag":`+flag(`"overrides":{"amy":"on"},"prerequisites":[{"flag":"other","variations":["off"]}],"rules":[
		{"name":"staff","audiences":["staff","gone"],"variation":"on"},
		{"name":"adults","conditions":[{"attribute":"age","operator":"GreaterThan","values":["18"]}],"variation":"on"},
		{"name":"half","salt":"s","split":[{"variation":"on","weight":1},{"variation":"off","weight":1}]},
		{"name":"some","salt":"s","variation":"on","traffic":1}]`)+`,"other":`+flag(``)+`}`,
		`{"staff":{"members":["bob"]}}`,
	)
	want := []evaluate.Step{
		{`prerequisite "other"`, true, `serves "off"`},
		{"the overrides", false, "hold none for this targeting key"},
		{`rule "staff", audience "staff"`, false, ""},
		{`rule "staff", audience "gone"`, false, ""},
		{`rule "adults", condition 1`, false, "age GreaterThan, which is missing"},
		{`rule "half"`, false, `needs a string under "targetingKey" to hash`},
		{`rule "some"`, false, `needs a string under "targetingKey" to hash`},
		{"the default", true, `serves "off"`},
	}
	if diff := diff.Diff(want, e.Explain("flag", nil, noon).Steps); diff != "" {
		t.Error(diff)
	}
}

// everyOperator has one flag for each operator, and one for each other way to decide.
var everyOperator = func() string {
	var flags []string
	for operator, values := range map[datafile.Operator]string{
		datafile.In: `["a","5","true"]`, datafile.NotIn: `["a"]`, datafile.Exists: `[]`, datafile.DoesNotExist: `[]`, datafile.GreaterThan: `["5"]`,
		datafile.GreaterThanOrEqual: `["5"]`, datafile.LessThan: `["5"]`, datafile.LessThanOrEqual: `["5"]`, datafile.StartsWith: `["a"]`,
		datafile.NotStartsWith: `["a"]`, datafile.EndsWith: `["a"]`, datafile.NotEndsWith: `["a"]`, datafile.Contains: `["a"]`, datafile.NotContains: `["a"]`,
		datafile.SemVerEqual: `["1.2.3-a.1"]`, datafile.SemVerGreaterThan: `["1.2.3-a.1"]`, datafile.SemVerGreaterThanOrEqual: `["1.2.3-a.1"]`,
		datafile.SemVerLessThan: `["1.2.3-a.1"]`, datafile.SemVerLessThanOrEqual: `["1.2.3-a.1"]`, datafile.SemVerTilde: `["1.2.3"]`, datafile.SemVerCaret: `["1.2.3"]`,
		datafile.Before: `["2027-03-15T12:00:00Z"]`, datafile.After: `["2027-03-15T12:00:00Z"]`, datafile.BeforeUnix: `["2027-03-15T12:00:00Z"]`,
		datafile.AfterUnix: `["2027-03-15T12:00:00Z"]`, datafile.Matches: `["a+b?$"]`, datafile.NotMatches: `["^a"]`, datafile.InCIDR: `["10.0.0.0/8"]`,
		datafile.NotInCIDR: `["10.0.0.0/8"]`, datafile.EqualFold: `["Ä"]`, datafile.NotEqualFold: `["A"]`, datafile.ContainsFold: `["Ä","a"]`, datafile.NotContainsFold: `["A"]`,
	} {
		var rules []string
		for i, attribute := range []string{"text", "number", "flag", "version", "time", "address", "list", "object", "object.inner.text", "targetingKey", "gone"} {
			rules = append(
				rules,
				fmt.Sprintf(
					`{"name":"r%d","variation":"on","traffic":10000,"salt":"s%d","conditions":[{"attribute":%q,"operator":%q,"values":%s}]}`,
					i,
					i,
					attribute,
					operator,
					values,
				),
			)
		}
		flags = append(flags, fmt.Sprintf("%q:%s", operator, flag(`"rules":[`+strings.Join(rules, ",")+`]`)))
	}
	flags = append(
		flags,
		`"split":`+flag(
			`"rules":[{"name":"a","hashAttribute":"object.inner.text","salt":"salt","split":[{"variation":"on","weight":1},{"variation":"off","weight":2}]}]`,
		),
		`"posthog":`+flag(
			`"bucketing":"PostHogSHA1","rules":[{"name":"a","traffic":50000,"split":[{"variation":"on","weight":1},{"variation":"off","weight":2}]}]`,
		),
		`"audience":`+flag(`"rules":[{"name":"a","audiences":["a","gone"],"variation":"on"}],"overrides":{"bob":"on"}`),
		`"schedule":`+flag(
			`"schedule":{"enableAt":"2027-03-15T12:00:00Z"},"prerequisites":[{"flag":"audience","variations":["on"]},{"flag":"split","variations":["on"]}]`,
		),
	)
	return "{" + strings.Join(flags, ",") + "}"
}()

const (
	everyAudience = `{"a":{"members":["amy"],"groups":[{"conditions":[{"attribute":"list","operator":"In","values":["a"]},{"attribute":"number","operator":"LessThan","values":["7"]}]}]}}`
	everyContext  = `{"targetingKey":"amy","text":"abä","number":5.5,"flag":true,"version":"v1.2.3-a.2+b","time":"2027-03-15T12:00:01.5+01:00","address":"10.1.2.3",
		"list":["x",5,["a"],{"a":1},null,"a"],"object":{"inner":{"text":"subject"}}}`
)

// FuzzEvaluate fails where a context, whatever it is, makes the engine panic or explain another result than it gives.
func FuzzEvaluate(f *testing.F) {
	for _, context := range []string{
		`{}`, everyContext, `{"targetingKey":""}`, `{"text":"\u0000\ud800","number":1e308,"list":[[[[]]]],"object":{"0":1,"inner":5}}`, `{"version":"1.2.3-` + strings.Repeat("9", 400) + `"}`,
		`{"time":"2027-03-15T24:00:00Z","address":"fe80::1%eth0","number":-0,"object":` + strings.Repeat(`{"inner":`, 50) + `1` + strings.Repeat(`}`, 50) + `}`,
	} {
		f.Add([]byte(context))
	}
	e := engine(f, everyOperator, everyAudience)
	f.Fuzz(func(t *testing.T, data []byte) {
		contexts := []map[string]any{
			{
				"targetingKey": string(data),
				"text":         string(data),
				"version":      string(data),
				"time":         string(data),
				"address":      string(data),
			},
		}
		var context map[string]any
		if json.Unmarshal(data, &context) == nil {
			contexts = append(contexts, context)
		}
		for _, context := range contexts {
			for flag := range e.Flags() {
				got, explained := flag.Evaluate(context, noon), flag.Explain(context, noon).Result
				if got.Variation == nil || got != explained {
					t.Errorf("%s: result %v, explained %v", flag.Key, got, explained)
				}
			}
		}
	})
}
