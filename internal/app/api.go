// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/certwatcher"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/internal/server"
	"github.com/jackstaff-dev/jackstaff/internal/server/flagd"
)

// sessionKeySecret is the Secret that holds the key of session cookies.
const sessionKeySecret = "jackstaff-session-key"

// syncPatience is how long a readiness check waits for the caches.
const syncPatience = 100 * time.Millisecond

// APIOptions are what the command line says of the HTTP server.
type APIOptions struct {
	// Enabled serves the REST views, OFREP and the SDK paths.
	Enabled bool
	// PlainHTTP serves without TLS, for a proxy in the same pod that speaks it.
	PlainHTTP bool
	// FlagdAddress is where flagd's services are also served without TLS, such as :8015, for meshes that encrypt on the
	// way. Empty means nowhere.
	FlagdAddress string
	// Server are the options of the server itself, but for its clock, keys and certificate, which Run brings.
	Server server.Options
}

// addAPI adds the REST server with its views to mgr. Certificate gives the serving certificate, and is nil where files
// hold it.
func addAPI(
	ctx context.Context,
	mgr ctrl.Manager,
	o *Options,
	certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error),
) error {
	live, err := client.New(mgr.GetConfig(), client.Options{Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper()})
	if err != nil {
		return err
	}
	options := o.API.Server
	options.Clock = clock.RealClock{}
	if options.SessionKey, err = server.SessionKey(
		ctx,
		live,
		types.NamespacedName{Namespace: o.Namespace, Name: sessionKeySecret},
	); err != nil {
		return err
	}
	switch {
	case o.API.PlainHTTP:
	case certificate != nil:
		options.GetCertificate = certificate
	default:
		files, err := certwatcher.New(filepath.Join(o.WebhookCertDir, "tls.crt"), filepath.Join(o.WebhookCertDir, "tls.key"))
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
	if err := Mount(mgr, api, o.Controllers.Seal); err != nil {
		return err
	}
	if err := mgr.AddReadyzCheck("api", synced(mgr)); err != nil {
		return err
	}
	if o.API.FlagdAddress != "" {
		if err := mgr.Add(api.Plain(o.API.FlagdAddress, flagd.Prefixes...)); err != nil {
			return err
		}
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
