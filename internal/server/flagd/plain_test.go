// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package flagd_test

import (
	"context"
	"net/http"
	"testing"

	"buf.build/gen/go/open-feature/flagd/connectrpc/go/flagd/sync/v1/syncv1connect"
	syncv1 "buf.build/gen/go/open-feature/flagd/protocolbuffers/go/flagd/sync/v1"
	"connectrpc.com/connect"

	"github.com/jackstaff-dev/jackstaff/internal/server"
	"github.com/jackstaff-dev/jackstaff/internal/server/flagd"
)

// Clients in a mesh speak gRPC without TLS, and reach no view with a token in the clear.
func TestWithoutTLS(t *testing.T) {
	s := serve(t, server.Options{})
	s.set(revision(1, plainFlag, 0))
	ctx, cancel := context.WithCancel(context.Background())
	plain, stopped := s.Plain("127.0.0.1:0", flagd.Prefixes...), make(chan error, 1)
	go func() { stopped <- plain.Start(ctx) }()
	address, err := plain.Address(ctx)
	if err != nil {
		t.Fatal(err)
	}
	protocols := &http.Protocols{}
	protocols.SetUnencryptedHTTP2(true)
	client, url := &http.Client{Transport: &http.Transport{Protocols: protocols}}, "http://"+address.String()
	defer func() {
		cancel()
		client.CloseIdleConnections()
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	}()
	stream, err := syncv1connect.NewFlagSyncServiceClient(client, url, connect.WithGRPC(), withKey("sdk_a")).
		SyncFlags(t.Context(), connect.NewRequest(&syncv1.SyncFlagsRequest{}))
	if err != nil {
		t.Fatal(err)
	}
	if !stream.Receive() || stream.Msg().GetFlagConfiguration() == "" {
		t.Errorf("nothing comes: %v", stream.Err())
	}
	for _, path := range []string{"/healthz", "/ofrep/v1/evaluate/flags", "/api/sdk/datafile/sdk_a", "/"} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode != http.StatusNotFound {
			t.Errorf("%s is served without TLS: status %d", path, answer.StatusCode)
		}
	}
	cancel()
	if stream.Receive() || connect.CodeOf(stream.Err()) != connect.CodeUnavailable {
		t.Errorf("it ends with %v", stream.Err())
	}
}
