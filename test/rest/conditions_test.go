// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package rest_test

import (
	"net/http"
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("A condition", func() {
	It("is read whole by every view, or refused where it is none", func() {
		s := newShop()
		name := s.namespace.Name
		editor := newPerson(name, "editor", "admin", name)
		for _, tc := range []struct{ view, method, path, body, media string }{
			{"phaseflag", http.MethodPut, s.phaseflag("new-checkout", "", s.staging), `{"name": "Checkout"}`, ""},
			{"avsb", http.MethodPatch, s.avsb("/flags/new-checkout"), `{"name": "Checkout"}`, ""},
			{"posthog", http.MethodPatch, "/api/projects/" + name + "/feature_flags/new-checkout", `{"name": "Checkout"}`, ""},
			{
				"atono", http.MethodPatch, "/api/v1/flags/new-checkout/environments/production",
				`{"data": {"type": "flag_environment", "attributes": {"configuration": "off"}}}`, "application/vnd.api+json",
			},
			{"flagmint", "", "/projects/" + name + "/flags/new-checkout", "", ""},
		} {
			By(tc.view)
			headers := []string{"X-Jackstaff-Project", name, "X-Jackstaff-Environment", "staging"}
			etag := ""
			Eventually(func(g Gomega) { // The answer changes with what the operator reports.
				etag = world.Call(editor.token, http.MethodGet, tc.path, nil, headers...).Header.Get("ETag")
				with := append(headers[:4:4], "If-None-Match", `"x"`, "If-None-Match", etag)
				again := world.Call(editor.token, http.MethodGet, tc.path, nil, with...)
				g.Expect(again.Status).To(Equal(http.StatusNotModified), string(again.Body))
				g.Expect(again.Body).To(BeEmpty())
			}).Should(Succeed())
			if tc.method == "" {
				continue
			}
			if tc.media != "" {
				headers = append(headers, "Content-Type", tc.media)
			}
			write := func(status int, says string, lines ...string) {
				GinkgoHelper()
				with := slices.Clip(headers)
				for _, line := range lines {
					with = append(with, "If-Match", line)
				}
				answer := call(editor.token, status, tc.method, tc.path, tc.body, with...)
				Expect(string(answer.Body)).To(ContainSubstring(says))
			}
			write(http.StatusBadRequest, "If-Match is empty", "")
			write(http.StatusBadRequest, "in quotes", "uid-1-a")
			write(http.StatusPreconditionFailed, "its ETag is now", `"x"`, `"y"`)
			write(http.StatusOK, "", `"x"`, etag)
		}
	})
})
