// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package hostile_test acts as each account of docs/security.md, with the roles that config/ ships, on an API server
// with the operator and a real kube-controller-manager: what one tries here has to fail. It is a module of its own,
// because it needs a program that no other test needs.
package hostile_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/gexec"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	ctrlwebhook "sigs.k8s.io/controller-runtime/pkg/webhook"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/index"
	"github.com/jackstaff-dev/jackstaff/webhook"
)

var (
	environment *envtest.Environment
	config      *rest.Config
	scheme      = runtime.NewScheme()
	admin       client.Client
)

func TestHostile(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "Hostile")
}

var _ = BeforeSuite(func() {
	ctrl.SetLogger(zap.New(zap.WriteTo(GinkgoWriter), zap.UseDevMode(true)))
	SetDefaultEventuallyTimeout(time.Minute)
	SetDefaultEventuallyPollingInterval(50 * time.Millisecond)
	Expect(clientgoscheme.AddToScheme(scheme)).To(Succeed())
	Expect(v1alpha1.AddToScheme(scheme)).To(Succeed())
	environment = &envtest.Environment{
		CRDDirectoryPaths:     []string{filepath.Join("..", "..", "config", "crd", "bases")},
		ErrorIfCRDPathMissing: true,
		WebhookInstallOptions: envtest.WebhookInstallOptions{
			Paths: []string{filepath.Join("..", "..", "config", "webhook", "manifests.yaml")},
		},
	}
	var err error
	config, err = environment.Start()
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { Expect(environment.Stop()).To(Succeed()) })
	admin, err = client.New(config, client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())
	installRoles()
	startControllerManager()
	startOperator()
})

// operator is the user that the operator runs as.
const operator = "system:serviceaccount:jackstaff-system:jackstaff-manager"

// installRoles makes the roles of config/rbac as config/default names them, and gives the operator its own.
func installRoles() {
	GinkgoHelper()
	for _, file := range []string{"role.yaml", "user_roles.yaml"} {
		data, err := os.ReadFile(filepath.Join("..", "..", "config", "rbac", file))
		Expect(err).NotTo(HaveOccurred())
		for decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(data), len(data)); ; {
			role := &rbacv1.ClusterRole{}
			err := decoder.Decode(role)
			if errors.Is(err, io.EOF) {
				break
			}
			Expect(err).NotTo(HaveOccurred())
			if role.Name != "" {
				role.Name = "jackstaff-" + role.Name
				Expect(admin.Create(context.Background(), role)).To(Succeed())
			}
		}
	}
	Expect(admin.Create(context.Background(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "jackstaff-manager"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "jackstaff-manager"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: operator}},
	})).To(Succeed())
}

// startControllerManager runs what deletes what an owner owned, empties namespaces and aggregates roles.
func startControllerManager() {
	GinkgoHelper()
	program := os.Getenv("KUBE_CONTROLLER_MANAGER")
	Expect(
		program,
	).NotTo(
		BeEmpty(),
		"KUBE_CONTROLLER_MANAGER is the path of kube-controller-manager; `make hostile` builds it and sets it",
	)
	kubeconfig := filepath.Join(GinkgoT().TempDir(), "kubeconfig")
	Expect(os.WriteFile(kubeconfig, environment.KubeConfig, 0o600)).To(Succeed())
	session, err := gexec.Start(exec.Command( //nolint:noctx // It is stopped below.
		program, "--kubeconfig="+kubeconfig, "--leader-elect=false", "--secure-port=0", "--use-service-account-credentials",
		"--controllers=garbage-collector-controller,namespace-controller,clusterrole-aggregation-controller",
		"--min-resync-period=1m",
	), GinkgoWriter, GinkgoWriter)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { session.Kill().Wait(30 * time.Second) })
}

// startOperator runs the webhooks, as the operator's own account, and waits until they answer.
func startOperator() {
	GinkgoHelper()
	options := environment.WebhookInstallOptions
	manager, err := ctrl.NewManager(actingAs(operator, "system:serviceaccounts"), ctrl.Options{
		Scheme: scheme, Metrics: metricsserver.Options{BindAddress: "0"},
		WebhookServer: ctrlwebhook.NewServer(ctrlwebhook.Options{
			Host: options.LocalServingHost, Port: options.LocalServingPort, CertDir: options.LocalServingCertDir,
		}),
	})
	Expect(err).NotTo(HaveOccurred())
	ctx, cancel := context.WithCancel(context.Background())
	Expect(index.Setup(ctx, manager.GetFieldIndexer())).To(Succeed())
	Expect(webhook.Setup(manager, nil)).To(Succeed())
	ended := make(chan struct{})
	go func() {
		defer GinkgoRecover()
		defer close(ended)
		Expect(manager.Start(ctx)).To(Succeed())
	}()
	DeferCleanup(func() { cancel(); <-ended })
	Eventually(func() error {
		connection, err := new(net.Dialer).DialContext(ctx, "tcp",
			net.JoinHostPort(options.LocalServingHost, strconv.Itoa(options.LocalServingPort)))
		if err != nil {
			return err
		}
		return connection.Close()
	}).Should(Succeed())
	Expect(manager.GetCache().WaitForCacheSync(ctx)).To(BeTrue())
}

func actingAs(user string, groups ...string) *rest.Config {
	acting := rest.CopyConfig(config)
	acting.QPS = -1
	acting.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: append(groups, "system:authenticated")}
	return acting
}

// account makes a user who has a cluster role in a namespace, and waits until the API server knows that by a verb on a
// resource of ours.
func account(ctx context.Context, namespace, role, verb, resource string) client.Client {
	GinkgoHelper()
	user := role + "@" + namespace
	Expect(admin.Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: role},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}},
	})).To(Succeed())
	Eventually(func(g Gomega) {
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User: user, ResourceAttributes: &authorizationv1.ResourceAttributes{
				Namespace: namespace, Verb: verb, Group: v1alpha1.GroupVersion.Group, Resource: resource,
			},
		}}
		g.Expect(admin.Create(ctx, review)).To(Succeed())
		g.Expect(review.Status.Allowed).To(BeTrue())
	}).Should(Succeed())
	acting, err := client.New(actingAs(user), client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())
	return acting
}

// newNamespace makes a namespace of its own for each test.
func newNamespace(ctx context.Context) string {
	GinkgoHelper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "shop-"}}
	Expect(admin.Create(ctx, namespace)).To(Succeed())
	return namespace.Name
}
