// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package posthog

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/internal/server/views/posthog/filters"
)

var _ = Describe("What comes back", func() {
	It("is no zero value where it is null", func() {
		s := openShop()
		flag := builders.MakeFlag("kept", s.name).Boolean().Environment("production").Rule(
			builders.MakeRule("r").Serve("on"),
		).Fallthrough("on").Obj()
		flag.Spec.Runtime, flag.Spec.Tags = v1alpha1.RuntimeServer, []string{"t"}
		flag.Spec.Environments[0].Rules[0].HashAttribute = filters.DeviceID
		world.Create(flag, builders.MakeFlag("gone", s.name).Boolean().Archived().Obj())
		s.awaitServed("kept")
		before, gone := s.authored("kept"), s.authored("gone")
		for _, field := range []string{
			"active", "deleted", "key", "version", "filters", "evaluation_runtime", "bucketing_identifier",
		} {
			answer := world.Call(s.editor, http.MethodPatch, s.flags+"/kept", `{"`+field+`": null, "name": "x"}`)
			Expect(answer.Status).To(Equal(http.StatusUnprocessableEntity), field+": "+string(answer.Body))
			Expect(object(answer)).To(HaveKeyWithValue("attr", field))
		}
		Expect(s.authored("kept")).To(Equal(before))
		restored := world.Call(s.editor, http.MethodPatch, s.flags+"/gone", `{"deleted": null, "name": "x"}`)
		Expect(restored.Status).To(Equal(http.StatusUnprocessableEntity), string(restored.Body))
		Expect(s.authored("gone")).To(Equal(gone))
		for _, field := range []string{"active", "_should_create_usage_dashboard"} {
			answer := world.Call(s.editor, http.MethodPost, s.flags, `{"key": "new", "`+field+`": null}`)
			Expect(answer.Status).To(Equal(http.StatusUnprocessableEntity), field+": "+string(answer.Body))
		}

		By("clearing what may be cleared")
		cleared := s.patch("kept", `{"name": null, "tags": null, "creation_context": null, "rollback_conditions": null,
			"performed_rollback": null, "has_enriched_analytics": null, "_create_in_folder": null, "last_called_at": null}`)
		Expect(cleared).To(And(HaveKeyWithValue("tags", BeEmpty()), HaveKeyWithValue("active", true)))

		By("taking null for the defaults that a flag has")
		Expect(s.create(`{"key": "new", "evaluation_runtime": null, "bucketing_identifier": null}`)).
			To(HaveKeyWithValue("evaluation_runtime", "all"))
		s.patch("new", `{"evaluation_runtime": null, "bucketing_identifier": null}`)
	})

	It("keeps what a flag hashes while no group hashes", func() {
		s := openShop()
		const third = `"filters": {"groups": [{"properties": [], "rollout_percentage": 33}]}`
		byDevice := HaveKeyWithValue("bucketing_identifier", "device_id")
		Expect(s.create(`{"key": "new", "bucketing_identifier": "device_id"}`)).To(byDevice)
		Expect(s.patch("new", `{"name": "x"}`)).To(byDevice)
		Expect(s.patch("new", `{`+third+`}`)).To(byDevice)
		rules := s.resource("new").Spec.Environments[0].Rules
		Expect(rules).To(ConsistOf(HaveField("HashAttribute", filters.DeviceID)))
		Expect(s.patch("new", `{"filters": {"groups": []}}`)).To(byDevice)
		Expect(s.patch("new", `{"bucketing_identifier": "distinct_id"}`)).NotTo(byDevice)
		Expect(s.patch("new", `{`+third+`}`)).NotTo(byDevice)
		Expect(s.patch("new", `{"bucketing_identifier": "device_id", "filters": {"groups": []}}`)).To(byDevice)
		Expect(s.get("new")).To(byDevice)
	})

	It("changes not one byte of an awkward flag as it was shown", func() {
		s := openShop()
		world.Create(
			builders.MakeAudience("beta", s.name).Members("alice").Obj(),
			builders.MakeAudience("staff", s.name).Members("bob").Obj(),
			builders.MakeEvent("purchase", s.name).Obj(),
		)
		flags := awkwardFlags(s.name)
		for _, flag := range flags {
			world.Create(flag)
		}
		for _, flag := range flags {
			Eventually(func() int {
				return world.Call(s.viewer, http.MethodGet, s.flags+"/"+flag.Name, nil).Status
			}).Should(Equal(http.StatusOK))
			read, before := s.get(flag.Name), s.authored(flag.Name)
			body, err := json.Marshal(read)
			Expect(err).NotTo(HaveOccurred())
			Expect(s.patch(flag.Name, string(body))).To(Equal(read), flag.Name)
			Expect(s.authored(flag.Name)).To(Equal(before), flag.Name)

			By("changing nothing of " + flag.Name + " but its name")
			read["name"] = "Other"
			body, err = json.Marshal(read)
			Expect(err).NotTo(HaveOccurred())
			s.patch(flag.Name, string(body))
			flag.Spec.DisplayName = "Other"
			after := s.resource(flag.Name)
			Expect(after.Spec).To(Equal(flag.Spec), flag.Name)
			Expect(after.Annotations[v1alpha1.ForceDisabledAnnotation]).
				To(Equal(flag.Annotations[v1alpha1.ForceDisabledAnnotation]), flag.Name)
			Expect(after.Annotations).NotTo(HaveKey(v1alpha1.ViewAnnotationPrefix+filters.ViewName), flag.Name)
		}

		By("changing one rollout, and neither the default nor the annotation")
		for _, name := range []string{"code", "code-text-rule", "shares"} {
			read, want := s.get(name), s.resource(name).Spec
			at(read, "filters", "groups", 0).(map[string]any)["rollout_percentage"] = 60
			body, err := json.Marshal(read)
			Expect(err).NotTo(HaveOccurred())
			s.patch(name, string(body))
			want.Environments[0].Rules[0].Traffic = "60%"
			Expect(s.resource(name).Spec).To(Equal(want))
			Expect(s.resource(name).Annotations).NotTo(HaveKey(v1alpha1.ViewAnnotationPrefix + filters.ViewName))
		}

		By("refusing to lose what serves false at the end")
		lost := world.Call(s.editor, http.MethodPatch, s.flags+"/trailing", `{"filters": {"groups": []}}`)
		Expect(lost.Status).To(Equal(http.StatusUnprocessableEntity), string(lost.Body))
		Expect(object(lost)["detail"]).To(ContainSubstring(`rule "s" serves false`))

		By("refusing to switch on what is deleted, unless it is restored")
		refused := world.Call(s.editor, http.MethodPatch, s.flags+"/archived", `{"active": true}`)
		Expect(refused.Status).To(Equal(http.StatusUnprocessableEntity), string(refused.Body))
		Expect(object(refused)["detail"]).To(ContainSubstring("the flag is deleted"))
		Expect(s.patch("archived", `{"active": true, "deleted": false}`)).To(HaveKeyWithValue("active", true))

		By("switching a scheduled flag off for good where that alone is asked, and leaving a braked one braked")
		s.patch("ahead", `{"active": false}`)
		Expect(s.resource("ahead").Spec.Environments[0].Enabled).To(BeFalse())
		s.patch("braked", `{"active": false}`)
		Expect(s.resource("braked").Spec.Environments[0].Enabled).To(BeTrue())
	})
})

// awkwardFlags are flags of which the view shows something else than they say, or less.
func awkwardFlags(namespace string) []*v1alpha1.FeatureFlag {
	boolean := func(name string) *builders.FlagBuilder {
		return builders.MakeFlag(name, namespace).Boolean().Environment("production")
	}
	text := func(name string) *builders.FlagBuilder {
		return builders.MakeFlag(name, namespace).Type(v1alpha1.FlagTypeString).Variation("a", `"x"`).
			Variation("b", `"y"`).DefaultVariation("a").Environment("production")
	}
	in := func(rule, city string) *builders.RuleBuilder {
		return builders.MakeRule(rule).Condition("city", v1alpha1.OperatorIn, city)
	}
	return []*v1alpha1.FeatureFlag{
		boolean("code").DefaultVariation("on").CodeDefault().Rule(in("r", "Berlin").Serve("on")).Obj(),
		boolean("code-only").DefaultVariation("on").CodeDefault().Obj(),
		boolean("code-false").CodeDefault().Rule(in("r", "Berlin").Serve("on"), in("s", "Paris").Serve("off")).Obj(),
		text("code-text").CodeDefault().Obj(),
		text("code-text-rule").CodeDefault().Rule(in("r", "Berlin").Serve("b")).Obj(),
		boolean("braked").Fallthrough("on").Annotation(v1alpha1.ForceDisabledAnnotation, "production").Obj(),
		boolean("archived").Fallthrough("on").Archived().Obj(),
		boolean("ahead").Fallthrough("on").Schedule(time.Date(2099, 1, 2, 3, 4, 5, 0, time.UTC), time.Time{}).Obj(),
		boolean("over").Fallthrough("on").Schedule(time.Time{}, time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)).Obj(),
		boolean("pinned-off").Override("vip", "off").Obj(),
		boolean("pinned-first").Override("vip", "off").Rule(in("r", "Berlin").Serve("on")).Obj(),
		boolean("trailing").Rule(in("r", "Berlin").Serve("on"), in("s", "Paris").Serve("off")).Obj(),
		text("audiences").Rule(
			builders.MakeRule("test").ABTest("purchase").Audiences("beta", "staff").Split("a", 1).Split("b", 1).Salt("s"),
		).Obj(),
		text("bare").Obj(),
		text("shares").Rule(in("r", "Berlin").Serve("b")).Obj(),
		text("odd-share").Rule(builders.MakeRule("r").Split("a", 1).Split("b", 2)).Obj(),
		builders.MakeFlag("elsewhere", namespace).Boolean().Obj(),
	}
}

var _ = DescribeTable("A request has changes only in what is not as it was shown",
	func(body string, left ...string) {
		shows := &Flag{
			Name: "N", Key: "k", Tags: []string{"t"}, EvaluationTags: []string{}, AnalyticsDashboards: []int64{},
			EvaluationRuntime: "all", BucketingIdentifier: "distinct_id", Deleted: false, Active: false,
			RollbackConditions: json.RawMessage(`{"a": [1]}`),
			Filters:            filters.ShownFilters{Groups: []filters.Group{}, Payloads: map[string]filters.Payload{}},
		}
		fields := &Fields{}
		Expect(json.Unmarshal([]byte(body), fields)).To(Succeed())
		Expect(fields.dropShown(shows)).To(Succeed())
		data, err := json.Marshal(fields)
		Expect(err).NotTo(HaveOccurred())
		sent := map[string]struct{ Sent bool }{}
		Expect(json.Unmarshal(data, &sent)).To(Succeed())
		Expect(slices.Collect(maps.Keys(sent))).To(ConsistOf(left))
	},
	Entry("all that was shown", `{"name": "N", "key": "k", "tags": ["t"], "evaluation_tags": [], "active": false,
		"deleted": false, "evaluation_runtime": "all", "bucketing_identifier": "distinct_id", "creation_context": null,
		"rollback_conditions": {"a":[1]}, "filters": {"groups": [], "multivariate": null, "payloads": {}},
		"is_remote_configuration": false, "has_encrypted_payloads": false, "last_called_at": null}`),
	Entry("another name", `{"name": "M", "active": false}`, "name"),
	Entry("other tags", `{"tags": ["t", "u"], "active": false}`, "tags"),
	Entry("no tags", `{"tags": [], "key": "k"}`, "tags"),
	Entry("a switch", `{"active": true, "name": "N"}`, "active"),
	Entry("off alone, which is meant", `{"active": false}`, "active"),
	Entry("another runtime", `{"evaluation_runtime": "server", "name": "N"}`, "evaluation_runtime"),
	Entry("another hash", `{"bucketing_identifier": "device_id", "name": "N"}`, "bucketing_identifier"),
	Entry("null for what has a value", `{"rollback_conditions": null, "name": null}`, "rollback_conditions", "name"),
	Entry("groups", `{"filters": {"groups": [{}]}, "name": "N"}`, "filters"),
	Entry("what filters cannot say", `{"filters": {"groups": [], "holdout": {"id": 1}}, "name": "N"}`, "filters"),
	Entry("an assertion beside other filters", `{"filters": {"groups": [{}]}, "is_remote_configuration": false}`,
		"filters", "is_remote_configuration"),
)
