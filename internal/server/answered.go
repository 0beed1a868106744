// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"cmp"
	"context"
	"net/http"
	"time"

	"github.com/jackstaff-dev/jackstaff/internal/metrics"
)

// served says what of the server a request is for, as metrics tell it: names that the server has, never what the request
// says.
type served struct {
	// view and prefix are empty where it is of no view, and of no prefix.
	view, prefix string
	isStream     bool
}

// servedOf is what a handler notes of its request, and nil outside of a server.
func servedOf(ctx context.Context) *served {
	if counted, is := ctx.Value(bodyKey{}).(*body); is {
		return counted.served
	}
	return nil
}

// ofView notes that a view serves a request.
func ofView(ctx context.Context, name string) {
	if noted := servedOf(ctx); noted != nil {
		noted.view = name
	}
}

// ofPrefix notes that the handler of a prefix serves a request.
func ofPrefix(ctx context.Context, prefix string) {
	if noted := servedOf(ctx); noted != nil {
		noted.prefix = prefix
	}
}

// ofStream notes that the answer to a request has no end of its own.
func ofStream(ctx context.Context) {
	if noted := servedOf(ctx); noted != nil {
		noted.isStream = true
	}
}

// count counts an answer. Pattern is the one that matched the request, and empty where none did.
func (s *served) count(pattern string, status int, took time.Duration) {
	metrics.Answered(s.view, cmp.Or(s.prefix, pattern), cmp.Or(status, http.StatusOK), took, s.isStream)
}

// Streams counts the streams that are open.
func (s *Server) Streams() int {
	s.streams.mu.Lock()
	defer s.streams.mu.Unlock()
	return s.streams.total
}
