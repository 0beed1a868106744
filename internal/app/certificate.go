// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/internal/certificates"
)

// MakeCertificate does once, with the rights of whoever runs it, what Run does all the time where it has the rights
// itself: it makes the serving certificate where it is missing or ends within 90 days, and has the webhook
// configurations trust it. Namespace is the one that the operator runs in.
func MakeCertificate(ctx context.Context, namespace string) error {
	config, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("find the API server: %w", err)
	}
	rotator := newRotator(namespace)
	if rotator.Client, err = client.New(config, client.Options{Scheme: scheme.Scheme}); err != nil {
		return fmt.Errorf("find the API server: %w", err)
	}
	return rotator.Once(ctx)
}

// newRotator keeps the certificate of the manager in a namespace. It has no client yet.
func newRotator(namespace string) *certificates.Rotator {
	return &certificates.Rotator{
		Clock:      clock.RealClock{},
		Secret:     types.NamespacedName{Namespace: namespace, Name: certificateSecret},
		Mutating:   mutatingWebhooks,
		Validating: validatingWebhooks,
		Hosts: []string{
			apiService + "." + namespace + ".svc", apiService + "." + namespace, metricsService + "." + namespace + ".svc",
			"localhost",
		},
	}
}
