// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"crypto/tls"
	"fmt"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/jackstaff-dev/jackstaff/internal/metrics"
)

// addMetrics adds what tells whether the operator is well, and on the leader what each environment serves. Rotated gives
// the serving certificate where CertRotation is true.
func addMetrics(
	mgr ctrl.Manager, o *Options, alive *watches, rotated func(*tls.ClientHelloInfo) (*tls.Certificate, error),
) error {
	if err := metrics.RegisterCounters(ctrlmetrics.Registry); err != nil {
		return err //nolint:wrapcheck // It says what failed.
	}
	served := []*metrics.Served{{
		Registerer: ctrlmetrics.Registry,
		Collectors: []prometheus.Collector{metrics.WatchesFailing(func() int { return len(alive.dead()) })},
	}}
	if o.RunControllers {
		end := certificateEnd(rotated)
		if !o.CertRotation {
			end = certificateEnd(func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
				return readCertificate(o.WebhookCertDir)
			})
		}
		served[0].Collectors = append(served[0].Collectors, metrics.CertificateEnd(end))
		served = append(served, &metrics.Served{
			Registerer: ctrlmetrics.Registry, LeaderOnly: true,
			Collectors: []prometheus.Collector{&metrics.Environments{Cached: mgr.GetClient(), Clock: clock.RealClock{}}},
		})
	}
	for _, add := range served {
		if err := mgr.Add(add); err != nil {
			return fmt.Errorf("set up metrics: %w", err)
		}
	}
	return nil
}

// certificateEnd tells when a certificate ends, and the zero time where there is none.
func certificateEnd(get func(*tls.ClientHelloInfo) (*tls.Certificate, error)) func() time.Time {
	return func() time.Time {
		certificate, err := get(nil)
		if err != nil || certificate == nil || certificate.Leaf == nil {
			return time.Time{}
		}
		return certificate.Leaf.NotAfter
	}
}

// readCertificate reads the certificate that files hold.
func readCertificate(folder string) (*tls.Certificate, error) {
	certificate, err := tls.LoadX509KeyPair(filepath.Join(folder, "tls.crt"), filepath.Join(folder, "tls.key"))
	if err != nil {
		return nil, fmt.Errorf("read the serving certificate: %w", err)
	}
	return &certificate, nil
}
