// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	"sigs.k8s.io/yaml"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
)

var _ = Describe("kubectl apply", func() {
	DescribeTable(
		"of the same manifests changes nothing the second time, so that GitOps sees no drift",
		func(ctx SpecContext, arguments ...string) {
			namespace := newNamespace(ctx)
			var manifests []string
			for _, object := range []client.Object{
				builders.MakeEnvironment("production", namespace).Production().Obj(),
				builders.MakeAudience("beta", namespace).Members("alice@example.com").Obj(),
				builders.MakeEvent("purchase", namespace).Obj(),
				builders.MakeFlag("new-checkout", namespace).Boolean().Environment("production").
					Schedule(time.Date(2027, 3, 15, 9, 0, 0, 0, time.UTC), time.Time{}).Override("bob", "on").
					Rule(builders.MakeRule("r").ABTest("purchase").Audiences("beta").Split("on", 1).Split("off", 1)).Obj(),
				builders.MakeFlag("limits", namespace).Type(v1alpha1.FlagTypeJSON).Variation("small", `{"items": 1e1, "ratio": 0.5, "a<b": [true, null]}`).Obj(),
			} {
				gvk, err := apiutil.GVKForObject(object, scheme)
				Expect(err).NotTo(HaveOccurred())
				object.GetObjectKind().SetGroupVersionKind(gvk)
				manifest, err := json.Marshal(object) // JSON is YAML.
				Expect(err).NotTo(HaveOccurred())
				manifests = append(manifests, string(manifest))
			}
			file := filepath.Join(GinkgoT().TempDir(), "manifests.yaml")
			Expect(os.WriteFile(file, []byte(strings.Join(manifests, "\n---\n")), 0o600)).To(Succeed())

			kubectl := func(arguments ...string) string {
				GinkgoHelper()
				command := exec.CommandContext(
					ctx,
					environment.ControlPlane.KubectlPath,
					append([]string{"--kubeconfig", kubeconfig()}, arguments...)...)
				output, err := command.CombinedOutput()
				Expect(err).NotTo(HaveOccurred(), string(output))
				return string(output)
			}
			apply := append([]string{"apply", "-f", file}, arguments...)
			kubectl(apply...)
			flag := readFlag(ctx, namespace, "new-checkout")
			// The operator looks at a flag before anybody applies it again.
			flag.Status.ObservedGeneration = flag.Generation
			Expect(cluster.Status().Update(ctx, flag)).To(Succeed())
			kubectl(apply...)
			Expect(readFlag(ctx, namespace, "new-checkout").ResourceVersion).To(Equal(flag.ResourceVersion))
			Expect(flag.Generation).To(Equal(int64(1)))
			diff := append([]string{"diff", "-f", file}, arguments...)
			Expect(kubectl(diff...)).To(BeEmpty())
		},
		Entry("client-side"),
		Entry("server-side", "--server-side"),
	)
})

var _ = Describe("Admission of what the author wrote", func() {
	var namespace string
	BeforeEach(func(ctx SpecContext) { namespace = newNamespace(ctx) })

	// Argo CD compares what Git says with what is stored: a time written in another way is a difference for ever.
	It("leaves times as they are written", func(ctx SpecContext) {
		flag := &unstructured.Unstructured{}
		Expect(yaml.Unmarshal([]byte(`
apiVersion: flags.jackstaff.dev/v1alpha1
kind: FeatureFlag
metadata: {name: x, namespace: `+namespace+`}
spec:
  type: Boolean
  environments:
  - name: production
    schedule: {enableAt: "2027-03-15T09:00:00.5+01:00", disableAt: "2027-03-16T09:00:00+00:00"}
`), &flag.Object)).To(Succeed())
		Expect(cluster.Create(ctx, flag)).To(Succeed())
		environments, _, err := unstructured.NestedSlice(flag.Object, "spec", "environments")
		Expect(err).NotTo(HaveOccurred())
		Expect(environments[0]).To(HaveKeyWithValue("schedule", Equal(map[string]any{
			"enableAt": "2027-03-15T09:00:00.5+01:00", "disableAt": "2027-03-16T09:00:00+00:00",
		})))
		By("giving a Boolean without variations off and on")
		variations, _, err := unstructured.NestedSlice(flag.Object, "spec", "variations")
		Expect(err).NotTo(HaveOccurred())
		Expect(variations).To(HaveExactElements(
			Equal(map[string]any{"key": "off", "value": false}), Equal(map[string]any{"key": "on", "value": true})))
	})
})
