// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"time"

	"github.com/posthog/posthog-go"
)

// posthogServer answers every request of a PostHog client with the same body, without a network.
type posthogServer []byte

func (s posthogServer) RoundTrip(request *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(s)), Request: request,
	}, nil
}

// silent drops what a PostHog client logs.
type silent struct{}

func (silent) Debugf(string, ...any) {}
func (silent) Logf(string, ...any)   {}
func (silent) Warnf(string, ...any)  {}
func (silent) Errorf(string, ...any) {}

func beginPostHog() (engine, error) {
	var flags []any
	add := func(key string, filters map[string]any) {
		flags = append(flags, map[string]any{"key": key, "active": true, "filters": filters})
	}
	groups := func(groups ...any) map[string]any { return map[string]any{"groups": groups} }
	property := func(key, operator string, value any) any {
		return map[string]any{"key": key, "operator": operator, "value": value, "type": "person"}
	}
	all := func(properties ...any) any {
		return map[string]any{"properties": properties, "rollout_percentage": 100}
	}
	where := func(key, operator string, value any) any { return all(property(key, operator, value)) }
	add(static, groups())
	add(rule, groups(where("country", "exact", []string{"de", "at", "ch"})))
	half := groups(map[string]any{})
	half["multivariate"] = map[string]any{"variants": []any{
		map[string]any{"key": "on", "rollout_percentage": 50}, map[string]any{"key": "off", "rollout_percentage": 50},
	}}
	add(split, half)
	// The client knows no semantic versions, beginnings and ends, for which PostHog's users write regular expressions.
	add(ten, groups(
		where("country", "exact", []string{"fr"}),
		where("email", "regex", `@example\.org$`),
		where("age", "lt", 18),
		where(
			"email",
			"regex",
			"^admin",
		),
		where("version", "regex", `^0\.`),
		where("plan", "exact", []string{"enterprise", "beta"}),
		where("age", "gt", 65),
		where("email", "icontains", "+test"),
		where("country", "exact", []string{"us", "ca"}),
		all(property("age", "gte", 18), property("plan", "exact", []string{"free"})),
	))
	add(list, groups(where("key", "exact", members())))
	for i := range others {
		add(other(i), groups())
	}
	data, err := json.Marshal(map[string]any{"flags": flags})
	if err != nil {
		return engine{}, err
	}
	client, err := posthog.NewWithConfig("project", posthog.Config{
		PersonalApiKey: "personal", Endpoint: "http://posthog.invalid", Transport: posthogServer(data), Logger: silent{},
		DefaultFeatureFlagsPollingInterval: time.Hour,
	})
	if err != nil {
		return engine{}, err
	}
	ask := func(flag string, u user) question {
		payload := posthog.FeatureFlagPayload{
			Key: flag, DistinctId: u.key, PersonProperties: posthog.Properties(u.attributes()), Groups: posthog.NewGroups(),
			GroupProperties: map[string]posthog.Properties{}, OnlyEvaluateLocally: true, SendFeatureFlagEvents: new(false),
		}
		payload.PersonProperties["key"] = u.key
		var last any
		var failure error
		return question{
			evaluate: func() { last, failure = client.GetFeatureFlag(payload) },
			answer: func() (bool, error) {
				if failure != nil {
					return false, failure
				}
				return last == true || last == "on", must(last == true || last == false || last == "on" || last == "off", last)
			},
		}
	}
	return engine{
		name:   "PostHog",
		module: "github.com/posthog/posthog-go",
		ask:    ask,
		close:  func() { _ = client.Close() },
	}, nil
}
