// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package certificates makes, renews and serves the manager's certificate, for webhooks and REST, where no cert-manager
// does.
//
// It needs no rights but to create Secrets, and to read and update one and two webhook configurations by name, and no
// mounted file, so that a first start does not wait for kubelet.
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
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
	// Secret is the Secret that holds the certificate. It is made where it does not exist.
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
			if !apierrors.IsConflict(err) && !apierrors.IsAlreadyExists(err) && ctx.Err() == nil {
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

	var before []byte
	if len(clients) > 0 {
		before = clients[0].CABundle
	}
	certificate, bundle, isNew, err := r.certificate(ctx, hosts(clients, r.Hosts), before)
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
	if trusted && !isNew || r.serving.Load() == nil {
		r.serving.Store(certificate)
	}
	return nil
}

// certificate returns the certificate of the Secret and the authorities to trust, and whether it has just written them.
// It makes the Secret again where it is gone. It replaces a certificate that is not good any more, and then has the
// authority before trusted as well, so that replicas which serve the older certificate stay in service.
func (r *Rotator) certificate(
	ctx context.Context,
	hosts []string,
	trusted []byte,
) (certificate *tls.Certificate, bundle []byte, isNew bool, err error) {
	secret := &corev1.Secret{}
	err = r.Client.Get(ctx, r.Secret, secret)
	isGone := apierrors.IsNotFound(err)
	if err != nil && !isGone {
		return nil, nil, false, fmt.Errorf("get serving certificate: %w", err)
	}
	held := stateOf(secret.Data)
	renewed, reason, err := held.renewed(hosts, trusted, r.Clock.Now())
	if err != nil {
		return nil, nil, false, err
	}
	if renewed != nil {
		secret.Data = renewed.data()
		if isGone {
			secret.ObjectMeta = metav1.ObjectMeta{Namespace: r.Secret.Namespace, Name: r.Secret.Name}
			secret.Type = corev1.SecretTypeOpaque
			err = r.Client.Create(ctx, secret)
		} else {
			err = r.Client.Update(ctx, secret)
		}
		if err != nil {
			return nil, nil, false, fmt.Errorf("write serving certificate: %w", err)
		}
		log.FromContext(ctx).Info("Made a new serving certificate", "hosts", hosts, "because", reason.Error())
		held = renewed
	}
	certificate, err = held.served.check(hosts, r.Clock.Now(), renewal)
	return certificate, held.bundle, renewed != nil, err
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
