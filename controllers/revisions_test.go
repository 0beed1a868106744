// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/uuid"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/internal/history"
)

// recordChange adds the record of a change to an object, as admission does, which these tests run without. It returns
// the id of the record.
func recordChange(before, after v1alpha1.Object) string {
	GinkgoHelper()
	record, _, err := history.Compare(before, after)
	Expect(err).NotTo(HaveOccurred())
	carried, err := history.Decode(after.GetAnnotations()[v1alpha1.ChangesAnnotation])
	Expect(err).NotTo(HaveOccurred())
	id := string(uuid.NewUUID())
	Expect(record.Stamp(id, history.Actor{Name: "alice@example.com"}, time.Now(), carried)).To(Succeed())
	annotation, err := history.Encode(append(carried, record))
	Expect(err).NotTo(HaveOccurred())
	annotations := after.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[v1alpha1.ChangesAnnotation] = annotation
	after.SetAnnotations(annotations)
	return id
}

var _ = Describe("Change records", func() {
	ctx := context.Background()

	It("say which revisions published them, at once or on request, and after a restart", func() {
		namespace := makeNamespace()
		published := func(g Gomega, id string) string {
			change := &v1alpha1.FlagChange{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: id}}
			return fetch(g, change).Status.Published
		}
		request := func(name, at string) {
			edit(builders.MakeEnvironment(name, namespace).Obj(), func(environment *v1alpha1.FlagEnvironment) {
				metav1.SetMetaDataAnnotation(&environment.ObjectMeta, v1alpha1.PublishRequestedAtAnnotation, at)
			})
		}
		operator := startOperator()
		create(
			builders.MakeEnvironment("production", namespace).Obj(),
			builders.MakeEnvironment("staging", namespace).Manual().Obj(),
		)
		flag := builders.MakeFlag("checkout", namespace).Boolean().
			Environment("production").Fallthrough("on").Environment("staging").Fallthrough("on").Obj()
		created := recordChange(nil, flag)
		create(flag)
		Eventually(func(g Gomega) { isServed(g, namespace, "production", "checkout", true) }).Should(Succeed())
		request("staging", "2027-01-01T10:00:00Z")
		Eventually(func(g Gomega) { isServed(g, namespace, "staging", "checkout", true) }).Should(Succeed())
		first := func(environment string) string {
			return datafileOf(Default, namespace, environment).Annotations[v1alpha1.RevisionAnnotation]
		}
		both := "production/" + first("production") + " staging/" + first("staging")
		Eventually(func(g Gomega) { g.Expect(published(g, created)).To(Equal(both)) }).Should(Succeed())

		By("an edit of both environments, of which the second publishes only after a restart")
		var toggled string
		edit(flag, func(flag *v1alpha1.FeatureFlag) {
			before := flag.DeepCopy()
			for i := range flag.Spec.Environments {
				flag.Spec.Environments[i].Enabled = false
			}
			toggled = recordChange(before, flag)
		})
		Eventually(func(g Gomega) { isServed(g, namespace, "production", "checkout", false) }).Should(Succeed())
		one := "production/" + first("production")
		Eventually(func(g Gomega) { g.Expect(published(g, toggled)).To(Equal(one)) }).Should(Succeed())
		operator.stop()
		startOperator()
		request("staging", "2027-01-01T11:00:00Z")
		Eventually(func(g Gomega) { isServed(g, namespace, "staging", "checkout", false) }).Should(Succeed())
		two := one + " staging/" + first("staging")
		Eventually(func(g Gomega) { g.Expect(published(g, toggled)).To(Equal(two)) }).Should(Succeed())
		Expect(published(Default, created)).To(Equal(both), "a change keeps the first revision that published it")

		By("deleting the flag")
		Expect(k8s.Delete(ctx, fetch(Default, flag))).To(Succeed())
		Eventually(func(g Gomega) {
			deleted := &v1alpha1.FlagChangeList{}
			g.Expect(k8s.List(ctx, deleted, client.InNamespace(namespace))).To(Succeed())
			for i := range deleted.Items {
				if deleted.Items[i].Spec.Action == string(history.FlagDeleted) {
					g.Expect(deleted.Items[i].Status.Published).To(Equal("production/" + first("production")))
					return
				}
			}
			g.Expect(deleted.Items).To(ContainElement(HaveField("Spec.Action", string(history.FlagDeleted))))
		}).Should(Succeed())
	})
})
