// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package sdk

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/internal/replica/store"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// served is a server whose store holds production of shop.
type served struct {
	*testing.T
	*httptest.Server
	store       *store.Store
	environment *v1alpha1.FlagEnvironment
	// stop ends the contexts of all requests.
	stop context.CancelFunc
	// requests is how many requests are being answered.
	requests atomic.Int64
}

// serve starts a server with the keys sdk_a and cli_a.
func serve(t *testing.T, clock clock.WithTicker) *served {
	t.Helper()
	s := &served{
		T:           t,
		store:       store.NewStore(),
		environment: builders.MakeEnvironment("production", "shop").Defaulted().Obj(),
	}
	s.environment.UID = "1"
	s.environment.Status.SDKKeys = []v1alpha1.SDKKey{
		{ServerHash: hashOf("sdk_a"), ClientHash: hashOf("cli_a"), Confirmed: true},
	}
	s.set(nil)
	handler := NewHandler(s.store, clock, func(next http.Handler) http.Handler { return next })
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.requests.Add(1)
		defer s.requests.Add(-1)
		handler.ServeHTTP(w, r)
	}))
	// Timeouts for requests that end must not end streams.
	s.Config.ReadTimeout, s.Config.WriteTimeout = 500*time.Millisecond, 500*time.Millisecond
	ctx, stop := context.WithCancel(context.Background())
	s.stop, s.Config.BaseContext = stop, func(net.Listener) context.Context { return ctx }
	s.Start()
	t.Cleanup(func() {
		stop()
		s.Close()
	})
	return s
}

func TestPagesCanReadThatTheyAreLimited(t *testing.T) {
	limit := func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) })
	}
	handler := NewHandler(store.NewStore(), clock.RealClock{}, limit)
	for method, want := range map[string]int{http.MethodGet: http.StatusTooManyRequests, http.MethodOptions: http.StatusNoContent} {
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(
			recorder,
			httptest.NewRequestWithContext(t.Context(), method, "/api/sdk/datafile/cli_a", http.NoBody),
		)
		if recorder.Code != want || recorder.Header().Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s: status %d, headers %v; want %d for any origin", method, recorder.Code, recorder.Header(), want)
		}
		if method != http.MethodOptions {
			continue
		}
		// A page that traces its requests sends these along, and could not ask at all.
		for _, name := range []string{"traceparent", "tracestate", "baggage", "If-None-Match", "Last-Event-ID"} {
			if !strings.Contains(recorder.Header().Get("Access-Control-Allow-Headers"), name) {
				t.Errorf("a page may not send %s", name)
			}
		}
	}
}

func hashOf(key string) string {
	sum := sha256.Sum256([]byte(key))
	return "sha256:" + hex.EncodeToString(sum[:])
}

func (s *served) set(document *store.Document) {
	s.Helper()
	if err := s.store.Set(s.environment, document); err != nil {
		s.Fatal(err)
	}
}

// revision is a document that differs from that of every other revision.
func revision(number int64, flags string) *store.Document {
	return &store.Document{
		Digest: fmt.Sprintf("sha256:%064d", number),
		Native: fmt.Appendf(
			nil,
			`{"audiences":{},"environment":"production","events":{},"flags":{%s},"project":"shop","revision":%d,"schemaVersion":"1.0"}`,
			flags,
			number,
		),
		Flagd: fmt.Appendf(
			nil,
			`{"flags":{},"metadata":{"environment":"production","project":"shop","revision":%d}}`,
			number,
		),
	}
}

const (
	plainFlag    = `"a":{"defaultVariation":"on","enabled":true,"type":"Boolean","variations":[{"key":"on","value":true}]}`
	overrideFlag = `"a":{"defaultVariation":"on","enabled":true,"overrides":{"alice":"on"},"type":"Boolean","variations":[{"key":"on","value":true}]}`
)

// ask sends a request with "Name: value" headers and returns the answer and its body as it was sent.
func (s *served) ask(method, path string, headers ...string) (*http.Response, string) {
	s.Helper()
	request, err := http.NewRequestWithContext(s.Context(), method, s.URL+path, nil)
	if err != nil {
		s.Fatal(err)
	}
	request.Header.Set("Accept-Encoding", "identity") // Else the client decompresses.
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		request.Header.Set(name, value)
	}
	response, err := s.Client().Do(request)
	if err != nil {
		s.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		s.Fatal(err)
	}
	return response, string(body)
}

func TestDatafile(t *testing.T) {
	tests := map[string]struct {
		method   string
		path     string
		document *store.Document
		want     int
		wantBody string // A part of it.
	}{
		"native by default": {
			http.MethodGet,
			"datafile/sdk_a",
			revision(1, plainFlag),
			200,
			`"revision":1,"schemaVersion"`,
		},
		"native": {
			http.MethodGet,
			"datafile/sdk_a?format=native",
			revision(1, plainFlag),
			200,
			`"schemaVersion"`,
		},
		"flagd": {
			http.MethodGet,
			"datafile/sdk_a?format=flagd",
			revision(1, plainFlag),
			200,
			`{"flags":{},"metadata"`,
		},
		"for a client":   {http.MethodGet, "datafile/cli_a", revision(1, plainFlag), 200, `"a":{`},
		"without a body": {http.MethodHead, "datafile/sdk_a", revision(1, plainFlag), 200, ""},
		"an unknown format": {
			http.MethodGet,
			"datafile/sdk_a?format=yaml",
			revision(1, plainFlag),
			400,
			`{"error":"format \"yaml\" is not native or flagd"}`,
		},
		"no flagd file": {
			http.MethodGet,
			"datafile/sdk_a?format=flagd",
			&store.Document{Native: revision(1, plainFlag).Native},
			404,
			`{"error":"the environment publishes no flagd file;`,
		},
		"a flagd file that does not fit": {
			http.MethodGet,
			"datafile/sdk_a?format=flagd",
			&store.Document{Native: revision(1, plainFlag).Native},
			200,
			`{"flags":{"a":{`,
		},
		"a flagd file of an older revision": {
			http.MethodGet,
			"datafile/sdk_a?format=flagd",
			&store.Document{Native: revision(2, plainFlag).Native, Flagd: revision(1, plainFlag).Flagd},
			200,
			`"revision":2,`,
		},
		"nothing published": {http.MethodGet, "datafile/sdk_a", nil, 404, `{"error":"nothing is published yet"}`},
		"members for a client": {
			http.MethodGet,
			"datafile/cli_a",
			revision(1, overrideFlag),
			403,
			`{"error":"the datafile names members of audiences or overrides`,
		},
		"members for a server": {http.MethodGet, "datafile/sdk_a", revision(1, overrideFlag), 200, "alice"},
		"an unknown key": {
			http.MethodGet,
			"datafile/sdk_b",
			revision(1, plainFlag),
			404,
			`{"error":"no environment has this SDK key"}`,
		},
		"an unknown key, streams": {
			http.MethodGet,
			"stream/cli_b",
			revision(1, plainFlag),
			404,
			`{"error":"no environment has this SDK key"}`,
		},
		"a write":            {http.MethodPost, "datafile/sdk_a", revision(1, plainFlag), 405, ""},
		"before a page asks": {http.MethodOptions, "datafile/sdk_a", revision(1, plainFlag), 204, ""},
		"a stream's header":  {http.MethodHead, "stream/sdk_a", revision(1, plainFlag), 200, ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			s := serve(t, clock.RealClock{})
			if name == "no flagd file" {
				s.environment.Spec.Datafile.Formats = []v1alpha1.DatafileFormat{v1alpha1.DatafileFormatNative}
			}
			s.set(tc.document)
			response, body := s.ask(tc.method, "/api/sdk/"+tc.path)
			if response.StatusCode != tc.want || !strings.Contains(body, tc.wantBody) {
				t.Errorf("got %d %s, want %d %s", response.StatusCode, body, tc.want, tc.wantBody)
			}
			if got := response.Header.Get("Access-Control-Allow-Origin"); got != "*" {
				t.Errorf("pages of other origins cannot read the answer: %q", got)
			}
			want := "no-store"
			if tc.want == 200 && strings.HasPrefix(tc.path, "datafile") {
				want = "private, no-cache"
			}
			if got := response.Header.Get("Cache-Control"); got != want && tc.want != 204 && tc.want != 405 {
				t.Errorf("Cache-Control %q, want %q", got, want)
			}
		})
	}
}

func TestDatafileIsNotSentTwice(t *testing.T) {
	s := serve(t, clock.RealClock{})
	s.set(revision(1, plainFlag))
	first, body := s.ask(http.MethodGet, "/api/sdk/datafile/sdk_a")
	tag := first.Header.Get("ETag")
	if !strings.HasPrefix(tag, `W/"`) {
		t.Errorf("ETag %s is strong, though replicas may compress differently", tag)
	}
	for _, header := range []string{"If-None-Match: " + tag, "If-None-Match: \"x\", " + tag} {
		again, nothing := s.ask(http.MethodGet, "/api/sdk/datafile/sdk_a", header)
		if again.StatusCode != http.StatusNotModified || nothing != "" || again.Header.Get("ETag") != tag ||
			again.Header.Get("Vary") == "" {
			t.Errorf("%s: got %d %q %v", header, again.StatusCode, nothing, again.Header)
		}
	}
	head, _ := s.ask(http.MethodHead, "/api/sdk/datafile/sdk_a")
	if head.ContentLength != int64(len(body)) || head.Header.Get("ETag") != tag {
		t.Errorf("HEAD says %d bytes of %s, GET has %d of %s", head.ContentLength, head.Header.Get("ETag"), len(body), tag)
	}
	s.set(revision(2, plainFlag))
	if next, _ := s.ask(
		http.MethodGet,
		"/api/sdk/datafile/sdk_a",
		"If-None-Match: "+tag,
	); next.StatusCode != http.StatusOK ||
		next.Header.Get("ETag") == tag {
		t.Errorf("the next revision: got %d %s", next.StatusCode, next.Header.Get("ETag"))
	}
}

func TestDatafileIsCompressed(t *testing.T) {
	s := serve(t, clock.RealClock{})
	document := revision(1, plainFlag)
	s.set(document)
	decode := map[string]func(string) string{
		"": func(body string) string { return body },
		"gzip": func(body string) string {
			data, err := datafile.Decompress([]byte(body))
			if err != nil {
				t.Fatal(err)
			}
			return string(data)
		},
		"zstd": func(body string) string {
			reader, err := zstd.NewReader(strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			defer reader.Close()
			data, err := io.ReadAll(reader)
			if err != nil {
				t.Fatal(err)
			}
			return string(data)
		},
	}
	for accept, want := range map[string]string{
		"gzip": "gzip", "zstd": "zstd", "gzip, deflate, br, zstd": "zstd", "gzip;q=1, zstd;q=0.5": "gzip", "GZIP ; Q=0.2": "gzip", "*": "zstd",
		"identity": "", "br": "", "gzip;q=0": "", "*, zstd;q=0": "gzip", "identity;q=1, gzip;q=0.5": "", "identity;q=0": "", "zstd;q=x": "",
	} {
		response, body := s.ask(http.MethodGet, "/api/sdk/datafile/sdk_a", "Accept-Encoding: "+accept)
		if got := response.Header.Get("Content-Encoding"); got != want {
			t.Errorf("Accept-Encoding %q: got %q, want %q", accept, got, want)
			continue
		}
		if response.ContentLength != int64(len(body)) || response.Header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("Accept-Encoding %q: %v", accept, response.Header)
		}
		if diff := cmp.Diff(string(document.Native), decode[want](body)); diff != "" {
			t.Errorf("Accept-Encoding %q (-want +got):\n%s", accept, diff)
		}
	}
}

// stream is an open stream.
type stream struct {
	*served
	body   *bufio.Reader
	cancel context.CancelFunc
}

func (s *served) open(headers ...string) *stream {
	s.Helper()
	return s.openWith("sdk_a", headers...)
}

func (s *served) openWith(key string, headers ...string) *stream {
	s.Helper()
	ctx, cancel := context.WithCancel(s.Context())
	s.Cleanup(cancel)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/api/sdk/stream/"+key, nil)
	if err != nil {
		s.Fatal(err)
	}
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		request.Header.Set(name, value)
	}
	response, err := s.Client().Do(request)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { _ = response.Body.Close() })
	if response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != "text/event-stream" {
		s.Fatalf("got %d %v", response.StatusCode, response.Header)
	}
	opened := &stream{served: s, body: bufio.NewReader(response.Body), cancel: cancel}
	opened.expect(": hello")
	return opened
}

// expect reads up to the next empty line.
func (s *stream) expect(want ...string) {
	s.Helper()
	var got []string
	for {
		line, err := s.body.ReadString('\n')
		if err != nil {
			s.Fatalf("the stream ended: %v", err)
		}
		if line == "\n" {
			break
		}
		got = append(got, strings.TrimSuffix(line, "\n"))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		s.Errorf("the stream says (-want +got):\n%s", diff)
	}
}

func (s *stream) expectRevision(number int64) {
	s.Helper()
	s.expect(
		fmt.Sprintf("id: %d-%064d", number, number),
		fmt.Sprintf(`data: {"revision":%d,"digest":"sha256:%064d"}`, number, number),
	)
}

func (s *stream) expectEnd() {
	s.Helper()
	if rest, err := io.ReadAll(s.body); err != nil || len(rest) > 0 {
		s.Errorf("the stream goes on or breaks: %v %s", err, rest)
	}
}

func TestStream(t *testing.T) {
	s := serve(t, clock.RealClock{})
	early := s.open()
	s.set(revision(1, plainFlag))
	early.expectRevision(1)
	s.set(revision(2, plainFlag))
	early.expectRevision(2)
	s.set(revision(2, plainFlag)) // Nothing new is not told.
	s.set(revision(1, plainFlag)) // A rollback is.
	early.expectRevision(1)

	s.open().expectRevision(1)
	s.open(fmt.Sprintf("Last-Event-ID: 2-%064d", 2)).expectRevision(1)
	s.open("Last-Event-ID: none").expectRevision(1)
	// After etcd was restored a number may come twice: alone it tells nothing, and with another digest neither.
	s.open("Last-Event-ID: 1").expectRevision(1)
	s.open(fmt.Sprintf("Last-Event-ID: 1-%064d", 7)).expectRevision(1)
	known := s.open(fmt.Sprintf("Last-Event-ID: 1-%064d", 1))
	s.set(revision(3, plainFlag))
	known.expectRevision(3)
}

// Whoever has a page's key learns nothing of flags that are for servers, not even that they change.
func TestClientKeysAreToldOfWhatTheySee(t *testing.T) {
	const serverFlag = `,"b":{"defaultVariation":"on","enabled":true,"runtime":"Server","type":"Boolean","variations":[{"key":"on","value":true}]}`
	s := serve(t, clock.RealClock{})
	s.set(revision(1, plainFlag))
	page, program := s.openWith("cli_a"), s.open()
	program.expectRevision(1)
	first := page.event()
	before, _ := s.ask(http.MethodGet, "/api/sdk/datafile/cli_a")

	s.set(revision(2, plainFlag+serverFlag))
	program.expectRevision(2)
	after, _ := s.ask(http.MethodGet, "/api/sdk/datafile/cli_a")
	if got, want := after.Header.Get("ETag"), before.Header.Get("ETag"); got != want || got == "" {
		t.Errorf("a revision that changes nothing for pages changes their ETag from %s to %s", want, got)
	}
	// Who comes again knows it still, and the next event is of the next change that it sees.
	id, _, _ := strings.Cut(strings.TrimPrefix(first, "id: "), "\n")
	again := s.openWith("cli_a", "Last-Event-ID: "+id)
	s.set(revision(3, strings.ReplaceAll(plainFlag, "true", "false")))
	for name, stream := range map[string]*stream{"the stream": page, "who came again": again} {
		if event := stream.event(); !strings.Contains(event, `"revision":3`) {
			t.Errorf("%s is told of what it may not see: %s", name, event)
		}
	}
}

// event is the next event as it is.
func (s *stream) event() string {
	s.Helper()
	var text strings.Builder
	for {
		line, err := s.body.ReadString('\n')
		if err != nil {
			s.Fatal(err)
		}
		if line == "\n" {
			return text.String()
		}
		text.WriteString(line)
	}
}

func TestStreamEnds(t *testing.T) {
	tests := map[string]func(s *served){
		"when the key is revoked": func(s *served) {
			s.environment.Status.SDKKeys = nil
			s.set(nil)
		},
		"when the environment goes": func(s *served) { s.store.Remove(types.NamespacedName{Namespace: "shop", Name: "production"}) },
		"when the environment is another": func(s *served) {
			s.environment.UID = "2"
			s.set(revision(2, plainFlag))
		},
		"when the server shuts down": func(s *served) {
			s.Config.RegisterOnShutdown(s.stop)
			if err := s.Config.Shutdown(s.Context()); err != nil {
				s.Errorf("streams keep the server from shutting down: %v", err)
			}
		},
	}
	for name, end := range tests {
		t.Run(name, func(t *testing.T) {
			s := serve(t, clock.RealClock{})
			s.set(revision(1, plainFlag))
			opened := s.open()
			opened.expectRevision(1)
			end(s)
			opened.expectEnd()
		})
	}
	t.Run("when the client leaves", func(t *testing.T) {
		s := serve(t, clock.RealClock{})
		s.open().cancel()
		s.waitFor("the handler goes on for a client that left", func() bool { return s.requests.Load() == 0 })
	})
}

// waitFor looks until something is so.
func (s *served) waitFor(failure string, isSo func() bool) {
	s.Helper()
	looks := time.NewTicker(time.Millisecond)
	defer looks.Stop()
	for range 10_000 {
		if isSo() {
			return
		}
		<-looks.C
	}
	s.Fatal(failure)
}

func TestStreamLivesLongerThanTheServersTimeouts(t *testing.T) {
	fake := clocktesting.NewFakeClock(time.Now())
	s := serve(t, fake)
	s.set(revision(1, plainFlag))
	opened := s.open()
	opened.expectRevision(1)
	<-time.After(s.Config.ReadTimeout + 100*time.Millisecond)
	for range 3 {
		s.waitFor("no heartbeat is due", fake.HasWaiters)
		fake.Step(15 * time.Second)
		opened.expect(": still here")
	}
	s.set(revision(2, plainFlag))
	opened.expectRevision(2)
}

func TestManyStreams(t *testing.T) {
	const streams = 2000
	s := serve(t, clock.RealClock{})
	s.set(revision(1, plainFlag))
	// One goroutine for all clients: the race detector allows for few thousands in all.
	readers := make([]*bufio.Reader, 0, streams)
	for range streams {
		connection, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", s.Listener.Addr().String())
		if err != nil {
			t.Fatalf("stream %d, of which each takes two open files (ulimit -n): %v", len(readers)+1, err)
		}
		t.Cleanup(func() { _ = connection.Close() })
		if err := connection.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(connection, "GET /api/sdk/stream/sdk_a HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		readers = append(readers, bufio.NewReaderSize(connection, 512))
	}
	receive := func(event string) {
		t.Helper()
		for i, reader := range readers {
			for {
				line, err := reader.ReadString('\n')
				if err != nil {
					t.Fatalf("stream %d of %d: %v", i+1, streams, err)
				}
				if strings.HasPrefix(line, event) {
					break
				}
			}
		}
	}
	receive("id: 1")
	begin := time.Now()
	s.set(revision(2, plainFlag))
	receive("id: 2")
	took := time.Since(begin)
	t.Logf("%d streams received a revision within %s", streams, took)
	if took > 10*time.Second {
		t.Errorf("%d streams received a revision only after %s", streams, took)
	}
	s.stop()
	s.waitFor("streams go on after the server has stopped", func() bool { return s.requests.Load() == 0 })
}
