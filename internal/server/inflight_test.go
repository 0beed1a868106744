// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// reading is a request with a body, as handlers get it.
func reading(t *testing.T, f *inFlight, address, key, text string) *body {
	t.Helper()
	request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(text))
	request.RemoteAddr = address + ":1"
	if key != "" {
		request.Header.Set("Authorization", "Bearer "+key)
	}
	return &body{ReadCloser: request.Body, inFlight: f, who: whoShares(request)}
}

func status(err error) int {
	refused := (*Error)(nil)
	if errors.As(err, &refused) {
		return refused.Status
	}
	return 0
}

// Small JSON objects take fifty times their text. Whoever sends many at once gets its part of the memory, and others
// theirs.
func TestMemoryOfRequestsIsShared(t *testing.T) {
	f := &inFlight{parts: map[string]int64{}}
	small := "[" + strings.Repeat(`{"a":1},`, 60_000) + "0]"
	var held []*body
	refused := 0
	for i := range 20 {
		b := reading(t, f, "192.0.2.1", "cli_"+strings.Repeat("x", i), small)
		if _, err := io.Copy(io.Discard, b); err != nil {
			refused++
			if status(err) != http.StatusServiceUnavailable || err.(*Error).RetryAfter == 0 { //nolint:errorlint // As told.
				t.Fatalf("it says %v", err)
			}
		}
		held = append(held, b)
	}
	if refused == 0 || f.total > maxShare {
		t.Errorf("one address, with other keys each time, holds %d bytes", f.total)
	}
	other := reading(t, f, "192.0.2.2", "sdk_y", small)
	if _, err := io.Copy(io.Discard, other); err != nil {
		t.Errorf("another address is refused: %v", err)
	}
	for _, b := range append(held, other) {
		b.release()
	}
	if f.total != 0 || len(f.parts) != 0 {
		t.Errorf("%d bytes of %v are never let go of", f.total, f.parts)
	}
	// One key from many addresses, too.
	refused = 0
	for i := range 20 {
		b := reading(t, f, "192.0.2."+string(rune('0'+i%10))+string(rune('0'+i/10)), "cli_x", small)
		if _, err := io.Copy(io.Discard, b); err != nil {
			refused++
		}
	}
	if refused == 0 || f.total > maxShare {
		t.Errorf("one key from many addresses holds %d bytes", f.total)
	}
}

// The announced length counts for nothing, and too many values are refused while they come in.
func TestWhatIsReadCounts(t *testing.T) {
	f := &inFlight{parts: map[string]int64{}}
	b := reading(t, f, "192.0.2.1", "", strings.Repeat("x", 1<<20))
	if f.total != 0 {
		t.Error("a request that has sent nothing holds memory")
	}
	if _, err := b.Read(make([]byte, 1000)); err != nil || f.total != 1000 {
		t.Errorf("1000 bytes were read, and %d count: %v", f.total, err)
	}
	for name, tc := range map[string]struct {
		text string
		want int
	}{
		"many values":        {"[" + strings.Repeat("[],", maxElements) + "0]", http.StatusRequestEntityTooLarge},
		"commas in a text":   {`"` + strings.Repeat(`,{\",`, maxElements) + `"`, 0},
		"an ordinary object": {`{"a": [1, 2, {"b": "c,d"}]}`, 0},
	} {
		b := reading(t, &inFlight{parts: map[string]int64{}}, "192.0.2.1", "", tc.text)
		if _, err := io.Copy(io.Discard, b); status(err) != tc.want {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := CheckElements(bytes.Repeat([]byte("[]"), maxElements+1)); status(got) != http.StatusRequestEntityTooLarge {
		t.Errorf("what was unpacked is not judged: %v", got)
	}
}

// Answers to those who do not read count as long as they are being written.
func TestAnswersAreHeld(t *testing.T) {
	s := &Server{inFlight: inFlight{parts: map[string]int64{}}}
	request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	var releases []func()
	for {
		release, err := s.Hold(request, 8<<20)
		if err != nil {
			if status(err) != http.StatusServiceUnavailable {
				t.Errorf("it says %v", err)
			}
			break
		}
		if releases = append(releases, release); len(releases) > 100 {
			t.Fatal("answers that nobody reads hold memory without bound")
		}
	}
	for _, release := range releases {
		release()
	}
	if s.inFlight.total != 0 {
		t.Errorf("%d bytes are never let go of", s.inFlight.total)
	}
}

// Streams cost memory for hours: a key, an address and a replica have only so many.
func TestStreamsAreBounded(t *testing.T) {
	s := &streams{}
	from := func(address string) *http.Request {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.RemoteAddr = address + ":1"
		return r
	}
	var releases []func()
	take := func(address, key string) int {
		release, err := s.take(from(address), key)
		if err != nil {
			return err.Status
		}
		releases = append(releases, release)
		return 0
	}
	for range maxAddressStreams {
		if got := take("192.0.2.1", "a"); got != 0 {
			t.Fatalf("refused with %d", got)
		}
	}
	if got := take("192.0.2.1", "b"); got != http.StatusTooManyRequests {
		t.Errorf("an address has as many streams as it likes: %d", got)
	}
	for i := maxAddressStreams; i < maxKeyStreams; i++ {
		take("address"+string(rune(i)), "a")
	}
	if got := take("192.0.2.3", "a"); got != http.StatusTooManyRequests {
		t.Errorf("a key has as many streams as it likes: %d", got)
	}
	for _, release := range releases {
		release()
	}
	if s.total != 0 || len(s.open) != 0 {
		t.Errorf("%d streams are open for ever", s.total)
	}
}
