// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"cmp"
	"context"
	"net/http"
	"strings"

	"github.com/jackstaff-dev/jackstaff/internal/server"
	"github.com/jackstaff-dev/jackstaff/internal/server/views/posthog/lookup"
)

// capturePaths are where PostHog's clients send events, and recordings of sessions in the last one.
var capturePaths = map[string]string{
	"batch": "/batch", "capture": "/capture", "track": "/track", "engage": "/engage", "events": "/e",
	"events-v0": "/i/v0/e", recordings: "/s",
}

// recordings is the name of the operation that takes recordings.
const recordings = "recordings"

func (c *Clients) registerCapture(shell *server.View) {
	for id, path := range capturePaths {
		kind := "event"
		if id == recordings {
			kind = "recording"
		}
		server.Register(
			shell,
			server.LimitsItself(
				server.Public(lookup.Operation("capture-"+id, http.MethodPost, path, "Count events of clients")),
			),
			func(ctx context.Context, input *captureInput) (*captureOutput, error) {
				return c.capture(ctx, input, kind)
			},
		)
	}
}

// captureInput is what clients send. What the events say is not kept.
type captureInput struct {
	Token  string `query:"token" maxLength:"256" doc:"An SDK key. It may also stand in the header Authorization or in the body."`
	APIKey string `query:"api_key" maxLength:"256" doc:"Another name for token."`
	Beacon string `query:"beacon" maxLength:"16" doc:"1 asks for an answer without a body."`
	Body   any    `doc:"An event, a list of events, or an object with a list as batch or data."`
}

type captureOutput struct {
	Status int
	Body   *Captured
}

// Captured says that events were taken.
type Captured struct {
	Status int `json:"status" doc:"Always 1."`
}

// capture counts the events of a request, and keeps nothing of them.
func (c *Clients) capture(ctx context.Context, input *captureInput, kind string) (*captureOutput, error) {
	events, token := eventsOf(input.Body)
	token = cmp.Or(server.Bearer(lookup.ExchangeOf(ctx).Request), input.Token, input.APIKey, token)
	held, err := c.byToken(ctx, token)
	if err != nil {
		return nil, err
	}
	if len(events) == 0 {
		return nil, server.Errorf(http.StatusBadRequest, "the body holds no event")
	}
	c.Telemetry.Captured(held, kind, len(events))
	if input.Beacon == "1" {
		return &captureOutput{Status: http.StatusNoContent}, nil
	}
	return &captureOutput{Status: http.StatusOK, Body: &Captured{Status: 1}}, nil
}

// eventsOf are the events of a body, and the key that it or its first event carries.
func eventsOf(body any) (events []any, token string) {
	switch body := body.(type) {
	case []any:
		events = body
	case map[string]any:
		token = tokenOf(body)
		events = []any{body}
		for _, name := range []string{"batch", "data"} {
			if list, is := body[name].([]any); is {
				events = list
			}
		}
	}
	if token == "" && len(events) > 0 {
		if first, is := events[0].(map[string]any); is {
			token = tokenOf(first)
		}
	}
	return events, token
}

// tokenOf is the key that an object carries, under one of the names that PostHog's clients have for it.
func tokenOf(object map[string]any) string {
	for _, name := range []string{"api_key", "token", "$token"} {
		if token, is := object[name].(string); is && strings.TrimSpace(token) != "" {
			return token
		}
	}
	if properties, is := object["properties"].(map[string]any); is {
		token, _ := properties["token"].(string)
		return token
	}
	return ""
}
