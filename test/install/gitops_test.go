// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package install_test

import (
	"context"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

var _ = Describe("Manifests that are applied again and again", Ordered, func() {
	var c *controlPlane
	ctx := context.Background()

	// samples are the manifests of config/samples for another namespace.
	samples := func(namespace string) string {
		var manifests strings.Builder
		for _, object := range kustomize("config/samples") {
			if object.GetKind() == "Namespace" {
				object.SetName(namespace)
			} else {
				object.SetNamespace(namespace)
			}
			document, err := yaml.Marshal(object.Object)
			Expect(err).NotTo(HaveOccurred())
			manifests.WriteString("---\n" + string(document))
		}
		return manifests.String()
	}
	// stored tells which versions of the flags and environments of a namespace are stored.
	stored := func(g Gomega, namespace string) map[string]string {
		flags, environments, versions := &v1alpha1.FeatureFlagList{}, &v1alpha1.FlagEnvironmentList{}, map[string]string{}
		g.Expect(c.admin.List(ctx, flags, client.InNamespace(namespace))).To(Succeed())
		g.Expect(c.admin.List(ctx, environments, client.InNamespace(namespace))).To(Succeed())
		for _, flag := range flags.Items {
			g.Expect(flag.Status.ObservedGeneration).To(Equal(flag.Generation))
			g.Expect(flag.Annotations).NotTo(HaveKey(v1alpha1.ChangesAnnotation), "records are moved")
			versions[flag.Name] = flag.ResourceVersion
		}
		for _, environment := range environments.Items {
			g.Expect(environment.Status.ObservedGeneration).To(Equal(environment.Generation))
			g.Expect(environment.Status.Flags.Pending).To(BeZero())
			versions["environment "+environment.Name] = environment.ResourceVersion
		}
		g.Expect(len(versions)).To(BeNumerically(">", 3))
		return versions
	}

	BeforeAll(func() {
		c = startControlPlane()
		c.install(withoutPods(kustomize("config/default")))
		c.startManager("--leader-elect")
	})

	DescribeTable("are no different from what is stored, and change nothing", func(namespace string, arguments ...string) {
		manifests := samples(namespace)
		run := func(manifests, command string) (string, error) {
			return c.kubectl(manifests, append([]string{command, "-f", "-"}, arguments...)...)
		}
		apply := func(manifests string) {
			GinkgoHelper()
			output, err := run(manifests, "apply")
			Expect(err).NotTo(HaveOccurred(), output)
		}
		apply(manifests)
		settled := map[string]string{}
		Eventually(func(g Gomega) {
			before := settled
			settled = stored(g, namespace)
			g.Expect(before).To(Equal(settled))
		}).WithPolling(time.Second).Should(Succeed())

		output, err := run(manifests, "diff")
		Expect(err).NotTo(HaveOccurred(), output)
		Expect(output).To(BeEmpty())
		apply(manifests)
		Consistently(
			func(g Gomega) { g.Expect(stored(g, namespace)).To(Equal(settled)) },
		).WithTimeout(
			2 * time.Second,
		).Should(
			Succeed(),
		)

		By("changing one line")
		changed := strings.ReplaceAll(manifests, "owner: team-payments", "owner: somebody")
		Expect(changed).NotTo(Equal(manifests))
		output, err = run(changed, "diff")
		Expect(err).To(HaveOccurred(), "the status of a difference is 1")
		for line := range strings.Lines(output) {
			if strings.HasPrefix(line, "+ ") || strings.HasPrefix(line, "- ") {
				Expect(
					line,
				).To(
					Or(ContainSubstring("owner: "), ContainSubstring("generation: "), ContainSubstring("time: ")),
					output,
				)
			}
		}
		Expect(output).To(ContainSubstring("+  owner: somebody"))
	},
		Entry("applied by the server", "by-server", "--server-side"),
		Entry("applied by the client", "by-client"),
	)

	DescribeTable("may be those of the example, for each cluster", func(cluster, value string) {
		for _, object := range kustomize("docs/gitops/clusters/" + cluster) {
			if object.GetKind() == "FeatureFlag" {
				Expect(
					client.IgnoreAlreadyExists(c.admin.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: cluster}})),
				).To(
					Succeed(),
				)
			}
			object.SetNamespace(cluster)
			Expect(c.admin.Create(ctx, object)).To(Succeed())
		}
		Eventually(func(g Gomega) {
			served := fetch(g, c, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: cluster, Name: "flags-" + cluster}})
			g.Expect(served.Data["datafile.json"]).To(And(ContainSubstring(`"new_checkout"`), ContainSubstring(value)))
		}).Should(Succeed())
	},
		Entry("staging", "staging", `"enabled":true`),
		Entry("production", "production", `"ten-percent"`),
	)
})
