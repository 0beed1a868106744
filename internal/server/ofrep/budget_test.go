// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package ofrep_test

import (
	"fmt"
	"net/http"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/internal/server/ofrep"
)

var _ = Describe("The steps of a request", func() {
	It("are bounded, so that whoever has a page's key cannot keep a replica busy", func() {
		s := newShop()
		parts := make([]string, 500)
		for i := range parts {
			parts[i] = fmt.Sprintf("%s%03d", strings.Repeat("a", 40), i)
		}
		costly := builders.MakeRule("costly").Serve("on")
		for range 12 {
			costly.Condition("text", v1alpha1.OperatorNotContains, parts...)
		}
		world.Create(
			builders.MakeFlag("costly", s.name).Boolean().DefaultVariation("off").Environment("production").Rule(costly).Obj(),
		)
		s.awaitFlags(7)

		short := `{"context":{"targetingKey":"alice","text":"` + strings.Repeat("a", 256) + `"}}`
		long := `{"context":{"targetingKey":"alice","text":"` + strings.Repeat("a", 16<<10) + `"}}`
		answer := world.Call(s.client, http.MethodPost, ofrep.SinglePath+"costly", short)
		Expect(answer.Status).To(Equal(http.StatusOK), string(answer.Body))
		Expect(answer.JSON).To(HaveKeyWithValue("value", true))
		for _, path := range []string{ofrep.SinglePath + "costly", bulk} {
			answer := world.Call(s.client, http.MethodPost, path, long)
			Expect(answer.Status).To(Equal(http.StatusBadRequest), string(answer.Body))
			Expect(answer.JSON).To(And(
				HaveKeyWithValue("errorCode", "INVALID_CONTEXT"),
				HaveKeyWithValue("errorDetails", ContainSubstring("send shorter texts")),
			))
		}
		// Nobody else is refused, and what costs little is answered for the same context.
		Expect(world.Call(s.client, http.MethodPost, ofrep.SinglePath+"size", long).Status).To(Equal(http.StatusOK))
		Expect(world.Call(s.client, http.MethodPost, bulk, short).Status).To(Equal(http.StatusOK))
	})
})
