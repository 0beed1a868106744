// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package rest_test looks at the REST server as its callers do: every view at once, behind admission and in front of
// the controllers, as in production. It is a module of its own, because it judges the OpenAPI document by a library
// that nothing else needs.
package rest_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/format"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
	k8srest "k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"

	"github.com/jackstaff-dev/jackstaff/internal/app"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/internal/server"
	"github.com/jackstaff-dev/jackstaff/internal/server/servertest"
)

func TestREST(t *testing.T) {
	RegisterFailHandler(Fail)
	format.MaxLength = 0 // What is wrong with random requests is long.
	RunSpecs(t, "REST, all views")
}

var world *servertest.World

var _ = BeforeSuite(func() {
	// The views of this world believe every datafile: the operator's seal has tests of its own.
	world = servertest.Start(server.Options{}, func(mgr ctrl.Manager, srv *server.Server) error {
		return app.Mount(mgr, srv, nil)
	})
	for _, role := range shippedRoles() {
		Expect(world.Admin.Create(context.Background(), role)).To(Succeed())
	}
})

// shippedRoles are the roles for people that config/ installs.
func shippedRoles() []*rbacv1.ClusterRole {
	GinkgoHelper()
	file, err := os.Open(filepath.Join("..", "..", "config", "rbac", "user_roles.yaml"))
	Expect(err).NotTo(HaveOccurred())
	defer file.Close()
	var roles []*rbacv1.ClusterRole
	for decoder := yaml.NewYAMLOrJSONDecoder(file, 4096); ; {
		role := &rbacv1.ClusterRole{}
		if err := decoder.Decode(role); err != nil {
			Expect(err).To(MatchError("EOF"))
			return roles
		}
		if role.Name != "" {
			// The names would be those of Kubernetes' own roles without the prefix that config/default gives them.
			role.Name = "jackstaff-" + role.Name
			roles = append(roles, role)
		}
	}
}

// person is somebody with a role of config/rbac in one project, or with none.
type person struct {
	token string
	// kube reaches the API server as that person, as kubectl does.
	kube client.Client
}

// person makes a service account in the namespace home that has a role in namespace project.
func newPerson(home, name, role, project string) *person {
	GinkgoHelper()
	token := world.Token(home, name)
	if role != "" {
		bind(home, name, role, project)
	}
	config := k8srest.AnonymousClientConfig(world.Config)
	config.BearerToken = token
	kube, err := client.New(config, client.Options{Scheme: world.Admin.Scheme(), Mapper: world.Admin.RESTMapper()})
	Expect(err).NotTo(HaveOccurred())
	return &person{token: token, kube: kube}
}

// bind gives a service account of the namespace home a role of config/rbac in namespace project.
func bind(home, name, role, project string) {
	GinkgoHelper()
	Expect(world.Admin.Create(context.Background(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: project, Name: fmt.Sprintf("%s-%s-%s", home, name, role)},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "jackstaff-" + role},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: home, Name: name}},
	})).To(Succeed())
	// The API server hears of a binding a moment after it was written.
	Eventually(func(g Gomega) {
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User: "system:serviceaccount:" + home + ":" + name,
			ResourceAttributes: &authorizationv1.ResourceAttributes{
				Namespace: project, Verb: "list", Group: v1alpha1.GroupVersion.Group, Resource: "featureflags",
			},
		}}
		g.Expect(world.Admin.Create(context.Background(), review)).To(Succeed())
		g.Expect(review.Status.Allowed).To(BeTrue())
	}).Should(Succeed())
}

// shop is a project with two environments, both published on every change, of which production is guarded, and
// something of every Kind.
type shop struct {
	namespace           *corev1.Namespace
	staging, production *v1alpha1.FlagEnvironment
	flag                *v1alpha1.FeatureFlag
}

func newShop() *shop {
	GinkgoHelper()
	s := &shop{namespace: world.Project()}
	name := s.namespace.Name
	s.staging, s.production = builders.MakeEnvironment(
		"staging",
		name,
	).Obj(), builders.MakeEnvironment(
		"production",
		name,
	).Production().Obj()
	s.flag = builders.MakeFlag("new-checkout", name).Key("new_checkout").Boolean().
		Environment("staging").Rule(builders.MakeRule("beta").Audiences("beta-testers").Serve("on")).
		Environment("production").Disabled().Override("alice@example.com", "on").Obj()
	world.Create(s.staging, s.production, builders.MakeAudience("beta-testers", name).Members("alice@example.com").Obj(),
		builders.MakeEvent("purchase", name).Obj(), s.flag)
	return s
}

// phaseflag is the path of a flag in the view phaseflag.
func (s *shop) phaseflag(flag, after string, environment *v1alpha1.FlagEnvironment) string {
	return "/api/v1/flags/" + flag + after + "?environment_id=" + string(environment.UID)
}

// avsb is a path in the project of the view avsb.
func (s *shop) avsb(path string) string {
	return "/api/orgs/default/projects/" + s.namespace.Name + path
}

// fresh reads an object live.
func fresh[T any, P interface {
	*T
	client.Object
}](object P) P {
	GinkgoHelper()
	read := P(new(T))
	Expect(world.Admin.Get(context.Background(), client.ObjectKeyFromObject(object), read)).To(Succeed())
	return read
}

// call makes a request and expects a status.
func call(token string, status int, method, path string, body any, headers ...string) *servertest.Answer {
	GinkgoHelper()
	answer := world.Call(token, method, path, body, headers...)
	Expect(answer.Status).To(Equal(status), method+" "+path+": "+string(answer.Body))
	return answer
}

// toggled is a body that switches a flag.
func toggled(on bool) map[string]any { return map[string]any{"enabled": on} }
