// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package rest_test

import (
	"net/http"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
)

// awkward are flags that are shown otherwise in the environment production than their spec says, in every way.
func awkward(namespace string) map[string]*v1alpha1.FeatureFlag {
	on := func(name string) *builders.FlagBuilder {
		return builders.MakeFlag(name, namespace).Boolean().Environment("production").Fallthrough("on")
	}
	ahead, past, none := time.Now().Add(14*time.Hour), time.Now().Add(-time.Hour), time.Time{}
	zoned := on("zoned").Schedule(ahead, ahead.Add(time.Hour)).Obj()
	zoned.In("production").Schedule.TimeZone = "Europe/Berlin"
	const owner = "argocd.argoproj.io/tracking-id"
	return map[string]*v1alpha1.FeatureFlag{
		"braked":          on("braked").Annotation(v1alpha1.ForceDisabledAnnotation, "production").Obj(),
		"archived":        on("archived").Archived().Obj(),
		"ahead":           on("ahead").Schedule(ahead, none).Obj(),
		"expired":         on("expired").Schedule(none, past).Obj(),
		"zoned":           zoned,
		"default":         on("default").Fallthrough("").Obj(),
		"code":            on("code").Fallthrough("").CodeDefault().Obj(),
		"absent":          builders.MakeFlag("absent", namespace).Boolean().Obj(),
		"owned":           on("owned").Annotation(owner, "shop:flags/owned").Obj(),
		"owned-default":   on("owned-default").Fallthrough("").Annotation(owner, "shop:flags/owned-default").Obj(),
		"owned-scheduled": on("owned-scheduled").Schedule(ahead, none).Annotation(owner, "shop:flags/owned-scheduled").Obj(),
	}
}

var _ = Describe("A flag that is shown otherwise than its spec says", func() {
	It("is changed by no view that sends back what it read", func() {
		s := newShop()
		editor := newPerson(s.namespace.Name, "editor", "admin", s.namespace.Name)
		for name, flag := range awkward(s.namespace.Name) {
			world.Create(flag)
			before := fresh(flag)
			same := func(view string) {
				GinkgoHelper()
				now := fresh(flag)
				Expect(now.Spec).To(Equal(before.Spec), "%s: what was read of %s is written, and changes it", view, name)
				Expect(now.Annotations).To(Equal(before.Annotations), "%s, %s", view, name)
			}
			for _, view := range s.writings(name) {
				headers := []string{"X-Jackstaff-Project", s.namespace.Name, "X-Jackstaff-Environment", "production"}
				read := object(call(editor.token, http.StatusOK, http.MethodGet, view.read, nil, headers...).Body)
				if view.inside != "" {
					read, _ = read[view.inside].(map[string]any)
				}
				if view.media != "" {
					headers = append(headers, "Content-Type", view.media)
				}
				call(editor.token, http.StatusOK, view.method, view.write, read, headers...)
				same(view.view)
			}
			shown, _ := object(call(editor.token, http.StatusOK, http.MethodGet, s.avsb("/flags/"+name), nil).Body)["data"].(map[string]any)
			configs, _ := shown["environmentConfigs"].([]any)
			for _, config := range configs {
				config, _ := config.(map[string]any)
				key, _ := config["environmentKey"].(string)
				call(editor.token, http.StatusOK, http.MethodPatch, s.avsb("/flags/"+name+"/envs/"+key), config)
				same("avsb, a configuration")
			}
		}
	})

	It(
		"is switched off by nobody who says that it is off, and switched on by nobody who may not hear that it is not",
		func() {
			s := newShop()
			editor := newPerson(s.namespace.Name, "editor", "admin", s.namespace.Name)
			all := awkward(s.namespace.Name)
			for _, name := range []string{"braked", "archived", "expired", "absent"} {
				world.Create(all[name])
				before := fresh(all[name])
				call(editor.token, http.StatusOK, http.MethodPatch, s.avsb("/flags/"+name+"/envs/production"), toggled(false))
				call(editor.token, http.StatusOK, http.MethodPost, s.phaseflag(name, "/toggle", s.production), toggled(false))
				Expect(fresh(all[name]).Spec).To(Equal(before.Spec), name)
				Expect(fresh(all[name]).Annotations).To(Equal(before.Annotations), name)
			}
			const atono = `{"data": {"type": "flag_environment", "attributes": {"configuration": "on"}}}`
			for _, refused := range []struct {
				method, path, media string
				body                any
			}{
				{http.MethodPatch, s.avsb("/flags/archived/envs/production"), "application/json", toggled(true)},
				{http.MethodPost, s.phaseflag("archived", "/toggle", s.production), "application/json", toggled(true)},
				{
					http.MethodPost, s.phaseflag("archived", "/toggle", s.production), "application/json",
					map[string]any{"enabled": true, "clear_schedule": true},
				},
				{http.MethodPatch, "/api/v1/flags/archived/environments/production", "application/vnd.api+json", atono},
			} {
				answer := call(
					editor.token, http.StatusUnprocessableEntity, refused.method, refused.path, refused.body,
					"Content-Type", refused.media, "X-Jackstaff-Project", s.namespace.Name,
				)
				Expect(string(answer.Body)).To(ContainSubstring("the flag is archived and stays off"), refused.path)
				Expect(string(answer.Body)).NotTo(ContainSubstring("jackstaff archive"), refused.path)
			}

			By("and a flag that is on is switched off by each view")
			for view, off := range map[string]func(){
				"avsb": func() {
					call(editor.token, http.StatusOK, http.MethodPatch, s.avsb("/flags/running/envs/production"), toggled(false))
				},
				"phaseflag": func() {
					call(editor.token, http.StatusOK, http.MethodPost, s.phaseflag("running", "/toggle", s.production), toggled(false))
				},
				"atono": func() {
					call(
						editor.token, http.StatusOK, http.MethodPatch, "/api/v1/flags/running/environments/production",
						`{"data": {"type": "flag_environment", "attributes": {"configuration": "off"}}}`,
						"Content-Type", "application/vnd.api+json", "X-Jackstaff-Project", s.namespace.Name,
					)
				},
			} {
				flag := builders.MakeFlag("running", s.namespace.Name).Boolean().Environment("production").Fallthrough("on").
					Schedule(time.Time{}, time.Now().Add(time.Hour)).Obj()
				world.Create(flag)
				off()
				Expect(fresh(flag).EnabledIn("production")).To(BeFalse(), view)
				call(editor.token, http.StatusOK, http.MethodPost, s.avsb("/flags/running/archive"), nil)
				call(editor.token, http.StatusNoContent, http.MethodDelete, s.avsb("/flags/running"), nil)
			}
		},
	)
})
