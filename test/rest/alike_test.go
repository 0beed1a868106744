// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package rest_test

import (
	"context"
	"net/http"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/internal/server"
	"github.com/jackstaff-dev/jackstaff/internal/server/servertest"
)

// in are the headers that name production of a project.
func in(s *shop, media string) []string {
	return []string{
		server.ProjectHeader, s.namespace.Name, server.EnvironmentHeader, "production", "Content-Type", media,
	}
}

const (
	jsonMedia    = "application/json"
	jsonapiMedia = "application/vnd.api+json"
)

// attempt makes one change through one view and returns the status of the answer.
type attempt func(s *shop, token string) int

// drafts and live are the same change in each view: of a flag that is off in production and was never on there, and of one
// that goes on there. A view makes it by what it has.
var (
	drafts = map[string]attempt{
		"avsb": func(s *shop, token string) int {
			return world.Call(token, http.MethodPost, s.avsb("/flags"), `{"name": "A", "key": "a", "type": "BOOLEAN",
				"variations": [{"name": "Off", "key": "off", "value": "false"}, {"name": "On", "key": "on", "value": "true"}],
				"defaultVariationKey": "off"}`).Status
		},
		"phaseflag": func(s *shop, token string) int {
			return world.Call(token, http.MethodPost, "/api/v1/flags?environment_id="+string(s.production.UID), `{"key": "b",
				"name": "B", "flag_type": "boolean", "default_variation": "off", "variations": [
				{"key": "on", "name": "On", "value": true}, {"key": "off", "name": "Off", "value": false}]}`).Status
		},
		"flagmint": func(s *shop, token string) int {
			return world.Call(token, http.MethodPost, "/projects/"+s.namespace.Name+"/flags",
				`{"name": "C", "key": "c", "envId": "production", "is_active": false}`).Status
		},
		"posthog": func(s *shop, token string) int {
			return world.Call(
				token,
				http.MethodPost,
				"/api/projects/"+s.namespace.Name+"/feature_flags",
				`{"key": "d", "name": "D",
				"active": false, "filters": {"groups": [{"properties": [], "rollout_percentage": 50}]}}`,
				in(s, jsonMedia)...).Status
		},
		"atono": func(s *shop, token string) int { return s.configure(token, "off") },
	}
	live = map[string]attempt{
		"avsb": func(s *shop, token string) int {
			return world.Call(token, http.MethodPatch, s.avsb("/flags/a/envs/production"), toggled(true)).Status
		},
		"phaseflag": func(s *shop, token string) int {
			return world.Call(token, http.MethodPost, s.phaseflag("b", "/toggle", s.production), toggled(true)).Status
		},
		"flagmint": func(s *shop, token string) int {
			return world.Call(token, http.MethodPost, "/projects/"+s.namespace.Name+"/flags",
				`{"name": "E", "key": "e", "envId": "production", "is_active": true}`).Status
		},
		"posthog": func(s *shop, token string) int {
			return world.Call(token, http.MethodPatch, "/api/projects/"+s.namespace.Name+"/feature_flags/d", `{"active": true}`,
				in(s, jsonMedia)...).Status
		},
		"atono": func(s *shop, token string) int { return s.configure(token, "on") },
	}
)

// configure switches the flag quiet in production by the view atono.
func (s *shop) configure(token, to string) int {
	return world.Call(token, http.MethodPatch, "/api/v1/flags/quiet/environments/production?replace=true",
		`{"data": {"type": "flag_environment", "attributes": {"configuration": "`+to+`"}}}`, in(s, jsonapiMedia)...).Status
}

// Whoever may prepare a draft in one view and not in another goes the way around.
var _ = DescribeTable(
	"An editor's change of production",
	func(publish v1alpha1.Publish, mayGoLive bool) {
		s := newShop()
		quiet := builders.MakeFlag("quiet", s.namespace.Name).Boolean().
			Environment("production").Disabled().Override("alice@example.com", "on").Obj()
		world.Create(quiet)
		Eventually(func(g Gomega) {
			g.Expect(fresh(quiet).Status.NeverEnabledIn).To(ContainElement("production"))
			g.Expect(fresh(s.production).Status.PublishedRevision).To(BeNumerically(">=", 1))
		}).Should(Succeed())
		production := fresh(s.production)
		before := production.DeepCopy()
		publish.RevisionHistoryLimit = production.Spec.Publish.RevisionHistoryLimit
		if publish.Revision != nil {
			publish.Revision = new(production.Status.PublishedRevision)
		}
		production.Spec.Publish = publish
		Expect(world.Admin.Patch(context.Background(), production, client.MergeFrom(before))).To(Succeed())
		Eventually(func() v1alpha1.Publish {
			seen := &v1alpha1.FlagEnvironment{}
			key := client.ObjectKeyFromObject(production)
			Expect(world.Manager.GetClient().Get(context.Background(), key, seen)).To(Succeed())
			return seen.Spec.Publish
		}).Should(Equal(publish))
		editor := newPerson(s.namespace.Name, "editor", "editor", s.namespace.Name)
		for view, change := range drafts {
			Expect(change(s, editor.token)).To(BeElementOf(http.StatusOK, http.StatusCreated), "a draft by "+view)
		}
		for view, change := range live {
			if mayGoLive {
				Expect(change(s, editor.token)).To(BeElementOf(http.StatusOK, http.StatusCreated), "on in production by "+view)
				continue
			}
			Expect(change(s, editor.token)).To(Equal(http.StatusForbidden), "on in production by "+view)
		}
	},
	Entry("is a draft's alone in mode Automatic", v1alpha1.Publish{Mode: v1alpha1.PublishModeAutomatic}, false),
	Entry(
		"is a draft's alone under a freeze",
		v1alpha1.Publish{Mode: v1alpha1.PublishModeAutomatic, Suspend: true},
		false,
	),
	Entry(
		"is a draft's alone under a pin",
		v1alpha1.Publish{Mode: v1alpha1.PublishModeAutomatic, Revision: new(int64(1))},
		false,
	),
	Entry("waits for a publisher in mode Manual", v1alpha1.Publish{Mode: v1alpha1.PublishModeManual}, true),
	Entry("changes nothing here in mode None", v1alpha1.Publish{Mode: v1alpha1.PublishModeNone}, true),
)

var _ = Describe("A misspelt flag", func() {
	It("is answered with the nearest key in each view, to whoever may list flags", func() {
		s := newShop()
		viewer := newPerson(s.namespace.Name, "viewer", "viewer", s.namespace.Name)
		getter := world.Token(s.namespace.Name, "getter")
		grant(s, "getter", rbacv1.PolicyRule{
			APIGroups: []string{v1alpha1.GroupVersion.Group}, Resources: []string{"*"}, Verbs: []string{"get"},
		})
		for view, path := range map[string]string{
			"avsb": s.avsb("/flags/new_chekout"), "phaseflag": s.phaseflag("new_chekout", "", s.staging),
			"flagmint": "/projects/" + s.namespace.Name + "/flags/new_chekout",
			"posthog":  "/api/projects/" + s.namespace.Name + "/feature_flags/new_chekout",
			"atono":    "/api/v1/flags/new_chekout",
		} {
			said := func(answer *servertest.Answer) string { return strings.ReplaceAll(string(answer.Body), `\"`, "") }
			found := call(viewer.token, http.StatusNotFound, http.MethodGet, path, nil, in(s, jsonMedia)...)
			Expect(said(found)).To(ContainSubstring("did you mean new_checkout?"), view)
			hidden := world.Call(getter, http.MethodGet, path, nil, in(s, jsonMedia)...)
			Expect(hidden.Status).To(BeElementOf(http.StatusNotFound, http.StatusForbidden), view)
			Expect(said(hidden)).NotTo(ContainSubstring("new_checkout"), view)
		}
		unknown := call(viewer.token, http.StatusNotFound, http.MethodGet,
			"/api/v1/flags/new-checkout/environments/prodction", nil, in(s, jsonMedia)...)
		Expect(string(unknown.Body)).To(ContainSubstring("production"))
		boss := newPerson(s.namespace.Name, "boss", "admin", s.namespace.Name)
		rule := call(boss.token, http.StatusNotFound, http.MethodDelete,
			s.avsb("/flags/new-checkout/envs/staging/rules/beat"), nil)
		Expect(string(rule.Body)).To(ContainSubstring("beta"))
	})
})

// grant gives a service account of the shop a role of its own there.
func grant(s *shop, name string, rules ...rbacv1.PolicyRule) {
	GinkgoHelper()
	role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace.Name, Name: name}, Rules: rules}
	world.Create(role, &rbacv1.RoleBinding{
		ObjectMeta: role.ObjectMeta,
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: s.namespace.Name, Name: name}},
	})
}
