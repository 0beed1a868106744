// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/iotest"
	"time"

	"github.com/jackstaff-dev/jackstaff/internal/server"
)

// A client that is told 400 throws its events away. Where the server has no memory now, it is told when to try again.
func TestRefusedBodies(t *testing.T) {
	busy := &server.Error{Status: http.StatusServiceUnavailable, Message: "busy", RetryAfter: time.Second}
	for name, tc := range map[string]struct {
		err        error
		status     int
		retryAfter string
	}{
		"no memory now":   {busy, http.StatusServiceUnavailable, "1"},
		"wrapped":         {fmt.Errorf("read: %w", busy), http.StatusServiceUnavailable, "1"},
		"too many values": {server.Errorf(http.StatusRequestEntityTooLarge, "many"), http.StatusRequestEntityTooLarge, ""},
		"too large":       {&http.MaxBytesError{Limit: MaxBody}, http.StatusRequestEntityTooLarge, ""},
		"broken off":      {io.ErrUnexpectedEOF, http.StatusBadRequest, ""},
		"another error":   {errors.New("reset"), http.StatusBadRequest, ""},
	} {
		request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/capture", iotest.ErrReader(tc.err))
		recorder := httptest.NewRecorder()
		ForClients(http.NotFoundHandler()).ServeHTTP(recorder, request)
		if recorder.Code != tc.status || recorder.Header().Get("Retry-After") != tc.retryAfter {
			t.Errorf("%s: %d, Retry-After %q: %s", name, recorder.Code, recorder.Header().Get("Retry-After"), recorder.Body)
		}
	}
}
