// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package flagd

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/jackstaff-dev/jackstaff/internal/server"
)

const (
	// maxDepth is how deep messages are nested: a context has 32 levels, each of which takes four messages.
	maxDepth = 4 * 34
	// maxMessages is how many messages one holds: a context has 10,000 values, each of which takes three.
	maxMessages = 3 * 10_000
)

var (
	errNoMessage = errors.New("it is no message of this protocol")
	errDepth     = errors.New("the message is nested deeper than 32 levels")
	errElements  = errors.New("the message holds more than 10,000 values")
)

// binaryCodec reads and writes messages in the binary form. It makes nothing of a message that would take many times
// its text in memory.
type binaryCodec struct{}

// Name is that of the content types.
func (binaryCodec) Name() string { return "proto" }

// Marshal encodes a message.
func (binaryCodec) Marshal(message any) ([]byte, error) {
	return binaryCodec{}.MarshalAppend(nil, message)
}

// MarshalAppend appends an encoded message.
func (binaryCodec) MarshalAppend(to []byte, message any) ([]byte, error) {
	encoded, is := message.(proto.Message)
	if !is {
		return nil, errNoMessage
	}
	return proto.MarshalOptions{}.MarshalAppend(to, encoded)
}

// Unmarshal decodes a message.
func (binaryCodec) Unmarshal(data []byte, message any) error {
	decoded, is := message.(proto.Message)
	if !is {
		return errNoMessage
	}
	messages := 0
	if err := checkSize(data, decoded.ProtoReflect().Descriptor(), 0, &messages); err != nil {
		return err
	}
	return proto.UnmarshalOptions{DiscardUnknown: true, RecursionLimit: maxDepth}.Unmarshal(data, decoded)
}

// checkSize fails where an encoded message holds too many messages, or is nested too deep.
func checkSize(data []byte, of protoreflect.MessageDescriptor, depth int, messages *int) error {
	if depth > maxDepth {
		return errDepth
	}
	if *messages++; *messages > maxMessages {
		return errElements
	}
	for len(data) > 0 {
		number, wireType, n := protowire.ConsumeTag(data)
		if n < 0 {
			return fmt.Errorf("read a tag: %w", protowire.ParseError(n))
		}
		data = data[n:]
		field := of.Fields().ByNumber(number)
		if n = protowire.ConsumeFieldValue(number, wireType, data); n < 0 {
			return fmt.Errorf("read field %d: %w", number, protowire.ParseError(n))
		}
		if wireType == protowire.BytesType && field != nil && field.Message() != nil {
			inner, _ := protowire.ConsumeBytes(data)
			if err := checkSize(inner, field.Message(), depth+1, messages); err != nil {
				return err
			}
		}
		data = data[n:]
	}
	return nil
}

// jsonCodec reads and writes messages in the form of JSON, whose values the server around it counts.
type jsonCodec struct{ name string }

// Name is that of the content types.
func (c jsonCodec) Name() string { return c.name }

// Marshal encodes a message.
func (jsonCodec) Marshal(message any) ([]byte, error) {
	encoded, is := message.(proto.Message)
	if !is {
		return nil, errNoMessage
	}
	return protojson.Marshal(encoded)
}

// Unmarshal decodes a message. What the protocol may grow by is passed over.
func (jsonCodec) Unmarshal(data []byte, message any) error {
	decoded, is := message.(proto.Message)
	if !is {
		return errNoMessage
	}
	if len(data) == 0 {
		return errors.New("the body is empty; send at least {}")
	}
	return protojson.UnmarshalOptions{DiscardUnknown: true, RecursionLimit: maxDepth}.Unmarshal(data, decoded)
}

// isBinary reports whether a request of a content type is answered in the binary form.
func isBinary(contentType string) bool {
	_, codec, named := strings.Cut(contentType, "+")
	return !named || codec == binaryCodec{}.Name()
}

// body is that of a request. What the server refuses to read is refused in the protocol's words.
type body struct{ io.ReadCloser }

// Read fails with a *connect.Error where the server refuses to go on.
func (b *body) Read(to []byte) (int, error) {
	n, err := b.ReadCloser.Read(to)
	if refused := (*server.Error)(nil); errors.As(err, &refused) {
		return n, failure(refused)
	}
	return n, err
}
