// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/yaml"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/controllers"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/internal/index"
)

func TestCluster(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "Command line with a cluster")
}

var (
	// k8s is an administrator who reads live.
	k8s client.Client
	// kubeconfig is the file that the commands find the cluster by.
	kubeconfig string
)

var _ = BeforeSuite(func() {
	ctrl.SetLogger(zap.New(zap.WriteTo(GinkgoWriter), zap.UseDevMode(true)))
	SetDefaultEventuallyTimeout(time.Minute)
	SetDefaultEventuallyPollingInterval(20 * time.Millisecond)
	scheme := runtime.NewScheme()
	Expect(clientgoscheme.AddToScheme(scheme)).To(Succeed())
	Expect(v1alpha1.AddToScheme(scheme)).To(Succeed())
	environment := &envtest.Environment{
		CRDDirectoryPaths:     []string{filepath.Join("..", "..", "config", "crd", "bases")},
		ErrorIfCRDPathMissing: true,
	}
	restConfig, err := environment.Start()
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(environment.Stop)
	restConfig.QPS = -1
	k8s, err = client.New(restConfig, client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())

	user, err := environment.AddUser(envtest.User{Name: "on-call", Groups: []string{"system:masters"}}, nil)
	Expect(err).NotTo(HaveOccurred())
	data, err := user.KubeConfig()
	Expect(err).NotTo(HaveOccurred())
	kubeconfig = filepath.Join(GinkgoT().TempDir(), "kubeconfig")
	Expect(os.WriteFile(kubeconfig, data, 0o600)).To(Succeed())

	mgr, err := ctrl.NewManager(restConfig, ctrl.Options{
		Scheme:     scheme,
		Cache:      controllers.CacheOptions(),
		Client:     controllers.ClientOptions(),
		Metrics:    metricsserver.Options{BindAddress: "0"},
		Controller: config.Controller{SkipNameValidation: new(true)},
	})
	Expect(err).NotTo(HaveOccurred())
	ctx, cancel := context.WithCancel(context.Background())
	Expect(index.Setup(ctx, mgr.GetFieldIndexer())).To(Succeed())
	Expect(controllers.Setup(mgr, controllers.Options{})).To(Succeed())
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	DeferCleanup(func() {
		cancel()
		Eventually(done).Should(Receive(Succeed()))
	})
})

// run runs a command in a namespace and returns its output, which must have the exit code.
func run(code int, namespace string, arguments ...string) string {
	GinkgoHelper()
	// No two requests for a publish have the same time.
	got := jackstaffAt(
		context.Background(),
		clock.RealClock{},
		"",
		append(arguments, "--kubeconfig", kubeconfig, "-n", namespace)...)
	Expect(got.code).To(Equal(code), "%q printed\n%s%s", arguments, got.out, got.err)
	if code != 0 {
		return got.err
	}
	return got.out
}

// makeProject makes a namespace with an environment that publishes by hand, and a flag that is served in it.
func makeProject(annotations ...string) string {
	GinkgoHelper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "shop-"}}
	Expect(k8s.Create(context.Background(), namespace)).To(Succeed())
	flag := builders.MakeFlag(
		"checkout",
		namespace.Name,
	).Boolean().Key(
		"new/checkout",
	).Environment(
		"production",
	).Fallthrough(
		"on",
	)
	for _, annotation := range annotations {
		name, value, _ := strings.Cut(annotation, "=")
		flag = flag.Annotation(name, value)
	}
	environment := builders.MakeEnvironment("production", namespace.Name).Spec(func(s *v1alpha1.FlagEnvironmentSpec) {
		s.Publish.Mode = v1alpha1.PublishModeManual
	})
	Expect(k8s.Create(context.Background(), flag.Obj())).To(Succeed())
	Expect(k8s.Create(context.Background(), environment.Obj())).To(Succeed())
	run(0, namespace.Name, "publish", "production", "--wait")
	return namespace.Name
}

func fetch[T client.Object](namespace, name string, object T) T {
	GinkgoHelper()
	Expect(k8s.Get(context.Background(), client.ObjectKey{Namespace: namespace, Name: name}, object)).To(Succeed())
	return object
}

// change changes an object as it is stored.
func change[T client.Object](namespace, name string, object T, change func(T)) {
	GinkgoHelper()
	Eventually(func() error {
		change(fetch(namespace, name, object))
		return k8s.Update(context.Background(), object)
	}).Should(Succeed())
}

// apply applies manifests to a namespace, as kubectl does.
func apply(namespace string, files map[string]string) {
	GinkgoHelper()
	for name, text := range files {
		for document := range strings.SplitSeq(text, "---\n") {
			object := &unstructured.Unstructured{}
			Expect(yaml.Unmarshal([]byte(document), &object.Object)).To(Succeed(), name)
			object.SetNamespace(namespace)
			Expect(
				k8s.Apply(context.Background(), client.ApplyConfigurationFromUnstructured(object), client.FieldOwner("pipeline")),
			).To(
				Succeed(),
				name,
			)
		}
	}
}

// served is what a command evaluates the flag to.
func served(namespace string) string {
	GinkgoHelper()
	var evaluation struct {
		Reason    string `json:"reason"`
		Variation string `json:"variation"`
	}
	Expect(
		json.Unmarshal([]byte(run(0, namespace, "evaluate", "new/checkout", "-e", "production", "-o", "json")), &evaluation),
	).To(
		Succeed(),
	)
	return evaluation.Variation
}
