// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package jackstaff

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/open-feature/go-sdk/openfeature"

	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
	"github.com/jackstaff-dev/jackstaff/sdk/internal/diff"
)

func TestHeartbeatReportsEachRevision(t *testing.T) {
	beats := make(chan map[string]any, 10)
	api := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var beat map[string]any
		if err := json.NewDecoder(r.Body).Decode(&beat); err != nil {
			t.Error(err)
		}
		beat["path"] = r.URL.Path
		beats <- beat
	}))
	defer api.Close()
	mounted := newMount(t)
	mounted.swap(plain(t, revisionFlag(1)))
	provider, err := NewProvider(mounted.dir, WithHeartbeat(Heartbeat{URL: api.URL, SDKKey: "sdk_x", Instance: "pod-a"}))
	if err != nil {
		t.Fatal(err)
	}
	if err := provider.Init(openfeature.EvaluationContext{}); err != nil {
		t.Fatal(err)
	}
	defer provider.Shutdown()
	for revision := 1.0; revision <= 2; revision++ {
		select {
		case got := <-beats:
			want := map[string]any{
				"path":       "/api/sdk/heartbeat",
				"sdkKey":     "sdk_x",
				"sdkType":    sdkType,
				"sdkVersion": sdkVersion,
				"revision":   revision,
				"instance":   "pod-a",
			}
			if diff := diff.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("no heartbeat for revision %v", revision)
		}
		mounted.swap(plain(t, revisionFlag(2)))
	}
}

// TestHeartbeatOfAnotherBeginning uses an option for two providers, and one of these again when the files are broken.
func TestHeartbeatOfAnotherBeginning(t *testing.T) {
	paths := make(chan string, 10)
	api := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { paths <- r.URL.Path }))
	defer api.Close()
	mounted := newMount(t)
	mounted.swap(plain(t, revisionFlag(1)))
	option := WithHeartbeat(Heartbeat{URL: api.URL, SDKKey: "sdk_x", Instance: "pod-a"})
	for range 2 {
		provider, err := NewProvider(mounted.dir, option)
		must(t, err)
		for _, files := range []map[string][]byte{plain(t, revisionFlag(1)), {datafile.FileName: []byte("{")}} {
			mounted.swap(files)
			must(t, provider.Init(openfeature.EvaluationContext{}))
			if path := await(t, paths); path != "/api/sdk/heartbeat" {
				t.Errorf("the heartbeat goes to %s", path)
			}
			provider.Shutdown()
		}
	}
}

func TestHeartbeatThatFailsIsReportedAndHoldsNothingUp(t *testing.T) {
	failures := make(chan error, 10)
	mounted := newMount(t)
	mounted.swap(plain(t, revisionFlag(1)))
	provider, err := NewProvider(mounted.dir, WithHeartbeat(Heartbeat{
		URL: "http://127.0.0.1:1", SDKKey: "sdk_x", OnError: func(err error) { failures <- err },
	}))
	if err != nil {
		t.Fatal(err)
	}
	if err := provider.Init(openfeature.EvaluationContext{}); err != nil {
		t.Fatal(err)
	}
	defer provider.Shutdown()
	select {
	case err := <-failures:
		if err == nil {
			t.Error("the reason is nil")
		}
	case <-time.After(10 * time.Second):
		t.Fatal("nobody was told")
	}
	if got := provider.Metadata().Name; got != providerName {
		t.Errorf("got %q", got)
	}
}

func TestHeartbeatSettingsAreChecked(t *testing.T) {
	for name, settings := range map[string]Heartbeat{
		"no address":           {SDKKey: "sdk_x"},
		"an address of a file": {URL: "file:///x", SDKKey: "sdk_x"},
		"no key":               {URL: "http://127.0.0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := NewProvider(t.TempDir(), WithHeartbeat(settings)); err == nil {
				t.Error("accepted")
			}
		})
	}
}
