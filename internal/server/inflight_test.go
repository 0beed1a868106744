// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/jackstaff-dev/jackstaff/internal/replica/store"
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
	f := newInFlight()
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
	if refused == 0 || f.all.total > maxInFlight/4 {
		t.Errorf("one address, with other keys each time, holds %d bytes", f.all.total)
	}
	other := reading(t, f, "192.0.2.2", "sdk_y", small)
	if _, err := io.Copy(io.Discard, other); err != nil {
		t.Errorf("another address is refused: %v", err)
	}
	for _, b := range append(held, other) {
		b.release()
	}
	if f.all.total != 0 || len(f.all.parts) != 0 {
		t.Errorf("%d bytes of %v are never let go of", f.all.total, f.all.parts)
	}
}

// Pages show their key to everybody. Whoever claims it from elsewhere takes nothing from those who use it, and at one
// address a key leaves memory to others.
func TestClaimedKeysTakeNothingFromTheirOwners(t *testing.T) {
	f := newInFlight()
	held := strings.Repeat("x", 1<<20)
	refused := 0
	for i := range 200 {
		// They send most of a body, and wait.
		b := reading(t, f, fmt.Sprintf("192.0.2.%d", i%2), "cli_victim", held)
		if _, err := b.Read(make([]byte, 1<<20)); err != nil {
			refused++
		}
	}
	if refused == 0 || f.all.total > maxInFlight/2 {
		t.Errorf("two addresses hold %d bytes", f.all.total)
	}
	if _, err := io.Copy(io.Discard, reading(t, f, "192.0.2.0", "cli_other", held)); err != nil {
		t.Errorf("another key at that address is refused: %v", err)
	}
	for _, key := range []string{"cli_victim", ""} {
		if _, err := io.Copy(io.Discard, reading(t, f, "198.51.100.1", key, held)); err != nil {
			t.Errorf("at another address, key %q is refused: %v", key, err)
		}
	}
}

// endless is the start of a body whose last byte does not come.
type endless struct{ io.Reader }

func (e endless) Read(to []byte) (int, error) {
	n, err := e.Reader.Read(to)
	if errors.Is(err, io.EOF) {
		return n, errors.New("nothing comes")
	}
	return n, err
}

// Nothing is made of a body before it has ended, so that half-sent ones take their text only, and what is small is read
// whatever others do.
func TestIdleBodiesLeaveMemoryToOthers(t *testing.T) {
	f := newInFlight()
	commas := "[" + strings.Repeat("0,", 170_000)
	idle := func(address string) {
		t.Helper()
		b := reading(t, f, address, "", "")
		b.ReadCloser = io.NopCloser(endless{strings.NewReader(commas)})
		_, _ = io.Copy(io.Discard, b)
	}
	for i := range 8 {
		idle(fmt.Sprintf("192.0.2.%d", i%4))
	}
	if want := int64(8 * len(commas)); f.all.total != want {
		t.Errorf("half-sent bodies take %d bytes, of %d that they sent", f.all.total, want)
	}
	if _, err := io.Copy(io.Discard, reading(t, f, "192.0.2.1", "", commas[:60<<10]+"0]")); err != nil {
		t.Errorf("a body of 60 KiB is refused: %v", err)
	}
	// With all memory gone, too.
	for i := range 4 * 256 {
		idle(fmt.Sprintf("192.0.2.%d", i%4))
	}
	for name, tc := range map[string]struct {
		address, text string
		want          int
	}{
		"a context":                        {"192.0.2.1", `{"context":{"targetingKey":"alice","plan":"beta"}}`, 0},
		"a context elsewhere":              {"198.51.100.1", `{"context":{"targetingKey":"alice","plan":"beta"}}`, 0},
		"16 KiB":                           {"198.51.100.1", `"` + strings.Repeat("x", smallBody-2) + `"`, 0},
		"16 KiB of values, of the reserve": {"198.51.100.1", "[" + strings.Repeat("0,", smallBody/2-1) + "0", 0},
		"1 MiB":                            {"198.51.100.1", commas + "0]", http.StatusServiceUnavailable},
	} {
		if _, err := io.Copy(io.Discard, reading(t, f, tc.address, "", tc.text)); status(err) != tc.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The values of bodies that are being answered refuse nobody the first 64 KiB of a body, and the reserve has an end.
func TestValuesOfOthersLeaveTextsToRead(t *testing.T) {
	f := newInFlight()
	for i := range 20 {
		_, _ = io.Copy(io.Discard, reading(t, f, fmt.Sprintf("192.0.2.%d", i%8), "", "["+strings.Repeat("0,", 190_000)+"0]"))
	}
	if !f.take(nil, maxInFlight-f.all.total) {
		t.Fatal("the memory is full already")
	}
	b := reading(t, f, "198.51.100.1", "", strings.Repeat("x", 65<<10))
	if _, err := io.ReadFull(b, make([]byte, firstBytes)); err != nil {
		t.Errorf("the first 64 KiB are refused: %v", err)
	}
	if _, err := b.Read(make([]byte, 1)); status(err) != http.StatusServiceUnavailable {
		t.Errorf("more is read than there is memory for: %v", err)
	}
	small, refused := "["+strings.Repeat("0,", smallBody/2-1)+"0", 0
	var held []*body
	for i := range 200 {
		b := reading(t, f, fmt.Sprintf("192.0.2.%d", i%8), "", small)
		if _, err := io.Copy(io.Discard, b); status(err) == http.StatusServiceUnavailable {
			refused++
		}
		held = append(held, b)
	}
	if refused == 0 || f.reserve.total > maxReserve {
		t.Errorf("small bodies hold %d bytes of the reserve", f.reserve.total)
	}
	for _, b := range held {
		b.release()
	}
	if f.reserve.total != 0 || len(f.reserve.parts) != 0 {
		t.Errorf("%d bytes of the reserve are never let go of", f.reserve.total)
	}
}

// What was packed takes memory as what was not, until the request ends.
func TestUnpackedBodiesCount(t *testing.T) {
	f := newInFlight()
	packed := reading(t, f, "192.0.2.1", "", "few bytes")
	ctx := context.WithValue(t.Context(), bodyKey{}, packed)
	values := "[" + strings.Repeat("0,", 100_000) + "0]"
	if _, err := io.Copy(io.Discard, Unpacked(ctx, strings.NewReader(values))); err != nil {
		t.Fatal(err)
	}
	if want := int64(len(values) + 100_001*elementBytes); f.all.total != want {
		t.Errorf("%d bytes count, and reading it takes %d", f.all.total, want)
	}
	var err error
	for range 10 {
		if _, err = io.Copy(io.Discard, Unpacked(ctx, strings.NewReader(values))); err != nil {
			break
		}
	}
	if status(err) != http.StatusServiceUnavailable {
		t.Errorf("unpacking has no end: %v", err)
	}
	many := strings.NewReader(strings.Repeat("[", maxElements+1))
	if _, err := io.Copy(io.Discard, Unpacked(ctx, many)); status(err) != http.StatusRequestEntityTooLarge {
		t.Errorf("too many values: %v", err)
	}
	if packed.release(); f.all.total != 0 || f.texts.total != 0 {
		t.Errorf("%d bytes are never let go of", f.all.total)
	}
}

// Whoever has a network of IPv6 has addresses without end.
func TestAddressesStandForTheirNetworks(t *testing.T) {
	for peer, want := range map[string]string{
		"192.0.2.1:80":              "address 192.0.2.1",
		"[::ffff:192.0.2.1]:80":     "address 192.0.2.1",
		"[2001:db8:1:2:3:4:5:6]:80": "address 2001:db8:1:2::/64",
		"[2001:db8:1:2::9]:81":      "address 2001:db8:1:2::/64",
		"[2001:db8:1:3::9]:81":      "address 2001:db8:1:3::/64",
		"[fd00::1]:80":              "address fd00::1",
		"[fe80::1%eth0]:80":         "address fe80::1",
		"[::1]:80":                  "address ::1",
		"pipe":                      "address pipe",
	} {
		request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		if request.RemoteAddr = peer; addressOf(request) != want {
			t.Errorf("%s is %q, want %q", peer, addressOf(request), want)
		}
	}
}

// Huma reads the bodies of views. A client is told when to try again there, too.
func TestViewsSayWhenToTryAgain(t *testing.T) {
	recorder := httptest.NewRecorder()
	ctx := humago.NewContext(
		&huma.Operation{},
		httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", nil),
		recorder,
	)
	err := huma.NewErrorWithContext(ctx, http.StatusInternalServerError, "cannot read request body", busy("requests"))
	if err.GetStatus() != http.StatusServiceUnavailable || recorder.Header().Get("Retry-After") != "1" {
		t.Errorf("status %d, Retry-After %q", err.GetStatus(), recorder.Header().Get("Retry-After"))
	}
}

// The announced length counts for nothing, and too many values are refused while they come in.
func TestWhatIsReadCounts(t *testing.T) {
	f := newInFlight()
	b := reading(t, f, "192.0.2.1", "", strings.Repeat("x", 1<<20))
	if f.all.total != 0 {
		t.Error("a request that has sent nothing holds memory")
	}
	if _, err := b.Read(make([]byte, 1000)); err != nil || f.all.total != 1000 {
		t.Errorf("1000 bytes were read, and %d count: %v", f.all.total, err)
	}
	for name, tc := range map[string]struct {
		text string
		want int
	}{
		"many values":        {"[" + strings.Repeat("[],", maxElements) + "0]", http.StatusRequestEntityTooLarge},
		"commas in a text":   {`"` + strings.Repeat(`,{\",`, maxElements) + `"`, 0},
		"an ordinary object": {`{"a": [1, 2, {"b": "c,d"}]}`, 0},
	} {
		b := reading(t, newInFlight(), "192.0.2.1", "", tc.text)
		if _, err := io.Copy(io.Discard, b); status(err) != tc.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Answers to those who do not read count as long as they are being written.
func TestAnswersAreHeld(t *testing.T) {
	s := &Server{inFlight: newInFlight()}
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
	if s.inFlight.all.total != 0 {
		t.Errorf("%d bytes are never let go of", s.inFlight.all.total)
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

// The query of a stream's address, another key of the environment and another ticket do not make another share of it.
func TestStreamsCountForWhatTheyAreOf(t *testing.T) {
	s := &streams{}
	production := &store.Environment{Project: "shop", Name: "production"}
	take := func(i int, environment *store.Environment, kind store.KeyKind) int {
		ctx := context.WithValue(t.Context(), streamsKey{}, s)
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("/ofrep/v1/stream?x=%d", i), nil)
		r.RemoteAddr = fmt.Sprintf("192.0.2.%d:1", i%200)
		_, err := TakeStream(r, environment, kind)
		return status(err)
	}
	for i := range maxKeyStreams {
		if got := take(i, production, store.ClientKey); got != 0 {
			t.Fatalf("refused with %d", got)
		}
	}
	for name, tc := range map[string]struct {
		environment *store.Environment
		kind        store.KeyKind
		want        int
	}{
		"one more":            {production, store.ClientKey, http.StatusTooManyRequests},
		"of the servers":      {production, store.ServerKey, 0},
		"another environment": {&store.Environment{Project: "shop", Name: "staging"}, store.ClientKey, 0},
		"another project":     {&store.Environment{Project: "bank", Name: "production"}, store.ClientKey, 0},
	} {
		if got := take(maxKeyStreams, tc.environment, tc.kind); got != tc.want {
			t.Errorf("%s: %d, want %d", name, got, tc.want)
		}
	}
}
