// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package flagd_test

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"connectrpc.com/grpcreflect"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/jackstaff-dev/jackstaff/internal/server"
)

// check asks by Connect with JSON for the health of a service.
func (s *served) check(service string) (int, string) {
	s.Helper()
	request, err := http.NewRequestWithContext(
		s.Context(), http.MethodPost, s.url+"/grpc.health.v1.Health/Check", strings.NewReader(`{"service":"`+service+`"}`),
	)
	if err != nil {
		s.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	answer, err := s.http2.Do(request)
	if err != nil {
		s.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		s.Fatal(err)
	}
	return answer.StatusCode, string(body)
}

// Probes and load balancers have no key.
func TestHealth(t *testing.T) {
	s := serve(t, server.Options{})
	for service, want := range map[string]string{
		"":                              "SERVING",
		"flagd.sync.v1.FlagSyncService": "SERVING",
		"flagd.evaluation.v2.Service":   "SERVING",
		"shop.production":               "not_found",
	} {
		if _, body := s.check(service); !strings.Contains(body, want) {
			t.Errorf("%q is %s, want %s", service, body, want)
		}
	}
	s.away.Store(true)
	if _, body := s.check(""); !strings.Contains(body, "NOT_SERVING") {
		t.Errorf("before everything was read it is %s", body)
	}
}

// Tools such as grpcurl ask for the schema, which is published, and learn nothing of what is served.
func TestReflection(t *testing.T) {
	s := serve(t, server.Options{})
	s.set(revision(1, plainFlag, 0))
	stream := grpcreflect.NewClient(s.http2, s.url, connect.WithGRPC()).NewStream(t.Context())
	defer func() { _, _ = stream.Close() }()
	names, err := stream.ListServices()
	if err != nil || !slices.Contains(names, "flagd.sync.v1.FlagSyncService") || len(names) != 4 {
		t.Errorf("the services are %v, %v", names, err)
	}
	for _, symbol := range []protoreflect.FullName{"flagd.evaluation.v2.Service", "flagd.sync.v1.SyncFlagsResponse"} {
		if files, err := stream.FileContainingSymbol(symbol); err != nil || len(files) == 0 {
			t.Errorf("%s: %v", symbol, err)
		}
	}
}

// Whoever asks without a key has only so many requests, also within one stream.
func TestPublicServicesAreLimited(t *testing.T) {
	s := serve(t, server.Options{RequestsPerSecond: 2})
	stream := grpcreflect.NewClient(s.http2, s.url, connect.WithGRPC()).NewStream(t.Context())
	defer func() { _, _ = stream.Close() }()
	var err error
	for range 10 {
		if _, err = stream.ListServices(); err != nil {
			break
		}
	}
	if connect.CodeOf(err) != connect.CodeResourceExhausted {
		t.Errorf("a stream goes on with %v", err)
	}
	if status, body := s.check(""); status != http.StatusTooManyRequests {
		t.Errorf("status %d, %s", status, body)
	}
}
