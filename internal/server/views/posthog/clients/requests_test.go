// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
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

// Every way of packing a body counts what was packed, so that a few bytes do not take the memory of many values.
func TestPackedBodiesCount(t *testing.T) {
	few, many := `[{"event":"a"}]`, "["+strings.Repeat("0,", 200_001)+"0]"
	zipped := func(text string) string {
		var to bytes.Buffer
		writer := gzip.NewWriter(&to)
		_, _ = writer.Write([]byte(text))
		_ = writer.Close()
		return to.String()
	}
	deflated := func(text string) string {
		var to bytes.Buffer
		writer := zlib.NewWriter(&to)
		_, _ = writer.Write([]byte(text))
		_ = writer.Close()
		return to.String()
	}
	based := func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
	for name, tc := range map[string]struct {
		pack     func(string) string
		encoding string
		kind     string
	}{
		"gzip that a header names":  {zipped, "gzip", ""},
		"deflate":                   {deflated, "deflate", ""},
		"gzip that nothing names":   {zipped, "", ""},
		"gzip in gzip":              {func(text string) string { return zipped(zipped(text)) }, "gzip", ""},
		"base64":                    {based, "", ""},
		"gzip in base64":            {func(text string) string { return based(zipped(text)) }, "", ""},
		"a form":                    {func(text string) string { return "data=" + url.QueryEscape(text) }, "", formType},
		"a form with gzip in it":    {func(text string) string { return "data=" + url.QueryEscape(based(zipped(text))) }, "", formType},
		"a form of which none says": {func(text string) string { return "data=" + url.QueryEscape(text) }, "", "text/plain"},
	} {
		for text, want := range map[string]int{few: http.StatusOK, many: http.StatusRequestEntityTooLarge} {
			body := strings.NewReader(tc.pack(text))
			request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/capture", body)
			request.Header.Set("Content-Type", tc.kind)
			request.Header.Set("Content-Encoding", tc.encoding)
			recorder := httptest.NewRecorder()
			ForClients(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				if got, err := io.ReadAll(r.Body); err != nil || string(got) != text {
					t.Errorf("%s: unpacked are %d bytes of %d: %v", name, len(got), len(text), err)
				}
			})).ServeHTTP(recorder, request)
			if recorder.Code != want {
				t.Errorf("%s: %d for %d bytes: %s", name, recorder.Code, len(text), recorder.Body)
			}
		}
	}
}

// The fields of a form take memory, too.
func TestFormsHaveFewFields(t *testing.T) {
	form := strings.NewReader(strings.Repeat("a&", maxFields) + "data=[]")
	request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/capture", form)
	request.Header.Set("Content-Type", formType)
	recorder := httptest.NewRecorder()
	ForClients(http.NotFoundHandler()).ServeHTTP(recorder, request)
	if recorder.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("a form of %d fields: %d", maxFields+1, recorder.Code)
	}
}
