// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// ifMatch is the header that makes a write hold only for the state of an ETag.
const ifMatch = "If-Match"

// MatchesETag reports whether a header If-Match or If-None-Match names an ETag. The comparison is the weak one, because
// proxies that compress answers make strong ETags weak.
func MatchesETag(header, etag string) bool {
	return matchesAny(header, etag, func(candidate string) string { return candidate })
}

// matchesState reports whether a header If-Match names an object's ETag, be it with the part of the answer in which it
// was read.
func matchesState(header, etag string) bool { return matchesAny(header, etag, stateOf) }

// matchesAny reports whether an ETag is one of a list, of which it compares a part.
func matchesAny(list, etag string, part func(etag string) string) bool {
	etag = strings.TrimPrefix(etag, "W/")
	for {
		candidate, rest, _ := nextETag(list)
		switch part(candidate) {
		case "":
			return false
		case "*", etag:
			return true
		}
		list = rest
	}
}

// nextETag reads the first ETag of a list without its W/, and returns the rest of the list. It is empty at the end of
// the list, and where what comes next is none, which isList tells.
func nextETag(list string) (etag, rest string, isList bool) {
	list = strings.TrimLeft(list, " \t,")
	if list == "" {
		return "", "", true
	}
	end := 1
	if list[0] != '*' {
		list = strings.TrimPrefix(list, "W/")
		if !strings.HasPrefix(list, `"`) {
			return "", "", false
		}
		if end = strings.IndexByte(list[1:], '"') + 2; end < 2 {
			return "", "", false
		}
	}
	rest = strings.TrimLeft(list[end:], " \t")
	if rest != "" && rest[0] != ',' {
		return "", "", false
	}
	return list[:end], rest, true
}

// checkIfMatch fails with an *Error of status 400 where a request has a condition that is none, for the caller believes
// the write to be safe.
func checkIfMatch(operation *huma.Operation, header http.Header) error {
	lines := header.Values(ifMatch)
	if len(lines) == 0 || !slices.ContainsFunc(operation.Parameters, func(parameter *huma.Param) bool {
		return parameter.In == "header" && parameter.Name == ifMatch
	}) {
		return nil
	}
	list := strings.Join(lines, ", ")
	for isEmpty := true; ; isEmpty = false {
		etag, rest, isList := nextETag(list)
		switch {
		case !isList:
			return Errorf(
				http.StatusBadRequest,
				`the header If-Match must have ETags in quotes, such as W/"1-2-3"; send the ETag as the answer had it`,
			)
		case etag == "" && isEmpty:
			return Errorf(
				http.StatusBadRequest,
				"the header If-Match is empty; send the ETag that was read, or leave the header out to write "+
					"without a condition",
			)
		case etag == "":
			return nil
		}
		list = rest
	}
}

// joinConditions makes one line of each condition of a request, whose lines are one list (RFC 9110, section 5.3), so
// that all of it is looked at.
func joinConditions(r *http.Request) *http.Request {
	joined := r
	for _, name := range []string{ifMatch, "If-None-Match"} {
		lines := r.Header.Values(name)
		if len(lines) < 2 {
			continue
		}
		if joined == r {
			joined = r.WithContext(r.Context())
			joined.Header = r.Header.Clone()
		}
		joined.Header.Set(name, strings.Join(lines, ", "))
	}
	return joined
}
