// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package server serves the documented REST views over the Kinds: it knows who asks, what they may do, how resources
// are found and changed on their behalf, and how errors are written. Each view is a package of its own beneath it.
package server

import (
	"context"
	"crypto/tls"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"runtime"
	"strings"
	"time"

	"github.com/gorilla/securecookie"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/cluster"
)

// ProjectHeader names the project of a request whose path has none.
const ProjectHeader = "X-Jackstaff-Project"

// EnvironmentHeader names the environment of a request whose path and key have none.
const EnvironmentHeader = "X-Jackstaff-Environment"

const (
	maxHeader         = 32 << 10
	readHeaderTimeout = 10 * time.Second
	readTimeout       = 30 * time.Second
	// writeTimeout is how long an answer may take, so that a client that does not read holds no memory for longer.
	writeTimeout = time.Minute
	idleTimeout  = 2 * time.Minute
	// shutdownTimeout is how long requests in flight have when the server stops.
	shutdownTimeout = 20 * time.Second
)

// Options are what an administrator chooses for the server.
type Options struct {
	// Address is where the server listens, such as :8090.
	Address string
	// GetCertificate gives the serving certificate. With nil the server speaks plain HTTP.
	GetCertificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	// SessionKey encrypts session cookies, at least 32 bytes, the same on every replica.
	SessionKey []byte
	// DefaultProject is the project of requests that name none. It may be empty.
	DefaultProject string
	// AllowGitOpsWrites lets writes change objects that a GitOps tool owns.
	AllowGitOpsWrites bool
	// RequestsPerSecond is how many requests each identity may make, and 0 for no limit.
	RequestsPerSecond float64
	// TrustedProxies are the networks of proxies whose X-Forwarded-For says where a request comes from.
	TrustedProxies []netip.Prefix
	// PublicURL is where clients reach the server, such as https://flags.example.com. It is nil where that is the host
	// that they ask for.
	PublicURL *url.URL
	// Confined is for an operator that has rights in some namespaces only: callers are asked who they are and what they
	// may do under their own tokens.
	Confined bool
	// Clock is the time.
	Clock clock.PassiveClock
}

// Server serves the views on every replica.
type Server struct {
	// Cluster is what the views read and write.
	Cluster *Cluster

	options  Options
	tokens   authenticator.Token
	sessions *sessions
	limits   *Limits
	shares   *shares
	inFlight *inFlight
	streams  streams
	mux      *http.ServeMux
	prefixes map[string]http.Handler
	handler  http.Handler
	views    []*View
	// mistakes are what is wrong with the views.
	mistakes []error
	// routes are those of the views, by pattern.
	routes map[string][]route
	// listening has the address once the server listens there.
	listening chan net.Addr
	// stopping ends when the server begins to stop.
	stopping context.Context
	stop     context.CancelFunc
}

// New makes a server that reads from the caches of a cluster, asks its API server for identities and rights, and writes
// there as its callers. The caches have the indexes of internal/index.
func New(of cluster.Cluster, options Options) (*Server, error) {
	config := of.GetConfig()
	tokens, rights, err := newReviews(config, options.Confined)
	if err != nil {
		return nil, err
	}
	writer, err := newWriter(config, client.Options{Scheme: of.GetScheme(), Mapper: of.GetRESTMapper()})
	if err != nil {
		return nil, err
	}
	server := &Server{
		Cluster:   &Cluster{Reader: of.GetCache(), writer: writer, authorizer: rights, options: options},
		options:   options,
		tokens:    tokens,
		sessions:  newSessions(options.SessionKey, options.Clock),
		limits:    NewLimits(options.RequestsPerSecond, options.Clock),
		inFlight:  newInFlight(),
		shares:    newShares(max(1, runtime.GOMAXPROCS(0)-1)), // The others are for all that costs little.
		mux:       http.NewServeMux(),
		prefixes:  map[string]http.Handler{},
		routes:    map[string][]route{},
		listening: make(chan net.Addr, 1),
	}
	stopping, stop := context.WithCancel(context.Background()) //nolint:gosec // The HTTP server calls it when it stops.
	server.stopping, server.stop = stopping, stop
	server.handler = server.observe(http.HandlerFunc(server.route))
	server.mountMeta()
	return server, nil
}

// Handle adds a handler that is no view, such as OFREP's, under a pattern.
func (s *Server) Handle(pattern string, handler http.Handler) { s.mux.Handle(pattern, handler) }

// HandlePrefix adds a handler of all paths that begin with a prefix. It gets them as they came, where a pattern would
// redirect a path with two slashes or with dots between slashes, as the keys of flags may have them.
func (s *Server) HandlePrefix(prefix string, handler http.Handler) { s.prefixes[prefix] = handler }

// route hands a request to what serves its path.
func (s *Server) route(w http.ResponseWriter, r *http.Request) {
	r = joinConditions(r)
	for prefix, handler := range s.prefixes {
		if strings.HasPrefix(r.URL.Path, prefix) {
			ofPrefix(r.Context(), prefix)
			handler.ServeHTTP(w, r)
			return
		}
	}
	s.mux.ServeHTTP(w, r)
}

// Sealer seals what only this server, on every replica, can open again, for at most 12 hours.
func (s *Server) Sealer() *securecookie.SecureCookie { return s.sessions.codec }

// LimitAddress lets each address make only so many requests of a handler whose callers have no identity.
func (s *Server) LimitAddress(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if refused := s.limits.TakeAddress(r); refused != nil {
			maps.Copy(w.Header(), refused.GetHeaders())
			http.Error(w, refused.Message, refused.Status)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Limits are the server's token buckets, for handlers whose callers have no Kubernetes identity.
func (s *Server) Limits() *Limits { return s.limits }

// ServeHTTP answers a request, as Start does for those that come in at the address.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// NeedLeaderElection is false: every replica serves.
func (*Server) NeedLeaderElection() bool { return false }

// Address is where the server listens. It waits until the server does.
func (s *Server) Address(ctx context.Context) (net.Addr, error) {
	select {
	case address := <-s.listening:
		s.listening <- address
		return address, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
