// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"
)

// guardedServer serves HTTP/2 behind the guard, and reads bodies as the server does.
func guardedServer(t *testing.T, passive clock.PassiveClock) *httptest.Server {
	t.Helper()
	served := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		connection := guardedOf(r)
		if connection == nil {
			t.Error("the connection of a request is not known")
		}
		connection.earn(requestEarns)
		read := &body{
			ReadCloser: r.Body, inFlight: newInFlight(), who: whoShares(r), conn: connection,
		}
		n, _ := io.Copy(io.Discard, read)
		_, _ = w.Write(bytes.Repeat([]byte("x"), int(n%7)))
	}))
	served.Listener = &guard{Listener: served.Listener, clock: passive}
	served.Config.ConnContext = withGuarded
	served.EnableHTTP2 = true
	served.StartTLS()
	t.Cleanup(served.Close)
	return served
}

// PING and SETTINGS frames cost the server an answer each. A connection that sends nothing else is cut off.
func TestFloodsAreCutOff(t *testing.T) {
	for name, send := range map[string]func(*http2.Framer) error{
		"PING":     func(f *http2.Framer) error { return f.WritePing(false, [8]byte{}) },
		"SETTINGS": func(f *http2.Framer) error { return f.WriteSettings() },
	} {
		t.Run(name, func(t *testing.T) {
			served := guardedServer(t, clocktesting.NewFakePassiveClock(clock.RealClock{}.Now()))
			dialer := &tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}}
			connection, err := dialer.DialContext(t.Context(), "tcp", served.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer connection.Close()
			if _, err := io.WriteString(connection, http2.ClientPreface); err != nil {
				t.Fatal(err)
			}
			framer := http2.NewFramer(connection, connection)
			if err := framer.WriteSettings(); err != nil {
				t.Fatal(err)
			}
			go func() { _, _ = io.Copy(io.Discard, connection) }()
			for range 2 * floodBurst / 9 {
				if err := send(framer); err != nil {
					return
				}
			}
			t.Errorf("more than %d bytes of frames were taken", 2*floodBurst)
		})
	}
}

// A client that sends requests may send as much as it likes, over one connection.
func TestRequestsAreNoFlood(t *testing.T) {
	served := guardedServer(t, clocktesting.NewFakePassiveClock(clock.RealClock{}.Now()))
	client := served.Client()
	for range 30 {
		request, err := http.NewRequestWithContext(
			t.Context(), http.MethodPost, served.URL, bytes.NewReader(make([]byte, 1<<20)),
		)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := client.Do(request)
		if err != nil {
			t.Fatalf("a client that only sends requests is cut off: %v", err)
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		_ = answer.Body.Close()
	}
}

// A body that its handler does not want is read and thrown away. Its sender has done nothing wrong.
func TestDrainedBodiesAreNoFlood(t *testing.T) {
	connection := &guarded{clock: clocktesting.NewFakePassiveClock(clock.RealClock{}.Now())}
	connection.credit.Store(0)
	unwanted := httptest.NewRequestWithContext(
		context.WithValue(
			t.Context(),
			guardedKey{},
			connection,
		),
		http.MethodPost,
		"/",
		bytes.NewReader(make([]byte, 200<<10)),
	)
	(&Server{options: Options{Clock: clock.RealClock{}}}).drain(httptest.NewRecorder(), unwanted)
	if credit := connection.credit.Load(); credit < 200<<10 {
		t.Errorf("200 KiB that were drained earn %d bytes, so that the connection is cut off", credit)
	}
}

// The answer to headers that are too long arrives whole, though the rest of the request is never read.
func TestAnswersToTooLongHeadersArrive(t *testing.T) {
	served := httptest.NewUnstartedServer(http.NotFoundHandler())
	served.Listener = &guard{Listener: served.Listener, clock: clock.RealClock{}}
	served.Config.MaxHeaderBytes = maxHeader
	served.Start()
	t.Cleanup(served.Close)
	request, err := http.NewRequestWithContext(
		t.Context(), http.MethodGet, served.URL+"/?page="+strings.Repeat("x", 4*maxHeader), http.NoBody,
	)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := served.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if _, err := io.ReadAll(answer.Body); err != nil || answer.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("%d, and then: %v", answer.StatusCode, err)
	}
}
