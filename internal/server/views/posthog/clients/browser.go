// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"strings"

	"github.com/jackstaff-dev/jackstaff/internal/server"
	"github.com/jackstaff-dev/jackstaff/internal/server/views/posthog/lookup"
)

// clientPaths are those that PostHog's clients ask for, also in browsers: pages of any origin may. What they need is a
// key, and no cookie is looked at where a browser sends one for another origin.
var clientPaths = []string{"/flags", "/decide", "/array", "/batch", "/capture", "/track", "/engage", "/e", "/i", "/s"}

// allowedHeaders are those that pages may send: those of PostHog's clients, and those that tracing adds to every
// request.
var allowedHeaders = strings.Join([]string{
	"Content-Type", "Content-Encoding", "Authorization", "X-Requested-With", "If-None-Match",
	"traceparent", "tracestate", "baggage", "sentry-trace", "X-PostHog-Session-Id", "X-PostHog-Window-Id",
	"X-PostHog-Distinct-Id", server.RequestIDHeader, server.ProjectHeader, server.EnvironmentHeader,
}, ", ")

// ForClients lets pages of any origin ask, and unpacks bodies.
func ForClients(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isForClients(r.URL.Path) {
			next.ServeHTTP(w, r)
			return
		}
		header := w.Header()
		header.Set("Access-Control-Allow-Origin", "*")
		header.Set("Access-Control-Expose-Headers", "ETag, Retry-After, "+server.RequestIDHeader)
		switch r.Method {
		case http.MethodOptions:
			header.Set("Access-Control-Allow-Methods", "GET, POST, OPTIONS")
			header.Set("Access-Control-Allow-Headers", allowedHeaders)
			header.Set("Access-Control-Max-Age", "86400")
		case http.MethodPost:
			unpacked, err := unpacked(r)
			if err != nil {
				refuse(w, err)
				return
			}
			if path := strings.TrimSuffix(r.URL.Path, "/"); path == "/flags" || path == "/decide" {
				dropNulls(unpacked)
			}
			r = unpacked
		}
		next.ServeHTTP(w, r)
	})
}

func isForClients(path string) bool {
	for _, of := range clientPaths {
		if rest, is := strings.CutPrefix(path, of); is && (rest == "" || rest[0] == '/') {
			return true
		}
	}
	return false
}

// dropNulls drops the nulls of a request's body, which is in memory.
func dropNulls(r *http.Request) {
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return // The view says what is wrong with the body.
	}
	data = withoutNulls(data)
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(data)), int64(len(data))
}

// refuse writes an error that no operation has answered.
func refuse(w http.ResponseWriter, err error) {
	refused, is := lookup.AsRefusal(err)
	if !is {
		refused = server.Errorf(http.StatusBadRequest, "the body cannot be read")
	}
	maps.Copy(w.Header(), refused.GetHeaders())
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(refused.Status)
	_ = json.NewEncoder(w).Encode(lookup.NewFailure(refused)) // The caller has gone where this fails.
}
