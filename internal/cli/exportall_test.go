// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"context"
	"errors"
	"io"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

var _ = Describe("Everything that a project is", func() {
	It("comes back from an export as it was: what is served and kept, keys, a rollback, a freeze and a brake", func() {
		ctx := context.Background()
		project := makeProject()
		run(0, project, "toggle", "checkout", "-e", "production", "--off")
		run(0, project, "publish", "production", "--wait")
		run(0, project, "rollback", "production", "--to", "1", "--yes", "--wait")
		run(0, project, "toggle", "checkout", "-e", "production", "--brake", "--wait")
		run(0, project, "freeze", "production", "--reason", "move", "--wait")
		look := func(g Gomega) (status v1alpha1.FlagEnvironmentStatus, served *corev1.ConfigMap) {
			environment := &v1alpha1.FlagEnvironment{}
			g.Expect(k8s.Get(ctx, client.ObjectKey{Namespace: project, Name: "production"}, environment)).To(Succeed())
			served = &corev1.ConfigMap{}
			g.Expect(k8s.Get(ctx, client.ObjectKey{Namespace: project, Name: "flags-production"}, served)).To(Succeed())
			g.Expect(environment.Status.SDKKeys).NotTo(BeEmpty())
			g.Expect(environment.Status.SDKKeys[0].Confirmed).To(BeTrue())
			return environment.Status, served
		}
		var status v1alpha1.FlagEnvironmentStatus
		var served *corev1.ConfigMap
		Eventually(func(g Gomega) {
			status, served = look(g)
			g.Expect(status.State).To(Equal(v1alpha1.PublishStatePinned))
			g.Expect(served.Annotations).To(HaveKey(v1alpha1.SDKKeysAnnotation))
		}).Should(Succeed())
		key := fetch(project, status.SDKKeys[0].SecretName, &corev1.Secret{})
		exported := run(0, project, "export", "--all")

		By("losing everything")
		for _, list := range []client.ObjectList{
			&v1alpha1.FeatureFlagList{}, &v1alpha1.FlagEnvironmentList{}, &v1alpha1.FlagChangeList{},
		} {
			lose(project, list)
		}
		Expect(k8s.DeleteAllOf(ctx, &corev1.ConfigMap{}, client.InNamespace(project))).To(Succeed())
		Expect(k8s.DeleteAllOf(ctx, &corev1.Secret{}, client.InNamespace(project))).To(Succeed())

		By("applying the export from top to bottom")
		decoder := yaml.NewYAMLOrJSONDecoder(strings.NewReader(exported), 4096)
		for {
			object := &unstructured.Unstructured{}
			err := decoder.Decode(object)
			if errors.Is(err, io.EOF) {
				break
			}
			Expect(err).NotTo(HaveOccurred())
			Expect(k8s.Apply(
				ctx, client.ApplyConfigurationFromUnstructured(object), client.FieldOwner("kubectl"),
			)).To(Succeed(), "%s %s", object.GetKind(), object.GetName())
		}
		Eventually(func(g Gomega) {
			now, serves := look(g)
			g.Expect(now.State).To(Equal(status.State))
			g.Expect(now.PublishedRevision).To(Equal(status.PublishedRevision))
			g.Expect(now.PinnedRevision).To(Equal(status.PinnedRevision))
			g.Expect(now.SDKKeys[0].ServerHash).To(Equal(status.SDKKeys[0].ServerHash))
			g.Expect(serves.Data).To(Equal(served.Data))
		}).Should(Succeed())
		Expect(fetch(project, key.Name, &corev1.Secret{}).Data).To(Equal(key.Data))

		By("going on from there")
		run(0, project, "freeze", "production", "--off", "--wait")
		run(0, project, "rollback", "production", "--clear", "--wait")
		Expect(run(0, project, "status", "production")).To(ContainSubstring("brakes    new/checkout"))
	})

	It("is asked for without other arguments", func() {
		project := makeProject()
		for _, arguments := range [][]string{{"flags"}, {"-o", "openfeature-manifest"}} {
			Expect(run(2, project, append([]string{"export", "--all"}, arguments...)...)).To(ContainSubstring("--all prints"))
		}
	})
})

// lose removes all objects of a Kind, as if they had never been.
func lose(project string, list client.ObjectList) {
	GinkgoHelper()
	ctx := context.Background()
	Expect(k8s.List(ctx, list, client.InNamespace(project))).To(Succeed())
	Expect(meta.EachListItem(list, func(item runtime.Object) error {
		object := item.(client.Object)
		if len(object.GetFinalizers()) > 0 {
			object.SetFinalizers(nil)
			if err := k8s.Update(ctx, object); err != nil {
				return err
			}
		}
		return client.IgnoreNotFound(k8s.Delete(ctx, object))
	})).To(Succeed())
	Eventually(func(g Gomega) {
		g.Expect(k8s.List(ctx, list, client.InNamespace(project))).To(Succeed())
		g.Expect(meta.LenList(list)).To(BeZero())
	}).Should(Succeed())
}
