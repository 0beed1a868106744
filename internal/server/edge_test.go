// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/jackstaff-dev/jackstaff/internal/server"
)

var _ = Describe("The edge", func() {
	edge := func(options server.Options) *server.Server {
		options.SessionKey = bytes.Repeat([]byte("k"), 32)
		if options.Clock == nil {
			options.Clock = clock.RealClock{}
		}
		srv, err := server.New(world.Manager, options)
		Expect(err).NotTo(HaveOccurred())
		return srv
	}

	It("reads what a handler leaves of a body, so that clients of HTTP/2 get their answer", func(ctx SpecContext) {
		srv := edge(server.Options{})
		srv.Handle(
			"/refuse",
			http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }),
		)
		for _, size := range []int{0, 1000, 200 << 10} {
			body := strings.NewReader(strings.Repeat("x", size))
			recorder := httptest.NewRecorder()
			srv.ServeHTTP(recorder, httptest.NewRequestWithContext(ctx, http.MethodPost, "/refuse", body))
			Expect(recorder.Code).To(Equal(http.StatusForbidden))
			Expect(body.Len()).To(BeZero())
		}
		endless := strings.NewReader(strings.Repeat("x", 4<<20))
		srv.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodPost, "/refuse", endless))
		Expect(endless.Len()).To(BeNumerically(">", 3<<20), "nobody makes the server read without end")
	})

	It("tells browsers not to frame pages and not to pass their addresses on", func(ctx SpecContext) {
		srv := edge(server.Options{})
		srv.Handle("/panics", http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("a fault") }))
		for _, path := range []string{"/docs/", "/nothing", "/panics", "//docs", "/api/sdk/datafile/x"} {
			recorder := httptest.NewRecorder()
			srv.ServeHTTP(recorder, httptest.NewRequestWithContext(ctx, http.MethodGet, path, nil))
			Expect(recorder.Header().Get("Content-Security-Policy")).To(ContainSubstring("frame-ancestors 'none'"), path)
			Expect(recorder.Header().Get("X-Frame-Options")).To(Equal("DENY"), path)
			Expect(recorder.Header().Get("Referrer-Policy")).To(Equal("no-referrer"), path)
		}
	})

	It("counts clients behind a trusted proxy by their own addresses, and believes nobody else", func(ctx SpecContext) {
		proxies, err := server.ParseProxies("10.0.0.0/8, 192.0.2.7")
		Expect(err).NotTo(HaveOccurred())
		_, err = server.ParseProxies("proxy.example.com")
		Expect(err).To(MatchError(ContainSubstring("not an IP network")))
		srv := edge(server.Options{
			RequestsPerSecond: 0.1, TrustedProxies: proxies, Clock: clocktesting.NewFakePassiveClock(time.Now()),
		})
		srv.Handle("/limited", srv.LimitAddress(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
		ask := func(peer string, forwarded ...string) int {
			request := httptest.NewRequestWithContext(ctx, http.MethodGet, "/limited", nil)
			request.RemoteAddr = peer
			request.Header["X-Forwarded-For"] = forwarded
			recorder := httptest.NewRecorder()
			srv.ServeHTTP(recorder, request)
			return recorder.Code
		}
		Expect(ask("10.1.1.1:1", "203.0.113.1")).To(Equal(http.StatusOK))
		Expect(ask("10.1.1.2:1", "203.0.113.2, 10.9.9.9")).To(Equal(http.StatusOK))
		Expect(ask("192.0.2.7:1", "203.0.113.9", "203.0.113.1")).To(Equal(http.StatusTooManyRequests))
		Expect(ask("10.1.1.1:1")).To(Equal(http.StatusOK), "a proxy that does not say")
		Expect(ask("198.51.100.1:1", "203.0.113.3")).To(Equal(http.StatusOK))
		Expect(ask("198.51.100.1:2", "203.0.113.4")).To(Equal(http.StatusTooManyRequests), "anybody can write the header")
	})

	It("counts what was packed in a body until the request ends", func(ctx SpecContext) {
		srv := edge(server.Options{})
		values := "[" + strings.Repeat("0,", 100_000) + "0]"
		srv.Handle("/unpack", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			unpack := func() error {
				_, err := io.Copy(io.Discard, server.Unpacked(r.Context(), strings.NewReader(values)))
				return err
			}
			Expect(unpack()).To(Succeed())
			Expect(unpack()).To(Succeed())
			for range 10 {
				if err := unpack(); err != nil {
					Expect(err).To(HaveField("Status", http.StatusServiceUnavailable))
					return
				}
			}
			Fail("a request has memory without end")
		}))
		for range 2 {
			srv.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodPost, "/unpack", nil))
		}
	})
})
