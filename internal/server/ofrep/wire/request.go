// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package wire reads requests and writes answers of OpenFeature's remote evaluation protocol, OFREP 0.3
// (https://github.com/open-feature/protocol). It is pure: what carries them is internal/server/ofrep.
package wire

import (
	"bytes"
	"errors"
	"io"
	"math"
	"net/http"
	"sync"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
	"github.com/jackstaff-dev/jackstaff/sdk/evaluate"
)

// maxDepth is how deep the values of a context are nested.
const maxDepth = 32

const (
	// maxElements is how many values a context holds, those in its lists and objects among them.
	maxElements = 10_000
	// maxText is how long a name or text in a context is, in bytes. What rules cost grows with it.
	maxText = 16 << 10
)

// Code is what the protocol calls an error.
type Code string

// The codes.
const (
	ParseError     Code = "PARSE_ERROR"
	InvalidContext Code = "INVALID_CONTEXT"
	FlagNotFound   Code = "FLAG_NOT_FOUND"
	General        Code = "GENERAL"
)

// Failure is an error of the protocol.
type Failure struct {
	// Status is the HTTP status code.
	Status int
	// Code is what the protocol calls the error.
	Code Code
	// Details say what is wrong, in one line.
	Details string
}

var (
	errDepth    = errors.New("the context is nested deeper than 32 levels")
	errElements = errors.New("the context holds more than 10,000 values")
	errText     = errors.New("the context has a name or text of more than 16 KiB")
	errNumber   = errors.New("the context has a number that no float64 holds")
)

// reader reads JSON. It is used again.
type reader struct {
	decoder jsontext.Decoder
	// elements is how many values have been read.
	elements int
	bytes    bytes.Buffer // Which the decoder reads without copying it.
}

var readers = sync.Pool{New: func() any { return &reader{} }}

// release lets go of the body.
func (in *reader) release() {
	in.bytes = bytes.Buffer{}
	in.decoder.Reset(&in.bytes)
	readers.Put(in)
}

// ReadContext reads the context of a request's body, and nil where the body has none. Numbers are float64, and
// json.Number where that would round an integer. What is in the body beside the context is passed over, as the protocol
// may grow. It fails where the body is no JSON object, the context no object, its targetingKey no string, a number
// beyond float64, or its nesting deeper than 32 levels.
func ReadContext(body []byte) (map[string]any, *Failure) {
	in, _ := readers.Get().(*reader)
	defer in.release()
	in.bytes, in.elements = *bytes.NewBuffer(body), 0
	// Of a name that comes twice the last one counts, as in most of the world's readers.
	in.decoder.Reset(&in.bytes, jsontext.AllowDuplicateNames(true))
	context, err := in.request()
	switch {
	case errors.Is(err, errDepth),
		errors.Is(err, errElements),
		errors.Is(err, errText),
		errors.Is(err, errNumber),
		errors.Is(err, errContext),
		errors.Is(err, errTargetingKey):
		return nil, &Failure{http.StatusBadRequest, InvalidContext, err.Error()}
	case err != nil:
		return nil, &Failure{http.StatusBadRequest, ParseError, "the body is not JSON: " + err.Error()}
	}
	return context, nil
}

var (
	errContext      = errors.New("the context is not an object")
	errTargetingKey = errors.New("the targetingKey is not a string")
	errBody         = errors.New("it is not an object")
	errTail         = errors.New("something comes after it")
)

// request reads a whole body. What it does not know it passes over, as the protocol may grow.
func (in *reader) request() (map[string]any, error) {
	if opening, err := in.decoder.ReadToken(); err != nil {
		return nil, err
	} else if opening.Kind() != '{' {
		return nil, errBody
	}
	var context map[string]any
	for in.decoder.PeekKind() != '}' {
		name, err := in.decoder.ReadToken()
		if err != nil {
			return nil, err
		}
		if name.String() != "context" {
			if err := in.decoder.SkipValue(); err != nil {
				return nil, err
			}
			continue
		}
		if context, err = in.context(); err != nil {
			return nil, err
		}
	}
	if _, err := in.decoder.ReadToken(); err != nil {
		return nil, err
	}
	if _, err := in.decoder.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, errTail
	}
	return context, nil
}

// context reads the context itself.
func (in *reader) context() (map[string]any, error) {
	value, err := in.value(0)
	if err != nil || value == nil {
		return nil, err
	}
	context, ok := value.(map[string]any)
	if !ok {
		return nil, errContext
	}
	if key, ok := context["targetingKey"]; ok && key != nil {
		if _, ok := key.(string); !ok {
			return nil, errTargetingKey
		}
	}
	return context, nil
}

// value reads any value.
func (in *reader) value(depth int) (any, error) {
	if depth > maxDepth {
		return nil, errDepth
	}
	if in.elements++; in.elements > maxElements {
		return nil, errElements
	}
	token, err := in.decoder.ReadToken()
	if err != nil {
		return nil, err
	}
	switch token.Kind() {
	case '{':
		return in.object(depth)
	case '[':
		return in.array(depth)
	case '"':
		return text(token)
	case '0':
		number, err := token.Float()
		if err != nil || math.IsInf(number, 0) {
			return nil, errNumber
		}
		if math.Abs(number) > datafile.MaxExactInteger {
			return evaluate.Number(token.String())
		}
		return number, nil
	case 't', 'f':
		return token.Kind() == 't', nil
	default:
		return nil, nil
	}
}

// CheckContext fails where a context that was read elsewhere is not within the bounds of ReadContext.
func CheckContext(context map[string]any) error {
	elements := 0
	return check(context, 0, &elements)
}

func check(value any, depth int, elements *int) error {
	if depth > maxDepth {
		return errDepth
	}
	if *elements++; *elements > maxElements {
		return errElements
	}
	switch v := value.(type) {
	case string:
		if len(v) > maxText {
			return errText
		}
	case map[string]any:
		for name, member := range v {
			if len(name) > maxText {
				return errText
			}
			if err := check(member, depth+1, elements); err != nil {
				return err
			}
		}
	case []any:
		for _, element := range v {
			if err := check(element, depth+1, elements); err != nil {
				return err
			}
		}
	}
	return nil
}

func text(token jsontext.Token) (string, error) {
	value := token.String()
	if len(value) > maxText {
		return "", errText
	}
	return value, nil
}

func (in *reader) object(depth int) (map[string]any, error) {
	object := map[string]any{}
	for in.decoder.PeekKind() != '}' {
		name, err := in.decoder.ReadToken()
		if err != nil {
			return nil, err
		}
		key, err := text(name)
		if err != nil {
			return nil, err
		}
		if object[key], err = in.value(depth + 1); err != nil {
			return nil, err
		}
	}
	_, err := in.decoder.ReadToken()
	return object, err
}

func (in *reader) array(depth int) ([]any, error) {
	array := []any{}
	for in.decoder.PeekKind() != ']' {
		element, err := in.value(depth + 1)
		if err != nil {
			return nil, err
		}
		array = append(array, element)
	}
	_, err := in.decoder.ReadToken()
	return array, err
}
