// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"errors"
	"io"
	"net/url"
	"os/exec"

	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// install applies config, with what a cluster without a network needs, and waits for the operator.
func (s *suite) install() {
	s.Helper()
	s.Log("installing the operator")
	manifests, err := exec.CommandContext(s.Context(), s.kubectl, "kustomize", "config").Output()
	s.Expect(err).NotTo(HaveOccurred())
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(manifests), len(manifests))
	for {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(object)
		if errors.Is(err, io.EOF) {
			break
		}
		s.Expect(err).NotTo(HaveOccurred())
		if s.hostNetwork {
			s.onHostNetwork(object)
		}
		s.Eventually(func() error {
			return s.client.Apply(
				s.Context(),
				client.ApplyConfigurationFromUnstructured(object),
				client.FieldOwner("e2e"),
				client.ForceOwnership,
			)
		}).Should(Succeed(), "apply %s %s", object.GetKind(), object.GetName())
	}
	s.run(
		"wait --for=condition=Established crd/featureflags.flags.jackstaff.dev crd/flagenvironments.flags.jackstaff.dev --timeout=60s",
	)
	s.run("-n jackstaff-system rollout status deployment jackstaff-manager --timeout=180s")
}

// replicas are as many as there are in config/default, or one where they would share ports.
func (s *suite) replicas() string {
	if s.hostNetwork {
		return "1"
	}
	return "2"
}

// onHostNetwork has the manager share the network of its node, find the API server there, and be called there.
func (s *suite) onHostNetwork(object *unstructured.Unstructured) {
	s.Helper()
	set := func(value any, fields ...string) {
		s.Expect(unstructured.SetNestedField(object.Object, value, fields...)).To(Succeed())
	}
	switch object.GetKind() {
	case "Namespace":
		object.SetLabels(nil) // The Pod Security Standards forbid it.
	case "Deployment":
		apiServer, err := url.Parse(s.config.Host)
		s.Expect(err).NotTo(HaveOccurred())
		containers, _, err := unstructured.NestedSlice(object.Object, "spec", "template", "spec", "containers")
		s.Expect(err).NotTo(HaveOccurred())
		manager := containers[0].(map[string]any)
		manager["env"] = append(manager["env"].([]any),
			map[string]any{"name": "KUBERNETES_SERVICE_HOST", "value": apiServer.Hostname()},
			map[string]any{"name": "KUBERNETES_SERVICE_PORT", "value": apiServer.Port()})
		set(containers, "spec", "template", "spec", "containers")
		set(true, "spec", "template", "spec", "hostNetwork")
		set([]any{map[string]any{"operator": "Exists"}}, "spec", "template", "spec", "tolerations")
		set(map[string]any{"type": "Recreate"}, "spec", "strategy")
		set(int64(1), "spec", "replicas")
	case "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration":
		webhooks, _, err := unstructured.NestedSlice(object.Object, "webhooks")
		s.Expect(err).NotTo(HaveOccurred())
		for _, webhook := range webhooks {
			fields := webhook.(map[string]any)
			path, _, err := unstructured.NestedString(fields, "clientConfig", "service", "path")
			s.Expect(err).NotTo(HaveOccurred())
			fields["clientConfig"] = map[string]any{"url": "https://127.0.0.1:9443" + path}
		}
		set(webhooks, "webhooks")
	}
}
