// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"flag"
	"fmt"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"github.com/jackstaff-dev/jackstaff/internal/certificates"
)

// certificateCommand is the first argument of the manager as the administrator of a confined one runs it.
const certificateCommand = "certificate"

// makeCertificate does once, with the rights of whoever runs it, what the manager does all the time where it has the
// rights itself: it makes the serving certificate where it is missing or ends within 90 days, and has the webhook
// configurations trust it.
func makeCertificate(ctx context.Context, arguments []string) error {
	fs := flag.NewFlagSet("manager "+certificateCommand, flag.ExitOnError)
	namespace := fs.String("operator-namespace", defaultNamespace, "The namespace that the manager runs in.")
	ctrl.RegisterFlags(fs)
	logging := &zap.Options{}
	logging.BindFlags(fs)
	if err := fs.Parse(arguments); err != nil {
		return err
	}
	ctrl.SetLogger(zap.New(zap.UseFlagOptions(logging)))
	config, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("find the API server: %w", err)
	}
	rotator := newRotator(*namespace)
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
		Hosts:      []string{apiService + "." + namespace + ".svc", apiService + "." + namespace, "localhost"},
	}
}
