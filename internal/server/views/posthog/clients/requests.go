// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/jackstaff-dev/jackstaff/internal/server"
)

// MaxBody is the size of a body after it is unpacked, in bytes.
const MaxBody = 1 << 20

// maxFields is how many fields a form has. Clients send two or three.
const maxFields = 1000

// formType is the type of a body in which the JSON is the value of the field data.
const formType = "application/x-www-form-urlencoded"

// bodyTypes are the content types that PostHog's clients send JSON as. Browsers send text/plain, because they need not
// ask another origin for leave to do so.
var bodyTypes = []string{"", "application/json", "text/plain", "application/octet-stream", formType}

// unpacked is a request whose body is JSON, in the type application/json. PostHog's clients pack bodies by gzip or as
// base64, and send them as text or in a form. Requests of other types are returned as they are. It fails with an *Error
// of status 400 where a body cannot be unpacked, of 413 where it is too large and of 415 where its encoding is unknown.
func unpacked(r *http.Request) (*http.Request, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		kind = ""
	}
	if !slices.Contains(bodyTypes, kind) {
		return r, nil
	}
	data, err := read(r.Body)
	if err != nil {
		return nil, err
	}
	ctx := r.Context()
	if data, err = uncompressed(ctx, data, r.Header.Get("Content-Encoding")); err != nil {
		return nil, err
	}
	if data, err = plain(ctx, data, kind, r.URL.Query().Get("compression")); err != nil {
		return nil, err
	}
	as := r.Clone(ctx)
	as.Header.Set("Content-Type", "application/json")
	as.Header.Del("Content-Encoding")
	as.Body, as.ContentLength = io.NopCloser(bytes.NewReader(data)), int64(len(data))
	return as, nil
}

// read reads at most MaxBody bytes. It fails with an *Error: that of the reader where it refuses the body itself.
func read(from io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(from, MaxBody+1))
	tooLarge, refused := (*http.MaxBytesError)(nil), (*server.Error)(nil)
	switch {
	case errors.As(err, &refused):
		return nil, refused
	case errors.As(err, &tooLarge), len(data) > MaxBody:
		return nil, server.Errorf(http.StatusRequestEntityTooLarge, "the body is larger than %d bytes", MaxBody)
	case err != nil:
		return nil, server.Errorf(http.StatusBadRequest, "the body cannot be read: %v", err)
	default:
		return data, nil
	}
}

// uncompressed undoes the encoding that the header Content-Encoding names.
func uncompressed(ctx context.Context, data []byte, encoding string) ([]byte, error) {
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "", "identity":
		return data, nil
	case "gzip", "x-gzip":
		return inflated(ctx, data)
	case "deflate":
		reader, err := zlib.NewReader(bytes.NewReader(data))
		if err != nil {
			return nil, server.Errorf(http.StatusBadRequest, "the body is not compressed by deflate: %v", err)
		}
		return read(server.Unpacked(ctx, reader))
	default:
		return nil, server.Errorf(
			http.StatusUnsupportedMediaType,
			"the content encoding %q is unknown; gzip and deflate are known",
			encoding,
		)
	}
}

// inflated is data that gzip compressed.
func inflated(ctx context.Context, data []byte) ([]byte, error) {
	reader, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, server.Errorf(http.StatusBadRequest, "the body is not compressed by gzip: %v", err)
	}
	return read(server.Unpacked(ctx, reader))
}

// isGzip reports whether data begins as gzip does.
func isGzip(data []byte) bool { return bytes.HasPrefix(data, []byte{0x1f, 0x8b}) }

// plain is the JSON of a body: the body itself, or what the form's field data holds, without gzip and base64.
func plain(ctx context.Context, data []byte, kind, compression string) ([]byte, error) {
	if isGzip(data) {
		return inflated(ctx, data)
	}
	if kind == formType || bytes.HasPrefix(data, []byte("data=")) {
		if bytes.Count(data, []byte("&")) >= maxFields {
			return nil, server.Errorf(http.StatusRequestEntityTooLarge, "the form has more than %d fields", maxFields)
		}
		form, err := url.ParseQuery(string(data))
		if err != nil || !form.Has("data") {
			return nil, server.Errorf(http.StatusBadRequest, "the form has no field data with the JSON")
		}
		if data, err = read(server.Unpacked(ctx, strings.NewReader(form.Get("data")))); err != nil {
			return nil, err
		}
		if form.Has("compression") {
			compression = form.Get("compression")
		}
	}
	switch compression {
	case "lz64":
		return nil, server.Errorf(http.StatusBadRequest, "the compression lz64 is unknown; gzip-js and base64 are known")
	case "", "base64", "gzip", "gzip-js":
	default:
		return nil, server.Errorf(
			http.StatusBadRequest,
			"the compression %q is unknown; gzip-js and base64 are known",
			compression,
		)
	}
	trimmed := bytes.TrimSpace(data)
	if len(trimmed) == 0 || trimmed[0] == '{' || trimmed[0] == '[' || compression != "base64" && json.Valid(trimmed) {
		return trimmed, nil
	}
	text, err := unbased(string(trimmed))
	if err != nil {
		return nil, server.Errorf(http.StatusBadRequest, "the body is neither JSON nor base64 of it")
	}
	if isGzip(text) {
		return inflated(ctx, text)
	}
	return read(server.Unpacked(ctx, bytes.NewReader(text)))
}

// unbased decodes base64 of either alphabet, with or without its end. A form turns a plus sign into a space.
func unbased(text string) ([]byte, error) {
	text = strings.NewReplacer(" ", "+", "-", "+", "_", "/", "\n", "", "\r", "").Replace(text)
	return base64.RawStdEncoding.DecodeString(strings.TrimRight(text, "="))
}

// withoutNulls is a JSON object without those fields of it that are null, which mean the same as those that are
// missing. Other JSON stays as it is.
func withoutNulls(data []byte) []byte {
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal(data, &fields); err != nil {
		return data
	}
	for name, value := range fields {
		if string(value) == "null" {
			delete(fields, name)
		}
	}
	without, err := json.Marshal(fields)
	if err != nil {
		return data
	}
	return without
}
