// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// hostForm is a DNS name or an address, and a port. Nothing else of what a request may claim gets into an answer.
var hostForm = regexp.MustCompile(
	`^([A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{1,5})?$`,
)

// ParsePublicURL reads the address under which clients reach the server: scheme and host, and nothing else.
func ParsePublicURL(text string) (*url.URL, error) {
	parsed, err := url.Parse(text)
	if err != nil {
		return nil, err
	}
	bare := url.URL{Scheme: parsed.Scheme, Host: parsed.Host}
	if (parsed.Scheme != "http" && parsed.Scheme != "https") || !hostForm.MatchString(parsed.Host) ||
		bare.String() != strings.TrimSuffix(text, "/") {
		return nil, errors.New("is a scheme and a host, such as https://flags.example.com")
	}
	return &bare, nil
}

// BaseURL is where the client of a request reaches the server, without a slash at the end: the configured address, or
// else the host that the request names. It is empty where that is no host.
func (s *Server) BaseURL(r *http.Request) string {
	if s.options.PublicURL != nil {
		return s.options.PublicURL.String()
	}
	if !hostForm.MatchString(r.Host) {
		return ""
	}
	if r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https" {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}
