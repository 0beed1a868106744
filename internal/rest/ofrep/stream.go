// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package ofrep

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/gorilla/securecookie"
	"k8s.io/utils/clock"

	"github.com/jackstaff-dev/jackstaff/internal/ofrep"
	"github.com/jackstaff-dev/jackstaff/internal/rest"
	"github.com/jackstaff-dev/jackstaff/internal/serving"
)

const (
	// ticketLifetime is how long after an evaluation a client may open the stream that the answer names.
	ticketLifetime = 10 * time.Minute
	// heartbeat is how often a stream without news says that it is alive.
	heartbeat = 15 * time.Second
	// writeTimeout is how long a write to a stream may take.
	writeTimeout = 10 * time.Second
	// ticketName is the name under which tickets are sealed, so that nothing else that is sealed with the same key is one.
	ticketName = "ofrep-stream"
)

// tickets are what opens a stream: browsers open it without headers, so that its address holds the key, sealed.
type tickets struct {
	codec *securecookie.SecureCookie
	clock clock.PassiveClock
}

type ticket struct {
	Key     string    `json:"key"`
	Expires time.Time `json:"expires"`
}

func newTickets(codec *securecookie.SecureCookie, passive clock.PassiveClock) *tickets {
	return &tickets{codec: codec, clock: passive}
}

func (t *tickets) issue(key string) (string, error) {
	return t.codec.Encode(ticketName, ticket{Key: key, Expires: t.clock.Now().Add(ticketLifetime)})
}

// key is the key of a ticket. It fails where the ticket is forged or too old.
func (t *tickets) key(sealed string) (string, error) {
	opened := ticket{}
	if err := t.codec.Decode(ticketName, sealed, &opened); err != nil || !t.clock.Now().Before(opened.Expires) {
		return "", &rest.Error{Status: http.StatusUnauthorized, Message: "the stream's token is not valid any more; evaluate again", Cause: err}
	}
	return opened.Key, nil
}

// appendStream tells who came with an SDK key where changes are announced. Who came with a Kubernetes token asks again with the ETag.
func (h *handler) appendStream(to []byte, r *http.Request, from *origin) []byte {
	if from.sdkKey == "" {
		return to
	}
	sealed, err := h.streams.issue(from.sdkKey)
	if err != nil {
		return to // Then the client polls.
	}
	address := url.URL{Scheme: "http", Host: r.Host, Path: StreamPath, RawQuery: url.Values{"token": {sealed}}.Encode()}
	if r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https" {
		address.Scheme = "https"
	}
	to = append(to, `,"eventStreams":[{"type":"sse","url":`...)
	return append(ofrep.AppendString(to, address.String()), `}]`...)
}

// change is the data of an event.
type change struct {
	Type         string `json:"type"`
	ETag         string `json:"etag"`
	LastModified string `json:"lastModified,omitempty"`
}

// stream announces each revision that takes the place of another. It ends when the key is revoked, the environment is deleted or the
// server stops.
func (h *handler) stream(w http.ResponseWriter, r *http.Request) {
	key, err := h.streams.key(r.URL.Query().Get("token"))
	if err != nil {
		h.deny(w, r, err)
		return
	}
	environment, _, ok := h.store.ByKey(key)
	if !ok {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	header := w.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Accel-Buffering", "no") // nginx would gather what is to arrive at once.
	if h.send(w, ": hello\n\n") != nil {
		return
	}
	known := environment.Revision()
	ticker := h.clock.NewTicker(heartbeat)
	defer ticker.Stop()
	for {
		changed := environment.Changed()
		if opened, _, found := h.store.ByKey(key); !found || opened != environment {
			return
		}
		if revision := environment.Revision(); revision != known {
			if h.send(w, eventOf(revision)) != nil {
				return
			}
			known = revision
		}
		select {
		case <-changed:
		case <-ticker.C():
			if h.send(w, ": still here\n\n") != nil {
				return
			}
		case <-r.Context().Done():
			return
		}
	}
}

func eventOf(revision *serving.Revision) string {
	event := change{Type: "refetchEvaluation", ETag: revision.Digest}
	if !revision.PublishedAt.IsZero() {
		event.LastModified = revision.PublishedAt.UTC().Format(http.TimeFormat)
	}
	data, _ := json.Marshal(event) // Strings always have a JSON form.
	return fmt.Sprintf("event: message\ndata: %s\n\n", data)
}

// send writes to a stream at once. A connection that has no deadlines needs none.
func (h *handler) send(w http.ResponseWriter, text string) error {
	controller := http.NewResponseController(w)
	_ = controller.SetWriteDeadline(h.clock.Now().Add(writeTimeout))
	if _, err := io.WriteString(w, text); err != nil {
		return err
	}
	err := controller.Flush()
	_ = controller.SetWriteDeadline(time.Time{})
	return err
}
