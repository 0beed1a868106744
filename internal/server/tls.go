// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import "crypto/tls"

// suites are those of TLS 1.2 that encrypt and authenticate at once: none with CBC or SHA-1. TLS 1.3 has no others.
var suites = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
	tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
}

// HardenTLS sets the versions and cipher suites that every listener of the operator takes: REST, webhooks and metrics.
func HardenTLS(config *tls.Config) {
	config.MinVersion = tls.VersionTLS12
	config.CipherSuites = suites
}
