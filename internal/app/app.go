// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package app puts the operator together: the manager with its caches and probes, the controllers, the webhooks and the
// HTTP server with every view.
package app

import (
	"context"
	"crypto/tls"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	ctrlwebhook "sigs.k8s.io/controller-runtime/pkg/webhook"

	flagsv1alpha1 "github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/controllers"
	"github.com/jackstaff-dev/jackstaff/internal/budget"
	"github.com/jackstaff-dev/jackstaff/internal/compile"
	"github.com/jackstaff-dev/jackstaff/internal/decode"
	"github.com/jackstaff-dev/jackstaff/internal/index"
	"github.com/jackstaff-dev/jackstaff/internal/ownership"
	"github.com/jackstaff-dev/jackstaff/internal/server"
	"github.com/jackstaff-dev/jackstaff/webhook"
)

// The names of what config/ installs, with its name prefix. The Role of the manager names the same objects.
const (
	// DefaultNamespace is the namespace that config/ installs the operator in.
	DefaultNamespace   = "jackstaff-system"
	leaseName          = "jackstaff-manager"
	sealSecret         = "jackstaff-seal"
	certificateSecret  = "jackstaff-webhook-certificate"
	mutatingWebhooks   = "jackstaff-mutating-webhook-configuration"
	validatingWebhooks = "jackstaff-validating-webhook-configuration"
	apiService         = "jackstaff-api"
	metricsService     = "jackstaff-metrics"
)

// Options are what the command line says.
type Options struct {
	// Version is what the operator says of itself when it starts.
	Version string
	// Namespace is the one that the operator itself runs in, for its lease and its serving certificate.
	Namespace string
	// MetricsAddress is where metrics are served; "0" switches them off.
	MetricsAddress string
	// ProbeAddress is where /healthz and /readyz are served.
	ProbeAddress string
	// LeaderElect lets one replica at a time run the controllers.
	LeaderElect bool
	// WebhookPort is the port of the webhooks.
	WebhookPort int
	// WebhookCertDir holds tls.crt and tls.key, of webhooks and metrics, where CertRotation is false, and is empty where
	// it is true.
	WebhookCertDir string
	// CertRotation makes, trusts and renews the serving certificate.
	CertRotation bool
	// RunControllers runs the controllers and the webhooks.
	RunControllers bool
	// Controllers are the options of the controllers, the namespaces that confine the operator among them.
	Controllers controllers.Options
	// Budgets are how much one namespace may store.
	Budgets budget.Limits
	// API is the HTTP server's part.
	API APIOptions
	// Logging says how much is logged, and how.
	Logging zap.Options
}

// Run runs the operator until ctx ends.
func Run(ctx context.Context, o *Options) error {
	o.API.Server.Confined = o.Confined()
	logger := withoutBodies(zap.New(zap.UseFlagOptions(&o.Logging)))
	ctrl.SetLogger(logger)
	klog.SetLogger(logger)

	memory := limitMemory()
	config, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("find the API server: %w", err)
	}
	// The API server's own priority and fairness decides how much is too much.
	config.QPS = -1
	decode.Tolerate(config)
	mgr, certificate, err := newManager(config, o)
	if err != nil {
		return err
	}
	if err := index.Setup(ctx, mgr.GetFieldIndexer()); err != nil {
		return fmt.Errorf("set up indexes: %w", err)
	}
	o.Controllers.Budgets = budget.NewLedger(o.Budgets)
	if o.Controllers.Seal, err = loadSeal(ctx, mgr, o.Namespace); err != nil {
		return err
	}
	if o.RunControllers {
		o.Controllers.Guarded = func(ctx context.Context) (bool, error) {
			return ownership.Guarded(ctx, mgr.GetAPIReader())
		}
		if err := addPolicyReport(mgr, o); err != nil {
			return err
		}
		if err := controllers.Setup(mgr, o.Controllers); err != nil {
			return fmt.Errorf("set up controllers: %w", err)
		}
		setUp := webhook.Setup
		if o.Confined() {
			setUp = webhook.SetupConfined
		}
		if err := setUp(mgr, compile.FlagdCompatible, webhook.WithBudgets(o.Controllers.Budgets),
			webhook.WithGuarded(o.warnedOf())); err != nil {
			return fmt.Errorf("set up webhooks: %w", err)
		}
	}
	if err := mgr.Add(newRestoreGuard(mgr.GetAPIReader(), o.Controllers.Namespaces)); err != nil {
		return fmt.Errorf("watch for a restored snapshot: %w", err)
	}
	if o.API.Enabled {
		if err := addAPI(ctx, mgr, o, certificate); err != nil {
			return fmt.Errorf("set up the REST server: %w", err)
		}
	}
	logger.Info("Starting", "version", o.Version, "namespace", o.Namespace, "memoryLimit", memory)
	return mgr.Start(ctx)
}

// loadSeal reads the key of the seal without a cache, so that no right to list Secrets is needed.
func loadSeal(ctx context.Context, mgr ctrl.Manager, namespace string) (*ownership.Seal, error) {
	live, err := client.New(mgr.GetConfig(), client.Options{Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper()})
	if err != nil {
		return nil, fmt.Errorf("find the API server: %w", err)
	}
	return ownership.LoadSeal(ctx, live, types.NamespacedName{Namespace: namespace, Name: sealSecret})
}

// warnedOf tells admission whether the policy on datafiles is in force, and nothing where the operator may not read it.
func (o *Options) warnedOf() func(context.Context) (bool, error) {
	if o.Confined() {
		return nil
	}
	return o.Controllers.Guarded
}

// Confined reports whether the operator has rights in some namespaces only.
func (o *Options) Confined() bool { return len(o.Controllers.Namespaces) > 0 }

// webhookOptions are those of the listener of the webhooks. Rotated gives the certificate where CertRotation is true.
func webhookOptions(
	o *Options, rotated func(*tls.ClientHelloInfo) (*tls.Certificate, error),
) ctrlwebhook.Options {
	return ctrlwebhook.Options{Port: o.WebhookPort, CertDir: o.WebhookCertDir, TLSOpts: tlsOptions(o, rotated)}
}

// metricsOptions are those of the listener of the metrics. It has the certificate of the webhooks, so that Prometheus can
// tell the operator from somebody else who listens there.
func metricsOptions(o *Options, rotated func(*tls.ClientHelloInfo) (*tls.Certificate, error)) metricsserver.Options {
	return metricsserver.Options{
		BindAddress: o.MetricsAddress, SecureServing: true, CertDir: o.WebhookCertDir,
		FilterProvider: server.MetricsFilter(o.Confined()),
		TLSOpts:        tlsOptions(o, rotated),
	}
}

// tlsOptions are those of listeners whose certificate is in files where it is not rotated.
func tlsOptions(o *Options, rotated func(*tls.ClientHelloInfo) (*tls.Certificate, error)) []func(*tls.Config) {
	options := []func(*tls.Config){server.HardenTLS}
	if o.CertRotation {
		options = append(options, func(c *tls.Config) { c.GetCertificate = rotated })
	}
	return options
}

// newManager makes the manager, and tells where its serving certificate comes from, where that is not from files.
func newManager(
	config *rest.Config,
	o *Options,
) (ctrl.Manager, func(*tls.ClientHelloInfo) (*tls.Certificate, error), error) {
	scheme := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(flagsv1alpha1.AddToScheme(scheme))

	cacheOptions := controllers.CacheOptions()
	if o.Confined() {
		var err error
		if cacheOptions, err = controllers.ConfinedCacheOptions(config, o.Controllers.Namespaces); err != nil {
			return nil, nil, err
		}
	}
	rotator := newRotator(o.Namespace)
	webhooks := ctrlwebhook.NewServer(webhookOptions(o, rotator.GetCertificate))

	alive := newWatches(clock.RealClock{})
	cacheOptions.DefaultWatchErrorHandler = alive.handle
	o.Controllers.WatchProblem = alive.Problem

	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:                  scheme,
		Cache:                   cacheOptions,
		Client:                  controllers.ClientOptions(),
		Metrics:                 metricsOptions(o, rotator.GetCertificate),
		HealthProbeBindAddress:  o.ProbeAddress,
		WebhookServer:           webhooks,
		LeaderElection:          o.LeaderElect && o.RunControllers,
		LeaderElectionID:        leaseName,
		LeaderElectionNamespace: o.Namespace,
		// The process ends right after the manager has, so nothing goes on writing once the lease is given back.
		LeaderElectionReleaseOnCancel: true,
	})
	if err != nil {
		return nil, nil, fmt.Errorf("set up manager: %w", err)
	}
	if o.CertRotation {
		if rotator.Client, err = client.New(config, client.Options{Scheme: scheme}); err != nil {
			return nil, nil, fmt.Errorf("set up certificates: %w", err)
		}
		if err := mgr.Add(rotator); err != nil {
			return nil, nil, fmt.Errorf("set up certificates: %w", err)
		}
	}
	if err := addMetrics(mgr, o, alive, rotator.GetCertificate); err != nil {
		return nil, nil, err
	}
	if err := mgr.AddHealthzCheck("ping", healthz.Ping); err != nil {
		return nil, nil, fmt.Errorf("set up probes: %w", err)
	}
	if err := mgr.AddReadyzCheck("watches", alive.ready); err != nil {
		return nil, nil, fmt.Errorf("set up probes: %w", err)
	}
	if o.RunControllers {
		// The check makes a TLS connection, which fails until there is a certificate.
		if err := mgr.AddReadyzCheck("webhooks", webhooks.StartedChecker()); err != nil {
			return nil, nil, fmt.Errorf("set up probes: %w", err)
		}
	}
	if !o.CertRotation {
		return mgr, nil, nil
	}
	return mgr, rotator.GetCertificate, nil
}
