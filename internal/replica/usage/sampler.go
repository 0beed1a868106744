// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package usage

import (
	"container/heap"
	"hash/maphash"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// SampleSize is how many contexts are kept of an environment, for a day.
	SampleSize = 1024

	// period is how long subjects are collected before the collection begins anew. The one before stays as long again.
	period = 24 * time.Hour

	// maxContextBytes bounds what is kept of one context. The attributes of a larger one are left out.
	maxContextBytes = 4 << 10
)

// sampler keeps the contexts of those subjects whose hashes are the smallest. As hashes are evenly spread, these are a
// fair sample of the subjects, however often each of them is evaluated; and where the largest of k smallest hashes lies
// tells how many there are (Bar-Yossef et al., "Counting distinct elements in a data stream", 2002).
type sampler struct {
	seed maphash.Seed
	// limit is the hash from which on subjects are not kept, so that most evaluations need no lock.
	limit atomic.Uint64
	// recent is the hash of the subject that was added last: whoever evaluates many flags at once does so for one subject.
	recent atomic.Uint64
	until  atomic.Int64

	mu                sync.Mutex
	current, previous *smallest
}

func newSampler() *sampler {
	s := &sampler{seed: maphash.MakeSeed(), current: newSmallest(), previous: newSmallest()}
	s.limit.Store(math.MaxUint64)
	return s
}

// add keeps the context of a subject where its hash is among the smallest.
func (s *sampler) add(subject string, context map[string]any, now time.Time) {
	hash := maphash.String(s.seed, subject)
	if (hash >= s.limit.Load() || hash == s.recent.Load()) && now.Unix() < s.until.Load() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turn(now)
	s.current.add(hash, context)
	s.limit.Store(s.current.limit())
	s.recent.Store(hash)
}

// turn begins a new collection where the current one is old.
func (s *sampler) turn(now time.Time) {
	until := s.until.Load()
	if now.Unix() < until {
		return
	}
	s.previous = s.current
	if now.Unix() >= until+int64(period/time.Second) {
		s.previous = newSmallest()
	}
	s.current = newSmallest()
	s.limit.Store(math.MaxUint64)
	s.recent.Store(0)
	s.until.Store(now.Add(period).Unix())
}

// sample is what Recorder.Sample returns of the environment.
func (s *sampler) sample(now time.Time) ([]map[string]any, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turn(now)
	both := newSmallest()
	for _, part := range []*smallest{s.previous, s.current} {
		for hash, context := range part.contexts {
			both.put(hash, context)
		}
	}
	contexts := make([]map[string]any, 0, len(both.contexts))
	for _, hash := range slices.Sorted(maps.Keys(both.contexts)) {
		contexts = append(contexts, both.contexts[hash])
	}
	return contexts, both.estimate()
}

// smallest are the contexts of the SampleSize smallest hashes that were added.
type smallest struct {
	contexts map[uint64]map[string]any
	hashes   largestFirst
}

func newSmallest() *smallest { return &smallest{contexts: map[uint64]map[string]any{}} }

// limit is the hash from which on nothing is kept.
func (s *smallest) limit() uint64 {
	if len(s.hashes) < SampleSize {
		return math.MaxUint64
	}
	return s.hashes[0]
}

// add keeps a copy of a context. Of a subject that is there already the first context stays.
func (s *smallest) add(hash uint64, context map[string]any) {
	if _, known := s.contexts[hash]; !known && hash < s.limit() {
		s.put(hash, copyOf(context))
	}
}

func (s *smallest) put(hash uint64, context map[string]any) {
	if _, known := s.contexts[hash]; known {
		s.contexts[hash] = context
		return
	}
	if hash >= s.limit() {
		return
	}
	s.contexts[hash] = context
	heap.Push(&s.hashes, hash)
	if len(s.hashes) > SampleSize {
		if dropped, ok := heap.Pop(&s.hashes).(uint64); ok {
			delete(s.contexts, dropped)
		}
	}
}

// estimate is how many subjects were added: exact as long as all are kept.
func (s *smallest) estimate() int {
	if len(s.hashes) < SampleSize {
		return len(s.hashes)
	}
	return int(math.Round(float64(SampleSize-1) / (float64(s.hashes[0]) / math.MaxUint64)))
}

// largestFirst is a heap.
type largestFirst []uint64

// Len is the number of hashes.
func (h largestFirst) Len() int { return len(h) }

// Less puts the largest first.
func (h largestFirst) Less(i, j int) bool { return h[i] > h[j] }

// Swap swaps two.
func (h largestFirst) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

// Push adds one.
func (h *largestFirst) Push(hash any) {
	if hash, ok := hash.(uint64); ok {
		*h = append(*h, hash)
	}
}

// Pop removes the last.
func (h *largestFirst) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

// copyOf copies a context, whose texts may be parts of a request's memory. One that is too large keeps only its
// targeting key.
func copyOf(context map[string]any) map[string]any {
	room := maxContextBytes
	if copied, ok := copyValue(context, &room).(map[string]any); ok && room >= 0 {
		return copied
	}
	subject, _ := context["targetingKey"].(string)
	return map[string]any{"targetingKey": strings.Clone(subject)}
}

func copyValue(value any, room *int) any {
	if *room -= 16; *room < 0 {
		return nil
	}
	switch v := value.(type) {
	case string:
		*room -= len(v)
		return strings.Clone(v[:min(len(v), maxContextBytes)])
	case map[string]any:
		copied := make(map[string]any, len(v))
		for key, element := range v {
			if *room -= len(key); *room < 0 {
				return nil
			}
			copied[strings.Clone(key)] = copyValue(element, room)
		}
		return copied
	case []any:
		copied := make([]any, 0, len(v))
		for _, element := range v {
			if *room < 0 {
				return nil
			}
			copied = append(copied, copyValue(element, room))
		}
		return copied
	case []string:
		copied := make([]any, 0, len(v))
		for _, element := range v {
			copied = append(copied, copyValue(element, room))
		}
		return copied
	default:
		return value
	}
}
