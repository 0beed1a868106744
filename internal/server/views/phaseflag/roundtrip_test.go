// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package phaseflag_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/internal/server/servertest"
)

func (s *shop) get(id string) map[string]any {
	GinkgoHelper()
	return data(http.StatusOK, world.Call(s.viewer, http.MethodGet, s.path("/"+id), nil))
}

// refused expects an error whose message has all these texts, and returns the message.
func refused(answer *servertest.Answer, status int, says ...string) string {
	GinkgoHelper()
	Expect(answer.Status).To(Equal(status), string(answer.Body))
	body := struct{ Error struct{ Message string } }{}
	Expect(json.Unmarshal(answer.Body, &body)).To(Succeed())
	for _, text := range says {
		Expect(body.Error.Message).To(ContainSubstring(text))
	}
	return body.Error.Message
}

var _ = Describe("What was read", func() {
	It("can be put back and changes nothing, and one thing that is changed in it changes that", func() {
		s := newShop()
		world.Create(builders.MakeFlag("plain", s.name).Boolean().Obj())
		s.create()
		s.put("new-checkout-flow", twoRules)
		for _, id := range []string{"new-checkout-flow", "plain"} {
			before, read := s.stored(id), s.get(id)
			Expect(s.put(id, encode(read))).To(Equal(read))
			Expect(s.stored(id).ResourceVersion).NotTo(BeEmpty())
			Expect(s.stored(id).Spec).To(Equal(before.Spec), id)
		}
		read := s.get("new-checkout-flow")
		read["name"] = "Another name"
		Expect(s.put("new-checkout-flow", encode(read))).To(HaveKeyWithValue("name", "Another name"))
		read["enabled"] = true
		refused(world.Call(s.editor, http.MethodPut, s.path("/new-checkout-flow"), encode(read)),
			http.StatusUnprocessableEntity, "enabled", "toggle")
	})

	It("has conditions as they were sent", func() {
		s := newShop()
		s.create()
		conditions := `[
			{"attribute": "a", "operator": "one_of", "value": ["x"]}, {"attribute": "b", "operator": "is", "value": 18},
			{"attribute": "c", "operator": "is", "value": true}, {"attribute": "d", "operator": "one_of", "value": [1, "1", false]}
		]`
		sent := `{"targeting_rules": [{"name": "r", "variation": "on", "conditions": ` + conditions + `}]}`
		s.put("new-checkout-flow", sent)
		Expect(s.get("new-checkout-flow")).To(HaveKeyWithValue("targeting_rules",
			ConsistOf(HaveKeyWithValue("conditions", matchJSON(conditions)))))
		// What somebody changes with kubectl is shown as it is then.
		flag := s.stored("new-checkout-flow")
		base := flag.DeepCopy()
		flag.Spec.Environments[0].Rules[0].Conditions[0].Values = []string{"y"}
		Expect(world.Admin.Patch(context.Background(), flag, client.MergeFrom(base))).To(Succeed())
		Eventually(func() any { return s.get("new-checkout-flow")["targeting_rules"] }).Should(
			ConsistOf(HaveKeyWithValue("conditions", ContainElement(matchJSON(
				`{"attribute": "a", "operator": "is", "value": "y"}`)))))
	})

	It("can be copied to another environment, where ids are not known yet", func() {
		s := newShop()
		s.create()
		read := s.put("new-checkout-flow", twoRules)
		staging := fmt.Sprintf(s.inStaging, "/new-checkout-flow")
		body := encode(map[string]any{"targeting_rules": read["targeting_rules"]})
		copied := data(http.StatusOK, world.Call(s.editor, http.MethodPut, staging, body))
		Expect(copied["targeting_rules"]).To(Equal(read["targeting_rules"]))
		refused(world.Call(s.editor, http.MethodPut, staging, `{"targeting_rules": [
			{"id": "a", "variation": "on"}, {"id": "a", "variation": "off"}]}`),
			http.StatusUnprocessableEntity, "targeting_rules[1].id", "twice")
	})

	It("does not give a new rule what another one at its place had", func() {
		s := newShop()
		world.Create(builders.MakeFlag("checkout", s.name).Boolean().Environment("production").Rule(
			builders.MakeRule("experiment").ABTest().HashBy("company").Split("on", 1).Split("off", 1),
		).Obj())
		s.put("checkout", `{"targeting_rules": [{"name": "Everybody", "variation": "on"}]}`)
		Expect(s.stored("checkout").Spec.Environments[0].Rules).To(ConsistOf(And(
			HaveField("Name", "everybody"), HaveField("Type", v1alpha1.RuleTypeTargetedDelivery),
			HaveField("HashAttribute", Not(Equal("company"))))))
	})
})

var _ = Describe("A schedule", func() {
	It("decides whether the flag is on, until somebody says otherwise", func() {
		s := newShop()
		world.Create(builders.MakeFlag("later", s.name).Boolean().Environment("production").
			Schedule(time.Now().Add(time.Hour), time.Time{}).Obj())
		Expect(s.get("later")).To(HaveKeyWithValue("enabled", false))
		refused(world.Call(s.editor, http.MethodPost, s.path("/later/toggle"), `{"enabled": true}`),
			http.StatusUnprocessableEntity, "schedule enables it at", `"clear_schedule": true`)
		Expect(data(http.StatusOK, world.Call(s.editor, http.MethodPost, s.path("/later/toggle"),
			`{"enabled": true, "clear_schedule": true}`))).To(HaveKeyWithValue("enabled", true))
		Expect(s.stored("later").Spec.Environments[0].Schedule).To(BeNil())
	})
})

var _ = Describe("A mistake", func() {
	It("is said in the words of the view", func() {
		s := newShop()
		s.create()
		flag := "/new-checkout-flow"
		for _, tc := range []struct {
			method, path, body string
			status             int
			says               []string
			not                string
		}{
			{http.MethodPost, s.path(""), newCheckout, http.StatusConflict, []string{`there is a flag with the key "new-checkout-flow" already`}, "FeatureFlag"},
			{http.MethodPut, s.path(flag), `{"Name": "x"}`, http.StatusUnprocessableEntity, []string{"Name: unexpected property"}, ""},
			{http.MethodPut, s.path(flag), `{"name": null}`, http.StatusUnprocessableEntity, []string{"name: null is not a value here"}, ""},
			{http.MethodPost, s.path(flag + "/toggle"), `{}`, http.StatusUnprocessableEntity, []string{`the property "enabled" is missing`}, ""},
			{http.MethodPost, s.path(flag + "/toggle"), `{"enabled": null}`, http.StatusUnprocessableEntity, []string{"enabled"}, ""},
			{http.MethodGet, s.path("") + "&page=1&page=2", "", http.StatusBadRequest, []string{"page: is there 2 times"}, ""},
			{http.MethodGet, s.path("") + "&colour=red", "", http.StatusBadRequest, []string{"colour: there is no such parameter here", "per_page"}, ""},
			{http.MethodPut, s.path(flag), `{"targeting_rules": [{"variation": "on", "conditions": [{"attribute": "a", "operator": "one_of"}]}]}`,
				http.StatusUnprocessableEntity, []string{"targeting_rules[0].conditions[0].value", "one_of takes one or more values"}, "operator In"},
			{http.MethodPut, s.path(flag), `{"targeting_rules": [{"variation": "on", "conditions": [{"attribute": "a", "operator": "is", "value": null}]}]}`,
				http.StatusUnprocessableEntity, []string{"targeting_rules[0].conditions[0].value", "is takes one value"}, "operator one_of"},
			{http.MethodPut, s.path(flag), `{"targeting_rules": [{"variation": "on", "conditions": [{"attribute": "a", "operator": "is_not"}]}]}`,
				http.StatusUnprocessableEntity, []string{"targeting_rules[0].conditions[0].value", "is_not takes one value"}, "not_one_of takes one or more"},
		} {
			By(tc.method + " " + tc.body)
			body := any(nil)
			if tc.body != "" {
				body = tc.body
			}
			message := refused(world.Call(s.editor, tc.method, tc.path, body), tc.status, tc.says...)
			if tc.not != "" {
				Expect(message).NotTo(ContainSubstring(tc.not))
			}
		}
		s.put("new-checkout-flow", `{"description": null}`)
		Expect(s.stored("new-checkout-flow").Spec.Description).To(BeEmpty())
		Expect(world.Call(s.editor, http.MethodDelete, s.path(flag), nil).Status).To(Equal(http.StatusNoContent))
		refused(world.Call(s.editor, http.MethodPost, s.path(""), newCheckout), http.StatusConflict,
			"an archived flag has the key", `PUT {"archived": false} restores it`)
	})

	It("is a change that somebody may not make, also where it changes nothing", func() {
		s := newShop()
		read := s.create()
		answer := world.Call(s.viewer, http.MethodPut, s.path("/new-checkout-flow"), encode(read))
		refused(answer, http.StatusForbidden, "may not patch")
	})

	It("is none where a client writes a number in its own way", func() {
		s := newShop()
		s.create()
		s.put("new-checkout-flow", `{"targeting_rules": [{"name": "adults", "variation": "on", "conditions": [
			{"attribute": "age", "operator": "gte", "value": "18.50"}, {"attribute": "n", "operator": "lt", "value": "9007199254740993"}]}]}`)
		stored := s.stored("new-checkout-flow")
		read := string(world.Call(s.viewer, http.MethodGet, s.path("/new-checkout-flow"), nil).Body)
		Expect(read).To(And(ContainSubstring(`"value":"9007199254740993"`), ContainSubstring("18.50")))
		s.put("new-checkout-flow", `{"targeting_rules": [{"name": "adults", "variation": "on", "conditions": [
			{"attribute": "age", "operator": "gte", "value": 18.5}, {"attribute": "n", "operator": "lt", "value": "9007199254740993"}]}]}`)
		Expect(s.stored("new-checkout-flow").Spec).To(Equal(stored.Spec))
	})

	// A client that gets 422 asks its user for another value; no value helps here.
	It("is one that somebody may not make, also where it breaks a rule", func() {
		s := newShop()
		s.create()
		refused(world.Call(s.viewer, http.MethodPut, s.path("/new-checkout-flow"),
			`{"targeting_rules": [{"name": "Nobody", "variation": "maybe"}]}`), http.StatusForbidden, "may not patch")
	})
})

// A customer whose number is next to that of another would get what is meant for the other.
var _ = Describe("An integer beyond the floats", func() {
	It("is no other in a rule, and in what is evaluated", func() {
		s := newShop()
		s.create()
		condition := `{"attribute": "account", "operator": "is", "value": 1234567890123456789}`
		s.put("new-checkout-flow",
			`{"targeting_rules": [{"name": "vip", "variation": "on", "conditions": [`+condition+`]}]}`)
		answer := world.Call(s.viewer, http.MethodGet, s.path("/new-checkout-flow"), nil)
		Expect(string(answer.Body)).To(ContainSubstring(`"value":1234567890123456789`))
		toggle := s.path("/new-checkout-flow/toggle")
		data(http.StatusOK, world.Call(s.editor, http.MethodPost, toggle, `{"enabled": true}`))
		evaluate := "/api/v1/evaluate?environment_id=" + s.name + ".production"
		variation := func(account string) any {
			asked := `{"flags": ["new-checkout-flow"], "context": {"attributes": {"account": ` + account + `}}}`
			return data(http.StatusOK, world.Call(s.viewer, http.MethodPost, evaluate, asked))["evaluations"]
		}
		is := func(key string) OmegaMatcher {
			return HaveKeyWithValue("new-checkout-flow", HaveKeyWithValue("variation_key", key))
		}
		Eventually(func() any { return variation("1234567890123456789") }).Should(is("on"))
		Expect(variation("1234567890123456788")).To(is("off"))
	})
})

var _ = Describe("Ten changes at once", func() {
	It("all succeed", func() {
		s := newShop()
		s.create()
		answers, wait := make([]*servertest.Answer, 10), sync.WaitGroup{}
		for i := range answers {
			wait.Go(func() {
				defer GinkgoRecover()
				body := fmt.Sprintf(`{"tags": ["t%d"]}`, i)
				answers[i] = world.Call(s.editor, http.MethodPut, s.path("/new-checkout-flow"), body)
			})
		}
		wait.Wait()
		for _, answer := range answers {
			Expect(answer.Status).To(BeElementOf(http.StatusOK, http.StatusConflict), string(answer.Body))
			if answer.Status == http.StatusConflict {
				refused(answer, http.StatusConflict, "again")
			}
		}
	})
})

func encode(value any) string {
	GinkgoHelper()
	text, err := json.Marshal(value)
	Expect(err).NotTo(HaveOccurred())
	return string(text)
}
