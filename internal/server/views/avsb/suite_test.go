// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package avsb_test

import (
	"context"
	"encoding/json"
	"net/http"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/internal/replica/heartbeat"
	"github.com/jackstaff-dev/jackstaff/internal/replica/store"
	"github.com/jackstaff-dev/jackstaff/internal/server"
	"github.com/jackstaff-dev/jackstaff/internal/server/servertest"
	"github.com/jackstaff-dev/jackstaff/internal/server/views/avsb"
)

func TestAVSB(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "avsb")
}

var (
	world *servertest.World
	// minutes is the clock of the heartbeats.
	minutes = clocktesting.NewFakeClock(time.Now())
)

var _ = BeforeSuite(func() {
	world = servertest.Start(server.Options{}, func(mgr ctrl.Manager, srv *server.Server) error {
		datafiles := store.NewStore()
		if err := datafiles.SetupWithManager(mgr); err != nil {
			return err
		}
		gatherer := heartbeat.New(mgr.GetClient(), mgr.GetAPIReader(), minutes)
		srv.Mount(avsb.New(server.Deps{
			Server: srv, Datafiles: datafiles, Heartbeats: gatherer, Clock: clock.RealClock{},
		}))
		return mgr.Add(gatherer)
	})
})

// shop is a project with the environments staging, which publishes by itself, and production, which is published on
// request.
type shop struct {
	namespace           *corev1.Namespace
	staging, production *v1alpha1.FlagEnvironment
	// path is that of the project.
	path string
	// Tokens: of one who may do everything, who may do everything but publish, who may only read, and who may do nothing.
	editor, author, viewer, stranger string
}

func newShop() *shop {
	GinkgoHelper()
	s := &shop{namespace: world.Project()}
	s.path = "/api/orgs/default/projects/" + s.namespace.Name
	s.staging = builders.MakeEnvironment("staging", s.namespace.Name).Obj()
	s.production = builders.MakeEnvironment(
		"production",
		s.namespace.Name,
	).Production().Manual().Spec(
		func(spec *v1alpha1.FlagEnvironmentSpec) {
			spec.DisplayName, spec.Order = "Production", 10
		},
	).Obj()
	world.Create(s.staging, s.production)
	s.editor = world.Editor(s.namespace.Name)
	s.author = world.Token(s.namespace.Name, "author", append(servertest.Read, servertest.Write...)...)
	s.viewer = world.Token(s.namespace.Name, "viewer", servertest.Read...)
	s.stranger = world.Token(s.namespace.Name, "stranger")
	return s
}

// call makes a request in the project, and expects a status.
func (s *shop) call(token string, status int, method, path string, body any, headers ...string) *servertest.Answer {
	GinkgoHelper()
	answer := world.Call(token, method, s.path+path, body, headers...)
	Expect(answer.Status).To(Equal(status), method+" "+path+": "+string(answer.Body))
	if status >= http.StatusBadRequest {
		Expect(answer.JSON).To(And(HaveLen(1), HaveKeyWithValue("error", Not(BeEmpty()))))
	}
	return answer
}

// data is what an answer has in its envelope.
func data(answer *servertest.Answer) map[string]any {
	GinkgoHelper()
	Expect(answer.JSON).To(And(HaveLen(1), HaveKey("data")))
	fields, ok := answer.JSON.(map[string]any)["data"].(map[string]any)
	Expect(ok).To(BeTrue(), string(answer.Body))
	return fields
}

// list is data where that is a list.
func list(answer *servertest.Answer) []map[string]any {
	GinkgoHelper()
	envelope := struct{ Data []map[string]any }{}
	Expect(json.Unmarshal(answer.Body, &envelope)).To(Succeed(), string(answer.Body))
	Expect(envelope.Data).NotTo(BeNil())
	return envelope.Data
}

// message is what an answer says is wrong.
func message(answer *servertest.Answer) string {
	GinkgoHelper()
	text, ok := answer.JSON.(map[string]any)["error"].(string)
	Expect(ok).To(BeTrue(), string(answer.Body))
	return text
}

// configOf is what a flag shows for an environment.
func configOf(flag map[string]any, environment string) map[string]any {
	GinkgoHelper()
	for _, config := range flag["environmentConfigs"].([]any) {
		if config := config.(map[string]any); config["environmentKey"] == environment {
			return config
		}
	}
	Fail("no environment " + environment)
	return nil
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

// seesOnly leaves an account that the servertest made the right to flags, and to read one environment.
func (s *shop) seesOnly(account, environment string) {
	GinkgoHelper()
	ctx := GinkgoT().Context()
	role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace.Name, Name: account}}
	Expect(world.Admin.Get(ctx, client.ObjectKeyFromObject(role), role)).To(Succeed())
	all := role.Rules[0]
	flags, environments := *all.DeepCopy(), *all.DeepCopy()
	flags.Resources = []string{server.Flags}
	environments.Resources, environments.ResourceNames = []string{server.Environments}, []string{environment}
	role.Rules = []rbacv1.PolicyRule{flags, environments}
	Expect(world.Admin.Update(ctx, role)).To(Succeed())
	Eventually(func(g Gomega) { // The API server takes a moment to know it.
		review := &authorizationv1.LocalSubjectAccessReview{
			ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace.Name},
			Spec: authorizationv1.SubjectAccessReviewSpec{
				User: "system:serviceaccount:" + s.namespace.Name + ":" + account,
				ResourceAttributes: &authorizationv1.ResourceAttributes{
					Namespace: s.namespace.Name, Verb: "get", Group: v1alpha1.GroupVersion.Group, Resource: server.Environments,
					Name: "any",
				},
			},
		}
		g.Expect(world.Admin.Create(ctx, review)).To(Succeed())
		g.Expect(review.Status.Allowed).To(BeFalse())
	}).Should(Succeed())
}
