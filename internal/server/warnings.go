// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/validation"
)

const (
	// maxWarnings is how many warnings an answer has at most. The last one says that there are more.
	maxWarnings = 10
	// maxWarning is the size of the text of a warning, in bytes.
	maxWarning = 400
)

// warnings are those of an answer that is not written yet.
type warnings struct {
	mu     sync.Mutex
	header http.Header
}

type warningsKey struct{}

// withWarnings lets look-ups warn of what they find, in the header Warning of the answer.
func withWarnings(ctx context.Context, header http.Header) context.Context {
	return context.WithValue(ctx, warningsKey{}, &warnings{header: header})
}

// warnUnreadable warns of an object of which only what fits this version is known, so that nobody takes what is shown
// of it for all of it.
func warnUnreadable(ctx context.Context, kind string, object v1alpha1.Object) {
	problem := v1alpha1.Undecodable(object)
	if problem == "" {
		return
	}
	name := object.GetName()
	if keyed, has := any(object).(interface{ Key() string }); has {
		name = keyed.Key()
	}
	warn(ctx, fmt.Sprintf(
		"%s %q is shown only as far as it fits this version of the server, and cannot be written; mend it with kubectl: %s",
		kind, name, problem,
	))
}

// warn adds a warning once, with the code that RFC 7234 has for those that persist.
func warn(ctx context.Context, text string) {
	collected, is := ctx.Value(warningsKey{}).(*warnings)
	if !is {
		return
	}
	collected.mu.Lock()
	defer collected.mu.Unlock()
	value := "299 jackstaff " + strconv.QuoteToASCII(validation.Truncate(text, maxWarning))
	given := collected.header.Values("Warning")
	switch {
	case len(given) >= maxWarnings || slices.Contains(given, value):
	case len(given) == maxWarnings-1:
		collected.header.Add("Warning", `299 jackstaff "there is more like this"`)
	default:
		collected.header.Add("Warning", value)
	}
}
