// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package flagd

import (
	"context"
	"fmt"
	"slices"

	"buf.build/gen/go/open-feature/flagd/connectrpc/go/flagd/evaluation/v1/evaluationv1connect"
	"buf.build/gen/go/open-feature/flagd/connectrpc/go/flagd/evaluation/v2/evaluationv2connect"
	"buf.build/gen/go/open-feature/flagd/connectrpc/go/flagd/sync/v1/syncv1connect"
	"connectrpc.com/connect"
	"connectrpc.com/grpchealth"
	"connectrpc.com/grpcreflect"
)

// services are the names of flagd's services.
var services = []string{
	evaluationv1connect.ServiceName, evaluationv2connect.ServiceName, syncv1connect.FlagSyncServiceName,
}

// mountPublic adds gRPC's own services, which say the same to everybody: whether the replica serves, and what the
// messages of the services look like, which is published. Each address has only so many requests of them.
func (h *handler) mountPublic(options []connect.HandlerOption) {
	options = append(options, connect.WithInterceptors(&limited{h}))
	h.mount(grpchealth.NewHandler(&health{h.store}, options...))
	reflector := grpcreflect.NewStaticReflector(slices.Concat(services, []string{grpchealth.HealthV1ServiceName})...)
	h.mount(grpcreflect.NewHandlerV1(reflector, options...))
	h.mount(grpcreflect.NewHandlerV1Alpha(reflector, options...))
}

// health says whether the replica serves.
type health struct{ store Datafiles }

// Check fails for services that are not there.
func (c *health) Check(_ context.Context, of *grpchealth.CheckRequest) (*grpchealth.CheckResponse, error) {
	switch {
	case of.Service != "" && !slices.Contains(services, of.Service):
		return nil, connect.NewError(connect.CodeNotFound, fmt.Errorf("there is no service %.100q", of.Service))
	case !c.store.Synced():
		return &grpchealth.CheckResponse{Status: grpchealth.StatusNotServing}, nil
	default:
		return &grpchealth.CheckResponse{Status: grpchealth.StatusServing}, nil
	}
}

// limited takes each message out of the bucket of its address.
type limited struct{ *handler }

func (l *limited) take(ctx context.Context) error {
	if refused := l.server.Limits().TakeAddress(exchangeOf(ctx).request); refused != nil {
		return refuse(ctx, refused)
	}
	return nil
}

// WrapUnary limits a request.
func (l *limited) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, request connect.AnyRequest) (connect.AnyResponse, error) {
		if err := l.take(ctx); err != nil {
			return nil, err
		}
		return next(ctx, request)
	}
}

// WrapStreamingHandler limits the requests of a stream.
func (l *limited) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, stream connect.StreamingHandlerConn) error {
		return next(ctx, &limitedStream{StreamingHandlerConn: stream, limited: l, ctx: ctx})
	}
}

// WrapStreamingClient does nothing: these are servers.
func (*limited) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

type limitedStream struct {
	connect.StreamingHandlerConn

	limited *limited
	ctx     context.Context //nolint:containedctx // It lives as long as the stream.
}

// Receive fails where the address has sent too many requests.
func (s *limitedStream) Receive(message any) error {
	if err := s.limited.take(s.ctx); err != nil {
		return err
	}
	return s.StreamingHandlerConn.Receive(message)
}
