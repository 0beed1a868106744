// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package flagmint_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/internal/server/servertest"
)

// shop is a project with two environments and people.
type shop struct {
	project             *corev1.Namespace
	production, staging *v1alpha1.FlagEnvironment
	editor, viewer      string
	path                string
}

func newShop() *shop {
	GinkgoHelper()
	project := world.Project()
	s := &shop{
		project: project,
		production: builders.MakeEnvironment(
			"production",
			project.Name,
		).Production().Obj(),
		staging: builders.MakeEnvironment("staging", project.Name).Obj(),
		editor:  world.Editor(project.Name),
		viewer:  world.Token(project.Name, "viewer", servertest.Read...),
		path:    "/projects/" + string(project.UID) + "/flags",
	}
	world.Create(s.production, s.staging)
	return s
}

func (s *shop) stored(name string) *v1alpha1.FeatureFlag {
	GinkgoHelper()
	flag := &v1alpha1.FeatureFlag{}
	Expect(
		world.Admin.Get(context.Background(), types.NamespacedName{Namespace: s.project.Name, Name: name}, flag),
	).To(
		Succeed(),
	)
	return flag
}

func (s *shop) create(body string) map[string]any {
	GinkgoHelper()
	return data(http.StatusCreated, world.Call(s.editor, http.MethodPost, s.path, body))
}

// data is what a successful answer holds under data.
func data(status int, answer *servertest.Answer) map[string]any {
	GinkgoHelper()
	Expect(answer.Status).To(Equal(status), string(answer.Body))
	Expect(
		answer.JSON,
	).To(
		And(HaveLen(3), HaveKeyWithValue("statusCode", BeEquivalentTo(status)), HaveKeyWithValue("message", "OK")),
	)
	body, ok := answer.JSON.(map[string]any)
	Expect(ok).To(BeTrue())
	held, ok := body["data"].(map[string]any)
	Expect(ok).To(BeTrue(), string(answer.Body))
	return held
}

func decode(text string) any {
	GinkgoHelper()
	var decoded any
	Expect(json.Unmarshal([]byte(text), &decoded)).To(Succeed(), text)
	return decoded
}

// failed asserts a refusal and what it says.
func failed(answer *servertest.Answer, status int, says string) {
	GinkgoHelper()
	Expect(answer.Status).To(Equal(status), string(answer.Body))
	Expect(
		answer.JSON,
	).To(
		And(
			HaveKeyWithValue("statusCode", BeEquivalentTo(status)),
			HaveKeyWithValue("message", ContainSubstring(says)),
			HaveKeyWithValue("data", BeNil()),
		),
	)
}

var _ = Describe("The reference", func() {
	It("creates a flag with everything that it takes, and shows it", func() {
		s := newShop()
		answer := world.Call(s.editor, http.MethodPost, s.path, fmt.Sprintf(`{
			"name": "New Checkout", "key": "new_checkout", "type": "boolean", "description": "A better checkout", "is_active": true,
			"client_side_enabled": true, "analytics_enabled": true, "metadata": {"jira": {"issue": "SHOP-12", "points": 12345678901234567890}},
			"envId": %q, "template": "gradual_rollout", "flavor": "<string>"
		}`, s.staging.UID))
		flag := data(http.StatusCreated, answer)
		Expect(answer.Header.Get("ETag")).NotTo(BeEmpty())
		Expect(flag).To(And(
			HaveKeyWithValue("id", string(s.stored("new-checkout").UID)),
			HaveKeyWithValue("project_id", string(s.project.UID)),
			HaveKeyWithValue(
				"name",
				"New Checkout",
			),
			HaveKeyWithValue("key", "new_checkout"),
			HaveKeyWithValue("type", "boolean"),
			HaveKeyWithValue(
				"description",
				"A better checkout",
			),
			HaveKeyWithValue("is_active", true),
			HaveKeyWithValue("client_side_enabled", true),
			HaveKeyWithValue(
				"analytics_enabled",
				true,
			),
			HaveKeyWithValue("metadata", HaveKeyWithValue("jira", HaveKeyWithValue("issue", "SHOP-12"))),
			HaveKeyWithValue(
				"created_at",
				MatchRegexp(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$`),
			),
			HaveKeyWithValue("updated_at", MatchRegexp(`:\d\dZ$`)),
			HaveKeyWithValue("archived_at", BeNil()),
			HaveKeyWithValue("deleted_at", BeNil()),
			HaveLen(15),
		))
		Expect(string(answer.Body)).To(ContainSubstring("12345678901234567890"))
		Expect(flag).To(HaveKeyWithValue("environments", decode(fmt.Sprintf(`[{
			"id": %q, "key": "production", "name": "production", "is_active": false, "default_variation": "off",
			"rules": [{"id": "gradual-rollout", "name": "Gradual rollout", "type": "targeted_delivery",
				"shares": [{"variation": "on", "weight": 0}, {"variation": "off", "weight": 100}]}]
		}, {
			"id": %q, "key": "staging", "name": "staging", "is_active": true, "default_variation": "off",
			"rules": [{"id": "gradual-rollout", "name": "Gradual rollout", "type": "targeted_delivery",
				"shares": [{"variation": "on", "weight": 0}, {"variation": "off", "weight": 100}]}]
		}]`, s.production.UID, s.staging.UID))))
		for _, id := range []string{"new_checkout", "new-checkout", fmt.Sprint(flag["id"])} {
			Expect(data(http.StatusOK, world.Call(s.viewer, http.MethodGet, s.path+"/"+id, nil))).To(Equal(flag))
		}
		listed := world.Call(s.viewer, http.MethodGet, "/projects/"+s.project.Name+"/flags", nil)
		Expect(listed.JSON).To(Equal(map[string]any{"statusCode": 200.0, "message": "OK", "data": []any{flag}}))
	})

	It("needs nothing but a name", func() {
		s := newShop()
		flag := s.create(`{"name": "New Checkout!"}`)
		Expect(flag).To(And(
			HaveKeyWithValue(
				"key",
				"new-checkout",
			),
			HaveKeyWithValue("type", "boolean"),
			HaveKeyWithValue("description", BeNil()),
			HaveKeyWithValue("is_active", false),
			HaveKeyWithValue(
				"client_side_enabled",
				true,
			),
			HaveKeyWithValue("analytics_enabled", false),
			HaveKeyWithValue("metadata", BeEmpty()),
			HaveKeyWithValue("environments", HaveLen(2)),
		))
		Expect(s.create(`{"name": "New Checkout?"}`)).To(HaveKeyWithValue("key", "new-checkout-2"))
		Expect(s.create(`{"name": "サイン", "description": null, "client_side_enabled": false}`)).To(And(
			HaveKeyWithValue("key", "flag"), HaveKeyWithValue("name", "サイン"), HaveKeyWithValue("client_side_enabled", false)))
		Expect(s.stored("flag").Spec.Runtime).To(Equal(v1alpha1.RuntimeServer))
	})

	It("says when a flag was archived and when it is deleted", func() {
		s := newShop()
		world.Create(builders.MakeFlag("old", s.project.Name).Boolean().Archived().Obj())
		Eventually(func(g Gomega) {
			g.Expect(
				world.Call(s.viewer, http.MethodGet, s.path+"/old", nil).JSON,
			).To(
				HaveKeyWithValue("data", HaveKeyWithValue("archived_at", Not(BeNil()))),
			)
		}).Should(Succeed())
		flag := s.stored("old")
		base := flag.DeepCopy()
		flag.Finalizers = []string{"example.com/hold"}
		Expect(world.Admin.Patch(context.Background(), flag, client.MergeFrom(base))).To(Succeed())
		Expect(world.Admin.Delete(context.Background(), flag)).To(Succeed())
		Eventually(func(g Gomega) {
			g.Expect(
				world.Call(s.viewer, http.MethodGet, s.path+"/old", nil).JSON,
			).To(
				HaveKeyWithValue("data", HaveKeyWithValue("deleted_at", Not(BeNil()))),
			)
		}).Should(Succeed())
	})
})

var _ = Describe("The template", func() {
	It("gradual_rollout begins with a rule in every environment that serves on to nobody yet", func() {
		s := newShop()
		s.create(`{"name": "Rollout", "template": "gradual_rollout"}`)
		for _, part := range s.stored("rollout").Spec.Environments {
			Expect(part.Enabled).To(BeFalse())
			Expect(
				part.Rules,
			).To(
				ConsistOf(HaveField("Split", []v1alpha1.SplitEntry{{Variation: "on", Weight: 0}, {Variation: "off", Weight: 100}})),
			)
		}
		Expect(s.stored("rollout").Spec.Environments).To(HaveLen(2))
	})

	It("kill_switch is on everywhere, and off once it is disabled", func() {
		s := newShop()
		Expect(s.create(`{"name": "Kill", "template": "kill_switch"}`)).To(HaveKeyWithValue("is_active", true))
		flag := s.stored("kill")
		Expect(
			flag.Spec,
		).To(
			And(HaveField("DefaultVariation", "off"), HaveField("Classification", v1alpha1.ClassificationKillSwitch)),
		)
		for _, part := range flag.Spec.Environments {
			Expect(part).To(And(HaveField("Enabled", true), HaveField("DefaultVariation", "on")))
		}
		Eventually(func(g Gomega) {
			g.Expect(s.stored("kill").Status.Summary).To(And(ContainSubstring("production=on"), ContainSubstring("staging=on")))
		}).Should(Succeed())
		Expect(
			s.create(`{"name": "Later", "template": "kill_switch", "is_active": false}`),
		).To(
			HaveKeyWithValue("is_active", false),
		)
	})

	It("ab_test splits equally between variations of its flavor", func() {
		s := newShop()
		for flavor, want := range map[string]v1alpha1.FlagType{
			"boolean": v1alpha1.FlagTypeBoolean, "string": v1alpha1.FlagTypeString, "number": v1alpha1.FlagTypeNumber, "json": v1alpha1.FlagTypeJSON,
		} {
			flag := s.create(
				fmt.Sprintf(`{"name": "Test %s", "template": "ab_test", "flavor": %q, "is_active": true}`, flavor, flavor),
			)
			Expect(flag).To(And(HaveKeyWithValue("type", flavor), HaveKeyWithValue("is_active", true)))
			stored := s.stored("test-" + flavor)
			Expect(stored.Spec.Type).To(Equal(want))
			Expect(stored.Spec.Classification).To(Equal(v1alpha1.ClassificationExperiment))
			for _, part := range stored.Spec.Environments {
				Expect(part.Rules).To(ConsistOf(And(HaveField("Type", v1alpha1.RuleTypeABTest), HaveField("Split", ConsistOf(
					v1alpha1.SplitEntry{
						Variation: stored.Spec.Variations[0].Key,
						Weight:    50,
					},
					v1alpha1.SplitEntry{Variation: stored.Spec.Variations[1].Key, Weight: 50},
				)))))
			}
		}
		failed(
			world.Call(s.editor, http.MethodPost, s.path, `{"name": "Test", "template": "ab_test"}`),
			http.StatusUnprocessableEntity,
			"flavor",
		)
		failed(
			world.Call(s.editor, http.MethodPost, s.path, `{"name": "Test", "template": "ab_test", "flavor": "sweet"}`),
			http.StatusUnprocessableEntity,
			"flavor",
		)
	})
})

var _ = Describe("What is wrong", func() {
	It("is refused with the name of the field, and creates nothing", func() {
		s, other := newShop(), newShop()
		s.create(`{"name": "Taken"}`)
		const invalid = http.StatusUnprocessableEntity
		for _, tc := range []struct {
			body   string
			status int
			says   string
		}{
			{`{"name": `, http.StatusBadRequest, "body"},
			{``, http.StatusBadRequest, "body"},
			{`{}`, invalid, "name"},
			{`{"name": ""}`, invalid, "name"},
			{`{"name": 5}`, invalid, "name"},
			{`{"name": "` + strings.Repeat("x", 257) + `"}`, invalid, "name"},
			{`{"name": "X", "key": ""}`, invalid, "key"},
			{`{"name": "X", "key": "not a\tkey"}`, invalid, "key"},
			{`{"name": "X", "key": "` + strings.Repeat("x", 129) + `"}`, invalid, "key"},
			{`{"name": "X", "key": "taken"}`, http.StatusConflict, "taken"},
			{`{"name": "X", "type": "string"}`, invalid, "type"},
			{`{"name": "X", "description": "` + strings.Repeat("x", 4097) + `"}`, invalid, "description"},
			{`{"name": "X", "is_active": "yes"}`, invalid, "is_active"},
			{`{"name": "X", "metadata": []}`, invalid, "metadata"},
			{`{"name": "X", "metadata": {"x": "` + strings.Repeat("x", 17000) + `"}}`, invalid, "metadata"},
			{`{"name": "X", "envId": "nowhere"}`, invalid, "envId"},
			{`{"name": "X", "envId": "` + string(other.staging.UID) + `"}`, invalid, "envId"},
			{`{"name": "X", "template": "magic"}`, invalid, "template"},
			{`{"name": "X", "surprise": true}`, invalid, "surprise"},
			{`{"name": "X", "metadata": {"x": "` + strings.Repeat("x", 1<<20) + `"}}`, http.StatusRequestEntityTooLarge, ""},
		} {
			By(tc.body[:min(len(tc.body), 100)])
			failed(world.Call(s.editor, http.MethodPost, s.path, tc.body), tc.status, tc.says)
		}
		failed(
			world.Call(s.editor, http.MethodPost, s.path, `{"name": "X"}`, "Content-Type", "text/plain"),
			http.StatusUnsupportedMediaType,
			"",
		)
		failed(world.Call(s.editor, http.MethodDelete, s.path, nil), http.StatusMethodNotAllowed, "POST")
		failed(world.Call(s.viewer, http.MethodGet, s.path+"/nothing", nil), http.StatusNotFound, "nothing")
		flags := &v1alpha1.FeatureFlagList{}
		Expect(world.Admin.List(context.Background(), flags, client.InNamespace(s.project.Name))).To(Succeed())
		Expect(flags.Items).To(HaveLen(1))
	})

	It("is what somebody may not do", func() {
		s, other := newShop(), newShop()
		failed(world.Call("", http.MethodPost, s.path, `{"name": "X"}`), http.StatusUnauthorized, "token")
		failed(world.Call(s.viewer, http.MethodPost, s.path, `{"name": "X"}`), http.StatusForbidden, "")
		failed(world.Call(other.editor, http.MethodPost, s.path, `{"name": "X"}`), http.StatusForbidden, "")
		failed(world.Call(other.editor, http.MethodGet, s.path, nil), http.StatusForbidden, "")
		failed(
			world.Call(other.editor, http.MethodPost, "/projects/nowhere/flags", `{"name": "X"}`),
			http.StatusForbidden,
			"",
		)
		editorWithoutPublish := world.Token(s.project.Name, "author", append(servertest.Read, servertest.Write...)...)
		failed(
			world.Call(editorWithoutPublish, http.MethodPost, s.path, `{"name": "X", "template": "kill_switch"}`),
			http.StatusForbidden,
			"production",
		)
		err := world.Admin.Get(
			context.Background(),
			types.NamespacedName{Namespace: s.project.Name, Name: "x"},
			&v1alpha1.FeatureFlag{},
		)
		Expect(apierrors.IsNotFound(err)).To(BeTrue())
	})
})

var _ = Describe("The document", func() {
	It("has examples that work", func() {
		token := world.Shop()
		printed := world.RunExamples("docs/rest/flagmint.md", token)
		Expect(printed).To(HaveLen(3))
		Expect(printed[2]).To(ContainSubstring(`"is_active":true`))
	})
})
