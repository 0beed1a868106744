// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package flagd_test

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"buf.build/gen/go/open-feature/flagd/connectrpc/go/flagd/evaluation/v1/evaluationv1connect"
	"buf.build/gen/go/open-feature/flagd/connectrpc/go/flagd/evaluation/v2/evaluationv2connect"
	v1 "buf.build/gen/go/open-feature/flagd/protocolbuffers/go/flagd/evaluation/v1"
	v2 "buf.build/gen/go/open-feature/flagd/protocolbuffers/go/flagd/evaluation/v2"
	"connectrpc.com/connect"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/structpb"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/server"
)

// said is an answer of either version.
type said struct {
	value    any // Nil where there is none.
	variant  string
	reason   string
	metadata map[string]any
}

type resolved interface {
	GetReason() string
	GetVariant() string
	GetMetadata() *structpb.Struct
}

// call asks for a flag by a method of a client.
func call[Q, A any](
	t *testing.T,
	method func(context.Context, *connect.Request[Q]) (*connect.Response[A], error),
	question *Q,
	value func(*A) any,
) (said, error) {
	t.Helper()
	got, err := method(t.Context(), connect.NewRequest(question))
	if err != nil {
		return said{}, err
	}
	answer, _ := any(got.Msg).(resolved)
	return said{value(got.Msg), answer.GetVariant(), answer.GetReason(), answer.GetMetadata().AsMap()}, nil
}

func pointed[T any](value *T) any {
	if value == nil {
		return nil
	}
	return *value
}

// ask asks for a flag of a type by a version of the service.
func (s *served) ask(version, of, key, sdkKey string, attributes map[string]any) (said, error) {
	s.Helper()
	in, err := structpb.NewStruct(attributes)
	if err != nil {
		s.Fatal(err)
	}
	one := evaluationv1connect.NewServiceClient(s.http2, s.url, connect.WithGRPC(), withKey(sdkKey))
	two := evaluationv2connect.NewServiceClient(s.http2, s.url, connect.WithGRPC(), withKey(sdkKey))
	switch version + of {
	case "v1bool":
		return call(s.T, one.ResolveBoolean, &v1.ResolveBooleanRequest{FlagKey: key, Context: in},
			func(a *v1.ResolveBooleanResponse) any { return a.GetValue() })
	case "v1string":
		return call(s.T, one.ResolveString, &v1.ResolveStringRequest{FlagKey: key, Context: in},
			func(a *v1.ResolveStringResponse) any { return a.GetValue() })
	case "v1float":
		return call(s.T, one.ResolveFloat, &v1.ResolveFloatRequest{FlagKey: key, Context: in},
			func(a *v1.ResolveFloatResponse) any { return a.GetValue() })
	case "v1int":
		return call(s.T, one.ResolveInt, &v1.ResolveIntRequest{FlagKey: key, Context: in},
			func(a *v1.ResolveIntResponse) any { return a.GetValue() })
	case "v1object":
		return call(s.T, one.ResolveObject, &v1.ResolveObjectRequest{FlagKey: key, Context: in},
			func(a *v1.ResolveObjectResponse) any { return a.GetValue().AsMap() })
	case "v2bool":
		return call(s.T, two.ResolveBoolean, &v2.ResolveBooleanRequest{FlagKey: key, Context: in},
			func(a *v2.ResolveBooleanResponse) any { return pointed(a.Value) })
	case "v2string":
		return call(s.T, two.ResolveString, &v2.ResolveStringRequest{FlagKey: key, Context: in},
			func(a *v2.ResolveStringResponse) any { return pointed(a.Value) })
	case "v2float":
		return call(s.T, two.ResolveFloat, &v2.ResolveFloatRequest{FlagKey: key, Context: in},
			func(a *v2.ResolveFloatResponse) any { return pointed(a.Value) })
	case "v2int":
		return call(s.T, two.ResolveInt, &v2.ResolveIntRequest{FlagKey: key, Context: in},
			func(a *v2.ResolveIntResponse) any { return pointed(a.Value) })
	default:
		return call(s.T, two.ResolveObject, &v2.ResolveObjectRequest{FlagKey: key, Context: in},
			func(a *v2.ResolveObjectResponse) any { return a.GetValue().AsMap() })
	}
}

const onOff = `"variations":[{"key":"off","value":false},{"key":"on","value":true}],"type":"Boolean","defaultVariation":"off"`

// flags are some of every kind.
var flags = strings.Join([]string{
	`"static":{"enabled":true,"fallthrough":"on",` + onOff + `}`,
	`"off":{"enabled":false,` + onOff + `}`,
	`"ruled":{"enabled":true,` + onOff + `,"rules":[{"name":"beta","variation":"on","conditions":[{"attribute":"plan","operator":"In","values":["beta"]}]}]}`,
	`"required":{"enabled":true,"fallthrough":"on",` + onOff + `,"prerequisites":[{"flag":"off","variations":["on"]}]}`,
	`"code":{"enabled":false,"codeDefault":true,` + onOff + `}`,
	`"secret":{"enabled":true,"fallthrough":"on","runtime":"Server","metadata":{"team":"pay"},` + onOff + `}`,
	`"text":{"enabled":true,"type":"String","defaultVariation":"a","variations":[{"key":"a","value":"A"}]}`,
	`"number":{"enabled":true,"type":"Number","defaultVariation":"a","variations":[{"key":"a","value":2.5}]}`,
	`"huge":{"enabled":true,"type":"Number","defaultVariation":"a","variations":[{"key":"a","value":1e300}]}`,
	`"object":{"enabled":true,"type":"JSON","defaultVariation":"a","variations":[{"key":"a","value":{"n":[1,"x"]}}]}`,
	`"array":{"enabled":true,"type":"JSON","defaultVariation":"a","variations":[{"key":"a","value":[1]}]}`,
}, ",")

func TestResolve(t *testing.T) {
	set := map[string]any{"flagSetId": "shop.production", "version": "1"}
	beta := map[string]any{"targetingKey": "alice", "plan": "beta"}
	deep := any("x")
	for range 40 {
		deep = []any{deep}
	}
	tests := map[string]struct {
		of, key, sdkKey string // The key is the server's where it is empty.
		context         map[string]any
		want            said
		wantCode        connect.Code // Of both versions, where it is not 0.
		wantError       string
	}{
		"a flag without rules":             {"bool", "static", "", nil, said{true, "on", "STATIC", set}, 0, ""},
		"a flag that is off has its value": {"bool", "off", "", nil, said{false, "off", "DISABLED", set}, 0, ""},
		"a rule":                           {"bool", "ruled", "", beta, said{true, "on", "TARGETING_MATCH", set}, 0, ""},
		"no rule":                          {"bool", "ruled", "", nil, said{false, "off", "DEFAULT", set}, 0, ""},
		"a prerequisite":                   {"bool", "required", "", nil, said{false, "off", "DEFAULT", set}, 0, ""},
		"a text":                           {"string", "text", "", nil, said{"A", "a", "STATIC", set}, 0, ""},
		"a number":                         {"float", "number", "", nil, said{2.5, "a", "STATIC", set}, 0, ""},
		"an integer":                       {"int", "number", "", nil, said{int64(2), "a", "STATIC", set}, 0, ""},
		"an object": {
			"object", "object", "", nil, said{map[string]any{"n": []any{1.0, "x"}}, "a", "STATIC", set}, 0, "",
		},
		"a client key": {"bool", "static", "cli_a", nil, said{true, "on", "STATIC", set}, 0, ""},
		"metadata of the flag": {
			"bool", "secret", "", nil,
			said{true, "on", "STATIC", map[string]any{"flagSetId": "shop.production", "version": "1", "team": "pay"}}, 0, "",
		},
		"what is for servers, with a client key": {
			"bool",
			"secret",
			"cli_a",
			nil,
			said{},
			connect.CodeNotFound,
			"FLAG_NOT_FOUND",
		},
		"no flag": {"bool", "none", "", nil, said{}, connect.CodeNotFound, "FLAG_NOT_FOUND"},
		"another type": {
			"string",
			"static",
			"",
			nil,
			said{},
			connect.CodeInvalidArgument,
			"TYPE_MISMATCH",
		},
		"an array": {
			"object",
			"array",
			"",
			nil,
			said{},
			connect.CodeInvalidArgument,
			"TYPE_MISMATCH",
		},
		"a number beyond integers": {
			"int",
			"huge",
			"",
			nil,
			said{},
			connect.CodeInvalidArgument,
			"TYPE_MISMATCH",
		},
		"a key that is no text": {
			"bool", "static", "", map[string]any{"targetingKey": 1}, said{}, connect.CodeDataLoss, "PARSE_ERROR",
		},
		"a context that is too deep": {
			"bool", "static", "", map[string]any{"x": deep}, said{}, connect.CodeDataLoss, "PARSE_ERROR",
		},
		"a context that is too large": {
			"bool", "static", "", map[string]any{"x": slices.Repeat([]any{true}, 40_000)},
			said{}, connect.CodeInvalidArgument, "10,000 values",
		},
		"infinity": {
			"bool",
			"static",
			"",
			map[string]any{"x": math.Inf(1)},
			said{true, "on", "STATIC", set},
			0,
			"",
		},
		"an unknown key":     {"bool", "static", "sdk_x", nil, said{}, connect.CodeUnauthenticated, "not valid"},
		"a key that is none": {"bool", "static", "sdk_", nil, said{}, connect.CodeUnauthenticated, "not valid"},
	}
	s := serve(t, server.Options{})
	s.set(revision(1, flags, 0))
	for name, tc := range tests {
		for _, version := range []string{"v1", "v2"} {
			t.Run(version+" "+name, func(t *testing.T) {
				if tc.sdkKey == "" {
					tc.sdkKey = "sdk_a"
				}
				got, err := s.ask(version, tc.of, tc.key, tc.sdkKey, tc.context)
				if tc.wantCode != 0 {
					if err == nil || connect.CodeOf(err) != tc.wantCode || !strings.Contains(err.Error(), tc.wantError) {
						t.Errorf("error %v, want %v: …%s…", err, tc.wantCode, tc.wantError)
					}
					return
				}
				if diff := cmp.Diff(tc.want, got, cmp.AllowUnexported(said{})); err != nil || diff != "" {
					t.Errorf("error %v (-want +got):\n%s", err, diff)
				}
			})
		}
	}
	if s.evaluations.Load() == 0 {
		t.Error("evaluations are not counted")
	}
}

// A flag that leaves the value to the code has neither value nor variant. The first version has no form for that.
func TestCodeDefault(t *testing.T) {
	s := serve(t, server.Options{})
	s.set(revision(1, flags, 0))
	got, err := s.ask("v2", "bool", "code", "sdk_a", nil)
	if err != nil || got.value != nil || got.variant != "" || got.reason != "DISABLED" {
		t.Errorf("the second version answers %+v, %v", got, err)
	}
	if got, err := s.ask("v1", "bool", "code", "sdk_a", nil); connect.CodeOf(err) != connect.CodeNotFound {
		t.Errorf("the first version answers %+v, %v; its clients would take false for the value", got, err)
	}
}

func TestResolveAll(t *testing.T) {
	s := serve(t, server.Options{})
	s.set(revision(1, flags, 0))
	for key, want := range map[string][]string{
		"sdk_a": {"huge", "number", "object", "off", "required", "ruled", "secret", "static", "text"},
		"cli_a": {"huge", "number", "object", "off", "required", "ruled", "static", "text"},
	} {
		all, err := evaluationv1connect.NewServiceClient(s.http2, s.url, connect.WithGRPC(), withKey(key)).
			ResolveAll(t.Context(), connect.NewRequest(&v1.ResolveAllRequest{}))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, slices.Sorted(maps.Keys(all.Msg.GetFlags()))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", key, diff)
		}
		if got := all.Msg.GetMetadata().AsMap()["flagSetId"]; got != "shop.production" {
			t.Errorf("the set is %v", got)
		}
		if off := all.Msg.GetFlags()["off"]; off.GetReason() != "DISABLED" || off.GetVariant() != "off" {
			t.Errorf("a flag that is off is %v", off)
		}
	}
}

// events opens a stream of either version, and returns the next event that says something: its type, and the flags of it
// with what became of them.
func (s *served) events(version, sdkKey string) func() string {
	s.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s.Cleanup(cancel)
	var receive func() bool
	var message func() (string, *structpb.Struct)
	if version == "v1" {
		stream, err := evaluationv1connect.NewServiceClient(s.http2, s.url, connect.WithGRPC(), withKey(sdkKey)).
			EventStream(ctx, connect.NewRequest(&v1.EventStreamRequest{}))
		if err != nil {
			s.Fatal(err)
		}
		receive, message = stream.Receive, func() (string, *structpb.Struct) { return stream.Msg().GetType(), stream.Msg().GetData() }
	} else {
		stream, err := evaluationv2connect.NewServiceClient(s.http2, s.url, connect.WithGRPC(), withKey(sdkKey)).
			EventStream(ctx, connect.NewRequest(&v2.EventStreamRequest{}))
		if err != nil {
			s.Fatal(err)
		}
		receive, message = stream.Receive, func() (string, *structpb.Struct) { return stream.Msg().GetType(), stream.Msg().GetData() }
	}
	return func() string {
		s.Helper()
		for receive() {
			event, data := message()
			if event == "keep_alive" {
				continue
			}
			changed, _ := data.AsMap()["flags"].(map[string]any)
			said := []string{event}
			for _, key := range slices.Sorted(maps.Keys(changed)) {
				what, _ := changed[key].(map[string]any)
				said = append(said, fmt.Sprintf("%s:%v", key, what["type"]))
			}
			return strings.Join(said, " ")
		}
		return "end"
	}
}

func TestEvents(t *testing.T) {
	for _, version := range []string{"v1", "v2"} {
		t.Run(version, func(t *testing.T) {
			s := serve(t, server.Options{})
			s.set(revision(1, plainFlag, 0))
			next, clients := s.events(version, "sdk_a"), s.events(version, "cli_a")
			for _, stream := range []func() string{next, clients} {
				if got := stream(); got != "provider_ready" {
					t.Fatalf("it begins with %q", got)
				}
			}
			steps := []struct {
				flags, want, wantClients string
			}{
				{
					plainFlag + "," + flags,
					"array:write code:write huge:write number:write object:write off:write required:write ruled:write secret:write static:write text:write",
					"array:write code:write huge:write number:write object:write off:write required:write ruled:write static:write text:write",
				},
				{
					plainFlag + "," + strings.ReplaceAll(flags, `"off":{"enabled":false`, `"off":{"enabled":true`),
					"off:update required:update",
					"off:update required:update",
				},
				{
					plainFlag,
					"array:delete code:delete huge:delete number:delete object:delete off:delete required:delete ruled:delete secret:delete static:delete text:delete",
					"array:delete code:delete huge:delete number:delete object:delete off:delete required:delete ruled:delete static:delete text:delete",
				},
			}
			for i, step := range steps {
				s.set(revision(int64(i+2), step.flags, 0))
				if got := next(); got != "configuration_change "+step.want {
					t.Errorf("step %d: %s", i, got)
				}
				if got := clients(); got != "configuration_change "+step.wantClients {
					t.Errorf("step %d, a client key: %s", i, got)
				}
			}
			s.stop()
			if got := next() + " " + next(); got != "provider_shutdown end" {
				t.Errorf("it ends with %q", got)
			}
		})
	}
}

// Providers keep answers until they are told of a change, which a schedule brings too.
func TestScheduleIsAnEvent(t *testing.T) {
	now := clocktesting.NewFakeClock(time.Now().Add(time.Hour)) // Writes have until then.
	s, soon := serveAt(t, server.Options{}, now), now.Now().Add(time.Minute).UTC()
	scheduled := fmt.Sprintf(
		`"later":{"enabled":true,"fallthrough":"on",%s,"schedule":{"enableAt":%q}},"needs":{"enabled":true,"fallthrough":"on",%s,"prerequisites":[{"flag":"later","variations":["on"]}]}`,
		onOff,
		soon.Format(time.RFC3339),
		onOff,
	)
	s.set(revision(1, plainFlag+","+scheduled, 0))
	next := s.events("v2", "sdk_a")
	if got := next(); got != "provider_ready" {
		t.Fatal(got)
	}
	now.Step(2 * time.Minute)
	if got := next(); got != "configuration_change later:update needs:update" {
		t.Errorf("it says %q", got)
	}
}

func TestRevokedKeyEndsItsEvents(t *testing.T) {
	s := serve(t, server.Options{})
	s.set(revision(1, plainFlag, 0))
	next := s.events("v2", "sdk_a")
	if got := next(); got != "provider_ready" {
		t.Fatal(got)
	}
	s.environment.Status.SDKKeys = []v1alpha1.SDKKey{}
	s.set(nil)
	if got := next(); got != "end" {
		t.Errorf("it says %q", got)
	}
}
