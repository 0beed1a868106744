// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/log"
)

const (
	// pingAfter is how long a connection of HTTP/2 is silent until its client is asked whether it is there, and
	// pingTimeout how long that may take. A client that has gone without a word must not hold a stream, and proxies must
	// not take one without news for dead.
	pingAfter   = 30 * time.Second
	pingTimeout = 15 * time.Second
)

// Start serves until ctx ends, and then finishes the requests in flight.
func (s *Server) Start(ctx context.Context) error {
	if err := errors.Join(s.mistakes...); err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.options.Address)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	server := s.newHTTP(ctx, s)
	s.listening <- listener.Addr()
	if s.options.GetCertificate == nil {
		return s.serve(ctx, server, listener, server.Serve)
	}
	server.TLSConfig = &tls.Config{GetCertificate: s.options.GetCertificate}
	HardenTLS(server.TLSConfig)
	return s.serve(ctx, server, listener, func(listener net.Listener) error { return server.ServeTLS(listener, "", "") })
}

// newHTTP is an HTTP server, which takes HTTP/2 without TLS too where it has none.
func (s *Server) newHTTP(ctx context.Context, handler http.Handler) *http.Server {
	base := log.IntoContext(context.WithoutCancel(ctx), log.FromContext(ctx).WithName("rest"))
	protocols := &http.Protocols{}
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler:           handler,
		Protocols:         protocols,
		HTTP2:             &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout},
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		BaseContext:       func(net.Listener) context.Context { return base },
		ConnContext:       withGuarded,
	}
}

// serve serves what a listener accepts until ctx ends, and then finishes the requests in flight.
func (s *Server) serve(
	ctx context.Context,
	server *http.Server,
	listener net.Listener,
	serve func(net.Listener) error,
) error {
	server.RegisterOnShutdown(s.stop)
	stopped := make(chan error, 1)
	go func() {
		<-ctx.Done()
		deadline, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer cancel()
		stopped <- server.Shutdown(deadline)
	}()
	if err := serve(&guard{Listener: listener, clock: s.options.Clock}); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	return <-stopped
}

// Plain is a listener without TLS for some of a server's paths. What is sent there can be read on the way.
type Plain struct {
	server   *Server
	address  string
	prefixes []string
	// listening has the address once the listener is there.
	listening chan net.Addr
}

// Plain returns a listener at an address, such as :8015, for the paths that begin with one of the prefixes.
func (s *Server) Plain(address string, prefixes ...string) *Plain {
	return &Plain{server: s, address: address, prefixes: prefixes, listening: make(chan net.Addr, 1)}
}

// NeedLeaderElection is false: every replica serves.
func (*Plain) NeedLeaderElection() bool { return false }

// Address is where it listens. It waits until it does.
func (p *Plain) Address(ctx context.Context) (net.Addr, error) {
	select {
	case address := <-p.listening:
		p.listening <- address
		return address, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Start serves until ctx ends, and then finishes the requests in flight.
func (p *Plain) Start(ctx context.Context) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", p.address)
	if err != nil {
		return fmt.Errorf("listen without TLS: %w", err)
	}
	p.listening <- listener.Addr()
	server := p.server.newHTTP(ctx, p)
	return p.server.serve(ctx, server, listener, server.Serve)
}

// ServeHTTP answers a request as the server does, where its path is one of those that are served here.
func (p *Plain) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	begins := func(prefix string) bool { return strings.HasPrefix(r.URL.Path, prefix) }
	if !slices.ContainsFunc(p.prefixes, begins) {
		http.NotFound(w, r)
		return
	}
	p.server.ServeHTTP(w, r)
}
