// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package atono_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/internal/server/servertest"
)

const (
	mediaType = "application/vnd.api+json"
	flags     = "/api/v1/flags"
)

// shop is a project with the environments of the reference and people. Their tokens say which project they mean.
type shop struct {
	name           string
	environments   []*v1alpha1.FlagEnvironment
	editor, viewer string
}

func newShop() *shop {
	GinkgoHelper()
	project := world.Project()
	s := &shop{
		name:   project.Name,
		editor: world.Editor(project.Name),
		viewer: world.Token(project.Name, "viewer", servertest.Read...),
	}
	for i, name := range []string{"prod", "test", "dev", "stage"} {
		environment := builders.MakeEnvironment(
			name,
			project.Name,
		).Spec(
			func(spec *v1alpha1.FlagEnvironmentSpec) { spec.Order = int32(i) },
		).Obj()
		world.Create(environment)
		s.environments = append(s.environments, environment)
	}
	return s
}

func (s *shop) stored(name string) *v1alpha1.FeatureFlag {
	GinkgoHelper()
	flag := &v1alpha1.FeatureFlag{}
	Expect(world.Admin.Get(context.Background(), types.NamespacedName{Namespace: s.name, Name: name}, flag)).To(Succeed())
	return flag
}

// create creates the flag of the reference, which rules decide in dev.
func (s *shop) create() *v1alpha1.FeatureFlag {
	GinkgoHelper()
	flag := builders.MakeFlag("improve-patch", s.name).Key("improve_patch_loading_time23").Boolean().
		Spec(func(spec *v1alpha1.FeatureFlagSpec) {
			spec.Description = "Reduces latency when switching patches by optimizing preload and memory handling routines."
		}).
		Environment("dev").Rule(builders.MakeRule("beta").Condition("plan", v1alpha1.OperatorIn, "beta").Serve("on")).Obj()
	world.Create(flag)
	return flag
}

// configure asks for a configuration.
func (s *shop) configure(path, configuration string, headers ...string) *servertest.Answer {
	GinkgoHelper()
	body := fmt.Sprintf(`{"data": {"type": "flag_environment", "attributes": {"configuration": %q}}}`, configuration)
	return s.patch(s.editor, path, body, headers...)
}

func (s *shop) patch(token, path, body string, headers ...string) *servertest.Answer {
	GinkgoHelper()
	return world.Call(
		token,
		http.MethodPatch,
		flags+path,
		body,
		append([]string{"Content-Type", mediaType}, headers...)...)
}

// shows asserts that an answer is of the media type and shows a configuration.
func shows(answer *servertest.Answer, configuration string) {
	GinkgoHelper()
	Expect(answer.Status).To(Equal(http.StatusOK), string(answer.Body))
	Expect(answer.Header.Get("Content-Type")).To(Equal(mediaType))
	Expect(
		answer.JSON,
	).To(
		HaveKeyWithValue("data", HaveKeyWithValue("attributes", HaveKeyWithValue("configuration", configuration))),
	)
}

// failed asserts a refusal, what it says and where.
func failed(answer *servertest.Answer, status int, pointer, says string) {
	GinkgoHelper()
	Expect(answer.Status).To(Equal(status), string(answer.Body))
	Expect(answer.Header.Get("Content-Type")).To(Equal(mediaType))
	problem := And(
		HaveKeyWithValue("status", strconv.Itoa(status)),
		HaveKeyWithValue("title", http.StatusText(status)),
		HaveKeyWithValue("detail", ContainSubstring(says)),
	)
	if pointer != "" {
		problem = And(problem, HaveKeyWithValue("source", HaveKeyWithValue("pointer", pointer)))
	}
	Expect(answer.JSON).To(HaveKeyWithValue("errors", ContainElement(problem)))
}

func decode(text string) any {
	GinkgoHelper()
	var decoded any
	Expect(json.Unmarshal([]byte(text), &decoded)).To(Succeed(), text)
	return decoded
}

var _ = Describe("The reference", func() {
	It("shows a flag with its environments", func() {
		s := newShop()
		flag := s.create()
		id := string(flag.UID)
		var slices, included []string
		for i, environment := range s.environments {
			sliceID := uuid.NewSHA1(uuid.MustParse(id), []byte(environment.UID)).String()
			slices = append(slices, fmt.Sprintf(`{"type": "flag_environment", "id": %q}`, sliceID))
			included = append(included, fmt.Sprintf(`{
				"type": "flag_environment", "id": %q, "attributes": {"configuration": %q},
				"relationships": {"flag": {"links": {"related": "/api/v1/flags/%s"}, "data": {"type": "flag", "id": %q}}},
				"meta": {"environmentCode": %q}
			}`, sliceID, []string{"off", "off", "MIXED", "off"}[i], id, id, environment.Name))
		}
		got := world.Call(s.viewer, http.MethodGet, flags+"/"+id, nil)
		Expect(got.Status).To(Equal(http.StatusOK), string(got.Body))
		Expect(got.Header.Get("Content-Type")).To(Equal(mediaType))
		Expect(got.Header.Get("ETag")).NotTo(BeEmpty())
		body, ok := got.JSON.(map[string]any)
		Expect(ok).To(BeTrue())
		data, ok := body["data"].(map[string]any)
		Expect(ok).To(BeTrue())
		attributes, ok := data["attributes"].(map[string]any)
		Expect(ok).To(BeTrue())
		for _, name := range []string{"createdAt", "updatedAt"} {
			Expect(attributes).To(HaveKeyWithValue(name, MatchRegexp(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$`)))
			delete(attributes, name)
		}
		Expect(got.JSON).To(Equal(decode(fmt.Sprintf(`{
			"data": {
				"type": "flag", "id": %q,
				"attributes": {
					"key": "improve_patch_loading_time23",
					"summary": "Reduces latency when switching patches by optimizing preload and memory handling routines.",
					"variants": {"on": true, "off": false}
				},
				"relationships": {"slices": {"links": {"self": "/api/v1/flags/%s/environments"}, "data": [%s]}}
			},
			"included": [%s]
		}`, id, id, strings.Join(slices, ","), strings.Join(included, ",")))))
		for _, other := range []string{"improve_patch_loading_time23", "improve-patch"} {
			Expect(world.Call(s.viewer, http.MethodGet, flags+"/"+other, nil).Body).To(Equal(got.Body))
		}
		for _, accept := range []string{"*/*", "application/json", "text/html", mediaType} {
			Expect(
				world.Call(s.viewer, http.MethodGet, flags+"/"+id, nil, "Accept", accept).Header.Get("Content-Type"),
			).To(
				Equal(mediaType),
				accept,
			)
		}

		all := world.Call(s.viewer, http.MethodGet, flags+"/"+id+"/environments", nil)
		Expect(all.JSON).To(Equal(decode(`{"data": [` + strings.Join(included, ",") + `]}`)))
		listed := world.Call(s.viewer, http.MethodGet, flags, nil)
		Expect(
			listed.JSON,
		).To(
			And(HaveLen(1), HaveKeyWithValue("data", ConsistOf(And(HaveKeyWithValue("id", id), HaveKey("relationships"))))),
		)
		Expect(
			world.Call(s.viewer, http.MethodGet, flags+"?include=slices", nil).JSON,
		).To(
			HaveKeyWithValue("included", decode("["+strings.Join(included, ",")+"]")),
		)

		dev := uuid.NewSHA1(uuid.MustParse(id), []byte(s.environments[2].UID)).String()
		for _, code := range []string{"dev", dev, string(s.environments[2].UID)} {
			one := world.Call(s.viewer, http.MethodGet, flags+"/"+id+"/environments/"+code, nil)
			Expect(one.JSON).To(Equal(decode(`{"data": ` + included[2] + `}`)))
		}
	})

	It("switches a flag on and off in an environment", func() {
		s := newShop()
		flag := s.create()
		prod := uuid.NewSHA1(uuid.MustParse(string(flag.UID)), []byte(s.environments[0].UID)).String()
		path := "/improve_patch_loading_time23/environments/prod"
		answer := s.patch(s.editor, path, fmt.Sprintf(`{
			"data": {"type": "flag_environment", "id": %q, "attributes": {"configuration": "on"}}
		}`, prod))
		shows(answer, "on")
		Expect(
			answer.JSON,
		).To(
			HaveKeyWithValue(
				"data",
				And(HaveKeyWithValue("id", prod), HaveKeyWithValue("meta", HaveKeyWithValue("environmentCode", "prod"))),
			),
		)
		Expect(
			s.stored("improve-patch").Spec.Environments[1],
		).To(
			Equal(v1alpha1.EnvironmentConfig{Name: "prod", Enabled: true, DefaultVariation: "on"}),
		)
		Eventually(
			func(g Gomega) { g.Expect(s.stored("improve-patch").Status.Summary).To(ContainSubstring("prod=on")) },
		).Should(
			Succeed(),
		)
		shows(s.configure(path, "on"), "on")
		shows(s.configure(path, "off"), "off")
		Expect(s.stored("improve-patch").Spec.Environments[1].Enabled).To(BeFalse())
		shows(s.configure(path, "on"), "on")
		shows(world.Call(s.viewer, http.MethodGet, flags+path, nil), "on")
		shows(world.Call(s.viewer, http.MethodGet, flags+"/improve-patch/environments/dev", nil), "MIXED")
	})
})

var _ = Describe("On", func() {
	It("loses rules only where that is asked for", func() {
		s := newShop()
		world.Create(builders.MakeFlag("other", s.name).Boolean().Obj(), builders.MakeFlag("checkout", s.name).Boolean().
			Environment(
				"dev",
			).Disabled().Override("alice", "on").Prerequisite("other", "on").Schedule(time.Now().Add(time.Hour), time.Time{}).
			Rule(builders.MakeRule("beta").Condition("plan", v1alpha1.OperatorIn, "beta").Serve("on")).Obj())
		before := s.stored("checkout")
		path := "/checkout/environments/dev"
		failed(s.configure(path, "on"), http.StatusUnprocessableEntity, "/data/attributes/configuration",
			`rules (1), overrides (1), prerequisites (1), a schedule in environment "dev"`)
		Expect(s.stored("checkout").Spec).To(Equal(before.Spec))
		shows(s.configure(path+"?replace=true", "on"), "on")
		Expect(
			s.stored("checkout").Spec.Environments,
		).To(
			Equal([]v1alpha1.EnvironmentConfig{{Name: "dev", Enabled: true, DefaultVariation: "on"}}),
		)
	})

	It("keeps rules that serve everybody the same", func() {
		s := newShop()
		world.Create(
			builders.MakeFlag(
				"checkout",
				s.name,
			).Boolean().Environment(
				"dev",
			).Disabled().Rule(
				builders.MakeRule("all").Serve("on"),
			).Obj(),
		)
		shows(s.configure("/checkout/environments/dev", "on"), "on")
		Expect(s.stored("checkout").Spec.Environments[0].Rules).To(HaveLen(1))
	})

	It("is the first variation other than the default where none is called on", func() {
		s := newShop()
		world.Create(
			builders.MakeFlag(
				"colour",
				s.name,
			).Type(
				v1alpha1.FlagTypeString,
			).Variation(
				"red",
				`"red"`,
			).Variation(
				"blue",
				`"blue"`,
			).Variation(
				"green",
				`"green"`,
			).Obj(),
			builders.MakeFlag("single", s.name).Type(v1alpha1.FlagTypeString).Variation("red", `"red"`).Obj(),
			builders.MakeFlag("inverse", s.name).Boolean().DefaultVariation("on").Obj(),
			builders.MakeFlag("old", s.name).Boolean().Archived().Obj(),
		)
		shows(s.configure("/colour/environments/dev", "on"), "on")
		Expect(s.stored("colour").Spec.Environments[0].DefaultVariation).To(Equal("blue"))
		for name, says := range map[string]string{"single": "no variation", "inverse": "default variation", "old": "archived"} {
			failed(
				s.configure("/"+name+"/environments/dev", "on"),
				http.StatusUnprocessableEntity,
				"/data/attributes/configuration",
				says,
			)
			Expect(s.stored(name).Spec.Environments).To(BeEmpty())
		}
	})
})

var _ = Describe("What was read", func() {
	It("can be sent back, with everything around it", func() {
		s := newShop()
		s.create()
		for _, environment := range []string{"prod", "dev"} {
			path := "/improve-patch/environments/" + environment
			read := world.Call(s.viewer, http.MethodGet, flags+path, nil)
			before := s.stored("improve-patch")
			body := strings.Replace(string(read.Body), "{", `{"jsonapi": {"version": "1.1"}, `, 1)
			answer := s.patch(s.editor, path, body)
			Expect(answer.Status).To(Equal(http.StatusOK), string(answer.Body))
			Expect(answer.Body).To(MatchJSON(read.Body))
			Expect(s.stored("improve-patch").Spec.Environments).To(ContainElements(before.Spec.Environments))
			failed(s.patch(s.viewer, path, body), http.StatusForbidden, "", "may not patch")
			failed(s.patch(s.editor, path, strings.Replace(body, `"environmentCode":"`, `"environmentCode":"x`, 1)),
				http.StatusUnprocessableEntity, "/data/meta", "read-only")
		}
	})
})

var _ = Describe("A query", func() {
	It("that is not implemented is refused with the parameter", func() {
		s := newShop()
		s.create()
		for _, query := range []string{"sort=key", "filter[key]=x", "include=bogus", "include=slices&include=slices", "page[size]=1"} {
			answer := world.Call(s.viewer, http.MethodGet, flags+"?"+query, nil)
			Expect(answer.Status).To(Equal(http.StatusBadRequest), query)
			Expect(answer.JSON).To(HaveKeyWithValue("errors", ContainElement(
				HaveKeyWithValue("source", HaveKeyWithValue("parameter", strings.Split(query, "=")[0])))))
		}
		Expect(
			world.Call(s.viewer, http.MethodGet, flags+"/improve-patch?include=slices", nil).Status,
		).To(
			Equal(http.StatusOK),
		)
	})
})

var _ = Describe("A change", func() {
	It("holds where somebody else changed another part, and not where the flag is another than was seen", func() {
		s := newShop()
		s.create()
		path := "/improve-patch/environments/prod"
		etag := world.Call(s.viewer, http.MethodGet, flags+path, nil).Header.Get("ETag")
		flag := s.stored("improve-patch")
		base := flag.DeepCopy()
		flag.Spec.Owner = "team-patch"
		Expect(world.Admin.Patch(context.Background(), flag, client.MergeFrom(base))).To(Succeed())
		shows(s.configure(path, "on"), "on")
		Expect(s.stored("improve-patch").Spec.Owner).To(Equal("team-patch"))
		failed(s.configure(path, "off", "If-Match", etag), http.StatusPreconditionFailed, "", "ETag")
		Expect(s.stored("improve-patch").Spec.Environments[1].Enabled).To(BeTrue())
	})

	It("of a flag that Argo CD owns is refused, but for switching it off and on again", func() {
		s := newShop()
		world.Create(builders.MakeFlag("checkout", s.name).Boolean().Environment("prod").Fallthrough("on").
			Annotation("argocd.argoproj.io/tracking-id", "shop-app:flags.jackstaff.dev/FeatureFlag:shop/checkout").Obj())
		failed(s.configure("/checkout/environments/dev", "on"), http.StatusConflict, "", "Argo CD (shop-app)")
		shows(s.configure("/checkout/environments/prod", "off"), "off")
		Expect(s.stored("checkout").Spec.Environments[0].Enabled).To(BeTrue())
		shows(s.configure("/checkout/environments/prod", "on"), "on")
		Expect(world.Call(s.viewer, http.MethodGet, flags+"/checkout", nil).JSON).To(HaveKeyWithValue("data",
			HaveKeyWithValue("meta", HaveKeyWithValue("managedBy", HaveKeyWithValue("application", "shop-app")))))
	})
})

var _ = Describe("What is wrong", func() {
	It("is refused with a pointer, and changes nothing", func() {
		s := newShop()
		s.create()
		before := s.stored("improve-patch")
		path := "/improve-patch/environments/prod"
		const invalid = http.StatusUnprocessableEntity
		for _, tc := range []struct {
			body    string
			status  int
			pointer string
			says    string
		}{
			{`{"data": `, http.StatusBadRequest, "", "JSON"},
			{`{}`, invalid, "", "data"},
			{`{"data": {"type": "flag_environment"}}`, invalid, "/data", "attributes"},
			{`{"data": {"type": "flag_environment", "attributes": {}}}`, invalid, "/data/attributes", "configuration"},
			{`{"data": {"attributes": {"configuration": "on"}}}`, invalid, "/data", "type"},
			{`{"data": {"type": "flag_environment", "attributes": {"configuration": true}}}`, invalid, "/data/attributes/configuration", "string"},
			{`{"data": {"type": "flag_environment", "attributes": {"configuration": "maybe"}}}`, invalid, "/data/attributes/configuration", "one of"},
			{`{"data": {"type": "flag_environment", "attributes": {"configuration": "` + strings.Repeat("o", 5000) + `"}}}`, invalid, "/data/attributes/configuration", "one of"},
			{`{"data": {"type": "flag_environment", "attributes": {"configuration": "MIXED"}}}`, invalid, "/data/attributes/configuration", "MIXED"},
			{`{"data": {"type": "flag_environment", "attributes": {"configuration": "on", "summary": "x"}}}`, invalid, "/data/attributes/summary", "unexpected"},
			{`{"data": {"type": "flag", "attributes": {"configuration": "on"}}}`, http.StatusConflict, "/data/type", "flag_environment"},
			{`{"data": {"type": "flag_environment", "id": "3fa85f64-5717-4562-b3fc-2c963f66afa6", "attributes": {"configuration": "on"}}}`, http.StatusConflict, "/data/id", "that of the path"},
			{`{"data": {"type": "flag_environment", "attributes": {"configuration": "on"}}, "x": "` + strings.Repeat("x", 1<<20) + `"}`, http.StatusRequestEntityTooLarge, "", ""},
		} {
			By(tc.body[:min(len(tc.body), 120)])
			failed(s.patch(s.editor, path, tc.body), tc.status, tc.pointer, tc.says)
		}
		for _, contentType := range []string{"application/json", "text/plain", "application/vnd.api+json; charset=utf-8", "application/other+json"} {
			failed(s.configure(path, "on", "Content-Type", contentType), http.StatusUnsupportedMediaType, "", "")
		}
		failed(s.configure("/improve-patch/environments/nowhere", "on"), http.StatusNotFound, "", "nowhere")
		failed(s.configure("/nothing/environments/prod", "on"), http.StatusNotFound, "", "nothing")
		failed(
			world.Call(s.editor, http.MethodPost, flags, `{}`, "Content-Type", mediaType),
			http.StatusMethodNotAllowed,
			"",
			"GET",
		)
		failed(world.Call(s.editor, http.MethodGet, flags+"?include=owner", nil), http.StatusBadRequest, "", "one of")
		after := s.stored("improve-patch")
		Expect(after.Generation).To(Equal(before.Generation))
		Expect(after.Spec).To(Equal(before.Spec))
	})

	It("is what somebody may not do", func() {
		s, other := newShop(), newShop()
		id := string(s.create().UID)
		on := `{"data": {"type": "flag_environment", "attributes": {"configuration": "on"}}}`
		path := "/" + id + "/environments/prod"
		failed(s.patch(s.viewer, path, on), http.StatusForbidden, "", "")
		failed(s.patch("", path, on), http.StatusUnauthorized, "", "token")
		failed(s.patch(other.editor, path, on), http.StatusNotFound, "", id)
		failed(s.patch(other.editor, path, on, "X-Jackstaff-Project", s.name), http.StatusForbidden, "", "")
		failed(
			world.Call(other.viewer, http.MethodGet, flags, nil, "X-Jackstaff-Project", s.name),
			http.StatusForbidden,
			"",
			"",
		)
		Expect(s.stored("improve-patch").Generation).To(BeEquivalentTo(1))
	})
})

var _ = Describe("The paths", func() {
	It("are phaseflag's where environment_id is given, and both are in the OpenAPI document once", func() {
		s := newShop()
		s.create()
		answer := world.Call(s.viewer, http.MethodGet, flags+"?environment_id="+s.name+".dev", nil)
		Expect(answer.Header.Get("Content-Type")).To(Equal("application/json"))
		Expect(answer.JSON).To(HaveKey("meta"))
		document := world.Call("", http.MethodGet, "/openapi.json", nil)
		Expect(document.JSON).To(HaveKeyWithValue("paths", And(
			HaveKeyWithValue(
				"/api/v1/flags/{id}",
				HaveKeyWithValue("get", And(
					HaveKeyWithValue("tags", ConsistOf("phaseflag", "atono")),
					HaveKeyWithValue("description", And(
						ContainSubstring("**phaseflag**, with the query parameter `environment_id`: "),
						ContainSubstring("**atono**, without the query parameter `environment_id`: "),
						ContainSubstring("`/openapi/atono.json`"),
					)),
				)),
			),
			HaveKeyWithValue("/api/v1/evaluate", HaveKeyWithValue("post", HaveKeyWithValue("tags", ConsistOf("phaseflag")))),
		)))
	})
})

var _ = Describe("The document", func() {
	It("has examples that work", func() {
		token := world.Shop()
		world.Create(builders.MakeFlag("new-checkout", "shop").Key("new_checkout").Boolean().
			Environment(
				"staging",
			).Rule(builders.MakeRule("beta").Condition("plan", v1alpha1.OperatorIn, "beta").Serve("on")).Obj())
		world.Create(builders.MakeFlag("payments", "shop").Boolean().Environment("production").Obj())
		printed := world.RunExamples("docs/rest/atono.md", token)
		Expect(printed).To(HaveLen(3))
		Expect(printed[0]).To(ContainSubstring(`"MIXED"`))
		Expect(printed[2]).To(ContainSubstring(`"configuration":"on"`))
	})
})
