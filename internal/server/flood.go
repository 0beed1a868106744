// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"k8s.io/utils/clock"
)

const (
	// floodBurst is how many bytes a connection may send that belong to no request and to no body that is read, and
	// floodRate how many more each second: headers, PING, SETTINGS and other frames, which earn nobody an answer.
	floodBurst = 4 << 20
	floodRate  = 16 << 10
	// requestEarns is what a request earns its connection: its headers.
	requestEarns = 64 << 10
)

var errFlood = errors.New("the connection sends what belongs to no request")

// guard cuts off the connections of a listener that send floods.
type guard struct {
	net.Listener

	clock clock.PassiveClock
}

// Accept returns a connection that fails once it has sent too much.
func (g *guard) Accept() (net.Conn, error) {
	connection, err := g.Listener.Accept()
	if err != nil {
		return nil, err
	}
	guarded := &guarded{Conn: connection, clock: g.clock}
	guarded.credit.Store(floodBurst)
	guarded.since.Store(g.clock.Now().UnixNano())
	return guarded, nil
}

// guarded is a connection and what it may still send.
type guarded struct {
	net.Conn

	clock clock.PassiveClock
	// credit is in bytes, and since when it last grew with time, in nanoseconds.
	credit, since atomic.Int64
}

// Read reads, and fails where the connection has sent too much.
func (g *guarded) Read(to []byte) (int, error) {
	n, err := g.Conn.Read(to)
	if g.credit.Add(-int64(n)) >= 0 {
		return n, err
	}
	now := g.clock.Now().UnixNano()
	passed := time.Duration(now - g.since.Swap(now))
	g.earn(int(min(passed.Seconds(), floodBurst/floodRate) * floodRate))
	if g.credit.Load() < 0 {
		return 0, errFlood
	}
	return n, err
}

// CloseWrite ends what is sent, so that a client reads an answer to its end before the connection is reset for what it
// sent too much of. net/http asks for it by this name.
func (g *guarded) CloseWrite() error {
	if half, can := g.Conn.(interface{ CloseWrite() error }); can {
		return half.CloseWrite()
	}
	return nil
}

// earn lets a connection send more. A nil one is not guarded.
func (g *guarded) earn(bytes int) {
	if g == nil {
		return
	}
	if g.credit.Add(int64(bytes)) > floodBurst {
		g.credit.Store(floodBurst)
	}
}

type guardedKey struct{}

// withGuarded lets requests find their connection.
func withGuarded(ctx context.Context, connection net.Conn) context.Context {
	if encrypted, is := connection.(*tls.Conn); is {
		connection = encrypted.NetConn()
	}
	if found, is := connection.(*guarded); is {
		return context.WithValue(ctx, guardedKey{}, found)
	}
	return ctx
}

// guardedOf is the connection of a request, and nil where it is not guarded.
func guardedOf(r *http.Request) *guarded {
	found, _ := r.Context().Value(guardedKey{}).(*guarded)
	return found
}
