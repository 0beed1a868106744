// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"runtime/debug"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// RequestIDHeader carries the id under which a request is logged. A caller may choose it.
const RequestIDHeader = "X-Request-Id"

// requestID is the form of an id that a caller may choose.
var requestID = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// boundsItself reports whether the handler of a request bounds the values of its body itself, as OFREP's does, and
// those of gRPC where the body is not JSON.
func boundsItself(r *http.Request) bool {
	isGRPC := strings.HasPrefix(r.URL.Path, "/flagd.") || strings.HasPrefix(r.URL.Path, "/grpc.")
	return strings.HasPrefix(r.URL.Path, "/ofrep/") ||
		isGRPC && !strings.Contains(r.Header.Get("Content-Type"), "json")
}

// keyPaths are the paths that end in an SDK key, which is a secret.
var keyPaths = []string{"/api/sdk/datafile/", "/api/sdk/stream/", "/array/"}

// The values of headers that every answer carries, which nobody changes.
var (
	noSniff = []string{"nosniff"}
	noStore = []string{"no-store"}
	// The page at /docs/ has scripts and styles of its own, in line.
	contentPolicy = []string{"default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; " +
		"img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"}
	noFrames   = []string{"DENY"}
	noReferrer = []string{"no-referrer"}
)

// observe gives each request an id, logs what becomes of it, and answers for a handler that panics.
func (s *Server) observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get(RequestIDHeader)
		if id == "" || !requestID.MatchString(id) {
			id = rand.Text()
		}
		header := w.Header()
		header[RequestIDHeader] = []string{id}
		header["X-Content-Type-Options"] = noSniff
		header["Cache-Control"] = noStore
		header["Content-Security-Policy"] = contentPolicy
		header["X-Frame-Options"] = noFrames
		header["Referrer-Policy"] = noReferrer
		r.RemoteAddr = clientAddress(r, s.options.TrustedProxies)
		recorded := &recorder{ResponseWriter: w, began: s.options.Clock.Now()}
		logger := recorded.log.of(log.FromContext(r.Context()), id, r)
		noted, inner := &served{}, r
		defer func() {
			if failure := recover(); failure != nil {
				if failure == http.ErrAbortHandler { //nolint:errorlint // It is the very value.
					panic(failure) //nolint:forbidigo // The HTTP server asks for it.
				}
				logger.Error(fmt.Errorf("panic: %v", failure), "Request failed", "stack", string(debug.Stack()))
				if recorded.status == 0 {
					http.Error(
						recorded,
						"something went wrong here; the log says what, under this request's id",
						http.StatusInternalServerError,
					)
				}
			}
			took := s.options.Clock.Since(recorded.began)
			noted.count(inner.Pattern, recorded.status, took)
			if told := logger.V(1); told.Enabled() {
				told.Info(
					"Answered",
					"status",
					recorded.status,
					"duration",
					took.Round(time.Microsecond).String(),
				)
			}
		}()
		connection := guardedOf(r)
		connection.earn(requestEarns)
		counted := &body{
			ReadCloser: http.MaxBytesReader(recorded, r.Body, maxBody),
			inFlight:   s.inFlight, who: whoShares(r), conn: connection,
			bounded: boundsItself(r), served: noted,
		}
		defer counted.release()
		r.Body = counted
		ctx := context.WithValue(log.IntoContext(r.Context(), logger), bodyKey{}, counted)
		inner = r.WithContext(ctx)
		next.ServeHTTP(recorded, inner)
		r.Body = counted.ReadCloser // What is thrown away takes no memory.
		s.drain(recorded, r)
	})
}

const (
	// maxDrained is how much of a body is read that its handler did not want, in bytes, as net/http does for HTTP/1.
	maxDrained = 256 << 10
	// drainTimeout is how long that may take.
	drainTimeout = 5 * time.Second
)

// drain reads what a handler has left of a request's body. Over HTTP/2 the stream would otherwise be reset after the
// answer, and clients such as curl 7.88 then lose the answer.
func (s *Server) drain(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength == 0 || r.Header.Get("Expect") != "" {
		return
	}
	_ = http.NewResponseController(w).SetReadDeadline(s.options.Clock.Now().Add(drainTimeout))
	_, _ = io.CopyN(io.Discard, &earning{r.Body, guardedOf(r)}, maxDrained) // It ends where the body does.
}

// earning is a body that is thrown away. What is read of it is no flood.
type earning struct {
	io.Reader

	conn *guarded
}

// Read reads, and lets the connection send as much again.
func (e *earning) Read(to []byte) (int, error) {
	n, err := e.Reader.Read(to)
	e.conn.earn(2 * n)
	return n, err
}

// requestLog is a logger that knows of which request it speaks. What it says of that is put together only when
// something is logged, because it takes as long as evaluating a hundred flags.
type requestLog struct {
	to               logr.Logger
	id, method, path string
}

// of makes the logger of a request, which logs to another one.
func (l *requestLog) of(to logr.Logger, id string, r *http.Request) logr.Logger {
	*l = requestLog{to: to, id: id, method: r.Method, path: r.URL.Path}
	return logr.New(l)
}

func (l *requestLog) logger() logr.Logger {
	return l.to.WithValues("request", l.id, "method", l.method, "path", Redact(l.path))
}

// Init does nothing: the other logger is ready.
func (*requestLog) Init(logr.RuntimeInfo) {}

// Enabled reports whether the other logger logs at a level.
func (l *requestLog) Enabled(level int) bool { return l.to.V(level).Enabled() }

// Info logs a message.
func (l *requestLog) Info(level int, message string, values ...any) {
	l.logger().V(level).Info(message, values...)
}

// Error logs an error.
func (l *requestLog) Error(err error, message string, values ...any) {
	l.logger().Error(err, message, values...)
}

// WithValues returns a logger that knows more.
func (l *requestLog) WithValues(values ...any) logr.LogSink {
	return l.logger().WithValues(values...).GetSink()
}

// WithName returns a logger of another name.
func (l *requestLog) WithName(name string) logr.LogSink { return l.logger().WithName(name).GetSink() }

// Redact returns a path without the SDK key that it ends in.
func Redact(path string) string {
	for _, prefix := range keyPaths {
		if strings.HasPrefix(path, prefix) {
			return prefix + "…"
		}
	}
	return path
}

// Stream serves a handler whose answers have no end of their own: they end when the server stops, and have as long as
// it takes. The handler counts them by TakeStream once it knows of what they are.
func (s *Server) Stream(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ofStream(r.Context())
		ctx, cancel := context.WithCancel(context.WithValue(r.Context(), streamsKey{}, &s.streams))
		defer cancel()
		defer context.AfterFunc(s.stopping, cancel)()
		controller := http.NewResponseController(w)
		_ = controller.SetReadDeadline(time.Time{}) // Where that cannot be set, there is none.
		_ = controller.SetWriteDeadline(time.Time{})
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// recorder remembers the status of an answer.
type recorder struct {
	http.ResponseWriter
	status int
	began  time.Time
	log    requestLog
}

// WriteHeader remembers the status.
func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

// Write remembers that the status is 200 where nothing else was said.
func (r *recorder) Write(data []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(data)
}

// Unwrap gives the writer to http.ResponseController.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
