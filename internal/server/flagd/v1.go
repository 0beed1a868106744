// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package flagd

import (
	"context"

	v1 "buf.build/gen/go/open-feature/flagd/protocolbuffers/go/flagd/evaluation/v1"
	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// evaluationV1 is flagd.evaluation.v1.Service. Its answers always have a value: a flag that leaves the value to the
// code is not found, so that clients use the code's.
type evaluationV1 struct{ *handler }

// resolve fails where there is no value.
func (s *evaluationV1) resolve(ctx context.Context, asked question, of datafile.FlagType) (*answer, error) {
	said, err := s.handler.resolve(ctx, asked, of)
	if err == nil && said.variant == nil {
		return nil, refuse(ctx, errCodeDefault)
	}
	return said, err
}

// ResolveBoolean evaluates a flag of type Boolean.
func (s *evaluationV1) ResolveBoolean(
	ctx context.Context,
	request *connect.Request[v1.ResolveBooleanRequest],
) (*connect.Response[v1.ResolveBooleanResponse], error) {
	said, err := s.resolve(ctx, request.Msg, datafile.Boolean)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&v1.ResolveBooleanResponse{
		Value: *valueOf[bool](said), Variant: *said.variant, Reason: said.reason, Metadata: said.metadata,
	}), nil
}

// ResolveString evaluates a flag of type String.
func (s *evaluationV1) ResolveString(
	ctx context.Context,
	request *connect.Request[v1.ResolveStringRequest],
) (*connect.Response[v1.ResolveStringResponse], error) {
	said, err := s.resolve(ctx, request.Msg, datafile.String)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&v1.ResolveStringResponse{
		Value: *valueOf[string](said), Variant: *said.variant, Reason: said.reason, Metadata: said.metadata,
	}), nil
}

// ResolveFloat evaluates a flag of type Number.
func (s *evaluationV1) ResolveFloat(
	ctx context.Context,
	request *connect.Request[v1.ResolveFloatRequest],
) (*connect.Response[v1.ResolveFloatResponse], error) {
	said, err := s.resolve(ctx, request.Msg, datafile.Number)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&v1.ResolveFloatResponse{
		Value: *valueOf[float64](said), Variant: *said.variant, Reason: said.reason, Metadata: said.metadata,
	}), nil
}

// ResolveInt evaluates a flag of type Number, without the fraction of its value.
func (s *evaluationV1) ResolveInt(
	ctx context.Context,
	request *connect.Request[v1.ResolveIntRequest],
) (*connect.Response[v1.ResolveIntResponse], error) {
	said, err := s.resolve(ctx, request.Msg, datafile.Number)
	if err != nil {
		return nil, err
	}
	value, err := said.integer()
	if err != nil {
		return nil, refuse(ctx, err)
	}
	return connect.NewResponse(&v1.ResolveIntResponse{
		Value: *value, Variant: *said.variant, Reason: said.reason, Metadata: said.metadata,
	}), nil
}

// ResolveObject evaluates a flag of type JSON whose value is an object.
func (s *evaluationV1) ResolveObject(
	ctx context.Context,
	request *connect.Request[v1.ResolveObjectRequest],
) (*connect.Response[v1.ResolveObjectResponse], error) {
	said, err := s.resolve(ctx, request.Msg, datafile.JSON)
	if err != nil {
		return nil, err
	}
	value, err := said.object()
	if err != nil {
		return nil, refuse(ctx, err)
	}
	return connect.NewResponse(&v1.ResolveObjectResponse{
		Value: value, Variant: *said.variant, Reason: said.reason, Metadata: said.metadata,
	}), nil
}

// ResolveAll evaluates every flag whose value the protocol can carry.
func (s *evaluationV1) ResolveAll(
	ctx context.Context,
	request *connect.Request[v1.ResolveAllRequest],
) (*connect.Response[v1.ResolveAllResponse], error) {
	all := &v1.ResolveAllResponse{Flags: map[string]*v1.AnyFlag{}}
	metadata, err := s.resolveAll(ctx, request.Msg.GetContext(), func(said *answer) {
		if flag := anyFlag(said); flag != nil {
			all.Flags[said.key] = flag
		}
	})
	if err != nil {
		return nil, err
	}
	all.Metadata = metadata
	x := exchangeOf(ctx)
	release, err := s.server.Hold(x.request, 2*proto.Size(all)) // The message, and its encoded form.
	if err != nil {
		return nil, refuse(ctx, err)
	}
	x.atEnd = append(x.atEnd, release)
	return connect.NewResponse(all), nil
}

// anyFlag is the answer for one of all flags, and nil where the protocol cannot carry its value, or there is none.
func anyFlag(said *answer) *v1.AnyFlag {
	flag := &v1.AnyFlag{Reason: said.reason, Metadata: said.metadata}
	switch value := said.value.(type) {
	case bool:
		flag.Value = &v1.AnyFlag_BoolValue{BoolValue: value}
	case string:
		flag.Value = &v1.AnyFlag_StringValue{StringValue: value}
	case float64:
		flag.Value = &v1.AnyFlag_DoubleValue{DoubleValue: value}
	case map[string]any:
		object, err := structpb.NewStruct(value)
		if err != nil {
			return nil
		}
		flag.Value = &v1.AnyFlag_ObjectValue{ObjectValue: object}
	default:
		return nil
	}
	flag.Variant = *said.variant
	return flag
}

// EventStream announces changes.
func (s *evaluationV1) EventStream(
	ctx context.Context,
	_ *connect.Request[v1.EventStreamRequest],
	stream *connect.ServerStream[v1.EventStreamResponse],
) error {
	return s.events(ctx, func(event string, data *structpb.Struct) error {
		return stream.Send(&v1.EventStreamResponse{Type: event, Data: data})
	})
}
