// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package certificates makes, renews and serves the manager's certificate, for webhooks and REST, where no cert-manager
// does.
//
// It needs no rights but to read and update one Secret and two webhook configurations, each by its name, and no mounted
// file, so that a first start does not wait for kubelet.
package certificates

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"sync/atomic"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// The intervals between two passes. A pass is three reads where nothing is to be done, so it is cheap to have it often
// and to heal quickly what a tool has overwritten.
const (
	interval = 10 * time.Second
	retry    = time.Second
)

// Rotator keeps the serving certificate in a Secret, tells the API server by the webhook configurations to trust it,
// and hands it to the webhook server. Every replica runs one; they agree on one certificate because the Secret is
// updated with optimistic locking.
type Rotator struct {
	// Client reads without a cache, so that no right to list Secrets is needed.
	Client client.Client
	// Clock says when a certificate has to be renewed.
	Clock clock.Clock
	// Secret is the Secret that holds the certificate. It must exist.
	Secret types.NamespacedName
	// Mutating and Validating are the names of the webhook configurations. The certificate is for the hosts that they
	// name.
	Mutating, Validating string
	// Hosts are further names that the certificate is for.
	Hosts []string

	serving atomic.Pointer[tls.Certificate]
}

// GetCertificate returns the certificate that is served. It fails until there is one.
func (r *Rotator) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if certificate := r.serving.Load(); certificate != nil {
		return certificate, nil
	}
	return nil, errors.New("no serving certificate yet")
}

// NeedLeaderElection is false: every replica serves webhooks.
func (*Rotator) NeedLeaderElection() bool { return false }

// Start keeps the certificate until ctx ends.
func (r *Rotator) Start(ctx context.Context) error {
	logger := log.FromContext(ctx).WithName("certificates")
	ctx = log.IntoContext(ctx, logger)
	for {
		wait := interval
		if err := r.pass(ctx); err != nil {
			wait = retry
			// A conflict is another replica that was faster, whose certificate the next pass finds.
			if !apierrors.IsConflict(err) && ctx.Err() == nil {
				logger.Error(err, "Could not keep the serving certificate")
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-r.Clock.After(wait):
		}
	}
}

// Once looks at everything once, and corrects what is not as it should be.
func (r *Rotator) Once(ctx context.Context) error {
	return r.pass(log.IntoContext(ctx, log.FromContext(ctx).WithName("certificates")))
}

// pass looks at everything once and corrects what is not as it should be.
func (r *Rotator) pass(ctx context.Context) error {
	mutating, validating := &admissionregistrationv1.MutatingWebhookConfiguration{}, &admissionregistrationv1.ValidatingWebhookConfiguration{}
	if err := r.Client.Get(ctx, types.NamespacedName{Name: r.Mutating}, mutating); err != nil {
		return fmt.Errorf("get webhook configuration: %w", err)
	}
	if err := r.Client.Get(ctx, types.NamespacedName{Name: r.Validating}, validating); err != nil {
		return fmt.Errorf("get webhook configuration: %w", err)
	}
	var clients []*admissionregistrationv1.WebhookClientConfig
	for i := range mutating.Webhooks {
		clients = append(clients, &mutating.Webhooks[i].ClientConfig)
	}
	for i := range validating.Webhooks {
		clients = append(clients, &validating.Webhooks[i].ClientConfig)
	}

	certificate, bundle, err := r.certificate(ctx, hosts(clients, r.Hosts))
	if err != nil {
		return err
	}

	trusted := true
	for _, c := range clients {
		if !bytes.Equal(c.CABundle, bundle) {
			c.CABundle = bundle
			trusted = false
		}
	}
	if !trusted {
		for _, configuration := range []client.Object{mutating, validating} {
			if err := r.Client.Update(ctx, configuration); err != nil {
				return fmt.Errorf("update webhook configuration: %w", err)
			}
		}
		log.FromContext(ctx).Info("Wrote the authority of the serving certificate into the webhook configurations")
	}

	// API servers learn of a new authority a moment after it is written. Where an older certificate is being served, which
	// the bundle goes on trusting, the new one therefore waits for the next pass.
	if trusted || r.serving.Load() == nil {
		r.serving.Store(certificate)
	}
	return nil
}

// certificate returns the certificate of the Secret and the authorities to trust. It replaces a certificate that is not
// good any more, and then has the authority before trusted as well, so that replicas which serve the older certificate
// stay in service.
func (r *Rotator) certificate(ctx context.Context, hosts []string) (*tls.Certificate, []byte, error) {
	secret := &corev1.Secret{}
	if err := r.Client.Get(ctx, r.Secret, secret); err != nil {
		return nil, nil, fmt.Errorf("get serving certificate: %w", err)
	}
	held := &pair{
		certificate: secret.Data[corev1.TLSCertKey],
		key:         secret.Data[corev1.TLSPrivateKeyKey],
		authority:   secret.Data[corev1.ServiceAccountRootCAKey],
	}
	certificate, reason := held.check(hosts, r.Clock.Now())
	if reason == nil {
		return certificate, held.authority, nil
	}

	made, err := issue(hosts, r.Clock.Now())
	if err != nil {
		return nil, nil, err
	}
	bundle := slices.Concat(made.authority, newest(held.authority))
	secret.Data = map[string][]byte{
		corev1.TLSCertKey:              made.certificate,
		corev1.TLSPrivateKeyKey:        made.key,
		corev1.ServiceAccountRootCAKey: bundle,
	}
	if err := r.Client.Update(ctx, secret); err != nil {
		return nil, nil, fmt.Errorf("update serving certificate: %w", err)
	}
	log.FromContext(ctx).Info("Made a new serving certificate", "hosts", hosts, "because", reason.Error())
	certificate, err = made.check(hosts, r.Clock.Now())
	return certificate, bundle, err
}

// hosts returns the names by which the API server calls the webhooks, and further ones, each once, in order.
func hosts(clients []*admissionregistrationv1.WebhookClientConfig, further []string) []string {
	names := slices.Clone(further)
	for _, c := range clients {
		switch {
		case c.Service != nil:
			names = append(names, c.Service.Name+"."+c.Service.Namespace+".svc")
		case c.URL != nil:
			if address, err := url.Parse(*c.URL); err == nil {
				names = append(names, address.Hostname())
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
