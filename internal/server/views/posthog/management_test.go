// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package posthog

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
)

// reference is the body that the reference documents for actions, with a value of each of its types.
const reference = `{"name": "string", "key": "string", "filters": {}, "deleted": true, "active": true,
	"created_at": "2019-08-24T14:15:22Z", "version": 0, "ensure_experience_continuity": true, "rollback_conditions": null,
	"performed_rollback": true, "tags": [null], "evaluation_tags": [null], "analytics_dashboards": [0],
	"has_enriched_analytics": true, "creation_context": "feature_flags", "is_remote_configuration": true,
	"has_encrypted_payloads": true, "evaluation_runtime": null, "bucketing_identifier": null,
	"last_called_at": "2019-08-24T14:15:22Z", "_create_in_folder": "string", "_should_create_usage_dashboard": true}`

var _ = Describe("Tools that manage flags", func() {
	It("see a scheduled flag off until then, and are told how to switch it on before", func() {
		s := openShop()
		at := metav1.NewTime(time.Date(2099, 1, 2, 3, 4, 5, 0, time.UTC))
		flag := builders.MakeFlag("later", s.name).Boolean().Environment("production").Fallthrough("on").Obj()
		flag.Spec.Environments[0].Schedule = &v1alpha1.Schedule{EnableAt: &at}
		world.Create(flag)
		s.awaitServed("later")
		Expect(s.get("later")).To(HaveKeyWithValue("active", false))
		listed := func(active string) any {
			return object(world.Call(s.viewer, http.MethodGet, s.flags+"?active="+active, nil))["count"]
		}
		Expect(listed("true")).To(Equal(0.0))
		Expect(listed("false")).To(Equal(1.0))

		for _, body := range []string{`{"active": true}`, `{"active": true, "name": "Later"}`} {
			refused := world.Call(s.editor, http.MethodPatch, s.flags+"/later", body)
			Expect(refused.Status).To(Equal(http.StatusUnprocessableEntity), string(refused.Body))
			Expect(
				string(refused.Body),
			).To(
				ContainSubstring("the flag stays off, because its schedule enables it at 2099-01-02T03:04:05Z"),
			)
			Expect(string(refused.Body)).To(ContainSubstring("?replace=true"))
		}
		By("sending back what was shown, beside another name")
		Expect(s.patch("later", `{"active": false, "name": "Later"}`)).To(HaveKeyWithValue("name", "Later"))
		Expect(s.resource("later").Spec.Environments[0].Enabled).To(BeTrue())
		By("asking for it now")
		now := world.Call(s.editor, http.MethodPatch, s.flags+"/later?replace=true", `{"active": true}`)
		Expect(now.Status).To(Equal(http.StatusOK), string(now.Body))
		Expect(object(now)).To(HaveKeyWithValue("active", true))
		Expect(s.resource("later").Spec.Environments[0].Schedule).To(BeNil())
	})

	It("get the keys of those ids that flags have, whatever they ask for", func() {
		s := openShop()
		id := fmt.Sprintf("%.0f", s.create(`{"key": "here"}`)["id"])
		gone := fmt.Sprintf("%.0f", s.create(`{"key": "gone"}`)["id"])
		s.patch("gone", `{"deleted": true}`)
		for body, keys := range map[string]map[string]any{
			`{}`: {}, `{"ids": []}`: {}, `{"ids": null}`: {}, reference: {}, `{"ids": [1, "2"]}`: {}, `{"ids": [` + gone + `]}`: {},
			`{"ids": [` + gone + `, "` + id + `"]}`: {id: "here"},
		} {
			answer := world.Call(s.viewer, http.MethodPost, s.flags+"/bulk_keys/", body)
			Expect(answer.Status).To(Equal(http.StatusOK), body+string(answer.Body))
			Expect(object(answer)).To(Equal(map[string]any{"keys": keys}), body)
		}
		dependents := world.Call(s.editor, http.MethodPost, s.flags+"/here/has_active_dependents", reference)
		Expect(dependents.Status).To(Equal(http.StatusOK))
	})

	It("count everybody where there is no condition", func() {
		s := openShop()
		s.create(`{"key": "here", "filters": {"groups": [{}]}}`)
		for _, id := range []string{"ann", "bob"} {
			world.Call("", http.MethodPost, "/flags?v=2", `{"token": "`+s.server+`", "distinct_id": "`+id+`"}`)
		}
		for _, body := range []string{
			`{"condition": null}`, `{"condition": {}}`, `{"condition": {"properties": []}, "group_type_index": null}`,
			`{"condition": null, ` + reference[1:],
		} {
			answer := world.Call(s.viewer, http.MethodPost, s.flags+"/user_blast_radius", body)
			Expect(answer.Status).To(Equal(http.StatusOK), body+string(answer.Body))
			Expect(object(answer)).To(Equal(map[string]any{"users_affected": 2.0, "total_users": 2.0}), body)
		}
		By("counting the people of a flag's filters, which are all that the reference lists")
		for body, affected := range map[string]float64{
			reference: 0, `{"filters": {"groups": []}}`: 0, `{"filters": {"groups": [{}]}}`: 2,
			`{"filters": {"groups": [{"properties": [{"key": "distinct_id", "value": "ann"}], "rollout_percentage": 10},
				{"properties": [{"key": "distinct_id", "value": "eve"}], "variant": "x"}],
				"multivariate": {"variants": [{"key": "x", "rollout_percentage": 100}]}, "payloads": {"x": "1"}}}`: 1,
		} {
			answer := world.Call(s.viewer, http.MethodPost, s.flags+"/user_blast_radius", body)
			Expect(answer.Status).To(Equal(http.StatusOK), body+string(answer.Body))
			Expect(object(answer)).To(Equal(map[string]any{"users_affected": affected, "total_users": 2.0}), body)
		}
		wrong := world.Call(s.viewer, http.MethodPost, s.flags+"/user_blast_radius",
			`{"filters": {"groups": [{}, {"properties": [{"key": "plan", "value": "b", "operator": "gt"}]}]}}`)
		Expect(wrong.Status).To(Equal(http.StatusUnprocessableEntity))
		Expect(object(wrong)["attr"]).To(Equal("filters.groups"))
		missing := world.Call(s.viewer, http.MethodPost, s.flags+"/user_blast_radius", `{}`)
		Expect(missing.Status).To(Equal(http.StatusUnprocessableEntity))
		Expect(object(missing)["detail"]).To(ContainSubstring("condition"))
	})

	// A rule that gets another name deals its shares anew, and loses its metrics.
	It("know a group that comes without its sort key, as programs send it", func() {
		s := openShop()
		beta := func(share int) string {
			return fmt.Sprintf(
				`{"properties": [{"key": "plan", "value": ["beta"]}, {"key": "since", "operator": "is_date_after", "value": "2027-01-02"}],
				"rollout_percentage": %d}`,
				share,
			)
		}
		patch := func(groups string) []v1alpha1.Rule {
			s.patch("here", `{"filters": {"groups": [`+groups+`]}}`)
			return s.resource("here").In("production").Rules
		}
		names := func(rules []v1alpha1.Rule) []string {
			found := make([]string, len(rules))
			for i := range rules {
				found[i] = rules[i].Name
			}
			return found
		}
		s.create(`{"key": "here", "filters": {"groups": [` + beta(10) + `, {"rollout_percentage": 5}]}}`)
		stored := s.resource("here")
		Expect(names(stored.In("production").Rules)).To(Equal([]string{"group-1", "group-2"}))
		patch(beta(10) + `, {"properties": [], "rollout_percentage": 5}`)
		Expect(s.resource("here").Spec).To(Equal(stored.Spec), "what was sent before is no change")
		rules := patch(beta(20) + `, {"properties": [], "rollout_percentage": 5}`)
		Expect(names(rules)).To(Equal([]string{"group-1", "group-2"}))
		Expect(rules[0].Traffic).To(Equal(v1alpha1.Percent("20%")))
		Expect(
			names(patch(`{"properties": [{"key": "plan", "value": "staff"}]}, {"rollout_percentage": 5}, ` + beta(20))),
		).To(
			Equal([]string{"group-1-2", "group-2", "group-1"}),
		)
		rules = patch(`{"rollout_percentage": 5, "sort_key": "group-1"}, ` + beta(20))
		Expect(names(rules)).To(Equal([]string{"group-1", "group-2-2"}), "a key that is sent is believed")
	})

	// A customer whose number is next to that of another would get what is meant for the other.
	It("find integers of any size as they were sent, and change nothing by sending them back", func() {
		s := openShop()
		s.create(`{"key": "big", "filters": {"groups": [{"properties": [
			{"key": "account", "operator": "exact", "value": 1234567890123456789}, {"key": "n", "operator": "lte", "value": 9007199254740993},
			{"key": "age", "operator": "gt", "value": "18.50"}, {"key": "share", "operator": "exact", "value": [1.50, 1e3]}]}]}}`)
		stored := s.resource("big")
		var values []string
		for _, condition := range stored.In("production").Rules[0].Conditions {
			values = append(values, condition.Values...)
		}
		Expect(values).To(Equal([]string{"1234567890123456789", "9007199254740993", "18.50", "1.5", "1000"}))
		properties := at(
			object(world.Call(s.viewer, http.MethodGet, s.flags+"/big", nil)),
			"filters",
			"groups",
			0,
			"properties",
		)
		Expect(at(properties, 1, "value")).To(Equal("9007199254740993"), "a browser would round a number")
		Expect(at(properties, 2, "value")).To(Equal(18.5))
		s.patch("big", `{"filters": {"groups": [{"sort_key": "group-1", "rollout_percentage": 100, "properties": [
			{"key": "account", "operator": "exact", "value": ["1234567890123456789"]}, {"key": "n", "operator": "lte", "value": "9007199254740993"},
			{"key": "age", "operator": "gt", "value": 18.5}, {"key": "share", "operator": "exact", "value": ["1.5", "1000"]}]}]}}`)
		Expect(s.resource("big").Spec).To(Equal(stored.Spec))
	})

	It("are told of mistakes in PostHog's words", func() {
		s := openShop()
		s.create(`{"key": "here", "filters": {"groups": [{}]}}`)
		for property, says := range map[string]string{
			`"operator": "gt", "value": "x"`:           "operator gt: must be a decimal number",
			`"operator": "regex", "value": "("`:        "operator regex: must be a regular expression",
			`"operator": "semver_gte", "value": "x"`:   "operator semver_gte: must be a semantic version",
			`"operator": "semver_tilde", "value": "1"`: `operator "semver_tilde" is not possible here; these are: is_set, is_not_set, in,`,
		} {
			answer := world.Call(s.editor, http.MethodPatch, s.flags+"/here",
				`{"filters": {"groups": [{"properties": [{"key": "a", `+property+`}]}]}}`)
			Expect(answer.Status).To(Equal(http.StatusUnprocessableEntity), property)
			Expect(object(answer)["detail"]).To(ContainSubstring(says))
		}
	})

	It("write payloads of any JSON, and no variants as null", func() {
		s := openShop()
		flag := s.create(
			`{"key": "any", "filters": {"groups": [{}], "multivariate": null, "payloads": {"true": {"a": [1, 9007199254740991, null, "é"]}}}}`,
		)
		Expect(at(flag, "filters", "payloads", "true")).To(Equal(`{"a":[1,9007199254740991,null,"é"]}`))
		for sent, shown := range map[string]string{
			`[1, 2]`: `[1,2]`, `7.50`: `7.50`, `false`: `false`, `"\"text\""`: `"text"`, `"{\"a\": 1}"`: `{"a":1}`,
		} {
			Expect(
				at(s.patch("any", `{"filters": {"payloads": {"true": `+sent+`}}}`), "filters", "payloads", "true"),
			).To(
				MatchJSON(shown),
				sent,
			)
		}
		Expect(
			at(
				s.patch("any", `{"filters": {"groups": [{"rollout_percentage": 50}], "multivariate": null}}`),
				"filters",
				"multivariate",
			),
		).To(
			BeNil(),
		)
		Expect(at(s.patch("any", `{"filters": {"payloads": null}}`), "filters", "payloads")).To(BeEmpty())
		refused := world.Call(s.editor, http.MethodPatch, s.flags+"/any", `{"filters": {"payloads": {"true": "no JSON"}}}`)
		Expect(refused.Status).To(Equal(http.StatusUnprocessableEntity))
		Expect(object(refused)["attr"]).To(Equal("filters.payloads.true"))

		large := world.Call(
			s.editor,
			http.MethodPatch,
			s.flags+"/any",
			`{"filters": {"payloads": {"true": 12345678901234567890}}}`,
		)
		Expect(large.Status).To(Equal(http.StatusUnprocessableEntity))
		Expect(object(large)["attr"]).To(Equal("filters.payloads.true"))

		s.create(button)
		kept := world.Call(s.editor, http.MethodPatch, s.flags+"/button", `{"filters": {"multivariate": null}}`)
		Expect(kept.Status).To(Equal(http.StatusUnprocessableEntity))
		Expect(object(kept)["attr"]).To(Equal("filters.multivariate"))
	})

	It("use the key of a deleted flag again", func() {
		s := openShop()
		first := s.create(`{"key": "again", "name": "First", "filters": {"groups": [{}]}}`)
		taken := world.Call(s.editor, http.MethodPost, s.flags, `{"key": "again"}`)
		Expect(taken.Status).To(BeElementOf(http.StatusConflict, http.StatusUnprocessableEntity))
		s.patch("again", `{"deleted": true}`)

		By("keeping the deleted flag where the new one is refused")
		refused := world.Call(s.editor, http.MethodPost, s.flags,
			`{"key": "again", "filters": {"groups": [{"properties": [{"key": "a", "operator": "regex", "value": "("}]}]}}`)
		Expect(refused.Status).To(Equal(http.StatusUnprocessableEntity), string(refused.Body))
		Expect(s.get(fmt.Sprintf("%.0f", first["id"]))).To(HaveKeyWithValue("deleted", true))

		second := s.create(`{"key": "again", "name": "Second", "filters": {"groups": [{}]}}`)
		Expect(second["id"]).NotTo(Equal(first["id"]))
		Expect(s.get("again")).To(And(HaveKeyWithValue("name", "Second"), HaveKeyWithValue("deleted", false)))
		answer := world.Call("", http.MethodPost, "/flags?v=2", `{"token": "`+s.server+`", "distinct_id": "ann"}`)
		Expect(at(object(answer), "flags", "again", "enabled")).To(BeTrue())
	})

	It("create no flag that is deleted and on", func() {
		s := openShop()
		refused := world.Call(s.editor, http.MethodPost, s.flags, `{"key": "gone", "deleted": true, "active": true}`)
		Expect(refused.Status).To(Equal(http.StatusUnprocessableEntity), string(refused.Body))
		Expect(object(refused)).To(HaveKeyWithValue("attr", "active"))
		Expect(string(refused.Body)).To(ContainSubstring(`\"deleted\": false`))
		Expect(world.Call(s.editor, http.MethodGet, s.flags+"/gone", nil).Status).To(Equal(http.StatusNotFound))
	})

	It("reach flags whose keys are words of the API", func() {
		s := openShop()
		for _, key := range []string{"activity", "my_flags", "evaluation_reasons", "local_evaluation", "bulk_keys"} {
			id := fmt.Sprintf("%.0f", s.create(`{"key": "` + key + `"}`)["id"])
			for _, path := range []string{id, "key:" + key, string(s.resource(nameOf(key)).UID)} {
				Expect(s.get(path)).To(HaveKeyWithValue("key", key), path)
			}
			Expect(world.Call(s.viewer, http.MethodGet, s.flags+"/"+key+"/status", nil).Status).To(Equal(http.StatusOK), key)
		}
		Expect(object(world.Call(s.viewer, http.MethodGet, s.flags+"/activity", nil))).To(HaveKey("total_count"))
		Expect(world.Call(s.viewer, http.MethodGet, s.flags+"/key:nothing", nil).Status).To(Equal(http.StatusNotFound))
	})

	It("learn that a key is malformed by its name", func() {
		s := openShop()
		for _, filters := range []string{``, `, "filters": {"groups": [{}]}`, `, "filters": {"groups": [], "payloads": {}}`} {
			answer := world.Call(s.editor, http.MethodPost, s.flags, `{"key": "\u0001\n"`+filters+`}`)
			Expect(answer.Status).To(Equal(http.StatusUnprocessableEntity))
			Expect(object(answer)).To(HaveKeyWithValue("attr", "key"), filters)
			Expect(answer.Body).NotTo(ContainSubstring("filters"), filters)
		}
	})

	It("list by type, tags, runtime and order, and learn what is not possible", func() {
		s := openShop()
		s.create(`{"key": "a-boolean", "name": "Z", "tags": ["x", "y"], "filters": {"groups": [{"rollout_percentage": 5}]}}`)
		s.create(
			`{"key": "b-variants", "name": "Y", "tags": ["y"], "evaluation_runtime": "server", "filters": {"groups": [{}], "multivariate": {"variants": [{"key": "a", "rollout_percentage": 100}]}}}`,
		)
		s.create(
			`{"key": "c-config", "name": "X", "is_remote_configuration": true, "filters": {"payloads": {"true": "1"}}, "active": true}`,
		)
		world.Create(
			builders.MakeEvent("purchase", s.name).Obj(),
			builders.MakeFlag("d-experiment", s.name).Boolean().Environment("production").
				Rule(builders.MakeRule("test").ABTest("purchase").Split("on", 1).Split("off", 1)).Obj(),
		)
		for query, want := range map[string][]any{
			"":                          {"a-boolean", "b-variants", "c-config", "d-experiment"},
			"type=boolean":              {"a-boolean", "d-experiment"},
			"type=multivariant":         {"b-variants"},
			"type=remote_config":        {"c-config"},
			"type=experiment":           {"d-experiment"},
			"tags=x":                    {"a-boolean"},
			"tags=x,y":                  {"a-boolean", "b-variants"},
			`tags=["y"]`:                {"a-boolean", "b-variants"},
			"evaluation_runtime=server": {"b-variants"},
			"order=-key&limit=2":        {"d-experiment", "c-config"},
			"order=name&search=-":       {"d-experiment", "c-config", "b-variants", "a-boolean"},
			"order=created_at":          {"a-boolean", "b-variants", "c-config", "d-experiment"},
			"active=true&type=boolean":  {"a-boolean", "d-experiment"},
		} {
			answer := world.Call(s.viewer, http.MethodGet, s.flags+"/?"+escape(query), nil)
			Expect(answer.Status).To(Equal(http.StatusOK), query+string(answer.Body))
			keys := []any{}
			for _, flag := range at(object(answer), "results").([]any) {
				keys = append(keys, at(flag, "key"))
			}
			Expect(keys).To(Equal(want), query)
		}
		for _, query := range []string{"type=x", "tags=[", "evaluation_runtime=x", "order=id", "created_by_id=1", "has_evaluation_tags=true", "active=maybe", "limit=0"} {
			answer := world.Call(s.viewer, http.MethodGet, s.flags+"/?"+escape(query), nil)
			Expect(answer.Status).To(Equal(http.StatusBadRequest), query+string(answer.Body))
		}
	})

	It("send back what they read", func() {
		s := openShop()
		s.create(checkout)
		s.create(button)
		for _, key := range []string{"new-checkout", "button"} {
			read := s.get(key)
			before := s.authored(key)
			body, err := json.Marshal(read)
			Expect(err).NotTo(HaveOccurred())
			Expect(s.patch(key, string(body))).To(Equal(read))
			Expect(s.authored(key)).To(Equal(before))

			By("changing one thing in it")
			read["name"] = "Other"
			body, err = json.Marshal(read)
			Expect(err).NotTo(HaveOccurred())
			Expect(s.patch(key, string(body))).To(HaveKeyWithValue("name", "Other"))
		}
		By("taking what only PostHog's own answers have")
		s.patch(
			"button",
			`{"name": "Button", "created_by": {"id": 1}, "experiment_set": [], "surveys": null, "usage_dashboard": 7, "user_access_level": "editor", "rollout_percentage": null}`,
		)
		By("refusing to change what cannot be")
		for field, value := range map[string]string{"id": "7", "status": `"STALE"`, "not_shown": `["x"]`, "managed_by": `{}`} {
			answer := world.Call(s.editor, http.MethodPatch, s.flags+"/button", `{"`+field+`": `+value+`}`)
			Expect(answer.Status).To(Equal(http.StatusUnprocessableEntity), field)
			Expect(object(answer)).To(HaveKeyWithValue("attr", field))
		}
		By("creating it elsewhere from what was read here")
		read := s.get("button")
		other := openShop()
		body, err := json.Marshal(read)
		Expect(err).NotTo(HaveOccurred())
		Expect(other.create(string(body))["filters"]).To(Equal(read["filters"]))
	})

	It("learn which right a dashboard needs", func() {
		s := openShop()
		editor := world.Token(s.name, "flags-only", "get", "list", "create", "update", "patch", "delete", "publish")
		answer := world.Call(editor, http.MethodPost, s.flags, `{"key": "mine"}`)
		Expect(answer.Status).To(Equal(http.StatusCreated), string(answer.Body))
		Expect(
			answer.Header.Get("Warning"),
		).To(
			And(HavePrefix("299 "), ContainSubstring("configmaps"), ContainSubstring("edit")),
		)
		refused := world.Call(editor, http.MethodPost, s.flags+"/mine/enrich_usage_dashboard", nil)
		Expect(refused.Status).To(Equal(http.StatusForbidden))
		Expect(object(refused)["detail"]).To(And(ContainSubstring("configmaps"), ContainSubstring("bind a role")))
		silent := world.Call(editor, http.MethodPost, s.flags, `{"key": "silent", "_should_create_usage_dashboard": false}`)
		Expect(silent.Header.Get("Warning")).To(BeEmpty())
		grant(s.name, "flags-only", "configmaps")
		Eventually(func() int {
			return world.Call(editor, http.MethodPost, s.flags+"/mine/enrich_usage_dashboard", nil).Status
		}).Should(Equal(http.StatusOK))
	})

	It("see disabled, deleted and unknown flags as PostHog shows them", func() {
		s := openShop()
		for _, key := range []string{"on", "off", "gone"} {
			s.create(`{"key": "` + key + `", "is_remote_configuration": true, "filters": {"payloads": {"true": "{\"a\": 1}"}}}`)
		}
		s.create(
			`{"key": "variants-off", "active": false, "filters": {"groups": [{}], "multivariate": {"variants": [{"key": "a", "rollout_percentage": 100}]}}}`,
		)
		s.patch("off", `{"active": false}`)
		Expect(s.patch("gone", `{"deleted": true}`)).To(HaveKeyWithValue("status", "DELETED"))
		s.awaitServed("off")
		status := func(id string) (int, map[string]any) {
			answer := world.Call(s.viewer, http.MethodGet, s.flags+"/"+id+"/status", nil)
			return answer.Status, object(answer)
		}
		for id, want := range map[string]struct {
			code   int
			status string
		}{
			"on": {http.StatusOK, "active"}, "off": {http.StatusOK, "active"}, "gone": {http.StatusOK, "deleted"},
			"nothing": {http.StatusNotFound, "unknown"}, "12345": {http.StatusNotFound, "unknown"},
		} {
			code, body := status(id)
			Expect(code).To(Equal(want.code), id)
			Expect(body).To(And(HaveKeyWithValue("status", want.status), HaveKey("reason")), id)
		}
		for id, want := range map[string]int{"on": 200, "off": 200, "gone": 404, "nothing": 404, "variants-off": 404} {
			answer := world.Call(s.server, http.MethodGet, s.flags+"/"+id+"/remote_config", nil)
			Expect(answer.Status).To(Equal(want), id)
			if want == http.StatusOK {
				Expect(answer.JSON).To(Equal(`{"a":1}`), id)
			}
		}
		reasons := object(world.Call(s.viewer, http.MethodGet, s.flags+"/evaluation_reasons?distinct_id=ann", nil))
		Expect(keysOf(reasons)).To(Equal([]string{"off", "on", "variants-off"}))
		for _, key := range []string{"off", "variants-off"} {
			Expect(reasons[key]).To(Equal(map[string]any{
				"value": false, "evaluation": map[string]any{"reason": "disabled", "condition_index": nil},
			}), key)
		}
		Expect(at(reasons, "on", "evaluation", "reason")).To(Equal("condition_match"))
	})

	It("read the history in PostHog's words", func() {
		s := openShop()
		s.create(checkout)
		s.patch("new-checkout", `{"evaluation_runtime": "server"}`)
		s.patch("new-checkout", `{"evaluation_tags": ["app"], "_create_in_folder": "x"}`)
		s.patch("new-checkout", `{"tags": ["checkout", "new"]}`)
		s.patch(
			"new-checkout",
			`{"filters": {"groups": [{"properties": [{"key": "plan", "operator": "exact", "type": "person", "value": ["free"]}], "rollout_percentage": 10}]}}`,
		)
		s.patch("new-checkout", `{"filters": {"payloads": {"true": {"colour": "red"}}}}`)
		s.patch("new-checkout", `{"deleted": true}`)
		s.patch("new-checkout", `{"deleted": false}`)
		var activity *[]any
		Eventually(func(g Gomega) {
			body := object(world.Call(s.viewer, http.MethodGet, s.flags+"/new-checkout/activity?limit=50", nil))
			g.Expect(body).To(HaveKeyWithValue("total_count", 8.0))
			results := body["results"].([]any)
			activity = &results
		}).Should(Succeed())
		words := []any{}
		for _, entry := range *activity {
			words = append(words, at(entry, "activity"))
		}
		Expect(
			words,
		).To(
			Equal([]any{"restored", "deleted", "updated", "updated", "updated", "updated", "updated", "created"}),
		)
		changes := func(i int) any { return at((*activity)[i], "detail", "changes") }
		Expect(changes(0)).To(ConsistOf(toldChange("changed", "deleted", true, false)))
		Expect(changes(1)).To(ConsistOf(toldChange("changed", "deleted", false, true)))
		Expect(at(changes(2), 0, "after", "payloads")).To(Equal(map[string]any{"on": `{"colour":"red"}`}))
		Expect(changes(3)).To(HaveLen(1))
		Expect(changes(3)).To(ContainElement(HaveKeyWithValue("field", "filters")))
		Expect(changes(4)).To(ConsistOf(toldChange("changed", "tags", []any{}, []any{"new"})))
		Expect(changes(5)).To(ConsistOf(
			toldChange("created", "_create_in_folder", nil, "x"), toldChange("created", "evaluation_tags", nil, []any{"app"}),
		))
		Expect(changes(6)).To(ConsistOf(toldChange("changed", "evaluation_runtime", "all", "server")))
		Expect(changes(7)).To(BeEmpty())
		told, err := json.Marshal(*activity)
		Expect(err).NotTo(HaveOccurred())
		for _, word := range []string{"annotations", "spec.", "jackstaff.dev", "hashAttribute", "displayName", "EqualFold", `"In"`, "traffic"} {
			Expect(string(told)).NotTo(ContainSubstring(word))
		}
	})

	It("need no label where a project has one environment", func() {
		namespace := world.Project()
		world.Create(builders.MakeEnvironment("only", namespace.Name).Obj())
		editor := world.Editor(namespace.Name)
		flags := "/api/projects/" + namespace.Name + "/feature_flags"
		answer := world.Call(editor, http.MethodPost, flags, `{"key": "here"}`)
		Expect(answer.Status).To(Equal(http.StatusCreated), string(answer.Body))
		world.Create(builders.MakeEnvironment("second", namespace.Name).Obj())
		Eventually(
			func() int { return world.Call(editor, http.MethodGet, flags, nil).Status },
		).Should(
			Equal(http.StatusBadRequest),
		)
	})
})

// toldChange is a change as the history tells it.
func toldChange(action, field string, before, after any) map[string]any {
	return map[string]any{"type": "FeatureFlag", "action": action, "field": field, "before": before, "after": after}
}

// escape is a query whose values are escaped.
func escape(query string) string {
	values, err := url.ParseQuery(query)
	Expect(err).NotTo(HaveOccurred())
	return values.Encode()
}

// nameOf is the name of the resource of a flag with that key.
func nameOf(key string) string {
	name := []byte(key)
	for i := range name {
		if name[i] == '_' {
			name[i] = '-'
		}
	}
	return string(name)
}
