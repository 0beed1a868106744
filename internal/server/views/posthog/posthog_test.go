// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package posthog

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/internal/server/views/posthog/filters"
)

const (
	checkout = `{"key": "new-checkout", "name": "New checkout", "tags": ["checkout"], "filters": {"groups": [
		{"properties": [{"key": "plan", "type": "person", "operator": "exact", "value": ["beta", "enterprise"]}], "rollout_percentage": 100},
		{"properties": [], "rollout_percentage": 25}
	], "payloads": {"true": "{\"colour\":\"blue\"}"}}}`
	button = `{"key": "button", "filters": {"groups": [
		{"properties": [{"key": "country", "type": "person", "operator": "is_not", "value": ["de"]}], "rollout_percentage": 50},
		{"properties": [{"key": "email", "type": "person", "operator": "icontains", "value": "@example.com"}], "rollout_percentage": 100, "variant": "green"}
	], "multivariate": {"variants": [{"key": "red", "name": "Red", "rollout_percentage": 30}, {"key": "green", "name": "", "rollout_percentage": 70}]},
	"payloads": {"red": "1"}}}`
)

var _ = Describe("Flags", func() {
	It("creates, shows, changes, archives and lists flags with the fields of the reference", func() {
		s := openShop()
		answer := world.Call(s.editor, http.MethodPost, s.flags, checkout)
		Expect(answer.Status).To(Equal(http.StatusCreated), string(answer.Body))
		flag := object(answer)
		Expect(fieldsOf(answer.Body)).To(Equal([]string{
			"id",
			"name",
			"key",
			"filters",
			"deleted",
			"active",
			"created_at",
			"version",
			"ensure_experience_continuity",
			"rollback_conditions",
			"performed_rollback",
			"tags",
			"evaluation_tags",
			"analytics_dashboards",
			"has_enriched_analytics",
			"creation_context",
			"is_remote_configuration",
			"has_encrypted_payloads",
			"evaluation_runtime",
			"bucketing_identifier",
			"last_called_at",
			"_create_in_folder",
			"updated_at",
			"status",
			"not_shown",
			"evaluated_by_server",
			"managed_by",
		}))
		Expect(flag).To(And(
			HaveKeyWithValue("key", "new-checkout"),
			HaveKeyWithValue("name", "New checkout"),
			HaveKeyWithValue("active", true),
			HaveKeyWithValue("deleted", false),
			HaveKeyWithValue("version", 1.0),
			HaveKeyWithValue("tags", []any{"checkout"}),
			HaveKeyWithValue(
				"evaluation_tags",
				[]any{},
			),
			HaveKeyWithValue("rollback_conditions", BeNil()),
			HaveKeyWithValue("evaluation_runtime", "all"),
			HaveKeyWithValue(
				"bucketing_identifier",
				"distinct_id",
			),
			HaveKeyWithValue("last_called_at", BeNil()),
			HaveKeyWithValue("not_shown", []any{}),
			HaveKeyWithValue("evaluated_by_server", []any{}),
			HaveKeyWithValue("status", "ACTIVE"),
		))
		Expect(at(flag, "filters", "groups", 0)).To(Equal(map[string]any{
			"properties": []any{
				map[string]any{"key": "plan", "type": "person", "operator": "exact", "value": []any{"beta", "enterprise"}},
			},
			"rollout_percentage": 100.0,
			"variant":            nil,
			"sort_key":           "group-1",
		}))
		Expect(at(flag, "filters", "payloads")).To(Equal(map[string]any{"true": `{"colour":"blue"}`}))
		Expect(at(flag, "filters", "multivariate")).To(BeNil())

		By("finding it by id, key, UID and name")
		resource := s.resource("new-checkout")
		Expect(resource.Spec.Bucketing).To(Equal(v1alpha1.BucketingPostHogSHA1))
		for _, id := range []string{fmt.Sprintf("%.0f", flag["id"]), "new-checkout", string(resource.UID)} {
			Expect(s.get(id)).To(HaveKeyWithValue("key", "new-checkout"))
		}
		Expect(
			world.Call(s.viewer, http.MethodGet, "/api/projects/"+resource.Namespace+"/feature_flags/new-checkout/", nil).Status,
		).To(
			Equal(http.StatusOK),
		)

		By("changing what is asked only, and writing back what was read without a change")
		changed := s.patch(
			"new-checkout",
			`{"name": "Checkout", "evaluation_runtime": "server", "creation_context": "feature_flags", "rollback_conditions": [{"a": 1}],
			"analytics_dashboards": [7], "has_enriched_analytics": true, "performed_rollback": false, "ensure_experience_continuity": true, "evaluation_tags": ["app"], "_create_in_folder": "x/y"}`,
		)
		Expect(changed).To(And(
			HaveKeyWithValue(
				"name",
				"Checkout",
			),
			HaveKeyWithValue("evaluation_runtime", "server"),
			HaveKeyWithValue("creation_context", "feature_flags"),
			HaveKeyWithValue(
				"analytics_dashboards",
				[]any{7.0},
			),
			HaveKeyWithValue("has_enriched_analytics", true),
			HaveKeyWithValue("performed_rollback", false),
			HaveKeyWithValue(
				"ensure_experience_continuity",
				true,
			),
			HaveKeyWithValue("evaluation_tags", []any{"app"}),
			HaveKeyWithValue("_create_in_folder", "x/y"),
			HaveKeyWithValue("filters", flag["filters"]),
			HaveKeyWithValue("tags", []any{"checkout"}),
		))
		Expect(at(changed, "rollback_conditions", 0, "a")).To(Equal(1.0))
		before := s.authored("new-checkout")
		writable := map[string]any{}
		for _, name := range []string{"name", "key", "filters", "deleted", "active", "created_at", "version", "tags", "is_remote_configuration", "has_encrypted_payloads", "bucketing_identifier", "last_called_at"} {
			writable[name] = changed[name]
		}
		body, err := json.Marshal(writable)
		Expect(err).NotTo(HaveOccurred())
		s.patch("new-checkout", string(body))
		Expect(s.authored("new-checkout")).To(Equal(before))

		By("switching, archiving and bringing it back")
		Expect(s.patch("new-checkout", `{"active": false}`)).To(HaveKeyWithValue("active", false))
		Expect(
			s.patch("new-checkout", `{"deleted": true}`),
		).To(
			And(HaveKeyWithValue("deleted", true), HaveKeyWithValue("status", "DELETED")),
		)
		Expect(
			object(world.Call(s.viewer, http.MethodGet, s.flags, nil)),
		).To(
			Equal(map[string]any{"count": 0.0, "next": nil, "previous": nil, "results": []any{}}),
		)
		Expect(
			s.patch("new-checkout", `{"deleted": false, "active": true}`),
		).To(
			And(HaveKeyWithValue("deleted", false), HaveKeyWithValue("active", true)),
		)

		By("listing page by page")
		s.create(button)
		page := object(world.Call(s.viewer, http.MethodGet, s.flags+"/?limit=1", nil))
		Expect(page).To(And(HaveKeyWithValue("count", 2.0), HaveKeyWithValue("previous", BeNil())))
		Expect(at(page, "results", 0, "key")).To(Equal("button"))
		next := world.Call(s.viewer, http.MethodGet, strings.TrimPrefix(at(page, "next").(string), world.URL), nil)
		Expect(at(next.JSON, "results", 0, "key")).To(Equal("new-checkout"))
		Expect(
			at(object(world.Call(s.viewer, http.MethodGet, s.flags+"?search=CHECK&active=true", nil)), "count"),
		).To(
			Equal(1.0),
		)

		By("refusing to delete, and naming what is possible")
		deleted := world.Call(s.editor, http.MethodDelete, s.flags+"/new-checkout", nil)
		Expect(deleted.Status).To(Equal(http.StatusMethodNotAllowed))
		Expect(deleted.Header.Get("Allow")).To(ContainSubstring(http.MethodPatch))
	})

	It("keeps what PostHog has no name for when its filters are written", func() {
		s := openShop()
		world.Create(
			builders.MakeAudience("beta", s.name).Members("alice").Obj(),
			builders.MakeEvent("purchase", s.name).Obj(),
		)
		world.Create(
			builders.MakeFlag(
				"colour",
				s.name,
			).Type(
				v1alpha1.FlagTypeString,
			).Variation(
				"red",
				`"#f00"`,
			).Variation(
				"blue",
				`"#00f"`,
			).DefaultVariation(
				"red",
			).
				Environment(
					"production",
				).Override(
				"bob",
				"blue",
			).Rule(
				builders.MakeRule("test").ABTest("purchase").Audiences("beta").Split("red", 1).Split("blue", 1).Salt("s"),
				builders.MakeRule("old").Disabled().Serve("red"),
				builders.MakeRule("in-berlin").Condition("city", v1alpha1.OperatorIn, "Berlin").Serve("blue"),
			).Obj(),
		)
		flag := s.get("colour")
		Expect(at(flag, "filters", "groups", 0, "sort_key")).To(Equal("override:blue"))
		Expect(at(flag, "filters", "groups", 1, "sort_key")).To(Equal("test"))
		Expect(at(flag, "filters", "groups", 2, "sort_key")).To(Equal("in-berlin"))
		Expect(at(flag, "filters", "groups", 3, "sort_key")).To(Equal("fallthrough:"))
		Expect(
			at(flag, "filters", "multivariate", "variants", 1),
		).To(
			Equal(map[string]any{"key": "blue", "rollout_percentage": 50.0}),
		)

		filters := flag["filters"].(map[string]any)
		group := at(filters, "groups", 2).(map[string]any)
		group["rollout_percentage"] = 20.5
		body, err := json.Marshal(map[string]any{"filters": filters})
		Expect(err).NotTo(HaveOccurred())
		s.patch("colour", string(body))
		config := s.resource("colour").Spec.Environments[0]
		Expect(config.Overrides).To(Equal([]v1alpha1.Override{{TargetingKey: "bob", Variation: "blue"}}))
		Expect(config.Rules).To(HaveLen(3))
		Expect(
			config.Rules[0],
		).To(
			And(
				HaveField("Name", "test"),
				HaveField("Salt", "s"),
				HaveField("Metrics", []string{"purchase"}),
				HaveField("Type", v1alpha1.RuleTypeABTest),
			),
		)
		Expect(config.Rules[1]).To(And(HaveField("Name", "in-berlin"), HaveField("Traffic", v1alpha1.Percent("20.5%"))))
		Expect(
			config.Rules[1].Conditions,
		).To(
			Equal([]v1alpha1.Condition{builders.MakeCondition("city", v1alpha1.OperatorIn, "Berlin")}),
		)
		Expect(config.Rules[2]).To(HaveField("Name", "old"))

		By("changing shares only, and payloads only")
		before := s.resource("colour").Spec.Environments[0]
		s.patch("colour", `{"filters": {"payloads": {"blue": "{}"}}}`)
		Expect(s.resource("colour").Spec.Environments[0]).To(Equal(before))
		Expect(s.resource("colour").Spec.Variations[1].Payload).To(Equal(&v1alpha1.JSON{Raw: []byte("{}")}))
		s.patch(
			"colour",
			`{"filters": {"multivariate": {"variants": [{"key": "red", "rollout_percentage": 10}, {"key": "blue", "rollout_percentage": 90}]}}}`,
		)
		Expect(s.resource("colour").Spec.Environments[0].Rules[0]).To(And(
			HaveField(
				"Name",
				"test",
			),
			HaveField("Salt", "s"),
			HaveField("Split", []v1alpha1.SplitEntry{{Variation: "red", Weight: 10}, {Variation: "blue", Weight: 90}}),
		))

		By("keeping the shares of variants though every group has one")
		s.create(
			`{"key": "named", "filters": {"groups": [{"variant": "a"}], "multivariate": {"variants": [{"key": "a", "rollout_percentage": 20}, {"key": "b", "rollout_percentage": 80}]}}}`,
		)
		Expect(
			at(s.get("named"), "filters", "multivariate", "variants", 1),
		).To(
			Equal(map[string]any{"key": "b", "rollout_percentage": 80.0}),
		)

		By("refusing to lose what it does not show")
		world.Create(builders.MakeFlag("kill", s.name).Boolean().Environment("production").Fallthrough("on").Rule(
			builders.MakeRule("not-here").Condition("city", v1alpha1.OperatorIn, "Berlin").Serve("off")).Obj())
		Expect(s.get("kill")["not_shown"]).To(HaveLen(1))
		refused := world.Call(s.editor, http.MethodPatch, s.flags+"/kill", `{"filters": {"groups": []}}`)
		Expect(refused.Status).To(Equal(http.StatusUnprocessableEntity))
		Expect(object(refused)["detail"]).To(And(ContainSubstring("not-here"), ContainSubstring("replace=true")))
		Expect(
			world.Call(s.editor, http.MethodPatch, s.flags+"/kill?replace=true", `{"filters": {"groups": []}}`).Status,
		).To(
			Equal(http.StatusOK),
		)
		Expect(
			s.resource("kill").Spec.Environments[0],
		).To(
			And(HaveField("Rules", BeEmpty()), HaveField("DefaultVariation", "")),
		)
	})

	It("refuses what is wrong by its field, and changes nothing", func() {
		s := openShop()
		other := openShop()
		s.create(checkout)
		other.create(`{"key": "theirs"}`)
		world.Create(
			builders.MakeFlag(
				"git",
				s.name,
			).Boolean().Annotation(
				"argocd.argoproj.io/tracking-id",
				"shop:flags.jackstaff.dev/FeatureFlag:x/git",
			).Environment(
				"production",
			).Obj(),
		)
		before := s.authored("new-checkout")
		group := func(properties string) string {
			return `{"filters": {"groups": [{"properties": [` + properties + `]}]}}`
		}
		for body, want := range map[string]struct {
			status int
			field  string
		}{
			`{"name": `:     {http.StatusBadRequest, ""},
			`{"name": 5}`:   {http.StatusUnprocessableEntity, "name"},
			`{"nmae": "x"}`: {http.StatusUnprocessableEntity, "nmae"},
			`{"name": "` + strings.Repeat("x", 257) + `"}`: {http.StatusUnprocessableEntity, "name"},
			`{"key": "other"}`:                                                                         {http.StatusUnprocessableEntity, "key"},
			`{"evaluation_runtime": "edge"}`:                                                           {http.StatusUnprocessableEntity, "evaluation_runtime"},
			`{"tags": ["a", "a"]}`:                                                                     {http.StatusUnprocessableEntity, "tags[1]"},
			`{"has_encrypted_payloads": true}`:                                                         {http.StatusUnprocessableEntity, "has_encrypted_payloads"},
			`{"is_remote_configuration": true}`:                                                        {http.StatusUnprocessableEntity, "is_remote_configuration"},
			`{"filters": {"groups": [{"rollout_percentage": 101}]}}`:                                   {http.StatusUnprocessableEntity, "filters.groups[0].rollout_percentage"},
			`{"filters": {"groups": [{"rollout_percentage": 1.23456}]}}`:                               {http.StatusUnprocessableEntity, "filters.groups[0].rollout_percentage"},
			`{"filters": {"groups": [{"variant": "red"}]}}`:                                            {http.StatusUnprocessableEntity, "filters.groups[0].variant"},
			`{"filters": {"payloads": {"true": "{"}}}`:                                                 {http.StatusUnprocessableEntity, "filters.payloads.true"},
			`{"filters": {"payloads": {"true": "\"********* (encrypted)\""}}}`:                         {http.StatusUnprocessableEntity, "filters.payloads.true"},
			`{"filters": {"payloads": {"red": "1"}}}`:                                                  {http.StatusUnprocessableEntity, "filters.payloads.red"},
			`{"filters": {"aggregation_group_type_index": 0}}`:                                         {http.StatusUnprocessableEntity, "filters.aggregation_group_type_index"},
			`{"filters": {"super_groups": [{}]}}`:                                                      {http.StatusUnprocessableEntity, "filters.super_groups"},
			`{"filters": {"multivariate": {"variants": [{"key": "a", "rollout_percentage": 100}]}}}`:   {http.StatusUnprocessableEntity, "filters.multivariate"},
			group(`{"key": "a", "operator": "semver_tilde", "value": "1.2.3"}`):                        {http.StatusUnprocessableEntity, "filters.groups[0].properties[0].operator"},
			group(`{"key": "a", "operator": "is_date_before", "value": "-7d"}`):                        {http.StatusUnprocessableEntity, "filters.groups[0].properties[0].value"},
			group(`{"key": "b", "operator": "is_set"}, {"key": "a", "operator": "gt", "value": "x"}`):  {http.StatusUnprocessableEntity, "filters.groups[0].properties[1].value"},
			group(`{"key": "a", "operator": "regex", "value": "("}`):                                   {http.StatusUnprocessableEntity, "filters.groups[0].properties[0].value"},
			group(`{"key": "id", "type": "cohort", "value": 12345}`):                                   {http.StatusUnprocessableEntity, "filters.groups[0].properties[0].value"},
			group(`{"key": "theirs", "type": "flag", "operator": "flag_evaluates_to", "value": true}`): {http.StatusUnprocessableEntity, "filters.groups[0].properties[0].key"},
			`{"version": 77, "name": "x"}`:                                                             {http.StatusConflict, ""},
		} {
			answer := world.Call(s.editor, http.MethodPatch, s.flags+"/new-checkout", body)
			Expect(answer.Status).To(Equal(want.status), body+": "+string(answer.Body))
			refused := object(answer)
			Expect(refused).To(And(HaveKey("type"), HaveKey("code"), HaveKey("detail"), HaveKey("attr")))
			if want.field != "" {
				Expect(string(answer.Body)).To(ContainSubstring(`"field":"`+want.field), body)
			}
		}
		name := `{"name": "x"}`
		path := s.flags + "/new-checkout"
		Expect(
			world.Call(s.editor, http.MethodPatch, path, name, "Content-Type", "text/plain").Status,
		).To(
			Equal(http.StatusUnsupportedMediaType),
		)
		Expect(
			world.Call(s.editor, http.MethodPatch, path, name, "If-Match", `"older"`).Status,
		).To(
			Equal(http.StatusPreconditionFailed),
		)
		Expect(world.Call(s.viewer, http.MethodPatch, path, name).Status).To(Equal(http.StatusForbidden))
		Expect(world.Call("", http.MethodPatch, path, name).Status).To(Equal(http.StatusUnauthorized))
		Expect(world.Call(other.editor, http.MethodPatch, path, name).Status).To(Equal(http.StatusForbidden))
		Expect(world.Call(s.editor, http.MethodPatch, s.flags+"/theirs", name).Status).To(Equal(http.StatusNotFound))
		Expect(
			world.Call(s.editor, http.MethodPost, s.flags, `{"name": "no key"}`).Status,
		).To(
			Equal(http.StatusUnprocessableEntity),
		)
		Expect(
			world.Call(s.editor, http.MethodPost, s.flags, `{"key": "new-checkout"}`).Status,
		).To(
			Equal(http.StatusConflict),
		)
		Expect(world.Call(s.editor, http.MethodGet, s.flags+"?limit=0", nil).Status).To(Equal(http.StatusBadRequest))
		Expect(s.authored("new-checkout")).To(Equal(before))

		By("leaving Argo CD its flags, but for a kill")
		refused := world.Call(s.editor, http.MethodPatch, s.flags+"/git", name)
		Expect(refused.Status).To(Equal(http.StatusConflict))
		Expect(object(refused)["detail"]).To(ContainSubstring("Argo CD"))
		Expect(s.get("git")["managed_by"]).To(Equal(map[string]any{"tool": "Argo CD", "application": "shop"}))
		Expect(s.patch("git", `{"active": false}`)).To(HaveKeyWithValue("active", false))
		Expect(s.resource("git").Annotations).To(HaveKeyWithValue(v1alpha1.ForceDisabledAnnotation, "production"))

		By("asking to choose where there is no default environment")
		empty := world.Project()
		answer := world.Call(world.Editor(empty.Name), http.MethodGet, "/api/projects/"+empty.Name+"/feature_flags", nil)
		Expect(answer.Status).To(Equal(http.StatusBadRequest))
		Expect(object(answer)["detail"]).To(ContainSubstring(v1alpha1.DefaultEnvironmentLabel))
	})

	It("lets a concurrent edit of another part survive", func() {
		s := openShop()
		s.create(checkout)
		stale := s.resource("new-checkout")
		other := stale.DeepCopy()
		other.Spec.Owner = "team-checkout"
		Expect(world.Admin.Patch(context.Background(), other, client.MergeFrom(stale))).To(Succeed())
		s.patch("new-checkout", `{"filters": {"groups": [{"rollout_percentage": 30}]}}`)
		now := s.resource("new-checkout")
		Expect(now.Spec.Owner).To(Equal("team-checkout"))
		Expect(now.Spec.Environments[0].Rules).To(HaveLen(1))
		Expect(now.Spec.Variations[1].Payload).NotTo(BeNil(), "payloads that were not sent stay")
	})
})

var _ = Describe("The document", func() {
	It("has examples that work word for word", func() {
		if _, err := exec.LookPath("curl"); err != nil {
			Skip("there is no curl")
		}
		Expect(
			world.Admin.Create(context.Background(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}),
		).To(
			Succeed(),
		)
		world.Create(builders.MakeEnvironment("production", "shop").Production().Obj())
		editor := world.Editor("shop")
		document, err := os.ReadFile(filepath.Join("..", "..", "..", "..", "docs", "rest", "posthog.md"))
		Expect(err).NotTo(HaveOccurred())
		examples := regexp.MustCompile("(?s)```sh\\n(.*?)```").FindAllStringSubmatch(string(document), -1)
		Expect(examples).To(HaveLen(3))
		for _, example := range examples {
			command := exec.Command("bash", "-c", example[1])
			command.Env = append(os.Environ(), "JACKSTAFF_URL="+world.URL, "JACKSTAFF_TOKEN="+editor)
			output, err := command.CombinedOutput()
			Expect(err).NotTo(HaveOccurred(), example[1]+string(output))
			Expect(json.Valid(output)).To(BeTrue(), string(output))
		}
	})
})

var _ = Describe("Actions", func() {
	It("answers each path of the reference, also with the fields of a flag as body", func() {
		s := openShop()
		flag := s.create(checkout)
		id := fmt.Sprintf("%.0f", flag["id"])
		world.Create(
			builders.MakeFlag(
				"child",
				s.name,
			).Boolean().Environment(
				"production",
			).Prerequisite(
				"new-checkout",
				"on",
			).Rule(
				builders.MakeRule("all").Serve("on"),
			).Obj(),
		)
		child := s.get("child")
		Expect(at(child, "filters", "groups", 0, "properties", 0)).To(Equal(map[string]any{
			"key":              "new-checkout",
			"type":             "flag",
			"operator":         "flag_evaluates_to",
			"value":            true,
			"dependency_chain": []any{"new-checkout"},
		}))
		fields := `{"name": "", "key": "new-checkout", "filters": {}, "deleted": false, "active": true, "created_at": "2026-01-01T00:00:00Z", "version": 0,
			"ensure_experience_continuity": false, "rollback_conditions": null, "performed_rollback": null, "tags": [], "evaluation_tags": [], "analytics_dashboards": [],
			"has_enriched_analytics": null, "creation_context": "feature_flags", "is_remote_configuration": false, "has_encrypted_payloads": false, "evaluation_runtime": "all",
			"bucketing_identifier": "distinct_id", "last_called_at": null, "_create_in_folder": "", "_should_create_usage_dashboard": true`
		for _, body := range []any{nil, fields + "}"} {
			Expect(
				world.Call(s.viewer, http.MethodPost, s.flags+"/"+id+"/has_active_dependents", body).JSON,
			).To(
				Equal(map[string]any{
					"has_active_dependents": true,
					"dependent_flags":       []any{map[string]any{"id": child["id"], "key": "child", "name": ""}},
				}),
			)
		}
		Expect(world.Call(s.viewer, http.MethodGet, s.flags+"/"+id+"/dependent_flags", nil).JSON).To(HaveLen(1))
		Expect(world.Call(s.viewer, http.MethodGet, s.flags+"/child/dependent_flags", nil).JSON).To(BeEmpty())
		Expect(
			world.Call(s.viewer, http.MethodGet, s.flags+"/"+id+"/status", nil).JSON,
		).To(
			And(HaveKeyWithValue("status", "active"), HaveKey("reason")),
		)
		Expect(
			world.Call(s.viewer, http.MethodPost, s.flags+"/bulk_keys", fields+`, "ids": [`+id+`, "`+id+`", "x", 12]}`).JSON,
		).To(
			Equal(map[string]any{
				"keys": map[string]any{id: "new-checkout"}, "warning": `Invalid flag IDs ignored: "x"`,
			}),
		)
		invalid := world.Call(s.viewer, http.MethodPost, s.flags+"/bulk_keys", `{"ids": ["x"]}`)
		Expect(invalid.Status).To(Equal(http.StatusBadRequest))
		Expect(invalid.JSON).To(Equal(map[string]any{"error": "Invalid flag IDs provided"}))

		By("telling who somebody is")
		s.awaitServed("child")
		reasons := world.Call(s.viewer, http.MethodGet, s.flags+"/evaluation_reasons?distinct_id=alice&groups=%7B%7D", nil)
		Expect(reasons.Status).To(Equal(http.StatusOK), string(reasons.Body))
		Expect(keysOf(reasons.JSON)).To(Equal([]string{"child", "new-checkout"}))
		Expect(
			at(reasons.JSON, "new-checkout", "evaluation", "reason"),
		).To(
			BeElementOf("condition_match", "out_of_rollout_bound"),
		)
		Expect(
			world.Call(s.viewer, http.MethodGet, s.flags+"/evaluation_reasons", nil).Status,
		).To(
			Equal(http.StatusBadRequest),
		)
		Expect(
			world.Call(s.viewer, http.MethodGet, s.flags+"/evaluation_reasons?distinct_id=a&groups=x", nil).Status,
		).To(
			Equal(http.StatusBadRequest),
		)
		mine := world.Call(s.viewer, http.MethodGet, s.flags+"/my_flags", nil)
		Expect(mine.JSON).To(HaveLen(2))
		Expect(at(mine.JSON, 0, "feature_flag", "key")).To(Equal("child"))
		Expect(at(mine.JSON, 0, "value")).To(BeElementOf(true, false))
		Expect(s.get("new-checkout")["last_called_at"]).NotTo(BeNil())
	})

	It("tells who changed what", func() {
		s := openShop()
		flag := s.create(checkout)
		s.patch("new-checkout", `{"active": false}`)
		s.patch("new-checkout", `{"name": "Other"}`)
		Eventually(func(g Gomega) {
			activity := object(world.Call(s.viewer, http.MethodGet, s.flags+"/activity?limit=2", nil))
			g.Expect(activity).To(HaveKeyWithValue("total_count", 3.0))
			g.Expect(activity["next"]).To(ContainSubstring("page=2"))
			g.Expect(activity["previous"]).To(BeNil())
			g.Expect(at(activity, "results", 1)).To(And(
				HaveKeyWithValue(
					"activity",
					"updated",
				),
				HaveKeyWithValue("scope", "FeatureFlag"),
				HaveKeyWithValue("item_id", fmt.Sprintf("%.0f", flag["id"])),
				HaveKey("id"),
				HaveKey("created_at"),
			))
			g.Expect(
				at(activity, "results", 1, "user"),
			).To(
				Equal(map[string]any{"first_name": "system:serviceaccount:" + s.name + ":editor", "email": ""}),
			)
			g.Expect(at(activity, "results", 1, "detail")).To(Equal(map[string]any{"name": "new-checkout", "changes": []any{
				map[string]any{"type": "FeatureFlag", "action": "changed", "field": "active", "before": true, "after": false},
			}}))
			second := object(world.Call(s.viewer, http.MethodGet, s.flags+"/new-checkout/activity?limit=2&page=2", nil))
			g.Expect(at(second, "results", 0, "activity")).To(Equal("created"))
			g.Expect(second["previous"]).To(ContainSubstring("page=1"))
		}).Should(Succeed())
		Expect(world.Call(s.viewer, http.MethodGet, s.flags+"/activity?limit=0", nil).Status).To(Equal(http.StatusBadRequest))
	})

	It("counts the people of a group among those who were seen", func() {
		s := openShop()
		s.create(checkout)
		for i := range 40 {
			plan := map[bool]string{true: "beta", false: "free"}[i%4 == 0]
			answer := world.Call(
				"",
				http.MethodPost,
				"/flags/?v=2",
				fmt.Sprintf(`{"token": %q, "distinct_id": "user-%d", "person_properties": {"plan": %q}}`, s.client, i, plan),
			)
			Expect(answer.Status).To(Equal(http.StatusOK))
		}
		radius := world.Call(
			s.viewer,
			http.MethodPost,
			s.flags+"/user_blast_radius",
			`{"condition": {"properties": [{"key": "plan", "value": "beta", "operator": "exact"}], "rollout_percentage": 5}}`,
		)
		Expect(radius.JSON).To(Equal(map[string]any{"users_affected": 10.0, "total_users": 40.0}), string(radius.Body))
		wrong := world.Call(
			s.viewer,
			http.MethodPost,
			s.flags+"/user_blast_radius",
			`{"condition": {"properties": [{"key": "plan", "value": "b", "operator": "gt"}]}}`,
		)
		Expect(wrong.Status).To(Equal(http.StatusUnprocessableEntity))
		Expect(string(wrong.Body)).To(ContainSubstring(`"field":"condition.properties`))
		Expect(
			world.Call(s.viewer, http.MethodPost, s.flags+"/user_blast_radius", `{}`).Status,
		).To(
			Equal(http.StatusUnprocessableEntity),
		)
	})

	It("writes a dashboard as the caller, and touches no other ConfigMap", func() {
		s := openShop()
		s.create(`{"key": "plain", "_should_create_usage_dashboard": false}`)
		path := s.flags + "/plain/enrich_usage_dashboard"
		Expect(
			world.Call(s.editor, http.MethodPost, path, nil).Status,
		).To(
			Equal(http.StatusForbidden),
			"an editor of flags who may not write ConfigMaps",
		)
		admin := world.Token(s.name, "everything")
		grant(s.name, "everything", "configmaps")
		Eventually(func() int { return world.Call(admin, http.MethodPost, path, nil).Status }).Should(Equal(http.StatusOK))
		dashboard := &corev1.ConfigMap{}
		key := client.ObjectKey{Namespace: s.name, Name: "jackstaff-dashboard-plain"}
		Expect(world.Admin.Get(context.Background(), key, dashboard)).To(Succeed())
		Expect(dashboard.Labels).To(HaveKeyWithValue("grafana_dashboard", "1"))
		Expect(dashboard.Data["dashboard.json"]).To(ContainSubstring(`feature_flag_key=\"plain\"`))
		Expect(world.Call(admin, http.MethodPost, path, `{}`).JSON).To(Equal(map[string]any{"success": true}))

		dashboard.OwnerReferences = nil
		Expect(world.Admin.Update(context.Background(), dashboard)).To(Succeed())
		refused := world.Call(admin, http.MethodPost, path, nil)
		Expect(refused.Status).To(Equal(http.StatusBadRequest))
		Expect(refused.JSON).To(And(HaveKeyWithValue("success", false), HaveKey("error")))
	})
})

var _ = Describe("Clients", func() {
	It("gives definitions on all three paths, by key or token, with an ETag", func() {
		s := openShop()
		s.create(checkout)
		s.create(button)
		world.Create(
			builders.MakeFlag(
				"murmur",
				s.name,
			).Boolean().Environment(
				"production",
			).Rule(
				builders.MakeRule("some").Traffic("10%").Serve("on"),
			).Obj(),
		)
		world.Create(
			builders.MakeAudience(
				"beta",
				s.name,
			).Members(
				"Alice",
			).Group(
				builders.MakeCondition("plan", v1alpha1.OperatorIn, "beta"),
			).Obj(),
		)
		world.Create(
			builders.MakeFlag(
				"for-beta",
				s.name,
			).Boolean().Environment(
				"production",
			).Rule(
				builders.MakeRule("beta").Audiences("beta").Serve("on"),
			).Obj(),
		)
		world.Create(
			builders.MakeFlag(
				"words",
				s.name,
			).Type(
				v1alpha1.FlagTypeString,
			).Variation(
				"a",
				`"A"`,
			).Variation(
				"b",
				`"B"`,
			).DefaultVariation(
				"a",
			).Obj(),
		)
		s.awaitServed("words")
		s.awaitServed("for-beta")
		var first *string
		for _, path := range []string{
			"/flags/definitions?token=" + s.client + "&send_cohorts", "/api/feature_flag/local_evaluation?token=x&send_cohorts=true",
			"/api/feature_flag/local_evaluation/?token=x&send_cohorts", s.flags + "/local_evaluation?send_cohorts=true", "/api/projects/@current/feature_flags/local_evaluation?send_cohorts=1",
		} {
			answer := world.Call(s.server, http.MethodGet, path, nil)
			Expect(answer.Status).To(Equal(http.StatusOK), path+string(answer.Body))
			body := string(answer.Body)
			if first == nil {
				first = &body
			}
			Expect(body).To(Equal(*first), path)
			Expect(answer.Header.Get("ETag")).To(HavePrefix(`W/"`))
			again := world.Call(s.server, http.MethodGet, path, nil, "If-None-Match", answer.Header.Get("ETag"))
			Expect(again.Status).To(Equal(http.StatusNotModified))
			Expect(again.Body).To(BeEmpty())
		}
		definitions := map[string]any{}
		Expect(json.Unmarshal([]byte(*first), &definitions)).To(Succeed())
		Expect(fieldsOf([]byte(*first))).To(Equal([]string{"flags", "group_type_mapping", "cohorts"}))
		var keys []string
		for _, flag := range definitions["flags"].([]any) {
			keys = append(keys, at(flag, "key").(string))
		}
		Expect(keys).To(Equal([]string{"button", "for-beta", "murmur", "new-checkout", "words"}))
		Expect(
			at(definitions, "flags", 0, "filters", "groups", 0, "variant"),
		).To(
			Equal("green"),
			"groups with a variant first",
		)
		Expect(at(definitions, "flags", 0, "ensure_experience_continuity")).To(BeFalse())
		Expect(
			at(definitions, "flags", 2),
		).To(
			And(HaveKeyWithValue("ensure_experience_continuity", true), HaveKeyWithValue("active", true)),
			"a hash that PostHog has not",
		)
		Expect(
			at(definitions, "flags", 4, "filters", "groups", 0, "variant"),
		).To(
			Equal("a"),
			"a flag of values always has one",
		)
		Expect(definitions["cohorts"]).To(HaveLen(1))

		By("Kubernetes tokens, whoever may read the environment")
		Expect(world.Call(s.viewer, http.MethodGet, s.flags+"/local_evaluation", nil).Status).To(Equal(http.StatusOK))
		Expect(
			world.Call(s.viewer, http.MethodGet, "/flags/definitions?token=phc_x", nil).Status,
		).To(
			Equal(http.StatusOK),
			"the project of the service account",
		)
		Expect(world.Call("", http.MethodGet, "/flags/definitions?token="+s.server, nil).Status).To(Equal(http.StatusOK))
		stranger := openShop()
		Expect(
			world.Call(stranger.viewer, http.MethodGet, s.flags+"/local_evaluation", nil).Status,
		).To(
			Equal(http.StatusForbidden),
		)
		Expect(
			world.Call(stranger.server, http.MethodGet, s.flags+"/local_evaluation", nil).Status,
		).To(
			Equal(http.StatusNotFound),
		)
		Expect(
			world.Call("nonsense", http.MethodGet, "/flags/definitions?token="+s.server, nil).Status,
		).To(
			Equal(http.StatusUnauthorized),
		)
		Expect(
			world.Call("", http.MethodGet, "/flags/definitions?token=phc_x", nil).Status,
		).To(
			Equal(http.StatusUnauthorized),
		)
		Expect(
			world.Call(s.client, http.MethodGet, "/flags/definitions", nil).Status,
		).To(
			Equal(http.StatusForbidden),
			"members are not for clients",
		)
		Expect(
			world.Call(s.viewer, http.MethodGet, s.flags+"/local_evaluation?send_cohorts=perhaps", nil).Status,
		).To(
			Equal(http.StatusBadRequest),
		)
	})

	It("evaluates with the published engine, and says why", func() {
		s := openShop()
		s.create(`{"key": "all", "filters": {"groups": [{"rollout_percentage": 100}], "payloads": {"true": "[1,2]"}}}`)
		s.create(`{"key": "none", "filters": {"groups": [{"rollout_percentage": 0}]}}`)
		s.create(`{"key": "nobody", "filters": {"groups": [{"properties": [{"key": "x", "operator": "is_set"}]}]}}`)
		s.create(`{"key": "off", "active": false, "filters": {"groups": [{}]}}`)
		s.create(`{"key": "server-only", "evaluation_runtime": "server", "filters": {"groups": [{}]}}`)
		s.create(button)
		world.Create(
			builders.MakeFlag(
				"lonely",
				s.name,
			).Boolean().Environment(
				"production",
			).Prerequisite(
				"gone",
				"on",
			).Rule(
				builders.MakeRule("all").Serve("on"),
			).Obj(),
		)
		s.awaitServed("lonely")
		ask := `{"api_key": "` + s.server + `", "distinct_id": "alice", "groups": {}, "person_properties": {"email": "a@example.com"}, "group_properties": {}, "geoip_disable": true, "$anon_distinct_id": "b"}`
		answer := world.Call("", http.MethodPost, "/flags/?v=2", ask)
		Expect(answer.Status).To(Equal(http.StatusOK), string(answer.Body))
		body := object(answer)
		Expect(
			body,
		).To(
			And(
				HaveKeyWithValue("errorsWhileComputingFlags", false),
				HaveKeyWithValue("requestId", answer.Header.Get("X-Request-Id")),
				HaveKey("evaluatedAt"),
			),
		)
		Expect(at(body, "flags", "all")).To(Equal(map[string]any{
			"key":     "all",
			"enabled": true,
			"variant": nil,
			"reason": map[string]any{
				"code":            "condition_match",
				"condition_index": 0.0,
				"description":     "Matched condition set 1",
			},
			"metadata": map[string]any{"id": s.get("all")["id"], "version": 1.0, "description": nil, "payload": "[1,2]"},
		}))
		for key, code := range map[string]string{
			"none": "out_of_rollout_bound", "nobody": "no_condition_match", "off": "flag_disabled", "lonely": "missing_dependency", "button": "condition_match",
		} {
			Expect(at(body, "flags", key, "reason", "code")).To(Equal(code), key)
		}
		Expect(at(body, "flags", "button")).To(And(HaveKeyWithValue("variant", "green"), HaveKeyWithValue("enabled", true)))
		Expect(at(object(world.Call("", http.MethodPost, "/decide/?v=4", ask)), "flags")).To(Equal(body["flags"]))
		Expect(
			keysOf(
				at(object(world.Call("", http.MethodPost, "/flags?v=2", `{"token": "`+s.client+`", "distinct_id": 7}`)), "flags"),
			),
		).NotTo(
			ContainElement("server-only"),
		)
		// Numeric ids beyond 2^53 are text as they were sent, and compare so.
		s.create(
			`{"key": "vip", "filters": {"groups": [{"properties": [{"key": "account", "operator": "exact", "value": ["1234567890123456789"]}]}]}}`,
		)
		s.awaitServed("vip")
		for account, enabled := range map[string]bool{"1234567890123456789": true, "1234567890123456788": false} {
			asked := world.Call("", http.MethodPost, "/flags?v=2", `{"token": "`+s.client+`", "distinct_id": `+account+
				`, "person_properties": {"account": `+account+`}}`)
			Expect(at(object(asked), "flags", "vip")).To(HaveKeyWithValue("enabled", enabled), account)
		}
		some := world.Call(
			s.viewer,
			http.MethodPost,
			"/flags?v=2",
			`{"distinct_id": "alice", "flag_keys_to_evaluate": ["all", "unknown"]}`,
		)
		Expect(keysOf(at(some.JSON, "flags"))).To(Equal([]string{"all"}))

		for body, status := range map[string]int{
			`{`:                                  http.StatusBadRequest,
			`{"token": "` + s.client + `"}`:      http.StatusUnprocessableEntity,
			`{"token": "x", "distinct_id": "a"}`: http.StatusUnauthorized,
			`{"token": "` + s.client + `", "distinct_id": ""}`: http.StatusUnprocessableEntity,
			`{"token": 5, "distinct_id": "a"}`:                 http.StatusUnprocessableEntity,
		} {
			Expect(world.Call("", http.MethodPost, "/flags/?v=2", body).Status).To(Equal(status), body)
		}
	})

	It("gives remote configurations, and secret ones only to those who may read the Secret", func() {
		s := openShop()
		s.create(`{"key": "config", "is_remote_configuration": true, "filters": {"payloads": {"true": "{\"a\":1}"}}}`)
		s.create(checkout)
		world.Create(builders.MakeFlag("secret", s.name).Boolean().Spec(func(spec *v1alpha1.FeatureFlagSpec) {
			spec.Variations[1].PayloadFrom = &v1alpha1.PayloadSource{
				SecretKeyRef: v1alpha1.SecretKeySelector{Name: "config", Key: "payload"},
			}
		}).Environment("production").Rule(builders.MakeRule("all").Serve("on")).Obj())
		Expect(world.Admin.Create(context.Background(), &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: s.name,
				Name:      "config",
			},
			StringData: map[string]string{"payload": `{"password":"x"}`},
		})).To(Succeed())
		s.awaitServed("secret")
		Expect(s.get("config")).To(HaveKeyWithValue("is_remote_configuration", true))
		Expect(s.get("secret")).To(HaveKeyWithValue("has_encrypted_payloads", true))
		Expect(at(s.get("secret"), "filters", "payloads", "true")).To(Equal(filters.Redacted))

		for _, token := range []string{s.server, s.viewer} {
			answer := world.Call(token, http.MethodGet, s.flags+"/config/remote_config", nil)
			Expect(answer.JSON).To(Equal(`{"a":1}`), string(answer.Body))
			Expect(
				world.Call(token, http.MethodGet, "/api/projects/@current/feature_flags/config/remote_config/?token=x", nil).JSON,
			).To(
				Equal(`{"a":1}`),
			)
			Expect(
				world.Call(token, http.MethodGet, s.flags+"/new-checkout/remote_config", nil).Status,
			).To(
				Equal(http.StatusNotFound),
			)
			Expect(
				world.Call(token, http.MethodGet, s.flags+"/nothing/remote_config", nil).Status,
			).To(
				Equal(http.StatusNotFound),
			)
		}
		id := fmt.Sprintf("%.0f", s.get("config")["id"])
		Expect(world.Call(s.server, http.MethodGet, s.flags+"/"+id+"/remote_config", nil).JSON).To(Equal(`{"a":1}`))
		null := world.Call(s.server, http.MethodGet, s.flags+"/secret/remote_config", nil)
		Expect(null.Status).To(Equal(http.StatusOK))
		Expect(string(null.Body)).To(Equal("null\n"))
		Expect(
			world.Call(s.viewer, http.MethodGet, s.flags+"/secret/remote_config", nil).Status,
		).To(
			Equal(http.StatusForbidden),
		)
		reader := world.Token(s.name, "reader", "get", "list")
		grant(s.name, "reader", "secrets")
		Eventually(
			func() any { return world.Call(reader, http.MethodGet, s.flags+"/secret/remote_config", nil).JSON },
		).Should(
			Equal(`{"password":"x"}`),
		)
		Expect(
			world.Call(s.client, http.MethodGet, s.flags+"/config/remote_config", nil).Status,
		).To(
			Equal(http.StatusForbidden),
		)
		Expect(world.Call("", http.MethodGet, s.flags+"/config/remote_config", nil).Status).To(Equal(http.StatusUnauthorized))

		s.patch("config", `{"active": false}`)
		s.awaitServed("config")
		Expect(
			string(world.Call(s.server, http.MethodGet, s.flags+"/config/remote_config", nil).Body),
		).To(
			MatchJSON(`"{\"a\":1}"`),
			"PostHog does not ask whether it is on",
		)
	})
})
