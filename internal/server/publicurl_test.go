// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// The address of a stream carries a key. It leads to the server, whatever the request claims.
func TestBaseURL(t *testing.T) {
	public, err := ParsePublicURL("https://flags.example.com/")
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		host, proto string
		configured  bool
		want        string
	}{
		"a name":                  {"flags.example.com:8090", "", false, "http://flags.example.com:8090"},
		"behind TLS":              {"flags.example.com", "https", false, "https://flags.example.com"},
		"an address":              {"[2001:db8::1]:8090", "", false, "http://[2001:db8::1]:8090"},
		"what is configured":      {"evil.example.com", "", true, "https://flags.example.com"},
		"somebody's credentials":  {"flags.example.com@evil.example.com", "", false, ""},
		"a path":                  {"evil.example.com/x?", "", false, ""},
		"nothing":                 {"", "", false, ""},
		"text that ends the JSON": {`a"}],"x":"`, "", false, ""},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", nil)
		r.Host = tc.host
		r.Header.Set("X-Forwarded-Proto", tc.proto)
		s := &Server{}
		if tc.configured {
			s.options.PublicURL = public
		}
		if got := s.BaseURL(r); got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
	for _, wrong := range []string{"flags.example.com", "ftp://x", "https://x/path", "https://u@x", "https://x?q", "https://"} {
		if _, err := ParsePublicURL(wrong); err == nil {
			t.Errorf("%q is taken for an address", wrong)
		}
	}
}

// Two views under one path are a mistake of the program, which says so when it starts.
func TestViewsUnderOnePath(t *testing.T) {
	s := &Server{mux: http.NewServeMux(), routes: map[string][]route{}}
	for range 2 {
		s.mount(route{pattern: "/api/x/", handler: http.NotFoundHandler()})
	}
	if err := s.Start(t.Context()); err == nil || err.Error() != "two views serve /api/x/" {
		t.Errorf("it starts all the same: %v", err)
	}
}
