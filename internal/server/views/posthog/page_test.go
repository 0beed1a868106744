// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package posthog

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("PostHog's own clients in a browser", func() {
	It("find what the server serves, from another origin and with default settings", func() {
		node, chromium := os.Getenv("POSTHOG_NODE"), os.Getenv("POSTHOG_CHROMIUM")
		if node == "" || chromium == "" {
			Skip("POSTHOG_NODE and POSTHOG_CHROMIUM are not set; hack/posthog.sh sets them, and says where it cannot")
		}
		s := openShop()
		s.create(
			`{"key": "for-beta", "filters": {"groups": [{"properties": [{"key": "plan", "type": "person", "operator": "exact", "value": ["beta"]}]}], "payloads": {"true": {"colour": "blue"}}}}`,
		)
		s.create(`{"key": "nobody", "filters": {"groups": [{"rollout_percentage": 0}]}}`)
		s.create(
			`{"key": "variants", "filters": {"groups": [{"variant": "b"}], "multivariate": {"variants": [{"key": "a", "rollout_percentage": 50}, {"key": "b", "rollout_percentage": 50}]}}}`,
		)
		s.create(`{"key": "of-servers", "evaluation_runtime": "server", "filters": {"groups": [{}]}}`)
		data, err := json.Marshal(map[string]any{
			"url": world.URL, "token": s.client, "subject": "ann", "properties": map[string]any{"plan": "beta"},
		})
		Expect(err).NotTo(HaveOccurred())
		command := exec.Command(node, "page.js")
		command.Dir = filepath.Join("..", "..", "..", "..", "test", "posthog")
		command.Stdin, command.Stderr = bytes.NewReader(data), GinkgoWriter
		output, err := command.Output()
		Expect(err).NotTo(HaveOccurred())
		var page struct {
			Flags, Payloads map[string]any
			Requests        []struct {
				Method, Path string
				Status       int
			}
			Errors []string
		}
		Expect(json.Unmarshal(output, &page)).To(Succeed(), string(output))
		Expect(page.Errors).To(BeEmpty())
		Expect(page.Flags).To(Equal(map[string]any{"for-beta": true, "nobody": false, "variants": "b"}))
		Expect(page.Payloads["for-beta"]).To(Equal(map[string]any{"colour": "blue"}))
		var paths []string
		for _, request := range page.Requests {
			Expect(request.Status).To(BeNumerically("<", http.StatusBadRequest), request.Path)
			paths = append(paths, request.Path)
		}
		Expect(paths).To(ContainElements("/flags/", "/array/"+s.client+"/config.js"))
		Expect(captured(s.name, "event")).To(BeNumerically(">", 0), "the events of the page are counted")
	})
})
