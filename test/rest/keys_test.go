// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package rest_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/internal/server/servertest"
)

// text is JSON text.
func text(value any) string {
	GinkgoHelper()
	data, err := json.Marshal(value)
	Expect(err).NotTo(HaveOccurred())
	return string(data)
}

// Files of flagd have keys of every form. A flag that some view cannot reach by its key cannot be switched off there.
var _ = Describe("Keys of real flagd files", func() {
	keys := []string{"promo: 10% off", "ui/dark:mode", "ünder 100%25?", "a+b#c&d=e", "toggle", "activity"}

	It("are those of flags and variations in each view, and of what is evaluated", func() {
		s := newShop()
		admin := newPerson(s.namespace.Name, "admin", "admin", s.namespace.Name).token
		inProduction := in(s, jsonMedia)
		for i, key := range keys {
			flag := builders.MakeFlag("flag-"+string(rune('a'+i)), s.namespace.Name).Key(key).Type(v1alpha1.FlagTypeString).
				Variation("10%", `"ten"`).Variation("dark: blue", `"blue"`).DefaultVariation("10%").
				Environment("production").Fallthrough("10%").Obj()
			world.Create(flag)
			escaped := url.PathEscape(key)

			By("reading and sending back " + key)
			for _, view := range s.writings(escaped) {
				headers := in(s, jsonMedia)
				if view.media != "" {
					headers = in(s, view.media)
				}
				if view.view == "posthog" && key == "activity" {
					view.read = strings.Replace(view.read, "/activity", "/key:activity", 1)
					view.write = view.read
				}
				read := object(call(admin, http.StatusOK, http.MethodGet, view.read, nil, headers...).Body)
				if view.inside != "" {
					read, _ = read[view.inside].(map[string]any)
				}
				call(admin, http.StatusOK, view.method, view.write, read, headers...)
			}
			shown := call(admin, http.StatusOK, http.MethodGet, "/projects/"+s.namespace.Name+"/flags/"+escaped, nil)
			Expect(shown.JSON).To(HaveKeyWithValue("data", HaveKeyWithValue("key", key)))

			By("changing what is served for " + key)
			config := s.avsb("/flags/" + escaped + "/envs/production")
			call(admin, http.StatusOK, http.MethodPatch, config, `{"defaultVariationId": "dark: blue"}`)
			call(admin, http.StatusOK, http.MethodPut, config+"/overrides",
				`{"overrides": [{"userId": "alice", "variationId": "10%"}]}`)
			call(admin, http.StatusCreated, http.MethodPost, config+"/rules", `{"type": "TARGETED_DELIVERY", "name": "50%: half",
				"conditions": [{"attribute": "plan", "operator": "In", "values": ["beta"]}],
				"variations": [{"variationId": "10%", "percentage": 0.5}, {"variationId": "dark: blue", "percentage": 0.5}]}`)
			put := call(admin, http.StatusOK, http.MethodPut, s.phaseflag(escaped, "", s.production), text(map[string]any{
				"default_variation": "10%", "targeting_rules": []any{map[string]any{
					"name": "100%", "variation": "dark: blue",
					"conditions": []any{map[string]any{"attribute": "plan", "operator": "is", "value": "beta"}},
				}},
			}))
			Expect(put.JSON).To(HaveKeyWithValue("data", And(HaveKeyWithValue("default_variation", "10%"),
				HaveKeyWithValue("targeting_rules", ConsistOf(HaveKeyWithValue("variation", "dark: blue"))))))
			for _, on := range []bool{false, true} {
				call(admin, http.StatusOK, http.MethodPost, s.phaseflag(escaped, "/toggle", s.production), toggled(on))
			}
			call(admin, http.StatusOK, http.MethodGet, s.phaseflag(escaped, "/history", s.production), nil)
		}
		for _, key := range keys {
			By("evaluating " + key)
			ask := func() *servertest.Answer {
				return world.Call(admin, http.MethodPost, "/ofrep/v1/evaluate/flags/"+url.PathEscape(key),
					`{"context": {"targetingKey": "bob", "plan": "beta"}}`, inProduction...)
			}
			Eventually(func() any { return ask().JSON }).Should(And(HaveKeyWithValue("key", key),
				HaveKeyWithValue("variant", "dark: blue"), HaveKeyWithValue("value", "blue")))
			evaluated := call(admin, http.StatusOK, http.MethodPost, "/api/v1/evaluate?environment_id="+string(s.production.UID),
				text(map[string]any{"flags": []string{key}, "context": map[string]any{"user_key": "alice"}}))
			Expect(evaluated.JSON).To(HaveKeyWithValue("data", HaveKeyWithValue("evaluations",
				HaveKeyWithValue(key, HaveKeyWithValue("variation_key", "10%")))))
		}
	})

	It("are created through each view", func() {
		s := newShop()
		admin := newPerson(s.namespace.Name, "admin", "admin", s.namespace.Name).token
		// Of flags' keys the reference of phaseflag takes slugs alone.
		keyOf := func(view string) string {
			if view == "phaseflag" {
				return "promo"
			}
			return "promo: 10% off/ü"
		}
		for view, make := range map[string]func() *servertest.Answer{
			"avsb": func() *servertest.Answer {
				return world.Call(admin, http.MethodPost, s.avsb("/flags"), `{"name": "A", "key": "promo: 10% off/ü", "type": "STRING",
					"variations": [{"name": "A", "key": "10%", "value": "\"a\""}, {"name": "B", "key": "dark: blue", "value": "\"b\""}],
					"defaultVariationKey": "10%"}`)
			},
			"phaseflag": func() *servertest.Answer {
				return world.Call(admin, http.MethodPost, "/api/v1/flags?environment_id="+string(s.production.UID), `{"name": "A",
					"key": "promo", "flag_type": "string", "default_variation": "10%", "variations": [
					{"key": "10%", "name": "A", "value": "a"}, {"key": "dark: blue", "name": "B", "value": "b"}]}`)
			},
			"flagmint": func() *servertest.Answer {
				return world.Call(admin, http.MethodPost, "/projects/"+s.namespace.Name+"/flags",
					`{"name": "A", "key": "promo: 10% off/ü", "envId": "production"}`)
			},
			"posthog": func() *servertest.Answer {
				return world.Call(admin, http.MethodPost, "/api/projects/"+s.namespace.Name+"/feature_flags",
					`{"key": "promo: 10% off/ü", "active": false, "_should_create_usage_dashboard": false, "filters": {"groups": [{}],
					"multivariate": {"variants": [{"key": "10%", "rollout_percentage": 50}, {"key": "dark: blue", "rollout_percentage": 50}]}}}`,
					in(s, jsonMedia)...)
			},
		} {
			answer := make()
			Expect(answer.Status).To(Equal(http.StatusCreated), "%s: %s", view, answer.Body)
			call(admin, http.StatusNoContent, http.MethodDelete, s.avsb("/flags/"+url.PathEscape(keyOf(view))), nil)
		}
	})
})

// Whoever may not change a flag would learn by a request that changes nothing what the flag is like, and take it for
// the right to change it.
var _ = Describe("A write that changes nothing", func() {
	It("is refused in each view and verb to whoever may not write, and is none for whoever may", func() {
		s := newShop()
		viewer := newPerson(s.namespace.Name, "viewer", "viewer", s.namespace.Name).token
		editor := newPerson(s.namespace.Name, "editor", "admin", s.namespace.Name).token
		rule := call(editor, http.StatusCreated, http.MethodPost, s.avsb("/flags/new_checkout/envs/staging/rules"),
			`{"type": "TARGETED_DELIVERY", "name": "Second", "variations": [{"variationId": "on", "percentage": 1}]}`)
		second, _ := object(rule.Body)["data"].(map[string]any)
		const off = `{"data": {"type": "flag_environment", "attributes": {"configuration": "off"}}}`
		type write struct {
			method, path, media string
			body                any
		}
		writes := []write{
			{http.MethodPatch, s.avsb("/flags/new_checkout"), jsonMedia, `{}`},
			{http.MethodPatch, s.avsb("/flags/new_checkout/envs/production"), jsonMedia, toggled(false)},
			{http.MethodPatch, s.avsb("/flags/new_checkout/envs/production"), jsonMedia, `{"schedulingEnabled": false}`},
			{http.MethodPut, s.avsb("/flags/new_checkout/envs/staging/overrides"), jsonMedia, `{"overrides": []}`},
			{
				http.MethodPut, s.avsb("/flags/new_checkout/envs/staging/rules/reorder"), jsonMedia,
				map[string]any{"ruleIds": []any{"beta", second["id"]}},
			},
			{http.MethodPatch, s.avsb("/flags/new_checkout/envs/staging/rules/beta"), jsonMedia, `{}`},
			{http.MethodPut, s.phaseflag("new_checkout", "", s.production), jsonMedia, `{}`},
			{http.MethodPost, s.phaseflag("new_checkout", "/toggle", s.production), jsonMedia, toggled(false)},
			{
				http.MethodPost, s.phaseflag("new_checkout", "/toggle", s.production), jsonMedia,
				`{"enabled": false, "clear_schedule": true}`,
			},
			{http.MethodPatch, "/api/v1/flags/new_checkout/environments/production", jsonapiMedia, off},
			{http.MethodPatch, "/api/projects/" + s.namespace.Name + "/feature_flags/new_checkout", jsonMedia, `{}`},
			{
				http.MethodPatch,
				"/api/projects/" + s.namespace.Name + "/feature_flags/new_checkout",
				jsonMedia,
				`{"active": false}`,
			},
			{
				http.MethodPatch,
				"/api/projects/" + s.namespace.Name + "/feature_flags/new_checkout",
				jsonMedia,
				`{"deleted": false}`,
			},
		}
		before := fresh(s.flag)
		for _, w := range writes {
			call(viewer, http.StatusForbidden, w.method, w.path, w.body, in(s, w.media)...)
			call(editor, http.StatusOK, w.method, w.path, w.body, in(s, w.media)...)
			Expect(fresh(s.flag).Spec).To(Equal(before.Spec), "%s %s %v", w.method, w.path, w.body)
		}
		call(editor, http.StatusOK, http.MethodPost, s.avsb("/flags/new_checkout/archive"), nil)
		call(viewer, http.StatusForbidden, http.MethodPost, s.avsb("/flags/new_checkout/archive"), nil)
		call(viewer, http.StatusForbidden, http.MethodDelete, s.phaseflag("new_checkout", "", s.production), nil)
		call(viewer, http.StatusForbidden, http.MethodDelete, s.avsb("/flags/new_checkout"), nil)
	})
})
