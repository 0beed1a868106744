// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/jackstaff-dev/jackstaff/internal/replica/store"
)

const (
	// maxStreams is how many streams a replica has open, and the others how many of them the keys of an environment that
	// are of one kind, and one address, have.
	maxStreams        = 10_000
	maxKeyStreams     = 5_000
	maxAddressStreams = 500
)

type streamsKey struct{}

// TakeStream counts a stream that a request opens of an environment, with a key of a kind, until release is called.
// What a request calls the key or the address of the stream counts for nothing. It fails with an *Error of status 503
// or 429 where too many are open. Only streams within Server.Stream count.
func TakeStream(r *http.Request, environment *store.Environment, kind store.KeyKind) (release func(), err error) {
	open, counts := r.Context().Value(streamsKey{}).(*streams)
	if !counts || r.Method == http.MethodHead {
		return func() {}, nil
	}
	release, refused := open.take(r, fmt.Sprintf("%s/%s %v", environment.Project, environment.Name, kind))
	if refused != nil {
		return nil, refused
	}
	return release, nil
}

// streams counts streams that are open.
type streams struct {
	mu    sync.Mutex
	total int
	open  map[string]int
}

// take counts a stream of a kind of keys, until release is called. It fails with an *Error of status 503 where the
// replica has too many, and of 429 where the keys or the address of the request have.
func (s *streams) take(r *http.Request, key string) (release func(), err *Error) {
	address, key := addressOf(r), "key "+key
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.total >= maxStreams:
		return nil, &Error{
			Status: http.StatusServiceUnavailable, Message: "too many streams are open", RetryAfter: time.Minute,
		}
	case s.open[key] >= maxKeyStreams:
		return nil, tooManyStreams("environment")
	case s.open[address] >= maxAddressStreams:
		return nil, tooManyStreams("address")
	}
	if s.open == nil {
		s.open = map[string]int{}
	}
	s.total++
	s.open[key]++
	s.open[address]++
	return func() { s.give(key, address) }, nil
}

func tooManyStreams(of string) *Error {
	return &Error{
		Status:     http.StatusTooManyRequests,
		Message:    "too many streams of this " + of + " are open; close some, or poll",
		RetryAfter: time.Minute,
	}
}

func (s *streams) give(names ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total--
	for _, name := range names {
		if s.open[name]--; s.open[name] == 0 {
			delete(s.open, name)
		}
	}
}
