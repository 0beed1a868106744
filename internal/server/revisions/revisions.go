// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package revisions streams what becomes of an environment as server-sent events
// (https://html.spec.whatwg.org/multipage/server-sent-events.html).
package revisions

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"k8s.io/utils/clock"

	"github.com/jackstaff-dev/jackstaff/internal/replica/store"
	"github.com/jackstaff-dev/jackstaff/sdk/evaluate"
)

const (
	// heartbeat is how often a stream without news says that it is alive. Proxies give up on silent connections after a
	// minute or less.
	heartbeat = 15 * time.Second

	// writeTimeout is how long a write to a stream may take: a client that does not read must not hold the server's
	// memory.
	writeTimeout = 10 * time.Second
)

// Version is what answers depend on, apart from contexts.
type Version struct {
	// Revision is the number of the revision, and 0 where there is none, and for client keys.
	Revision int64 `json:"revision,omitempty"`
	// Digest is that of what the key may see of the revision. After etcd was restored a number may come twice.
	Digest string `json:"digest,omitempty"`
	// Instant is when a schedule changed answers last, in seconds since 1970, and 0 where none has or none counts.
	Instant int64 `json:"instant,omitempty"`
}

// ID names the version in events. Whoever knows it knows what the key may see.
func (v Version) ID() string {
	digest := strings.TrimPrefix(v.Digest, "sha256:")
	if v.Revision == 0 {
		return digest
	}
	return strconv.FormatInt(v.Revision, 10) + "-" + digest
}

// VersionOf is the version of a revision whose flags an engine evaluates now, and when that ends, which is zero where
// no schedule ends it. A nil engine means that schedules do not count.
func VersionOf(
	revision *store.Revision,
	kind store.KeyKind,
	engine *evaluate.Engine,
	now time.Time,
) (version Version, until time.Time) {
	version.Digest = revision.Seen(kind)
	if kind != store.ClientKey {
		version.Revision = revision.Number
	}
	if engine == nil {
		return version, time.Time{}
	}
	last, until := engine.Instants(now)
	if !last.IsZero() {
		version.Instant = last.Unix()
	}
	return version, until
}

// Stream is what one client is told of an environment.
type Stream struct {
	// Store says what the key opens.
	Store *store.Store
	// Clock paces the heartbeats, and says when a schedule has come.
	Clock clock.WithTicker
	// Key is the SDK key that opened the stream, of which Kind, and Environment what it opens.
	Key         string
	Kind        store.KeyKind
	Environment *store.Environment
	// Known is the version that the client knows, or LastEvent the ID of it.
	Known     Version
	LastEvent string
	// Engine returns what evaluates for the client. Nil means that the client evaluates itself, and is not told of
	// schedules.
	Engine func(*store.Revision) *evaluate.Engine
	// Event writes a version of a revision as an event.
	Event func(*store.Revision, Version) string
}

// Serve sends each version that takes the place of the one that the client knows. It ends when the key is revoked, the
// environment is deleted, or the request's context ends.
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
		revision := s.Environment.Revision()
		version, until := s.version(revision)
		if version != s.Known && !s.knows(version) {
			if s.send(w, s.Event(revision, version)) != nil {
				return
			}
		}
		s.Known, s.LastEvent = version, ""
		select {
		case <-changed:
		case <-s.at(until):
		case <-ticker.C():
			if s.send(w, ": still here\n\n") != nil {
				return
			}
		case <-r.Context().Done():
			return
		}
	}
}

// knows reports whether the client knows a version by what its last event was called.
func (s *Stream) knows(version Version) bool { return s.LastEvent != "" && s.LastEvent == version.ID() }

func (s *Stream) version(revision *store.Revision) (version Version, until time.Time) {
	var engine *evaluate.Engine
	if s.Engine != nil {
		engine = s.Engine(revision)
	}
	return VersionOf(revision, s.Kind, engine, s.Clock.Now())
}

// at returns a channel that receives at an instant, and never where it is zero.
func (s *Stream) at(instant time.Time) <-chan time.Time {
	if instant.IsZero() {
		return nil
	}
	return s.Clock.After(instant.Sub(s.Clock.Now()))
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
