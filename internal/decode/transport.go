// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package decode

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	utiljson "k8s.io/apimachinery/pkg/util/json"
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
	if err != nil {
		return response, err
	}
	kind, isOfMany, concerns := concerned(request, response)
	if !concerns {
		return response, nil
	}
	if isWatch := request.URL.Query().Get("watch"); isWatch == "true" || isWatch == "1" {
		response.Body = newEvents(kind, response.Body)
		return response, nil
	}
	data, err := io.ReadAll(response.Body)
	if closeErr := response.Body.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return nil, fmt.Errorf("read the answer to %s %s: %w", request.Method, request.URL.Path, err)
	}
	if !isOfMany || !isWholeList(kind, data) {
		data = mark(data)
	}
	response.Body = io.NopCloser(bytes.NewReader(data))
	response.ContentLength = int64(len(data))
	response.Header.Del("Content-Length")
	return response, nil
}

// WrappedRoundTripper is what sends the requests, for client-go, which looks for it.
func (t tolerant) WrappedRoundTripper() http.RoundTripper { return t.next }

// concerned reports whether an answer may hold objects of the Kinds, as JSON, of which Kind, and whether it is a list.
func concerned(request *http.Request, response *http.Response) (kind v1alpha1.Kind, isList, concerns bool) {
	_, rest, ours := strings.Cut(request.URL.Path, apiPath)
	if !ours || response.StatusCode < 200 || response.StatusCode > 299 {
		return kind, false, false
	}
	if inNamespace, is := strings.CutPrefix(rest, "namespaces/"); is {
		_, rest, _ = strings.Cut(inNamespace, "/")
	}
	resource, name, _ := strings.Cut(rest, "/")
	i := slices.IndexFunc(v1alpha1.Kinds, func(kind v1alpha1.Kind) bool { return kind.Resource == resource })
	mediaType, _, err := mime.ParseMediaType(response.Header.Get("Content-Type"))
	if i < 0 || err != nil || mediaType != "application/json" {
		return kind, false, false
	}
	return v1alpha1.Kinds[i], name == "" && request.Method == http.MethodGet, true
}

// isWholeList reports whether every object of a list fits and bears no mark, as in nearly all. It takes what the client
// itself takes to read the list.
func isWholeList(kind v1alpha1.Kind, data []byte) bool {
	list := kind.NewList()
	if err := utiljson.Unmarshal(data, list); err != nil {
		return false
	}
	errMarked := errors.New("marked")
	return meta.EachListItem(list, func(item runtime.Object) error {
		if object, is := item.(v1alpha1.Object); is && isMarked(object) {
			return errMarked
		}
		return nil
	}) == nil
}

func isMarked(object v1alpha1.Object) bool {
	_, marked := object.GetAnnotations()[v1alpha1.UndecodableAnnotation]
	return marked
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

// events is the body of a watch, of which each event is read by itself. The API server writes each on a line of its
// own, and JSON has no line breaks in strings. Whatever has another form passes as it is.
type events struct {
	kind   v1alpha1.Kind
	source io.Closer
	lines  *bufio.Reader
	// rest is what was read of an event and not given on yet, and err is how the source has ended.
	rest []byte
	err  error
}

func newEvents(kind v1alpha1.Kind, source io.ReadCloser) *events {
	return &events{kind: kind, source: source, lines: bufio.NewReaderSize(source, lineBuffer)}
}

// lineBuffer is how much of a watch is read at once, in bytes.
const lineBuffer = 32 << 10

// Read reads from the event at hand, else from the next one.
func (e *events) Read(into []byte) (int, error) {
	if len(e.rest) == 0 {
		if e.err != nil {
			return 0, e.err
		}
		var line []byte
		if line, e.err = e.lines.ReadBytes('\n'); len(line) == 0 {
			return 0, e.err
		}
		if !isWholeEvent(e.kind, line) {
			line = markEvent(line)
		}
		e.rest = line
	}
	n := copy(into, e.rest)
	e.rest = e.rest[n:]
	return n, nil
}

// Close ends the watch.
func (e *events) Close() error { return e.source.Close() }

// isWholeEvent reports whether the object of an event fits and bears no mark, as in nearly all.
func isWholeEvent(kind v1alpha1.Kind, raw json.RawMessage) bool {
	event := struct {
		Object v1alpha1.Object `json:"object"`
	}{kind.New()}
	return utiljson.Unmarshal(raw, &event) == nil && event.Object != nil && !isMarked(event.Object)
}

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
	return append(data, '\n')
}
