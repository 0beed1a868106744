// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package avsb_test

import (
	"fmt"
	"net/http"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("What was read", func() {
	It("can be sent back and changes nothing", func() {
		s := newShop()
		s.call(s.editor, http.StatusCreated, http.MethodPost, "/flags", checkout)
		s.call(s.editor, http.StatusCreated, http.MethodPost, "/flags/new_checkout/envs/staging/rules", `{
			"type": "AB_TEST", "name": "Colour", "trafficAllocation": 1.0, "audienceIds": [], "hashAttribute": "userId",
			"variations": [{"variationId": "off", "percentage": 0.5}, {"variationId": "on", "percentage": 0.5}]
		}`)
		before := fresh(s.flagObject("new-checkout"))
		read := data(s.call(s.viewer, http.StatusOK, http.MethodGet, "/flags/new_checkout", nil))
		s.call(s.editor, http.StatusOK, http.MethodPatch, "/flags/new_checkout", read)
		config := configOf(read, "staging")
		s.call(s.editor, http.StatusOK, http.MethodPatch, "/flags/new_checkout/envs/staging", config)
		for _, rule := range config["rules"].([]any) {
			s.call(s.editor, http.StatusOK, http.MethodPatch, "/flags/new_checkout/envs/staging/rules/colour", rule)
		}
		s.call(s.editor, http.StatusOK, http.MethodPut, "/flags/new_checkout/variations", map[string]any{
			"variations": read["variations"], "defaultVariationKey": read["defaultVariationKey"],
		})
		Expect(fresh(s.flagObject("new-checkout")).Spec).To(Equal(before.Spec))

		read["status"] = "ARCHIVED"
		Expect(message(s.call(s.editor, http.StatusUnprocessableEntity, http.MethodPatch, "/flags/new_checkout", read))).
			To(And(ContainSubstring("status"), ContainSubstring("/archive")))
		s.call(s.editor, http.StatusOK, http.MethodPatch, "/flags/new_checkout", `{"description": null}`)
		Expect(fresh(s.flagObject("new-checkout")).Spec.Description).To(BeEmpty())
	})
})

var _ = Describe("A schedule", func() {
	It("enables a disabled flag, keeps it off until then, and is cancelled by switching off", func() {
		s := newShop()
		s.call(s.editor, http.StatusCreated, http.MethodPost, "/flags", checkout)
		path, at := "/flags/new_checkout/envs/staging", time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
		patch := func(status int, body string) map[string]any {
			GinkgoHelper()
			answer := s.call(s.editor, status, http.MethodPatch, path, body)
			if status != http.StatusOK {
				return map[string]any{"error": message(answer)}
			}
			return data(answer)
		}
		scheduled := And(HaveKeyWithValue("enabled", false), HaveKeyWithValue("schedulingEnabled", true),
			HaveKeyWithValue("scheduledEnableAt", at))
		shown := patch(http.StatusOK, fmt.Sprintf(`{"schedulingEnabled": true, "scheduledEnableAt": %q}`, at))
		Expect(shown).To(scheduled)
		// That it is enabled in the Kind is what lets the schedule fire.
		Expect(fresh(s.flagObject("new-checkout")).Spec.Environments).To(ConsistOf(HaveField("Enabled", true)))
		s.call(s.editor, http.StatusOK, http.MethodPatch, path, shown)
		Expect(fresh(s.flagObject("new-checkout")).Spec.Environments).To(ConsistOf(HaveField("Enabled", true)))

		Expect(patch(http.StatusUnprocessableEntity, `{"enabled": true}`)["error"]).To(And(
			ContainSubstring("schedule enables it at "+at), ContainSubstring(`"schedulingEnabled": false`)))
		off := And(HaveKeyWithValue("enabled", false), HaveKeyWithValue("schedulingEnabled", false))
		Expect(patch(http.StatusOK, `{"schedulingEnabled": false}`)).To(off)

		Expect(patch(http.StatusOK, fmt.Sprintf(`{"enabled": true, "scheduledEnableAt": %q}`, at))).To(scheduled)
		Expect(patch(http.StatusOK, `{"enabled": false}`)).To(off)
		Expect(patch(http.StatusOK, fmt.Sprintf(`{"enabled": false, "scheduledEnableAt": %q}`, at))).To(scheduled)
		Expect(patch(http.StatusOK, `{"enabled": true, "schedulingEnabled": false}`)).To(And(
			HaveKeyWithValue("enabled", true), HaveKeyWithValue("schedulingEnabled", false)))
	})
})

var _ = Describe("A mistake", func() {
	It("is said in the words of the view", func() {
		s := newShop()
		s.call(s.editor, http.StatusCreated, http.MethodPost, "/flags", checkout)
		const event = `{"name": "Purchase", "key": "purchase", "type": "CONVERSION"}`
		s.call(s.editor, http.StatusCreated, http.MethodPost, "/flag-events", event)
		for _, tc := range []struct {
			method, path, body string
			status             int
			says               string
		}{
			{http.MethodPost, "/flags", checkout, http.StatusConflict, `there is a flag with the key "new_checkout" already`},
			{http.MethodPost, "/flag-events", event, http.StatusConflict, `"purchase" already`},
			{http.MethodPost, "/environments", `{"name": "Staging", "key": "staging", "isProduction": false}`, http.StatusConflict, `there is an environment "staging" already`},
			{http.MethodPost, "/environments", `{"name": "Sta ging", "key": "Sta ging", "isProduction": false}`, http.StatusUnprocessableEntity, "write key: sta-ging"},
			{http.MethodPatch, "/flags/new_checkout", `{"Name": "x"}`, http.StatusUnprocessableEntity, "Name: unexpected property"},
			{http.MethodPatch, "/flags/new_checkout", `{"name": null}`, http.StatusUnprocessableEntity, "name: null is not a value"},
			{http.MethodPatch, "/flags/new_checkout/envs/staging", `{"enabled": null}`, http.StatusUnprocessableEntity, "enabled: null is not a value"},
			{http.MethodPut, "/flags/new_checkout/variations",
				`{"variations": [{"id": "on", "key": "off", "value": "true"}, {"id": "off", "key": "off", "value": "false"}]}`,
				http.StatusUnprocessableEntity, `the request breaks a rule: variations[1].key: key "off" is there twice`},
			{http.MethodGet, "/flags?page=2", "", http.StatusBadRequest, "page: there is no such parameter here"},
		} {
			By(tc.method + " " + tc.path + " " + tc.body)
			body := any(nil)
			if tc.body != "" {
				body = tc.body
			}
			said := message(s.call(s.editor, tc.status, tc.method, tc.path, body))
			Expect(
				said,
			).To(
				And(ContainSubstring(tc.says), Not(MatchRegexp(`Flag(Event|Environment)|FeatureFlag|admission webhook`))),
			)
		}
		s.call(s.editor, http.StatusOK, http.MethodPost, "/flags/new_checkout/archive", nil)
		Expect(message(s.call(s.editor, http.StatusConflict, http.MethodPost, "/flags", checkout))).
			To(ContainSubstring("an archived flag has the key"))
	})

	It("is a change that somebody may not make, also where it changes nothing", func() {
		s := newShop()
		s.call(s.editor, http.StatusCreated, http.MethodPost, "/flags", checkout)
		s.call(s.viewer, http.StatusForbidden, http.MethodPatch, "/flags/new_checkout", `{"name": "New Checkout Flow"}`)
		s.call(s.viewer, http.StatusForbidden, http.MethodPatch, "/flags/new_checkout", `{}`)
	})
})

var _ = Describe("Ten rules at once", func() {
	It("are all created", func() {
		s := newShop()
		s.call(s.editor, http.StatusCreated, http.MethodPost, "/flags", checkout)
		wait := sync.WaitGroup{}
		for i := range 10 {
			wait.Go(func() {
				defer GinkgoRecover()
				s.call(s.editor, http.StatusCreated, http.MethodPost, "/flags/new_checkout/envs/staging/rules", fmt.Sprintf(
					`{"type": "TARGETED_DELIVERY", "name": "Rule %d", "variations": [{"variationId": "on", "percentage": 1}]}`, i))
			})
		}
		wait.Wait()
		Expect(fresh(s.flagObject("new-checkout")).Spec.Environments[0].Rules).To(HaveLen(10))
	})
})
