// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package posthog

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/types"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/jackstaff-dev/jackstaff/internal/server/views/posthog/clients"
)

// gzipped is a text as gzip compresses it.
func gzipped(text string) string {
	GinkgoHelper()
	var buffer bytes.Buffer
	writer := gzip.NewWriter(&buffer)
	_, err := writer.Write([]byte(text))
	Expect(err).NotTo(HaveOccurred())
	Expect(writer.Close()).To(Succeed())
	return buffer.String()
}

// captured is how many events of a kind were counted in a project.
func captured(project, kind string) float64 {
	GinkgoHelper()
	families, err := metrics.Gather()
	Expect(err).NotTo(HaveOccurred())
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			labels := prometheus.Labels{}
			for _, label := range metric.GetLabel() {
				labels[label.GetName()] = label.GetValue()
			}
			if family.GetName() == "jackstaff_captured_events_total" && labels["project"] == project && labels["kind"] == kind {
				return metric.GetCounter().GetValue()
			}
		}
	}
	return 0
}

var _ = Describe("What PostHog's clients send", func() {
	It("is read however they pack it", func() {
		s := openShop()
		s.create(
			`{"key": "for-beta", "filters": {"groups": [{"properties": [{"key": "plan", "type": "person", "value": ["beta"], "operator": "exact"}]}]}}`,
		)
		ask := `{"token": "` + s.client + `", "distinct_id": "ann?>é", "person_properties": {"plan": "beta"}, "groups": null, "flag_keys_to_evaluate": null, "$device_id": null}`
		based := base64.StdEncoding.EncodeToString([]byte(ask))
		form, plain := "application/x-www-form-urlencoded", "text/plain"
		for name, request := range map[string]struct {
			path, body string
			headers    []string
		}{
			"JSON":                           {"/flags/?v=2", ask, nil},
			"JSON as text, as a beacon":      {"/flags/?v=2&ip=0&_=1&ver=1.2.3", ask, []string{"Content-Type", plain}},
			"JSON of no type":                {"/flags/?v=2", ask, []string{"Content-Type", ""}},
			"JSON, and the parameter says":   {"/flags/?v=2&compression=base64", ask, nil},
			"base64 in a form":               {"/flags/?v=2&compression=base64", "data=" + url.QueryEscape(based), []string{"Content-Type", form}},
			"base64, the form says so":       {"/flags/?v=2", "compression=base64&data=" + url.QueryEscape(based), []string{"Content-Type", form}},
			"base64 whose plus became space": {"/flags/?v=2&compression=base64", "data=" + based, []string{"Content-Type", form}},
			"base64 for addresses, no end":   {"/flags/?v=2", base64.RawURLEncoding.EncodeToString([]byte(ask)), []string{"Content-Type", plain}},
			"JSON in a form":                 {"/flags/?v=2", "data=" + url.QueryEscape(ask), []string{"Content-Type", form}},
			"a form as text":                 {"/flags/?v=2", "data=" + url.QueryEscape(based), []string{"Content-Type", plain}},
			"gzip of posthog-js":             {"/flags/?v=2&compression=gzip-js", gzipped(ask), []string{"Content-Type", plain}},
			"gzip of posthog-node":           {"/flags/?v=2&compression=gzip", gzipped(ask), []string{"Content-Type", "application/json", "Content-Encoding", "gzip"}},
			"gzip that nothing names":        {"/flags/?v=2", gzipped(ask), []string{"Content-Type", plain}},
		} {
			answer := world.Call("", http.MethodPost, request.path, request.body, request.headers...)
			Expect(answer.Status).To(Equal(http.StatusOK), name+": "+string(answer.Body))
			Expect(at(object(answer), "flags", "for-beta", "enabled")).To(BeTrue(), name)
		}

		By("saying what cannot be read")
		large := strings.Repeat(" ", clients.MaxBody+1)
		for name, request := range map[string]struct {
			path, body string
			headers    []string
			status     int
			detail     string
		}{
			"no JSON":               {"/flags/?v=2", "{", nil, http.StatusBadRequest, "unexpected"},
			"neither JSON nor base": {"/flags/?v=2", "a*b", []string{"Content-Type", plain}, http.StatusBadRequest, "neither JSON nor base64"},
			"form without data":     {"/flags/?v=2", "a=b", []string{"Content-Type", form}, http.StatusBadRequest, "field data"},
			"no gzip":               {"/flags/?v=2", ask, []string{"Content-Encoding", "gzip"}, http.StatusBadRequest, "gzip"},
			"half a gzip":           {"/flags/?v=2", gzipped(ask)[:40], []string{"Content-Type", plain}, http.StatusBadRequest, "cannot be read"},
			"unknown encoding":      {"/flags/?v=2", ask, []string{"Content-Encoding", "br"}, http.StatusUnsupportedMediaType, "br"},
			"unknown compression":   {"/flags/?v=2&compression=lz64", "N4Ig", []string{"Content-Type", plain}, http.StatusBadRequest, "lz64"},
			"too large":             {"/flags/?v=2", large, nil, http.StatusRequestEntityTooLarge, "larger than"},
			"a bomb":                {"/flags/?v=2", gzipped(large), []string{"Content-Type", plain}, http.StatusRequestEntityTooLarge, "larger than"},
		} {
			answer := world.Call("", http.MethodPost, request.path, request.body, request.headers...)
			Expect(answer.Status).To(Equal(request.status), name+": "+string(answer.Body))
			Expect(object(answer)["detail"]).To(ContainSubstring(request.detail), name)
			Expect(answer.Header.Get("Access-Control-Allow-Origin")).To(Equal("*"), name)
		}
	})

	It("is answered in the shape of the version that they ask for", func() {
		s := openShop()
		s.create(`{"key": "on", "filters": {"groups": [{}], "payloads": {"true": "{\"a\": 1}"}}}`)
		s.create(`{"key": "nobody", "filters": {"groups": [{"rollout_percentage": 0}]}}`)
		s.create(
			`{"key": "variants", "filters": {"groups": [{"variant": "b"}], "multivariate": {"variants": [{"key": "a", "rollout_percentage": 50}, {"key": "b", "rollout_percentage": 50}]}}}`,
		)
		ask := `{"token": "` + s.client + `", "distinct_id": "ann"}`
		all := map[string]any{"on": true, "nobody": false, "variants": "b"}
		payloads := map[string]any{"on": `{"a":1}`}
		for path, want := range map[string]types.GomegaMatcher{
			"/flags/":           And(HaveKeyWithValue("featureFlags", all), HaveKeyWithValue("featureFlagPayloads", payloads), Not(HaveKey("flags"))),
			"/flags?v=1":        And(HaveKeyWithValue("featureFlags", all), HaveKeyWithValue("featureFlagPayloads", payloads)),
			"/flags/?v=2":       And(HaveKey("flags"), Not(HaveKey("featureFlags")), Not(HaveKey("featureFlagPayloads"))),
			"/decide/":          HaveKeyWithValue("featureFlags", []any{"on", "variants"}),
			"/decide/?v=1":      HaveKeyWithValue("featureFlags", []any{"on", "variants"}),
			"/decide/?v=2":      HaveKeyWithValue("featureFlags", map[string]any{"on": true, "variants": "b"}),
			"/decide/?v=3&ip=0": And(HaveKeyWithValue("featureFlags", all), HaveKeyWithValue("featureFlagPayloads", payloads)),
			"/decide?v=4":       And(HaveKey("flags"), Not(HaveKey("featureFlags"))),
		} {
			answer := world.Call("", http.MethodPost, path, ask)
			Expect(answer.Status).To(Equal(http.StatusOK), path+": "+string(answer.Body))
			Expect(object(answer)).To(want, path)
			Expect(object(answer)).To(HaveKeyWithValue("errorsWhileComputingFlags", false), path)
		}
		for _, path := range []string{"/flags?v=3", "/flags?v=0", "/flags?v=x", "/flags?v=-1", "/decide?v=5", "/decide?v=1.5"} {
			answer := world.Call("", http.MethodPost, path, ask)
			Expect(answer.Status).To(Equal(http.StatusBadRequest), path)
			Expect(
				object(answer),
			).To(
				And(HaveKeyWithValue("attr", "v"), HaveKeyWithValue("detail", ContainSubstring("version"))),
				path,
			)
		}
	})

	It("asks for the flags of its evaluation contexts", func() {
		s := openShop()
		s.create(`{"key": "everywhere", "filters": {"groups": [{}]}}`)
		s.create(`{"key": "tagged", "evaluation_tags": ["app", "web"], "filters": {"groups": [{}]}}`)
		for contexts, want := range map[string][]string{
			``:                                     {"everywhere", "tagged"},
			`, "evaluation_contexts": []`:          {"everywhere", "tagged"},
			`, "evaluation_contexts": null`:        {"everywhere", "tagged"},
			`, "evaluation_contexts": ["x"]`:       {"everywhere"},
			`, "evaluation_contexts": ["x","web"]`: {"everywhere", "tagged"},
			`, "evaluation_environments": ["x"]`:   {"everywhere"},
		} {
			answer := world.Call(
				"",
				http.MethodPost,
				"/flags/?v=2",
				`{"token": "`+s.client+`", "distinct_id": "ann"`+contexts+`}`,
			)
			Expect(keysOf(at(object(answer), "flags"))).To(Equal(want), contexts)
		}
	})

	It("may come from pages of any origin", func() {
		s := openShop()
		for _, path := range []string{
			"/flags/?v=2", "/decide/?v=3", "/array/" + s.client + "/config", "/array/" + s.client + "/config.js",
			"/batch/", "/e/", "/i/v0/e/", "/s/", "/capture/", "/track/", "/engage/",
		} {
			preflight := world.Call(
				"",
				http.MethodOptions,
				path,
				nil,
				"Origin",
				"https://shop.example",
				"Access-Control-Request-Method",
				"POST",
				"Access-Control-Request-Headers",
				"content-type,traceparent,tracestate,baggage",
			)
			Expect(preflight.Status).To(Equal(http.StatusNoContent), path)
			Expect(preflight.Header.Get("Access-Control-Allow-Origin")).To(Equal("*"), path)
			Expect(preflight.Header.Get("Access-Control-Allow-Methods")).To(ContainSubstring("POST"), path)
			for _, name := range []string{"Content-Type", "traceparent", "tracestate", "baggage", "Authorization"} {
				Expect(preflight.Header.Get("Access-Control-Allow-Headers")).To(ContainSubstring(name), path)
			}
			// A page also has to read why it is refused.
			refused := world.Call(
				"",
				http.MethodPost,
				path,
				`{"token": "phc_unknown", "distinct_id": "ann"}`,
				"Origin",
				"https://shop.example",
			)
			Expect(refused.Status).To(BeElementOf(http.StatusUnauthorized, http.StatusMethodNotAllowed), path)
			Expect(refused.Header.Get("Access-Control-Allow-Origin")).To(Equal("*"), path)
			Expect(refused.Header.Values("Access-Control-Allow-Credentials")).To(BeEmpty(), path)
		}
		By("letting no page manage flags with a visitor's session")
		managed := world.Call(s.editor, http.MethodGet, s.flags, nil, "Origin", "https://shop.example")
		Expect(managed.Header.Values("Access-Control-Allow-Origin")).To(BeEmpty())
	})

	It("finds the configuration of a page", func() {
		s := openShop()
		s.create(`{"key": "on", "filters": {"groups": [{}]}}`)
		config := world.Call("", http.MethodGet, "/array/"+s.client+"/config", nil)
		Expect(config.Status).To(Equal(http.StatusOK))
		Expect(object(config)).To(And(
			HaveKeyWithValue("token", s.client), HaveKeyWithValue("hasFeatureFlags", true), HaveKeyWithValue("surveys", false),
			HaveKeyWithValue("sessionRecording", false), HaveKeyWithValue("supportedCompression", ContainElement("gzip-js")),
		))
		script := world.Call("", http.MethodGet, "/array/"+s.client+"/config.js?x=1", nil)
		Expect(script.Status).To(Equal(http.StatusOK))
		Expect(script.Header.Get("Content-Type")).To(HavePrefix("application/javascript"))
		Expect(string(script.Body)).To(And(
			ContainSubstring(`window._POSTHOG_REMOTE_CONFIG["`+s.client+`"] = {"config":{`), ContainSubstring(`"siteApps":[]`),
		))
		for _, path := range []string{"/array/phc_x/config", "/array/phc_x/config.js"} {
			Expect(world.Call("", http.MethodGet, path, nil).Status).To(Equal(http.StatusUnauthorized), path)
		}
	})

	It("is counted where it is events", func() {
		s := openShop()
		for path, body := range map[string]string{
			"/batch/":    `{"api_key": "` + s.server + `", "batch": [{"event": "a"}, {"event": "b"}]}`,
			"/e/":        `[{"event": "a", "properties": {"token": "` + s.client + `"}}]`,
			"/i/v0/e/":   `{"event": "a", "token": "` + s.client + `"}`,
			"/capture/":  `{"event": "a", "api_key": "` + s.client + `"}`,
			"/track":     `{"event": "a", "$token": "` + s.client + `"}`,
			"/engage/":   `{"data": [{}], "token": "` + s.client + `"}`,
			"/e/?ip=0&x": `{"event": "a", "token": "` + s.client + `"}`,
		} {
			answer := world.Call("", http.MethodPost, path, body, "Content-Type", "text/plain")
			Expect(answer.Status).To(Equal(http.StatusOK), path+": "+string(answer.Body))
			Expect(object(answer)).To(HaveKeyWithValue("status", 1.0), path)
		}
		Expect(captured(s.name, "event")).To(Equal(8.0))
		recorded := world.Call(
			"",
			http.MethodPost,
			"/s/?token="+s.client+"&beacon=1",
			gzipped(`[{"event": "$snapshot"}]`),
			"Content-Type",
			"text/plain",
		)
		Expect(recorded.Status).To(Equal(http.StatusNoContent))
		Expect(captured(s.name, "recording")).To(Equal(1.0))

		By("refusing what is of nobody, or is nothing")
		for path, status := range map[string]int{
			"/batch/": http.StatusUnauthorized, "/e/?token=phc_x": http.StatusUnauthorized, "/e/?token=" + s.client: http.StatusBadRequest,
		} {
			Expect(world.Call("", http.MethodPost, path, `[]`).Status).To(Equal(status), path)
		}
		Expect(captured(s.name, "event")).To(Equal(8.0))
	})
})
