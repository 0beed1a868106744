// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import "strings"

// MatchesETag reports whether a header If-Match or If-None-Match names an ETag. The comparison is the weak one, because
// proxies that compress answers make strong ETags weak.
func MatchesETag(header, etag string) bool {
	etag = strings.TrimPrefix(etag, "W/")
	for candidate := range strings.SplitSeq(header, ",") {
		candidate = strings.TrimSpace(candidate)
		if candidate == "*" || strings.TrimPrefix(candidate, "W/") == etag {
			return true
		}
	}
	return false
}
