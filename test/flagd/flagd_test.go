// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package flagd asks a running server with flagd's own clients: the source of flagd itself, and the providers in process
// and over rpc. "make conformance" runs it with all of them; by itself it leaves out that in JavaScript, unless its
// packages are installed (npm ci) and CONFORMANCE_NODE=node is set.
package flagd

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	"github.com/open-feature/flagd/core/pkg/evaluator"
	"github.com/open-feature/flagd/core/pkg/logger"
	flagdstore "github.com/open-feature/flagd/core/pkg/store"
	flagdsync "github.com/open-feature/flagd/core/pkg/sync"
	source "github.com/open-feature/flagd/core/pkg/sync/grpc"
	"github.com/open-feature/flagd/core/pkg/sync/grpc/credentials"
	provider "github.com/open-feature/go-sdk-contrib/providers/flagd/pkg"
	"github.com/open-feature/go-sdk/openfeature"
	"go.uber.org/zap"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/cluster"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/internal/replica/store"
	"github.com/jackstaff-dev/jackstaff/internal/server"
	"github.com/jackstaff-dev/jackstaff/internal/server/flagd"
	"github.com/jackstaff-dev/jackstaff/sdk/evaluate"
)

// patience is how long a client may take to notice something.
const patience = 60 * time.Second

// served is a server that listens with TLS, and serves production of shop with the key sdk_a. It has no API server.
type served struct {
	*testing.T
	store       *store.Store
	environment *v1alpha1.FlagEnvironment
	port        uint16
	// authority is the file with the certificate.
	authority string
}

// read is a store of which everything was read.
type read struct{ *store.Store }

func (read) Synced() bool { return true }

// uncounted counts nothing.
type uncounted struct{}

func (uncounted) Evaluated(*store.Environment, *evaluate.Result, map[string]any, time.Time) {}

func serve(t *testing.T) *served {
	t.Helper()
	away, err := cluster.New(&rest.Config{Host: "https://127.0.0.1:1"}, func(o *cluster.Options) {
		o.MapperProvider = func(*rest.Config, *http.Client) (meta.RESTMapper, error) {
			return meta.NewDefaultRESTMapper(nil), nil
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	certified, s := certificate(t), &served{T: t, store: store.NewStore()}
	srv, err := server.New(away, server.Options{
		Address: "127.0.0.1:0", SessionKey: bytes.Repeat([]byte("k"), 32), Clock: clock.RealClock{},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &certified, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	flagd.Mount(srv, read{s.store}, uncounted{}, clock.RealClock{})
	s.authority = filepath.Join(t.TempDir(), "ca.crt")
	file := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certified.Certificate[0]})
	if err := os.WriteFile(s.authority, file, 0o600); err != nil {
		t.Fatal(err)
	}
	hash := sha256.Sum256([]byte("sdk_a"))
	s.environment = builders.MakeEnvironment("production", "shop").Defaulted().Obj()
	s.environment.Status.SDKKeys = []v1alpha1.SDKKey{
		{ServerHash: "sha256:" + hex.EncodeToString(hash[:]), Confirmed: true},
	}
	s.publish(1, `"blue"`)
	ctx, cancel := context.WithCancel(context.Background())
	stopped := make(chan error, 1)
	go func() { stopped <- srv.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	})
	address, err := srv.Address(ctx)
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(address.String())
	number, _ := strconv.ParseUint(port, 10, 16)
	s.port = uint16(number)
	return s
}

// publish serves a revision, in which a flag has another value.
func (s *served) publish(number int64, colour string) {
	s.Helper()
	const off = `"codeDefault":true,"defaultVariation":"on","enabled":false,"type":"String","variations":[{"key":"on","value":"x"}]`
	flags := []string{
		`"ui/dark-mode":{"enabled":true,"type":"Boolean","defaultVariation":"off","variations":[{"key":"off","value":false},{"key":"on","value":true}],` +
			`"rules":[{"name":"beta","variation":"on","conditions":[{"attribute":"plan","operator":"In","values":["beta"]}]}]}`,
		`"colour":{"enabled":true,"type":"String","defaultVariation":"on","variations":[{"key":"on","value":` + colour + `}]}`,
		`"size":{"enabled":false,"type":"Number","defaultVariation":"on","variations":[{"key":"on","value":2.5}]}`,
		`"options":{"enabled":true,"type":"JSON","defaultVariation":"on","variations":[{"key":"on","value":{"deep":[1,"x"]}}]}`,
		`"code":{` + off + `}`,
	}
	err := s.store.Set(s.environment, &store.Document{
		Digest: fmt.Sprintf("sha256:%064d", number),
		Native: fmt.Appendf(
			nil,
			`{"audiences":{},"environment":"production","events":{},"flags":{%s},"project":"shop","revision":%d,"schemaVersion":"1.0"}`,
			strings.Join(flags, ","),
			number,
		),
	})
	if err != nil {
		s.Fatal(err)
	}
}

// answer is what a client says of a flag.
type answer struct {
	Value     any    `json:"value"`
	Variant   string `json:"variant"`
	ErrorCode string `json:"errorCode"`
}

// published are the answers for alice, who has the plan beta. A flag that is off has its value, unless it leaves that to
// the code.
var published = map[string]answer{
	"ui/dark-mode": {Value: true, Variant: "on"},
	"colour":       {Value: "blue", Variant: "on"},
	"size":         {Value: 2.5, Variant: "on"},
	"options":      {Value: map[string]any{"deep": []any{1.0, "x"}}, Variant: "on"},
	"code":         {Value: "none"},
	"not/made up":  {Value: "none", ErrorCode: "FLAG_NOT_FOUND"},
}

// repainted are those after another value of colour was published.
func repainted() map[string]answer {
	all := maps.Clone(published)
	all["colour"] = answer{Value: "grey", Variant: "on"}
	return all
}

// eventually waits until a client says what it should.
func (s *served) eventually(want map[string]answer, ask func() map[string]answer) {
	s.Helper()
	for end := time.Now().Add(patience); ; {
		got := ask()
		diff := cmp.Diff(want, got)
		if diff == "" {
			return
		}
		if time.Now().After(end) {
			s.Fatalf("it says (-want +got):\n%s", diff)
		}
		select {
		case <-s.Context().Done():
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func certificate(t *testing.T) tls.Certificate {
	t.Helper()
	issued := httptest.NewTLSServer(http.NotFoundHandler())
	defer issued.Close()
	return issued.TLS.Certificates[0]
}

// ask asks a client of OpenFeature's for every flag.
func ask(client *openfeature.Client) map[string]answer {
	alice := openfeature.NewEvaluationContext("alice", map[string]any{"plan": "beta"})
	ctx, all := context.Background(), map[string]answer{}
	note := func(key string, value any, details openfeature.EvaluationDetails) {
		all[key] = answer{value, details.Variant, string(details.ErrorCode)}
	}
	dark, _ := client.BooleanValueDetails(ctx, "ui/dark-mode", false, alice)
	note("ui/dark-mode", dark.Value, dark.EvaluationDetails)
	for _, key := range []string{"colour", "code", "not/made up"} {
		text, _ := client.StringValueDetails(ctx, key, "none", alice)
		note(key, text.Value, text.EvaluationDetails)
	}
	size, _ := client.FloatValueDetails(ctx, "size", -1, alice)
	note("size", size.Value, size.EvaluationDetails)
	options, _ := client.ObjectValueDetails(ctx, "options", nil, alice)
	note("options", options.Value, options.EvaluationDetails)
	return all
}

func TestGoProvider(t *testing.T) {
	for name, mode := range map[string]provider.ProviderOption{
		"rpc": provider.WithRPCResolver(), "in-process": provider.WithInProcessResolver(),
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t)
			of, err := provider.NewProvider(
				mode,
				provider.WithHost("127.0.0.1"),
				provider.WithPort(s.port),
				provider.WithTLS(s.authority),
				provider.WithSelector(
					"sdk_a",
				),
				provider.WithDeadline(int(patience.Milliseconds())),
				provider.WithLogger(logr.Discard()),
			)
			if err != nil {
				t.Fatal(err)
			}
			if err := openfeature.SetNamedProviderAndWait(t.Name(), of); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(of.Shutdown)
			client := openfeature.NewClient(t.Name())
			if diff := cmp.Diff(published, ask(client)); diff != "" {
				t.Errorf("it says (-want +got):\n%s", diff)
			}
			details, _ := client.StringValueDetails(t.Context(), "colour", "none", openfeature.EvaluationContext{})
			if details.FlagMetadata["revision"] == nil && details.FlagMetadata["version"] != "1" {
				t.Errorf("hooks cannot tell which revision answered: %v", details.FlagMetadata)
			}
			s.publish(2, `"grey"`) // The provider over rpc keeps the answer until it is told.
			s.eventually(repainted(), func() map[string]answer { return ask(client) })
		})
	}
}

// What flagd's binary does with a source of type grpc, by its own packages: its module is not in the registry.
func TestFlagdItself(t *testing.T) {
	s := serve(t)
	quiet := logger.NewLogger(zap.NewNop(), false)
	uri := net.JoinHostPort("127.0.0.1", strconv.Itoa(int(s.port)))
	flags, err := flagdstore.NewStore(quiet, []string{uri})
	if err != nil {
		t.Fatal(err)
	}
	evaluates := evaluator.NewJSON(quiet, flags)
	from := &source.Sync{
		URI: uri, Secure: true, CertPath: s.authority,
		CredentialBuilder: &credentials.CredentialBuilder{}, Logger: quiet, ProviderID: "flagd", Selector: "shop.production",
		Headers: map[string]string{"authorization": "Bearer sdk_a"}, MaxMsgSize: 16 << 20,
	}
	if err := from.Init(t.Context()); err != nil {
		t.Fatal(err)
	}
	updates, ended := make(chan flagdsync.DataSync, 1), make(chan error, 1)
	if err := from.ReSync(t.Context(), updates); err != nil {
		t.Fatal(err)
	}
	colour := func(want string) {
		t.Helper()
		for {
			select {
			case update := <-updates:
				if err := evaluates.SetState(update); err != nil {
					t.Fatal(err)
				}
			case err := <-ended:
				t.Fatalf("flagd gave up: %v", err)
			case <-time.After(patience):
				t.Fatal("flagd has not noticed it")
			}
			got, variant, _, _, err := evaluates.ResolveStringValue(t.Context(), "", "colour", map[string]any{})
			if err == nil && got == want && variant == "on" {
				return
			}
		}
	}
	colour("blue")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { ended <- from.Sync(ctx, updates) }()
	s.publish(2, `"grey"`)
	colour("grey")
}

func TestJavaScriptProvider(t *testing.T) {
	node := os.Getenv("CONFORMANCE_NODE")
	if node == "" {
		t.Log("NOT RUN: the flagd provider in JavaScript, because CONFORMANCE_NODE does not name a Node.js.")
		return
	}
	s := serve(t)
	command := exec.CommandContext(t.Context(), node, "client.js")
	command.Env = append(
		os.Environ(),
		"FLAGD_TEST_PORT="+strconv.Itoa(int(s.port)), "FLAGD_TEST_CA="+s.authority, "FLAGD_TEST_KEY=sdk_a",
	)
	command.Stderr = os.Stderr
	output, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	}()
	lines := bufio.NewScanner(output)
	expect := func(want map[string]answer) {
		t.Helper()
		if !lines.Scan() {
			t.Fatal("the client ended, or noticed nothing")
		}
		said := map[string]map[string]answer{}
		if err := json.Unmarshal(lines.Bytes(), &said); err != nil {
			t.Fatalf("%v: %s", err, lines.Text())
		}
		if diff := cmp.Diff(map[string]map[string]answer{"in-process": want, "rpc": want}, said); diff != "" {
			t.Errorf("it says (-want +got):\n%s", diff)
		}
	}
	expect(published)
	s.publish(2, `"grey"`)
	expect(repainted())
}
