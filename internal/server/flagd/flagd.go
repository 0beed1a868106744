// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package flagd serves flagd's gRPC services from what is published, so that flagd itself and its providers use an
// environment as they would use another flagd. The services are those of github.com/open-feature/flagd-schemas, and
// answer gRPC, gRPC-web and Connect alike.
package flagd

import (
	"context"
	"net/http"
	"strings"

	"buf.build/gen/go/open-feature/flagd/connectrpc/go/flagd/evaluation/v1/evaluationv1connect"
	"buf.build/gen/go/open-feature/flagd/connectrpc/go/flagd/evaluation/v2/evaluationv2connect"
	"buf.build/gen/go/open-feature/flagd/connectrpc/go/flagd/sync/v1/syncv1connect"
	"connectrpc.com/connect"
	"k8s.io/utils/clock"

	"github.com/jackstaff-dev/jackstaff/internal/replica/store"
	"github.com/jackstaff-dev/jackstaff/internal/server"
)

// Prefixes begin the paths of the services.
var Prefixes = []string{"/flagd.", "/grpc."}

// maxMessage is the size of a request's message, in bytes, packed or not.
const maxMessage = 1 << 20

// Datafiles are what is served, as a *store.Store has it.
type Datafiles interface {
	// Environment returns an environment, and whether there is one.
	Environment(namespace, name string) (*store.Environment, bool)
	// ByKey returns the environment that an SDK key opens, and what it opens of it.
	ByKey(key string) (*store.Environment, store.KeyKind, bool)
	// Synced reports whether everything was read, so that an unknown key is none.
	Synced() bool
}

// handler is what the services stand on.
type handler struct {
	server  *server.Server
	store   Datafiles
	counter Counter
	clock   clock.WithTicker
}

// Mount adds the services to server. Evaluations are counted by counter.
func Mount(srv *server.Server, datafiles Datafiles, counter Counter, clock clock.WithTicker) {
	h := &handler{server: srv, store: datafiles, counter: counter, clock: clock}
	options := []connect.HandlerOption{
		connect.WithReadMaxBytes(maxMessage),
		connect.WithCodec(binaryCodec{}),
		connect.WithCodec(jsonCodec{"json"}),
		connect.WithCodec(jsonCodec{"json; charset=utf-8"}),
		connect.WithCompression("gzip", nil, nil), // What is unpacked would not be counted.
	}
	h.mount(syncv1connect.NewFlagSyncServiceHandler(&syncService{h}, options...))
	h.mount(evaluationv1connect.NewServiceHandler(&evaluationV1{h}, options...))
	h.mount(evaluationv2connect.NewServiceHandler(&evaluationV2{h}, options...))
	h.mountPublic(options)
}

// streams are the methods whose answers have no end of their own.
var streams = []string{
	syncv1connect.FlagSyncServiceSyncFlagsProcedure,
	evaluationv1connect.ServiceEventStreamProcedure,
	evaluationv2connect.ServiceEventStreamProcedure,
}

// mount adds a service under its path.
func (h *handler) mount(path string, service http.Handler) {
	handler := h.exchanges(service)
	h.server.Handle(path, handler)
	for _, stream := range streams {
		if strings.HasPrefix(stream, path) {
			h.server.Handle(stream, h.server.Stream(handler))
		}
	}
}

// exchange is a request and its answer, for what a service needs beside messages.
type exchange struct {
	http.ResponseWriter

	request *http.Request
	// atEnd are called when the answer is written.
	atEnd []func()
}

type exchangeKey struct{}

// exchangeOf is the exchange that a method answers.
func exchangeOf(ctx context.Context) *exchange {
	found, _ := ctx.Value(exchangeKey{}).(*exchange)
	return found
}

// Flush sends what was written.
func (x *exchange) Flush() { _ = http.NewResponseController(x.ResponseWriter).Flush() } // Then the next write fails.

// Unwrap gives the writer to http.ResponseController.
func (x *exchange) Unwrap() http.ResponseWriter { return x.ResponseWriter }

// exchanges lets the methods of a service find the exchange, and pages of any origin ask: what they need is a key, and
// no cookie is looked at.
func (h *handler) exchanges(service http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Access-Control-Allow-Origin", "*")
		header.Set("Access-Control-Expose-Headers", exposedHeaders)
		if r.Method == http.MethodOptions {
			header.Set("Access-Control-Allow-Methods", "POST, OPTIONS")
			header.Set("Access-Control-Allow-Headers", allowedHeaders)
			header.Set("Access-Control-Max-Age", "86400")
			w.WriteHeader(http.StatusNoContent)
			return
		}
		x := &exchange{ResponseWriter: w}
		defer func() {
			for _, end := range x.atEnd {
				end()
			}
		}()
		r = r.WithContext(context.WithValue(r.Context(), exchangeKey{}, x))
		r.Body = &body{r.Body}
		x.request = r
		service.ServeHTTP(x, r)
	})
}

// exposedHeaders are those that pages may read, and allowedHeaders those that they may send.
var (
	exposedHeaders = "Grpc-Status, Grpc-Message, Grpc-Status-Details-Bin, Retry-After"
	allowedHeaders = strings.Join([]string{
		"Content-Type", "Authorization", "X-API-Key", selectorHeader, "Connect-Protocol-Version", "Connect-Timeout-Ms",
		"Grpc-Timeout", "X-Grpc-Web", "X-User-Agent", "traceparent", "tracestate", "baggage",
		server.ProjectHeader, server.EnvironmentHeader,
	}, ", ")
)
