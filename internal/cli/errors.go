// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
)

// explained says in one line what failed and what to do, of failures whose own words do not.
func explained(err error) string {
	unreachable, network, stored := (*url.Error)(nil), net.Error(nil), (*storedError)(nil)
	switch {
	case errors.As(err, &stored):
		return stored.Error()
	case errors.Is(err, context.Canceled):
		return interrupted(err)
	case admissionIsAway(err):
		return fmt.Sprintf(
			"admission does not answer, so that the API server refuses every change of flags: %s; see whether the "+
				"operator runs, or add --break-glass to \"jackstaff toggle\" with --off or --brake, or to \"jackstaff rollback\", "+
				"which changes what is served without it",
			lastWords(err),
		)
	case meta.IsNoMatchError(err):
		return fmt.Sprintf(
			"the cluster does not have the Kind %s; where it had, what is served stays, \"jackstaff toggle FLAG -n "+
				"NAMESPACE -e ENVIRONMENT --off --break-glass\" switches a flag off in it, and the definition and its objects are "+
				"to be restored, as docs/spec/flagenvironment.md says; where it never had, install Jackstaff, or choose another "+
				"cluster with --context: %v",
			missingKind(err),
			err,
		)
	case errors.As(err, &unreachable) && errors.As(err, &network):
		host := unreachable.URL
		if address, parseErr := url.Parse(unreachable.URL); parseErr == nil {
			host = address.Host
		}
		return fmt.Sprintf(
			"the cluster at %s does not answer: %s; choose another one with --context or --server",
			host,
			lastWords(unreachable.Err),
		)
	case apierrors.IsUnauthorized(err):
		return fmt.Sprintf(
			"the cluster does not know the user: %v; log in again, or choose another user with --context or --user",
			err,
		)
	}
	return err.Error()
}

// storedError says that a change is stored while nobody knows whether it is served.
type storedError struct {
	// what is the change, why is why nothing is known, and shows is the command line that shows whether it is served.
	what, why, shows string
	cause            error
}

func (e *storedError) Error() string {
	return fmt.Sprintf("%s is stored, and %s; %s shows whether it is served", e.what, e.why, e.shows)
}

func (e *storedError) Unwrap() error { return e.cause }

// interrupted says what is known where the user has interrupted a request.
func interrupted(err error) string {
	request := (*url.Error)(nil)
	if !errors.As(err, &request) || request.Op == "Get" {
		return "interrupted before the cluster had answered"
	}
	return "interrupted before the cluster had answered: whether the change is stored is not known; look with " +
		"\"jackstaff status\" or \"jackstaff log\" before you make it again"
}

// missingKind names what an error says that the API server does not have.
func missingKind(err error) string {
	noKind, noResource := (*meta.NoKindMatchError)(nil), (*meta.NoResourceMatchError)(nil)
	switch {
	case errors.As(err, &noKind):
		return strings.TrimSuffix(noKind.GroupKind.Kind, "List")
	case errors.As(err, &noResource):
		return noResource.PartialResource.GroupResource().String()
	}
	return "that was asked for"
}

// admissionIsAway reports whether the API server refused a request because its webhook does not answer.
func admissionIsAway(err error) bool {
	return apierrors.IsInternalError(err) && strings.Contains(err.Error(), "failed calling webhook")
}

// lastWords is the innermost cause of an error, where the rest of it says which request failed.
func lastWords(err error) string {
	text := err.Error()
	if i := strings.LastIndex(text, "\": "); i >= 0 {
		text = text[i+len("\": "):]
	}
	return strings.TrimSpace(text)
}
