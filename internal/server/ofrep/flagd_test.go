// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package ofrep_test

import (
	"net/http"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/jackstaff-dev/jackstaff/internal/server/servertest"
)

// The tests of flagd's services have no control plane. What they do with Kubernetes tokens is tested here, beside OFREP.
var _ = Describe("Whoever asks flagd's services with a Kubernetes token", Ordered, func() {
	const (
		fetch   = "/flagd.sync.v1.FlagSyncService/FetchAllFlags"
		resolve = "/flagd.evaluation.v2.Service/ResolveString"
	)
	var s *shop
	BeforeAll(func() { s = newShop() })

	It("gets the environment that the selector or the headers name, with its rights", func() {
		reader, stranger := world.Token(s.name, "flagd-reader", servertest.Read...), world.Token(s.name, "flagd-stranger")
		selected := []string{"Flagd-Selector", s.name + ".production"}
		for path, body := range map[string]string{fetch: `{}`, resolve: `{"flagKey":"secret"}`} {
			Expect(world.Call(reader, http.MethodPost, path, body, selected...).Status).To(Equal(http.StatusOK), path)
			Expect(world.Call(reader, http.MethodPost, path, body).Status).To(Equal(http.StatusOK), path)
			for _, refused := range []*servertest.Answer{
				world.Call(stranger, http.MethodPost, path, body, selected...),
				world.Call(reader, http.MethodPost, path, body, "Flagd-Selector", s.name+".made-up"),
				world.Call(reader, http.MethodPost, path, body, "Flagd-Selector", "default.production"),
				world.Call(reader, http.MethodPost, path, body, "Flagd-Selector", s.server),
			} {
				Expect(refused.Status).To(Equal(http.StatusForbidden), string(refused.Body))
				Expect(refused.JSON).To(HaveKeyWithValue("code", "permission_denied"))
				Expect(string(refused.Body)).NotTo(ContainSubstring(s.server))
			}
			Expect(world.Call("nonsense", http.MethodPost, path, body, selected...).Status).To(Equal(http.StatusUnauthorized))
		}
	})

	It("evaluates as OFREP does", func() {
		answer := world.Call(s.server, http.MethodPost, resolve, `{"flagKey":"secret"}`)
		Expect(answer.JSON).To(Equal(map[string]any{
			"value": "s", "variant": "on", "reason": "STATIC", "metadata": s.answered(map[string]any{"team": "payments"}),
		}), string(answer.Body))
	})
})
