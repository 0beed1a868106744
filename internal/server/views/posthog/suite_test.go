// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package posthog

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/internal/replica/store"
	"github.com/jackstaff-dev/jackstaff/internal/replica/usage"
	"github.com/jackstaff-dev/jackstaff/internal/server"
	"github.com/jackstaff-dev/jackstaff/internal/server/servertest"
)

func TestPostHog(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "View posthog")
}

var (
	world     *servertest.World
	datafiles = store.NewStore()
	metrics   = prometheus.NewRegistry()
)

var _ = BeforeSuite(func() {
	world = servertest.Start(server.Options{}, func(mgr ctrl.Manager, srv *server.Server) error {
		if err := datafiles.SetupWithManager(mgr); err != nil {
			return err
		}
		recorder, err := usage.New(clock.RealClock{}, metrics)
		if err != nil {
			return err
		}
		srv.Mount(New(server.Deps{
			Server: srv, Datafiles: datafiles, Usage: recorder, History: mgr.GetClient(), Clock: clock.RealClock{},
		}))
		return nil
	})
})

// shop is a project with one production environment.
type shop struct {
	name, flags    string
	editor, viewer string
	server, client string
	environment    *v1alpha1.FlagEnvironment
}

// openShop makes a project with its people and keys.
func openShop() *shop {
	GinkgoHelper()
	namespace := world.Project()
	s := &shop{name: namespace.Name, flags: "/api/projects/" + namespace.Name + "/feature_flags"}
	s.environment = builders.MakeEnvironment("production", s.name).Production().Obj()
	world.Create(s.environment)
	s.editor, s.viewer = world.Editor(s.name), world.Token(s.name, "viewer", servertest.Read...)
	Eventually(func(g Gomega) {
		secrets := &corev1.SecretList{}
		g.Expect(world.Admin.List(context.Background(), secrets, client.InNamespace(s.name))).To(Succeed())
		for i := range secrets.Items {
			if strings.HasPrefix(secrets.Items[i].Name, "flags-production-sdk-key-") {
				s.server, s.client = string(secrets.Items[i].Data["server"]), string(secrets.Items[i].Data["client"])
			}
		}
		_, _, known := datafiles.ByKey(s.server)
		g.Expect(known).To(BeTrue())
	}).Should(Succeed())
	return s
}

// create creates a flag and waits until it is served.
func (s *shop) create(body string) map[string]any {
	GinkgoHelper()
	answer := world.Call(s.editor, http.MethodPost, s.flags, body)
	Expect(answer.Status).To(Equal(http.StatusCreated), string(answer.Body))
	flag := object(answer)
	s.awaitServed(flag["key"].(string))
	return flag
}

// awaitServed waits until what is served of a flag is what its resource says.
func (s *shop) awaitServed(key string) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		served, found := datafiles.Environment(s.name, "production")
		g.Expect(found).To(BeTrue())
		_, found = served.Engine().Flag(key)
		g.Expect(found).To(BeTrue())
		environment := &v1alpha1.FlagEnvironment{}
		g.Expect(
			world.Admin.Get(context.Background(), client.ObjectKey{Namespace: s.name, Name: "production"}, environment),
		).To(
			Succeed(),
		)
		flags := &v1alpha1.FeatureFlagList{}
		g.Expect(world.Admin.List(context.Background(), flags, client.InNamespace(s.name))).To(Succeed())
		for i := range flags.Items {
			g.Expect(flags.Items[i].Status.ObservedGeneration).To(Equal(flags.Items[i].Generation))
			g.Expect(flags.Items[i].Status.Pending).To(BeZero())
		}
		g.Expect(served.Revision().Number).To(Equal(environment.Status.PublishedRevision))
	}).Should(Succeed())
}

// get reads a flag.
func (s *shop) get(id string) map[string]any {
	GinkgoHelper()
	answer := world.Call(s.viewer, http.MethodGet, s.flags+"/"+id, nil)
	Expect(answer.Status).To(Equal(http.StatusOK), string(answer.Body))
	return object(answer)
}

// patch changes a flag.
func (s *shop) patch(id, body string) map[string]any {
	GinkgoHelper()
	answer := world.Call(s.editor, http.MethodPatch, s.flags+"/"+id, body)
	Expect(answer.Status).To(Equal(http.StatusOK), string(answer.Body))
	return object(answer)
}

// resource reads the FeatureFlag of that name.
func (s *shop) resource(name string) *v1alpha1.FeatureFlag {
	GinkgoHelper()
	flag := &v1alpha1.FeatureFlag{}
	Expect(world.Admin.Get(context.Background(), client.ObjectKey{Namespace: s.name, Name: name}, flag)).To(Succeed())
	return flag
}

// authored is what people and views write of a flag, with the number of its generation. Its resource version says less: the
// operator writes the status and takes change records meanwhile.
func (s *shop) authored(name string) map[string]any {
	GinkgoHelper()
	flag := s.resource(name)
	delete(flag.Annotations, v1alpha1.ChangesAnnotation)
	return map[string]any{
		"generation": flag.Generation, "labels": flag.Labels, "annotations": flag.Annotations, "spec": flag.Spec,
	}
}

// object is an answer's body.
func object(answer *servertest.Answer) map[string]any {
	GinkgoHelper()
	Expect(answer.JSON).To(BeAssignableToTypeOf(map[string]any{}), string(answer.Body))
	return answer.JSON.(map[string]any)
}

// at walks into JSON by names of fields and positions in lists.
func at(value any, path ...any) any {
	GinkgoHelper()
	for _, step := range path {
		switch step := step.(type) {
		case string:
			Expect(value).To(HaveKey(step))
			value = value.(map[string]any)[step]
		case int:
			Expect(len(value.([]any))).To(BeNumerically(">", step))
			value = value.([]any)[step]
		}
	}
	return value
}

// fieldsOf are the names of an answer's fields in their order.
func fieldsOf(data []byte) []string {
	GinkgoHelper()
	decoder := json.NewDecoder(strings.NewReader(string(data)))
	_, err := decoder.Token()
	Expect(err).NotTo(HaveOccurred())
	var names []string
	for decoder.More() {
		name, err := decoder.Token()
		Expect(err).NotTo(HaveOccurred())
		names = append(names, name.(string))
		var value json.RawMessage
		Expect(decoder.Decode(&value)).To(Succeed())
	}
	return names
}

func keysOf(value any) []string { return slices.Sorted(maps.Keys(value.(map[string]any))) }

// grant lets a service account do everything with a resource of the core.
func grant(namespace, name, resource string) {
	GinkgoHelper()
	meta := metav1.ObjectMeta{Namespace: namespace, Name: name + "-" + resource}
	rules := []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{resource}, Verbs: []string{rbacv1.VerbAll}},
		{APIGroups: []string{v1alpha1.GroupVersion.Group}, Resources: []string{rbacv1.ResourceAll}, Verbs: servertest.Read},
	}
	Expect(world.Admin.Create(context.Background(), &rbacv1.Role{ObjectMeta: meta, Rules: rules})).To(Succeed())
	Expect(world.Admin.Create(context.Background(), &rbacv1.RoleBinding{
		ObjectMeta: meta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: meta.Name},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: name}},
	})).To(Succeed())
}
