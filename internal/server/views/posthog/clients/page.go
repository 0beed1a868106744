// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/jackstaff-dev/jackstaff/internal/replica/store"
	"github.com/jackstaff-dev/jackstaff/internal/server"
	"github.com/jackstaff-dev/jackstaff/internal/server/views/posthog/lookup"
)

func (c *Clients) registerPage(shell *server.View) {
	const summary = "What a page's client is to do"
	server.Register(
		shell,
		server.LimitsItself(server.Public(lookup.Operation("page-config", http.MethodGet, "/array/{token}/config", summary))),
		c.pageConfig,
	)
	script := lookup.Operation("page-script", http.MethodGet, "/array/{token}/config.js", summary+", as a script")
	script.Responses = map[string]*huma.Response{"200": {
		Description: "A script that sets window._POSTHOG_REMOTE_CONFIG.",
		Content: map[string]*huma.MediaType{
			"application/javascript": {Schema: &huma.Schema{Type: huma.TypeString}},
		},
	}}
	server.Register(shell, server.LimitsItself(server.Public(script)), c.pageScript)
}

type pageInput struct {
	Token string `path:"token" maxLength:"256" doc:"An SDK key."`
}

type pageOutput struct {
	Body *PageConfig
}

// PageConfig tells posthog-js what to do beside asking for flags, which is to send events and nothing else.
type PageConfig struct {
	Token                string        `json:"token"`
	SupportedCompression []string      `json:"supportedCompression"`
	HasFeatureFlags      bool          `json:"hasFeatureFlags"`
	Analytics            PageAnalytics `json:"analytics"`
	ElementsChain        bool          `json:"elementsChainAsString"`
	IdentifiedOnly       bool          `json:"defaultIdentifiedOnly"`
	AutocaptureOptOut    bool          `json:"autocapture_opt_out"`
	AutocaptureErrors    bool          `json:"autocaptureExceptions"`
	CaptureDeadClicks    bool          `json:"captureDeadClicks"`
	CapturePerformance   bool          `json:"capturePerformance"`
	SessionRecording     bool          `json:"sessionRecording"`
	Heatmaps             bool          `json:"heatmaps"`
	Surveys              bool          `json:"surveys"`
	ProductTours         bool          `json:"productTours"`
	Conversations        bool          `json:"conversations"`
	SiteApps             []string      `json:"siteApps"`
}

// PageAnalytics says where events go.
type PageAnalytics struct {
	Endpoint string `json:"endpoint"`
}

func (c *Clients) pageConfig(ctx context.Context, input *pageInput) (*pageOutput, error) {
	held, err := c.byToken(ctx, input.Token)
	if err != nil {
		return nil, err
	}
	return &pageOutput{Body: pageConfigOf(held, input.Token)}, nil
}

// pageConfigOf is the configuration of an environment. It switches off whatever this server does not serve.
func pageConfigOf(held *store.Environment, token string) *PageConfig {
	return &PageConfig{
		Token:                token,
		SupportedCompression: []string{"gzip", "gzip-js"},
		HasFeatureFlags:      held.Engine().Len() > 0,
		Analytics:            PageAnalytics{Endpoint: capturePaths["events-v0"] + "/"},
		ElementsChain:        true,
		IdentifiedOnly:       true,
		AutocaptureOptOut:    true,
		SiteApps:             []string{},
	}
}

type scriptOutput struct {
	ContentType string `header:"Content-Type"`
	Body        []byte
}

func (c *Clients) pageScript(ctx context.Context, input *pageInput) (*scriptOutput, error) {
	held, err := c.byToken(ctx, input.Token)
	if err != nil {
		return nil, err
	}
	token, err := json.Marshal(input.Token)
	if err != nil {
		return nil, fmt.Errorf("encode the key: %w", err)
	}
	config, err := json.Marshal(map[string]any{"config": pageConfigOf(held, input.Token), "siteApps": []string{}})
	if err != nil {
		return nil, fmt.Errorf("encode the configuration of a page: %w", err)
	}
	const script = "(function() {\n" +
		"  window._POSTHOG_REMOTE_CONFIG = window._POSTHOG_REMOTE_CONFIG || {};\n" +
		"  window._POSTHOG_REMOTE_CONFIG[%s] = %s;\n" +
		"})();\n"
	return &scriptOutput{ContentType: "application/javascript", Body: fmt.Appendf(nil, script, token, config)}, nil
}
