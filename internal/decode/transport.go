// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package decode

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"

	"k8s.io/client-go/rest"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// apiPath is in the path of every request for an object of the Kinds.
var apiPath = "/apis/" + v1alpha1.GroupVersion.String() + "/"

// Tolerate has every client of a configuration read objects one by one: those that do not fit come marked, in answers,
// in lists and in watches.
func Tolerate(config *rest.Config) {
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return tolerant{next} })
}

// tolerant marks what does not fit in the API server's answers. All others pass as they are.
type tolerant struct{ next http.RoundTripper }

// RoundTrip sends a request and reads what is answered.
func (t tolerant) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := t.next.RoundTrip(request)
	if err != nil || !concerns(request, response) {
		return response, err
	}
	if isWatch := request.URL.Query().Get("watch"); isWatch == "true" || isWatch == "1" {
		response.Body = &events{source: response.Body, decoder: json.NewDecoder(response.Body)}
		return response, nil
	}
	data, err := io.ReadAll(response.Body)
	if closeErr := response.Body.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return nil, fmt.Errorf("read the answer to %s %s: %w", request.Method, request.URL.Path, err)
	}
	data = mark(data)
	response.Body = io.NopCloser(bytes.NewReader(data))
	response.ContentLength = int64(len(data))
	response.Header.Del("Content-Length")
	return response, nil
}

// WrappedRoundTripper is what sends the requests, for client-go, which looks for it.
func (t tolerant) WrappedRoundTripper() http.RoundTripper { return t.next }

// concerns reports whether an answer may hold objects of the Kinds, as JSON.
func concerns(request *http.Request, response *http.Response) bool {
	_, rest, ours := strings.Cut(request.URL.Path, apiPath)
	if !ours || response.StatusCode < 200 || response.StatusCode > 299 {
		return false
	}
	segments := strings.Split(rest, "/")
	if !slices.ContainsFunc(v1alpha1.Kinds, func(kind v1alpha1.Kind) bool {
		return slices.Contains(segments[:min(len(segments), 3)], kind.Resource)
	}) {
		return false
	}
	mediaType, _, err := mime.ParseMediaType(response.Header.Get("Content-Type"))
	return err == nil && mediaType == "application/json"
}

// document is an object or a list as far as it says what it is.
type document struct {
	APIVersion string            `json:"apiVersion"`
	Kind       string            `json:"kind"`
	Metadata   json.RawMessage   `json:"metadata,omitempty"`
	Items      []json.RawMessage `json:"items"`
}

// mark marks what does not fit in an object or a list, and returns anything else as it is.
func mark(data []byte) []byte {
	var of document
	if err := json.Unmarshal(data, &of); err != nil || of.APIVersion != v1alpha1.GroupVersion.String() {
		return data
	}
	if kind, is := v1alpha1.KindNamed(of.Kind); is {
		marked, _ := markObject(kind, data)
		return marked
	}
	kind, is := v1alpha1.KindNamed(strings.TrimSuffix(of.Kind, "List"))
	if !is {
		return data
	}
	changed := false
	for i, item := range of.Items {
		marked, isMarked := markObject(kind, item)
		of.Items[i], changed = marked, changed || isMarked
	}
	if !changed {
		return data
	}
	list, err := json.Marshal(&of)
	if err != nil {
		return data
	}
	return list
}

// markObject returns the JSON of one object that fits, and reports whether that is not what was stored. What has no
// readable metadata stays, for nobody could say whose it is.
func markObject(kind v1alpha1.Kind, data []byte) ([]byte, bool) {
	found := kind.New()
	whole, err := object(data, found)
	if whole || err != nil {
		return data, false
	}
	found.GetObjectKind().SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(kind.Name))
	marked, err := json.Marshal(found)
	if err != nil {
		return data, false
	}
	return marked, true
}

// events is the body of a watch, of which each event is read by itself.
type events struct {
	source  io.ReadCloser
	decoder *json.Decoder
	// rest is what was read of an event and not given on yet.
	rest []byte
}

// Read reads from the event at hand, else from the next one.
func (e *events) Read(into []byte) (int, error) {
	if len(e.rest) == 0 {
		var raw json.RawMessage
		if err := e.decoder.Decode(&raw); err != nil {
			return 0, err //nolint:wrapcheck // A reader's errors say when it ends.
		}
		e.rest = append(markEvent(raw), '\n')
	}
	n := copy(into, e.rest)
	e.rest = e.rest[n:]
	return n, nil
}

// Close ends the watch.
func (e *events) Close() error { return e.source.Close() } //nolint:wrapcheck // It is the answer's own body.

func markEvent(raw json.RawMessage) []byte {
	var event struct {
		Type   string          `json:"type"`
		Object json.RawMessage `json:"object"`
	}
	if err := json.Unmarshal(raw, &event); err != nil {
		return raw
	}
	var of document
	if err := json.Unmarshal(event.Object, &of); err != nil || of.APIVersion != v1alpha1.GroupVersion.String() {
		return raw
	}
	kind, is := v1alpha1.KindNamed(of.Kind)
	if !is {
		return raw
	}
	marked, changed := markObject(kind, event.Object)
	if !changed {
		return raw
	}
	event.Object = marked
	data, err := json.Marshal(&event)
	if err != nil {
		return raw
	}
	return data
}
