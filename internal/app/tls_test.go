// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"crypto/tls"
	"net"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/jackstaff-dev/jackstaff/internal/server"
)

// An auditor who scans the cluster finds no listener that takes a suite with CBC or SHA-1, or a version below TLS 1.2.
func TestNoListenerTakesWeakTLS(t *testing.T) {
	keys := httptest.NewTLSServer(nil) // For its certificate.
	keys.Close()
	certificate := keys.TLS.Certificates[0]
	rotated := func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &certificate, nil }
	o := &Options{CertRotation: true}
	for name, options := range map[string][]func(*tls.Config){
		"the API":             {server.HardenTLS},
		"the webhooks":        webhookOptions(o, rotated).TLSOpts,
		"mounted certificate": webhookOptions(&Options{}, nil).TLSOpts,
		"the metrics":         metricsOptions(o, rotated).TLSOpts,
	} {
		t.Run(name, func(t *testing.T) {
			listener := &tls.Config{Certificates: []tls.Certificate{certificate}}
			for _, option := range options {
				option(listener)
			}
			for _, suite := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
				client := &tls.Config{
					InsecureSkipVerify: true,
					MaxVersion:         tls.VersionTLS12, CipherSuites: []uint16{suite.ID},
				}
				isWeak := suite.Insecure || strings.Contains(suite.Name, "CBC") || strings.HasSuffix(suite.Name, "SHA")
				if err := shakeHands(t.Context(), listener, client); isWeak && err == nil {
					t.Errorf("the suite %s is taken", suite.Name)
				}
			}
			old := &tls.Config{
				InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11,
			}
			if err := shakeHands(t.Context(), listener, old); err == nil {
				t.Error("TLS 1.1 is taken")
			}
			today := &tls.Config{InsecureSkipVerify: true}
			if err := shakeHands(t.Context(), listener, today); err != nil {
				t.Errorf("a client of today is refused: %v", err)
			}
		})
	}
}

// shakeHands returns why a client and a listener do not agree.
func shakeHands(ctx context.Context, listener, client *tls.Config) error {
	here, there := net.Pipe()
	defer here.Close()
	done := make(chan error, 1)
	go func() {
		defer there.Close()
		done <- tls.Server(there, listener).HandshakeContext(ctx)
	}()
	err := tls.Client(here, client).HandshakeContext(ctx)
	if err != nil {
		_ = here.Close()
	}
	if refused := <-done; err == nil {
		err = refused
	}
	return err
}
