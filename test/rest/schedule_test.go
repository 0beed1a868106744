// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package rest_test

import (
	"net/http"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/jackstaff-dev/jackstaff/internal/server"
)

// Whoever switches a flag on must not believe that it is on while its schedule keeps it off.
var _ = Describe("A flag whose schedule is ahead", func() {
	It("is shown as not enabled in each view, which says how to switch it on now", func() {
		s := newShop()
		editor := newPerson(s.namespace.Name, "editor", "admin", s.namespace.Name).token
		ahead := awkward(s.namespace.Name)["ahead"]
		world.Create(ahead)
		atono := "/api/v1/flags/ahead/environments/production"
		const on = `{"data": {"type": "flag_environment", "attributes": {"configuration": "on"}}}`
		posthog := "/api/projects/" + s.namespace.Name + "/feature_flags/ahead"
		for path, shown := range map[string]OmegaMatcher{
			s.phaseflag("ahead", "", s.production): HaveKeyWithValue("data", HaveKeyWithValue("enabled", false)),
			s.avsb("/flags/ahead"): HaveKeyWithValue("data", HaveKeyWithValue("environmentConfigs",
				HaveEach(HaveKeyWithValue("enabled", false)))),
			atono:   HaveKeyWithValue("data", HaveKeyWithValue("attributes", HaveKeyWithValue("configuration", "off"))),
			posthog: HaveKeyWithValue("active", false),
			"/projects/" + s.namespace.Name + "/flags/ahead": HaveKeyWithValue("data", And(HaveKeyWithValue("is_active", false),
				HaveKeyWithValue("environments", HaveEach(HaveKeyWithValue("is_active", false))))),
		} {
			Expect(call(editor, http.StatusOK, http.MethodGet, path, nil, in(s, jsonMedia)...).JSON).To(shown, path)
		}
		before := fresh(ahead)
		for _, w := range []struct{ method, path, media, body, send string }{
			{http.MethodPatch, s.avsb("/flags/ahead/envs/production"), jsonMedia, `{"enabled": true}`, "schedulingEnabled"},
			{
				http.MethodPatch, s.avsb("/flags/ahead/envs/production"), jsonMedia,
				`{"enabled": true, "timezone": "Asia/Tokyo"}`, "schedulingEnabled",
			},
			{http.MethodPost, s.phaseflag("ahead", "/toggle", s.production), jsonMedia, `{"enabled": true}`, "clear_schedule"},
			{http.MethodPatch, posthog, jsonMedia, `{"active": true}`, "?replace=true"},
			{http.MethodPatch, atono, jsonapiMedia, on, "?replace=true"},
		} {
			answer := call(editor, http.StatusUnprocessableEntity, w.method, w.path, w.body, in(s, w.media)...)
			Expect(string(answer.Body)).To(And(ContainSubstring("schedule"), ContainSubstring(w.send)), w.path)
			Expect(fresh(ahead).Spec).To(Equal(before.Spec), w.path)
		}
	})

	It("stays off when its schedule comes, after an off in any view", func() {
		s := newShop()
		editor := newPerson(s.namespace.Name, "editor", "admin", s.namespace.Name).token
		for kind, flag := range awkward(s.namespace.Name) {
			if kind != "ahead" && kind != "owned-scheduled" {
				continue
			}
			for _, w := range []struct{ view, method, path, media, body string }{
				{"avsb", http.MethodPatch, s.avsb("/flags/%s/envs/production"), jsonMedia, `{"enabled": false}`},
				{"phaseflag", http.MethodPost, s.phaseflag("%s", "/toggle", s.production), jsonMedia, `{"enabled": false}`},
				{
					"posthog", http.MethodPatch, "/api/projects/" + s.namespace.Name + "/feature_flags/%s", jsonMedia,
					`{"active": false}`,
				},
				{
					"atono", http.MethodPatch, "/api/v1/flags/%s/environments/production", jsonapiMedia,
					`{"data": {"type": "flag_environment", "attributes": {"configuration": "off"}}}`,
				},
			} {
				flag := flag.DeepCopy()
				flag.Name = kind + "-" + w.view
				world.Create(flag)
				path := strings.ReplaceAll(w.path, "%s", flag.Name)
				call(editor, http.StatusOK, w.method, path, w.body, in(s, w.media)...)
				Expect(server.OffAnyway(fresh(flag), "production")).To(BeTrue(), "%s: its schedule switches it on", flag.Name)
			}
		}
	})
})
