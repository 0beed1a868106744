// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package jackstaff

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/open-feature/go-sdk/openfeature"
	"github.com/open-feature/go-sdk/openfeature/isolated"

	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
	"github.com/jackstaff-dev/jackstaff/sdk/internal/diff"
)

// TestMain fails where anything that a test began goes on after it.
func TestMain(m *testing.M) {
	code := m.Run()
	if leaked := leakedGoroutines(5 * time.Second); code == 0 && leaked != "" {
		fmt.Fprintf(os.Stderr, "goroutines of closed providers still run:\n%s\n", leaked)
		code = 1
	}
	os.Exit(code)
}

// leakedGoroutines waits until no goroutine of the provider or of its file watcher runs, and returns the stacks of
// those that still do after patience. A dependency that finds leaks would add modules to every workload that imports
// the provider.
func leakedGoroutines(patience time.Duration) string {
	stacks := make([]byte, 1<<20)
	for deadline := time.Now().Add(patience); ; {
		var leaked []string
		all := strings.Split(string(stacks[:runtime.Stack(stacks, true)]), "\n\n")
		for _, stack := range all[1:] { // The first is this goroutine.
			if strings.Contains(stack, "jackstaff/sdk/openfeature") || strings.Contains(stack, "fsnotify") {
				leaked = append(leaked, stack)
			}
		}
		if len(leaked) == 0 || time.Now().After(deadline) {
			return strings.Join(leaked, "\n\n")
		}
		runtime.Gosched()
	}
}

// serve binds a provider to a mount of the document.
func serve(tb testing.TB, document *datafile.Document, options ...Option) *openfeature.Client {
	tb.Helper()
	m := newMount(tb)
	m.swap(plain(tb, document))
	provider, err := NewProvider(m.dir, options...)
	if err != nil {
		tb.Fatal(err)
	}
	client, err := bind(tb, provider)
	if err != nil {
		tb.Fatal(err)
	}
	return client
}

// onOff makes a Boolean flag that is on where a rule says so.
func onOff(rules ...datafile.Rule) *datafile.Flag {
	return &datafile.Flag{
		Type:             datafile.Boolean,
		Enabled:          true,
		DefaultVariation: "off",
		Rules:            rules,
		Variations: []datafile.Variation{
			{Key: "on", Value: json.RawMessage("true")},
			{Key: "off", Value: json.RawMessage("false")},
		},
	}
}

func rule(name, attribute string, operator datafile.Operator, values ...string) datafile.Rule {
	return datafile.Rule{
		Name:       name,
		Variation:  "on",
		Conditions: []datafile.Condition{{Attribute: attribute, Operator: operator, Values: values}},
	}
}

func TestTypes(t *testing.T) {
	retained := constant(datafile.Boolean, "true")
	retained.Retained = true
	client := serve(t, document(1, map[string]*datafile.Flag{
		"boolean": constant(datafile.Boolean, "true"),
		"string":  constant(datafile.String, `"blue"`),
		"integer": constant(
			datafile.Number,
			"24",
		),
		"negative":     constant(datafile.Number, "-3"),
		"fraction":     constant(datafile.Number, "0.25"),
		"huge":         constant(datafile.Number, "1e30"),
		"least":        constant(datafile.Number, "-9223372036854775808"),
		"one too many": constant(datafile.Number, "9223372036854775808"),
		"object":       constant(datafile.JSON, `{"a":[1,"x",{"b":null}]}`),
		"array":        constant(datafile.JSON, `[1,2]`),
		"retained":     retained,
	}))
	ctx, none := t.Context(), openfeature.EvaluationContext{}
	boolean := func(key string) (any, openfeature.EvaluationDetails) {
		d, _ := client.BooleanValueDetails(ctx, key, false, none)
		return d.Value, d.EvaluationDetails
	}
	text := func(key string) (any, openfeature.EvaluationDetails) {
		d, _ := client.StringValueDetails(ctx, key, "fallback", none)
		return d.Value, d.EvaluationDetails
	}
	integer := func(key string) (any, openfeature.EvaluationDetails) {
		d, _ := client.IntValueDetails(ctx, key, 7, none)
		return d.Value, d.EvaluationDetails
	}
	float := func(key string) (any, openfeature.EvaluationDetails) {
		d, _ := client.FloatValueDetails(ctx, key, 7.5, none)
		return d.Value, d.EvaluationDetails
	}
	object := func(key string) (any, openfeature.EvaluationDetails) {
		d, _ := client.ObjectValueDetails(ctx, key, "fallback", none)
		return d.Value, d.EvaluationDetails
	}
	for name, tc := range map[string]struct {
		ask       func(string) (any, openfeature.EvaluationDetails)
		key       string
		want      any
		wantError openfeature.ErrorCode
	}{
		"a boolean":                        {ask: boolean, key: "boolean", want: true},
		"a string":                         {ask: text, key: "string", want: "blue"},
		"an integer":                       {ask: integer, key: "integer", want: int64(24)},
		"a negative integer":               {ask: integer, key: "negative", want: int64(-3)},
		"the least integer":                {ask: integer, key: "least", want: int64(math.MinInt64)},
		"a float":                          {ask: float, key: "fraction", want: 0.25},
		"an integer as a float":            {ask: float, key: "integer", want: 24.0},
		"an object":                        {ask: object, key: "object", want: map[string]any{"a": []any{1.0, "x", map[string]any{"b": nil}}}},
		"an array":                         {ask: object, key: "array", want: []any{1.0, 2.0}},
		"a fraction as an integer":         {ask: integer, key: "fraction", want: int64(7), wantError: openfeature.TypeMismatchCode},
		"a huge number as an integer":      {ask: integer, key: "huge", want: int64(7), wantError: openfeature.TypeMismatchCode},
		"one too many for an integer":      {ask: integer, key: "one too many", want: int64(7), wantError: openfeature.TypeMismatchCode},
		"a boolean as a string":            {ask: text, key: "boolean", want: "fallback", wantError: openfeature.TypeMismatchCode},
		"a boolean as an integer":          {ask: integer, key: "boolean", want: int64(7), wantError: openfeature.TypeMismatchCode},
		"a string as a boolean":            {ask: boolean, key: "string", want: false, wantError: openfeature.TypeMismatchCode},
		"a string as a float":              {ask: float, key: "string", want: 7.5, wantError: openfeature.TypeMismatchCode},
		"a boolean as an object":           {ask: object, key: "boolean", want: "fallback", wantError: openfeature.TypeMismatchCode},
		"an unknown flag":                  {ask: boolean, key: "nothing", want: false, wantError: openfeature.FlagNotFoundCode},
		"an unknown flag as an integer":    {ask: integer, key: "nothing", want: int64(7), wantError: openfeature.FlagNotFoundCode},
		"a flag that others alone require": {ask: boolean, key: "retained", want: false, wantError: openfeature.FlagNotFoundCode},
	} {
		t.Run(name, func(t *testing.T) {
			value, details := tc.ask(tc.key)
			if diff := diff.Diff(tc.want, value); diff != "" {
				t.Errorf("value (-want +got):\n%s", diff)
			}
			wantReason, wantVariant := openfeature.StaticReason, "only"
			if tc.wantError != "" {
				wantReason, wantVariant = openfeature.ErrorReason, ""
			}
			if details.ErrorCode != tc.wantError || details.Reason != wantReason || details.Variant != wantVariant {
				t.Errorf("got error %q, reason %s, variant %q; want %q, %s, %q",
					details.ErrorCode, details.Reason, details.Variant, tc.wantError, wantReason, wantVariant)
			}
		})
	}
}

func TestAnObjectIsTheCallersOwn(t *testing.T) {
	client := serve(t, document(1, map[string]*datafile.Flag{"limits": constant(datafile.JSON, `{"a":{"b":[1]}}`)}))
	ask := func() map[string]any {
		return client.Object(t.Context(), "limits", nil, openfeature.EvaluationContext{}).(map[string]any)
	}
	first := ask()
	first["a"].(map[string]any)["b"].([]any)[0] = "changed"
	first["c"] = true
	if diff := diff.Diff(map[string]any{"a": map[string]any{"b": []any{1.0}}}, ask()); diff != "" {
		t.Errorf("a caller changed what the next one gets (-want +got):\n%s", diff)
	}
}

func TestMetadataIsTheCallersOwn(t *testing.T) {
	flag := onOff()
	flag.Metadata = map[string]string{"team": "checkout"}
	m := newMount(t)
	m.swap(plain(t, document(1, map[string]*datafile.Flag{"a": flag})))
	for name, options := range map[string][]Option{"the author's": nil, "the answer's": {WithAnswerMetadata()}} {
		t.Run(name, func(t *testing.T) {
			provider, err := NewProvider(m.dir, options...)
			must(t, err)
			must(t, provider.Init(openfeature.EvaluationContext{}))
			defer provider.Shutdown()
			ask := func() openfeature.FlagMetadata {
				return provider.BooleanEvaluation(t.Context(), "a", false, nil).FlagMetadata
			}
			ask()["mine"] = true
			if got := ask(); got["mine"] != nil || got["team"] != "checkout" {
				t.Errorf("a caller changed what the next one gets: %v", got)
			}
		})
	}
}

// TestCodeDefault fails where code gets another value than its own default from a flag that leaves the value to it.
func TestCodeDefault(t *testing.T) {
	off := onOff()
	off.Enabled, off.CodeDefault = false, true
	client := serve(t, document(1, map[string]*datafile.Flag{"off": off}))
	for _, fallback := range []bool{true, false} {
		got, err := client.BooleanValueDetails(t.Context(), "off", fallback, openfeature.EvaluationContext{})
		if err != nil || got.Value != fallback || got.Variant != "" || got.Reason != openfeature.DisabledReason {
			t.Errorf("the code's default %v becomes %+v, %v", fallback, got, err)
		}
	}
}

func TestReasonsAndMetadata(t *testing.T) {
	ruled := onOff(rule("german", "country", datafile.In, "de"), datafile.Rule{
		Name:       "half",
		Salt:       "s/",
		Conditions: []datafile.Condition{{Attribute: "country", Operator: datafile.In, Values: []string{"at"}}},
		Split:      []datafile.Weight{{Variation: "on", Weight: 1}, {Variation: "off", Weight: 1}},
	})
	ruled.Overrides = map[string]string{"tester": "on"}
	ruled.Metadata = map[string]string{"team": "checkout", "rule": "mine"}
	off := onOff()
	off.Enabled = false
	requiring := onOff()
	requiring.Fallthrough = "on"
	requiring.Prerequisites = []datafile.Prerequisite{{Flag: "off", Variations: []string{"on"}}}
	flags := document(42, map[string]*datafile.Flag{"static": onOff(), "off": off, "requiring": requiring, "ruled": ruled})
	plainClient, described := serve(t, flags), serve(t, flags, WithAnswerMetadata())
	common := openfeature.FlagMetadata{"revision": int64(42), "version": "42", "flagSetId": "shop.production"}
	with := func(more ...string) openfeature.FlagMetadata {
		metadata := openfeature.FlagMetadata{}
		maps.Copy(metadata, common)
		for i := 0; i < len(more); i += 2 {
			metadata[more[i]] = more[i+1]
		}
		return metadata
	}
	authors := openfeature.FlagMetadata{"team": "checkout", "rule": "mine"}
	for name, tc := range map[string]struct {
		key, targetingKey, country string
		wantReason                 openfeature.Reason
		wantMetadata, wantPlain    openfeature.FlagMetadata
	}{
		"no rules":            {key: "static", wantReason: openfeature.StaticReason, wantMetadata: common, wantPlain: openfeature.FlagMetadata{}},
		"off":                 {key: "off", wantReason: openfeature.DisabledReason, wantMetadata: common, wantPlain: openfeature.FlagMetadata{}},
		"prerequisite failed": {key: "requiring", wantReason: ReasonPrerequisiteFailed, wantMetadata: common, wantPlain: openfeature.FlagMetadata{}},
		"no rule matches":     {key: "ruled", country: "fr", wantReason: openfeature.DefaultReason, wantMetadata: with("team", "checkout"), wantPlain: authors},
		"an override":         {key: "ruled", targetingKey: "tester", wantReason: openfeature.TargetingMatchReason, wantMetadata: with("team", "checkout"), wantPlain: authors},
		"a rule":              {key: "ruled", country: "de", wantReason: openfeature.TargetingMatchReason, wantMetadata: with("team", "checkout", "rule", "german"), wantPlain: authors},
		"a split":             {key: "ruled", targetingKey: "u", country: "at", wantReason: openfeature.SplitReason, wantMetadata: with("team", "checkout", "rule", "half"), wantPlain: authors},
	} {
		t.Run(name, func(t *testing.T) {
			evaluation := openfeature.NewEvaluationContext(tc.targetingKey, map[string]any{"country": tc.country})
			for client, want := range map[*openfeature.Client]openfeature.FlagMetadata{plainClient: tc.wantPlain, described: tc.wantMetadata} {
				details, err := client.BooleanValueDetails(t.Context(), tc.key, false, evaluation)
				if err != nil {
					t.Fatal(err)
				}
				if details.Reason != tc.wantReason {
					t.Errorf("reason is %s, want %s", details.Reason, tc.wantReason)
				}
				if diff := diff.Diff(want, details.FlagMetadata); diff != "" {
					t.Errorf("metadata (-want +got):\n%s", diff)
				}
			}
		})
	}
}

type country string

type plan struct {
	Name  string `json:"name"`
	Seats int    `json:"seats"`
}

// TestContext shows what of Go's types rules can be written for. A workload that keeps a country in a type of its own
// would otherwise never match, and nothing would tell it why.
type account int64

func TestContext(t *testing.T) {
	looped := map[string]any{}
	looped["self"] = looped
	flag := onOff(
		rule("country", "country", datafile.In, "de"),
		rule("seats", "plan.seats", datafile.GreaterThan, "3"),
		rule(
			"name",
			"plan.name",
			datafile.In,
			"gold",
		),
		rule("ids", "ids", datafile.In, "7"),
		rule("account", "account", datafile.In, "1234567890123456789"),
		rule("key", "targetingKey", datafile.In, "me"),
		rule("time", "since", datafile.Before, "2026-01-01T00:00:00Z"),
	)
	present := onOff(rule("present", "x", datafile.Exists), rule("present-within", "o.x", datafile.Exists))
	audience := onOff(datafile.Rule{Name: "members", Audiences: []string{"testers"}, Variation: "on"})
	outer := onOff()
	outer.Fallthrough = "on"
	outer.Prerequisites = []datafile.Prerequisite{{Flag: "ruled", Variations: []string{"on"}}}
	doc := document(1, map[string]*datafile.Flag{"ruled": flag, "audience": audience, "outer": outer, "present": present})
	doc.Audiences = map[string]*datafile.Audience{"testers": {Groups: []datafile.Group{{
		Conditions: []datafile.Condition{{Attribute: "country", Operator: datafile.In, Values: []string{"at"}}},
	}}}}
	client := serve(t, doc)
	german := country("de")
	for name, tc := range map[string]struct {
		key        string
		attributes map[string]any
		want       bool
	}{
		"nothing":                           {attributes: nil, want: false},
		"a string":                          {attributes: map[string]any{"country": "de"}, want: true},
		"a string type":                     {attributes: map[string]any{"country": country("de")}, want: true},
		"a pointer":                         {attributes: map[string]any{"country": &german}, want: true},
		"a pointer to nothing":              {attributes: map[string]any{"country": (*country)(nil)}, want: false},
		"a string type in an audience":      {key: "audience", attributes: map[string]any{"country": country("at")}, want: true},
		"a string type in a prerequisite":   {key: "outer", attributes: map[string]any{"country": country("de")}, want: true},
		"a map":                             {attributes: map[string]any{"plan": map[string]any{"seats": 4}}, want: true},
		"a typed map":                       {attributes: map[string]any{"plan": map[string]int{"seats": 4}}, want: true},
		"a struct":                          {attributes: map[string]any{"plan": plan{Name: "gold"}}, want: true},
		"a string type in a map":            {attributes: map[string]any{"plan": map[string]any{"name": country("gold")}}, want: true},
		"a list of numbers":                 {attributes: map[string]any{"ids": []int{5, 7}}, want: true},
		"a list of anything":                {attributes: map[string]any{"ids": []any{5, uint8(7)}}, want: true},
		"an int64 beyond floats":            {attributes: map[string]any{"account": int64(1234567890123456789)}, want: true},
		"an int64 beside it":                {attributes: map[string]any{"account": int64(1234567890123456788)}, want: false},
		"an integer type beyond floats":     {attributes: map[string]any{"account": account(1234567890123456789)}, want: true},
		"an integer type beside it":         {attributes: map[string]any{"account": account(1234567890123456788)}, want: false},
		"a time":                            {attributes: map[string]any{"since": time.Unix(0, 0)}, want: true},
		"a targeting key among attributes":  {attributes: map[string]any{"targetingKey": country("me")}, want: true},
		"an empty list":                     {key: "present", attributes: map[string]any{"x": []string{}}, want: true},
		"an empty map":                      {key: "present", attributes: map[string]any{"o": map[string]any{"x": map[string]any{}}}, want: true},
		"nil":                               {key: "present", attributes: map[string]any{"x": nil}, want: false},
		"a nil list of strings":             {key: "present", attributes: map[string]any{"x": []string(nil)}, want: false},
		"a nil list of anything":            {key: "present", attributes: map[string]any{"x": []any(nil)}, want: false},
		"a nil list of numbers":             {key: "present", attributes: map[string]any{"x": []int(nil)}, want: false},
		"a nil map":                         {key: "present", attributes: map[string]any{"x": map[string]any(nil)}, want: false},
		"a nil map in a map":                {key: "present", attributes: map[string]any{"o": map[string]any{"x": map[string]any(nil)}}, want: false},
		"a function":                        {attributes: map[string]any{"country": func() {}}, want: false},
		"what contains itself":              {attributes: map[string]any{"plan": looped, "country": looped}, want: false},
		"what contains itself, and another": {attributes: map[string]any{"plan": looped, "country": "de"}, want: true},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.key == "" {
				tc.key = "ruled"
			}
			got, err := client.BooleanValue(
				t.Context(),
				tc.key,
				false,
				openfeature.NewTargetlessEvaluationContext(tc.attributes),
			)
			if err != nil || got != tc.want {
				t.Errorf("got %v, %v; want %v", got, err, tc.want)
			}
		})
	}
	t.Run("the caller's context is left alone", func(t *testing.T) {
		attributes := map[string]any{"plan": map[string]any{"name": country("gold")}}
		if !client.Boolean(t.Context(), "ruled", false, openfeature.NewTargetlessEvaluationContext(attributes)) {
			t.Error("the name of the plan did not count")
		}
		if diff := diff.Diff(map[string]any{"plan": map[string]any{"name": country("gold")}}, attributes); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
	t.Run("contexts merge", func(t *testing.T) {
		client.SetEvaluationContext(openfeature.NewEvaluationContext("", map[string]any{"country": "fr"}))
		ctx := openfeature.WithTransactionContext(t.Context(), openfeature.NewEvaluationContext("me", nil))
		if !client.Boolean(ctx, "ruled", false, openfeature.EvaluationContext{}) {
			t.Error("the targeting key of the transaction did not count")
		}
		if client.Boolean(t.Context(), "ruled", false, openfeature.EvaluationContext{}) {
			t.Error("the client's country counted as another")
		}
	})
}

// TestScheduleFollowsTheClock shows that a switch in the future happens without a new datafile, for a flag and for what
// requires it.
func TestScheduleFollowsTheClock(t *testing.T) {
	scheduled := onOff()
	scheduled.Fallthrough = "on"
	scheduled.Schedule = &datafile.Schedule{EnableAt: "2026-12-01T00:00:00Z"}
	requiring := onOff()
	requiring.Fallthrough = "on"
	requiring.Prerequisites = []datafile.Prerequisite{{Flag: "scheduled", Variations: []string{"on"}}}
	now := time.Date(2026, 11, 30, 23, 59, 59, 0, time.UTC)
	client := serve(
		t,
		document(1, map[string]*datafile.Flag{"scheduled": scheduled, "requiring": requiring}),
		func(p *Provider) {
			p.now = func() time.Time { return now }
		},
	)
	for _, want := range []bool{false, true} {
		for _, key := range []string{"scheduled", "requiring"} {
			if got := client.Boolean(t.Context(), key, !want, openfeature.EvaluationContext{}); got != want {
				t.Errorf("at %s %s is %v, want %v", now, key, got, want)
			}
		}
		now = now.Add(time.Second)
	}
}

func TestTrack(t *testing.T) {
	doc := document(9, nil)
	doc.Events = map[string]*datafile.Event{
		"purchase":    {Type: datafile.Conversion},
		"order_value": {Type: datafile.Numeric, Unit: "EUR"},
	}
	var tracked []TrackedEvent
	collect := OnTrack(func(_ context.Context, event TrackedEvent) { tracked = append(tracked, event) })
	client := serve(t, doc, collect)
	client.SetEvaluationContext(openfeature.NewEvaluationContext("", map[string]any{"country": "de"}))
	evaluation := openfeature.NewEvaluationContext("user-1", nil)
	merged := openfeature.NewEvaluationContext("user-1", map[string]any{"country": "de"})
	details := openfeature.NewTrackingEventDetails(19.5).Add("items", 3)
	for _, key := range []string{"purchase", "order_value", "typo"} {
		client.Track(t.Context(), key, evaluation, details)
	}
	early, err := NewProvider(t.TempDir(), collect)
	if err != nil {
		t.Fatal(err)
	}
	early.Track(t.Context(), "purchase", merged, details)
	want := []TrackedEvent{
		{Key: "purchase", Type: Conversion, Revision: 9, Context: merged, Details: details},
		{Key: "order_value", Type: Numeric, Unit: "EUR", Revision: 9, Context: merged, Details: details},
		{Key: "typo", Revision: 9, Context: merged, Details: details, Err: ErrUnknownEvent},
		{Key: "purchase", Context: merged, Details: details, Err: ErrNoDatafile},
	}
	for i := range min(len(want), len(tracked)) {
		if errors.Is(tracked[i].Err, want[i].Err) {
			tracked[i].Err = want[i].Err
		}
	}
	if diff := diff.Diff(want, tracked); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// Tracking without anybody who listens is no mistake.
	serve(t, doc).Track(t.Context(), "purchase", evaluation, details)
}

func TestNewProviderWantsADirectory(t *testing.T) {
	if _, err := NewProvider(""); err == nil {
		t.Error("no directory is accepted, and would mean the working directory")
	}
}

// TestLifecycle uses a provider as programs do that bind it more than once and shut down more than once.
func TestLifecycle(t *testing.T) {
	m := newMount(t)
	m.swap(plain(t, revisionFlag(1)))
	loads := make(chan Load, 10)
	provider, err := NewProvider(m.dir, OnLoad(func(load Load) { loads <- load }))
	if err != nil {
		t.Fatal(err)
	}
	ask := func() int64 {
		return provider.IntEvaluation(t.Context(), "revision", 0, nil).Value
	}
	if got := provider.IntEvaluation(
		t.Context(),
		"revision",
		0,
		nil,
	); got.ResolutionDetail().ErrorCode != openfeature.ProviderNotReadyCode {
		t.Errorf("before Init the error is %q", got.ResolutionDetail().ErrorCode)
	}
	api := isolated.NewAPI()
	for _, domain := range []string{"", "checkout", "search"} {
		if err := api.SetProviderAndWait(t.Context(), provider, openfeature.WithDomain(domain)); err != nil {
			t.Fatal(err)
		}
	}
	if load := await(t, loads); load.Revision != 1 || load.Flags != 1 || load.Err != nil {
		t.Errorf("loaded %+v", load)
	}
	m.swap(plain(t, revisionFlag(2)))
	if load := await(t, loads); load.Revision != 2 || ask() != 2 {
		t.Errorf("loaded %+v and serves revision %d, want 2", load, ask())
	}
	if err := api.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	provider.Shutdown()
	m.swap(plain(t, revisionFlag(3)))
	if ask() != 2 {
		t.Error("it follows the directory after Shutdown")
	}
	if err := provider.Init(openfeature.EvaluationContext{}); err != nil {
		t.Fatal(err)
	}
	defer provider.Shutdown()
	if load := await(t, loads); load.Revision != 3 || ask() != 3 {
		t.Errorf("after another Init it loaded %+v and serves %d, want 3", load, ask())
	}
}

// TestBoundWhileTheFirstDatafileIsRead sets the provider for another domain just when there is a datafile that Init
// does not know of.
func TestBoundWhileTheFirstDatafileIsRead(t *testing.T) {
	m := newMount(t)
	reading, goOn := make(chan struct{}), make(chan struct{})
	var holds atomic.Bool
	provider, err := NewProvider(m.dir, func(p *Provider) {
		p.now = func() time.Time {
			if holds.CompareAndSwap(true, false) {
				close(reading)
				<-goOn
			}
			return time.Now()
		}
	})
	must(t, err)
	api := isolated.NewAPI()
	defer func() { must(t, api.Shutdown(context.Background())) }()
	set := func(domain string) {
		t.Helper()
		if err := api.SetProviderAndWait(
			t.Context(),
			provider,
			openfeature.WithDomain(domain),
		); !errors.Is(
			err,
			ErrNoDatafile,
		) {
			t.Fatal(err)
		}
	}
	set("")
	time.Sleep(2 * bindTime)
	holds.Store(true)
	m.swap(plain(t, revisionFlag(1)))
	<-reading
	set("checkout")
	close(goOn)
	for _, domain := range []string{"", "checkout"} {
		client := api.NewClient(openfeature.WithDomain(domain))
		for end := time.Now().Add(10 * time.Second); client.State() != openfeature.ReadyState; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf(
					"revision %d is served, and the state of domain %q is %s",
					client.Int(t.Context(), "revision", 0, openfeature.EvaluationContext{}),
					domain,
					client.State(),
				)
			}
		}
	}
}

// await returns what comes out of the channel.
func await[T any](tb testing.TB, channel <-chan T) T {
	tb.Helper()
	select {
	case value := <-channel:
		return value
	case <-time.After(2 * time.Minute): // A datafile of 64 MiB takes its time under the race detector.
		tb.Fatal("nothing came")
		panic("unreachable")
	}
}
