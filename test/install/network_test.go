// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package install_test

import (
	"os"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/yaml"
)

// Whoever takes over the manager must not reach the rest of the cluster, or the internet, from its pod.
var _ = Describe("The network policy", func() {
	It("bounds what reaches the manager, and what it reaches", func() {
		data, err := os.ReadFile(filepath.Join("..", "..", "config", "network-policy", "network_policy.yaml"))
		Expect(err).NotTo(HaveOccurred())
		policy := &networkingv1.NetworkPolicy{}
		Expect(yaml.UnmarshalStrict(data, policy)).To(Succeed())
		Expect(policy.Spec.PolicyTypes).To(ConsistOf(networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress))
		Expect(policy.Spec.Egress).NotTo(BeEmpty(), "the manager reaches nothing, not even the API server")
		var anywhere []int
		for _, rule := range policy.Spec.Egress {
			Expect(rule.Ports).NotTo(BeEmpty(), "a rule lets every port through")
			if len(rule.To) > 0 {
				continue
			}
			for _, port := range rule.Ports {
				anywhere = append(anywhere, port.Port.IntValue())
			}
		}
		Expect(anywhere).To(ConsistOf(443, 6443, 8443), "only the API server has no address that is the same everywhere")
	})
})
