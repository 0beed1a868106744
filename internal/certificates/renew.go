// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package certificates

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// The keys of the Secret for the certificate that is served next.
const (
	nextCertKey = "next-tls.crt"
	nextKeyKey  = "next-tls.key"
)

// state is what the Secret holds: the pair that is served, the one that is served next, if there is one, and the
// authorities to trust, that of the served pair first.
type state struct {
	served, next pair
	bundle       []byte
}

func stateOf(data map[string][]byte) *state {
	bundle := data[corev1.ServiceAccountRootCAKey]
	return &state{
		served: pair{data[corev1.TLSCertKey], data[corev1.TLSPrivateKeyKey], bundle},
		next:   pair{data[nextCertKey], data[nextKeyKey], bundle},
		bundle: bundle,
	}
}

func (s *state) data() map[string][]byte {
	data := map[string][]byte{
		corev1.TLSCertKey: s.served.certificate, corev1.TLSPrivateKeyKey: s.served.key,
		corev1.ServiceAccountRootCAKey: s.bundle,
	}
	if len(s.next.certificate) > 0 {
		data[nextCertKey], data[nextKeyKey] = s.next.certificate, s.next.key
	}
	return data
}

// renewed returns the state to be in at now, and why it is another one; nil where s is good. Trusted is what the
// webhook configurations trust, of which the first authority stays trusted where the Secret has lost it: replicas may
// still serve by it.
//
// The next certificate is made before it is needed, and its authority is trusted from then on, so that clients which
// read the authorities once in overlap never meet one that they do not know.
func (s *state) renewed(hosts []string, trusted []byte, now time.Time) (*state, error, error) {
	_, unfit := s.served.check(hosts, now, renewal)
	if unfit == nil {
		_, ends := s.served.check(hosts, now, renewal+overlap)
		if _, err := s.next.check(hosts, now, renewal+overlap); ends == nil || err == nil {
			return nil, nil, nil
		}
		made, err := issue(hosts, now)
		if err != nil {
			return nil, nil, err
		}
		return newState(s.served, pair{certificate: made.certificate, key: made.key},
			slices.Concat(s.served.issuerOf(s.bundle), made.authority)), ends, nil
	}
	if _, err := s.next.check(hosts, now, renewal); err == nil {
		bundle := slices.Concat(s.next.issuerOf(s.bundle), s.served.issuerOf(s.bundle))
		return newState(s.next, pair{}, bundle), unfit, nil
	}
	made, err := issue(hosts, now)
	if err != nil {
		return nil, nil, err
	}
	before := newest(s.bundle)
	if before == nil {
		before = newest(trusted)
	}
	return newState(*made, pair{}, slices.Concat(made.authority, before)), unfit, nil
}

func newState(served, next pair, bundle []byte) *state {
	served.authority, next.authority = bundle, bundle
	return &state{served: served, next: next, bundle: bundle}
}
