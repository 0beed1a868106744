// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	k8sruntime "k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	k8srest "k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cluster"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/internal/replica/store"
	"github.com/jackstaff-dev/jackstaff/internal/replica/usage"
	"github.com/jackstaff-dev/jackstaff/internal/server"
	"github.com/jackstaff-dev/jackstaff/internal/server/ofrep"
)

const (
	bulkPath   = ofrep.BulkPath
	singlePath = ofrep.SinglePath + "flag-042"
	// key is the SDK key of all requests.
	key = "sdk_0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	// body is that of all requests.
	body = `{"context":{"targetingKey":"alice@example.com","country":"NL","plan":"beta","version":"2.4.1","age":42,"internal":false}}`
)

// answerUsage serves the parent: the processor time so far, for each line of standard input.
func answerUsage() error {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		usage := syscall.Rusage{}
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
			return err
		}
		fmt.Println(time.Duration(usage.Utime.Nano() + usage.Stime.Nano()))
	}
	return lines.Err()
}

// serveOFREP serves 100 flags as the manager does. Nothing of it needs the API server, which is not there.
func serveOFREP(ctx context.Context) error {
	ctrl.SetLogger(zap.New())
	scheme := k8sruntime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		return err
	}
	nowhere, err := cluster.New(
		&k8srest.Config{Host: "http://127.0.0.1:1"},
		func(options *cluster.Options) { options.Scheme = scheme },
	)
	if err != nil {
		return err
	}
	srv, err := server.New(nowhere, server.Options{
		Address: "127.0.0.1:0", SessionKey: bytes.Repeat([]byte("k"), 32), RequestsPerSecond: 100, Clock: clock.RealClock{},
	})
	if err != nil {
		return err
	}
	datafiles, err := newStore()
	if err != nil {
		return err
	}
	evaluations, err := usage.New(clock.RealClock{}, prometheus.NewRegistry())
	if err != nil {
		return err
	}
	ofrep.Mount(srv, datafiles, evaluations, clock.RealClock{})
	go func() {
		address, err := srv.Address(ctx)
		if err == nil {
			fmt.Println("http://" + address.String())
			_ = answerUsage()
		}
		os.Exit(0)
	}()
	return srv.Start(ctrl.LoggerInto(ctx, ctrl.Log))
}

// newStore holds one environment with flags of three kinds.
func newStore() (*store.Store, error) {
	const variations = `"type":"String","variations":[{"key":"on","value":"the new one"},{"key":"off","value":"the old one"}]`
	kinds := []string{
		`{"defaultVariation":"off","enabled":true,"fallthrough":"on",` + variations + `}`,
		`{"defaultVariation":"off","enabled":true,"rules":[{"conditions":[{"attribute":"country","operator":"In","values":["BE","NL"]}],"name":"near","variation":"on"}],` +
			variations + `}`,
		`{"defaultVariation":"off","enabled":true,"rules":[{"name":"half","salt":"half/","split":[{"variation":"on","weight":1},{"variation":"off","weight":1}]}],` +
			variations + `}`,
	}
	flags := make([]string, 0, 100)
	for i := range 100 {
		flags = append(flags, fmt.Sprintf("%q:%s", fmt.Sprintf("flag-%03d", i), kinds[i%len(kinds)]))
	}
	native := `{"audiences":{},"environment":"production","events":{},"flags":{` + strings.Join(
		flags,
		",",
	) + `},"project":"shop","revision":1,"schemaVersion":"1.0"}`
	hash := sha256.Sum256([]byte(key))
	environment := builders.MakeEnvironment("production", "shop").Defaulted().Obj()
	environment.UID = "1"
	environment.Status.SDKKeys = []v1alpha1.SDKKey{{ServerHash: "sha256:" + hex.EncodeToString(hash[:]), Confirmed: true}}
	datafiles := store.NewStore()
	return datafiles, datafiles.Set(environment, &store.Document{Digest: "sha256:1", Native: []byte(native)})
}

// The forms of requests and answers, for echo.
type (
	question struct {
		Context map[string]any `json:"context"`
	}
	evaluation struct {
		Key     string `json:"key"`
		Reason  string `json:"reason"`
		Variant string `json:"variant"`
		Value   any    `json:"value"`
	}
	evaluations struct {
		Flags        []evaluation   `json:"flags"`
		Metadata     map[string]any `json:"metadata"`
		EventStreams []eventStream  `json:"eventStreams"`
	}
	eventStream struct {
		Type string `json:"type"`
		URL  string `json:"url"`
	}
)

// serveEcho answers each request with what is in a file, decoded once and encoded each time.
func serveEcho(file string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	recorded := map[string]json.RawMessage{}
	if err := json.Unmarshal(data, &recorded); err != nil {
		return err
	}
	single, bulk := evaluation{}, evaluations{}
	if err := json.Unmarshal(recorded[singlePath], &single); err != nil {
		return err
	}
	if err := json.Unmarshal(recorded[bulkPath], &bulk); err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go func() {
		fmt.Println("http://" + listener.Addr().String())
		_ = answerUsage()
		os.Exit(0)
	}()
	server := &http.Server{
		ReadHeaderTimeout: time.Minute,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var answer any = &bulk
			if r.URL.Path == singlePath {
				answer = &single
			}
			if err := json.NewDecoder(r.Body).Decode(&question{}); err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(answer)
		}),
	}
	return server.Serve(listener)
}
