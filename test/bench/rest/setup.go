// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8sruntime "k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	k8srest "k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	ctrlwebhook "sigs.k8s.io/controller-runtime/pkg/webhook"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/controllers"
	"github.com/jackstaff-dev/jackstaff/internal/app"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/internal/compile"
	"github.com/jackstaff-dev/jackstaff/internal/index"
	"github.com/jackstaff-dev/jackstaff/internal/server"
	"github.com/jackstaff-dev/jackstaff/webhook"
)

// start runs a control plane, and the operator on it.
func start(ctx context.Context, flags int) (*bench, func(), error) {
	controlPlane := &envtest.Environment{
		CRDDirectoryPaths:     []string{filepath.Join("config", "crd", "bases")},
		ErrorIfCRDPathMissing: true,
		WebhookInstallOptions: envtest.WebhookInstallOptions{
			Paths: []string{filepath.Join("config", "webhook", "manifests.yaml")},
		},
	}
	server, err := controlPlane.Start()
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	stop := func() {
		cancel()
		_ = controlPlane.Stop()
	}
	b, err := load(ctx, controlPlane, server, flags)
	if err != nil {
		stop()
		return nil, nil, err
	}
	return b, stop, nil
}

func load(ctx context.Context, controlPlane *envtest.Environment, config *k8srest.Config, flags int) (*bench, error) {
	config.QPS = -1
	scheme := k8sruntime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(v1alpha1.AddToScheme(scheme))
	admin, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, err
	}
	b := &bench{kube: "https://" + strings.TrimSuffix(strings.TrimPrefix(config.Host, "https://"), "/")}
	if err := b.connect(config, controlPlane); err != nil {
		return nil, err
	}
	if err := b.authenticate(ctx, admin); err != nil {
		return nil, err
	}
	if err := b.operate(ctx, controlPlane, config, scheme); err != nil {
		return nil, err
	}
	environment := builders.MakeEnvironment(environmentName, project).Obj()
	if err := admin.Create(ctx, environment); err != nil {
		return nil, err
	}
	b.environment = string(environment.UID)
	if err := createFlags(ctx, admin, flags); err != nil {
		return nil, err
	}
	return b, settle(ctx, admin, flags)
}

func createFlags(ctx context.Context, admin client.Client, flags int) error {
	const workers = 8
	var group sync.WaitGroup
	failures := make([]error, workers)
	for worker := range workers {
		group.Go(func() {
			for i := worker; i < flags && failures[worker] == nil; i += workers {
				failures[worker] = admin.Create(ctx, makeFlag(i))
			}
		})
	}
	group.Wait()
	return errors.Join(failures...)
}

// connect makes a client that trusts both servers and does as Kubernetes' own clients do on one machine: HTTP/2 without
// compression.
func (b *bench) connect(server *k8srest.Config, controlPlane *envtest.Environment) error {
	authorities := x509.NewCertPool()
	for _, authority := range [][]byte{server.CAData, controlPlane.WebhookInstallOptions.LocalServingCAData} {
		if !authorities.AppendCertsFromPEM(authority) {
			return errors.New("there is no certificate authority")
		}
	}
	b.client = &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{
			MinVersion: tls.VersionTLS12,
			RootCAs:    authorities,
		},
		ForceAttemptHTTP2:  true,
		DisableCompression: true,
	}}
	return nil
}

// authenticate gets the token of somebody who may do everything.
func (b *bench) authenticate(ctx context.Context, admin client.Client) error {
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: project, Name: "bench"}}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "bench"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: project, Name: "bench"}},
	}
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: new(int64(3600))}}
	err := errors.Join(
		admin.Create(ctx, account),
		admin.Create(ctx, binding),
		admin.SubResource("token").Create(ctx, account, request),
	)
	b.token = request.Status.Token
	return err
}

// operate runs the controllers, the webhooks and the REST server.
func (b *bench) operate(
	ctx context.Context,
	controlPlane *envtest.Environment,
	target *k8srest.Config,
	scheme *k8sruntime.Scheme,
) error {
	webhooks := &controlPlane.WebhookInstallOptions
	mgr, err := ctrl.NewManager(target, ctrl.Options{
		Scheme:     scheme,
		Cache:      controllers.CacheOptions(),
		Client:     controllers.ClientOptions(),
		Metrics:    metricsserver.Options{BindAddress: "0"},
		Controller: config.Controller{SkipNameValidation: new(true)},
		WebhookServer: ctrlwebhook.NewServer(ctrlwebhook.Options{
			Host: webhooks.LocalServingHost, Port: webhooks.LocalServingPort, CertDir: webhooks.LocalServingCertDir,
		}),
	})
	if err != nil {
		return err
	}
	if err := errors.Join(
		index.Setup(
			ctx,
			mgr.GetFieldIndexer(),
		),
		controllers.Setup(mgr, controllers.Options{}),
		webhook.Setup(mgr, compile.FlagdCompatible),
	); err != nil {
		return err
	}
	certificate, err := tls.LoadX509KeyPair(
		filepath.Join(webhooks.LocalServingCertDir, "tls.crt"),
		filepath.Join(webhooks.LocalServingCertDir, "tls.key"),
	)
	if err != nil {
		return err
	}
	api, err := server.New(mgr, server.Options{
		Address: "127.0.0.1:0", SessionKey: bytes.Repeat([]byte("k"), 32), Clock: clock.RealClock{},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &certificate, nil },
	})
	if err != nil {
		return err
	}
	if err := errors.Join(app.Mount(mgr, api, nil), mgr.Add(api)); err != nil {
		return err
	}
	go func() {
		if err := mgr.Start(ctx); err != nil {
			fmt.Fprintln(os.Stderr, "bench: the operator stopped:", err)
		}
	}()
	address, err := api.Address(ctx)
	if err != nil {
		return err
	}
	b.rest = "https://" + address.String()
	if !mgr.GetCache().WaitForCacheSync(ctx) {
		return errors.New("the caches do not sync")
	}
	for { // Admission refuses everything until it listens.
		connection, err := (&net.Dialer{}).DialContext(
			ctx,
			"tcp",
			net.JoinHostPort(webhooks.LocalServingHost, strconv.Itoa(webhooks.LocalServingPort)),
		)
		if err == nil {
			return connection.Close()
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// makeFlag returns a flag such as a project has: some are static, some have a rule or a split, some are off.
func makeFlag(i int) *v1alpha1.FeatureFlag {
	flag := builders.MakeFlag(
		fmt.Sprintf("flag-%05d", i),
		project,
	).Boolean().Environment(
		environmentName,
	).Spec(
		func(spec *v1alpha1.FeatureFlagSpec) {
			spec.DisplayName, spec.Description = fmt.Sprintf(
				"Flag number %d",
				i,
			), "Shows the redesigned part of the shop to those who asked for it."
			spec.Tags, spec.Owner = []string{"checkout", "web"}, "team-checkout"
		},
	)
	switch i % 4 {
	case 1:
		flag.Rule(builders.MakeRule("plan").Condition("plan", v1alpha1.OperatorIn, "beta", "enterprise").Serve("on"))
	case 2:
		flag.Rule(builders.MakeRule("half").Split("on", 50).Split("off", 50))
	case 3:
		flag.Disabled()
	}
	return flag.Obj()
}

// settle waits until the operator has written all that it has to say.
func settle(ctx context.Context, admin client.Client, flags int) error {
	for before := ""; ; time.Sleep(quiet) {
		all := &v1alpha1.FeatureFlagList{}
		if err := admin.List(ctx, all, client.InNamespace(project)); err != nil {
			return err
		}
		published := 0
		for i := range all.Items {
			if all.Items[i].Status.ObservedGeneration == all.Items[i].Generation {
				published++
			}
		}
		if published == flags && all.ResourceVersion == before {
			return nil
		}
		before = all.ResourceVersion
	}
}
