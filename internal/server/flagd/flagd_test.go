// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package flagd_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/cluster"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/internal/replica/store"
	"github.com/jackstaff-dev/jackstaff/internal/server"
	"github.com/jackstaff-dev/jackstaff/internal/server/flagd"
	"github.com/jackstaff-dev/jackstaff/sdk/evaluate"
)

// served is a server that listens with TLS, whose store holds production of shop. Its API server is away.
type served struct {
	*testing.T
	*server.Server
	store       *store.Store
	environment *v1alpha1.FlagEnvironment
	url         string
	// stop stops the server.
	stop context.CancelFunc
	// http2 and http1 are clients of the two versions.
	http2, http1 *http.Client
	// evaluations is how many were counted.
	evaluations atomic.Int64
	// away is true where not everything was read yet.
	away atomic.Bool
}

// Evaluated counts an evaluation.
func (s *served) Evaluated(*store.Environment, *evaluate.Result, map[string]any, time.Time) {
	s.evaluations.Add(1)
}

// serve starts a server with the keys sdk_a and cli_a.
func serve(t *testing.T, options server.Options) *served {
	t.Helper()
	return serveAt(t, options, clock.RealClock{})
}

// serveAt is serve with another clock of streams and evaluations.
func serveAt(t *testing.T, options server.Options, streams clock.WithTicker) *served {
	t.Helper()
	away, err := cluster.New(&rest.Config{Host: "https://127.0.0.1:1"}, func(o *cluster.Options) {
		o.MapperProvider = func(*rest.Config, *http.Client) (meta.RESTMapper, error) {
			return meta.NewDefaultRESTMapper(nil), nil
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	certified := httptest.NewTLSServer(http.NotFoundHandler())
	certified.Close()
	options.Address, options.SessionKey, options.Clock = "127.0.0.1:0", bytes.Repeat([]byte("k"), 32), clock.RealClock{}
	options.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		return &certified.TLS.Certificates[0], nil
	}
	s := &served{T: t, store: store.NewStore(), environment: environmentOf("shop", "a")}
	if s.Server, err = server.New(away, options); err != nil {
		t.Fatal(err)
	}
	flagd.Mount(s.Server, read{s.store, &s.away}, s, streams)
	s.set(nil)
	ctx, cancel := context.WithCancel(context.Background())
	stopped := make(chan error, 1)
	go func() { stopped <- s.Start(ctx) }()
	address, err := s.Address(ctx)
	if err != nil {
		t.Fatal(err)
	}
	s.url, s.stop = "https://"+address.String(), cancel
	trust := certified.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	s.http2 = &http.Client{
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trust}, ForceAttemptHTTP2: true},
	}
	s.http1 = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trust}}}
	t.Cleanup(func() {
		cancel()
		s.http1.CloseIdleConnections()
		s.http2.CloseIdleConnections()
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	})
	return s
}

// read is a store of which everything was read, unless the API server was away.
type read struct {
	*store.Store
	away *atomic.Bool
}

func (r read) Synced() bool { return !r.away.Load() }

// environmentOf is production of a project, with the keys sdk_ and cli_ of a name.
func environmentOf(project, name string) *v1alpha1.FlagEnvironment {
	environment := builders.MakeEnvironment("production", project).Defaulted().Obj()
	hash := func(key string) string {
		sum := sha256.Sum256([]byte(key))
		return "sha256:" + hex.EncodeToString(sum[:])
	}
	environment.Status.SDKKeys = []v1alpha1.SDKKey{
		{ServerHash: hash("sdk_" + name), ClientHash: hash("cli_" + name), Confirmed: true},
	}
	return environment
}

// set serves a document, and the keys that the environment has now.
func (s *served) set(document *store.Document) {
	s.Helper()
	if err := s.store.Set(s.environment, document); err != nil {
		s.Fatal(err)
	}
}

const (
	plainFlag    = `"a":{"defaultVariation":"on","enabled":true,"type":"Boolean","variations":[{"key":"on","value":true}]}`
	overrideFlag = `"a":{"defaultVariation":"on","enabled":true,"overrides":{"alice":"on"},"type":"Boolean","variations":[{"key":"on","value":true}]}`
	serverFlag   = `"secret":{"defaultVariation":"on","enabled":true,"runtime":"Server","type":"Boolean","variations":[{"key":"on","value":true}]}`
)

// revision is a document that differs from that of every other revision. Its flagd file is the number with padding.
func revision(number int64, flags string, padding int) *store.Document {
	return &store.Document{
		Digest: fmt.Sprintf("sha256:%064d", number),
		Native: fmt.Appendf(
			nil,
			`{"audiences":{},"environment":"production","events":{},"flags":{%s},"project":"shop","revision":%d,"schemaVersion":"1.0"}`,
			flags,
			number,
		),
		Flagd: fmt.Appendf(nil, `{"flags":{},"metadata":{"revision":%d}}%s`, number, strings.Repeat(" ", padding)),
	}
}

// withKey sends an SDK key along.
func withKey(key string) connect.ClientOption { return withHeader("Authorization", "Bearer "+key) }

// withHeader sends metadata along.
func withHeader(name, value string) connect.ClientOption {
	return connect.WithInterceptors(&headers{name: name, value: value})
}

type headers struct{ name, value string }

func (h *headers) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, request connect.AnyRequest) (connect.AnyResponse, error) {
		request.Header().Set(h.name, h.value)
		return next(ctx, request)
	}
}

func (h *headers) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return func(ctx context.Context, spec connect.Spec) connect.StreamingClientConn {
		opened := next(ctx, spec)
		opened.RequestHeader().Set(h.name, h.value)
		return opened
	}
}

func (*headers) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return next
}
