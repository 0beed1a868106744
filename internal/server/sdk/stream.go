// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package sdk

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"

	"github.com/jackstaff-dev/jackstaff/internal/replica/store"
	"github.com/jackstaff-dev/jackstaff/internal/server"
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
	environment, kind, found := h.store.ByKey(key)
	if !found {
		unknownKey(w)
		return
	}
	release, err := server.TakeStream(r, environment, kind)
	if refused := (*server.Error)(nil); errors.As(err, &refused) {
		maps.Copy(w.Header(), refused.GetHeaders())
		fail(w, refused.Status, refused.Text())
		return
	}
	defer release()
	stream := revisions.Stream{
		Store:       h.store,
		Clock:       h.clock,
		Key:         key,
		Environment: environment,
		Kind:        kind,
		LastEvent:   r.Header.Get("Last-Event-ID"),
		Event:       eventOf,
	}
	stream.Serve(w, r)
}

func eventOf(revision *store.Revision, version revisions.Version) string {
	data, _ := json.Marshal(
		revisionEvent{Revision: revision.Number, Digest: version.Digest},
	) // Numbers and strings always have a JSON form.
	return fmt.Sprintf("id: %s\ndata: %s\n\n", version.ID(), data)
}
