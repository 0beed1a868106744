// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package evaluate

import (
	"testing"

	"github.com/twmb/murmur3"
)

// TestMurmur3 holds the engine against published vectors of MurmurHash3_x86_32 with seed 0: where it fails, subjects
// get another variation than in flagd's SDKs.
func TestMurmur3(t *testing.T) {
	for key, want := range map[string]uint32{
		"":                 0,
		"test":             0xba6bd213,
		"Hello, world!":    0xc0363e43,
		"\xff\xff\xff\xff": 0x76293b50,
		"\x21\x43\x65\x87": 0xf55b516b,
		"\x21\x43\x65":     0x7e4a8634,
		"\x21\x43":         0xa0f7b07a,
		"\x21":             0x72661cf4,
		"\x00\x00\x00\x00": 0x2362f9de,
		"\x00\x00\x00":     0x85f0b427,
		"\x00\x00":         0x30f4c306,
		"\x00":             0x514e28b7,
		"The quick brown fox jumps over the lazy dog": 0x2e4ff723,
	} {
		for salt := range len(key) + 1 {
			if got := newSalted(key[:salt]).sum(key[salt:]); got != want {
				t.Errorf("hash of %q with a salt of %d bytes is %#x, want %#x", key, salt, got, want)
			}
		}
	}
}

func FuzzMurmur3(f *testing.F) {
	f.Add("flag/rule/", "user-1")
	f.Add("", "日本語")
	f.Add("abc", "")
	f.Fuzz(func(t *testing.T, salt, subject string) {
		if got, want := newSalted(salt).sum(subject), murmur3.StringSum32(salt+subject); got != want {
			t.Errorf("hash of %q and %q is %#x, want %#x", salt, subject, got, want)
		}
	})
}

// TestFractional holds the buckets against those of flagd's own tests (flagd core v0.16.1,
// evaluator/fractional_test.go).
func TestFractional(t *testing.T) {
	colours := []string{"red", "blue", "green", "yellow"}
	for subject, want := range map[string]string{
		"rachel@faas.com": "blue", "monica@faas.com": "yellow", "joey@faas.com": "red", "ross@faas.com": "blue",
	} {
		if got := colours[bucket(newSalted("headerColor").sum(subject), 100)/25]; got != want {
			t.Errorf("%s is in the bucket of %s, flagd puts it into %s", subject, got, want)
		}
	}
	for hash, want := range map[uint32]int64{0: 0, 1<<32 - 1: 2147483646, 1 << 31: 1073741823} {
		if got := bucket(hash, 2147483647); got != want {
			t.Errorf("hash %#x is in bucket %d, want %d", hash, got, want)
		}
	}
}

// TestPostHog holds the rollout against the list that PostHog's clients publish in their tests of consistency: flag
// simple-flag at 45 percent, subjects distinct_id_0 and on.
func TestPostHog(t *testing.T) {
	want := []bool{false, true, true, false, true, false, false, true, false, true, false, true, true, false}
	for i, want := range want {
		subject := "distinct_id_" + string(rune('0'+i%10))
		if i > 9 {
			subject = "distinct_id_1" + string(rune('0'+i%10))
		}
		if got := postHog("simple-flag", subject, "") <= 0.45; got != want {
			t.Errorf("%s is included: %t, PostHog says %t", subject, got, want)
		}
	}
	if got, want := postHog("multivariate-flag", "distinct_id_0", "variant"), 0.6186454537930379; got != want {
		t.Errorf("hash is %v, want %v", got, want)
	}
}
