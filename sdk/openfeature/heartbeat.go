// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package jackstaff

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"time"
)

const (
	// heartbeatInterval is how often a heartbeat is sent although nothing has changed. The operator waits for ten times as
	// long before it gives an instance up.
	heartbeatInterval = time.Minute

	// heartbeatRetry is how long after a heartbeat that failed the next one is sent.
	heartbeatRetry = 5 * time.Second

	// heartbeatTimeout is how long a heartbeat may take.
	heartbeatTimeout = 10 * time.Second

	// sdkType names this provider to the operator.
	sdkType = "github.com/jackstaff-dev/jackstaff/sdk/openfeature"

	// sdkVersion is the form of the heartbeats that it sends.
	sdkVersion = "1"
)

// Heartbeat says where a provider reports which revision it has loaded.
type Heartbeat struct {
	// URL is the address of Jackstaff's API, such as https://jackstaff-api.jackstaff-system.svc.
	URL string
	// SDKKey is a server key of the environment.
	SDKKey string
	// Instance is what the environment's status calls this process where it lags behind. Empty means the host's name,
	// which in a pod is the pod's.
	Instance string
	// Client sends the requests. Nil means http.DefaultClient.
	Client *http.Client
	// OnError is called with the reason why a heartbeat did not arrive. Nil means that nobody is told. As with OnLoad, it
	// must return soon and must not call Init, Shutdown or the SDK.
	OnError func(error)
}

// WithHeartbeat has the provider report each revision that it loads, and once a minute that it is there, so that the
// environment's condition Acknowledged can say that every workload has a change. An evaluation never waits for it, and
// nothing else depends on it.
func WithHeartbeat(to Heartbeat) Option {
	return func(p *Provider) {
		heartbeat := to // The option may be used again.
		p.heartbeat = &heartbeat
	}
}

// check completes a heartbeat's settings.
func (h *Heartbeat) check() error {
	base, err := url.Parse(h.URL)
	if err != nil || base.Host == "" || base.Scheme != "https" && base.Scheme != "http" {
		return fmt.Errorf("heartbeat: %q is not the address of an API", h.URL)
	}
	if h.SDKKey == "" {
		return errors.New("heartbeat: no SDK key")
	}
	h.URL = base.JoinPath("/api/sdk/heartbeat").String()
	if h.Instance == "" {
		if h.Instance, err = os.Hostname(); err != nil {
			return fmt.Errorf("heartbeat: no instance: %w", err)
		}
	}
	if h.Client == nil {
		h.Client = http.DefaultClient
	}
	if h.OnError == nil {
		h.OnError = func(error) {}
	}
	return nil
}

// heart sends a provider's heartbeats, on a goroutine of its own.
type heart struct {
	to *Heartbeat
	// revision is told each revision that was loaded; one that is not sent yet gives way to the next.
	revision chan int64
	cancel   context.CancelFunc
	ended    chan struct{}
}

func beat(to *Heartbeat) *heart {
	ctx, cancel := context.WithCancel(context.Background())
	h := &heart{to: to, revision: make(chan int64, 1), cancel: cancel, ended: make(chan struct{})}
	go h.run(ctx)
	return h
}

// loaded tells of a revision. Only one goroutine calls it.
func (h *heart) loaded(revision int64) {
	select {
	case <-h.revision:
	default:
	}
	h.revision <- revision
}

func (h *heart) stop() {
	h.cancel()
	<-h.ended
}

func (h *heart) run(ctx context.Context) {
	defer close(h.ended)
	var revision int64
	next := time.NewTimer(heartbeatInterval)
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case revision = <-h.revision:
		case <-next.C:
		}
		wait := heartbeatInterval
		if err := h.send(ctx, revision); err != nil && ctx.Err() == nil {
			wait = heartbeatRetry
			h.to.OnError(err)
		}
		next.Reset(wait)
	}
}

// send sends one heartbeat. Before the first revision there is nothing to say.
func (h *heart) send(ctx context.Context, revision int64) error {
	if revision == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, heartbeatTimeout)
	defer cancel()
	body, err := json.Marshal(map[string]any{
		"sdkKey": h.to.SDKKey, "sdkType": sdkType, "sdkVersion": sdkVersion, "revision": revision, "instance": h.to.Instance,
	})
	if err != nil {
		return fmt.Errorf("heartbeat: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, h.to.URL, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("heartbeat: %w", err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := h.to.Client.Do(request)
	if err != nil {
		return fmt.Errorf("heartbeat: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 1<<10)) // So that the connection is used again.
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("heartbeat: the API answers %s", response.Status)
	}
	return nil
}
