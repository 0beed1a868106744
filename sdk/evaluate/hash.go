// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package evaluate

import (
	"crypto/sha1" //nolint:gosec // PostHog's hash; it assigns subjects and protects nothing.
	"encoding/binary"
	"math/bits"
)

// The constants of MurmurHash3_x86_32 (Austin Appleby, https://github.com/aappleby/smhasher, public domain).
const (
	murmurC1 = 0xcc9e2d51
	murmurC2 = 0x1b873593
)

// salted is MurmurHash3_x86_32 with seed 0 that has read a salt, and goes on with a subject without joining the two.
type salted struct {
	hash   uint32
	rest   uint32 // The bytes of the salt that fill no block of four, the first in the lowest place.
	length int    // The bytes of the salt.
}

func newSalted(salt string) salted {
	state := salted{length: len(salt)}
	for ; len(salt) >= 4; salt = salt[4:] {
		state.hash = murmurBlock(state.hash, block(salt))
	}
	for i := range len(salt) {
		state.rest |= uint32(salt[i]) << (8 * i)
	}
	return state
}

// sum is the hash of the salt and then the subject.
func (s salted) sum(subject string) uint32 {
	hash, rest := s.hash, s.rest
	length := uint32(s.length + len(subject)) // The algorithm takes the length modulo 2^32.
	shift := 8 * (s.length & 3)
	for ; len(subject) >= 4; subject = subject[4:] {
		next := uint64(block(subject))<<shift | uint64(rest)
		hash = murmurBlock(hash, uint32(next))
		rest = uint32(next >> 32)
	}
	tail := uint64(rest)
	for i := range len(subject) {
		tail |= uint64(subject[i]) << (shift + 8*i)
	}
	if (shift>>3)+len(subject) >= 4 {
		hash = murmurBlock(hash, uint32(tail))
		tail >>= 32
	}
	hash ^= murmurScramble(uint32(tail))
	hash ^= length
	hash ^= hash >> 16
	hash *= 0x85ebca6b
	hash ^= hash >> 13
	hash *= 0xc2b2ae35
	return hash ^ hash>>16
}

func block(s string) uint32 {
	return uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16 | uint32(s[3])<<24
}

func murmurScramble(k uint32) uint32 { return bits.RotateLeft32(k*murmurC1, 15) * murmurC2 }

func murmurBlock(hash, k uint32) uint32 {
	return bits.RotateLeft32(hash^murmurScramble(k), 13)*5 + 0xe6546b64
}

// bucket is where a hash falls among total buckets. It is that of flagd's "fractional" from Go core 0.15 and
// @openfeature/flagd-core 4.0 on.
func bucket(hash uint32, total int64) int64 {
	return int64(uint64(hash) * uint64(total) >> 32)
}

// postHog is PostHog's hash of "<flag key>.<subject><salt>": the first 15 hexadecimal digits of its SHA-1 as a share of
// the largest such number, from 0 to 1.
func postHog(flag, subject, salt string) float64 {
	var buffer [512]byte
	key := append(buffer[:0], flag...)
	key = append(key, '.')
	key = append(key, subject...)
	key = append(key, salt...)
	sum := sha1.Sum(key) //nolint:gosec // PostHog's hash; it assigns subjects and protects nothing.
	return float64(binary.BigEndian.Uint64(sum[:8])>>4) / float64(uint64(0xfffffffffffffff))
}
