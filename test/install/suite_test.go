// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package install_test installs what config/ ships on an API server, and runs the manager's binary there as its own
// service account.
package install_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/gexec"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

const (
	// system is the namespace of the operator, and account its service account.
	system  = "jackstaff-system"
	account = "jackstaff-manager"
	// accountUser is the user name of the account.
	accountUser = "system:serviceaccount:" + system + ":" + account
)

var (
	scheme = runtime.NewScheme()
	// binary is the path of the manager.
	binary string
)

func TestInstall(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "Install")
}

var _ = BeforeSuite(func() {
	ctrl.SetLogger(zap.New(zap.WriteTo(GinkgoWriter), zap.UseDevMode(true)))
	SetDefaultEventuallyTimeout(time.Minute)
	SetDefaultEventuallyPollingInterval(50 * time.Millisecond)
	Expect(clientgoscheme.AddToScheme(scheme)).To(Succeed())
	Expect(v1alpha1.AddToScheme(scheme)).To(Succeed())
	var err error
	binary, err = gexec.Build("github.com/jackstaff-dev/jackstaff/cmd/manager")
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(gexec.CleanupBuildArtifacts)
})

// controlPlane is an API server that writes down what the manager's account asks of it.
type controlPlane struct {
	config *rest.Config
	// admin is an administrator who reads live.
	admin client.Client
	// kubeconfig is the administrator's file.
	kubeconfig string
	// audit is the file with an audit event for each of the account's requests.
	audit string
	// ports are those of the manager on the loopback interface.
	webhooks, probes, metrics, api int
	// refreshes is true where the manager refreshes pods.
	refreshes bool
}

// auditPolicy has the account's requests written down, and nobody else's.
const auditPolicy = `
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {level: Metadata, users: ["` + accountUser + `"]}
- {level: None}
`

// startControlPlane starts an empty control plane for the specs of a container.
func startControlPlane() *controlPlane {
	GinkgoHelper()
	return startControlPlaneOf(&envtest.Environment{})
}

// startControlPlaneOf is startControlPlane of an environment that is not started yet.
func startControlPlaneOf(environment *envtest.Environment) *controlPlane {
	GinkgoHelper()
	folder := GinkgoT().TempDir()
	c := &controlPlane{audit: filepath.Join(folder, "audit.log"), kubeconfig: filepath.Join(folder, "kubeconfig")}
	policy := filepath.Join(folder, "policy.yaml")
	Expect(os.WriteFile(policy, []byte(auditPolicy), 0o600)).To(Succeed())
	environment.ControlPlane.GetAPIServer().Configure().
		Set("audit-policy-file", policy).Set("audit-log-path", c.audit).Set("audit-log-mode", "blocking")
	var err error
	c.config, err = environment.Start()
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(environment.Stop)
	c.config.QPS = -1
	Expect(os.WriteFile(c.kubeconfig, environment.KubeConfig, 0o600)).To(Succeed())
	c.admin, err = client.New(c.config, client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())
	for _, port := range []*int{&c.webhooks, &c.probes, &c.metrics, &c.api} {
		listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
		Expect(err).NotTo(HaveOccurred())
		*port = listener.Addr().(*net.TCPAddr).Port
		Expect(listener.Close()).To(Succeed())
	}
	return c
}

// kubectl runs kubectl as the administrator, and returns what it printed and how it ended.
func (c *controlPlane) kubectl(input string, arguments ...string) (string, error) {
	program := filepath.Join(os.Getenv("KUBEBUILDER_ASSETS"), "kubectl")
	command := exec.Command(program, arguments...) //nolint:noctx // It ends by itself.
	command.Env = append(os.Environ(), "KUBECONFIG="+c.kubeconfig)
	command.Stdin = strings.NewReader(input)
	output, err := command.CombinedOutput()
	return string(output), err
}

// kustomize builds a kustomization of this repository.
func kustomize(folder string) []*unstructured.Unstructured {
	GinkgoHelper()
	program := filepath.Join(os.Getenv("KUBEBUILDER_ASSETS"), "kubectl")
	command := exec.Command(program, "kustomize", filepath.Join("..", "..", folder)) //nolint:noctx // It ends by itself.
	manifests, err := command.Output()
	failed := &exec.ExitError{}
	if errors.As(err, &failed) {
		Fail(string(failed.Stderr))
	}
	Expect(err).NotTo(HaveOccurred())
	return decode(manifests)
}

// overlay builds config/default with components.
func overlay(components ...string) []*unstructured.Unstructured {
	GinkgoHelper()
	folder, err := os.MkdirTemp(filepath.Join("..", "..", "config"), ".overlay-")
	Expect(err).NotTo(HaveOccurred())
	defer func() { Expect(os.RemoveAll(folder)).To(Succeed()) }()
	lines := "resources: [../default]\ncomponents: [../" + strings.Join(components, ", ../") + "]\n"
	Expect(os.WriteFile(filepath.Join(folder, "kustomization.yaml"), []byte(lines), 0o600)).To(Succeed())
	return kustomize(filepath.Join("config", filepath.Base(folder)))
}

func decode(manifests []byte) []*unstructured.Unstructured {
	GinkgoHelper()
	var objects []*unstructured.Unstructured
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(manifests), len(manifests))
	for {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(object)
		if errors.Is(err, io.EOF) {
			return objects
		}
		Expect(err).NotTo(HaveOccurred())
		if len(object.Object) > 0 {
			objects = append(objects, object)
		}
	}
}

// install applies objects as an administrator. The webhooks are called on this machine.
func (c *controlPlane) install(objects []*unstructured.Unstructured) {
	GinkgoHelper()
	for _, object := range objects {
		c.callHere(object)
		err := c.admin.Apply(
			context.Background(),
			client.ApplyConfigurationFromUnstructured(object.DeepCopy()),
			client.FieldOwner("test"),
			client.ForceOwnership,
		)
		Expect(err).NotTo(HaveOccurred(), "%s %s", object.GetKind(), object.GetName())
	}
}

func (c *controlPlane) callHere(object *unstructured.Unstructured) {
	GinkgoHelper()
	webhooks, found, err := unstructured.NestedSlice(object.Object, "webhooks")
	Expect(err).NotTo(HaveOccurred())
	if !found {
		return
	}
	for _, webhook := range webhooks {
		fields := webhook.(map[string]any)
		path, _, err := unstructured.NestedString(fields, "clientConfig", "service", "path")
		Expect(err).NotTo(HaveOccurred())
		fields["clientConfig"] = map[string]any{"url": fmt.Sprintf("https://127.0.0.1:%d%s", c.webhooks, path)}
	}
	Expect(unstructured.SetNestedSlice(object.Object, webhooks, "webhooks")).To(Succeed())
}

// token returns a token of a service account.
func (c *controlPlane) token(namespace, name string) string {
	GinkgoHelper()
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: new(int64(3600))}}
	serviceAccount := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	Expect(c.admin.SubResource("token").Create(context.Background(), serviceAccount, request)).To(Succeed())
	return request.Status.Token
}

// asAccount is a client of the manager's account.
func (c *controlPlane) asAccount() client.Client {
	GinkgoHelper()
	config := rest.AnonymousClientConfig(c.config)
	config.BearerToken = c.token(system, account)
	config.QPS = -1
	acting, err := client.New(config, client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())
	return acting
}

// startManager runs the manager as its own service account, until the specs of the container end, and waits until it is
// ready.
func (c *controlPlane) startManager(arguments ...string) *gexec.Session {
	GinkgoHelper()
	kubeconfig := filepath.Join(GinkgoT().TempDir(), "manager.kubeconfig")
	Expect(clientcmd.WriteToFile(clientcmdapi.Config{
		Clusters: map[string]*clientcmdapi.Cluster{
			"test": {Server: c.config.Host, CertificateAuthorityData: c.config.CAData},
		},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{"manager": {Token: c.token(system, account)}},
		Contexts:       map[string]*clientcmdapi.Context{"test": {Cluster: "test", AuthInfo: "manager"}},
		CurrentContext: "test",
	}, kubeconfig)).To(Succeed())
	local := func(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
	command := exec.Command(binary, slices.Concat([]string{ //nolint:noctx // It is stopped below.
		"--kubeconfig=" + kubeconfig, "--operator-namespace=" + system,
		"--metrics-bind-address=" + local(c.metrics), "--health-probe-bind-address=" + local(c.probes),
		"--api-bind-address=" + local(c.api), "--webhook-port=" + strconv.Itoa(c.webhooks),
	}, arguments)...)
	// As against an API server that does not stream lists.
	command.Env = append(os.Environ(), "KUBE_FEATURE_WatchListClient=false")
	c.refreshes = slices.Contains(arguments, "--refresh-pods")
	session, err := gexec.Start(command, GinkgoWriter, GinkgoWriter)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { session.Terminate().Wait(30 * time.Second) })
	Eventually(func() (int, error) { return get("http://"+local(c.probes)+"/readyz", "") }).Should(Equal(200))
	return session
}

// bind gives a user a role in the whole cluster.
func (c *controlPlane) bind(name, role string, subject rbacv1.Subject) {
	GinkgoHelper()
	Expect(c.admin.Create(context.Background(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
		Subjects:   []rbacv1.Subject{subject},
	})).To(Succeed())
}

// actAs is a client of a user with rights in a namespace.
func (c *controlPlane) actAs(user, namespace string, rules ...rbacv1.PolicyRule) client.Client {
	GinkgoHelper()
	ctx, meta := context.Background(), metav1.ObjectMeta{Namespace: namespace, Name: user}
	Expect(c.admin.Create(ctx, &rbacv1.Role{ObjectMeta: meta, Rules: rules})).To(Succeed())
	Expect(c.admin.Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: meta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: user},
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}},
	})).To(Succeed())
	config := rest.CopyConfig(c.config)
	config.Impersonate = rest.ImpersonationConfig{UserName: user}
	acting, err := client.New(config, client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())
	return acting
}

// fetch reads an object as it is stored.
func fetch[T client.Object](g Gomega, c *controlPlane, object T) T {
	g.ExpectWithOffset(1, c.admin.Get(context.Background(), client.ObjectKeyFromObject(object), object)).To(Succeed())
	return object
}

// edit changes an object as it is stored, as often as it takes.
func edit[T client.Object](c *controlPlane, object T, change func(T)) {
	GinkgoHelper()
	Eventually(func() error {
		if err := c.admin.Get(context.Background(), client.ObjectKeyFromObject(object), object); err != nil {
			return err
		}
		change(object)
		return c.admin.Update(context.Background(), object)
	}).Should(Succeed())
}

// get asks a URL, with a token where there is one, and returns the status of the answer.
func get(url, token string) (int, error) {
	status, _, err := call(http.MethodGet, url, token, "")
	return status, err
}

// call makes a request, with a token where there is one, and returns the status and the body of the answer.
func call(method, url, token, body string) (int, string, error) {
	return callBy(&tls.Config{InsecureSkipVerify: true}, method, url, token, body)
}

// callBy is call by a connection that is made as config says.
func callBy(config *tls.Config, method, url, token, body string) (int, string, error) {
	request, err := http.NewRequestWithContext(context.Background(), method, url, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	request.Header.Set("Content-Type", "application/json")
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	by := &http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}
	response, err := by.Do(request)
	if err != nil {
		return 0, "", err
	}
	answer, err := io.ReadAll(response.Body)
	return response.StatusCode, string(answer), errors.Join(err, response.Body.Close())
}
