// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package flagd

import (
	"context"
	"errors"
	"net/http"

	"connectrpc.com/connect"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/jackstaff-dev/jackstaff/internal/replica/store"
	"github.com/jackstaff-dev/jackstaff/internal/server"
)

// codes are the codes of gRPC for the statuses of HTTP. What is not found is no flag, which NOT_FOUND would say.
var codes = map[int]connect.Code{
	http.StatusBadRequest:            connect.CodeInvalidArgument,
	http.StatusUnauthorized:          connect.CodeUnauthenticated,
	http.StatusForbidden:             connect.CodePermissionDenied,
	http.StatusNotFound:              connect.CodePermissionDenied,
	http.StatusRequestEntityTooLarge: connect.CodeResourceExhausted,
	http.StatusTooManyRequests:       connect.CodeResourceExhausted,
	http.StatusServiceUnavailable:    connect.CodeUnavailable,
}

// failure is a refusal in the protocol's words.
func failure(refused *server.Error) *connect.Error {
	code, known := codes[refused.Status]
	if !known {
		code = connect.CodeInternal
	}
	failed := connect.NewError(code, errors.New(refused.Text()))
	if after := refused.GetHeaders().Get("Retry-After"); after != "" {
		failed.Meta().Set("Retry-After", after)
	}
	return failed
}

// refuse is the answer to an error. One that is not for the caller is logged and answered without its cause.
func refuse(ctx context.Context, err error) error {
	failed, refused := (*connect.Error)(nil), (*server.Error)(nil)
	switch {
	case errors.As(err, &failed):
	case errors.As(err, &refused):
		failed = failure(refused)
	case errors.Is(err, store.ErrMembers):
		failed = connect.NewError(connect.CodePermissionDenied, errors.New(
			err.Error()+"; use a server key, evaluate remotely, or set spec.datafile.clientMembers to Allow",
		))
	case errors.Is(err, store.ErrUnpublished):
		failed = connect.NewError(connect.CodeUnavailable, err)
	case ctx.Err() != nil:
		return ctx.Err()
	default:
		log.FromContext(ctx).Error(err, "Request failed")
		return connect.NewError(connect.CodeInternal, errors.New("something went wrong here; the log says what"))
	}
	log.FromContext(ctx).V(1).Info("Request refused", "code", failed.Code().String(), "reason", failed.Message())
	return failed
}
