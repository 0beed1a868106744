// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package chart_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
)

// operatorNamespace is that of the releases, which is not the default one.
const operatorNamespace = "flag-operator"

// No pods run on the control plane. The manager runs as a process instead, with the arguments and the account that the
// chart gives it.
func TestDoesTheMainJobInSomeNamespaces(t *testing.T) {
	ctrl.SetLogger(zap.New(zap.WriteTo(t.Output())))
	environment := &envtest.Environment{}
	config, err := environment.Start()
	check(t, err)
	t.Cleanup(func() { check(t, environment.Stop()) })
	plain, err := client.New(config, client.Options{})
	check(t, err)
	admin := client.WithFieldValidation(plain, metav1.FieldValidationStrict)
	folder := t.TempDir()
	kubeconfig, binary := filepath.Join(folder, "admin"), filepath.Join(folder, "manager")
	check(t, os.WriteFile(kubeconfig, environment.KubeConfig, 0o600))
	run(t, "go", "build", "-C", root, "-o", binary, "./cmd/manager")
	webhooks, probes := freePort(t), freePort(t)

	for _, name := range []string{operatorNamespace, "shop"} {
		check(t, admin.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}))
	}
	install := func(values string) []*unstructured.Unstructured {
		objects, _, err := render(t, operatorNamespace, values)
		check(t, err)
		for _, object := range objects {
			if object.GetKind() == "ClusterRoleBinding" {
				t.Errorf("%s gives rights in the whole cluster", id(object))
			}
			callHere(object, webhooks)
			if err := admin.Apply(
				t.Context(),
				client.ApplyConfigurationFromUnstructured(object.DeepCopy()),
				client.FieldOwner("helm"),
			); err != nil {
				t.Fatalf("install %s: %v", id(object), err)
			}
		}
		return objects
	}
	install(`{parts: {operator: false}, namespaces: [shop], certificates: {mode: Administrator}}`)
	run(t, binary, "certificate", "--operator-namespace="+operatorNamespace, "--kubeconfig="+kubeconfig)
	operator := install(`{parts: {cluster: false}, namespaces: [shop], certificates: {mode: Administrator}}`)

	deployment := operator[slices.IndexFunc(operator, func(object *unstructured.Unstructured) bool { return object.GetKind() == "Deployment" })]
	arguments := argumentsOf(deployment)
	mounted := certificates(t, admin)
	for i := range arguments {
		arguments[i] = strings.Replace(arguments[i], "=/certificates", "="+mounted, 1)
	}
	account, _, _ := unstructured.NestedString(deployment.Object, "spec", "template", "spec", "serviceAccountName")
	startManager(t, probes, binary, append(
		arguments,
		"--kubeconfig="+kubeconfigOf(t, config, admin, account),
		fmt.Sprintf("--webhook-port=%d", webhooks),
		fmt.Sprintf(
			"--health-probe-bind-address=127.0.0.1:%d",
			probes,
		),
		"--metrics-bind-address=127.0.0.1:0",
		"--api-bind-address=127.0.0.1:0",
	))

	production := resource("FlagEnvironment", "production", map[string]any{"production": true})
	check(t, admin.Create(t.Context(), production))
	flag := func(name, variation string) *unstructured.Unstructured {
		return resource("FeatureFlag", name, map[string]any{
			"type":             "Boolean",
			"variations":       []any{map[string]any{"key": "on", "value": true}, map[string]any{"key": "off", "value": false}},
			"defaultVariation": "off",
			"environments":     []any{map[string]any{"name": "production", "enabled": true, "defaultVariation": variation}},
		})
	}
	check(t, admin.Create(t.Context(), flag("checkout", "on")))
	eventually(t, "the flag is published", func(ctx context.Context) error {
		served := &corev1.ConfigMap{}
		if err := admin.Get(ctx, client.ObjectKey{Namespace: "shop", Name: "flags-production"}, served); err != nil {
			return err
		}
		if !strings.Contains(served.Data["datafile.json"], `"checkout"`) {
			return fmt.Errorf("it is not in %s", served.Data["datafile.json"])
		}
		return nil
	})
	err = admin.Create(t.Context(), flag("broken", "maybe"))
	if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "admission webhook") ||
		!strings.Contains(err.Error(), "maybe") {
		t.Errorf("a flag that serves a variation it lacks is answered with %v", err)
	}
}

// resource is an object of one of the Kinds.
func resource(kind, name string, spec map[string]any) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "flags.jackstaff.dev/v1alpha1",
		"kind":       kind,
		"metadata":   map[string]any{"namespace": "shop", "name": name},
		"spec":       spec,
	}}
}

// callHere has webhooks called on this machine.
func callHere(object *unstructured.Unstructured, port int) {
	webhooks, _, _ := unstructured.NestedSlice(object.Object, "webhooks")
	for _, webhook := range webhooks {
		fields := webhook.(map[string]any)
		path, _, _ := unstructured.NestedString(fields, "clientConfig", "service", "path")
		fields["clientConfig"] = map[string]any{"url": fmt.Sprintf("https://127.0.0.1:%d%s", port, path)}
	}
	if len(webhooks) > 0 {
		object.Object["webhooks"] = webhooks
	}
}

// certificates writes the serving certificate into a folder, as it is mounted into a pod.
func certificates(t *testing.T, admin client.Client) string {
	t.Helper()
	secret, folder := &corev1.Secret{}, t.TempDir()
	check(
		t,
		admin.Get(t.Context(), client.ObjectKey{Namespace: operatorNamespace, Name: "jackstaff-webhook-certificate"}, secret),
	)
	for name, data := range secret.Data {
		check(t, os.WriteFile(filepath.Join(folder, name), data, 0o600))
	}
	return folder
}

// kubeconfigOf writes a kubeconfig of a service account.
func kubeconfigOf(t *testing.T, config *rest.Config, admin client.Client, account string) string {
	t.Helper()
	token := &authenticationv1.TokenRequest{}
	check(
		t,
		admin.SubResource(
			"token",
		).Create(
			t.Context(),
			&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: operatorNamespace, Name: account}},
			token,
		),
	)
	path := filepath.Join(t.TempDir(), "kubeconfig")
	check(t, clientcmd.WriteToFile(clientcmdapi.Config{
		Clusters: map[string]*clientcmdapi.Cluster{
			"test": {Server: config.Host, CertificateAuthorityData: config.CAData},
		},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{"manager": {Token: token.Status.Token}},
		Contexts:       map[string]*clientcmdapi.Context{"test": {Cluster: "test", AuthInfo: "manager"}},
		CurrentContext: "test",
	}, path))
	return path
}

// startManager runs the manager until the test ends, and waits until it is ready.
func startManager(t *testing.T, probes int, binary string, arguments []string) {
	t.Helper()
	command := exec.Command(binary, arguments...) //nolint:noctx // It is stopped below.
	command.Env = append(os.Environ(), "POD_NAMESPACE="+operatorNamespace)
	command.Stdout, command.Stderr = t.Output(), t.Output()
	check(t, command.Start())
	t.Cleanup(func() {
		check(t, command.Process.Signal(os.Interrupt))
		_ = command.Wait() // Its status is no matter.
	})
	eventually(t, "the manager is ready", func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(
			ctx,
			http.MethodGet,
			fmt.Sprintf("http://127.0.0.1:%d/readyz", probes),
			http.NoBody,
		)
		if err != nil {
			return err
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		defer func() { _ = response.Body.Close() }()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("the answer is %s", response.Status)
		}
		return nil
	})
}

func eventually(t *testing.T, what string, holds func(context.Context) error) {
	t.Helper()
	var last error
	if err := wait.PollUntilContextTimeout(
		t.Context(),
		100*time.Millisecond,
		time.Minute,
		true,
		func(ctx context.Context) (bool, error) {
			last = holds(ctx)
			return last == nil, nil
		},
	); err != nil {
		t.Fatalf("%s: %v", what, last)
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	check(t, err)
	defer func() { check(t, listener.Close()) }()
	return listener.Addr().(*net.TCPAddr).Port
}

func run(t *testing.T, name string, arguments ...string) {
	t.Helper()
	if output, err := exec.CommandContext(t.Context(), name, arguments...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, output)
	}
}
