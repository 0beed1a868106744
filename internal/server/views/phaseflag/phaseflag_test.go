// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package phaseflag_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/internal/server/servertest"
)

// The bodies of the reference.
const (
	newCheckout = `{
		"key": "new-checkout-flow",
		"name": "New Checkout Flow",
		"description": "Enables the redesigned checkout experience",
		"flag_type": "boolean",
		"variations": [
			{"key": "on", "name": "On", "value": true},
			{"key": "off", "name": "Off", "value": false}
		],
		"default_variation": "off"
	}`
	twoRules = `{"targeting_rules": [
		{"priority": 1, "name": "Beta users", "conditions": [{"attribute": "plan", "operator": "one_of", "value": ["beta", "enterprise"]}], "variation": "on"},
		{"priority": 2, "name": "10% rollout", "conditions": [], "percentage_rollout": [
			{"variation": "on", "percentage": 10}, {"variation": "off", "percentage": 90}
		]}
	]}`
	versionTwo = `{
		"name": "New Checkout Flow (v2)",
		"description": "Updated description",
		"targeting_rules": [
			{"priority": 1, "name": "Enterprise users", "conditions": [{"attribute": "plan", "operator": "is", "value": "enterprise"}], "variation": "on"}
		]
	}`
)

// shop is a project with two environments and people.
type shop struct {
	name             string
	environment      *v1alpha1.FlagEnvironment
	editor, viewer   string
	flags, inStaging string
}

func newShop() *shop {
	GinkgoHelper()
	project := world.Project()
	environment := builders.MakeEnvironment("production", project.Name).Production().Obj()
	world.Create(environment, builders.MakeEnvironment("staging", project.Name).Obj())
	return &shop{
		name:        project.Name,
		environment: environment,
		editor:      world.Editor(project.Name),
		viewer:      world.Token(project.Name, "viewer", servertest.Read...),
		flags: "/api/v1/flags%s?environment_id=" + string(
			environment.UID,
		),
		inStaging: "/api/v1/flags%s?environment_id=" + project.Name + ".staging",
	}
}

// path is the path of a flag, or of what is beneath it.
func (s *shop) path(below string) string { return fmt.Sprintf(s.flags, below) }

func (s *shop) stored(name string) *v1alpha1.FeatureFlag {
	GinkgoHelper()
	flag := &v1alpha1.FeatureFlag{}
	Expect(world.Admin.Get(context.Background(), types.NamespacedName{Namespace: s.name, Name: name}, flag)).To(Succeed())
	return flag
}

// create creates the flag of the reference and returns its data.
func (s *shop) create() map[string]any {
	GinkgoHelper()
	return data(http.StatusCreated, world.Call(s.editor, http.MethodPost, s.path(""), newCheckout))
}

func (s *shop) put(id, body string) map[string]any {
	GinkgoHelper()
	return data(http.StatusOK, world.Call(s.editor, http.MethodPut, s.path("/"+id), body))
}

// data is what a successful answer holds under data.
func data(status int, answer *servertest.Answer) map[string]any {
	GinkgoHelper()
	Expect(answer.Status).To(Equal(status), string(answer.Body))
	body, ok := answer.JSON.(map[string]any)
	Expect(ok).To(BeTrue())
	held, ok := body["data"].(map[string]any)
	Expect(ok).To(BeTrue(), string(answer.Body))
	return held
}

// list is what a successful answer lists, and its meta.
func list(answer *servertest.Answer) ([]any, map[string]any) {
	GinkgoHelper()
	Expect(answer.Status).To(Equal(http.StatusOK), string(answer.Body))
	body, ok := answer.JSON.(map[string]any)
	Expect(ok).To(BeTrue())
	held, ok := body["data"].([]any)
	Expect(ok).To(BeTrue(), string(answer.Body))
	meta, ok := body["meta"].(map[string]any)
	Expect(ok).To(BeTrue(), string(answer.Body))
	return held, meta
}

func matchJSON(want string) any {
	GinkgoHelper()
	var decoded any
	Expect(json.Unmarshal([]byte(want), &decoded)).To(Succeed())
	return decoded
}

// failed asserts a refusal and what its message and details say.
func failed(answer *servertest.Answer, status int, code string, says ...string) {
	GinkgoHelper()
	Expect(answer.Status).To(Equal(status), string(answer.Body))
	body, ok := answer.JSON.(map[string]any)
	Expect(ok).To(BeTrue(), string(answer.Body))
	Expect(body).To(HaveKeyWithValue("error", And(HaveKeyWithValue("code", code), HaveKey("message"), HaveKey("details"))))
	for _, text := range says {
		Expect(string(answer.Body)).To(ContainSubstring(text))
	}
}

var _ = Describe("The reference", func() {
	It("creates, shows, lists, changes, toggles and archives a flag as documented", func() {
		s := newShop()
		created := world.Call(s.editor, http.MethodPost, s.path(""), newCheckout)
		flag := data(http.StatusCreated, created)
		id, ok := flag["id"].(string)
		Expect(ok).To(BeTrue())
		Expect(id).To(Equal(string(s.stored("new-checkout-flow").UID)))
		Expect(created.Header.Get("ETag")).NotTo(BeEmpty())
		Expect(flag).To(And(
			HaveKeyWithValue("key", "new-checkout-flow"),
			HaveKeyWithValue("name", "New Checkout Flow"),
			HaveKeyWithValue(
				"description",
				"Enables the redesigned checkout experience",
			),
			HaveKeyWithValue("flag_type", "boolean"),
			HaveKeyWithValue(
				"status",
				"active",
			),
			HaveKeyWithValue("enabled", false),
			HaveKeyWithValue("default_variation", "off"),
			HaveKeyWithValue(
				"variations",
				matchJSON(`[{"key": "on", "name": "On", "value": true}, {"key": "off", "name": "Off", "value": false}]`),
			),
			HaveKeyWithValue("targeting_rules", BeEmpty()),
			HaveKeyWithValue("environment_id", string(s.environment.UID)),
			HaveKeyWithValue(
				"created_at",
				MatchRegexp(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$`),
			),
			HaveKeyWithValue("updated_at", MatchRegexp(`^\d{4}-.*:\d\dZ$`)),
		))
		Expect(
			strings.Index(string(created.Body), `"id"`),
		).To(
			BeNumerically("<", strings.Index(string(created.Body), `"key"`)),
		)

		s.put(id, twoRules)
		got := world.Call(s.viewer, http.MethodGet, s.path("/"+id), nil)
		Expect(data(http.StatusOK, got)).To(HaveKeyWithValue("targeting_rules", matchJSON(`[
			{"id": "beta-users", "priority": 1, "name": "Beta users",
			 "conditions": [{"attribute": "plan", "operator": "one_of", "value": ["beta", "enterprise"]}], "variation": "on"},
			{"id": "10-rollout", "priority": 2, "name": "10% rollout", "conditions": [],
			 "percentage_rollout": [{"variation": "on", "percentage": 10}, {"variation": "off", "percentage": 90}]}
		]`)))
		Expect(got.Header.Get("ETag")).NotTo(Equal(created.Header.Get("ETag")))

		toggled := data(http.StatusOK, world.Call(s.editor, http.MethodPost, s.path("/"+id+"/toggle"), `{"enabled": true}`))
		Expect(
			toggled,
		).To(
			And(HaveLen(3), HaveKeyWithValue("id", id), HaveKeyWithValue("enabled", true), HaveKey("updated_at")),
		)

		flags, meta := list(world.Call(s.viewer, http.MethodGet, s.path("")+"&page=1&per_page=50", nil))
		Expect(meta).To(Equal(matchJSON(`{"page": 1, "per_page": 50, "total": 1}`)))
		Expect(flags).To(HaveLen(1))
		Expect(flags[0]).To(And(
			HaveKeyWithValue(
				"id",
				id,
			),
			HaveKeyWithValue("key", "new-checkout-flow"),
			HaveKeyWithValue("status", "active"),
			HaveKeyWithValue("enabled", true),
			HaveKeyWithValue(
				"targeting_rules_count",
				BeEquivalentTo(2),
			),
			Not(HaveKey("targeting_rules")),
			HaveKeyWithValue("default_variation", "off"),
			HaveKeyWithValue("environment_id", string(s.environment.UID)),
			HaveKey("created_at"),
			HaveKey("updated_at"),
		))

		updated := s.put(id, versionTwo)
		Expect(updated).To(And(
			HaveKeyWithValue(
				"name",
				"New Checkout Flow (v2)",
			),
			HaveKeyWithValue("description", "Updated description"),
			HaveKeyWithValue("enabled", true),
			HaveKeyWithValue("targeting_rules", ConsistOf(And(
				HaveKeyWithValue(
					"name",
					"Enterprise users",
				),
				HaveKeyWithValue("variation", "on"),
				HaveKeyWithValue("priority", BeEquivalentTo(1)),
				HaveKeyWithValue("conditions", matchJSON(`[{"attribute": "plan", "operator": "is", "value": "enterprise"}]`)),
			))),
		))

		archived := world.Call(s.editor, http.MethodDelete, s.path("/"+id), nil)
		Expect(archived.Status).To(Equal(http.StatusNoContent))
		Expect(archived.Body).To(BeEmpty())
		Expect(
			data(http.StatusOK, world.Call(s.editor, http.MethodGet, s.path("/"+id), nil)),
		).To(
			HaveKeyWithValue("status", "archived"),
		)
		Expect(s.put(id, `{"archived": false}`)).To(HaveKeyWithValue("status", "active"))
	})

	It("shows the history, newest first, with who changed what", func() {
		s := newShop()
		s.create()
		data(http.StatusOK, world.Call(s.editor, http.MethodPost, s.path("/new-checkout-flow/toggle"), `{"enabled": true}`))
		events, meta := list(world.Call(s.viewer, http.MethodGet, s.path("/new-checkout-flow/history"), nil))
		Expect(meta).To(HaveKeyWithValue("total", BeEquivalentTo(2)))
		Expect(events).To(HaveLen(2))
		Expect(events[0]).To(And(
			HaveLen(5),
			HaveKeyWithValue("id", Not(BeEmpty())),
			HaveKeyWithValue("action", "flag.toggled"),
			HaveKey("timestamp"),
			HaveKeyWithValue(
				"actor",
				And(
					HaveKey("id"),
					HaveKeyWithValue("email", BeNil()),
					HaveKeyWithValue("name", "system:serviceaccount:"+s.name+":editor"),
				),
			),
			HaveKeyWithValue("changes", matchJSON(`{"enabled": {"from": false, "to": true}}`)),
		))
		Expect(events[1]).To(HaveKeyWithValue("action", "flag.created"))

		older, _ := list(world.Call(s.viewer, http.MethodGet, s.path("/new-checkout-flow/history")+"&page=2&per_page=1", nil))
		Expect(older).To(Equal(events[1:]))
		fromStaging, _ := list(
			world.Call(s.viewer, http.MethodGet, fmt.Sprintf(s.inStaging, "/new-checkout-flow/history"), nil),
		)
		Expect(fromStaging[0]).To(HaveKeyWithValue("changes", HaveKey("environments[production].enabled")))

		data(
			http.StatusOK,
			world.Call(s.editor, http.MethodPost, fmt.Sprintf(s.inStaging, "/new-checkout-flow/toggle"), `{"enabled": true}`),
		)
		events, _ = list(world.Call(s.viewer, http.MethodGet, fmt.Sprintf(s.inStaging, "/new-checkout-flow/history"), nil))
		Expect(events[0]).To(HaveKeyWithValue("changes", matchJSON(`{"enabled": {"from": false, "to": true}}`)))
		Eventually(func(g Gomega) {
			g.Expect(s.stored("new-checkout-flow").Annotations).NotTo(HaveKey(v1alpha1.ChangesAnnotation))
		}).Should(Succeed())
		moved, _ := list(world.Call(s.viewer, http.MethodGet, fmt.Sprintf(s.inStaging, "/new-checkout-flow/history"), nil))
		Expect(moved).To(Equal(events))
	})

	It("says what changed in the words of the view", func() {
		s := newShop()
		s.create()
		s.put("new-checkout-flow", `{"targeting_rules": [{"name": "Beta", "variation": "on", "traffic_percentage": 12.5,
			"conditions": [{"attribute": "plan", "operator": "one_of", "value": ["beta"]}]}], "classification": "ops_killswitch"}`)
		Eventually(func(g Gomega) {
			answer := world.Call(s.viewer, http.MethodGet, s.path("/new-checkout-flow/history"), nil)
			events, _ := list(answer)
			g.Expect(events).To(HaveLen(2))
			g.Expect(events[0]).To(HaveKeyWithValue("changes", And(
				HaveKeyWithValue("classification", matchJSON(`{"from": "release", "to": "ops_killswitch"}`)),
				Or(HaveKey("targeting_rules"), HaveKey("targeting_rules[beta]")),
			)))
			g.Expect(string(answer.Body)).To(And(ContainSubstring(`"operator":"is"`), ContainSubstring("12.5"),
				ContainSubstring(`"to":"boolean"`)))
			g.Expect(string(answer.Body)).NotTo(MatchRegexp(`annotations|"In"|"Boolean"|KillSwitch|TargetedDelivery|"split"`))
		}).Should(Succeed())
	})

	It("shows people by their email address", func() {
		s := newShop()
		s.create()
		alice, err := client.New(impersonate("alice@example.com"), client.Options{Scheme: world.Manager.GetScheme()})
		Expect(err).NotTo(HaveOccurred())
		flag := s.stored("new-checkout-flow")
		base := flag.DeepCopy()
		flag.Spec.Description = "Alice was here"
		Expect(alice.Patch(context.Background(), flag, client.MergeFrom(base))).To(Succeed())
		Eventually(func(g Gomega) {
			events, _ := list(world.Call(s.viewer, http.MethodGet, s.path("/new-checkout-flow/history"), nil))
			g.Expect(events[0]).To(And(
				HaveKeyWithValue("actor", HaveKeyWithValue("email", "alice@example.com")),
				HaveKeyWithValue(
					"changes",
					matchJSON(`{"description": {"from": "Enables the redesigned checkout experience", "to": "Alice was here"}}`),
				),
			))
		}).Should(Succeed())
	})

	It("evaluates what is published", func() {
		s := newShop()
		s.create()
		s.put("new-checkout-flow", twoRules)
		data(http.StatusOK, world.Call(s.editor, http.MethodPost, s.path("/new-checkout-flow/toggle"), `{"enabled": true}`))
		evaluate := "/api/v1/evaluate?environment_id=" + s.name + ".production"
		beta := `{"flags": ["new-checkout-flow", "nothing"], "context": {"user_key": "alice", "attributes": {"plan": "beta"}}}`
		Eventually(func(g Gomega) {
			answer := world.Call(s.viewer, http.MethodPost, evaluate, beta)
			g.Expect(answer.Status).To(Equal(http.StatusOK), string(answer.Body))
			g.Expect(
				data(http.StatusOK, answer),
			).To(
				And(HaveLen(2), HaveKey("evaluated_at"), HaveKeyWithValue("evaluations", matchJSON(`{
				"new-checkout-flow": {"value": true, "reason": "TARGETING_MATCH", "rule_id": "beta-users", "variation_key": "on"},
				"nothing": {"value": null, "reason": "FLAG_NOT_FOUND", "rule_id": null, "variation_key": null}
			}`))),
			)
		}).Should(Succeed())
		served, ok := datafiles.Environment(s.name, "production")
		Expect(ok).To(BeTrue())
		_, isCounted := counted.LastEvaluated(served, "new-checkout-flow")
		Expect(isCounted).To(BeTrue())
		all := data(
			http.StatusOK,
			world.Call(s.viewer, http.MethodPost, evaluate, `{"flags": ["*"], "context": {"user_key": "bob"}}`),
		)
		Expect(
			all,
		).To(
			HaveKeyWithValue("evaluations", HaveKeyWithValue("new-checkout-flow", HaveKeyWithValue("reason", "SPLIT"))),
		)
		byHeaders := world.Call(
			s.viewer,
			http.MethodPost,
			"/api/v1/evaluate",
			`{"flags": ["*"]}`,
			"X-Jackstaff-Environment",
			"production",
		)
		Expect(data(http.StatusOK, byHeaders)).To(HaveKeyWithValue("evaluations", HaveKey("new-checkout-flow")))
		byDefault := world.Call(s.viewer, http.MethodPost, "/api/v1/evaluate", `{"flags": ["*"]}`)
		Expect(data(http.StatusOK, byDefault)).To(HaveKeyWithValue("evaluations", HaveKey("new-checkout-flow")))

		failed(
			world.Call(s.viewer, http.MethodPost, evaluate, `{"flags": "*"}`),
			http.StatusUnprocessableEntity,
			"unprocessable_entity",
			"flags",
		)
		failed(
			world.Call(s.viewer, http.MethodPost, evaluate, `{"context": {}}`),
			http.StatusUnprocessableEntity,
			"unprocessable_entity",
			"flags",
		)
		failed(
			world.Call(s.viewer, http.MethodPost, evaluate, `{"flags": ["*"], "context": {"user": "x"}}`),
			http.StatusUnprocessableEntity,
			"unprocessable_entity",
			"context.user",
		)
		failed(world.Call(newShop().viewer, http.MethodPost, evaluate, beta), http.StatusForbidden, "forbidden")
		failed(world.Call("", http.MethodPost, evaluate, beta), http.StatusUnauthorized, "unauthorized")
	})
})

var _ = Describe("A list", func() {
	It("is filtered, searched, sorted and cut into pages", func() {
		s := newShop()
		world.Create(
			builders.MakeFlag(
				"alpha",
				s.name,
			).Boolean().Spec(
				func(spec *v1alpha1.FeatureFlagSpec) { spec.DisplayName = "Zebra Search" },
			).Obj(),
			builders.MakeFlag(
				"beta",
				s.name,
			).Type(
				v1alpha1.FlagTypeString,
			).Variation(
				"a",
				`"a"`,
			).Environment(
				"production",
			).Obj(),
			builders.MakeFlag("gamma", s.name).Boolean().Archived().Obj(),
		)
		keys := func(query string) []string {
			GinkgoHelper()
			flags, _ := list(world.Call(s.viewer, http.MethodGet, s.path("")+query, nil))
			names := []string{}
			for _, flag := range flags {
				shown, ok := flag.(map[string]any)
				Expect(ok).To(BeTrue())
				names = append(names, fmt.Sprint(shown["key"]))
			}
			return names
		}
		Expect(keys("&sort=key&order=asc")).To(Equal([]string{"alpha", "beta", "gamma"}))
		Expect(keys("&sort=key")).To(Equal([]string{"gamma", "beta", "alpha"}))
		Expect(keys("&sort=name&order=asc")).To(Equal([]string{"alpha", "beta", "gamma"}))
		Expect(keys("&sort=created_at&order=asc")).To(HaveLen(3))
		Expect(keys("&sort=updated_at")).To(HaveLen(3))
		Expect(keys("&status=archived")).To(Equal([]string{"gamma"}))
		Expect(keys("&status=active&sort=key&order=asc")).To(Equal([]string{"alpha", "beta"}))
		Expect(keys("&status=inactive")).To(BeEmpty())
		Expect(keys("&flag_type=string")).To(Equal([]string{"beta"}))
		Expect(keys("&search=zebra")).To(Equal([]string{"alpha"}))
		Expect(keys("&search=ALPHA")).To(Equal([]string{"alpha"}))
		Expect(keys("&sort=key&order=asc&per_page=2&page=2")).To(Equal([]string{"gamma"}))
		Expect(keys("&page=9223372036854775807")).To(BeEmpty())

		world.Call(s.editor, http.MethodPost, s.path("/beta/toggle"), `{"enabled": false}`)
		Eventually(func() []string { return keys("&status=inactive") }).Should(Equal([]string{"beta"}))

		for query, field := range map[string]string{
			"&status=gone": "status", "&flag_type=text": "flag_type", "&sort=size": "sort", "&order=up": "order",
			"&page=0": "page", "&page=x": "page", "&per_page=201": "per_page", "&per_page=0": "per_page",
		} {
			failed(
				world.Call(s.viewer, http.MethodGet, s.path("")+query, nil),
				http.StatusBadRequest,
				"bad_request",
				`"field":"`+field+`"`,
			)
		}
		failed(
			world.Call(s.viewer, http.MethodGet, "/api/v1/flags?environment_id=", nil),
			http.StatusBadRequest,
			"bad_request",
			"environment_id",
		)
		failed(
			world.Call(s.viewer, http.MethodGet, "/api/v1/flags", nil),
			http.StatusBadRequest,
			"bad_request",
			"environment_id",
		)
	})
})

var _ = Describe("Rules", func() {
	It("keep what identifies them where they are matched by id or name", func() {
		s := newShop()
		world.Create(builders.MakeAudience("testers", s.name).Members("alice").Obj())
		flag := builders.MakeFlag("checkout", s.name).Boolean().Environment("production").Rule(
			builders.MakeRule("first").Salt("x").Audiences("testers").Traffic("12.5%").Serve("on"),
			builders.MakeRule("second").Condition("age", v1alpha1.OperatorGreaterThan, "18").Split("on", 1).Split("off", 2),
			builders.MakeRule("third").Disabled().Condition("a", v1alpha1.OperatorSemVerTilde, "1.2.0").Serve("off"),
			builders.MakeRule("experiment").ABTest().Condition("b", v1alpha1.OperatorExists).Split("on", 1).Split("off", 1),
		).Obj()
		world.Create(flag)
		shown := data(http.StatusOK, world.Call(s.viewer, http.MethodGet, s.path("/checkout"), nil))
		Expect(shown).To(HaveKeyWithValue("targeting_rules", matchJSON(`[
			{"id": "experiment", "priority": 1, "name": "experiment", "conditions": [{"attribute": "b", "operator": "exists"}],
			 "percentage_rollout": [{"variation": "on", "percentage": 50}, {"variation": "off", "percentage": 50}]},
			{"id": "first", "priority": 2, "name": "first", "conditions": [], "variation": "on", "audiences": ["testers"], "traffic_percentage": 12.5},
			{"id": "second", "priority": 3, "name": "second", "conditions": [{"attribute": "age", "operator": "gt", "value": 18}],
			 "percentage_rollout": [{"variation": "on", "percentage": 33.333}, {"variation": "off", "percentage": 66.667}]},
			{"id": "third", "priority": 4, "name": "third", "conditions": [{"attribute": "a", "operator": "semver_tilde", "value": "1.2.0"}], "variation": "off", "enabled": false}
		]`)))
		before := s.stored("checkout")
		echoed, err := json.Marshal(map[string]any{"targeting_rules": shown["targeting_rules"]})
		Expect(err).NotTo(HaveOccurred())
		s.put("checkout", string(echoed))
		rules := s.stored("checkout").Spec.Environments[0].Rules
		Expect(rules).To(Equal(before.Spec.Environments[0].Rules))

		s.put("checkout", `{"targeting_rules": [
			{"id": "second", "priority": 3, "name": "Adults", "conditions": [{"attribute": "age", "operator": "gte", "value": 18}], "variation": "on"},
			{"name": "first", "priority": 2, "conditions": [], "variation": "off"},
			{"priority": 1, "name": "Everybody", "variation": "on"},
			{"priority": 4, "name": "Adults!", "variation": "off"}
		]}`)
		rules = s.stored("checkout").Spec.Environments[0].Rules
		Expect(rules).To(HaveLen(4))
		Expect(
			rules[0],
		).To(
			And(
				HaveField("Name", "everybody"),
				HaveField("DisplayName", "Everybody"),
				HaveField("Type", v1alpha1.RuleTypeTargetedDelivery),
				HaveField("Variation", "on"),
				HaveField("Split", BeEmpty()),
			),
		)
		Expect(
			rules[1],
		).To(
			And(HaveField("Name", "first"), HaveField("Salt", "x"), HaveField("Audiences", []string{"testers"}),
				HaveField("Traffic", v1alpha1.Percent("12.5%")), HaveField("Variation", "off")),
		)
		Expect(
			rules[2],
		).To(
			And(HaveField("Name", "second"), HaveField("DisplayName", "Adults"), HaveField("Variation", "on")),
		)
		Expect(
			rules[3],
		).To(
			And(
				HaveField("Name", "adults"),
				HaveField("DisplayName", "Adults!"),
				HaveField("Conditions", BeEmpty()),
				HaveField("Enabled", HaveValue(BeTrue())),
			),
		)

		s.put(
			"checkout",
			`{"targeting_rules": [{"name": "New", "variation": "on"}, {"id": "first", "variation": "on", "audiences": [], "traffic_percentage": 50}]}`,
		)
		rules = s.stored("checkout").Spec.Environments[0].Rules
		Expect(
			rules[1],
		).To(
			And(HaveField("Name", "first"), HaveField("Audiences", BeEmpty()), HaveField("Traffic", v1alpha1.Percent("50%"))),
		)
		s.put("checkout", `{"targeting_rules": []}`)
		Expect(s.stored("checkout").Spec.Environments[0].Rules).To(BeEmpty())
	})

	It("take every operator of the reference", func() {
		s := newShop()
		s.create()
		for operator, value := range map[string]string{
			"is": `"a"`, "is_not": `true`, "one_of": `["a", "b"]`, "not_one_of": `["a", "b"]`, "contains": `"a"`, "not_contains": `["a", "b"]`,
			"starts_with": `"a"`, "ends_with": `"a"`, "gt": `1`, "gte": `1.5`, "lt": `-1`, "lte": `10`, "exists": ``, "not_exists": ``, "matches": `"^a"`,
			"semver_eq": `"1.2.3"`, "semver_gt": `"1.2.3"`, "semver_gte": `"1.2.3"`, "semver_lt": `"1.2.3"`, "semver_lte": `"1.2.3"`,
			"before": `"2027-01-01T00:00:00Z"`, "after": `"2027-01-01T00:00:00Z"`,
		} {
			condition := fmt.Sprintf(`{"attribute": "a", "operator": %q, "value": %s}`, operator, value)
			if value == "" {
				condition = fmt.Sprintf(`{"attribute": "a", "operator": %q}`, operator)
			}
			shown := s.put(
				"new-checkout-flow",
				`{"targeting_rules": [{"name": "r", "variation": "on", "conditions": [`+condition+`]}]}`,
			)
			Expect(shown).To(HaveKeyWithValue("targeting_rules", ConsistOf(HaveKeyWithValue("conditions",
				matchJSON("["+condition+"]")))), operator)
		}
	})
})

var _ = Describe("A change", func() {
	It("of one environment leaves the others alone", func() {
		s := newShop()
		s.create()
		s.put("new-checkout-flow", `{"default_variation": "on"}`)
		staging := data(
			http.StatusOK,
			world.Call(
				s.editor,
				http.MethodPut,
				fmt.Sprintf(s.inStaging, "/new-checkout-flow"),
				`{"targeting_rules": [{"name": "r", "variation": "on"}]}`,
			),
		)
		Expect(
			staging,
		).To(
			And(
				HaveKeyWithValue("default_variation", "off"),
				HaveKeyWithValue("targeting_rules", HaveLen(1)),
				HaveKeyWithValue("enabled", false),
			),
		)
		Expect(data(http.StatusOK, world.Call(s.viewer, http.MethodGet, s.path("/new-checkout-flow"), nil))).To(And(
			HaveKeyWithValue("default_variation", "on"), HaveKeyWithValue("targeting_rules", BeEmpty())))
		Expect(s.stored("new-checkout-flow").Spec.DefaultVariation).To(Equal("off"))
	})

	It("of metadata takes everything that creation takes", func() {
		s := newShop()
		created := data(http.StatusCreated, world.Call(s.editor, http.MethodPost, s.path(""), `{
			"key": "limits", "name": "Limits", "flag_type": "json", "default_variation": "low", "tags": ["a", "b"], "classification": "ops_killswitch",
			"variations": [{"key": "low", "name": "Low", "value": {"max": 1}}, {"key": "high", "name": "High", "value": {"max": 2}}]
		}`))
		Expect(
			created,
		).To(
			And(HaveKeyWithValue("tags", matchJSON(`["a", "b"]`)), HaveKeyWithValue("classification", "ops_killswitch"),
				HaveKeyWithValue("description", "")),
		)
		changed := s.put("limits", `{"tags": [], "classification": "permission", "key": "limits", "flag_type": "json",
			"variations": [{"key": "low", "name": "Lower", "value": {"max": 0}}, {"key": "mid", "name": "Mid", "value": []}]}`)
		Expect(
			changed,
		).To(
			And(
				HaveKeyWithValue("tags", BeEmpty()),
				HaveKeyWithValue("classification", "permission"),
				HaveKeyWithValue("name", "Limits"),
				HaveKeyWithValue(
					"variations",
					matchJSON(`[{"key": "low", "name": "Lower", "value": {"max": 0}}, {"key": "mid", "name": "Mid", "value": []}]`),
				),
			),
		)
	})

	It("survives beside what somebody else changes elsewhere, and is refused where they change the same", func() {
		s := newShop()
		s.create()
		etag := world.Call(s.viewer, http.MethodGet, s.path("/new-checkout-flow"), nil).Header.Get("ETag")
		data(
			http.StatusOK,
			world.Call(s.editor, http.MethodPost, s.path("/new-checkout-flow/toggle"), `{"enabled": true}`, "If-Match", etag),
		)
		for _, write := range [][3]string{
			{http.MethodPut, "/new-checkout-flow", versionTwo}, {http.MethodPost, "/new-checkout-flow/toggle", `{"enabled": false}`},
			{http.MethodDelete, "/new-checkout-flow", ""},
		} {
			var body any
			if write[2] != "" {
				body = write[2]
			}
			failed(
				world.Call(s.editor, write[0], s.path(write[1]), body, "If-Match", etag),
				http.StatusPreconditionFailed,
				"precondition_failed",
				"ETag",
			)
		}
		Expect(s.stored("new-checkout-flow").Generation).To(BeEquivalentTo(2))

		flag := s.stored("new-checkout-flow")
		base := flag.DeepCopy()
		flag.Spec.Owner = "team-checkout"
		Expect(world.Admin.Patch(context.Background(), flag, client.MergeFrom(base))).To(Succeed())
		s.put("new-checkout-flow", versionTwo)
		Expect(
			s.stored("new-checkout-flow").Spec,
		).To(
			And(HaveField("Owner", "team-checkout"), HaveField("Description", "Updated description")),
		)
	})

	It("is not lost where others are made at the same time", func() {
		s := newShop()
		s.create()
		bodies := []string{`{"name": "A"}`, `{"description": "B"}`, `{"targeting_rules": [{"name": "C", "variation": "on"}]}`}
		answers := make(chan *servertest.Answer, len(bodies))
		for _, body := range bodies {
			go func() {
				defer GinkgoRecover()
				answers <- world.Call(s.editor, http.MethodPut, s.path("/new-checkout-flow"), body)
			}()
		}
		for range bodies {
			var answer *servertest.Answer
			Eventually(answers).Should(Receive(&answer))
			data(http.StatusOK, answer)
		}
		spec := s.stored("new-checkout-flow").Spec
		Expect(spec).To(And(HaveField("DisplayName", "A"), HaveField("Description", "B")))
		Expect(spec.Environments[0].Rules).To(ConsistOf(HaveField("DisplayName", "C")))
	})

	It("of a flag that Argo CD owns is refused, but for switching it off", func() {
		s := newShop()
		flag := builders.MakeFlag("checkout", s.name).Boolean().Environment("production").
			Annotation("argocd.argoproj.io/tracking-id", "shop-app:flags.jackstaff.dev/FeatureFlag:shop/checkout").Obj()
		world.Create(flag)
		Expect(data(http.StatusOK, world.Call(s.viewer, http.MethodGet, s.path("/checkout"), nil))).To(
			HaveKeyWithValue("managed_by", matchJSON(`{"tool": "Argo CD", "application": "shop-app"}`)))
		failed(
			world.Call(s.editor, http.MethodPut, s.path("/checkout"), `{"name": "X"}`),
			http.StatusConflict,
			"conflict",
			"Argo CD",
			"shop-app",
		)
		failed(world.Call(s.editor, http.MethodDelete, s.path("/checkout"), nil), http.StatusConflict, "conflict", "Argo CD")
		off := data(http.StatusOK, world.Call(s.editor, http.MethodPost, s.path("/checkout/toggle"), `{"enabled": false}`))
		Expect(off).To(HaveKeyWithValue("enabled", false))
		Expect(s.stored("checkout").Spec.Environments[0].Enabled).To(BeTrue())
		on := data(http.StatusOK, world.Call(s.editor, http.MethodPost, s.path("/checkout/toggle"), `{"enabled": true}`))
		Expect(on).To(HaveKeyWithValue("enabled", true))
	})
})

var _ = Describe("What is wrong", func() {
	It("is refused with the name of the field, and changes nothing", func() {
		s := newShop()
		s.create()
		s.put("new-checkout-flow", twoRules)
		before := s.stored("new-checkout-flow")
		flag, toggle := s.path("/new-checkout-flow"), s.path("/new-checkout-flow/toggle")
		variations := `"variations": [{"key": "on", "name": "On", "value": true}, {"key": "off", "name": "Off", "value": false}]`
		create := func(fields string) string {
			return `{"key": "other", "name": "Other", "flag_type": "boolean", "default_variation": "off", ` + fields + `}`
		}
		rule := func(fields string) string { return `{"targeting_rules": [{"name": "r", ` + fields + `}]}` }
		condition := func(fields string) string { return rule(`"variation": "on", "conditions": [{` + fields + `}]`) }
		const bad, invalid = http.StatusBadRequest, http.StatusUnprocessableEntity
		for _, tc := range []struct {
			method, path, body string
			status             int
			says               string
		}{
			{http.MethodPost, s.path(""), `{"key": `, bad, "body"},
			{http.MethodPost, s.path(""), ``, bad, "body"},
			{http.MethodPost, s.path(""), `[]`, invalid, "object"},
			{http.MethodPost, s.path(""), create(variations + `, "surprise": 1`), invalid, `"field":"surprise"`},
			{http.MethodPost, s.path(""), create(variations + `, "tags": "x"`), invalid, `"field":"tags"`},
			{http.MethodPost, s.path(""), create(variations + `, "description": "` + strings.Repeat("x", 4097) + `"`), invalid, `"field":"description"`},
			{http.MethodPost, s.path(""), create(variations + `, "classification": "fun"`), invalid, `"field":"classification"`},
			{http.MethodPost, s.path(""), create(`"variations": []`), invalid, `"field":"variations"`},
			{http.MethodPost, s.path(""), create(`"variations": [{"key": "on", "name": "On", "value": "yes"}, {"key": "off", "name": "Off", "value": false}]`), invalid, `"field":"variations[0].value"`},
			{http.MethodPost, s.path(""), create(`"variations": [{"key": "on", "name": "On", "value": null}, {"key": "off", "name": "Off", "value": false}]`), invalid, `"field":"variations[0].value"`},
			{http.MethodPost, s.path(""), `{"name": "Other", "flag_type": "boolean", "default_variation": "off", ` + variations + `}`, invalid, "key"},
			{http.MethodPost, s.path(""), `{"key": "Not A Slug", "name": "Other", "flag_type": "boolean", "default_variation": "off", ` + variations + `}`, invalid, `"field":"key"`},
			{http.MethodPost, s.path(""), `{"key": "other", "name": "Other", "flag_type": "boolean", "default_variation": "maybe", ` + variations + `}`, invalid, `"field":"default_variation"`},
			{http.MethodPost, s.path(""), newCheckout, http.StatusConflict, "new-checkout-flow"},
			{http.MethodPost, "/api/v1/flags?environment_id=" + s.name + ".nowhere", newCheckout, http.StatusNotFound, "nowhere"},
			{http.MethodPut, flag, `{"name": 5}`, invalid, `"field":"name"`},
			{http.MethodPut, flag, `{"name": ""}`, invalid, `"field":"name"`},
			{http.MethodPut, flag, `{"enabled": true}`, invalid, `"field":"enabled"`},
			{http.MethodPut, flag, `{"key": "renamed"}`, invalid, `"field":"key"`},
			{http.MethodPut, flag, `{"flag_type": "string"}`, invalid, `"field":"flag_type"`},
			{http.MethodPut, flag, `{"default_variation": "maybe"}`, invalid, `"field":"default_variation"`},
			{http.MethodPut, flag, `{"variations": [{"key": "on", "name": "On", "value": true}, {"key": "no", "name": "No", "value": false}]}`, invalid, "off"},
			{http.MethodPut, flag, rule(`"conditions": []`), invalid, `"field":"targeting_rules[0]"`},
			{http.MethodPut, flag, rule(`"variation": "maybe"`), invalid, `"field":"targeting_rules[0].variation"`},
			{http.MethodPut, flag, `{"targeting_rules": [{"priority": 2, "name": "a", "variation": "maybe"}, {"priority": 1, "name": "b", "variation": "on"}]}`, invalid, `"field":"targeting_rules[0].variation"`},
			{http.MethodPut, flag, `{"targeting_rules": [{"id": "a", "variation": "on"}, {"id": "a", "variation": "on"}]}`, invalid, `"field":"targeting_rules[1].id"`},
			{http.MethodPut, flag, rule(`"variation": "on", "audiences": ["nobody"]`), invalid, `"field":"targeting_rules[0].audiences[0]"`},
			{http.MethodPut, flag, rule(`"percentage_rollout": [{"variation": "on", "percentage": 60}, {"variation": "off", "percentage": 30}]`), invalid, `"field":"targeting_rules[0].percentage_rollout"`},
			{http.MethodPut, flag, rule(`"percentage_rollout": [{"variation": "on", "percentage": 0.00001}, {"variation": "off", "percentage": 99.99999}]`), invalid, `percentage_rollout[0].percentage`},
			{http.MethodPut, flag, rule(`"percentage_rollout": [{"variation": "maybe", "percentage": 100}]`), invalid, `"field":"targeting_rules[0].percentage_rollout[0].variation"`},
			{http.MethodPut, flag, condition(`"attribute": "a", "operator": "like", "value": "x"`), invalid, `"field":"targeting_rules[0].conditions[0].operator"`},
			{http.MethodPut, flag, condition(`"attribute": "a", "operator": "is", "value": ["x", "y"]`), invalid, `"field":"targeting_rules[0].conditions[0].value"`},
			{http.MethodPut, flag, condition(`"attribute": "a", "operator": "is", "value": {"x": 1}`), invalid, `"field":"targeting_rules[0].conditions[0].value"`},
			{http.MethodPut, flag, condition(`"attribute": "a", "operator": "is"`), invalid, `"field":"targeting_rules[0].conditions[0].value"`},
			{http.MethodPut, flag, condition(`"attribute": "a", "operator": "gt", "value": "tall"`), invalid, `"field":"targeting_rules[0].conditions[0].value"`},
			{http.MethodPut, flag, condition(`"attribute": "a", "operator": "exists", "value": true`), invalid, `"field":"targeting_rules[0].conditions[0].value"`},
			{http.MethodPut, flag, condition(`"operator": "exists"`), invalid, "attribute"},
			{http.MethodPut, s.path("/nothing"), `{}`, http.StatusNotFound, "nothing"},
			{http.MethodPost, toggle, `{"enabled": "yes"}`, invalid, `"field":"enabled"`},
			{http.MethodPost, toggle, `{}`, invalid, "enabled"},
			{http.MethodPost, s.path("/nothing/toggle"), `{"enabled": true}`, http.StatusNotFound, "nothing"},
			{http.MethodPatch, flag, `{}`, http.StatusMethodNotAllowed, "PUT"},
		} {
			answer := world.Call(s.editor, tc.method, tc.path, tc.body)
			By(tc.method + " " + tc.body)
			failed(answer, tc.status, strings.ReplaceAll(strings.ToLower(http.StatusText(tc.status)), " ", "_"), tc.says)
		}
		failed(
			world.Call(s.editor, http.MethodPut, flag, `{}`, "Content-Type", "text/plain"),
			http.StatusUnsupportedMediaType,
			"unsupported_media_type",
		)
		failed(
			world.Call(s.editor, http.MethodPut, flag, `{"description": "`+strings.Repeat("x", 1<<20)+`"}`),
			http.StatusRequestEntityTooLarge,
			"request_entity_too_large",
		)
		after := s.stored("new-checkout-flow")
		Expect(after.Generation).To(Equal(before.Generation))
		Expect(after.Spec).To(Equal(before.Spec))
		flags, _ := list(world.Call(s.viewer, http.MethodGet, s.path(""), nil))
		Expect(flags).To(HaveLen(1))
	})

	It("is what somebody may not do", func() {
		s, other := newShop(), newShop()
		id := s.create()["id"]
		for _, write := range [][3]string{
			{http.MethodPost, "", strings.ReplaceAll(newCheckout, "new-checkout-flow", "other")}, {http.MethodPut, "/new-checkout-flow", versionTwo},
			{http.MethodPost, "/new-checkout-flow/toggle", `{"enabled": true}`}, {http.MethodDelete, "/new-checkout-flow", `{}`},
		} {
			failed(world.Call(s.viewer, write[0], s.path(write[1]), write[2]), http.StatusForbidden, "forbidden")
			failed(world.Call(other.editor, write[0], s.path(write[1]), write[2]), http.StatusForbidden, "forbidden")
			failed(world.Call("", write[0], s.path(write[1]), write[2]), http.StatusUnauthorized, "unauthorized")
		}
		author := world.Token(s.name, "author", append(servertest.Read, servertest.Write...)...)
		failed(
			world.Call(author, http.MethodPost, s.path("/new-checkout-flow/toggle"), `{"enabled": true}`),
			http.StatusForbidden,
			"forbidden",
			"publish",
			"production",
		)
		failed(
			world.Call(other.editor, http.MethodGet, other.path(fmt.Sprintf("/%s", id)), nil),
			http.StatusNotFound,
			"not_found",
		)
		failed(
			world.Call(other.editor, http.MethodPut, other.path(fmt.Sprintf("/%s", id)), versionTwo),
			http.StatusNotFound,
			"not_found",
		)
		failed(world.Call(other.editor, http.MethodGet, s.path(""), nil), http.StatusForbidden, "forbidden")
		failed(
			world.Call(other.editor, http.MethodGet, "/api/v1/flags?environment_id=00000000-0000-0000-0000-000000000000", nil),
			http.StatusForbidden,
			"forbidden",
		)
		Expect(s.stored("new-checkout-flow").Generation).To(BeEquivalentTo(1))
	})
})

var _ = Describe("The document", func() {
	It("has examples that work", func() {
		token := world.Shop()
		printed := world.RunExamples("docs/rest/phaseflag.md", token)
		Expect(printed).To(HaveLen(3))
		Expect(printed[1]).To(ContainSubstring(`"10-rollout"`))
		Expect(printed[2]).To(ContainSubstring(`"enabled":true`))
	})
})
