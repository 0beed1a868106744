// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package flagd

import (
	"context"

	v2 "buf.build/gen/go/open-feature/flagd/protocolbuffers/go/flagd/evaluation/v2"
	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// evaluationV2 is flagd.evaluation.v2.Service. Its answers have neither value nor variant where a flag leaves the value
// to the code.
type evaluationV2 struct{ *handler }

// ResolveBoolean evaluates a flag of type Boolean.
func (s *evaluationV2) ResolveBoolean(
	ctx context.Context,
	request *connect.Request[v2.ResolveBooleanRequest],
) (*connect.Response[v2.ResolveBooleanResponse], error) {
	said, err := s.resolve(ctx, request.Msg, datafile.Boolean)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&v2.ResolveBooleanResponse{
		Value: valueOf[bool](said), Variant: said.variant, Reason: said.reason, Metadata: said.metadata,
	}), nil
}

// ResolveString evaluates a flag of type String.
func (s *evaluationV2) ResolveString(
	ctx context.Context,
	request *connect.Request[v2.ResolveStringRequest],
) (*connect.Response[v2.ResolveStringResponse], error) {
	said, err := s.resolve(ctx, request.Msg, datafile.String)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&v2.ResolveStringResponse{
		Value: valueOf[string](said), Variant: said.variant, Reason: said.reason, Metadata: said.metadata,
	}), nil
}

// ResolveFloat evaluates a flag of type Number.
func (s *evaluationV2) ResolveFloat(
	ctx context.Context,
	request *connect.Request[v2.ResolveFloatRequest],
) (*connect.Response[v2.ResolveFloatResponse], error) {
	said, err := s.resolve(ctx, request.Msg, datafile.Number)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&v2.ResolveFloatResponse{
		Value: valueOf[float64](said), Variant: said.variant, Reason: said.reason, Metadata: said.metadata,
	}), nil
}

// ResolveInt evaluates a flag of type Number, without the fraction of its value.
func (s *evaluationV2) ResolveInt(
	ctx context.Context,
	request *connect.Request[v2.ResolveIntRequest],
) (*connect.Response[v2.ResolveIntResponse], error) {
	said, err := s.resolve(ctx, request.Msg, datafile.Number)
	if err != nil {
		return nil, err
	}
	value, err := said.integer()
	if err != nil {
		return nil, refuse(ctx, err)
	}
	return connect.NewResponse(&v2.ResolveIntResponse{
		Value: value, Variant: said.variant, Reason: said.reason, Metadata: said.metadata,
	}), nil
}

// ResolveObject evaluates a flag of type JSON whose value is an object.
func (s *evaluationV2) ResolveObject(
	ctx context.Context,
	request *connect.Request[v2.ResolveObjectRequest],
) (*connect.Response[v2.ResolveObjectResponse], error) {
	said, err := s.resolve(ctx, request.Msg, datafile.JSON)
	if err != nil {
		return nil, err
	}
	value, err := said.object()
	if err != nil {
		return nil, refuse(ctx, err)
	}
	return connect.NewResponse(&v2.ResolveObjectResponse{
		Value: value, Variant: said.variant, Reason: said.reason, Metadata: said.metadata,
	}), nil
}

// EventStream announces changes.
func (s *evaluationV2) EventStream(
	ctx context.Context,
	_ *connect.Request[v2.EventStreamRequest],
	stream *connect.ServerStream[v2.EventStreamResponse],
) error {
	return s.events(ctx, func(event string, data *structpb.Struct) error {
		return stream.Send(&v2.EventStreamResponse{Type: event, Data: data})
	})
}
