// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package ofrep

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/gorilla/securecookie"

	"github.com/jackstaff-dev/jackstaff/internal/replica/store"
	"github.com/jackstaff-dev/jackstaff/internal/server"
	"github.com/jackstaff-dev/jackstaff/internal/server/ofrep/wire"
	"github.com/jackstaff-dev/jackstaff/internal/server/revisions"
)

const (
	// ticketPeriod is how often tickets change, and half of how long one is valid at most.
	ticketPeriod = 15 * time.Minute
	// ticketName is the name under which tickets are sealed, so that nothing else that is sealed with the same key is one.
	ticketName = "ofrep-stream"
)

// tickets are what opens a stream: browsers open it without headers, so that its address holds the key, sealed. All
// clients of a key have the same ticket until the next version or period, so that they need not open their streams
// anew, and sealing costs next to nothing.
type tickets struct {
	codec *securecookie.SecureCookie

	mu     sync.Mutex
	period int64
	// issued are those of the period, by key.
	issued map[string]issued
}

// ticket is what is sealed.
type ticket struct {
	Key string `json:"key"`
	// Version is what the client knows.
	Version revisions.Version `json:"version"`
	Expires time.Time         `json:"expires"`
}

type issued struct {
	version revisions.Version
	sealed  string
}

// periodOf numbers the periods, the same on every replica.
func periodOf(now time.Time) int64 { return now.Unix() / int64(ticketPeriod/time.Second) }

// issue returns a ticket that is valid for one to two periods.
func (t *tickets) issue(key string, version revisions.Version, now time.Time) (string, error) {
	period := periodOf(now)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.period != period {
		t.period, t.issued = period, map[string]issued{}
	}
	if held, known := t.issued[key]; known && held.version == version {
		return held.sealed, nil
	}
	expires := time.Unix((period+2)*int64(ticketPeriod/time.Second), 0).UTC()
	sealed, err := t.codec.Encode(ticketName, ticket{Key: key, Version: version, Expires: expires})
	if err == nil {
		t.issued[key] = issued{version, sealed}
	}
	return sealed, err
}

// open returns what is in a ticket. It fails with an *Error of status 401 where the ticket is forged or too old.
func (t *tickets) open(sealed string, now time.Time) (*ticket, error) {
	opened := &ticket{}
	if err := t.codec.Decode(ticketName, sealed, opened); err != nil || !now.Before(opened.Expires) {
		return nil, &server.Error{
			Status:  http.StatusUnauthorized,
			Message: "the stream's token is not valid; evaluate again",
			Cause:   err,
		}
	}
	return opened, nil
}

// appendStream tells who came with an SDK key where changes are announced. Who came with a Kubernetes token asks again
// with the ETag.
func (h *handler) appendStream(
	to []byte,
	r *http.Request,
	from *origin,
	version revisions.Version,
	now time.Time,
) []byte {
	base := h.server.BaseURL(r)
	if from.sdkKey == "" || base == "" {
		return to
	}
	sealed, err := h.tickets.issue(from.sdkKey, version, now)
	if err != nil {
		return to // Then the client polls.
	}
	to = append(to, `,"eventStreams":[{"type":"sse","url":`...)
	return append(wire.AppendString(to, base+StreamPath+"?token="+url.QueryEscape(sealed)), `}]`...)
}

// change is the data of an event.
type change struct {
	Type string `json:"type"`
	ETag string `json:"etag"`
	// LastModified is in seconds since 1970, and left out where it is not known.
	LastModified int64 `json:"lastModified,omitempty"`
}

// stream announces each version that takes the place of the one that the client knows: what is published, and what a
// schedule changes. It ends when the key is revoked, the environment is deleted or the server stops.
func (h *handler) stream(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD, OPTIONS")
		h.refuse(
			w,
			r,
			"",
			&wire.Failure{Status: http.StatusMethodNotAllowed, Code: wire.General, Details: "streams are opened by GET"},
		)
		return
	}
	opened, err := h.tickets.open(r.URL.Query().Get("token"), h.clock.Now())
	if err != nil {
		if refused := h.server.Limits().TakeAddress(r); refused != nil {
			err = refused
		}
		h.deny(w, r, "", err)
		return
	}
	from, err := h.openByKey(r, opened.Key)
	if err != nil {
		h.deny(w, r, "", err)
		return
	}
	release, err := server.TakeStream(r, from.environment, from.kind)
	if err != nil {
		h.deny(w, r, "", err)
		return
	}
	defer release()
	stream := revisions.Stream{
		Store:       h.store,
		Clock:       h.clock,
		Key:         opened.Key,
		Kind:        from.kind,
		Environment: from.environment,
		Known:       opened.Version,
		Engine:      from.engine,
		Event:       eventOf,
	}
	stream.Serve(w, r)
}

// eventOf tells versions apart by their ETags: the digest of the revision and, where a schedule has changed answers
// since it was published, when.
func eventOf(revision *store.Revision, version revisions.Version) string {
	event := change{Type: "refetchEvaluation", ETag: version.Digest}
	modified := revision.PublishedAt
	if scheduled := time.Unix(version.Instant, 0); version.Instant != 0 && scheduled.After(modified) {
		event.ETag += "@" + strconv.FormatInt(version.Instant, 10)
		modified = scheduled
	}
	if !modified.IsZero() {
		event.LastModified = modified.Unix()
	}
	data, _ := json.Marshal(event) // Strings always have a JSON form.
	return fmt.Sprintf("event: message\ndata: %s\n\n", data)
}
