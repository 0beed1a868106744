// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package rest_test

import (
	"context"
	"net/http"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
)

// act is something that people do, through REST and with kubectl.
type act struct {
	what string
	// rest makes the request, and kube does the same with a client. Both work in a project in which the other has not
	// been.
	rest func(s *shop, token string) int
	kube func(s *shop, as client.Client) error
	// roles are those that may do it.
	roles []string
}

var (
	readers    = []string{"viewer", "editor", "publisher", "admin"}
	editors    = []string{"editor", "publisher", "admin"}
	publishers = []string{"publisher", "admin"}
)

// patch changes a flag or an environment as kubectl patch does.
func patch(as client.Client, object client.Object, kind types.PatchType, body string) error {
	copied, _ := object.DeepCopyObject().(client.Object)
	return as.Patch(context.Background(), copied, client.RawPatch(kind, []byte(body)))
}

// switched is a JSON patch that switches a flag in the environment at an index.
func switched(index, on string) string {
	return `[{"op": "replace", "path": "/spec/environments/` + index + `/enabled", "value": ` + on + `}]`
}

var acts = []act{
	{
		what: "list flags", roles: readers,
		rest: func(s *shop, token string) int {
			return world.Call(token, http.MethodGet, s.avsb("/flags"), nil).Status
		},
		kube: func(s *shop, as client.Client) error {
			return as.List(context.Background(), &v1alpha1.FeatureFlagList{}, client.InNamespace(s.namespace.Name))
		},
	},
	{
		what: "get a flag", roles: readers,
		rest: func(s *shop, token string) int {
			return world.Call(token, http.MethodGet, s.phaseflag("new-checkout", "", s.staging), nil).Status
		},
		kube: func(s *shop, as client.Client) error {
			return as.Get(context.Background(), client.ObjectKeyFromObject(s.flag), &v1alpha1.FeatureFlag{})
		},
	},
	{
		what: "list environments", roles: readers,
		rest: func(s *shop, token string) int {
			return world.Call(token, http.MethodGet, s.avsb("/environments"), nil).Status
		},
		kube: func(s *shop, as client.Client) error {
			return as.List(context.Background(), &v1alpha1.FlagEnvironmentList{}, client.InNamespace(s.namespace.Name))
		},
	},
	{
		what: "see who changed what", roles: readers,
		rest: func(s *shop, token string) int {
			return world.Call(token, http.MethodGet, s.phaseflag("new-checkout", "/history", s.staging), nil).Status
		},
		kube: func(s *shop, as client.Client) error {
			return as.List(context.Background(), &v1alpha1.FlagChangeList{}, client.InNamespace(s.namespace.Name))
		},
	},
	{
		// It is off in production and was never on there, so it is a draft, and drafts are an editor's work.
		what: "create a flag", roles: editors,
		rest: func(s *shop, token string) int {
			return world.Call(
				token,
				http.MethodPost,
				s.avsb("/flags"),
				`{"name": "Search", "key": "search", "type": "BOOLEAN", "defaultVariationKey": "off",
				"variations": [{"name": "Off", "key": "off", "value": "false"}, {"name": "On", "key": "on", "value": "true"}]}`,
			).Status
		},
		kube: func(s *shop, as client.Client) error {
			return as.Create(context.Background(), builders.MakeFlag("search", s.namespace.Name).Boolean().Obj())
		},
	},
	{
		what: "describe a flag", roles: editors,
		rest: func(s *shop, token string) int {
			return world.Call(token, http.MethodPatch, s.avsb("/flags/new-checkout"), `{"description": "Newer"}`).Status
		},
		kube: func(s *shop, as client.Client) error {
			return patch(as, s.flag, types.MergePatchType, `{"spec": {"description": "Newer"}}`)
		},
	},
	{
		what: "switch a flag in staging", roles: editors,
		rest: func(s *shop, token string) int {
			return world.Call(token, http.MethodPost, s.phaseflag("new-checkout", "/toggle", s.staging), toggled(false)).Status
		},
		kube: func(s *shop, as client.Client) error {
			return patch(as, s.flag, types.JSONPatchType, switched("0", "false"))
		},
	},
	{
		what: "switch a flag in production", roles: publishers,
		rest: func(s *shop, token string) int {
			return world.Call(token, http.MethodPatch, s.avsb("/flags/new-checkout/envs/production"), toggled(true)).Status
		},
		kube: func(s *shop, as client.Client) error {
			return patch(as, s.flag, types.JSONPatchType, switched("1", "true"))
		},
	},
	{
		what: "publish staging", roles: editors,
		rest: func(s *shop, token string) int {
			return world.Call(token, http.MethodPost, s.avsb("/environments/staging/publish"), nil).Status
		},
		kube: func(s *shop, as client.Client) error {
			return patch(
				as,
				s.staging,
				types.MergePatchType,
				`{"metadata": {"annotations": {"flags.jackstaff.dev/publish-requested-at": "2026-11-22T00:00:00Z"}}}`,
			)
		},
	},
	{
		what: "publish production", roles: publishers,
		rest: func(s *shop, token string) int {
			return world.Call(token, http.MethodPost, s.avsb("/environments/production/publish"), nil).Status
		},
		kube: func(s *shop, as client.Client) error {
			return patch(
				as,
				s.production,
				types.MergePatchType,
				`{"metadata": {"annotations": {"flags.jackstaff.dev/publish-requested-at": "2026-11-22T00:00:00Z"}}}`,
			)
		},
	},
	{
		what: "create an environment", roles: editors,
		rest: func(s *shop, token string) int {
			return world.Call(token, http.MethodPost, s.avsb("/environments"), `{"name": "Quality"}`).Status
		},
		kube: func(s *shop, as client.Client) error {
			return as.Create(context.Background(), builders.MakeEnvironment("quality", s.namespace.Name).Obj())
		},
	},
	{
		what: "create an event, which is published too", roles: publishers,
		rest: func(s *shop, token string) int {
			return world.Call(
				token,
				http.MethodPost,
				s.avsb("/flag-events"),
				`{"name": "Refund", "key": "refund", "type": "CONVERSION"}`,
			).Status
		},
		kube: func(s *shop, as client.Client) error {
			return as.Create(context.Background(), builders.MakeEvent("refund", s.namespace.Name).Obj())
		},
	},
}

var _ = Describe("The roles of config/rbac", func() {
	It("are four", func() {
		var names []string
		for _, role := range shippedRoles() {
			names = append(names, role.Name)
		}
		Expect(names).To(ConsistOf("jackstaff-viewer", "jackstaff-editor", "jackstaff-publisher", "jackstaff-admin"))
	})

	for _, role := range []string{"", "viewer", "editor", "publisher", "admin"} {
		who := role
		if role == "" {
			who = "nobody in particular"
		}
		It("let "+who+" do the same through REST and with kubectl", func() {
			byREST, byKubectl, elsewhere := newShop(), newShop(), newShop()
			home := world.Project().Name
			somebody := newPerson(home, "somebody", role, byREST.namespace.Name)
			if role != "" {
				bind(home, "somebody", role, byKubectl.namespace.Name)
			}
			for _, done := range acts {
				allowed := false
				for _, name := range done.roles {
					allowed = allowed || name == role
				}
				status, err := done.rest(byREST, somebody.token), done.kube(byKubectl, somebody.kube)
				if allowed {
					Expect(status).To(BeNumerically("<", 300), done.what)
					Expect(err).NotTo(HaveOccurred(), done.what)
				} else {
					Expect(status).To(Equal(http.StatusForbidden), done.what)
					Expect(apierrors.IsForbidden(err)).To(BeTrue(), "%s: %v", done.what, err)
				}
				// A role in one project is none in another.
				Expect(done.rest(elsewhere, somebody.token)).To(Equal(http.StatusForbidden), done.what)
			}
		})
	}
})

var _ = Describe("Two people with different roles in two projects", func() {
	It("see and change each only what is theirs, and are told what they lack", func() {
		shop1, shop2, home := newShop(), newShop(), world.Project().Name
		alice := newPerson(home, "alice", "editor", shop1.namespace.Name)
		bind(home, "alice", "viewer", shop2.namespace.Name)
		bob := newPerson(home, "bob", "publisher", shop2.namespace.Name)

		By("Alice, who edits the first and sees the second")
		call(alice.token, http.StatusOK, http.MethodPatch, shop1.avsb("/flags/new-checkout/envs/staging"), toggled(false))
		call(alice.token, http.StatusOK, http.MethodGet, shop2.avsb("/flags/new-checkout"), nil)
		refused := call(
			alice.token,
			http.StatusForbidden,
			http.MethodPatch,
			shop2.avsb("/flags/new-checkout/envs/staging"),
			toggled(false),
		)
		Expect(string(refused.Body)).To(And(ContainSubstring("patch"), ContainSubstring(shop2.namespace.Name)))

		By("Bob, who publishes the second and knows nothing of the first")
		call(bob.token, http.StatusOK, http.MethodPatch, shop2.avsb("/flags/new-checkout/envs/production"), toggled(true))
		for _, path := range []string{"/flags", "/flags/new-checkout", "/flags/nothing", "/environments", "/audiences", "/flag-events"} {
			call(bob.token, http.StatusForbidden, http.MethodGet, shop1.avsb(path), nil)
		}
		// The same answer as for a project that does not exist, so that nobody learns which do.
		here := call(bob.token, http.StatusForbidden, http.MethodGet, "/projects/"+shop1.namespace.Name+"/flags", nil)
		nowhere := call(bob.token, http.StatusForbidden, http.MethodGet, "/projects/shop-nowhere/flags", nil)
		Expect(len(here.Body) - len(shop1.namespace.Name)).To(Equal(len(nowhere.Body) - len("shop-nowhere")))
		call(bob.token, http.StatusForbidden, http.MethodGet, shop1.phaseflag("new-checkout", "", shop1.staging), nil)
		call(
			bob.token,
			http.StatusForbidden,
			http.MethodGet,
			"/api/v1/flags/"+string(shop1.flag.UID),
			nil,
			"X-Jackstaff-Project",
			shop1.namespace.Name,
		)

		Expect(fresh(shop1.flag).Spec.Environments[1].Enabled).To(BeFalse())
		Expect(fresh(shop2.flag).Spec.Environments[1].Enabled).To(BeTrue())
	})

	It("need the permission to publish for production alone, and hear its name", func() {
		s := newShop()
		editor := newPerson(s.namespace.Name, "editor", "editor", s.namespace.Name)
		publisher := newPerson(s.namespace.Name, "publisher", "publisher", s.namespace.Name)

		// A view says it in words of its own; kubectl names the verb and the resource of the right.
		inWords := And(ContainSubstring(`may not publish environment \"production\"`), ContainSubstring("publisher role"))
		named := And(ContainSubstring("publish"), ContainSubstring("production"), ContainSubstring("flagenvironments"))
		for _, refused := range []struct {
			method, path string
			body         any
			media        string
		}{
			{http.MethodPatch, s.avsb("/flags/new-checkout/envs/production"), toggled(true), "application/json"},
			{http.MethodPost, s.phaseflag("new-checkout", "/toggle", s.production), toggled(true), "application/json"},
			{http.MethodPatch, "/api/v1/flags/new-checkout/environments/production?replace=true", `{"data": {"type": "flag_environment", "attributes": {"configuration": "on"}}}`, "application/vnd.api+json"},
		} {
			answer := call(
				editor.token,
				http.StatusForbidden,
				refused.method,
				refused.path,
				refused.body,
				"Content-Type",
				refused.media,
			)
			Expect(string(answer.Body)).To(inWords, refused.path)
		}
		err := patch(editor.kube, s.flag, types.JSONPatchType, switched("1", "true"))
		Expect(apierrors.IsForbidden(err)).To(BeTrue(), "%v", err)
		Expect(err.Error()).To(named)
		Expect(fresh(s.flag).Spec).To(Equal(s.flag.Spec))

		By("everything else, which does not change what production serves")
		call(editor.token, http.StatusOK, http.MethodPatch, s.avsb("/flags/new-checkout/envs/staging"), toggled(false))
		call(editor.token, http.StatusOK, http.MethodPatch, s.avsb("/flags/new-checkout"), `{"description": "Newer"}`)
		call(publisher.token, http.StatusOK, http.MethodPatch, s.avsb("/flags/new-checkout/envs/production"), toggled(true))
		Expect(patch(publisher.kube, s.flag, types.JSONPatchType, switched("1", "false"))).To(Succeed())
		Expect(fresh(s.flag).Spec.Environments[1].Enabled).To(BeFalse())
	})
})
