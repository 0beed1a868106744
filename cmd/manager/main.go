// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Command manager runs the controllers, the webhooks and the REST server of Jackstaff.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	// Schedules name time zones, and the image has no files but this binary.
	_ "time/tzdata"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	ctrlwebhook "sigs.k8s.io/controller-runtime/pkg/webhook"

	"github.com/jackstaff-dev/jackstaff/internal/app"
	"github.com/jackstaff-dev/jackstaff/internal/budget"
	"github.com/jackstaff-dev/jackstaff/internal/server"
)

// certificateCommand is the first argument of the manager as the administrator of a confined one runs it.
const certificateCommand = "certificate"

// version is set by the linker.
var version = "dev"

func main() {
	if err := run(ctrl.SetupSignalHandler(), os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "manager:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, arguments []string, stdout io.Writer) error {
	if len(arguments) > 0 && arguments[0] == certificateCommand {
		namespace, err := parseCertificate(arguments[1:])
		if err != nil {
			return err
		}
		return app.MakeCertificate(ctx, namespace)
	}
	o, err := parse(arguments)
	if err != nil {
		return err
	}
	if o == nil {
		_, err := fmt.Fprintln(stdout, "manager", version)
		return err
	}
	return app.Run(ctx, o)
}

// parseCertificate reads the flags of the certificate command, and returns the namespace that the manager runs in.
func parseCertificate(arguments []string) (string, error) {
	fs := flag.NewFlagSet("manager "+certificateCommand, flag.ExitOnError)
	namespace := fs.String("operator-namespace", app.DefaultNamespace, "The namespace that the manager runs in.")
	ctrl.RegisterFlags(fs)
	logging := &zap.Options{}
	logging.BindFlags(fs)
	if err := fs.Parse(arguments); err != nil {
		return "", err
	}
	ctrl.SetLogger(zap.New(zap.UseFlagOptions(logging)))
	return *namespace, nil
}

// parse reads the flags of the manager. It returns nil where they only ask for the version.
func parse(arguments []string) (*app.Options, error) {
	o := &app.Options{Version: version}
	fs := flag.NewFlagSet("manager", flag.ExitOnError)
	fs.StringVar(&o.Namespace, "operator-namespace", cmp.Or(os.Getenv("POD_NAMESPACE"), app.DefaultNamespace),
		"The namespace that the manager itself runs in, for its lease and its serving certificate. Default $POD_NAMESPACE.")
	namespaces := fs.String("namespaces", "",
		"The namespaces, separated by commas, in which the manager has rights, where these are Roles. Empty means all. "+
			"It goes with --cert-rotation=false: webhook configurations are the administrator's then.")
	fs.StringVar(&o.MetricsAddress, "metrics-bind-address", ":8443",
		"The address of the metrics endpoint, which asks for a token that may get /metrics. 0 switches it off.")
	fs.StringVar(&o.ProbeAddress, "health-probe-bind-address", ":8081", "The address of /healthz and /readyz.")
	fs.BoolVar(&o.LeaderElect, "leader-elect", true,
		"Let one replica at a time run the controllers. Webhooks run on every replica.")
	fs.IntVar(&o.WebhookPort, "webhook-port", ctrlwebhook.DefaultPort, "The port of the webhooks.")
	fs.BoolVar(&o.CertRotation, "cert-rotation", true,
		"Make, trust and renew the serving certificate. False where another tool, such as cert-manager, does.")
	fs.StringVar(&o.WebhookCertDir, "webhook-cert-dir", "",
		"The directory that holds tls.crt and tls.key where cert-rotation is false. They are read again when they change.")
	fs.DurationVar(&o.Controllers.StaleAfter, "stale-after", 30*24*time.Hour,
		"How long a flag that serves one variation to everybody must be unchanged to be stale.")
	fs.BoolVar(
		&o.Controllers.RefreshPods,
		"refresh-pods",
		false,
		"Let environments have the pods refreshed that mount their datafile. It needs rights on pods, which "+
			"config/refresh-pods gives.",
	)
	fs.BoolVar(
		&o.RunControllers,
		"controllers",
		true,
		"Run the controllers and the webhooks. False where a Deployment of its own does.",
	)
	bindBudgets(fs, &o.Budgets)
	bindAPI(fs, &o.API)
	printVersion := fs.Bool("version", false, "Print the version and exit.")
	ctrl.RegisterFlags(fs)
	o.Logging.BindFlags(fs)
	if err := fs.Parse(arguments); err != nil {
		return nil, err
	}
	if fs.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	o.Controllers.Namespaces = strings.FieldsFunc(*namespaces, func(r rune) bool { return r == ',' || r == ' ' })
	if o.Confined() && o.CertRotation {
		return nil, errors.New("--namespaces goes with --cert-rotation=false")
	}
	if o.CertRotation != (o.WebhookCertDir == "") {
		return nil, errors.New("--webhook-cert-dir goes with --cert-rotation=false, and only with it")
	}
	if *printVersion {
		return nil, nil
	}
	return o, nil
}

// bindBudgets adds the flags that bound what one namespace stores.
func bindBudgets(fs *flag.FlagSet, limits *budget.Limits) {
	usual := budget.Default()
	fs.Int64Var(
		&limits.Environments,
		budget.EnvironmentsFlag,
		usual.Environments,
		"How many FlagEnvironments a namespace may have. At a tenth more, nothing of the namespace is published any more. "+
			"0 is no limit.",
	)
	fs.Int64Var(&limits.Objects, budget.ObjectsFlag, usual.Objects,
		"How many flags, environments, audiences and events a namespace may have together. 0 is no limit.")
	fs.Int64Var(&limits.Bytes, budget.BytesFlag, usual.Bytes,
		"How many bytes their specs and metadata may take together in a namespace. 0 is no limit.")
}

// bindAPI adds the flags of the HTTP server.
func bindAPI(fs *flag.FlagSet, o *app.APIOptions) {
	fs.BoolVar(&o.Enabled, "api", true, "Serve the REST views, OFREP and the SDK paths, on every replica.")
	fs.StringVar(&o.Server.Address, "api-bind-address", ":8090", "The address of the REST server.")
	fs.BoolVar(&o.PlainHTTP, "api-plain-http", false,
		"Serve plain HTTP, for a proxy beside the manager that speaks TLS. Tokens are sent in the clear then.")
	fs.StringVar(&o.FlagdAddress, "flagd-bind-address", "",
		"Where flagd's gRPC services are also served without TLS, such as :8015, for meshes that encrypt on the way. "+
			"Keys are sent in the clear to it. Empty is nowhere.")
	fs.StringVar(&o.Server.DefaultProject, "default-project", "", "The namespace of REST requests that name no project.")
	fs.BoolVar(&o.Server.AllowGitOpsWrites, "allow-gitops-writes", false,
		"Let REST change objects that Argo CD or Flux owns. The tool may undo the change.")
	fs.Float64Var(
		&o.Server.RequestsPerSecond,
		"api-requests-per-second",
		100,
		"How many REST requests each caller may make, and each address that has no identity. 0 is no limit. Evaluations "+
			"with a server key are not counted.",
	)
	fs.Func(
		"api-public-url",
		"Where clients reach the REST server, such as https://flags.example.com, for the addresses of streams. "+
			"Without it, that is the host that they ask for.",
		func(text string) (err error) {
			o.Server.PublicURL, err = server.ParsePublicURL(text)
			return err
		},
	)
	fs.Func(
		"trusted-proxies",
		"The IP networks of proxies, separated by commas, whose X-Forwarded-For says where a request "+
			"comes from. Without it, everybody behind a proxy shares the limit of its address.",
		func(text string) (err error) {
			o.Server.TrustedProxies, err = server.ParseProxies(text)
			return err
		},
	)
}
