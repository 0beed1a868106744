// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/danielgtaylor/huma/v2"

	"github.com/jackstaff-dev/jackstaff/internal/builders"
)

// A dashboard that asks again for what it has must not get all of it, and one that waits until a change is published
// must see that it is, though the flag's manifest, and so what If-Match takes, is the same.
func TestAReadOfWhatTheCallerHasIsNotModified(t *testing.T) {
	type shown struct {
		ETag string `header:"ETag"`
		Body struct {
			IsPending bool `json:"isPending"`
		}
	}
	flag, isPending := builders.MakeFlag("checkout", "shop").Boolean().Obj(), true
	view := NewView(nil, "example", "An example.", "application/json", func(e *Error) string { return e.Text() })
	show := func(context.Context, *struct{}) (*shown, error) {
		answer := &shown{ETag: ETag(flag)}
		answer.Body.IsPending = isPending
		return answer, nil
	}
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		operation := huma.Operation{OperationID: method, Method: method, Path: "/flag"}
		Register(view, LimitsItself(Public(operation)), show)
	}
	call := func(method, condition string) *httptest.ResponseRecorder {
		request := httptest.NewRequestWithContext(t.Context(), method, "/flag", nil)
		if condition != "" {
			request.Header.Set("If-None-Match", condition)
		}
		answer := httptest.NewRecorder()
		view.ServeHTTP(answer, request)
		return answer
	}
	etag := call(http.MethodGet, "").Header().Get("ETag")
	for condition, want := range map[string]int{
		"": http.StatusOK, etag: http.StatusNotModified, etag[len("W/"):]: http.StatusNotModified,
		`"x", ` + etag: http.StatusNotModified, "*": http.StatusNotModified, `"x"`: http.StatusOK, ETag(flag): http.StatusOK,
	} {
		answer := call(http.MethodGet, condition)
		if answer.Code != want || (want == http.StatusNotModified) != (answer.Body.Len() == 0) {
			t.Errorf("%s is answered with %d: %s", condition, answer.Code, answer.Body)
		}
		if got := answer.Header().Get("ETag"); got != etag {
			t.Errorf("%s is answered with the ETag %s, and not %s", condition, got, etag)
		}
	}
	if answer := call(http.MethodPost, etag); answer.Code != http.StatusOK || answer.Header().Get("ETag") != ETag(flag) {
		t.Errorf("a write is answered with %d and %s", answer.Code, answer.Header())
	}
	isPending = false
	if answer := call(http.MethodGet, etag); answer.Code != http.StatusOK {
		t.Errorf("the flag was published, and the answer is %d", answer.Code)
	}
	if err := matches(t.Context(), flag, etag); err != nil {
		t.Errorf("a write with what was read is refused: %v", err)
	}
	flag.Generation++
	if err := matches(t.Context(), flag, etag); !hasStatus(err, http.StatusPreconditionFailed) {
		t.Errorf("a write over what somebody has changed is answered with %v", err)
	}
}

// A client that writes with If-None-Match: * means to make what is not there yet, and must not overwrite what is.
func TestAWriteOfWhatIsNotToBeThereIsRefused(t *testing.T) {
	flag := builders.MakeFlag("checkout", "shop").Boolean().Obj()
	for condition, isRefused := range map[string]bool{
		"": false, `"x"`: false, "*": true, ETag(flag): true, `"x", ` + ETag(flag): true, ETag(flag)[len("W/"):]: true,
	} {
		ctx := withIfNoneMatch(t.Context(), http.Header{"If-None-Match": {condition}})
		if err := matches(ctx, flag, "*"); hasStatus(err, http.StatusPreconditionFailed) != isRefused {
			t.Errorf("If-None-Match: %s is answered with %v", condition, err)
		}
	}
}
