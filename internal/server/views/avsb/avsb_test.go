// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package avsb_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
)

// checkout is the example of the reference.
const checkout = `{
	"name": "New Checkout Flow", "key": "new_checkout", "type": "BOOLEAN", "description": "Enable the redesigned checkout experience",
	"variations": [{"name": "Off", "key": "off", "value": "false"}, {"name": "On", "key": "on", "value": "true"}],
	"defaultVariationKey": "off"
}`

// colours is a flag whose variations are red, blue and green.
const colours = `{
	"name": "Button", "key": "button", "type": "STRING", "defaultVariationKey": "red",
	"variations": [{"key": "red", "value": "\"red\""}, {"key": "blue", "value": "\"blue\""}, {"key": "green", "value": "\"green\""}]
}`

func (s *shop) flagObject(name string) *v1alpha1.FeatureFlag {
	return builders.MakeFlag(name, s.namespace.Name).Obj()
}

var _ = Describe("Flags", func() {
	It("are created as drafts that are off everywhere, and read back field by field", func() {
		s := newShop()
		answer := s.call(s.editor, http.StatusCreated, http.MethodPost, "/flags", checkout)
		stored := fresh(s.flagObject("new-checkout"))
		created := data(answer)
		Expect(answer.Header.Get("ETag")).NotTo(BeEmpty())
		Expect(created).To(And(
			HaveKeyWithValue(
				"id",
				string(stored.UID),
			),
			HaveKeyWithValue("name", "New Checkout Flow"),
			HaveKeyWithValue("key", "new_checkout"),
			HaveKeyWithValue("description", "Enable the redesigned checkout experience"),
			HaveKeyWithValue("type", "BOOLEAN"),
			HaveKeyWithValue(
				"status",
				"DRAFT",
			),
			HaveKeyWithValue("isStale", false),
			HaveKeyWithValue("defaultVariationKey", "off"),
			HaveKeyWithValue("variations", []any{
				map[string]any{"id": "off", "name": "Off", "key": "off", "value": "false"},
				map[string]any{"id": "on", "name": "On", "key": "on", "value": "true"},
			}),
			HaveKeyWithValue("audiences", []any{}),
			Not(HaveKey("managedBy")),
		))
		Expect(created["createdAt"]).To(MatchRegexp(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$`))
		Expect(configOf(created, "production")).To(Equal(map[string]any{
			"environmentId": string(
				s.production.UID,
			),
			"environmentKey":     "production",
			"environmentName":    "Production",
			"isProduction":       true,
			"enabled":            false,
			"hasPendingChanges":  true,
			"defaultVariationId": "off",
			"schedulingEnabled":  false,
			"scheduledEnableAt":  nil,
			"scheduledDisableAt": nil,
			"timezone":           nil,
			"rules":              []any{},
			"overrides":          []any{},
		}))
		Eventually(func(g Gomega) {
			flags := list(s.call(s.viewer, http.StatusOK, http.MethodGet, "/flags", nil))
			g.Expect(flags).To(HaveLen(1))
			g.Expect(
				flags[0],
			).To(
				And(HaveKeyWithValue("key", "new_checkout"), HaveKeyWithValue("isStale", false), Not(HaveKey("audiences"))),
			)
			g.Expect(configOf(flags[0], "staging")).To(Equal(map[string]any{
				"environmentId": string(
					s.staging.UID,
				),
				"environmentKey":    "staging",
				"environmentName":   "staging",
				"isProduction":      false,
				"enabled":           false,
				"hasPendingChanges": false,
			}))
		}).Should(Succeed())
		for _, id := range []string{string(stored.UID), "new_checkout", "new-checkout"} {
			Expect(
				data(s.call(s.viewer, http.StatusOK, http.MethodGet, "/flags/"+id, nil)),
			).To(
				HaveKeyWithValue("id", string(stored.UID)),
			)
		}
		byUID := strings.Replace(s.path, s.namespace.Name, string(s.namespace.UID), 1)
		Expect(world.Call(s.viewer, http.MethodGet, byUID+"/flags/new_checkout", nil).Status).To(Equal(http.StatusOK))
	})

	It("hide projects of other organizations and of other people", func() {
		s, other := newShop(), newShop()
		Expect(
			world.Call(s.viewer, http.MethodGet, strings.Replace(s.path, "default", "acme", 1)+"/flags", nil).Status,
		).To(
			Equal(http.StatusNotFound),
		)
		s.call("", http.StatusUnauthorized, http.MethodGet, "/flags", nil)
		s.call(s.stranger, http.StatusForbidden, http.MethodGet, "/flags", nil)
		s.call(s.stranger, http.StatusForbidden, http.MethodPost, "/flags", checkout)
		// Whether there is such a project must not show.
		for _, path := range []string{other.path, "/api/orgs/default/projects/nowhere", "/api/orgs/acme/projects/" + other.namespace.Name} {
			Expect(world.Call(s.viewer, http.MethodGet, path+"/flags", nil).Status).To(Equal(http.StatusForbidden))
			Expect(world.Call(s.editor, http.MethodPost, path+"/flags", checkout).Status).To(Equal(http.StatusForbidden))
		}
	})

	It("are refused where the request is wrong, in words that name the field", func() {
		s := newShop()
		replaced := func(old, by string) string {
			Expect(checkout).To(ContainSubstring(old))
			return strings.Replace(checkout, old, by, 1)
		}
		for name, wrong := range map[string]struct {
			body   string
			status int
			says   string
		}{
			"malformed":          {`{"name": `, http.StatusBadRequest, ""},
			"empty":              {``, http.StatusBadRequest, "body"},
			"of another shape":   {`[]`, http.StatusUnprocessableEntity, "object"},
			"a wrong type":       {replaced(`"New Checkout Flow"`, `7`), http.StatusUnprocessableEntity, "name"},
			"an unknown field":   {replaced(`"description"`, `"descripton"`), http.StatusUnprocessableEntity, "descripton"},
			"a missing field":    {replaced(`"type": "BOOLEAN",`, ``), http.StatusUnprocessableEntity, "type"},
			"no variations":      {replaced(`{"name": "Off", "key": "off", "value": "false"}, {"name": "On", "key": "on", "value": "true"}`, ``), http.StatusUnprocessableEntity, "variations"},
			"null variations":    {`{"name": "a", "key": "a", "type": "BOOLEAN", "variations": null, "defaultVariationKey": "off"}`, http.StatusUnprocessableEntity, "variations"},
			"an unknown type":    {replaced(`BOOLEAN`, `bool`), http.StatusUnprocessableEntity, "type"},
			"three booleans":     {replaced(`"variations": [`, `"variations": [{"key": "x", "value": "true"}, `), http.StatusUnprocessableEntity, "variations"},
			"no boolean":         {replaced(`"value": "true"`, `"value": "\"true\""`), http.StatusUnprocessableEntity, "variations[1].value"},
			"no JSON text":       {replaced(`"value": "true"`, `"value": "yes"`), http.StatusUnprocessableEntity, "variations[1].value"},
			"the same twice":     {replaced(`"key": "on"`, `"key": "off"`), http.StatusUnprocessableEntity, "variations[1]"},
			"an unknown default": {replaced(`"defaultVariationKey": "off"`, `"defaultVariationKey": "none"`), http.StatusUnprocessableEntity, "defaultVariationKey"},
			"a malformed key":    {replaced(`new_checkout`, `new\tcheckout`), http.StatusUnprocessableEntity, "key"},
			"a long name":        {replaced(`New Checkout Flow`, strings.Repeat("x", 257)), http.StatusUnprocessableEntity, "name"},
			"a variation's id":   {replaced(`{"name": "Off"`, `{"id": "old", "name": "Off"`), http.StatusUnprocessableEntity, "variations[0].id"},
			"too long":           {replaced(`New Checkout Flow`, strings.Repeat("x", 1<<20)), http.StatusRequestEntityTooLarge, ""},
		} {
			By(name)
			Expect(
				message(s.call(s.editor, wrong.status, http.MethodPost, "/flags", wrong.body)),
			).To(
				ContainSubstring(wrong.says),
			)
		}
		s.call(s.editor, http.StatusUnsupportedMediaType, http.MethodPost, "/flags", checkout, "Content-Type", "text/yaml")
		s.call(s.viewer, http.StatusForbidden, http.MethodPost, "/flags", checkout)
		s.call("", http.StatusUnauthorized, http.MethodPost, "/flags", checkout)
		Expect(list(s.call(s.viewer, http.StatusOK, http.MethodGet, "/flags", nil))).To(BeEmpty())

		s.call(s.editor, http.StatusCreated, http.MethodPost, "/flags", checkout)
		Expect(
			message(s.call(s.editor, http.StatusConflict, http.MethodPost, "/flags", checkout)),
		).To(
			ContainSubstring("key"),
		)
		s.call(
			s.editor,
			http.StatusCreated,
			http.MethodPost,
			"/flags",
			strings.Replace(checkout, "new_checkout", "new/checkout/flow", 1),
		)
		s.call(s.viewer, http.StatusOK, http.MethodGet, "/flags/new%2Fcheckout%2Fflow", nil)
		s.call(
			s.editor,
			http.StatusCreated,
			http.MethodPost,
			"/flags",
			strings.Replace(checkout, "new_checkout", "promo: 10% off", 1),
		)
		s.call(s.viewer, http.StatusOK, http.MethodGet, "/flags/promo:%2010%25%20off", nil)
		s.call(s.editor, http.StatusNoContent, http.MethodDelete, "/flags/promo:%2010%25%20off", nil)
		// Another key that makes the same name.
		s.call(
			s.editor,
			http.StatusCreated,
			http.MethodPost,
			"/flags",
			strings.Replace(checkout, "new_checkout", "new.checkout", 1),
		)
		fresh(s.flagObject("new-checkout-2"))
	})

	It("take another name and description, and no other key or type", func() {
		s := newShop()
		created := s.call(s.editor, http.StatusCreated, http.MethodPost, "/flags", checkout)
		updated := s.call(
			s.editor,
			http.StatusOK,
			http.MethodPatch,
			"/flags/new_checkout",
			`{"name": "Checkout", "key": "new_checkout", "type": "BOOLEAN"}`,
		)
		Expect(
			data(updated),
		).To(
			And(
				HaveKeyWithValue("name", "Checkout"),
				HaveKeyWithValue("description", "Enable the redesigned checkout experience"),
			),
		)
		Expect(
			data(s.call(s.editor, http.StatusOK, http.MethodPatch, "/flags/new_checkout", `{"description": ""}`)),
		).To(
			HaveKeyWithValue("description", ""),
		)
		before := fresh(s.flagObject("new-checkout"))
		Expect(
			message(
				s.call(s.editor, http.StatusUnprocessableEntity, http.MethodPatch, "/flags/new_checkout", `{"key": "other"}`),
			),
		).To(
			ContainSubstring("key"),
		)
		Expect(
			message(
				s.call(s.editor, http.StatusUnprocessableEntity, http.MethodPatch, "/flags/new_checkout", `{"type": "JSON"}`),
			),
		).To(
			ContainSubstring("type"),
		)
		Expect(
			message(
				s.call(s.editor, http.StatusUnprocessableEntity, http.MethodPatch, "/flags/new_checkout", `{"status": "ACTIVE"}`),
			),
		).To(
			ContainSubstring("status"),
		)
		s.call(
			s.editor,
			http.StatusPreconditionFailed,
			http.MethodPatch,
			"/flags/new_checkout",
			`{"name": "x"}`,
			"If-Match",
			created.Header.Get("ETag"),
		)
		s.call(s.viewer, http.StatusForbidden, http.MethodPatch, "/flags/new_checkout", `{"name": "x"}`)
		s.call(s.editor, http.StatusNotFound, http.MethodPatch, "/flags/nothing", `{"name": "x"}`)
		Expect(fresh(before).Generation).To(Equal(before.Generation))
	})

	It("can be deleted while they are drafts and once they are archived", func() {
		s := newShop()
		s.call(s.editor, http.StatusCreated, http.MethodPost, "/flags", checkout)
		s.call(s.viewer, http.StatusForbidden, http.MethodDelete, "/flags/new_checkout", nil)
		By("deleting it as somebody who may list nothing")
		remover := world.Token(s.namespace.Name, "remover", "get", "delete")
		s.call(remover, http.StatusNoContent, http.MethodDelete, "/flags/new_checkout", nil)
		s.call(s.editor, http.StatusNotFound, http.MethodGet, "/flags/new_checkout", nil)

		s.call(s.editor, http.StatusCreated, http.MethodPost, "/flags", checkout)
		s.call(s.editor, http.StatusOK, http.MethodPatch, "/flags/new_checkout/envs/production", `{"enabled": true}`)
		Expect(
			data(s.call(s.editor, http.StatusOK, http.MethodGet, "/flags/new_checkout", nil)),
		).To(
			HaveKeyWithValue("status", "ACTIVE"),
		)
		Expect(
			message(s.call(s.editor, http.StatusUnprocessableEntity, http.MethodDelete, "/flags/new_checkout", nil)),
		).To(
			ContainSubstring("archive"),
		)
		By("deleting it as somebody who may not read the environment in which it is on")
		s.call(s.editor, http.StatusOK, http.MethodPatch, "/flags/new_checkout/envs/staging", `{"enabled": true}`)
		s.call(s.editor, http.StatusOK, http.MethodPatch, "/flags/new_checkout/envs/staging", `{"enabled": false}`)
		blind := world.Token(s.namespace.Name, "blind", "get", "delete")
		s.seesOnly("blind", "staging")
		s.call(blind, http.StatusUnprocessableEntity, http.MethodDelete, "/flags/new_checkout", nil)
		Eventually(func() any { return fresh(s.flagObject("new-checkout")).Status.Phase }).Should(Equal(v1alpha1.PhaseActive))
		s.call(s.editor, http.StatusOK, http.MethodPost, "/environments/production/publish", nil)

		s.call(s.editor, http.StatusOK, http.MethodPatch, "/flags/new_checkout/envs/production", `{"enabled": false}`)
		Expect(
			data(s.call(s.viewer, http.StatusOK, http.MethodGet, "/flags/new_checkout", nil)),
		).To(
			HaveKeyWithValue("status", "INACTIVE"),
		)
		s.call(s.editor, http.StatusUnprocessableEntity, http.MethodDelete, "/flags/new_checkout", nil)
		s.call(s.editor, http.StatusOK, http.MethodPatch, "/flags/new_checkout/envs/production", `{"enabled": true}`)

		s.call(s.viewer, http.StatusForbidden, http.MethodPost, "/flags/new_checkout/archive", nil)
		archived := data(s.call(s.editor, http.StatusOK, http.MethodPost, "/flags/new_checkout/archive", nil))
		Expect(archived).To(HaveKeyWithValue("status", "ARCHIVED"))
		Expect(configOf(archived, "production")).To(HaveKeyWithValue("hasPendingChanges", true))
		Eventually(
			func() any { return fresh(s.flagObject("new-checkout")).Status.Phase },
		).Should(
			Equal(v1alpha1.PhaseArchived),
		)
		Expect(
			configOf(data(s.call(s.editor, http.StatusOK, http.MethodGet, "/flags/new_checkout", nil)), "production"),
		).To(
			HaveKeyWithValue("hasPendingChanges", true),
		)
		s.call(s.editor, http.StatusNoContent, http.MethodDelete, "/flags/new_checkout", nil)
	})

	It("of a GitOps tool say so, and are changed in Git, but can be switched off", func() {
		s := newShop()
		flag := builders.MakeFlag("payments", s.namespace.Name).Boolean().Environment("staging").
			Annotation("argocd.argoproj.io/tracking-id", "shop:flags.jackstaff.dev/FeatureFlag:shop/payments").Obj()
		world.Create(flag)
		Expect(data(s.call(s.viewer, http.StatusOK, http.MethodGet, "/flags/payments", nil))).To(
			HaveKeyWithValue("managedBy", map[string]any{"tool": "Argo CD", "application": "shop"}))
		for path, body := range map[string]string{"": `{"name": "x"}`, "/envs/staging": `{"enabled": true, "defaultVariationId": "on"}`} {
			Expect(
				message(s.call(s.editor, http.StatusConflict, http.MethodPatch, "/flags/payments"+path, body)),
			).To(
				ContainSubstring("Argo CD (shop)"),
			)
		}
		off := data(s.call(s.editor, http.StatusOK, http.MethodPatch, "/flags/payments/envs/staging", `{"enabled": false}`))
		Expect(off).To(HaveKeyWithValue("enabled", false))
		Expect(fresh(flag).Annotations).To(HaveKeyWithValue(v1alpha1.ForceDisabledAnnotation, "staging"))
		Expect(
			data(s.call(s.editor, http.StatusOK, http.MethodPatch, "/flags/payments/envs/staging", `{"enabled": true}`)),
		).To(
			HaveKeyWithValue("enabled", true),
		)
		Expect(fresh(flag).Annotations).To(HaveKeyWithValue(v1alpha1.ForceDisabledAnnotation, ""))
	})
})

var _ = Describe("Variations", func() {
	It("are changed, added and renamed, and what uses one follows", func() {
		s := newShop()
		s.call(s.editor, http.StatusCreated, http.MethodPost, "/flags", colours)
		s.call(
			s.editor,
			http.StatusCreated,
			http.MethodPost,
			"/flags/button/envs/staging/rules",
			`{"type": "AB_TEST", "name": "Colours", "variations": [{"variationId": "blue", "percentage": 0.5}, {"variationId": "green", "percentage": 0.5}]}`,
		)
		s.call(
			s.editor,
			http.StatusOK,
			http.MethodPut,
			"/flags/button/envs/staging/overrides",
			`{"overrides": [{"userId": "alice", "variationId": "blue"}]}`,
		)
		s.call(s.editor, http.StatusOK, http.MethodPatch, "/flags/button/envs/staging", `{"defaultVariationId": "blue"}`)

		before := fresh(s.flagObject("button"))
		refused := message(s.call(s.editor, http.StatusUnprocessableEntity, http.MethodPut, "/flags/button/variations",
			`{"variations": [{"id": "red", "key": "red", "value": "\"red\""}]}`))
		Expect(
			refused,
		).To(
			And(ContainSubstring(`variation "blue"`), ContainSubstring(`rule "Colours" in environment "staging"`),
				ContainSubstring(`the override for "alice"`), ContainSubstring(`variation "green"`)),
		)
		Expect(message(s.call(s.editor, http.StatusUnprocessableEntity, http.MethodPut, "/flags/button/variations",
			`{"variations": [{"id": "nothing", "key": "red", "value": "\"red\""}]}`))).To(ContainSubstring("variations[0].id"))
		// A name that becomes free by removing must not be taken over by a renaming unseen.
		Expect(message(s.call(
			s.editor,
			http.StatusUnprocessableEntity,
			http.MethodPut,
			"/flags/button/variations",
			`{"variations": [{"id": "red", "key": "blue", "value": "\"red\""}, {"id": "green", "key": "green", "value": "\"green\""}]}`,
		))).To(ContainSubstring(`variation "blue"`))
		Expect(fresh(before).Generation).To(Equal(before.Generation))

		// The example of the reference, with an id that exists.
		changed := data(s.call(s.editor, http.StatusOK, http.MethodPut, "/flags/button/variations", `{
			"variations": [
				{"id": "blue", "name": "Navy", "key": "navy", "value": "\"navy\""},
				{"name": "Green", "key": "green", "value": "\"green\""},
				{"name": "Yellow", "key": "yellow", "value": "\"yellow\""}
			],
			"defaultVariationKey": "yellow"
		}`))
		Expect(changed).To(And(HaveKeyWithValue("defaultVariationKey", "yellow"), HaveKeyWithValue("variations", []any{
			map[string]any{"id": "navy", "name": "Navy", "key": "navy", "value": `"navy"`},
			map[string]any{"id": "green", "name": "Green", "key": "green", "value": `"green"`},
			map[string]any{"id": "yellow", "name": "Yellow", "key": "yellow", "value": `"yellow"`},
		})))
		staging := configOf(changed, "staging")
		Expect(staging).To(And(HaveKeyWithValue("defaultVariationId", "navy"),
			HaveKeyWithValue("overrides", []any{map[string]any{"userId": "alice", "variationId": "navy"}})))
		Expect(staging["rules"].([]any)[0]).To(HaveKeyWithValue("variations", []any{
			map[string]any{"variationId": "navy", "percentage": 0.5}, map[string]any{"variationId": "green", "percentage": 0.5},
		}))
	})

	It("swap their keys in one request", func() {
		s := newShop()
		s.call(s.editor, http.StatusCreated, http.MethodPost, "/flags", checkout)
		swapped := data(s.call(s.editor, http.StatusOK, http.MethodPut, "/flags/new_checkout/variations",
			`{"variations": [{"id": "off", "key": "on", "value": "false"}, {"id": "on", "key": "off", "value": "true"}]}`))
		Expect(swapped).To(HaveKeyWithValue("defaultVariationKey", "on"))
	})
})

var _ = Describe("A flag in an environment", func() {
	It("is toggled, gets a default and a schedule", func() {
		s := newShop()
		s.call(s.editor, http.StatusCreated, http.MethodPost, "/flags", checkout)
		path := "/flags/new_checkout/envs/" + string(s.production.UID)
		// The example of the reference.
		changed := data(s.call(s.editor, http.StatusOK, http.MethodPatch, path, `{
			"enabled": true, "defaultVariationId": "on", "schedulingEnabled": true, "scheduledEnableAt": "2025-03-15T09:00:00Z", "timezone": "America/New_York"
		}`))
		Expect(changed).To(And(
			HaveKeyWithValue(
				"environmentKey",
				"production",
			),
			HaveKeyWithValue("enabled", true),
			HaveKeyWithValue("hasPendingChanges", true),
			HaveKeyWithValue("defaultVariationId", "on"),
			HaveKeyWithValue("schedulingEnabled", true),
			HaveKeyWithValue(
				"scheduledEnableAt",
				"2025-03-15T09:00:00Z",
			),
			HaveKeyWithValue("scheduledDisableAt", BeNil()),
			HaveKeyWithValue("timezone", "America/New_York"),
		))
		changed = data(
			s.call(
				s.editor,
				http.StatusOK,
				http.MethodPatch,
				path,
				`{"scheduledEnableAt": null, "scheduledDisableAt": "2031-01-01T01:00:00+01:00"}`,
			),
		)
		Expect(
			changed,
		).To(
			And(
				HaveKeyWithValue("scheduledEnableAt", BeNil()),
				HaveKeyWithValue("scheduledDisableAt", "2031-01-01T00:00:00Z"),
				HaveKeyWithValue("enabled", true),
			),
		)
		changed = data(
			s.call(s.editor, http.StatusOK, http.MethodPatch, path, `{"schedulingEnabled": false, "defaultVariationId": null}`),
		)
		Expect(
			changed,
		).To(
			And(
				HaveKeyWithValue("schedulingEnabled", false),
				HaveKeyWithValue("scheduledDisableAt", BeNil()),
				HaveKeyWithValue("timezone", BeNil()),
				HaveKeyWithValue("defaultVariationId", "off"),
				HaveKeyWithValue("enabled", true),
			),
		)

		before := fresh(s.flagObject("new-checkout"))
		for body, says := range map[string]string{
			`{"enabled": "yes"}`:                                                "enabled",
			`{"defaultVariationId": "none"}`:                                    "defaultVariationId",
			`{"schedulingEnabled": true}`:                                       "scheduledEnableAt",
			`{"timezone": "UTC"}`:                                               "scheduledEnableAt",
			`{"scheduledEnableAt": "tomorrow"}`:                                 "scheduledEnableAt",
			`{"enabled": true, "rules": [{"id": "x"}]}`:                         "rules",
			`{"scheduledEnableAt": "2031-01-01T00:00:00Z", "timezone": "Mars"}`: "timezone",
			`{"scheduledEnableAt": "2031-01-01T00:00:00Z", "scheduledDisableAt": "2031-01-01T00:00:00Z"}`: "scheduledDisableAt",
			`{"schedulingEnabled": false, "scheduledDisableAt": "2031-01-01T00:00:00Z"}`:                  "scheduledDisableAt",
		} {
			By(body)
			Expect(
				message(s.call(s.editor, http.StatusUnprocessableEntity, http.MethodPatch, path, body)),
			).To(
				ContainSubstring(says),
			)
		}
		s.call(s.editor, http.StatusBadRequest, http.MethodPatch, path, `{"enabled": tru`)
		s.call(s.editor, http.StatusNotFound, http.MethodPatch, "/flags/new_checkout/envs/nowhere", `{"enabled": true}`)
		s.call(s.editor, http.StatusPreconditionFailed, http.MethodPatch, path, `{"enabled": false}`, "If-Match", `"older"`)
		s.call(s.editor, http.StatusOK, http.MethodPatch, path, `{}`)
		Expect(fresh(before).Generation).To(Equal(before.Generation))
	})

	It("needs the permission to publish in production, as with kubectl", func() {
		s := newShop()
		production := fresh(s.production)
		was := production.DeepCopy()
		production.Spec.Publish.Mode = v1alpha1.PublishModeAutomatic
		Expect(world.Admin.Patch(context.Background(), production, client.MergeFrom(was))).To(Succeed())
		Eventually(func(g Gomega) {
			seen := &v1alpha1.FlagEnvironment{}
			key := client.ObjectKeyFromObject(production)
			g.Expect(world.Manager.GetClient().Get(context.Background(), key, seen)).To(Succeed())
			g.Expect(seen.Spec.Publish.Mode).To(Equal(v1alpha1.PublishModeAutomatic))
		}).Should(Succeed())
		s.call(s.author, http.StatusCreated, http.MethodPost, "/flags", checkout)
		before := fresh(s.flagObject("new-checkout"))
		Expect(
			message(
				s.call(
					s.author,
					http.StatusForbidden,
					http.MethodPatch,
					"/flags/new_checkout/envs/production",
					`{"enabled": true}`,
				),
			),
		).To(
			ContainSubstring("publish"),
		)
		s.call(s.viewer, http.StatusForbidden, http.MethodPatch, "/flags/new_checkout/envs/staging", `{"enabled": true}`)
		Expect(fresh(before).Generation).To(Equal(before.Generation))
		s.call(s.author, http.StatusOK, http.MethodPatch, "/flags/new_checkout/envs/staging", `{"enabled": true}`)
	})

	It("does not take a flag or an environment of another project", func() {
		s, other := newShop(), newShop()
		created := data(other.call(other.editor, http.StatusCreated, http.MethodPost, "/flags", checkout))
		s.call(s.editor, http.StatusCreated, http.MethodPost, "/flags", checkout)
		s.call(
			s.editor,
			http.StatusNotFound,
			http.MethodPatch,
			fmt.Sprintf("/flags/%s/envs/staging", created["id"]),
			`{"enabled": true}`,
		)
		s.call(
			s.editor,
			http.StatusNotFound,
			http.MethodPatch,
			"/flags/new_checkout/envs/"+string(other.staging.UID),
			`{"enabled": true}`,
		)
	})

	It("keeps what somebody else changes elsewhere at the same time", func() {
		s := newShop()
		s.call(s.editor, http.StatusCreated, http.MethodPost, "/flags", checkout)
		var group sync.WaitGroup
		for i := range 10 {
			group.Go(func() {
				defer GinkgoRecover()
				body := fmt.Sprintf(`{"overrides": [{"userId": "user-%d", "variationId": "on"}]}`, i)
				answer := world.Call(s.editor, http.MethodPut, s.path+"/flags/new_checkout/envs/staging/overrides", body)
				Expect(answer.Status).To(Or(Equal(http.StatusOK), Equal(http.StatusConflict)), string(answer.Body))
			})
			patch := client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"spec": {"tags": ["t%d"]}}`, i))
			Expect(world.Admin.Patch(context.Background(), s.flagObject("new-checkout"), patch)).To(Succeed())
		}
		group.Wait()
		stored := fresh(s.flagObject("new-checkout"))
		Expect(stored.Spec.Tags).To(Equal([]string{"t9"}))
		Expect(stored.Spec.Environments[0].Overrides).To(HaveLen(1))
	})

	It("has overrides that are replaced as a whole", func() {
		s := newShop()
		s.call(s.editor, http.StatusCreated, http.MethodPost, "/flags", checkout)
		path := "/flags/new_checkout/envs/staging/overrides"
		Expect(list(s.call(
			s.editor,
			http.StatusOK,
			http.MethodPut,
			path,
			`{"overrides": [{"userId": "alice", "variationId": "on"}, {"userId": "bob", "variationId": "off"}]}`,
		))).To(Equal([]map[string]any{
			{"userId": "alice", "variationId": "on"}, {"userId": "bob", "variationId": "off"},
		}))
		before := fresh(s.flagObject("new-checkout"))
		for body, says := range map[string]string{
			`{}`:                  "overrides",
			`{"overrides": null}`: "overrides",
			`{"overrides": [{"userId": "alice", "variationId": "none"}]}`:                                 "overrides[0].variationId",
			`{"overrides": [{"userId": "a", "variationId": "on"}, {"userId": "a", "variationId": "on"}]}`: "overrides[1].userId",
			`{"overrides": [{"userId": "` + strings.Repeat("x", 257) + `", "variationId": "on"}]}`:        "overrides[0].userId",
			`{"overrides": [{"userId": "alice"}]}`:                                                        "variationId",
			`{"overrides": [{"userId": "alice", "variationId": "on", "until": "2031-01-01"}]}`:            "until",
		} {
			By(body)
			Expect(
				message(s.call(s.editor, http.StatusUnprocessableEntity, http.MethodPut, path, body)),
			).To(
				ContainSubstring(says),
			)
		}
		Expect(fresh(before).Generation).To(Equal(before.Generation))
		Expect(list(s.call(s.editor, http.StatusOK, http.MethodPut, path, `{"overrides": []}`))).To(BeEmpty())
	})
})

var _ = Describe("Rules", func() {
	It("are created, changed, put in order and deleted", func() {
		s := newShop()
		s.call(s.editor, http.StatusCreated, http.MethodPost, "/flags", colours)
		audience := data(
			s.call(
				s.editor,
				http.StatusCreated,
				http.MethodPost,
				"/audiences",
				`{"name": "Beta testers", "members": ["alice"]}`,
			),
		)
		path := "/flags/button/envs/staging/rules"
		// The example of the reference, with the ids of this flag.
		example := `{
			"type": "AB_TEST", "name": "Checkout button colour test", "trafficAllocation": 1.0,
			"variations": [{"variationId": "blue", "percentage": 0.5}, {"variationId": "green", "percentage": 0.5}],
			"audienceIds": [], "hashAttribute": "userId"
		}`
		rule := data(s.call(s.editor, http.StatusCreated, http.MethodPost, path, example))
		Expect(rule).To(Equal(map[string]any{
			"id":                "checkout-button-colour-test",
			"type":              "AB_TEST",
			"name":              "Checkout button colour test",
			"enabled":           true,
			"sortOrder":         0.0,
			"trafficAllocation": 1.0,
			"audienceIds":       []any{},
			"conditions":        []any{},
			"hashAttribute":     "userId",
			"variations": []any{
				map[string]any{"variationId": "blue", "percentage": 0.5},
				map[string]any{"variationId": "green", "percentage": 0.5},
			},
		}))
		second := data(s.call(s.editor, http.StatusCreated, http.MethodPost, path, fmt.Sprintf(`{
			"type": "TARGETED_DELIVERY", "name": "Checkout button colour test", "variations": [{"variationId": "green", "percentage": 1}],
			"audienceIds": [%q], "conditions": [{"attribute": "plan", "operator": "In", "values": ["beta"]}], "trafficAllocation": 0.125, "sortOrder": 0
		}`, audience["id"])))
		Expect(
			second,
		).To(
			And(
				HaveKeyWithValue("id", "checkout-button-colour-test-2"),
				HaveKeyWithValue("sortOrder", 0.0),
				HaveKeyWithValue("trafficAllocation", 0.125),
				HaveKeyWithValue("audienceIds", []any{audience["id"]}),
				HaveKeyWithValue("hashAttribute", "targetingKey"),
				HaveKeyWithValue(
					"conditions",
					[]any{map[string]any{"attribute": "plan", "operator": "In", "values": []any{"beta"}}},
				),
				HaveKeyWithValue("variations", []any{map[string]any{"variationId": "green", "percentage": 1.0}}),
			),
		)
		stored := fresh(s.flagObject("button")).Spec.Environments[0].Rules
		Expect(stored[0].Traffic).To(Equal(v1alpha1.Percent("12.5%")))
		Expect(stored[0].Variation).To(Equal("green"))
		Expect(stored[0].Audiences).To(Equal([]string{"beta-testers"}))
		Expect(
			stored[1].Split,
		).To(
			Equal([]v1alpha1.SplitEntry{{Variation: "blue", Weight: 50000}, {Variation: "green", Weight: 50000}}),
		)
		Expect(
			data(s.call(s.viewer, http.StatusOK, http.MethodGet, "/flags/button", nil)),
		).To(
			HaveKeyWithValue("audiences", []any{
				map[string]any{"id": audience["id"], "name": "Beta testers", "key": "beta-testers"},
			}),
		)

		changed := data(s.call(s.editor, http.StatusOK, http.MethodPatch, path+"/checkout-button-colour-test", `{
			"name": "Colours", "enabled": false, "variations": [
				{"variationId": "red", "percentage": 0.333333}, {"variationId": "blue", "percentage": 0.333333}, {"variationId": "green", "percentage": 0.333334}
			]
		}`))
		Expect(
			changed,
		).To(
			And(
				HaveKeyWithValue("id", "checkout-button-colour-test"),
				HaveKeyWithValue("name", "Colours"),
				HaveKeyWithValue("enabled", false),
				HaveKeyWithValue("hashAttribute", "userId"),
			),
		)
		// What was read can be sent back, and moves nobody.
		before := fresh(s.flagObject("button"))
		delete(changed, "id")
		s.call(s.editor, http.StatusOK, http.MethodPatch, path+"/Colours", changed)
		Expect(fresh(before).Generation).To(Equal(before.Generation))

		ordered := list(
			s.call(
				s.editor,
				http.StatusOK,
				http.MethodPut,
				path+"/reorder",
				`{"ruleIds": ["checkout-button-colour-test", "checkout-button-colour-test-2"]}`,
			),
		)
		Expect(ordered).To(HaveExactElements(
			And(HaveKeyWithValue("id", "checkout-button-colour-test"), HaveKeyWithValue("sortOrder", 0.0)),
			And(HaveKeyWithValue("id", "checkout-button-colour-test-2"), HaveKeyWithValue("sortOrder", 1.0)),
		))
		s.call(s.editor, http.StatusNoContent, http.MethodDelete, path+"/checkout-button-colour-test", nil)
		s.call(s.editor, http.StatusNotFound, http.MethodDelete, path+"/checkout-button-colour-test", nil)
		s.call(s.viewer, http.StatusForbidden, http.MethodDelete, path+"/checkout-button-colour-test-2", nil)
		Expect(
			configOf(data(s.call(s.viewer, http.StatusOK, http.MethodGet, "/flags/button", nil)), "staging")["rules"],
		).To(
			HaveLen(1),
		)
	})

	It("are refused where the request is wrong, in words that name the field", func() {
		s := newShop()
		s.call(s.editor, http.StatusCreated, http.MethodPost, "/flags", colours)
		path := "/flags/button/envs/staging/rules"
		valid := map[string]any{
			"type": "AB_TEST",
			"name": "Colours",
			"variations": []any{
				map[string]any{"variationId": "red", "percentage": 0.5},
				map[string]any{"variationId": "blue", "percentage": 0.5},
			},
		}
		s.call(s.editor, http.StatusCreated, http.MethodPost, path, valid)
		before := fresh(s.flagObject("button"))
		for says, field := range map[string]map[string]any{
			"type":                      {"type": "EXPERIMENT"},
			"name":                      {"name": ""},
			"trafficAllocation":         {"trafficAllocation": 1.5},
			"at most five decimals":     {"trafficAllocation": 0.1234567},
			"sum to 0.5":                {"variations": []any{map[string]any{"variationId": "red", "percentage": 0.5}}},
			"variations":                {"variations": []any{}},
			"variations[1].variationId": {"variations": []any{map[string]any{"variationId": "red", "percentage": 0.5}, map[string]any{"variationId": "none", "percentage": 0.5}}},
			"variations[0].variationId": {"variations": []any{map[string]any{"variationId": "none", "percentage": 1}}},
			"variations[0].percentage":  {"variations": []any{map[string]any{"variationId": "red", "percentage": 2}}},
			"audienceIds[0]":            {"audienceIds": []any{"nobody"}},
			"conditions[0].operator":    {"conditions": []any{map[string]any{"attribute": "plan", "operator": "Equals", "values": []any{"x"}}}},
			"conditions[0].values":      {"conditions": []any{map[string]any{"attribute": "plan", "operator": "In"}}},
			"hashAttribute":             {"hashAttribute": strings.Repeat("x", 257)},
			"weight":                    {"weight": 1},
		} {
			By(says)
			body := maps.Clone(valid)
			maps.Copy(body, field)
			Expect(
				message(s.call(s.editor, http.StatusUnprocessableEntity, http.MethodPost, path, body)),
			).To(
				ContainSubstring(says),
			)
			Expect(
				message(s.call(s.editor, http.StatusUnprocessableEntity, http.MethodPatch, path+"/colours", field)),
			).To(
				ContainSubstring(says),
			)
		}
		for body, says := range map[string]string{
			`{}`: "ruleIds", `{"ruleIds": null}`: "ruleIds", `{"ruleIds": []}`: `rule "colours" is missing`,
			`{"ruleIds": ["colours", "colours"]}`: "ruleIds[1]", `{"ruleIds": ["none"]}`: "ruleIds[0]",
		} {
			Expect(
				message(s.call(s.editor, http.StatusUnprocessableEntity, http.MethodPut, path+"/reorder", body)),
			).To(
				ContainSubstring(says),
			)
		}
		s.call(s.editor, http.StatusBadRequest, http.MethodPost, path, `{"type"`)
		s.call(
			s.editor,
			http.StatusUnsupportedMediaType,
			http.MethodPost,
			path,
			`type: AB_TEST`,
			"Content-Type",
			"application/yaml",
		)
		s.call(s.viewer, http.StatusForbidden, http.MethodPost, path, valid)
		s.call("", http.StatusUnauthorized, http.MethodPost, path, valid)
		s.call(s.editor, http.StatusNotFound, http.MethodPatch, path+"/none", `{"name": "x"}`)
		s.call(
			s.editor,
			http.StatusPreconditionFailed,
			http.MethodPatch,
			path+"/colours",
			`{"name": "x"}`,
			"If-Match",
			`"older"`,
		)
		Expect(fresh(before).Generation).To(Equal(before.Generation))
	})
})

var _ = Describe("Environments", func() {
	It("are listed in their order, and created", func() {
		s := newShop()
		environments := list(s.call(s.viewer, http.StatusOK, http.MethodGet, "/environments", nil))
		Expect(environments).To(HaveLen(2))
		Expect(environments[0]).To(HaveKeyWithValue("key", "staging"))
		Expect(
			environments[1],
		).To(
			And(
				HaveKeyWithValue("id", string(s.production.UID)),
				HaveKeyWithValue("name", "Production"),
				HaveKeyWithValue(
					"isProduction",
					true,
				),
				HaveKeyWithValue("publishMode", "MANUAL"),
				HaveKeyWithValue("sdks", []any{}),
			),
		)

		created := data(
			s.call(
				s.editor,
				http.StatusCreated,
				http.MethodPost,
				"/environments",
				`{"name": "QA", "key": "qa", "isProduction": true, "publishMode": "MANUAL"}`,
			),
		)
		Expect(
			created,
		).To(
			And(
				HaveKeyWithValue("name", "QA"),
				HaveKeyWithValue("key", "qa"),
				HaveKeyWithValue("isProduction", true),
				HaveKeyWithValue("publishMode", "MANUAL"),
				HaveKeyWithValue("revision", 0.0),
				HaveKeyWithValue("hasPendingChanges", true),
			),
		)
		Expect(data(s.call(s.editor, http.StatusCreated, http.MethodPost, "/environments", `{"name": "Load Test"}`))).To(And(
			HaveKeyWithValue("key", "load-test"), HaveKeyWithValue("publishMode", "AUTOMATIC")))
		s.call(s.editor, http.StatusConflict, http.MethodPost, "/environments", `{"name": "QA", "key": "qa"}`)
		for body, says := range map[string]string{
			`{"key": "x"}`: "name", `{"name": "x", "publishMode": "SOMETIMES"}`: "publishMode", `{"name": "x", "key": "Not A Label"}`: "key",
			`{"name": "x", "key": "a-r1"}`: "key", `{"name": "x", "colour": "red"}`: "colour", `{"name": "` + strings.Repeat("x", 257) + `"}`: "name",
		} {
			Expect(
				message(s.call(s.editor, http.StatusUnprocessableEntity, http.MethodPost, "/environments", body)),
			).To(
				ContainSubstring(says),
			)
		}
		s.call(s.viewer, http.StatusForbidden, http.MethodPost, "/environments", `{"name": "x"}`)
		s.call(s.author, http.StatusForbidden, http.MethodPost, "/environments", `{"name": "x", "isProduction": true}`)
	})

	It("are published on request, after which no flag has pending changes", func() {
		s := newShop()
		s.call(s.editor, http.StatusCreated, http.MethodPost, "/flags", checkout)
		s.call(s.editor, http.StatusOK, http.MethodPatch, "/flags/new_checkout/envs/production", `{"enabled": true}`)
		Expect(
			message(s.call(s.author, http.StatusForbidden, http.MethodPost, "/environments/production/publish", nil)),
		).To(
			ContainSubstring("publish"),
		)
		s.call(s.viewer, http.StatusForbidden, http.MethodPost, "/environments/production/publish", nil)

		published := data(s.call(s.editor, http.StatusOK, http.MethodPost, "/environments/production/publish", nil))
		Expect(
			published,
		).To(
			And(HaveLen(3), HaveKeyWithValue("revision", 1.0), HaveKeyWithValue("digest", HavePrefix("sha256:"))),
		)
		Expect(published["publishedAt"]).To(MatchRegexp(`Z$`))
		served := &corev1.ConfigMap{}
		Expect(
			world.Admin.Get(
				context.Background(),
				types.NamespacedName{Namespace: s.namespace.Name, Name: "flags-production"},
				served,
			),
		).To(
			Succeed(),
		)
		Expect(
			served.Annotations,
		).To(
			And(
				HaveKeyWithValue(v1alpha1.RevisionAnnotation, "1"),
				HaveKeyWithValue(v1alpha1.DigestAnnotation, published["digest"]),
			),
		)
		Expect(served.Data["datafile.json"]).To(ContainSubstring(`"new_checkout":`))
		flag := data(s.call(s.viewer, http.StatusOK, http.MethodGet, "/flags/new_checkout", nil))
		Expect(configOf(flag, "production")).To(HaveKeyWithValue("hasPendingChanges", false))

		// Nothing is pending, and nothing is published again.
		Expect(
			data(s.call(s.editor, http.StatusOK, http.MethodPost, "/environments/production/publish", nil)),
		).To(
			HaveKeyWithValue("revision", 1.0),
		)
		Expect(
			data(s.call(s.author, http.StatusOK, http.MethodPost, "/environments/staging/publish", nil))["revision"],
		).To(
			BeNumerically(">=", 1),
		)
		s.call(s.editor, http.StatusNotFound, http.MethodPost, "/environments/nowhere/publish", nil)

		patch := client.RawPatch(types.MergePatchType, []byte(`{"spec": {"publish": {"suspend": true}}}`))
		Expect(world.Admin.Patch(context.Background(), s.production, patch)).To(Succeed())
		Eventually(func() int {
			return world.Call(s.editor, http.MethodPost, s.path+"/environments/production/publish", nil).Status
		}).Should(Equal(http.StatusConflict))
	})
})

var _ = Describe("Events and audiences", func() {
	It("are created and listed", func() {
		s := newShop()
		Expect(list(s.call(s.viewer, http.StatusOK, http.MethodGet, "/flag-events", nil))).To(BeEmpty())
		// The example of the reference.
		created := data(s.call(s.editor, http.StatusCreated, http.MethodPost, "/flag-events",
			`{"name": "Purchase", "key": "purchase", "description": "User completes a purchase", "type": "CONVERSION"}`))
		Expect(
			created,
		).To(
			And(
				HaveKeyWithValue("name", "Purchase"),
				HaveKeyWithValue("key", "purchase"),
				HaveKeyWithValue("description", "User completes a purchase"),
				HaveKeyWithValue("type", "CONVERSION"),
				HaveKey("id"),
				HaveKey("createdAt"),
			),
		)
		s.call(
			s.editor,
			http.StatusCreated,
			http.MethodPost,
			"/flag-events",
			`{"name": "Revenue", "key": "revenue", "type": "NUMERIC"}`,
		)
		Expect(list(s.call(s.viewer, http.StatusOK, http.MethodGet, "/flag-events", nil))).To(HaveExactElements(
			Equal(created), HaveKeyWithValue("type", "NUMERIC")))
		for body, says := range map[string]string{
			`{"name": "x", "key": "x"}`: "type", `{"name": "x", "key": "x", "type": "COUNT"}`: "type", `{"name": "x", "key": "a b", "type": "NUMERIC"}`: "key",
			`{"name": "x", "key": "x", "type": "NUMERIC", "unit": "EUR"}`: "unit",
		} {
			Expect(
				message(s.call(s.editor, http.StatusUnprocessableEntity, http.MethodPost, "/flag-events", body)),
			).To(
				ContainSubstring(says),
			)
		}
		s.call(
			s.viewer,
			http.StatusForbidden,
			http.MethodPost,
			"/flag-events",
			`{"name": "x", "key": "x", "type": "NUMERIC"}`,
		)

		audience := data(s.call(s.editor, http.StatusCreated, http.MethodPost, "/audiences", `{
			"name": "Beta testers", "members": ["alice"], "matchAny": [{"conditions": [{"attribute": "plan", "operator": "In", "values": ["beta"]}]}]
		}`))
		Expect(
			audience,
		).To(
			And(
				HaveKeyWithValue("key", "beta-testers"),
				HaveKeyWithValue("memberCount", 1.0),
				HaveKeyWithValue("members", []any{"alice"}),
				HaveKeyWithValue(
					"matchAny",
					[]any{
						map[string]any{
							"conditions": []any{map[string]any{"attribute": "plan", "operator": "In", "values": []any{"beta"}}},
						},
					},
				),
			),
		)
		Expect(list(s.call(s.viewer, http.StatusOK, http.MethodGet, "/audiences", nil))).To(HaveExactElements(
			And(HaveKeyWithValue("id", audience["id"]), HaveKeyWithValue("memberCount", 1.0), Not(HaveKey("members")))))
		Expect(
			data(s.call(s.viewer, http.StatusOK, http.MethodGet, "/audiences/beta-testers", nil)),
		).To(
			HaveKeyWithValue("members", []any{"alice"}),
		)
		s.call(s.viewer, http.StatusNotFound, http.MethodGet, "/audiences/nobody", nil)
		for body, says := range map[string]string{
			`{}`: "name", `{"name": "x", "members": [""]}`: "members[0]", `{"name": "x", "matchAny": [{"conditions": []}]}`: "matchAny[0].conditions",
			`{"name": "x", "matchAny": [{"conditions": [{"attribute": "a", "operator": "Is"}]}]}`: "matchAny[0].conditions[0].operator",
		} {
			Expect(
				message(s.call(s.editor, http.StatusUnprocessableEntity, http.MethodPost, "/audiences", body)),
			).To(
				ContainSubstring(says),
			)
		}
	})
})

var _ = Describe("Heartbeats", func() {
	// keyOf is an SDK key of an environment.
	keyOf := func(environment *v1alpha1.FlagEnvironment, kind string) string {
		GinkgoHelper()
		var key string
		Eventually(func(g Gomega) {
			keys := fresh(environment).Status.SDKKeys
			g.Expect(keys).NotTo(BeEmpty())
			g.Expect(keys[0].Confirmed).To(BeTrue())
			secret := &corev1.Secret{}
			g.Expect(
				world.Admin.Get(
					context.Background(),
					types.NamespacedName{Namespace: environment.Namespace, Name: keys[0].SecretName},
					secret,
				),
			).To(
				Succeed(),
			)
			key = string(secret.Data[kind])
			g.Expect(key).NotTo(BeEmpty())
		}).Should(Succeed())
		return key
	}
	send := func(body any) int {
		GinkgoHelper()
		return world.Call("", http.MethodPost, "/api/sdk/heartbeat", body).Status
	}

	It("need a known key and nothing else, and reach the status in one write", func() {
		s := newShop()
		client := keyOf(s.staging, "client")
		example := map[string]any{"sdkKey": client, "sdkType": "@avsbhq/browser", "sdkVersion": "0.2.0"}
		Eventually(func() int { return send(example) }).Should(Equal(http.StatusOK))
		answer := world.Call("", http.MethodPost, "/api/sdk/heartbeat", example, "Origin", "https://example.com")
		Expect(answer.JSON).To(Equal(map[string]any{"success": true}))
		Expect(answer.Header.Get("Access-Control-Allow-Origin")).To(Equal("*"))
		preflight := world.Call("", http.MethodOptions, "/api/sdk/heartbeat", nil, "Origin", "https://example.com")
		Expect(preflight.Status).To(Equal(http.StatusNoContent))
		Expect(
			preflight.Header.Get("Access-Control-Allow-Headers"),
		).To(
			Equal("Content-Type, traceparent, tracestate, baggage"),
		)
		// A page that is left sends its last one by navigator.sendBeacon, as text.
		beacon := world.Call("", http.MethodPost, "/api/sdk/heartbeat", example, "Content-Type", "text/plain;charset=UTF-8")
		Expect(beacon.Status).To(Equal(http.StatusOK), string(beacon.Body))

		Expect(send(`{"sdkKey": "sdk_prod_abc123", "sdkType": "x", "sdkVersion": "1"}`)).To(Equal(http.StatusNotFound))
		Expect(send(`{"sdkKey": "`)).To(Equal(http.StatusBadRequest))
		Expect(send(map[string]any{"sdkKey": client, "sdkType": "x"})).To(Equal(http.StatusUnprocessableEntity))
		Expect(
			send(map[string]any{"sdkKey": client, "sdkType": strings.Repeat("x", 129), "sdkVersion": "1"}),
		).To(
			Equal(http.StatusUnprocessableEntity),
		)
		Expect(
			send(map[string]any{"sdkKey": client, "sdkType": "x", "sdkVersion": strings.Repeat("1", 65)}),
		).To(
			Equal(http.StatusUnprocessableEntity),
		)
		Expect(
			send(map[string]any{"sdkKey": client, "sdkType": "@avsbhq/browser", "sdkVersion": "0.2.0", "platform": "new"}),
		).To(
			Equal(http.StatusOK),
		)

		before := fresh(s.staging)
		Expect(before.Status.SDKs).To(BeEmpty())
		minutes.Step(time.Minute)
		Eventually(func() []v1alpha1.SDK { return fresh(s.staging).Status.SDKs }).Should(HaveExactElements(And(
			HaveField("Type", "@avsbhq/browser"), HaveField("Version", "0.2.0"), HaveField("LastSeen.Time", Not(BeZero())))))
		Expect(fresh(s.staging).Generation).To(Equal(before.Generation))
		Eventually(func() any {
			return list(s.call(s.viewer, http.StatusOK, http.MethodGet, "/environments", nil))[0]["sdks"]
		}).Should(ConsistOf(And(HaveKeyWithValue("sdkType", "@avsbhq/browser"), HaveKeyWithValue("sdkVersion", "0.2.0"), HaveKey("lastSeenAt"))))
	})

	It("say which revision instances have loaded, where the environment counts them", func() {
		s := newShop()
		patch := client.RawPatch(types.MergePatchType, []byte(`{"spec": {"delivery": {"acknowledge": true}}}`))
		Expect(world.Admin.Patch(context.Background(), s.staging, patch)).To(Succeed())
		server, browser := keyOf(s.staging, "server"), keyOf(s.staging, "client")
		var revision int64
		Eventually(func() int64 {
			revision = fresh(s.staging).Status.PublishedRevision
			return revision
		}).Should(BeNumerically(">", 0))
		beat := func(key, instance string, revision int64) map[string]any {
			return map[string]any{
				"sdkKey":     key,
				"sdkType":    "@acme/go",
				"sdkVersion": "1.0",
				"instance":   instance,
				"revision":   revision,
			}
		}
		Eventually(func() int { return send(beat(server, "pod-a", revision)) }).Should(Equal(http.StatusOK))
		Expect(send(beat(server, "pod-b", revision+1))).To(Equal(http.StatusOK))
		Expect(send(beat(browser, "phone", revision))).To(Equal(http.StatusOK))
		Expect(send(beat(server, strings.Repeat("x", 254), revision))).To(Equal(http.StatusUnprocessableEntity))
		Expect(send(beat(server, "pod-c", -1))).To(Equal(http.StatusUnprocessableEntity))
		minutes.Step(time.Minute)
		Eventually(func() *v1alpha1.DeliveryStatus { return fresh(s.staging).Status.Delivery }).Should(Equal(
			&v1alpha1.DeliveryStatus{Revision: revision, Acknowledged: 1, Expected: 2, Laggards: []string{"pod-b"}}))
	})
})

var _ = Describe("The document", func() {
	It("has examples that work", func() {
		token := world.Shop()
		patch := client.RawPatch(
			types.MergePatchType,
			[]byte(`{"metadata": {"labels": {"flags.jackstaff.dev/organization": "acme"}}}`),
		)
		Expect(
			world.Admin.Patch(context.Background(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}, patch),
		).To(
			Succeed(),
		)
		Eventually(func() int {
			return world.Call(token, http.MethodGet, "/api/orgs/acme/projects/shop/flags", nil).Status
		}).Should(Equal(http.StatusOK))
		printed := world.RunExamples("docs/rest/avsb.md", token)
		Expect(printed).To(HaveLen(3))
		Expect(printed[0]).To(ContainSubstring(`"status":"DRAFT"`))
		Expect(printed[1]).To(ContainSubstring(`"enabled":true`))
		Expect(printed[2]).To(ContainSubstring(`"digest":"sha256:`))
	})
})
