// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"net/http"
	"sync"
	"time"
)

const (
	// maxStreams is how many streams a replica has open, and the others how many of them one key and one address have.
	maxStreams        = 10_000
	maxKeyStreams     = 5_000
	maxAddressStreams = 500
)

// streams counts streams that are open.
type streams struct {
	mu    sync.Mutex
	total int
	open  map[string]int
}

// take counts a stream of a key, until release is called. It fails with an *Error of status 503 where the replica has too
// many, and of 429 where the key or the address of the request has.
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
		return nil, tooManyStreams("key")
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
