// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package ofrep_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/internal/server"
)

var _ = Describe("An evaluation of all flags", func() {
	It("answers again only where the answer changed", func() {
		s := newShop()
		first := world.Call(s.server, http.MethodPost, bulk, alice)
		Expect(first.Status).To(Equal(http.StatusOK))
		served, _ := datafiles.Environment(s.name, "production")
		Expect(first.JSON).To(HaveKeyWithValue(
			"metadata", s.answered(map[string]any{"revision": float64(served.Revision().Number)}),
		))
		Expect(first.JSON).To(HaveKeyWithValue("flags", ConsistOf(
			map[string]any{"key": "a//b/../c", "reason": "STATIC", "variant": "on", "value": "blue"},
			map[string]any{
				"key":     "options",
				"reason":  "STATIC",
				"variant": "on",
				"value":   map[string]any{"deep": []any{1.0, "x"}},
			},
			map[string]any{
				"key":      "secret",
				"reason":   "STATIC",
				"variant":  "on",
				"value":    "s",
				"metadata": map[string]any{"team": "payments"},
			},
			map[string]any{
				"key":      "shown",
				"reason":   "STATIC",
				"variant":  "on",
				"value":    "s",
				"metadata": map[string]any{"team": "payments"},
			},
			map[string]any{"key": "size", "reason": "STATIC", "variant": "on", "value": 2.5},
			map[string]any{"key": "ui/dark-mode", "reason": "DEFAULT", "variant": "off", "value": false},
		)))
		etag := first.Header.Get("ETag")
		Expect(etag).To(MatchRegexp(`^W/"[0-9a-f]{32}"$`))

		for _, header := range []string{etag, strings.TrimPrefix(etag, "W/"), `"other", ` + etag, "*"} {
			again := world.Call(
				s.server,
				http.MethodPost,
				bulk+"?flagConfigEtag=x&flagConfigLastModified=y",
				alice,
				"If-None-Match",
				header,
			)
			Expect(again.Status).To(Equal(http.StatusNotModified), header)
			Expect(again.Body).To(BeEmpty())
			Expect(again.Header.Get("ETag")).To(Equal(etag))
		}
		changed := world.Call(
			s.server,
			http.MethodPost,
			bulk,
			`{"context":{"targetingKey":"alice","plan":"beta"}}`,
			"If-None-Match",
			etag,
		)
		Expect(changed.Status).To(Equal(http.StatusOK), "the context changed, and with it an answer")
		Expect(changed.Header.Get("ETag")).NotTo(Equal(etag))
		Expect(changed.JSON).To(HaveKeyWithValue("flags", ContainElement(HaveKeyWithValue("reason", "TARGETING_MATCH"))))

		s.switchOff("size")
		published := world.Call(s.server, http.MethodPost, bulk, alice, "If-None-Match", etag)
		Expect(published.Status).To(Equal(http.StatusOK))
		Expect(
			published.JSON,
		).To(
			HaveKeyWithValue(
				"flags",
				ContainElement(map[string]any{"key": "size", "reason": "DISABLED", "variant": "off", "value": 1.0}),
			),
		)
	})

	It("is the same for whoever may not see what a revision changed", func() {
		s := newShop()
		first := world.Call(s.client, http.MethodPost, bulk, alice)
		before := world.Call(s.server, http.MethodPost, bulk, alice)
		s.switchOff("secret")
		page := world.Call(s.client, http.MethodPost, bulk, alice, "If-None-Match", first.Header.Get("ETag"))
		Expect(page.Status).To(Equal(http.StatusNotModified), "a page would learn that a flag for servers changed")
		program := world.Call(s.server, http.MethodPost, bulk, alice, "If-None-Match", before.Header.Get("ETag"))
		Expect(program.Status).To(Equal(http.StatusOK))
	})

	It("refuses in the shape of an error without a key", func() {
		s := newShop()
		Expect(
			world.Call(s.server, http.MethodPost, bulk, "{", nil...).JSON,
		).To(
			And(HaveLen(2), HaveKeyWithValue("errorCode", "PARSE_ERROR"), HaveKey("errorDetails")),
		)
	})

	It("is empty where nothing is published yet", func() {
		project := world.Project().Name
		s := &shop{name: project, environment: builders.MakeEnvironment("production", project).Manual().Obj()}
		world.Create(s.environment)
		s.server, s.client = s.keys()
		Expect(world.Call(s.server, http.MethodPost, bulk, alice).JSON).To(HaveKeyWithValue("flags", BeEmpty()))
	})

	It("lets the ETag go with the ticket, so that no client keeps one that is too old", func() {
		s := newShop()
		passive := clocktesting.NewFakeClock(time.Now())
		server := newServer(server.Options{Clock: passive}, passive)
		ask := func(etag string) *httptest.ResponseRecorder {
			return to(server, http.MethodPost, bulk, alice, "X-API-Key", s.server, "If-None-Match", etag)
		}
		first := ask("")
		passive.Step(16 * time.Minute)
		second := ask(first.Header().Get("ETag"))
		Expect(second.Code).To(Equal(http.StatusOK))
		Expect(streamOf(second.Body.Bytes())).NotTo(Equal(streamOf(first.Body.Bytes())))
	})

	It("has another ETag for another key, whose stream is another", func() {
		s := newShop()
		first, before := world.Call(s.server, http.MethodPost, bulk, alice), s.server
		rotate := fmt.Appendf(
			nil,
			`{"metadata":{"annotations":{%q:%q}}}`,
			v1alpha1.RotateKeysRequestedAtAnnotation,
			time.Now().UTC().Format(time.RFC3339),
		)
		Expect(
			world.Admin.Patch(context.Background(), s.environment, client.RawPatch(types.MergePatchType, rotate)),
		).To(
			Succeed(),
		)
		Eventually(func() string {
			s.server, _ = s.keys()
			return s.server
		}).ShouldNot(Equal(before))
		Expect(
			world.Call(s.server, http.MethodPost, bulk, alice, "If-None-Match", first.Header.Get("ETag")).Status,
		).To(
			Equal(http.StatusOK),
		)
	})
})
