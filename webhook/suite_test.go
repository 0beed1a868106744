// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
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
	"github.com/jackstaff-dev/jackstaff/internal/budget"
	"github.com/jackstaff-dev/jackstaff/internal/decode"
	"github.com/jackstaff-dev/jackstaff/internal/index"
	"github.com/jackstaff-dev/jackstaff/webhook"
)

var (
	environment *envtest.Environment
	scheme      *runtime.Scheme
	config      *rest.Config
	// cluster is an administrator's client, whose warnings go to warned.
	cluster client.Client
	warned  = &warnings{}
	// cached is the manager's client, by which tests wait for its cache.
	cached client.Client
	// policyIsMissing is what the webhooks are told of the policy on datafiles.
	policyIsMissing atomic.Bool
	// stopManager stops the webhooks and waits until they are gone.
	stopManager func()
)

func TestWebhook(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "Webhook Suite")
}

var _ = BeforeSuite(func() {
	ctrl.SetLogger(zap.New(zap.WriteTo(GinkgoWriter), zap.UseDevMode(true)))
	SetDefaultEventuallyTimeout(time.Minute)
	SetDefaultEventuallyPollingInterval(50 * time.Millisecond)

	environment = &envtest.Environment{
		CRDDirectoryPaths:     []string{filepath.Join("..", "config", "crd", "bases")},
		ErrorIfCRDPathMissing: true,
		WebhookInstallOptions: envtest.WebhookInstallOptions{
			Paths: []string{filepath.Join("..", "config", "webhook", "manifests.yaml")},
		},
	}
	var err error
	config, err = environment.Start()
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { Expect(environment.Stop()).To(Succeed()) })

	scheme = runtime.NewScheme()
	Expect(clientgoscheme.AddToScheme(scheme)).To(Succeed())
	Expect(v1alpha1.AddToScheme(scheme)).To(Succeed())
	installRoles()
	listening := rest.CopyConfig(config)
	listening.WarningHandler = warned
	cluster, err = client.New(listening, client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())

	startManager()
	DeferCleanup(func() { stopManager() })
})

// operator is the user that the manager runs as.
const operator = "system:serviceaccount:jackstaff-system:jackstaff-manager"

// impersonation is a configuration that acts as user.
func impersonation(user string, groups ...string) *rest.Config {
	as := rest.CopyConfig(config)
	as.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: groups}
	return as
}

// installRoles makes the roles that config/rbac ships, and gives the operator its own, so that a right that is missing
// there is missing here.
func installRoles() {
	GinkgoHelper()
	administrator, err := client.New(config, client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())
	for _, file := range []string{"role.yaml", "user_roles.yaml"} {
		data, err := os.ReadFile(filepath.Join("..", "config", "rbac", file))
		Expect(err).NotTo(HaveOccurred())
		decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(data), len(data))
		for {
			role := &rbacv1.ClusterRole{}
			err := decoder.Decode(role)
			if errors.Is(err, io.EOF) {
				break
			}
			Expect(err).NotTo(HaveOccurred())
			if role.Name == "" {
				continue
			}
			role.Name = "jackstaff-" + role.Name
			Expect(administrator.Create(context.Background(), role)).To(Succeed())
		}
	}
	Expect(administrator.Create(context.Background(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "jackstaff-manager"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "jackstaff-manager"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: operator}},
	})).To(Succeed())
}

// startManager runs a manager that has nothing but the webhooks, and waits until they answer.
func startManager() {
	GinkgoHelper()
	options := environment.WebhookInstallOptions
	own := impersonation(operator, "system:serviceaccounts", "system:authenticated")
	decode.Tolerate(own) // As the operator does.
	manager, err := ctrl.NewManager(
		own,
		ctrl.Options{
			Scheme:  scheme,
			Metrics: metricsserver.Options{BindAddress: "0"},
			WebhookServer: ctrlwebhook.NewServer(ctrlwebhook.Options{
				Host: options.LocalServingHost, Port: options.LocalServingPort, CertDir: options.LocalServingCertDir,
			}),
		},
	)
	Expect(err).NotTo(HaveOccurred())
	ctx, cancel := context.WithCancel(context.Background())
	Expect(index.Setup(ctx, manager.GetFieldIndexer())).To(Succeed())
	budgets := budget.NewLedger(budget.Limits{Environments: maxEnvironments})
	Expect(budgets.Follow(ctx, manager.GetCache())).To(Succeed())
	Expect(webhook.Setup(manager, compatible, webhook.WithBudgets(budgets), webhook.WithGuarded(
		func(context.Context) (bool, error) { return !policyIsMissing.Load(), nil },
	))).To(Succeed())
	cached = manager.GetClient()

	var running sync.WaitGroup
	running.Go(func() {
		defer GinkgoRecover()
		Expect(manager.Start(ctx)).To(Succeed())
	})
	stopManager = func() {
		cancel()
		running.Wait()
	}
	address := net.JoinHostPort(options.LocalServingHost, strconv.Itoa(options.LocalServingPort))
	Eventually(func(g Gomega) {
		connection, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(connection.Close()).To(Succeed())
	}).Should(Succeed())
	Expect(manager.GetCache().WaitForCacheSync(ctx)).To(BeTrue())
}

// compatible stands for the flagd format, which has no form for regular expressions.
func compatible(flag *v1alpha1.FeatureFlag) error {
	for i := range flag.Spec.Environments {
		for j := range flag.Spec.Environments[i].Rules {
			for _, condition := range flag.Spec.Environments[i].Rules[j].Conditions {
				if condition.Operator == v1alpha1.OperatorMatches {
					return errors.New("operator Matches has no form there")
				}
			}
		}
	}
	return nil
}

// warnings collects what the API server warns of.
type warnings struct {
	mutex sync.Mutex
	texts []string
}

// HandleWarningHeader is called by the client for each warning.
func (w *warnings) HandleWarningHeader(_ int, _ string, text string) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.texts = append(w.texts, text)
}

// take returns the warnings since the last time.
func (w *warnings) take() []string {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	texts := w.texts
	w.texts = nil
	return texts
}

// newNamespace makes a namespace of its own for each test, and forgets what other tests were warned of.
func newNamespace(ctx context.Context) string {
	GinkgoHelper()
	warned.take()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "shop-"}}
	Expect(cluster.Create(ctx, namespace)).To(Succeed())
	return namespace.Name
}

// create creates objects and waits until the webhooks' cache has them.
func create(ctx context.Context, objects ...client.Object) {
	GinkgoHelper()
	for _, object := range objects {
		Expect(cluster.Create(ctx, object)).To(Succeed(), fmt.Sprintf("%T %s", object, object.GetName()))
		Eventually(func(g Gomega) {
			g.Expect(cached.Get(ctx, client.ObjectKeyFromObject(object), object.DeepCopyObject().(client.Object))).To(Succeed())
		}).Should(Succeed())
	}
	warned.take()
}
