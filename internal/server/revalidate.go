// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"net/http"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

type ifNoneMatchKey struct{}

// withIfNoneMatch keeps which answers a caller has already.
func withIfNoneMatch(ctx context.Context, header http.Header) context.Context {
	if has := header.Get("If-None-Match"); has != "" {
		return context.WithValue(ctx, ifNoneMatchKey{}, has)
	}
	return ctx
}

// isConditional reports whether an operation reads one object, so that its answer has the object's ETag. One that
// chooses its status answers 304 itself.
func isConditional[O any](operation huma.Operation) bool {
	output := reflect.TypeFor[O]()
	if operation.Method != http.MethodGet || output.Kind() != reflect.Struct {
		return false
	}
	_, hasETag := output.FieldByName("ETag")
	_, hasBody := output.FieldByName("Body")
	_, hasStatus := output.FieldByName("Status")
	return hasETag && hasBody && !hasStatus
}

// revalidate adds to the ETag of an answer a part that is of the answer's body, and fails with a *notModified where the
// caller has that answer already. The ETag of the object alone would not do: what the operator reports of it, such as
// whether a change is published, is in the body only, and whoever waits for that must see it.
func revalidate(ctx context.Context, output any) error {
	fields := reflect.ValueOf(output).Elem()
	body, err := json.Marshal(fields.FieldByName("Body").Interface())
	if err != nil {
		return fmt.Errorf("write the body for its ETag: %w", err)
	}
	digest := fnv.New64a()
	_, _ = digest.Write(body) // It never fails.
	etag := fmt.Sprintf(`%s.%x"`, strings.TrimSuffix(fields.FieldByName("ETag").String(), `"`), digest.Sum64())
	fields.FieldByName("ETag").SetString(etag)
	if has, _ := ctx.Value(ifNoneMatchKey{}).(string); MatchesETag(has, etag) {
		return &notModified{etag: etag}
	}
	return nil
}

// stateOf is the part of an ETag that is of the object.
func stateOf(etag string) string {
	if state, _, isLonger := strings.Cut(etag, "."); isLonger {
		return state + `"`
	}
	return etag
}

// notModified is the answer to a caller who has the answer already. It is an error for huma, which writes no body then.
type notModified struct{ etag string }

// Error says what the status says.
func (*notModified) Error() string { return http.StatusText(http.StatusNotModified) }

// GetStatus returns the status, for huma.
func (*notModified) GetStatus() int { return http.StatusNotModified }

// GetHeaders returns the headers that go with the answer, for huma.
func (n *notModified) GetHeaders() http.Header { return http.Header{"Etag": {n.etag}} }
