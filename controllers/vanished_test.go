// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	"context"
	"regexp"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// lose deletes objects as nobody is asked about: with their CRD, or past admission.
func lose(objects ...client.Object) {
	GinkgoHelper()
	for _, object := range objects {
		Expect(pastAdmission.Delete(context.Background(), object)).To(Succeed())
	}
}

// customResource is the CRD of that name as far as a test needs it.
func customResource(name string) *unstructured.Unstructured {
	crd := &unstructured.Unstructured{}
	crd.SetGroupVersionKind(apiextensionsv1.SchemeGroupVersion.WithKind("CustomResourceDefinition"))
	crd.SetName(name)
	return crd
}

// Losing objects must not take flags from users. Whoever deletes one means it, and it goes at once.
var _ = Describe("Flags that vanish", func() {
	var project string
	var environment *v1alpha1.FlagEnvironment
	ctx := context.Background()
	compiled := func(g Gomega) metav1.Condition {
		return conditionOf(fetch(g, environment).Status.Conditions, v1alpha1.CompiledCondition)
	}
	// areHeld asserts that the flags of those names are missed and still served.
	areHeld := func(g Gomega, names ...string) {
		condition := compiled(g)
		g.ExpectWithOffset(1, condition.Reason).To(Equal(v1alpha1.FlagsVanishedReason))
		for _, name := range names {
			g.ExpectWithOffset(1, condition.Message).To(ContainSubstring(name))
			isServed(g, project, "production", name, true)
		}
	}
	isBack := func(g Gomega) { g.ExpectWithOffset(1, compiled(g).Status).To(Equal(metav1.ConditionTrue)) }
	isAbsent := func(g Gomega, name string) {
		g.ExpectWithOffset(1, flagIn(g, datafileOf(g, project, "production"), name)).To(BeNil())
	}
	confirm := func(digest string) {
		GinkgoHelper()
		edit(environment, func(environment *v1alpha1.FlagEnvironment) {
			metav1.SetMetaDataAnnotation(&environment.ObjectMeta, v1alpha1.ConfirmVanishedAnnotation, digest)
		})
	}

	BeforeEach(func() {
		project = makeNamespace()
		environment = deliveringEnvironment(project)
		environment.Spec.DeletionPolicy = v1alpha1.DeletionPolicyDelete
	})
	begin := func() *operator {
		GinkgoHelper()
		started := startOperator()
		create(environment, onFlag("checkout", project), onFlag("search", project))
		Eventually(func(g Gomega) {
			isServed(g, project, "production", "checkout", true)
			isServed(g, project, "production", "search", true)
			isBack(g)
		}).Should(Succeed())
		return started
	}

	It("are served on while their CRD is gone, and follow their objects again once these are back", func() {
		begin()
		before := datafileOf(Default, project, "production").ResourceVersion
		crd := customResource("featureflags.flags.jackstaff.dev")
		Expect(k8s.Delete(ctx, crd)).To(Succeed())
		DeferCleanup(func() {
			_, err := envtest.InstallCRDs(restConfig, envtest.CRDInstallOptions{Paths: controlPlane.CRDDirectoryPaths})
			Expect(err).NotTo(HaveOccurred())
		})
		Eventually(func(g Gomega) { areHeld(g, "checkout", "search") }).Should(Succeed())
		Eventually(func() error { return k8s.Get(ctx, client.ObjectKeyFromObject(crd), crd) }).ShouldNot(Succeed())
		Expect(datafileOf(Default, project, "production").ResourceVersion).To(Equal(before), "nothing is published")

		_, err := envtest.InstallCRDs(restConfig, envtest.CRDInstallOptions{Paths: controlPlane.CRDDirectoryPaths})
		Expect(err).NotTo(HaveOccurred())
		restored := onFlag("checkout", project)
		Eventually(func() error { return k8s.Create(ctx, restored) }).Should(Succeed())
		Eventually(func(g Gomega) {
			areHeld(g, "search")
			g.Expect(compiled(g).Message).NotTo(ContainSubstring("checkout"))
		}).
			WithTimeout(time.Minute).Should(Succeed())
		create(onFlag("search", project))
		Eventually(isBack).Should(Succeed())
		setEnabled("checkout", project, false)
		Eventually(func(g Gomega) { isServed(g, project, "production", "checkout", false) }).Should(Succeed())
	})

	for name, restore := range map[string]func(){
		"the environment first, then the flags one by one": func() {
			create(environment)
			Eventually(func(g Gomega) { areHeld(g, "checkout", "search") }).Should(Succeed())
			create(onFlag("search", project))
			Eventually(func(g Gomega) { areHeld(g, "checkout") }).Should(Succeed())
			create(onFlag("checkout", project))
		},
		"the flags around the environment": func() {
			create(onFlag("search", project), environment)
			Eventually(func(g Gomega) { areHeld(g, "checkout") }).Should(Succeed())
			create(onFlag("checkout", project))
		},
		"the flags first": func() { create(onFlag("search", project), onFlag("checkout", project), environment) },
	} {
		It("lose nothing when a backup restores "+name, func() {
			begin().stop()
			revision := revisionOf(Default, project, "production")
			lose(environment, onFlag("checkout", project), onFlag("search", project))
			environment = deliveringEnvironment(project)
			startOperator()
			restore()
			Eventually(isBack).Should(Succeed())
			isServed(Default, project, "production", "checkout", true)
			isServed(Default, project, "production", "search", true)
			Expect(revisionOf(Default, project, "production")).To(Equal(revision), "no revision had less")
		})
	}

	It("go once somebody confirms just these, and come back with their objects", func() {
		begin()
		lose(onFlag("search", project))
		Eventually(func(g Gomega) { areHeld(g, "search") }).Should(Succeed())
		digest := regexp.MustCompile("confirm-vanished=([0-9a-f]+)").FindStringSubmatch(compiled(Default).Message)
		Expect(digest).To(HaveLen(2))
		lose(onFlag("checkout", project))
		Eventually(func(g Gomega) { areHeld(g, "checkout", "search") }).Should(Succeed())
		confirm(digest[1])
		create(onFlag("payments", project))
		Eventually(func(g Gomega) { isServed(g, project, "production", "payments", true) }).Should(Succeed())
		areHeld(Default, "checkout", "search")
		create(onFlag("checkout", project))
		Eventually(func(g Gomega) {
			isAbsent(g, "search")
			isServed(g, project, "production", "checkout", true)
			isBack(g)
		}).Should(Succeed())
		create(onFlag("search", project))
		Eventually(func(g Gomega) { isServed(g, project, "production", "search", true) }).Should(Succeed())
	})

	It("are gone at once where somebody deletes them, also in a freeze and after a restart", func() {
		started := begin()
		Expect(k8s.Delete(ctx, onFlag("search", project))).To(Succeed())
		Eventually(func(g Gomega) { isAbsent(g, "search"); isBack(g) }).Should(Succeed())

		edit(environment, func(environment *v1alpha1.FlagEnvironment) { environment.Spec.Publish.Suspend = true })
		Eventually(func(g Gomega) {
			g.Expect(fetch(g, environment).Status.State).To(Equal(v1alpha1.PublishStateFrozen))
		}).Should(Succeed())
		Expect(k8s.Delete(ctx, onFlag("checkout", project))).To(Succeed())
		started.stop()
		startOperator()
		edit(environment, func(environment *v1alpha1.FlagEnvironment) { environment.Spec.Publish.Suspend = false })
		Eventually(func(g Gomega) { isAbsent(g, "checkout"); isBack(g) }).Should(Succeed())
	})

	It("need no confirmation where their namespace is deleted", func() {
		begin()
		Expect(k8s.Delete(ctx, namespaceNamed(project))).To(Succeed())
		lose(onFlag("search", project))
		Consistently(func(g Gomega) {
			g.Expect(compiled(g).Reason).NotTo(Equal(v1alpha1.FlagsVanishedReason))
		}).Should(Succeed())
	})

	It("stay with workloads also where their environment is lost, here and where it is delivered", func() {
		customer := makeCustomer(project, project)
		begin()
		Eventually(func(g Gomega) { isDelivered(g, project, "all 1", customer) }).Should(Succeed())
		lose(environment)
		copied := datafileOf(Default, project, "production")
		copied.Namespace = customer
		Consistently(func(g Gomega) {
			g.Expect(flagIn(g, datafileOf(g, project, "production"), "checkout")).NotTo(BeNil())
			fetch(g, copied.DeepCopy())
		}).Should(Succeed())
	})
})
