// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package sdk

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	"github.com/jackstaff-dev/jackstaff/internal/replica/store"
	"github.com/jackstaff-dev/jackstaff/internal/server/revisions"
)

// revisionEvent is the data of an event.
type revisionEvent struct {
	Revision int64  `json:"revision"`
	Digest   string `json:"digest"`
}

// stream sends the revision that is served, and each that takes its place, as server-sent events
// (https://html.spec.whatwg.org/multipage/server-sent-events.html). A client that was there before says in
// Last-Event-ID which revision it knows. The stream ends when the key is revoked, the environment is deleted, or the
// request's context ends.
func (h *handler) stream(w http.ResponseWriter, r *http.Request) {
	key := r.PathValue("sdkKey")
	environment, _, found := h.store.ByKey(key)
	if !found {
		unknownKey(w)
		return
	}
	known, _ := strconv.ParseInt(r.Header.Get("Last-Event-ID"), 10, 64) // What is no number is no revision.
	stream := revisions.Stream{
		Store:       h.store,
		Clock:       h.clock,
		Key:         key,
		Environment: environment,
		Known:       revisions.Version{Revision: known},
		Event:       eventOf,
	}
	stream.Serve(w, r)
}

func eventOf(revision *store.Revision, _ revisions.Version) string {
	data, _ := json.Marshal(
		revisionEvent{Revision: revision.Number, Digest: revision.Digest},
	) // Numbers and strings always have a JSON form.
	return fmt.Sprintf("id: %d\ndata: %s\n\n", revision.Number, data)
}
