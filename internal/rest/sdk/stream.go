// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package sdk

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
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

// revisionEvent is the data of an event.
type revisionEvent struct {
	Revision int64  `json:"revision"`
	Digest   string `json:"digest"`
}

// stream sends the revision that is served, and each that takes its place, as server-sent events
// (https://html.spec.whatwg.org/multipage/server-sent-events.html). A client that was there before says in Last-Event-ID which revision
// it knows. The stream ends when the key is revoked, the environment is deleted, or the request's context ends.
func (h *handler) stream(w http.ResponseWriter, r *http.Request) {
	key := r.PathValue("sdkKey")
	environment, _, found := h.store.ByKey(key)
	if !found {
		unknownKey(w)
		return
	}
	header := w.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Accel-Buffering", "no") // nginx would gather what is to arrive at once.
	s := streamWriter{writer: w, controller: http.NewResponseController(w), clock: h.clock}
	if r.Method == http.MethodHead || s.open() != nil {
		return
	}
	known, _ := strconv.ParseInt(r.Header.Get("Last-Event-ID"), 10, 64) // What is no number is no revision.
	ticker := h.clock.NewTicker(heartbeat)
	defer ticker.Stop()
	for {
		changed := environment.Changed()
		if opened, _, found := h.store.ByKey(key); !found || opened != environment {
			return
		}
		if revision := environment.Revision(); revision.Number != known {
			if s.write(eventOf(revision)) != nil {
				return
			}
			known = revision.Number
		}
		select {
		case <-changed:
		case <-ticker.C():
			if s.write(": still here\n\n") != nil {
				return
			}
		case <-r.Context().Done():
			return
		}
	}
}

func eventOf(revision *serving.Revision) string {
	data, _ := json.Marshal(revisionEvent{Revision: revision.Number, Digest: revision.Digest}) // Numbers and strings always have a JSON form.
	return fmt.Sprintf("id: %d\ndata: %s\n\n", revision.Number, data)
}

// streamWriter writes to a stream that may stay open for days. Errors of deadlines are no errors: a connection that has none needs none.
type streamWriter struct {
	writer     http.ResponseWriter
	controller *http.ResponseController
	clock      clock.PassiveClock
}

// open sends the header. The server's own timeouts are for requests that end.
func (s streamWriter) open() error {
	_ = s.controller.SetReadDeadline(time.Time{})
	return s.write(": hello\n\n")
}

// write sends text at once.
func (s streamWriter) write(text string) error {
	_ = s.controller.SetWriteDeadline(s.clock.Now().Add(writeTimeout))
	if _, err := io.WriteString(s.writer, text); err != nil {
		return err
	}
	err := s.controller.Flush()
	_ = s.controller.SetWriteDeadline(time.Time{})
	return err
}
