// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	"bytes"
	"context"
	"maps"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/controllers"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/internal/ownership"
)

// Forged ConfigMaps are not served where the ValidatingAdmissionPolicy is missing: the seals tell them from what the
// operator published.
var _ = Describe("Whoever may edit ConfigMaps, where no policy is in force", func() {
	var (
		ctx         = context.Background()
		project     string
		environment *v1alpha1.FlagEnvironment
	)
	start := func() *operator {
		GinkgoHelper()
		return startOperatorWith(rest.CopyConfig(restConfig), controllers.Options{
			Seal: ownership.NewSeal(bytes.Repeat([]byte("s"), 32)),
		})
	}
	sealed := func(g Gomega) metav1.Condition {
		return conditionOf(fetch(g, environment).Status.Conditions, v1alpha1.SealedCondition)
	}
	entry := func(name string) *corev1.ConfigMap {
		return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: project, Name: name}}
	}
	BeforeEach(func() {
		project = makeNamespace()
		environment = builders.MakeEnvironment("production", project).Production().Obj()
	})

	It("does not have forged content restored, neither by a running operator nor by one that starts", func() {
		running := start()
		create(environment, onFlag("checkout", project))
		Eventually(func(g Gomega) { isServed(g, project, "production", "checkout", true) }).Should(Succeed())
		genuine := datafileOf(Default, project, "production").DeepCopy()

		By("making a history entry again with other content and the old digest, and deleting what is served")
		forge := func() {
			GinkgoHelper()
			name := environment.HistoryName(ownership.RevisionOf(genuine))
			kept := fetch(Default, entry(name))
			forged := entry(name)
			forged.Labels, forged.Annotations, forged.Data = kept.Labels, kept.Annotations, map[string]string{}
			for file, content := range genuine.Data {
				forged.Data[file] = strings.ReplaceAll(content, `"enabled":true`, `"enabled":false`)
			}
			Expect(pastAdmission.Delete(ctx, kept)).To(Succeed())
			Expect(pastAdmission.Create(ctx, forged)).To(Succeed())
			Expect(pastAdmission.Delete(ctx, datafileOf(Default, project, "production"))).To(Succeed())
		}
		forge()
		isGenuine := func(g Gomega) {
			served := datafileOf(g, project, "production")
			g.Expect(flagIn(g, served, "checkout")).To(HaveKeyWithValue("enabled", true))
			g.Expect(sealed(g).Reason).To(Equal(v1alpha1.TamperedReason))
		}
		Eventually(isGenuine).Should(Succeed())

		By("deleting what is served while the operator is away")
		running.stop()
		Expect(pastAdmission.Delete(ctx, datafileOf(Default, project, "production"))).To(Succeed())
		start()
		Eventually(isGenuine).Should(Succeed())
	})

	It("makes no number overflow, and prepares nothing that an environment takes up", func() {
		By("preparing files and a key before the environment exists")
		labels := map[string]string{
			v1alpha1.ManagedByLabel: v1alpha1.ManagedBy, v1alpha1.ProjectLabel: project, v1alpha1.EnvironmentLabel: "production",
		}
		with := func(name, kind, revision string) *corev1.ConfigMap {
			prepared := entry(name)
			prepared.Labels = map[string]string{v1alpha1.DatafileLabel: kind}
			maps.Copy(prepared.Labels, labels)
			prepared.Annotations = map[string]string{
				v1alpha1.RevisionAnnotation: revision,
				v1alpha1.DigestAnnotation:   "sha256:" + strings.Repeat("0", 64),
				v1alpha1.SDKKeysAnnotation: `{"keys":[{"secretName":"mine","serverHash":"sha256:` + strings.Repeat(
					"a",
					64,
				) + `"}]}`,
			}
			prepared.Data = map[string]string{"datafile.json": `{"schemaVersion":"1.0","flags":{}}`}
			return prepared
		}
		create(with("flags-production", v1alpha1.DatafileServed, "9223372036854775807"),
			with("flags-production-r9223372036854775807", v1alpha1.DatafileHistory, "9223372036854775807"))
		start()
		create(environment, onFlag("checkout", project))
		Eventually(func(g Gomega) {
			isServed(g, project, "production", "checkout", true)
			g.Expect(sealed(g).Reason).To(Equal(v1alpha1.TamperedReason))
			g.Expect(environment.Status.PublishedRevision).To(And(BeNumerically(">", 0), BeNumerically("<", 1000)))
			for _, key := range environment.Status.SDKKeys {
				g.Expect(key.SecretName).NotTo(Equal("mine"))
			}
		}).Should(Succeed())
	})
})
