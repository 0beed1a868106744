// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"maps"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/jackstaff-dev/jackstaff/sdk/evaluate"
)

// Set is what answers: the flags of a revision of an environment.
type Set struct {
	// ID names the environment.
	ID string
	// Revision is the number of the revision.
	Revision int64
}

// AppendMembers appends the members flagSetId and version of metadata, as OpenTelemetry's conventions name them.
func (s Set) AppendMembers(to []byte) []byte {
	to = append(AppendString(append(to, `"flagSetId":`...), s.ID), `,"version":"`...)
	return append(strconv.AppendInt(to, s.Revision, 10), '"')
}

// AppendAnswer is AppendResult for the answer for one flag alone, whose metadata also say which set answers. What the
// flag's author says by the same names goes before.
func AppendAnswer(to []byte, result *evaluate.Result, withMetadata bool, of Set) []byte {
	if withMetadata && len(result.Flag.Metadata) > 0 {
		metadata := map[string]string{"flagSetId": of.ID, "version": strconv.FormatInt(of.Revision, 10)}
		maps.Copy(metadata, result.Flag.Metadata)
		to = AppendResult(to, result, false)
		return append(appendMetadata(append(to[:len(to)-1], `,"metadata":`...), metadata), '}')
	}
	to = AppendResult(to, result, false)
	return append(of.AppendMembers(append(to[:len(to)-1], `,"metadata":{`...)), "}}"...)
}

// AppendResult appends the answer for a flag that was found. It has no value and no variant only where the flag leaves
// the value to the code: clients of OFREP 0.2 and later use the code's default then, and older ones, for which that is
// an error, do so too.
func AppendResult(to []byte, result *evaluate.Result, withMetadata bool) []byte {
	to = AppendString(append(to, `{"key":`...), result.Flag.Key)
	to = append(append(append(to, `,"reason":"`...), reasonOf(result.Reason)...), `"`...)
	if result.Variation != nil {
		to = AppendString(append(to, `,"variant":`...), result.Variation.Key)
		to = append(append(to, `,"value":`...), result.Variation.JSON...)
	}
	if len(result.Flag.Metadata) > 0 && withMetadata {
		to = appendMetadata(append(to, `,"metadata":`...), result.Flag.Metadata)
	}
	return append(to, '}')
}

// reasonOf is the protocol's word for a reason: it has none for a prerequisite.
func reasonOf(reason evaluate.Reason) evaluate.Reason {
	if reason == evaluate.PrerequisiteFailed {
		return evaluate.Default
	}
	return reason
}

func appendMetadata(to []byte, metadata map[string]string) []byte {
	to = append(to, '{')
	for i, name := range slices.Sorted(maps.Keys(metadata)) {
		if i > 0 {
			to = append(to, ',')
		}
		to = AppendString(append(AppendString(to, name), ':'), metadata[name])
	}
	return append(to, '}')
}

// AppendFailure appends the answer for a request that failed. Key is that of the flag, and empty where all flags were
// asked for.
func AppendFailure(to []byte, key string, failed *Failure) []byte {
	to = append(to, '{')
	if key != "" {
		to = append(AppendString(append(to, `"key":`...), key), ',')
	}
	to = AppendString(append(to, `"errorCode":`...), string(failed.Code))
	return append(AppendString(append(to, `,"errorDetails":`...), failed.Details), '}')
}

// AppendString appends a JSON string.
func AppendString(to []byte, text string) []byte {
	if isPlain(text) {
		return append(append(append(to, '"'), text...), '"')
	}
	to, _ = jsontext.AppendQuote(
		to,
		text,
	) // What is not UTF-8 becomes U+FFFD, which is all that can be said of it in JSON.
	return to
}

// isPlain says whether a text stands in JSON as it is, as keys do.
func isPlain(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}
