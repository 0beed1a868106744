// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package certificates

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"slices"
	"time"
)

const (
	// lifetime is how long a certificate is valid.
	lifetime = 365 * 24 * time.Hour

	// renewal is how long before its end a certificate is replaced.
	renewal = 90 * 24 * time.Hour

	// overlap is how long before that the authority of the next certificate is trusted: clients that pin ca.crt have as
	// long to read it again.
	overlap = 30 * 24 * time.Hour

	// skew is how far the clocks of the API server and of the manager may be apart.
	skew = time.Hour

	certificateBlock = "CERTIFICATE"
	keyBlock         = "PRIVATE KEY"
)

// pair is a serving certificate with its key, and the authority that signed it, all in PEM.
type pair struct {
	certificate, key, authority []byte
}

// issue makes a serving certificate for the hosts, signed by an authority that is made for it alone and whose key is
// forgotten at once, so that there is no key that could sign another one.
func issue(hosts []string, now time.Time) (*pair, error) {
	authority := &x509.Certificate{
		// OpenSSL takes a certificate whose issuer has its own name for a self-signed one, so the two have different names.
		Subject:               pkix.Name{CommonName: "jackstaff authority"},
		NotBefore:             now.Add(-skew),
		NotAfter:              now.Add(lifetime),
		KeyUsage:              x509.KeyUsageCertSign,
		IsCA:                  true,
		MaxPathLenZero:        true,
		BasicConstraintsValid: true,
	}
	serving := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "jackstaff"},
		NotBefore:             now.Add(-skew),
		NotAfter:              now.Add(lifetime),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			serving.IPAddresses = append(serving.IPAddresses, ip)
		} else {
			serving.DNSNames = append(serving.DNSNames, host)
		}
	}

	authorityKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("generate key: %w", err)
	}
	servingKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("generate key: %w", err)
	}
	authorityDER, err := sign(authority, authority, authorityKey, authorityKey)
	if err != nil {
		return nil, err
	}
	servingDER, err := sign(serving, authority, servingKey, authorityKey)
	if err != nil {
		return nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(servingKey)
	if err != nil {
		return nil, fmt.Errorf("encode key: %w", err)
	}
	return &pair{
		certificate: pem.EncodeToMemory(&pem.Block{Type: certificateBlock, Bytes: servingDER}),
		key:         pem.EncodeToMemory(&pem.Block{Type: keyBlock, Bytes: keyDER}),
		authority:   pem.EncodeToMemory(&pem.Block{Type: certificateBlock, Bytes: authorityDER}),
	}, nil
}

// sign gives the certificate a random serial number of 127 bits, as RFC 5280 allows at most 20 bytes.
func sign(certificate, issuer *x509.Certificate, key, issuerKey *ecdsa.PrivateKey) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("choose serial number: %w", err)
	}
	certificate.SerialNumber = serial
	der, err := x509.CreateCertificate(rand.Reader, certificate, issuer, key.Public(), issuerKey)
	if err != nil {
		return nil, fmt.Errorf("sign certificate: %w", err)
	}
	return der, nil
}

// check returns the pair as the webhook server takes it. It fails where the pair must be replaced: not readable, not
// for all of the hosts, not signed by its authority, not valid yet, as after the clock was ahead, or not valid for as
// long as ahead says.
func (p *pair) check(hosts []string, now time.Time, ahead time.Duration) (*tls.Certificate, error) {
	certificate, err := tls.X509KeyPair(p.certificate, p.key)
	if err != nil {
		return nil, fmt.Errorf("read certificate: %w", err)
	}
	authorities, err := parse(p.authority)
	if err != nil {
		return nil, err
	}
	if len(authorities) == 0 {
		return nil, errors.New("read certificate: it has no authority")
	}
	roots := x509.NewCertPool()
	for _, authority := range authorities {
		roots.AddCert(authority)
	}
	for _, at := range []time.Time{now, now.Add(ahead)} {
		// The same options are checked once per host, and once more for a configuration without any.
		for _, host := range slices.Concat(hosts, []string{""}) {
			options := x509.VerifyOptions{Roots: roots, CurrentTime: at, DNSName: host}
			if _, err := certificate.Leaf.Verify(options); err != nil {
				return nil, fmt.Errorf("verify certificate: %w", err)
			}
		}
	}
	return &certificate, nil
}

// parse reads the authorities of a bundle. It fails where there is anything else in it, which the API server would
// refuse as well.
func parse(bundle []byte) ([]*x509.Certificate, error) {
	var authorities []*x509.Certificate
	for rest := bytes.TrimSpace(bundle); len(rest) > 0; rest = bytes.TrimSpace(rest) {
		block, after := pem.Decode(rest)
		if block == nil || block.Type != certificateBlock {
			return authorities, errors.New("read authorities: there is something else among them")
		}
		authority, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return authorities, fmt.Errorf("read authorities: %w", err)
		}
		authorities, rest = append(authorities, authority), after
	}
	return authorities, nil
}

// newest returns the first authority of a bundle, which is that of what is served, and nothing where the bundle has
// none that can be read.
func newest(bundle []byte) []byte {
	authorities, _ := parse(bundle)
	if len(authorities) == 0 {
		return nil
	}
	return encode(authorities[0])
}

// issuerOf returns the authority of a bundle that signed the pair's certificate, and nothing where there is none.
func (p *pair) issuerOf(bundle []byte) []byte {
	certificate, err := tls.X509KeyPair(p.certificate, p.key)
	if err != nil {
		return nil
	}
	authorities, _ := parse(bundle)
	for _, authority := range authorities {
		if certificate.Leaf.CheckSignatureFrom(authority) == nil {
			return encode(authority)
		}
	}
	return nil
}

func encode(authority *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: certificateBlock, Bytes: authority.Raw})
}
