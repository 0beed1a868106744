// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

const (
	// maxInFlight bounds the memory of requests that are being read and answered, of all callers together, in bytes.
	maxInFlight = 256 << 20
	// maxReserve is what the values of small bodies may take beyond that, in bytes.
	maxReserve = 64 << 20
	// maxElements is how many values a JSON body holds, as far as its brackets, commas and colons tell.
	maxElements = 200_000
	// elementBytes is what an element takes when it is read, in bytes, beside its text.
	elementBytes = 200
	// smallBody is how much of a body is always read, in bytes. It takes less than the headers and buffers of a request.
	smallBody = 16 << 10
	// smallElements is how many values of a small body are always read.
	smallElements = 250
	// firstBytes is how much of a body is read whatever memory the values of others take, in bytes.
	firstBytes = 64 << 10
)

// account is memory that is shared by name, in bytes.
type account struct {
	max, total int64
	parts      map[string]int64
}

// fits reports whether there are so many bytes for those who share. An address has a quarter of the memory, and a key
// that it shows three quarters of that.
func (a *account) fits(who []string, bytes int64) bool {
	if a.total+bytes > a.max {
		return false
	}
	for i, name := range who {
		share := a.max / 4
		if i > 0 {
			share -= share / 4
		}
		if a.parts[name]+bytes > share {
			return false
		}
	}
	return true
}

// add counts bytes, or gives them back where they are negative.
func (a *account) add(who []string, bytes int64) {
	a.total += bytes
	for _, name := range who {
		if a.parts[name] += bytes; a.parts[name] == 0 {
			delete(a.parts, name)
		}
	}
}

// inFlight counts the memory of requests.
type inFlight struct {
	mu sync.Mutex
	// all is what requests and answers take, texts the part of it that is the text of bodies, and reserve what the values
	// of small bodies take beyond it.
	all, texts, reserve account
}

func newInFlight() *inFlight {
	return &inFlight{
		all:     account{max: maxInFlight, parts: map[string]int64{}},
		texts:   account{max: maxInFlight, parts: map[string]int64{}},
		reserve: account{max: maxReserve, parts: map[string]int64{}},
	}
}

// take counts bytes for those who share, and reports whether there are so many.
func (f *inFlight) take(who []string, bytes int64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.all.fits(who, bytes) {
		return false
	}
	f.all.add(who, bytes)
	return true
}

func (f *inFlight) give(who []string, bytes int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all.add(who, -bytes)
}

// body is that of a request. It counts what is read and, once it has ended, what reading it as JSON takes: nothing is
// made of a body before. What a request announces counts for nothing.
type body struct {
	io.ReadCloser

	inFlight *inFlight
	who      []string
	// text is what was read of it, and values what its values take, of which reserved are beyond the memory of all, each
	// in bytes.
	text, values, reserved int64
	elements               elements
	// bounded is true where the handler bounds the values that it makes of a body itself, while it reads it.
	bounded bool
	ended   bool
	conn    *guarded
	refused *Error
	// unpacked are the bodies that were packed in this one.
	unpacked []*body
	// served says what of the server the request was for.
	served *served
}

// whoShares are the address of a request, and the key that it shows there, if any. Whether the key is one is not known
// yet, so that what one address shows takes nothing from whoever has the key at another.
func whoShares(r *http.Request) []string {
	address := addressOf(r)
	if key := cmp.Or(Bearer(r), r.Header.Get("X-API-Key")); key != "" {
		return []string{address, address + " key " + key}
	}
	return []string{address}
}

// Read fails with an *Error of status 413 for too many elements, and of 503 where there is no memory for the request
// now.
func (b *body) Read(to []byte) (int, error) {
	if b.refused != nil {
		return 0, b.refused
	}
	n, err := b.ReadCloser.Read(to)
	b.conn.earn(2 * n)
	if !b.bounded {
		b.elements.read(to[:n])
	}
	switch {
	case b.elements.count > maxElements:
		b.refused = tooManyElements()
	case n > 0 && !b.takeText(int64(n)), errors.Is(err, io.EOF) && !b.takeValues():
		b.refused = busy("requests")
	default:
		return n, err
	}
	return 0, b.refused
}

// takeText counts what was read, and reports whether there is memory for it.
func (b *body) takeText(bytes int64) bool {
	f, after := b.inFlight, b.text+bytes
	f.mu.Lock()
	defer f.mu.Unlock()
	if after > smallBody && !f.texts.fits(b.who, bytes) || after > firstBytes && !f.all.fits(b.who, bytes) {
		return false
	}
	b.text = after
	f.texts.add(b.who, bytes)
	f.all.add(b.who, bytes)
	return true
}

// takeValues counts the values of a body that has ended, once, and reports whether there is memory for them.
func (b *body) takeValues() bool {
	if b.ended {
		return true
	}
	f, bytes := b.inFlight, int64(b.elements.count)*elementBytes
	f.mu.Lock()
	defer f.mu.Unlock()
	small := b.text <= smallBody
	switch {
	case f.all.fits(b.who, bytes), small && b.elements.count <= smallElements:
		b.values = bytes
		f.all.add(b.who, bytes)
	case small && f.reserve.fits(b.who, bytes):
		b.reserved = bytes
		f.reserve.add(b.who, bytes)
	default:
		return false
	}
	b.ended = true
	return true
}

// release lets go of the memory at the end of a request.
func (b *body) release() {
	for _, unpacked := range b.unpacked {
		unpacked.release()
	}
	f := b.inFlight
	f.mu.Lock()
	defer f.mu.Unlock()
	f.texts.add(b.who, -b.text)
	f.all.add(b.who, -b.text-b.values)
	f.reserve.add(b.who, -b.reserved)
	b.text, b.values, b.reserved, b.unpacked = 0, 0, 0, nil
}

type bodyKey struct{}

// Unpacked reads what was packed in the body of a request, such as by gzip. It counts as the body itself does until the
// request ends, and its Read fails as that of the body does.
func Unpacked(ctx context.Context, from io.Reader) io.Reader {
	packed, found := ctx.Value(bodyKey{}).(*body)
	if !found {
		packed = &body{inFlight: newInFlight()} // No server counts, but the values are bounded.
	}
	unpacked := &body{ReadCloser: io.NopCloser(from), inFlight: packed.inFlight, who: packed.who}
	packed.unpacked = append(packed.unpacked, unpacked)
	return unpacked
}

func tooManyElements() *Error {
	return Errorf(http.StatusRequestEntityTooLarge, "the body holds more than %d values", maxElements)
}

func busy(with string) *Error {
	return &Error{
		Status:     http.StatusServiceUnavailable,
		Message:    fmt.Sprintf("too many large %s are in flight", with),
		RetryAfter: time.Second,
	}
}

// elements counts the values of JSON while it is read.
type elements struct {
	count             int
	isText, isEscaped bool
}

func (e *elements) read(data []byte) {
	for _, c := range data {
		switch {
		case e.isEscaped:
			e.isEscaped = false
		case e.isText:
			e.isEscaped, e.isText = c == '\\', c != '"'
		case c == '"':
			e.isText = true
		case c == ',' || c == '{' || c == '[' || c == ':':
			e.count++
		}
	}
}

// largeAnswer is the size from which on an answer counts, in bytes.
const largeAnswer = 64 << 10

// Hold counts the memory of an answer that is made for one request, until release is called. Clients that do not read
// hold it until the time for writing is over. It fails with an *Error of status 503 where there is no memory for it
// now.
func (s *Server) Hold(r *http.Request, bytes int) (release func(), err error) {
	if bytes < largeAnswer {
		return func() {}, nil
	}
	who := whoShares(r)
	if !s.inFlight.take(who, int64(bytes)) {
		return nil, busy("answers")
	}
	return func() { s.inFlight.give(who, int64(bytes)) }, nil
}
