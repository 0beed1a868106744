// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

const (
	// maxInFlight bounds the memory of requests that are being read and answered, of all callers together, in bytes.
	maxInFlight = 256 << 20
	// maxShare is the part of it that one address or one key may have.
	maxShare = maxInFlight / 4
	// maxElements is how many values a JSON body holds, as far as its brackets, commas and colons tell.
	maxElements = 200_000
	// elementBytes is what an element takes when it is read, in bytes, beside its text.
	elementBytes = 200
)

// inFlight counts the memory of requests.
type inFlight struct {
	mu    sync.Mutex
	total int64
	parts map[string]int64
}

// take counts bytes for those who share, and reports whether there are so many.
func (f *inFlight) take(who []string, bytes int64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.total+bytes > maxInFlight {
		return false
	}
	for _, name := range who {
		if f.parts[name]+bytes > maxShare {
			return false
		}
	}
	f.total += bytes
	for _, name := range who {
		f.parts[name] += bytes
	}
	return true
}

func (f *inFlight) give(who []string, bytes int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.total -= bytes
	for _, name := range who {
		if f.parts[name] -= bytes; f.parts[name] == 0 {
			delete(f.parts, name)
		}
	}
}

// body is that of a request. It counts what is read, and what reading it as JSON takes; what a request announces counts
// for nothing.
type body struct {
	io.ReadCloser

	inFlight *inFlight
	who      []string
	taken    int64
	elements elements
	// bounded is true where the handler bounds the values that it makes of a body itself, while it reads it.
	bounded bool
	conn    *guarded
	refused *Error
}

// whoShares are the address of a request and the key that it carries, if any. Whether the key is one is not known yet.
func whoShares(r *http.Request) []string {
	who := []string{addressOf(r)}
	if key := Bearer(r); key != "" {
		who = append(who, "key "+key)
	} else if key := r.Header.Get("X-API-Key"); key != "" {
		who = append(who, "key "+key)
	}
	return who
}

// Read fails with an *Error of status 413 for too many elements, and of 503 where there is no memory for the request now.
func (b *body) Read(to []byte) (int, error) {
	if b.refused != nil {
		return 0, b.refused
	}
	n, err := b.ReadCloser.Read(to)
	b.conn.earn(2 * n)
	before := b.elements.count
	if !b.bounded {
		b.elements.read(to[:n])
	}
	if b.elements.count > maxElements {
		b.refused = Errorf(http.StatusRequestEntityTooLarge, "the body holds more than %d values", maxElements)
		return 0, b.refused
	}
	bytes := int64(n) + int64(b.elements.count-before)*elementBytes
	if bytes > 0 && !b.inFlight.take(b.who, bytes) {
		b.refused = busy("requests")
		return 0, b.refused
	}
	b.taken += bytes
	return n, err
}

// release lets go of the memory at the end of a request.
func (b *body) release() {
	if b.taken > 0 {
		b.inFlight.give(b.who, b.taken)
		b.taken = 0
	}
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

// CheckElements fails with an *Error of status 413 where JSON that was unpacked holds more values than a body may.
func CheckElements(data []byte) error {
	var e elements
	if e.read(data); e.count > maxElements {
		return Errorf(http.StatusRequestEntityTooLarge, "the body holds more than %d values", maxElements)
	}
	return nil
}

// largeAnswer is the size from which on an answer counts, in bytes.
const largeAnswer = 64 << 10

// Hold counts the memory of an answer that is made for one request, until release is called. Clients that do not read
// hold it until the time for writing is over. It fails with an *Error of status 503 where there is no memory for it now.
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
