// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package rest_test

import (
	"encoding/json"
	"maps"
	"net/http"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
)

// leaving are flags that leave the value to the code in the environment production, in every way. Served is the
// variation that each serves there while it is on and nothing decides, and null where the code decides then, too.
func leaving(namespace string) map[string]struct {
	flag   *v1alpha1.FeatureFlag
	served OmegaMatcher
} {
	boolean := func(name string) *builders.FlagBuilder {
		return builders.MakeFlag(name, namespace).Boolean().Environment("production").CodeDefault()
	}
	return map[string]struct {
		flag   *v1alpha1.FeatureFlag
		served OmegaMatcher
	}{
		"left-off":       {boolean("left-off").Disabled().Obj(), BeNil()},
		"left-on":        {boolean("left-on").Obj(), BeNil()},
		"left-otherwise": {boolean("left-otherwise").Fallthrough("on").Obj(), Equal("on")},
		"left-false":     {boolean("left-false").Fallthrough("off").Obj(), Equal("off")},
		"left-true":      {boolean("left-true").DefaultVariation("on").Obj(), BeNil()},
		"left-rule": {
			boolean("left-rule").DefaultVariation("on").
				Rule(builders.MakeRule("r").Condition("plan", v1alpha1.OperatorIn, "beta").Serve("on")).Obj(), BeNil(),
		},
		"left-text": {
			builders.MakeFlag("left-text", namespace).Type(v1alpha1.FlagTypeString).Variation("a", `"A"`).Variation("b", `"B"`).
				DefaultVariation("a").Environment("production").CodeDefault().Obj(), BeNil(),
		},
	}
}

// object is a JSON object of an answer.
func object(data []byte) (read map[string]any) {
	GinkgoHelper()
	Expect(json.Unmarshal(data, &read)).To(Succeed(), string(data))
	return read
}

// writing is how a view reads a flag and writes what it read.
type writing struct {
	view string
	// read and write are the paths. What is in the member inside is what is written.
	read, write, inside string
	method, media       string
	// shown says where the default of the environment is in what was read. It is nil where the view shows none.
	shown func(body map[string]any) any
	// change is written beside what was read, and must change nothing but the description or the name.
	change map[string]any
}

func (s *shop) writings(flag string) []writing {
	member := func(name string) func(map[string]any) any { return func(read map[string]any) any { return read[name] } }
	project := s.namespace.Name
	atono := "/api/v1/flags/" + flag + "/environments/" + string(s.production.UID)
	return []writing{
		// It is first, because it refuses an updated_at that a write before has moved.
		{
			view: "posthog", read: "/api/projects/" + project + "/feature_flags/" + flag,
			write: "/api/projects/" + project + "/feature_flags/" + flag, method: http.MethodPatch,
			change: map[string]any{"name": "Other"},
		},
		{
			view:   "phaseflag",
			read:   s.phaseflag(flag, "", s.production),
			write:  s.phaseflag(flag, "", s.production),
			inside: "data",
			method: http.MethodPut,
			shown:  member("default_variation"),
			change: map[string]any{"description": "Newer"},
		},
		{
			view: "avsb", read: s.avsb("/flags/" + flag), write: s.avsb("/flags/" + flag), inside: "data",
			method: http.MethodPatch, change: map[string]any{"description": "Newest"},
		},
		{
			view: "atono", read: atono, write: atono, method: http.MethodPatch, media: "application/vnd.api+json",
		},
	}
}

var _ = Describe("A flag that leaves the value to the code", func() {
	It("shows what is served, and is changed by no view that sends back what it read", func() {
		s := newShop()
		editor := newPerson(s.namespace.Name, "editor", "admin", s.namespace.Name)
		for name, tc := range leaving(s.namespace.Name) {
			world.Create(tc.flag)
			before := fresh(tc.flag)
			for _, view := range s.writings(name) {
				what := view.view + ", " + name
				headers := []string{"X-Jackstaff-Project", s.namespace.Name, "X-Jackstaff-Environment", "production"}
				read := object(call(editor.token, http.StatusOK, http.MethodGet, view.read, nil, headers...).Body)
				if view.media != "" {
					headers = append(headers, "Content-Type", view.media)
				}
				body := read
				if view.inside != "" {
					body, _ = read[view.inside].(map[string]any)
				}
				if view.shown != nil {
					Expect(view.shown(body)).To(tc.served, what)
				}
				call(editor.token, http.StatusOK, view.method, view.write, body, headers...)
				now := fresh(tc.flag)
				Expect(now.Spec).To(Equal(before.Spec), "%s: what was read is written, and changes the flag", what)
				maps.Copy(body, view.change)
				call(editor.token, http.StatusOK, view.method, view.write, body, headers...)
				now = fresh(tc.flag)
				Expect(now.Spec.Environments).To(Equal(before.Spec.Environments), "%s: another change changes what is served", what)
				before = now
			}
			s.checkConfig(editor, name, tc.served, before)
			s.checkFlagmint(editor, name)
		}
	})
})

// checkConfig checks the same of avsb's configuration of an environment, and that a default that is sent is served.
func (s *shop) checkConfig(editor *person, name string, served OmegaMatcher, before *v1alpha1.FeatureFlag) {
	GinkgoHelper()
	flag, _ := object(call(editor.token, http.StatusOK, http.MethodGet, s.avsb("/flags/"+name), nil).Body)["data"].(map[string]any)
	configs, _ := flag["environmentConfigs"].([]any)
	for _, config := range configs {
		config, _ := config.(map[string]any)
		if config["environmentKey"] != "production" {
			Expect(config).NotTo(HaveKey("codeDefault"))
			Expect(config["defaultVariationId"]).To(Equal(before.Spec.DefaultVariation))
			continue
		}
		Expect(config).To(And(HaveKeyWithValue("codeDefault", true), HaveKeyWithValue("defaultVariationId", served)), name)
		path := s.avsb("/flags/" + name + "/envs/production")
		call(editor.token, http.StatusOK, http.MethodPatch, path, config)
		Expect(fresh(before).Spec).To(Equal(before.Spec), "avsb, %s: what was read is written, and changes the flag", name)

		// The flag's own default is not what is served until a request says so.
		key := before.Spec.DefaultVariation
		call(editor.token, http.StatusOK, http.MethodPatch, path, map[string]any{"defaultVariationId": key})
		Expect(fresh(before).In("production").DefaultVariation).To(Equal(key))
		call(editor.token, http.StatusOK, http.MethodPatch, path, map[string]any{"defaultVariationId": nil})
		part := fresh(before).In("production")
		Expect(part.DefaultVariation).To(BeEmpty())
		Expect(part.CodeDefault).To(BeTrue())

		path = s.phaseflag(name, "", s.production)
		call(editor.token, http.StatusOK, http.MethodPut, path, map[string]any{"default_variation": key})
		Expect(fresh(before).In("production").DefaultVariation).To(Equal(key))
		call(editor.token, http.StatusOK, http.MethodPut, path, map[string]any{"default_variation": nil})
		Expect(fresh(before).In("production").DefaultVariation).To(BeEmpty())
		refused := call(
			editor.token, http.StatusUnprocessableEntity, http.MethodPut, s.phaseflag(name, "", s.staging),
			map[string]any{"default_variation": nil},
		)
		Expect(string(refused.Body)).To(ContainSubstring("name a variation"))
	}
}

// checkFlagmint checks what flagmint shows, which writes nothing of it.
func (s *shop) checkFlagmint(editor *person, name string) {
	GinkgoHelper()
	read := object(call(
		editor.token, http.StatusOK, http.MethodGet, "/projects/"+s.namespace.Name+"/flags/"+name, nil,
	).Body)
	if inside, is := read["data"].(map[string]any); is {
		read = inside
	}
	parts, _ := read["environments"].([]any)
	Expect(parts).To(HaveLen(1), name)
	Expect(parts[0]).To(HaveKeyWithValue("default_variation", BeNil()), name)
}
