// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package ofrep serves OpenFeature's remote evaluation protocol from what is published.
package ofrep

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"maps"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twmb/murmur3"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/jackstaff-dev/jackstaff/internal/replica/store"
	"github.com/jackstaff-dev/jackstaff/internal/server"
	"github.com/jackstaff-dev/jackstaff/internal/server/ofrep/wire"
	"github.com/jackstaff-dev/jackstaff/internal/server/revisions"
	"github.com/jackstaff-dev/jackstaff/sdk/evaluate"
)

// The paths. That of a single flag goes on with its key.
const (
	BulkPath   = "/ofrep/v1/evaluate/flags"
	SinglePath = "/ofrep/v1/evaluate/flags/"
	StreamPath = "/ofrep/v1/stream"
)

// maxBody is the size of a request's body, in bytes.
const maxBody = 1 << 20

// Counter counts evaluations.
type Counter interface {
	// Evaluated counts the answer that a context, which it must not change, got in an environment at a time.
	Evaluated(environment *store.Environment, result *evaluate.Result, context map[string]any, now time.Time)
}

// handler serves the paths.
type handler struct {
	server  *server.Server
	store   *store.Store
	counter Counter
	clock   clock.WithTicker
	tickets tickets
}

// Mount adds the paths to server. Evaluations are counted by counter.
func Mount(srv *server.Server, datafiles *store.Store, counter Counter, clock clock.WithTicker) {
	h := &handler{server: srv, store: datafiles, counter: counter, clock: clock, tickets: tickets{codec: srv.Sealer()}}
	srv.Handle(BulkPath, h.cors(h.bulk))
	srv.HandlePrefix(SinglePath, h.cors(h.single))
	srv.Handle(StreamPath, srv.Stream(h.cors(h.stream)))
}

// cors lets pages of any origin ask: what they need is a key, and no cookie is looked at.
func (h *handler) cors(serve http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header["Access-Control-Allow-Origin"] = anyOrigin
		header["Access-Control-Expose-Headers"] = exposedHeaders
		if r.Method == http.MethodOptions {
			header.Set("Access-Control-Allow-Methods", "GET, POST, OPTIONS")
			header.Set(
				"Access-Control-Allow-Headers",
				"Content-Type, Authorization, X-API-Key, If-None-Match, traceparent, tracestate, "+
					"baggage, "+server.ProjectHeader+", "+server.EnvironmentHeader,
			)
			header.Set("Access-Control-Max-Age", "86400")
			w.WriteHeader(http.StatusNoContent)
			return
		}
		serve(w, r)
	})
}

// The values of headers that every answer carries, which nobody changes.
var (
	anyOrigin      = []string{"*"}
	exposedHeaders = []string{"ETag, Retry-After"}
	jsonType       = []string{"application/json"}
	revalidate     = []string{"no-cache"}
)

// single evaluates one flag. Clients do not always escape a slash in a key, so the key is all that is left of the path.
func (h *handler) single(w http.ResponseWriter, r *http.Request) {
	key := strings.TrimPrefix(r.URL.Path, SinglePath)
	if key == "" {
		h.refuse(
			w,
			r,
			key,
			&wire.Failure{Status: http.StatusBadRequest, Code: wire.General, Details: "the path ends in the key of a flag"},
		)
		return
	}
	from, context, buffer := h.begin(w, r, key)
	if from == nil {
		return
	}
	defer buffer.release()
	now, revision := h.clock.Now(), from.environment.Revision()
	spending := h.server.Spend(r.Context(), from.environment, server.StepsOfOne)
	defer spending.End()
	result := evaluate.Result{Reason: evaluate.FlagNotFound}
	if flag, found := from.engine(revision).Flag(key); found {
		var err error
		if result, err = flag.EvaluateWithin(context, now, &spending.Budget); err != nil {
			spending.End()
			h.exceeded(w, r, key, err)
			return
		}
	}
	spending.End() // A client that does not read its answer holds no processor.
	h.counter.Evaluated(from.environment, &result, context, now)
	if result.Flag == nil {
		h.refuse(
			w,
			r,
			key,
			&wire.Failure{
				Status:  http.StatusNotFound,
				Code:    wire.FlagNotFound,
				Details: "the environment has no flag of that key",
			},
		)
		return
	}
	buffer.body = wire.AppendAnswer(buffer.body[:0], &result, from.isServer(), from.set(revision))
	write(w, buffer.body)
}

// bulk evaluates every flag. The ETag is of what was evaluated, so that it differs where the answer does, whatever the
// reason, and of what the ticket depends on: a client that is told that nothing changed keeps the stream's address,
// which must not be out of date.
func (h *handler) bulk(w http.ResponseWriter, r *http.Request) {
	from, context, buffer := h.begin(w, r, "")
	if from == nil {
		return
	}
	defer buffer.release()
	now, revision := h.clock.Now(), from.environment.Revision()
	body := buffer.body[:0]
	body = append(body, `{"flags":[`...)
	var result evaluate.Result // One for all flags, as counting takes its address.
	engine := from.engine(revision)
	version, _ := revisions.VersionOf(revision, from.kind, engine, now)
	spending := h.server.Spend(r.Context(), from.environment, server.StepsOfAll)
	defer spending.End()
	for flag := range engine.Flags() {
		var err error
		if result, err = flag.EvaluateWithin(context, now, &spending.Budget); err != nil {
			spending.End()
			h.exceeded(w, r, "", err)
			return
		}
		h.counter.Evaluated(from.environment, &result, context, now)
		body = append(wire.AppendResult(body, &result, from.isServer()), ',')
	}
	spending.End() // A client that does not read its answer holds no processor.
	if body[len(body)-1] == ',' {
		body = body[:len(body)-1]
	}
	evaluated := len(body)
	if from.sdkKey != "" {
		body = append(strconv.AppendInt(body, periodOf(now), 10), ' ')
		body = append(body, from.sdkKey...)
	}
	etag := etagOf(body)
	body = append(body[:evaluated], `],"metadata":{"revision":`...)
	body = append(strconv.AppendInt(body, revision.Number, 10), ',')
	body = append(from.set(revision).AppendMembers(body), '}')
	header := w.Header()
	header["Etag"] = []string{etag}
	header["Cache-Control"] = revalidate
	if server.MatchesETag(r.Header.Get("If-None-Match"), etag) {
		buffer.body = body
		w.WriteHeader(http.StatusNotModified)
		return
	}
	buffer.body = append(h.appendStream(body, r, from, version, now), '}')
	release, err := h.server.Hold(r, len(buffer.body))
	if err != nil {
		h.deny(w, r, "", err)
		return
	}
	defer release()
	write(w, buffer.body)
}

// etagOf tells bodies apart, weakly, because replicas differ in the address of the stream. A non-cryptographic hash is
// enough: a collision gains an attacker nothing.
func etagOf(body []byte) string {
	high, low := murmur3.Sum128(body)
	digest := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, high), low)
	return `W/"` + hex.EncodeToString(digest) + `"`
}

// buffer is the memory of one request.
type buffer struct{ body []byte }

var buffers = sync.Pool{New: func() any { return &buffer{} }}

// maxKept is the size of a buffer that is used again, in bytes.
const maxKept = 256 << 10

func (b *buffer) release() {
	if cap(b.body) <= maxKept {
		buffers.Put(b)
	}
}

// begin reads who asks and the context of a request. It has answered where it returns no origin; else the caller
// releases the buffer.
func (h *handler) begin(w http.ResponseWriter, r *http.Request, key string) (*origin, map[string]any, *buffer) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", "POST, OPTIONS")
		h.refuse(
			w,
			r,
			key,
			&wire.Failure{Status: http.StatusMethodNotAllowed, Code: wire.General, Details: "evaluations are asked for by POST"},
		)
		return nil, nil, nil
	}
	from, err := h.open(r)
	if err != nil {
		h.deny(w, r, key, err)
		return nil, nil, nil
	}
	if contentType := r.Header.Get("Content-Type"); contentType != "application/json" {
		if media, _, err := mime.ParseMediaType(contentType); err != nil || media != "application/json" {
			h.refuse(
				w,
				r,
				key,
				&wire.Failure{
					Status:  http.StatusUnsupportedMediaType,
					Code:    wire.ParseError,
					Details: "the Content-Type is not application/json",
				},
			)
			return nil, nil, nil
		}
	}
	held, _ := buffers.Get().(*buffer)
	held.body, err = readAll(held.body[:0], r)
	if err != nil {
		held.release()
		tooLarge, refused := (*http.MaxBytesError)(nil), (*server.Error)(nil)
		switch {
		case errors.As(err, &refused):
			h.deny(w, r, key, refused)
		case errors.As(err, &tooLarge):
			h.refuse(
				w,
				r,
				key,
				&wire.Failure{Status: http.StatusBadRequest, Code: wire.InvalidContext, Details: "the body is longer than 1 MiB"},
			)
		default:
			h.refuse(
				w,
				r,
				key,
				&wire.Failure{Status: http.StatusBadRequest, Code: wire.ParseError, Details: "the body could not be read"},
			)
		}
		return nil, nil, nil
	}
	context, failed := wire.ReadContext(held.body)
	if failed != nil {
		held.release()
		h.refuse(w, r, key, failed)
		return nil, nil, nil
	}
	return from, context, held
}

// readAll appends the body of a request, which is never longer than maxBody.
func readAll(to []byte, r *http.Request) ([]byte, error) {
	if r.ContentLength > maxBody {
		return to, &http.MaxBytesError{Limit: maxBody}
	}
	for {
		if len(to) == cap(to) {
			// What a request announces is not believed: memory grows with what was read.
			to = append(to, make([]byte, max(512, len(to)))...)[:len(to)]
		}
		n, err := r.Body.Read(to[len(to):cap(to)])
		to = to[:len(to)+n]
		switch {
		case errors.Is(err, io.EOF):
			return to, nil
		case err != nil:
			return to, err
		case len(to) > maxBody:
			return to, &http.MaxBytesError{Limit: maxBody}
		}
	}
}

func write(w http.ResponseWriter, body []byte) {
	header := w.Header()
	header["Content-Type"] = jsonType
	header["Content-Length"] = []string{strconv.Itoa(len(body))}
	_, _ = w.Write(body) // Nobody is left to be told.
}

// deny answers who may not ask. The protocol has 401 and 403 without a body, but clients that parse an answer before
// they look at its status, as those of Java do, would miss the status and Retry-After.
func (h *handler) deny(w http.ResponseWriter, r *http.Request, key string, err error) {
	refused := (*server.Error)(nil)
	if !errors.As(err, &refused) {
		log.FromContext(r.Context()).Error(err, "Request failed")
		refused = &server.Error{
			Status:  http.StatusInternalServerError,
			Message: "something went wrong here; the log says what",
		}
	}
	maps.Copy(w.Header(), refused.GetHeaders())
	h.refuse(w, r, key, &wire.Failure{Status: refused.Status, Code: wire.General, Details: refused.Text()})
}

// exceeded answers a request whose evaluations were ended before they were done.
func (h *handler) exceeded(w http.ResponseWriter, r *http.Request, key string, err error) {
	if errors.Is(err, evaluate.ErrBudget) {
		failed := &wire.Failure{Status: http.StatusBadRequest, Code: wire.InvalidContext, Details: err.Error()}
		h.refuse(w, r, key, failed)
		return
	}
	h.deny(w, r, key, server.Refusal(err))
}

// refuse answers with an error of the protocol.
func (h *handler) refuse(w http.ResponseWriter, r *http.Request, key string, failed *wire.Failure) {
	log.FromContext(r.Context()).V(1).Info("Request refused", "status", failed.Status, "reason", failed.Details)
	w.Header()["Content-Type"] = jsonType
	w.WriteHeader(failed.Status)
	body := wire.AppendFailure(nil, key, failed)
	_, _ = w.Write(body) //nolint:gosec // It is JSON, and says so. Nobody is left to be told of an error.
}
