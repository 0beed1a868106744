// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/utils/clock"
	"k8s.io/utils/lru"
)

// maxLimiters is how many identities and addresses are remembered; the one seen longest ago is forgotten.
const maxLimiters = 10_000

// Limits are token buckets, one for each identity or address.
type Limits struct {
	rate  rate.Limit
	burst int
	clock clock.PassiveClock

	mu      sync.Mutex
	buckets *lru.Cache
}

// NewLimits allows everybody so many requests a second, and twice as many at once. Zero means no limit.
func NewLimits(perSecond float64, passive clock.PassiveClock) *Limits {
	limits := &Limits{
		rate:    rate.Limit(perSecond),
		burst:   max(1, int(2*perSecond)),
		clock:   passive,
		buckets: lru.New(maxLimiters),
	}
	if perSecond == 0 {
		limits.rate = rate.Inf
	}
	return limits
}

// Take takes one request out of somebody's bucket. It fails with an *Error of status 429 where that is empty.
func (l *Limits) Take(who string) error {
	if refused := l.take(who); refused != nil {
		return refused
	}
	return nil
}

func (l *Limits) take(who string) *Error {
	if l.rate == rate.Inf {
		return nil
	}
	bucket, now := l.bucket(who), l.clock.Now()
	if bucket.AllowN(now, 1) {
		return nil
	}
	return l.tooMany(bucket, now)
}

// TakeAddress is Take for the address of a request that has no identity.
func (l *Limits) TakeAddress(r *http.Request) *Error { return l.take(addressOf(r)) }

// check is Take that takes nothing.
func (l *Limits) check(who string) error {
	if l.rate == rate.Inf {
		return nil
	}
	bucket, now := l.bucket(who), l.clock.Now()
	if bucket.TokensAt(now) >= 1 {
		return nil
	}
	return l.tooMany(bucket, now)
}

// tooMany says when the bucket has one request again.
func (l *Limits) tooMany(bucket *rate.Limiter, now time.Time) *Error {
	wait := time.Duration((1 - bucket.TokensAt(now)) / float64(l.rate) * float64(time.Second))
	return &Error{Status: http.StatusTooManyRequests, Message: "too many requests", RetryAfter: max(wait, time.Second)}
}

// publicBits are those of a public IPv6 address that its owner does not choose: networks are given away as a whole.
const publicBits = 64

// addressOf is where a request comes from, without the port. A public IPv6 address stands for its network.
func addressOf(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	address, err := netip.ParseAddr(host)
	if err != nil {
		return "address " + host
	}
	address = address.Unmap().WithZone("")
	// The pods of a cluster share a private network, and do not choose their addresses.
	if address.Is4() || address.IsPrivate() || address.IsLoopback() || address.IsLinkLocalUnicast() {
		return "address " + address.String()
	}
	return "address " + netip.PrefixFrom(address, publicBits).Masked().String()
}

func (l *Limits) bucket(who string) *rate.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	if found, ok := l.buckets.Get(who); ok {
		if bucket, ok := found.(*rate.Limiter); ok {
			return bucket
		}
	}
	bucket := rate.NewLimiter(l.rate, l.burst)
	l.buckets.Add(who, bucket)
	return bucket
}
