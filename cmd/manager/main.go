// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Command manager runs the controllers, the webhooks and the REST server of Jackstaff.
package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	// Schedules name time zones, and the image has no files but this binary.
	_ "time/tzdata"

	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	ctrlwebhook "sigs.k8s.io/controller-runtime/pkg/webhook"

	flagsv1alpha1 "github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/controllers"
	"github.com/jackstaff-dev/jackstaff/internal/compile"
	"github.com/jackstaff-dev/jackstaff/internal/index"
	"github.com/jackstaff-dev/jackstaff/internal/server"
	"github.com/jackstaff-dev/jackstaff/webhook"
)

// The names of what config/ installs, with its name prefix. The Role of the manager names the same objects.
const (
	defaultNamespace   = "jackstaff-system"
	leaseName          = "jackstaff-manager"
	certificateSecret  = "jackstaff-webhook-certificate"
	mutatingWebhooks   = "jackstaff-mutating-webhook-configuration"
	validatingWebhooks = "jackstaff-validating-webhook-configuration"
	apiService         = "jackstaff-api"
)

// version is set by the linker.
var version = "dev"

// options are what the command line says.
type options struct {
	namespace      string
	namespaces     string
	metricsAddress string
	probeAddress   string
	leaderElect    bool
	webhookPort    int
	webhookCertDir string
	certRotation   bool
	runControllers bool
	controllers    controllers.Options
	api            apiOptions
	logging        zap.Options
	printVersion   bool
}

func main() {
	if err := run(ctrl.SetupSignalHandler(), os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "manager:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, arguments []string, stdout io.Writer) error {
	if len(arguments) > 0 && arguments[0] == certificateCommand {
		return makeCertificate(ctx, arguments[1:])
	}
	o, err := parse(arguments)
	if err != nil {
		return err
	}
	if o.printVersion {
		_, err := fmt.Fprintln(stdout, "manager", version)
		return err
	}
	logger := zap.New(zap.UseFlagOptions(&o.logging))
	ctrl.SetLogger(logger)
	klog.SetLogger(logger)

	config, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("find the API server: %w", err)
	}
	// The API server's own priority and fairness decides how much is too much.
	config.QPS = -1
	mgr, certificate, err := newManager(config, o)
	if err != nil {
		return err
	}
	if err := index.Setup(ctx, mgr.GetFieldIndexer()); err != nil {
		return fmt.Errorf("set up indexes: %w", err)
	}
	if o.runControllers {
		if err := controllers.Setup(mgr, o.controllers); err != nil {
			return fmt.Errorf("set up controllers: %w", err)
		}
		setUp := webhook.Setup
		if o.isConfined() {
			setUp = webhook.SetupConfined
		}
		if err := setUp(mgr, compile.FlagdCompatible); err != nil {
			return fmt.Errorf("set up webhooks: %w", err)
		}
	}
	if o.api.enabled {
		if err := addAPI(ctx, mgr, o, certificate); err != nil {
			return fmt.Errorf("set up the REST server: %w", err)
		}
	}
	logger.Info("Starting", "version", version, "namespace", o.namespace)
	return mgr.Start(ctx)
}

func parse(arguments []string) (*options, error) {
	o := &options{}
	fs := flag.NewFlagSet("manager", flag.ExitOnError)
	fs.StringVar(&o.namespace, "operator-namespace", cmp.Or(os.Getenv("POD_NAMESPACE"), defaultNamespace),
		"The namespace that the manager itself runs in, for its lease and its serving certificate. Default $POD_NAMESPACE.")
	fs.StringVar(&o.namespaces, "namespaces", "",
		"The namespaces, separated by commas, in which the manager has rights, where these are Roles. Empty means all. "+
			"It goes with --cert-rotation=false: webhook configurations are the administrator's then.")
	fs.StringVar(&o.metricsAddress, "metrics-bind-address", ":8443",
		"The address of the metrics endpoint, which asks for a token that may get /metrics. 0 switches it off.")
	fs.StringVar(&o.probeAddress, "health-probe-bind-address", ":8081", "The address of /healthz and /readyz.")
	fs.BoolVar(&o.leaderElect, "leader-elect", true,
		"Let one replica at a time run the controllers. Webhooks run on every replica.")
	fs.IntVar(&o.webhookPort, "webhook-port", ctrlwebhook.DefaultPort, "The port of the webhooks.")
	fs.BoolVar(&o.certRotation, "cert-rotation", true,
		"Make, trust and renew the serving certificate. False where another tool, such as cert-manager, does.")
	fs.StringVar(&o.webhookCertDir, "webhook-cert-dir", "",
		"The directory that holds tls.crt and tls.key where cert-rotation is false. They are read again when they change.")
	fs.DurationVar(&o.controllers.StaleAfter, "stale-after", 30*24*time.Hour,
		"How long a flag that serves one variation to everybody must be unchanged to be stale.")
	fs.BoolVar(
		&o.controllers.RefreshPods,
		"refresh-pods",
		false,
		"Let environments have the pods refreshed that mount their datafile. It needs rights on pods, which config/refresh-pods gives.",
	)
	fs.BoolVar(
		&o.runControllers,
		"controllers",
		true,
		"Run the controllers and the webhooks. False where a Deployment of its own does.",
	)
	o.api.bind(fs)
	fs.BoolVar(&o.printVersion, "version", false, "Print the version and exit.")
	ctrl.RegisterFlags(fs)
	o.logging.BindFlags(fs)
	if err := fs.Parse(arguments); err != nil {
		return nil, err
	}
	if fs.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	o.controllers.Namespaces = strings.FieldsFunc(o.namespaces, func(r rune) bool { return r == ',' || r == ' ' })
	o.api.server.Confined = o.isConfined()
	if o.isConfined() && o.certRotation {
		return nil, errors.New("--namespaces goes with --cert-rotation=false")
	}
	if o.certRotation != (o.webhookCertDir == "") {
		return nil, errors.New("--webhook-cert-dir goes with --cert-rotation=false, and only with it")
	}
	return o, nil
}

// isConfined reports whether the manager has rights in some namespaces only.
func (o *options) isConfined() bool { return len(o.controllers.Namespaces) > 0 }

// newManager makes the manager, and tells where its serving certificate comes from, where that is not from files.
func newManager(
	config *rest.Config,
	o *options,
) (ctrl.Manager, func(*tls.ClientHelloInfo) (*tls.Certificate, error), error) {
	scheme := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(flagsv1alpha1.AddToScheme(scheme))

	cacheOptions := controllers.CacheOptions()
	if o.isConfined() {
		var err error
		if cacheOptions, err = controllers.ConfinedCacheOptions(config, o.controllers.Namespaces); err != nil {
			return nil, nil, err
		}
	}
	rotator := newRotator(o.namespace)
	webhookOptions := ctrlwebhook.Options{Port: o.webhookPort, CertDir: o.webhookCertDir}
	if o.certRotation {
		webhookOptions.TLSOpts = []func(*tls.Config){func(c *tls.Config) { c.GetCertificate = rotator.GetCertificate }}
	}
	webhooks := ctrlwebhook.NewServer(webhookOptions)

	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme: scheme,
		Cache:  cacheOptions,
		Client: controllers.ClientOptions(),
		Metrics: metricsserver.Options{
			BindAddress:    o.metricsAddress,
			SecureServing:  true,
			FilterProvider: server.MetricsFilter(o.isConfined()),
		},
		HealthProbeBindAddress:  o.probeAddress,
		WebhookServer:           webhooks,
		LeaderElection:          o.leaderElect && o.runControllers,
		LeaderElectionID:        leaseName,
		LeaderElectionNamespace: o.namespace,
		// The process ends right after the manager has, so nothing goes on writing once the lease is given back.
		LeaderElectionReleaseOnCancel: true,
	})
	if err != nil {
		return nil, nil, fmt.Errorf("set up manager: %w", err)
	}
	if o.certRotation {
		if rotator.Client, err = client.New(config, client.Options{Scheme: scheme}); err != nil {
			return nil, nil, fmt.Errorf("set up certificates: %w", err)
		}
		if err := mgr.Add(rotator); err != nil {
			return nil, nil, fmt.Errorf("set up certificates: %w", err)
		}
	}
	if err := mgr.AddHealthzCheck("ping", healthz.Ping); err != nil {
		return nil, nil, fmt.Errorf("set up probes: %w", err)
	}
	if o.runControllers {
		// The check makes a TLS connection, which fails until there is a certificate.
		if err := mgr.AddReadyzCheck("webhooks", webhooks.StartedChecker()); err != nil {
			return nil, nil, fmt.Errorf("set up probes: %w", err)
		}
	}
	if !o.certRotation {
		return mgr, nil, nil
	}
	return mgr, rotator.GetCertificate, nil
}
