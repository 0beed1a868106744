// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package flagd_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"buf.build/gen/go/open-feature/flagd/connectrpc/go/flagd/sync/v1/syncv1connect"
	syncv1 "buf.build/gen/go/open-feature/flagd/protocolbuffers/go/flagd/sync/v1"
	"connectrpc.com/connect"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/replica/store"
	"github.com/jackstaff-dev/jackstaff/internal/server"
)

// sync opens a stream, which ends with the test.
func (s *served) sync(
	client *http.Client,
	options ...connect.ClientOption,
) *connect.ServerStreamForClient[syncv1.SyncFlagsResponse] {
	s.Helper()
	stream, err := syncv1connect.NewFlagSyncServiceClient(client, s.url, options...).
		SyncFlags(s.Context(), connect.NewRequest(&syncv1.SyncFlagsRequest{}))
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { _ = stream.Close() })
	return stream
}

// fetch asks for the flagd file once.
func (s *served) fetch(selector string, options ...connect.ClientOption) (string, error) {
	s.Helper()
	answer, err := syncv1connect.NewFlagSyncServiceClient(s.http2, s.url, append(options, connect.WithGRPC())...).
		//nolint:staticcheck // Older clients send it.
		FetchAllFlags(s.Context(), connect.NewRequest(&syncv1.FetchAllFlagsRequest{Selector: selector}))
	if err != nil {
		return "", err
	}
	return answer.Msg.GetFlagConfiguration(), nil
}

// Every client sees the file that is served and each revision, whatever it speaks.
func TestSyncFlags(t *testing.T) {
	tests := map[string]struct {
		http1   bool
		options []connect.ClientOption
	}{
		"gRPC":                           {false, []connect.ClientOption{connect.WithGRPC()}},
		"gRPC with JSON":                 {false, []connect.ClientOption{connect.WithGRPC(), connect.WithProtoJSON()}},
		"gRPC-web":                       {false, []connect.ClientOption{connect.WithGRPCWeb()}},
		"Connect":                        {false, nil},
		"Connect with JSON":              {false, []connect.ClientOption{connect.WithProtoJSON()}},
		"gRPC-web over HTTP/1.1":         {true, []connect.ClientOption{connect.WithGRPCWeb()}},
		"Connect with JSON over HTTP/1.": {true, []connect.ClientOption{connect.WithProtoJSON()}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			s := serve(t, server.Options{})
			client := s.http2
			if tc.http1 {
				client = s.http1
			}
			stream := s.sync(client, append(tc.options, withKey("sdk_a"))...)
			for number := range int64(3) {
				document := revision(number+1, plainFlag, 600<<10) // Beyond a frame and a window of HTTP/2.
				s.set(document)
				if !stream.Receive() {
					t.Fatalf("revision %d does not come: %v", number+1, stream.Err())
				}
				if got := stream.Msg().GetFlagConfiguration(); got != string(document.Flagd) {
					t.Fatalf("revision %d is another file of %d bytes", number+1, len(got))
				}
				if context := stream.Msg().GetSyncContext(); context == nil || len(context.GetFields()) > 0 {
					t.Errorf("the context is %v; clients would evaluate with attributes that others do not have", context)
				}
			}
			s.stop()
			if stream.Receive() || connect.CodeOf(stream.Err()) != connect.CodeUnavailable {
				t.Errorf("it ends with %v; clients in JavaScript would not come back", stream.Err())
			}
		})
	}
}

func TestWhoMayFetchFlags(t *testing.T) {
	bearer, apiKey, selected := "Authorization", "X-Api-Key", "Flagd-Selector"
	tests := map[string]struct {
		headers  [][2]string
		selector string
		want     connect.Code // 0 for an answer.
		says     string       // A part of the answer or the error.
	}{
		"a key as Bearer":               {[][2]string{{bearer, "Bearer sdk_a"}}, "", 0, `"revision":1`},
		"a key as x-api-key":            {[][2]string{{apiKey, "sdk_a"}}, "", 0, `"revision":1`},
		"a key as the selector":         {[][2]string{{selected, "sdk_a"}}, "", 0, `"revision":1`},
		"a key as the message's":        {nil, "sdk_a", 0, `"revision":1`},
		"a key as a set":                {nil, "flagSetId=sdk_a", 0, `"revision":1`},
		"a key and its environment":     {[][2]string{{bearer, "Bearer sdk_a"}}, "shop.production", 0, `"revision":1`},
		"a key and its set":             {[][2]string{{apiKey, "sdk_a"}}, "flagSetId=shop.production", 0, `"revision":1`},
		"metadata before the message":   {[][2]string{{selected, "sdk_a"}}, "shop.nothing", 0, `"revision":1`},
		"a client key gets what it may": {[][2]string{{bearer, "Bearer cli_a"}}, "", 0, `{"flags":{"a":`},
		"a key and another environment": {
			[][2]string{{bearer, "Bearer sdk_a"}},
			"other.production",
			connect.CodePermissionDenied,
			"does not open",
		},
		"a key and another name": {
			[][2]string{{bearer, "Bearer sdk_a"}},
			"shop.staging",
			connect.CodePermissionDenied,
			"does not open",
		},
		"a key and another key": {
			[][2]string{{bearer, "Bearer sdk_a"}},
			"sdk_b",
			connect.CodePermissionDenied,
			"does not open",
		},
		"an unknown key": {
			[][2]string{{bearer, "Bearer sdk_x"}},
			"",
			connect.CodeUnauthenticated,
			"not valid",
		},
		"an unknown key as the selector": {nil, "cli_x", connect.CodeUnauthenticated, "not valid"},
		"nothing":                        {nil, "", connect.CodeUnauthenticated, "is needed"},
		"an environment without a key":   {nil, "shop.production", connect.CodeUnauthenticated, "is needed"},
		"a selector that is none": {
			[][2]string{{bearer, "Bearer sdk_a"}},
			"shop",
			connect.CodeInvalidArgument,
			"<namespace>.<environment>",
		},
		"a selector of flagd's own": {
			[][2]string{{bearer, "Bearer sdk_a"}},
			"source=x",
			connect.CodeInvalidArgument,
			"<namespace>.<environment>",
		},
		"a token while nobody knows it": {
			[][2]string{{bearer, "Bearer ey.x.y"}},
			"shop.production",
			connect.CodeUnavailable,
			"API server",
		},
	}
	s := serve(t, server.Options{})
	s.set(revision(1, plainFlag+","+serverFlag, 0))
	other := environmentOf("other", "b")
	if err := s.store.Set(other, nil); err != nil {
		t.Fatal(err)
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			var options []connect.ClientOption
			for _, header := range tc.headers {
				options = append(options, withHeader(header[0], header[1]))
			}
			file, err := s.fetch(tc.selector, options...)
			if tc.want == 0 && (err != nil || !strings.Contains(file, tc.says)) {
				t.Errorf("it gets %q and %v", file, err)
			}
			if tc.want != 0 && (err == nil || connect.CodeOf(err) != tc.want || !strings.Contains(err.Error(), tc.says)) {
				t.Errorf("error %v, want %v: …%s…", err, tc.want, tc.says)
			}
			if strings.Contains(file, "secret") {
				t.Errorf("a client key reads what is for servers: %s", file)
			}
		})
	}
	if file, err := s.fetch("cli_a"); err != nil || strings.Contains(file, "secret") {
		t.Errorf("a client key gets %q, %v", file, err)
	}
	s.set(revision(2, overrideFlag, 0))
	if _, err := s.fetch("cli_a"); connect.CodeOf(err) != connect.CodePermissionDenied {
		t.Errorf("a client key reads who is in an override: %v", err)
	}
}

// The provider for JavaScript can set nothing else for all its requests.
func TestKeyAsTheAuthority(t *testing.T) {
	s := serve(t, server.Options{})
	s.set(revision(1, plainFlag, 0))
	for authority, want := range map[string]int{
		"sdk_a": http.StatusOK, "sdk_x": http.StatusUnauthorized, "flags.example.com": http.StatusUnauthorized,
	} {
		request := httptest.NewRequestWithContext(
			t.Context(), http.MethodPost, syncv1connect.FlagSyncServiceFetchAllFlagsProcedure, strings.NewReader("{}"),
		)
		request.Host = authority
		request.Header.Set("Content-Type", "application/json")
		recorder := httptest.NewRecorder()
		s.ServeHTTP(recorder, request)
		if recorder.Code != want {
			t.Errorf("%s: status %d, want %d: %s", authority, recorder.Code, want, recorder.Body)
		}
	}
}

// A file that no ConfigMap can hold is served all the same, and made once.
func TestWholeFileIsServedWhereNoneIsPublished(t *testing.T) {
	s := serve(t, server.Options{})
	if _, err := s.fetch("sdk_a"); connect.CodeOf(err) != connect.CodeUnavailable {
		t.Errorf("before anything is published: %v", err)
	}
	document := revision(1, plainFlag+","+serverFlag, 0)
	document.Flagd = nil
	s.set(document)
	file, err := s.fetch("sdk_a")
	if err != nil || !strings.Contains(file, `"secret":{"defaultVariant":"on"`) || !strings.Contains(file, `"a":{`) {
		t.Fatalf("it is not the whole file: %q, %v", file, err)
	}
	stale := revision(2, plainFlag+","+serverFlag, 0)
	stale.Flagd = revision(1, "", 0).Flagd
	s.set(stale)
	if file, err = s.fetch("sdk_a"); err != nil || !strings.Contains(file, `"revision":2`) {
		t.Fatalf("where the ConfigMap has the file of an older revision: %q, %v", file, err)
	}
	held, _ := s.store.Environment("shop", "production")
	_, first, _ := held.FlagdFile(store.ServerKey)
	if _, again, _ := held.FlagdFile(store.ServerKey); &first[0] != &again[0] {
		t.Error("the file is made for every request")
	}
}

func TestRevokedKeyEndsItsStream(t *testing.T) {
	s := serve(t, server.Options{})
	s.set(revision(1, plainFlag, 0))
	stream := s.sync(s.http2, connect.WithGRPC(), withKey("sdk_a"))
	if !stream.Receive() {
		t.Fatal(stream.Err())
	}
	s.environment.Status.SDKKeys = []v1alpha1.SDKKey{}
	s.set(nil)
	if stream.Receive() || connect.CodeOf(stream.Err()) != connect.CodeUnauthenticated {
		t.Errorf("it ends with %v", stream.Err())
	}
}

// A client that does not read while many revisions are published gets what was under way, and then the newest.
func TestSlowReaderGetsTheNewest(t *testing.T) {
	s := serve(t, server.Options{})
	const size, newest = 5 << 20, 5 // More than HTTP/2 and the sockets hold.
	s.set(revision(1, plainFlag, size))
	stream := s.sync(s.http2, connect.WithGRPC(), withKey("sdk_a"))
	for number := int64(2); number <= newest; number++ {
		s.set(revision(number, plainFlag, size))
	}
	received := 0
	for last := `"revision":` + strconv.Itoa(newest) + "}"; ; {
		if !stream.Receive() {
			t.Fatal(stream.Err())
		}
		received++
		if strings.Contains(stream.Msg().GetFlagConfiguration(), last) {
			break
		}
	}
	if received > 3 {
		t.Errorf("it gets %d files, those that nobody needs any more among them", received)
	}
}

// hung is a client that reads nothing of its answer.
type hung struct {
	*httptest.ResponseRecorder
	wrote chan struct{}
	once  sync.Once
}

func (h *hung) Write(data []byte) (int, error) {
	h.once.Do(func() { close(h.wrote) })
	return h.ResponseRecorder.Write(data)
}

func (h *hung) WriteHeader(status int) {
	h.ResponseRecorder.WriteHeader(status)
	h.once.Do(func() { close(h.wrote) })
}

// timed is a client that reads, and notes until when writes to it may take.
type timed struct {
	*httptest.ResponseRecorder
	deadline atomic.Pointer[time.Time]
	flushed  chan struct{}
}

func (c *timed) SetWriteDeadline(until time.Time) error {
	c.deadline.Store(&until)
	if until.IsZero() {
		select {
		case c.flushed <- struct{}{}:
		default:
		}
	}
	return nil
}

// A deadline that stays ends a stream of HTTP/2 although nobody writes: after ten seconds, each time.
func TestStreamsHaveNoDeadlineWhileTheyWait(t *testing.T) {
	documents := map[string]*store.Document{"published": revision(1, plainFlag, 0), "nothing published": nil}
	for name, document := range documents {
		for _, contentType := range []string{"application/grpc-web", "application/connect+json"} {
			t.Run(name+" "+contentType, func(t *testing.T) {
				s := serve(t, server.Options{})
				s.set(document)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				message := []byte{0, 0, 0, 0, 0}
				if strings.HasSuffix(contentType, "json") {
					message = []byte{0, 0, 0, 0, 2, '{', '}'}
				}
				request := httptest.NewRequestWithContext(
					ctx, http.MethodPost, syncv1connect.FlagSyncServiceSyncFlagsProcedure, bytes.NewReader(message),
				)
				request.Header.Set("Content-Type", contentType)
				request.Header.Set("X-Api-Key", "sdk_a")
				client := &timed{ResponseRecorder: httptest.NewRecorder(), flushed: make(chan struct{}, 10)}
				var open sync.WaitGroup
				open.Go(func() { s.ServeHTTP(client, request) })
				writes := 2 // That of the server, which streams do not have, and that of the headers.
				if document != nil {
					writes++
				}
				for range writes {
					select {
					case <-client.flushed:
					case <-time.After(time.Minute):
						t.Fatal("a deadline stays after a write")
					}
				}
				if until := client.deadline.Load(); !until.IsZero() {
					t.Errorf("it ends at %v", until)
				}
				cancel()
				open.Wait()
			})
		}
	}
}

func TestStreamsOfAnAddressAreBounded(t *testing.T) {
	s := serve(t, server.Options{})
	s.set(revision(1, plainFlag, 0))
	soon, cancel := context.WithCancel(t.Context())
	var open sync.WaitGroup
	defer open.Wait()
	defer cancel()
	stream := func() *hung {
		request := httptest.NewRequestWithContext(
			soon, http.MethodPost, syncv1connect.FlagSyncServiceSyncFlagsProcedure, bytes.NewReader(make([]byte, 5)),
		)
		request.RemoteAddr = "198.51.100.77:1"
		request.Header.Set("Content-Type", "application/grpc-web")
		request.Header.Set("X-Api-Key", "sdk_a")
		client := &hung{ResponseRecorder: httptest.NewRecorder(), wrote: make(chan struct{})}
		open.Go(func() { s.ServeHTTP(client, request) })
		<-client.wrote
		return client
	}
	for range 500 {
		stream()
	}
	if s.Streams() != 500 {
		t.Fatalf("%d streams count", s.Streams())
	}
	cancelled, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	request := httptest.NewRequestWithContext(
		cancelled, http.MethodPost, syncv1connect.FlagSyncServiceSyncFlagsProcedure, bytes.NewReader(make([]byte, 5)),
	)
	request.RemoteAddr = "198.51.100.77:1"
	request.Header.Set("Content-Type", "application/grpc-web")
	request.Header.Set("X-Api-Key", "sdk_a")
	refused := httptest.NewRecorder()
	s.ServeHTTP(refused, request)
	if got := refused.Header().Get("Grpc-Status"); got != "8" || refused.Header().Get("Retry-After") == "" {
		t.Errorf("the next one gets %q, %v", got, refused.Header())
	}
}

// Whatever a client sends gets a code, and no memory for what it announces.
func TestMalformedMessages(t *testing.T) {
	envelope := func(marks byte, size uint32, data string) string {
		return string(binary.BigEndian.AppendUint32([]byte{marks}, size)) + data
	}
	nested := strings.Repeat(`{"x":`, 5000) + "1" + strings.Repeat("}", 5000)
	tests := map[string]struct {
		contentType, encoding, body string
		wantStatus                  int
		wantCode                    string // In the trailers of gRPC-web, which are headers, or in JSON.
	}{
		"a message of 100 MiB": {
			"application/grpc-web",
			"",
			envelope(0, 100<<20, strings.Repeat("x", 2<<20)),
			200,
			"8",
		},
		"an announced one":          {"application/grpc-web", "", envelope(0, 100<<20, ""), 200, "8"},
		"half a message":            {"application/grpc-web", "", envelope(0, 10, "abc"), 200, "3"},
		"half a prefix":             {"application/grpc-web", "", "\x00\x00", 200, "3"},
		"no message":                {"application/grpc-web", "", "", 200, "12"},
		"bytes that are no message": {"application/grpc-web", "", envelope(0, 3, "\xff\xff\xff"), 200, "3"},
		"a packed message":          {"application/grpc-web", "gzip", envelope(1, 3, "abc"), 200, "12"},
		"JSON that is none":         {"application/json", "", `{"selector":`, 400, "invalid_argument"},
		"JSON of another type":      {"application/json", "", `{"selector":1}`, 400, "invalid_argument"},
		"deep JSON":                 {"application/json", "", `{"x":` + nested + "}", 400, "invalid_argument"},
		"JSON of 2 MiB": {
			"application/json",
			"",
			`{"selector":"` + strings.Repeat("x", 2<<20) + `"}`,
			429,
			"resource_exhausted",
		},
		"JSON with too many values": {
			"application/json",
			"",
			`{"x":[` + strings.Repeat("1,", 300_000) + "1]}",
			429,
			"resource_exhausted",
		},
		"a protocol that it is not": {"text/plain", "", "hello", 415, ""},
		"what the protocol grows by": {
			"application/json",
			"",
			`{"selector":"sdk_a","new":{"a":1}}`,
			200,
			"flagConfiguration",
		},
		"a field that nobody knows":   {"application/grpc-web", "", envelope(0, 9, "\x12\x05sdk_a\x78\x01"), 200, ""},
		"a header with a line in it":  {"application/grpc-web+proto\t", "", envelope(0, 0, ""), 200, "16"},
		"the text form of gRPC-web":   {"application/grpc-web-text", "", "AAAAAAA=", 415, ""},
		"an empty JSON body is no {}": {"application/json", "", "", 400, "invalid_argument"},
	}
	s := serve(t, server.Options{})
	s.set(revision(1, plainFlag, 0))
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			request, err := http.NewRequestWithContext(
				t.Context(), http.MethodPost, s.url+syncv1connect.FlagSyncServiceFetchAllFlagsProcedure, strings.NewReader(tc.body),
			)
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Content-Type", tc.contentType)
			if tc.encoding != "" {
				request.Header.Set("Grpc-Encoding", tc.encoding)
			}
			answer, err := s.http2.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			body, err := io.ReadAll(answer.Body)
			if err != nil {
				t.Fatal(err)
			}
			code := answer.Header.Get("Grpc-Status")
			if answer.StatusCode != tc.wantStatus || code != tc.wantCode && !strings.Contains(string(body), tc.wantCode) {
				t.Errorf("status %d, code %q, %s %s", answer.StatusCode, code, answer.Header.Get("Grpc-Message"), body)
			}
		})
	}
}

// A page of any origin may ask with its key.
func TestPreflight(t *testing.T) {
	s := serve(t, server.Options{})
	recorder := httptest.NewRecorder()
	s.ServeHTTP(recorder, httptest.NewRequestWithContext(
		t.Context(), http.MethodOptions, syncv1connect.FlagSyncServiceSyncFlagsProcedure, http.NoBody,
	))
	if recorder.Code != http.StatusNoContent || recorder.Header().Get("Access-Control-Allow-Origin") != "*" ||
		!strings.Contains(recorder.Header().Get("Access-Control-Allow-Headers"), "Flagd-Selector") {
		t.Errorf("status %d, headers %v", recorder.Code, recorder.Header())
	}
}

// Whoever tries keys is stopped, in the words of gRPC.
func TestGuessersAreLimited(t *testing.T) {
	s := serve(t, server.Options{RequestsPerSecond: 1})
	s.set(revision(1, plainFlag, 0))
	var err error
	for range 3 {
		_, err = s.fetch("sdk_x")
	}
	refused := (*connect.Error)(nil)
	if connect.CodeOf(err) != connect.CodeResourceExhausted || !errors.As(err, &refused) ||
		refused.Meta().Get("Retry-After") == "" {
		t.Errorf("the third guess gets %v", err)
	}
	if _, err := s.fetch("sdk_a"); err != nil {
		t.Errorf("a server key shares the bucket of those who guess: %v", err)
	}
}
