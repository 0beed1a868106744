// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Command run is `make run`: the operator on a control plane of its own, as config/default installs it, with samples.
//
// The control plane is kube-apiserver and etcd alone. Nothing starts pods there, collects garbage or finishes the
// deletion of a namespace. Every run starts with an empty one.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	flagsv1alpha1 "github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

const (
	namespace = "jackstaff-system"

	// patience is how long each step may take before something must be wrong.
	patience = time.Minute

	// tokenLifetime outlasts any session; the control plane forgets its keys when it stops anyway.
	tokenLifetime = 30 * 24 * time.Hour
)

func main() {
	ctx, _ := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	s := &session{}
	flag.StringVar(&s.assets, "assets", "bin/k8s", "the folder with kube-apiserver, etcd and kubectl")
	flag.StringVar(&s.manager, "manager", "bin/manager", "the manager's binary")
	flag.StringVar(&s.samples, "samples", "config/samples", "the kustomization to apply; empty for none")
	flag.StringVar(&s.state, "state", "bin/run", "the folder for everything that the session writes")
	flag.Parse()
	if err := s.run(ctx); err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "make run:", err)
		os.Exit(1)
	}
}

// session is one run, from its start to the signal that ends it.
type session struct {
	assets, manager, samples, state string

	// config is that of an administrator.
	config *rest.Config
	client client.Client
	// kubeconfig is the administrator's file.
	kubeconfig string
	// ports are those of the manager, on the loopback interface.
	ports struct{ webhooks, probes, api int }
	// exited gets the error with which the manager ended.
	exited chan error
}

func (s *session) run(ctx context.Context) error {
	if err := s.prepare(); err != nil {
		return err
	}
	unlock, err := s.lock()
	if err != nil {
		return err
	}
	defer unlock()
	// Scripts wait for the env file, so one of an earlier run must not be there while this one is not ready.
	if err := os.Remove(s.envFile()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove the env file: %w", err)
	}

	say("Starting kube-apiserver and etcd")
	stopControlPlane, err := s.startControlPlane()
	defer stopControlPlane()
	if err != nil {
		return fmt.Errorf("start the control plane: %w; see %s", err, filepath.Join(s.state, "control-plane.log"))
	}

	if err := s.choosePorts(ctx); err != nil {
		return err
	}
	say("Installing config/default")
	if err := s.install(ctx, s.ports.webhooks); err != nil {
		return fmt.Errorf("install config/default: %w", err)
	}

	say("Starting the manager, which logs to %s", filepath.Join(s.state, "manager.log"))
	stopManager, err := s.startManager(ctx)
	if err != nil {
		return fmt.Errorf("start the manager: %w", err)
	}
	defer stopManager()
	if err := s.wait(
		ctx,
		"the manager to be ready",
		func(ctx context.Context) error { return ready(ctx, s.ports.probes) },
	); err != nil {
		return err
	}

	if s.samples != "" {
		say("Applying %s", s.samples)
		if err := s.applySamples(ctx); err != nil {
			return fmt.Errorf("apply %s: %w", s.samples, err)
		}
	}
	if err := s.showDatafiles(ctx); err != nil {
		return err
	}
	if err := s.writeEnv(ctx); err != nil {
		return err
	}
	s.sayWhatToTry()
	fmt.Println("ready")

	select {
	case <-ctx.Done():
		say("Stopping")
		return nil
	case err := <-s.exited:
		return fmt.Errorf("the manager ended by itself (%w); see %s", err, filepath.Join(s.state, "manager.log"))
	}
}

func say(format string, arguments ...any) {
	fmt.Printf("==> "+format+"\n", arguments...)
}

// prepare makes every path absolute, since processes are started in other folders and the env file is read from others.
func (s *session) prepare() error {
	for _, path := range []*string{&s.assets, &s.manager, &s.state} {
		absolute, err := filepath.Abs(*path)
		if err != nil {
			return fmt.Errorf("find %s: %w", *path, err)
		}
		*path = absolute
	}
	s.kubeconfig = filepath.Join(s.state, "kubeconfig")
	if err := os.MkdirAll(s.state, 0o700); err != nil {
		return fmt.Errorf("make the state folder: %w", err)
	}
	return nil
}

// lock keeps a second run out of the same state.
func (s *session) lock() (unlock func(), err error) {
	file, err := os.OpenFile(filepath.Join(s.state, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the lock: %w", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("another make run is using %s", s.state)
	}
	return func() { _ = file.Close() }, nil
}

func (s *session) startControlPlane() (stop func(), err error) {
	ctrl.SetLogger(logr.Discard())
	log, err := os.Create(filepath.Join(s.state, "control-plane.log"))
	if err != nil {
		return func() {}, fmt.Errorf("create the log: %w", err)
	}
	environment := &envtest.Environment{ControlPlaneStartTimeout: patience}
	apiServer := environment.ControlPlane.GetAPIServer()
	apiServer.Path, apiServer.Out, apiServer.Err = filepath.Join(s.assets, "kube-apiserver"), log, log
	apiServer.CertDir = filepath.Join(s.state, "kube-apiserver")
	environment.ControlPlane.KubectlPath = filepath.Join(s.assets, "kubectl")
	environment.ControlPlane.Etcd = &envtest.Etcd{
		Path: filepath.Join(s.assets, "etcd"), DataDir: filepath.Join(s.state, "etcd"), Out: log, Err: log,
	}
	for _, folder := range []string{apiServer.CertDir, environment.ControlPlane.Etcd.DataDir} {
		if err := os.RemoveAll(folder); err != nil {
			return func() {}, fmt.Errorf("remove what an earlier run left: %w", err)
		}
		if err := os.Mkdir(folder, 0o700); err != nil {
			return func() {}, fmt.Errorf("make a folder: %w", err)
		}
	}
	stop = func() {
		if err := environment.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, "make run: stop the control plane:", err)
		}
		_ = log.Close()
	}
	if s.config, err = environment.Start(); err != nil {
		return stop, err
	}
	if err := flagsv1alpha1.AddToScheme(scheme.Scheme); err != nil {
		return stop, fmt.Errorf("register the Kinds: %w", err)
	}
	if s.client, err = client.New(s.config, client.Options{}); err != nil {
		return stop, fmt.Errorf("make a client: %w", err)
	}
	if err := os.WriteFile(s.kubeconfig, environment.KubeConfig, 0o600); err != nil {
		return stop, fmt.Errorf("write the kubeconfig: %w", err)
	}
	return stop, nil
}

// startManager starts the manager as the service account that config/rbac binds, so that a right that is missing there
// is missing here.
func (s *session) startManager(ctx context.Context) (stop func(), err error) {
	token, err := s.token(ctx, "jackstaff-manager")
	if err != nil {
		return nil, err
	}
	kubeconfig := filepath.Join(s.state, "manager.kubeconfig")
	err = clientcmd.WriteToFile(clientcmdapi.Config{
		Clusters: map[string]*clientcmdapi.Cluster{
			"run": {Server: s.config.Host, CertificateAuthorityData: s.config.CAData},
		},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{"manager": {Token: token}},
		Contexts:       map[string]*clientcmdapi.Context{"run": {Cluster: "run", AuthInfo: "manager"}},
		CurrentContext: "run",
	}, kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("write the manager's kubeconfig: %w", err)
	}
	log, err := os.Create(filepath.Join(s.state, "manager.log"))
	if err != nil {
		return nil, fmt.Errorf("create the manager's log: %w", err)
	}

	manager := exec.CommandContext(context.WithoutCancel(ctx), s.manager,
		"--kubeconfig="+kubeconfig,
		"--operator-namespace="+namespace,
		"--metrics-bind-address=0",
		fmt.Sprintf("--health-probe-bind-address=127.0.0.1:%d", s.ports.probes),
		fmt.Sprintf("--api-bind-address=127.0.0.1:%d", s.ports.api),
		fmt.Sprintf("--webhook-port=%d", s.ports.webhooks))
	manager.Stdout, manager.Stderr = log, log
	// A group of its own, and a context without its end, keep the interrupt from it: it is stopped first, while its API
	// server still runs.
	manager.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := manager.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", s.manager, err)
	}
	s.exited = make(chan error, 1)
	ended := make(chan struct{})
	go func() {
		err := manager.Wait()
		if err == nil {
			err = errors.New("without an error")
		}
		s.exited <- err
		close(ended)
	}()
	return func() {
		_ = manager.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(patience):
			_ = manager.Process.Kill()
		}
		_ = log.Close()
	}, nil
}

// token returns a token of a service account of the operator's namespace.
func (s *session) token(ctx context.Context, account string) (string, error) {
	request := &authenticationv1.TokenRequest{
		Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: new(int64(tokenLifetime.Seconds()))},
	}
	serviceAccount := &corev1.ServiceAccount{}
	serviceAccount.Namespace, serviceAccount.Name = namespace, account
	if err := s.client.SubResource("token").Create(ctx, serviceAccount, request); err != nil {
		return "", fmt.Errorf("get a token for the service account %s: %w", account, err)
	}
	return request.Status.Token, nil
}

// wait tries done until it returns nil. It gives up early where the manager has ended, as then nothing else will come.
func (s *session) wait(ctx context.Context, what string, done func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := done(ctx)
		if err == nil {
			return nil
		}
		select {
		case ended := <-s.exited:
			return fmt.Errorf("wait for %s: the manager ended (%w); see %s", what, ended, filepath.Join(s.state, "manager.log"))
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w; see %s", what, err, filepath.Join(s.state, "manager.log"))
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func ready(ctx context.Context, port int) error {
	request, err := http.NewRequestWithContext(
		ctx,
		http.MethodGet,
		fmt.Sprintf("http://127.0.0.1:%d/readyz", port),
		http.NoBody,
	)
	if err != nil {
		return fmt.Errorf("ask for /readyz: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("ask for /readyz: %w", err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("/readyz says %s", response.Status)
	}
	return nil
}

// choosePorts takes ports of the loopback interface that nothing listens on.
func (s *session) choosePorts(ctx context.Context) error {
	for _, port := range []*int{&s.ports.webhooks, &s.ports.probes, &s.ports.api} {
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return fmt.Errorf("find a free port: %w", err)
		}
		defer func() { _ = listener.Close() }()
		*port = listener.Addr().(*net.TCPAddr).Port
	}
	return nil
}
