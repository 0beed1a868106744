// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package sdk gives datafiles, and a stream of their revisions, to whoever has an SDK key. The key is the secret: there
// is no other authentication, and what is unknown, not confirmed or revoked is answered alike.
//
// The server around it limits rates, logs, and keeps the last segment of the path out of logs, traces and metrics.
package sdk

import (
	"encoding/json"
	"net/http"

	"k8s.io/utils/clock"

	"github.com/jackstaff-dev/jackstaff/internal/replica/store"
)

// The paths, as patterns of http.ServeMux.
const (
	DatafilePath = "/api/sdk/datafile/{sdkKey}"
	StreamPath   = "/api/sdk/stream/{sdkKey}"
)

// handler serves DatafilePath and StreamPath.
type handler struct {
	store *store.Store
	clock clock.WithTicker
}

// NewHandler returns what serves DatafilePath and StreamPath from the store. The clock paces the heartbeats of streams.
// A stream ends with the context of its request, which has to end when the server stops. What limit refuses pages can
// read. It is not asked about preflights.
func NewHandler(datafiles *store.Store, clock clock.WithTicker, limit func(http.Handler) http.Handler) http.Handler {
	h, mux := &handler{store: datafiles, clock: clock}, http.NewServeMux()
	for path, serve := range map[string]http.HandlerFunc{DatafilePath: h.datafile, StreamPath: h.stream} {
		mux.Handle("GET "+path, h.limited(serve, limit(serve))) // HEAD too.
		mux.HandleFunc("OPTIONS "+path, preflight)
	}
	// Any page may ask: what it needs is a key, and no cookie is looked at.
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.Header().Set("Access-Control-Expose-Headers", "ETag, Retry-After")
		mux.ServeHTTP(w, r)
	})
}

// limited exempts server keys from limits: only clients share theirs with anybody.
func (h *handler) limited(serve http.HandlerFunc, limited http.Handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if _, kind, found := h.store.ByKey(r.PathValue("sdkKey")); found && kind == store.ServerKey {
			serve(w, r)
			return
		}
		limited.ServeHTTP(w, r)
	}
}

// preflight lets pages of other origins send what the answers depend on.
func preflight(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Allow", "GET, HEAD, OPTIONS")
	w.Header().Set("Access-Control-Allow-Methods", "GET, HEAD, OPTIONS")
	w.Header().Set(
		"Access-Control-Allow-Headers",
		"If-None-Match, Last-Event-ID, Cache-Control, traceparent, tracestate, baggage",
	)
	w.Header().Set("Access-Control-Max-Age", "86400")
	w.WriteHeader(http.StatusNoContent)
}

// fail answers with an error.
func fail(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	body, _ := json.Marshal(map[string]string{"error": message}) // A string always has a JSON form.
	_, _ = w.Write(append(body, '\n'))                           // Nobody is left to be told.
}

// unknownKey is the answer to every key that opens nothing.
func unknownKey(w http.ResponseWriter) {
	fail(w, http.StatusNotFound, "no environment has this SDK key")
}
