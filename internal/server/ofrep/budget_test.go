// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package ofrep_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/internal/server/ofrep"
)

var _ = Describe("The steps of a request", func() {
	costlyShop := func() *shop {
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
		return s
	}

	It("are bounded, so that whoever has a page's key cannot keep a replica busy", func() {
		s := costlyShop()
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

	// Each client of the chain asks while the one before it does not read its answer.
	It("are no matter of clients that do not read, so that these hold no processor", func(ctx SpecContext) {
		s := costlyShop()
		soon, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		for path, textBytes := range map[string]int{
			ofrep.SinglePath + "costly": 256, bulk: 256,
			ofrep.SinglePath + "costly?refused": 16 << 10, bulk + "?refused": 16 << 10,
		} {
			var statuses []int
			var ask func(left int)
			ask = func(left int) {
				if left == 0 {
					return
				}
				request := httptest.NewRequestWithContext(soon, http.MethodPost, path, strings.NewReader(
					`{"context":{"targetingKey":"alice","text":"`+strings.Repeat("a", textBytes)+`"}}`,
				))
				request.Header.Set("X-API-Key", s.server)
				request.Header.Set("Content-Type", "application/json")
				writer := &unread{ResponseWriter: httptest.NewRecorder(), meanwhile: func() { ask(left - 1) }}
				world.Server.ServeHTTP(writer, request)
				statuses = append(statuses, writer.status)
			}
			ask(runtime.GOMAXPROCS(0) + 1)
			want := http.StatusOK
			if strings.HasSuffix(path, "refused") {
				want = http.StatusBadRequest
			}
			Expect(statuses).To(HaveEach(want), path)
		}
	})
})

// unread is a client that reads once others are done.
type unread struct {
	http.ResponseWriter
	meanwhile func()
	status    int
}

func (u *unread) WriteHeader(status int) {
	u.status = status
	u.ResponseWriter.WriteHeader(status)
}

func (u *unread) Write(data []byte) (int, error) {
	u.status = max(u.status, http.StatusOK)
	u.meanwhile()
	return u.ResponseWriter.Write(data)
}
