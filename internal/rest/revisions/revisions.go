// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package revisions streams the revisions of an environment as server-sent events
// (https://html.spec.whatwg.org/multipage/server-sent-events.html).
package revisions

import (
	"io"
	"net/http"
	"time"

	"k8s.io/utils/clock"

	"github.com/jackstaff-dev/jackstaff/internal/serving"
)

const (
	// heartbeat is how often a stream without news says that it is alive. Proxies give up on silent connections after a minute or less.
	heartbeat = 15 * time.Second

	// writeTimeout is how long a write to a stream may take: a client that does not read must not hold the server's memory.
	writeTimeout = 10 * time.Second
)

// Stream is what one client is told of an environment.
type Stream struct {
	// Store says what the key opens.
	Store *serving.Store
	// Clock paces the heartbeats.
	Clock clock.WithTicker
	// Key is the SDK key that opened the stream, and Environment what it opens.
	Key         string
	Environment *serving.Environment
	// Known is the revision that the client knows, and 0 where it knows none.
	Known int64
	// Event writes a revision as an event.
	Event func(*serving.Revision) string
}

// Serve sends each revision that takes the place of the one that the client knows. It ends when the key is revoked, the environment is
// deleted, or the request's context ends.
func (s *Stream) Serve(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Accel-Buffering", "no") // nginx would gather what is to arrive at once.
	if r.Method == http.MethodHead || s.send(w, ": hello\n\n") != nil {
		return
	}
	ticker := s.Clock.NewTicker(heartbeat)
	defer ticker.Stop()
	for {
		changed := s.Environment.Changed()
		if opened, _, found := s.Store.ByKey(s.Key); !found || opened != s.Environment {
			return
		}
		if revision := s.Environment.Revision(); revision.Number != s.Known {
			if s.send(w, s.Event(revision)) != nil {
				return
			}
			s.Known = revision.Number
		}
		select {
		case <-changed:
		case <-ticker.C():
			if s.send(w, ": still here\n\n") != nil {
				return
			}
		case <-r.Context().Done():
			return
		}
	}
}

// send writes text at once. Errors of deadlines are no errors: a connection that has none needs none.
func (s *Stream) send(w http.ResponseWriter, text string) error {
	controller := http.NewResponseController(w)
	_ = controller.SetReadDeadline(time.Time{}) // The server's own timeouts are for requests that end.
	_ = controller.SetWriteDeadline(s.Clock.Now().Add(writeTimeout))
	if _, err := io.WriteString(w, text); err != nil {
		return err
	}
	err := controller.Flush()
	_ = controller.SetWriteDeadline(time.Time{})
	return err
}
