// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"path/filepath"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/certwatcher"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/internal/app"
	"github.com/jackstaff-dev/jackstaff/internal/server"
)

// sessionKeySecret is the Secret that holds the key of session cookies.
const sessionKeySecret = "jackstaff-session-key"

// syncPatience is how long a readiness check waits for the caches.
const syncPatience = 100 * time.Millisecond

// apiOptions are what the command line says of the REST server.
type apiOptions struct {
	enabled   bool
	plainHTTP bool
	server    server.Options
}

func (o *apiOptions) bind(fs *flag.FlagSet) {
	fs.BoolVar(&o.enabled, "api", true, "Serve the REST views, OFREP and the SDK paths, on every replica.")
	fs.StringVar(&o.server.Address, "api-bind-address", ":8090", "The address of the REST server.")
	fs.BoolVar(&o.plainHTTP, "api-plain-http", false,
		"Serve plain HTTP, for a proxy beside the manager that speaks TLS. Tokens are sent in the clear then.")
	fs.StringVar(&o.server.DefaultProject, "default-project", "", "The namespace of REST requests that name no project.")
	fs.BoolVar(&o.server.AllowGitOpsWrites, "allow-gitops-writes", false,
		"Let REST change objects that Argo CD or Flux owns. The tool may undo the change.")
	fs.Float64Var(
		&o.server.RequestsPerSecond,
		"api-requests-per-second",
		100,
		"How many REST requests each caller may make, and each address that has no identity. 0 is no limit. Evaluations with a server key are not counted.",
	)
}

// addAPI adds the REST server with its views to mgr. Certificate gives the serving certificate, and is nil where files
// hold it.
func addAPI(
	ctx context.Context,
	mgr ctrl.Manager,
	o *options,
	certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error),
) error {
	live, err := client.New(mgr.GetConfig(), client.Options{Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper()})
	if err != nil {
		return err
	}
	options := o.api.server
	options.Clock = clock.RealClock{}
	if options.SessionKey, err = server.SessionKey(
		ctx,
		live,
		types.NamespacedName{Namespace: o.namespace, Name: sessionKeySecret},
	); err != nil {
		return err
	}
	switch {
	case o.api.plainHTTP:
	case certificate != nil:
		options.GetCertificate = certificate
	default:
		files, err := certwatcher.New(filepath.Join(o.webhookCertDir, "tls.crt"), filepath.Join(o.webhookCertDir, "tls.key"))
		if err != nil {
			return fmt.Errorf("read the serving certificate: %w", err)
		}
		if err := mgr.Add(files); err != nil {
			return err
		}
		options.GetCertificate = files.GetCertificate
	}
	api, err := server.New(mgr, options)
	if err != nil {
		return err
	}
	if err := app.Mount(mgr, api); err != nil {
		return err
	}
	if err := mgr.AddReadyzCheck("api", synced(mgr)); err != nil {
		return err
	}
	return mgr.Add(api)
}

// synced is a readiness check that holds once the caches have what there was when they began to watch.
func synced(mgr ctrl.Manager) func(*http.Request) error {
	return func(r *http.Request) error {
		ctx, cancel := context.WithTimeout(r.Context(), syncPatience)
		defer cancel()
		if !mgr.GetCache().WaitForCacheSync(ctx) {
			return errors.New("the caches have not synced yet")
		}
		return nil
	}
}
