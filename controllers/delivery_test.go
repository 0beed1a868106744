// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	"context"
	"fmt"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
)

// teamLabel is the label by which the environments of these tests select namespaces. Its value is the project's
// namespace.
const teamLabel = "example.com/customers-of"

// makeCustomer makes a namespace that the environments of a project select, and that accepts from what the annotation
// says.
func makeCustomer(project, acceptFrom string) string {
	GinkgoHelper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		GenerateName: "customer-", Labels: map[string]string{teamLabel: project},
		Annotations: map[string]string{v1alpha1.AcceptFromAnnotation: acceptFrom},
	}}
	Expect(k8s.Create(context.Background(), namespace)).To(Succeed())
	return namespace.Name
}

func namespaceNamed(name string) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
}

// deliveringEnvironment is production of a project, delivered to the project's customers.
func deliveringEnvironment(project string) *v1alpha1.FlagEnvironment {
	return builders.MakeEnvironment("production", project).Spec(func(spec *v1alpha1.FlagEnvironmentSpec) {
		spec.Delivery.NamespaceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{teamLabel: project}}
	}).Obj()
}

// hasCopy asserts that a namespace has a copy of what production of the project serves.
func hasCopy(g Gomega, project, namespace string) {
	served, delivered := datafileOf(g, project, "production"), datafileOf(g, namespace, "production")
	g.ExpectWithOffset(1, delivered.Data).To(Equal(served.Data))
	g.ExpectWithOffset(1, delivered.BinaryData).To(Equal(served.BinaryData))
	for _, annotation := range []string{v1alpha1.RevisionAnnotation, v1alpha1.DigestAnnotation, v1alpha1.PublishedAtAnnotation} {
		g.ExpectWithOffset(1, delivered.Annotations).To(HaveKeyWithValue(annotation, served.Annotations[annotation]))
	}
	g.ExpectWithOffset(1, delivered.Labels).To(Equal(map[string]string{
		v1alpha1.ManagedByLabel: v1alpha1.ManagedBy, v1alpha1.ProjectLabel: project, v1alpha1.EnvironmentLabel: "production",
		v1alpha1.DatafileLabel: v1alpha1.DatafileCopy,
	}))
}

func hasNoCopy(g Gomega, namespace string) {
	err := k8s.Get(
		context.Background(),
		client.ObjectKey{Namespace: namespace, Name: "flags-production"},
		&corev1.ConfigMap{},
	)
	g.ExpectWithOffset(
		1,
		apierrors.IsNotFound(err),
	).To(
		BeTrue(),
		"namespace %s has a ConfigMap flags-production: %v",
		namespace,
		err,
	)
}

// isDelivered asserts that the status tells of copies of the served revision in exactly these namespaces, and that all
// is well.
func isDelivered(g Gomega, project, message string, namespaces ...string) {
	status := fetch(g, deliveringEnvironment(project)).Status
	g.ExpectWithOffset(
		1,
		status.Conditions,
	).To(
		haveCondition(v1alpha1.DeliveredCondition, metav1.ConditionTrue, v1alpha1.DeliveredReason, message),
	)
	g.ExpectWithOffset(
		1,
		status.Conditions,
	).To(
		haveCondition(v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReadyReason, ""),
	)
	g.ExpectWithOffset(1, status.DeliveriesCount).To(BeEquivalentTo(len(namespaces)))
	expected := []v1alpha1.NamespaceDelivery{}
	for _, namespace := range namespaces {
		hasCopy(g, project, namespace)
		expected = append(expected, v1alpha1.NamespaceDelivery{Namespace: namespace, Revision: status.PublishedRevision})
	}
	g.ExpectWithOffset(1, status.Deliveries).To(ConsistOf(expected))
}

// isNotDelivered asserts that Delivered, and with it Ready, is False.
func isNotDelivered(g Gomega, project, reason, message string) {
	conditions := fetch(g, deliveringEnvironment(project)).Status.Conditions
	g.ExpectWithOffset(
		1,
		conditions,
	).To(
		haveCondition(v1alpha1.DeliveredCondition, metav1.ConditionFalse, reason, message),
	)
	g.ExpectWithOffset(
		1,
		conditions,
	).To(
		haveCondition(v1alpha1.ReadyCondition, metav1.ConditionFalse, v1alpha1.NotReadyReason, "Delivered"),
	)
}

var _ = Describe("Delivery", func() {
	var project string
	ctx := context.Background()

	BeforeEach(func() { project = makeNamespace() })

	It("follows every revision, the selector, and what namespaces accept", func() {
		startOperator()
		first, second, unwilling := makeCustomer(
			project,
			project,
		), makeCustomer(
			project,
			"other , "+project+",",
		), makeCustomer(
			project,
			"other",
		)
		environment := deliveringEnvironment(project)
		create(environment, onFlag("checkout", project))
		Eventually(func(g Gomega) {
			isServed(g, project, "production", "checkout", true)
			isDelivered(g, project, "1 selected namespaces do not accept it", first, second)
		}).Should(Succeed())
		hasNoCopy(Default, unwilling)

		By("publishing another revision")
		edit(onFlag("checkout", project), func(flag *v1alpha1.FeatureFlag) { flag.Spec.Environments[0].Enabled = false })
		Eventually(func(g Gomega) {
			isServed(g, project, "production", "checkout", false)
			isDelivered(g, project, "1 selected namespaces do not accept it", first, second)
		}).Should(Succeed())

		By("accepting in one namespace, no longer accepting in another, and no longer selecting a third")
		edit(
			namespaceNamed(unwilling),
			func(namespace *corev1.Namespace) { namespace.Annotations[v1alpha1.AcceptFromAnnotation] = project },
		)
		Eventually(func(g Gomega) { isDelivered(g, project, "all 3", first, second, unwilling) }).Should(Succeed())
		edit(
			namespaceNamed(first),
			func(namespace *corev1.Namespace) { delete(namespace.Annotations, v1alpha1.AcceptFromAnnotation) },
		)
		edit(namespaceNamed(second), func(namespace *corev1.Namespace) { namespace.Labels[teamLabel] = "nobody" })
		Eventually(func(g Gomega) {
			hasNoCopy(g, first)
			hasNoCopy(g, second)
			isDelivered(g, project, "1 selected namespaces do not accept it", unwilling)
		}).Should(Succeed())

		By("adding a namespace")
		added := makeCustomer(project, project)
		Eventually(func(g Gomega) { isDelivered(g, project, "all 2", unwilling, added) }).Should(Succeed())

		By("removing the selector")
		edit(environment, func(environment *v1alpha1.FlagEnvironment) { environment.Spec.Delivery.NamespaceSelector = nil })
		Eventually(func(g Gomega) {
			hasNoCopy(g, unwilling)
			hasNoCopy(g, added)
			status := fetch(g, environment).Status
			g.Expect(conditionOf(status.Conditions, v1alpha1.DeliveredCondition)).To(BeZero())
			g.Expect(status.Deliveries).To(BeEmpty())
			g.Expect(status.DeliveriesCount).To(BeZero())
			g.Expect(
				status.Conditions,
			).To(
				haveCondition(v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReadyReason, ""),
			)
		}).Should(Succeed())
		isServed(Default, project, "production", "checkout", false)
	})

	It("delivers only what is published", func() {
		startOperator()
		environment := deliveringEnvironment(project)
		create(environment, onFlag("checkout", project))
		Eventually(func(g Gomega) {
			isServed(g, project, "production", "checkout", true)
			isDelivered(g, project, "no selected namespace")
		}).Should(Succeed())
		edit(environment, func(environment *v1alpha1.FlagEnvironment) { environment.Spec.Publish.Suspend = true })
		edit(onFlag("checkout", project), func(flag *v1alpha1.FeatureFlag) { flag.Spec.Environments[0].Enabled = false })
		Eventually(
			func(g Gomega) { g.Expect(fetch(g, environment).Status.Flags.Pending).To(BeEquivalentTo(1)) },
		).Should(
			Succeed(),
		)
		customer := makeCustomer(project, project)
		Eventually(func(g Gomega) { isDelivered(g, project, "all 1", customer) }).Should(Succeed())
		Expect(flagIn(Default, datafileOf(Default, customer, "production"), "checkout")).To(HaveKeyWithValue("enabled", true))
	})

	It("removes copies with their environment, whatever its deletion policy, and leaves the project its file", func() {
		startOperator()
		customer := makeCustomer(project, project)
		create(deliveringEnvironment(project))
		Eventually(func(g Gomega) { isDelivered(g, project, "all 1", customer) }).Should(Succeed())
		Expect(k8s.Delete(ctx, deliveringEnvironment(project))).To(Succeed())
		Eventually(func(g Gomega) { hasNoCopy(g, customer) }).Should(Succeed())
		datafileOf(Default, project, "production")
	})

	It("catches up with what happened while the operator was down", func() {
		operator := startOperator()
		other := makeNamespace()
		kept, orphan := makeCustomer(project, project), makeCustomer(other, other)
		create(deliveringEnvironment(project), deliveringEnvironment(other))
		Eventually(func(g Gomega) {
			isDelivered(g, project, "all 1", kept)
			isDelivered(g, other, "all 1", orphan)
		}).Should(Succeed())
		operator.stop()
		Expect(k8s.Delete(ctx, deliveringEnvironment(other))).To(Succeed())
		edit(
			datafileOf(Default, kept, "production"),
			func(delivered *corev1.ConfigMap) { delivered.Data["datafile.json"] = "{}" },
		)
		Expect(
			datafileOf(Default, orphan, "production").Labels,
		).To(
			HaveKeyWithValue(v1alpha1.DatafileLabel, v1alpha1.DatafileCopy),
		)
		startOperator()
		Eventually(func(g Gomega) {
			hasNoCopy(g, orphan)
			isDelivered(g, project, "all 1", kept)
		}).Should(Succeed())
	})

	It("restores a copy that is edited or deleted by hand, and keeps what others have added", func() {
		startOperator()
		customer := makeCustomer(project, project)
		create(deliveringEnvironment(project), onFlag("checkout", project))
		Eventually(func(g Gomega) {
			isServed(g, project, "production", "checkout", true)
			isDelivered(g, project, "all 1", customer)
		}).Should(Succeed())
		for name, change := range map[string]func(*corev1.ConfigMap){
			"data":       func(delivered *corev1.ConfigMap) { delivered.Data["datafile.json"] = "{}" },
			"added key":  func(delivered *corev1.ConfigMap) { delivered.Data["more"] = "more" },
			"annotation": func(delivered *corev1.ConfigMap) { delete(delivered.Annotations, v1alpha1.RevisionAnnotation) },
		} {
			By("editing the " + name)
			edit(datafileOf(Default, customer, "production"), change)
			Eventually(func(g Gomega) { hasCopy(g, project, customer) }).Should(Succeed())
		}
		By("deleting it")
		Expect(k8s.Delete(ctx, datafileOf(Default, customer, "production"))).To(Succeed())
		Eventually(func(g Gomega) { hasCopy(g, project, customer) }).Should(Succeed())

		By("annotating it")
		edit(
			datafileOf(Default, customer, "production"),
			func(delivered *corev1.ConfigMap) { delivered.Annotations["example.com/note"] = "ours" },
		)
		edit(onFlag("checkout", project), func(flag *v1alpha1.FeatureFlag) { flag.Spec.Environments[0].Enabled = false })
		Eventually(func(g Gomega) {
			isServed(g, project, "production", "checkout", false)
			isDelivered(g, project, "all 1", customer)
			g.Expect(datafileOf(g, customer, "production").Annotations).To(HaveKeyWithValue("example.com/note", "ours"))
		}).Should(Succeed())
	})

	It("leaves a name alone that something else has, and says where", func() {
		startOperator()
		free, foreign := makeCustomer(project, project), makeCustomer(project, project)
		theirs := &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Namespace: foreign, Name: "flags-production"},
			Data:       map[string]string{"theirs": "1"},
		}
		create(theirs, deliveringEnvironment(project))
		Eventually(func(g Gomega) {
			hasCopy(g, project, free)
			isNotDelivered(g, project, v1alpha1.NameTakenReason, foreign)
			g.Expect(
				fetch(g, deliveringEnvironment(project)).Status.Deliveries,
			).To(
				HaveExactElements(HaveField("Namespace", free)),
			)
		}).Should(Succeed())

		By("taking the labels off a copy, which makes it somebody else's")
		edit(datafileOf(Default, free, "production"), func(delivered *corev1.ConfigMap) { delivered.Labels = nil })
		Eventually(func(g Gomega) {
			isNotDelivered(g, project, v1alpha1.NameTakenReason, free)
			g.Expect(fetch(g, deliveringEnvironment(project)).Status.DeliveriesCount).To(BeZero())
		}).Should(Succeed())
		Expect(datafileOf(Default, free, "production").Labels).To(BeEmpty())

		By("freeing the names")
		Expect(fetch(Default, theirs).Data).To(Equal(map[string]string{"theirs": "1"}))
		Expect(k8s.Delete(ctx, theirs)).To(Succeed())
		Expect(k8s.Delete(ctx, datafileOf(Default, free, "production"))).To(Succeed())
		edit(
			deliveringEnvironment(project),
			func(environment *v1alpha1.FlagEnvironment) { environment.Spec.DisplayName = "look again" },
		)
		Eventually(func(g Gomega) { isDelivered(g, project, "all 2", free, foreign) }).Should(Succeed())
	})

	It("leaves another environment's copy alone", func() {
		startOperator()
		other := makeNamespace()
		customer := makeCustomer(project, project+", "+other)
		create(deliveringEnvironment(project))
		Eventually(func(g Gomega) { isDelivered(g, project, "all 1", customer) }).Should(Succeed())
		rival := deliveringEnvironment(other)
		rival.Spec.Delivery.NamespaceSelector.MatchLabels[teamLabel] = project
		create(rival)
		Eventually(func(g Gomega) { isNotDelivered(g, other, v1alpha1.NameTakenReason, customer) }).Should(Succeed())
		isDelivered(Default, project, "all 1", customer)
		Expect(k8s.Delete(ctx, rival)).To(Succeed())
		// What the rival's deletion removes is gone by the time that another revision is delivered.
		create(onFlag("checkout", project))
		Eventually(func(g Gomega) {
			isServed(g, project, "production", "checkout", true)
			isDelivered(g, project, "all 1", customer)
		}).Should(Succeed())
	})

	It("is not held back by a namespace that cannot be written to, and skips one that is being deleted", func() {
		operator := startOperator()
		good, bad, ending := makeCustomer(project, project), makeCustomer(project, project), makeCustomer(project, project)
		// Nothing finishes a namespace's deletion in this control plane.
		Expect(k8s.Delete(ctx, namespaceNamed(ending))).To(Succeed())
		refuse := func(_ string, object client.Object) bool { return object.GetNamespace() == bad }
		operator.faults.refuse.Store(&refuse)
		create(deliveringEnvironment(project), onFlag("checkout", project))
		Eventually(func(g Gomega) {
			isServed(g, project, "production", "checkout", true)
			hasCopy(g, project, good)
			isNotDelivered(g, project, v1alpha1.WriteFailedReason, "1 namespaces are not up to date: "+bad)
			g.Expect(
				fetch(g, deliveringEnvironment(project)).Status.Deliveries,
			).To(
				HaveExactElements(HaveField("Namespace", good)),
			)
		}).Should(Succeed())
		hasNoCopy(Default, ending)
		operator.faults.refuse.Store(nil)
		Eventually(func(g Gomega) { isDelivered(g, project, "all 2", good, bad) }).Should(Succeed())

		By("failing for a copy that exists, which keeps its last revision")
		operator.faults.refuse.Store(&refuse)
		before := datafileOf(Default, bad, "production")
		edit(onFlag("checkout", project), func(flag *v1alpha1.FeatureFlag) { flag.Spec.Environments[0].Enabled = false })
		Eventually(func(g Gomega) {
			isServed(g, project, "production", "checkout", false)
			hasCopy(g, project, good)
			isNotDelivered(g, project, v1alpha1.WriteFailedReason, bad)
		}).Should(Succeed())
		Expect(datafileOf(Default, bad, "production").Data).To(Equal(before.Data))
		operator.faults.refuse.Store(nil)
		Eventually(func(g Gomega) { isDelivered(g, project, "all 2", good, bad) }).Should(Succeed())
	})

	It("says what is wrong with a selector, and leaves copies as they are", func() {
		startOperator()
		customer := makeCustomer(project, project)
		environment := deliveringEnvironment(project)
		create(environment)
		Eventually(func(g Gomega) { isDelivered(g, project, "all 1", customer) }).Should(Succeed())
		edit(environment, func(environment *v1alpha1.FlagEnvironment) {
			environment.Spec.Delivery.NamespaceSelector.MatchExpressions = []metav1.LabelSelectorRequirement{
				{Key: "tier", Operator: "Near"},
			}
		})
		Eventually(func(g Gomega) {
			isNotDelivered(g, project, v1alpha1.InvalidReason, `"Near" is not a valid label selector operator`)
		}).Should(Succeed())
		hasCopy(Default, project, customer)
	})

	It("reaches hundreds of namespaces while other environments go on being published", func() {
		const count = 300
		customers := make([]string, count)
		var creating sync.WaitGroup
		for worker := range 8 {
			creating.Go(func() {
				defer GinkgoRecover()
				for i := worker; i < count; i += 8 {
					customers[i] = makeCustomer(project, project)
				}
			})
		}
		creating.Wait()
		startOperator()
		create(deliveringEnvironment(project), onFlag("checkout", project))
		reached := func(enabled bool) func(g Gomega) {
			return func(g Gomega) {
				isServed(g, project, "production", "checkout", enabled)
				revision := revisionOf(g, project, "production")
				status := fetch(g, deliveringEnvironment(project)).Status
				g.Expect(status.DeliveriesCount).To(BeEquivalentTo(count))
				g.Expect(status.Deliveries).To(HaveLen(100))
				g.Expect(status.Deliveries).To(HaveEach(HaveField("Revision", revision)))
				g.Expect(
					status.Conditions,
				).To(
					haveCondition(
						v1alpha1.DeliveredCondition,
						metav1.ConditionTrue,
						v1alpha1.DeliveredReason,
						fmt.Sprintf("all %d selected namespaces that accept the datafile have revision %d", count, revision),
					),
				)
			}
		}
		Eventually(reached(true)).WithTimeout(2 * time.Minute).Should(Succeed())

		began := time.Now()
		edit(onFlag("checkout", project), func(flag *v1alpha1.FeatureFlag) { flag.Spec.Environments[0].Enabled = false })
		other := makeNamespace()
		create(builders.MakeEnvironment("production", other).Obj(), onFlag("search", other))
		Eventually(func(g Gomega) { isServed(g, other, "production", "search", true) }).Should(Succeed())
		otherTook := time.Since(began)
		Eventually(reached(false)).WithTimeout(2 * time.Minute).Should(Succeed())
		took := time.Since(began)
		AddReportEntry(fmt.Sprintf(
			"%d namespaces in %s, %s each; meanwhile another environment was published within %s",
			count,
			took.Round(time.Millisecond),
			(took/count).Round(10*time.Microsecond),
			otherTook.Round(time.Millisecond),
		), ReportEntryVisibilityAlways)
		for _, customer := range customers {
			hasCopy(Default, project, customer)
		}
	})
})
