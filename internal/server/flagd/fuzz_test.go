// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package flagd

import (
	"bytes"
	"strings"
	"testing"

	v2 "buf.build/gen/go/open-feature/flagd/protocolbuffers/go/flagd/evaluation/v2"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/jackstaff-dev/jackstaff/internal/server/ofrep/wire"
)

// valuesOf is how many values a context has, and how deep it is.
func valuesOf(value *structpb.Value, depth int) (values, deepest int) {
	values, deepest = 1, depth
	var inner []*structpb.Value
	for _, member := range value.GetStructValue().GetFields() {
		inner = append(inner, member)
	}
	for _, each := range append(inner, value.GetListValue().GetValues()...) {
		more, deeper := valuesOf(each, depth+1)
		values, deepest = values+more, max(deepest, deeper)
	}
	return values, deepest
}

// FuzzUnmarshal gives the server messages as anybody may send them. Nothing is made of one that would take many times
// its text in memory, and nothing that is made stops the server.
func FuzzUnmarshal(f *testing.F) {
	for _, attributes := range []map[string]any{
		nil, {"targetingKey": "alice", "n": 1.5, "b": true, "z": nil}, {"deep": []any{[]any{map[string]any{"x": "y"}}}},
	} {
		in, err := structpb.NewStruct(attributes)
		if err != nil {
			f.Fatal(err)
		}
		message, err := proto.Marshal(&v2.ResolveBooleanRequest{FlagKey: "a", Context: in})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(message)
	}
	f.Add(bytes.Repeat([]byte{0x12, 0x7f}, 100))
	f.Add(bytes.Repeat([]byte{0x0b}, 10_000)) // Groups in groups.
	f.Fuzz(func(t *testing.T, data []byte) {
		message := &v2.ResolveBooleanRequest{}
		if (binaryCodec{}).Unmarshal(data, message) == nil {
			values, depth := valuesOf(structpb.NewStructValue(message.GetContext()), 0)
			if values > maxMessages || depth > maxDepth {
				t.Errorf("%d bytes become %d values of depth %d", len(data), values, depth)
			}
			_ = wire.CheckContext(message.GetContext().AsMap())
		}
		message.Reset()
		_ = jsonCodec{"json"}.Unmarshal(data, message)
	})
}

// What would take most memory for its size is refused before anything is made of it.
func TestUnmarshalIsBounded(t *testing.T) {
	field := func(number protowire.Number, value []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), value)
	}
	empty := func(n int) []byte { // A list of so many values, of two bytes each.
		list := bytes.Repeat([]byte{0x0a, 0x00}, n)
		entry := append(field(1, []byte("x")), field(2, field(6, list))...) // An entry of fields: its key, its value.
		return field(2, field(1, entry))                                    // The context.
	}
	if err := (binaryCodec{}).Unmarshal(empty(9_000), &v2.ResolveBooleanRequest{}); err != nil {
		t.Errorf("9,000 values: %v", err)
	}
	if err := (binaryCodec{}).Unmarshal(empty(500_000), &v2.ResolveBooleanRequest{}); err == nil {
		t.Error("1 MB that become 500,000 values are read")
	}
}

// FuzzSelector gives the server selectors as anybody may send them.
func FuzzSelector(f *testing.F) {
	for _, text := range []string{"", "shop.production", "flagSetId=shop.a.b", "sdk_x", "flagSetId=cli_x", ".", "a.", "source=x"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		selected, err := parseSelector(text)
		switch {
		case err != nil && len(text) > 30 && strings.Contains(err.Error(), text):
			t.Errorf("a key with a mistake gets into logs: %v", err)
		case err == nil && selected.key != "" && (!isKey(selected.key) || selected.project != ""):
			t.Errorf("%q is %+v", text, selected)
		case err == nil && (selected.project == "") != (selected.environment == ""):
			t.Errorf("%q names half an environment: %+v", text, selected)
		}
	})
}
