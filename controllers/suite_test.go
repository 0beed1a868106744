// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/uuid"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/controllers"
	"github.com/jackstaff-dev/jackstaff/internal/history"
	"github.com/jackstaff-dev/jackstaff/internal/index"
	"github.com/jackstaff-dev/jackstaff/internal/ownership"
)

func TestControllers(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "Controllers")
}

var (
	restConfig *rest.Config
	scheme     = runtime.NewScheme()
	// k8s is an administrator who reads live, and whose deletions leave the record that admission makes of them.
	k8s client.Client
	// pastAdmission is k8s without admission: what it deletes is lost.
	pastAdmission client.WithWatch
	// controlPlane is what all tests share, one after the other.
	controlPlane = &envtest.Environment{
		CRDDirectoryPaths:     []string{filepath.Join("..", "config", "crd", "bases")},
		ErrorIfCRDPathMissing: true,
	}
)

var _ = BeforeSuite(func() {
	ctrl.SetLogger(zap.New(zap.WriteTo(GinkgoWriter), zap.UseDevMode(true)))
	SetDefaultEventuallyTimeout(time.Minute)
	SetDefaultEventuallyPollingInterval(20 * time.Millisecond)
	Expect(clientgoscheme.AddToScheme(scheme)).To(Succeed())
	Expect(v1alpha1.AddToScheme(scheme)).To(Succeed())
	// With a folder of its own the API server keeps its certificates when it is started again.
	controlPlane.ControlPlane.GetAPIServer().CertDir = GinkgoT().TempDir()
	var err error
	restConfig, err = controlPlane.Start()
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(controlPlane.Stop)
	restConfig.QPS = -1
	pastAdmission, err = client.NewWithWatch(restConfig, client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())
	k8s = interceptor.NewClient(pastAdmission, interceptor.Funcs{Delete: deleteAdmitted})
})

// What a test leaves is removed before the next one: each operator that starts would compile it all again.
var _ = BeforeEach(func(ctx context.Context) {
	managed := client.HasLabels{v1alpha1.ManagedByLabel}
	remove(ctx, &v1alpha1.FlagChangeList{})
	for _, kind := range v1alpha1.Kinds {
		remove(ctx, kind.NewList())
	}
	remove(ctx, &corev1.ConfigMapList{}, managed)
	remove(ctx, &corev1.SecretList{}, managed)
})

// remove deletes all objects of a list, in all namespaces.
func remove(ctx context.Context, list client.ObjectList, options ...client.ListOption) {
	GinkgoHelper()
	Expect(pastAdmission.List(ctx, list, options...)).To(Succeed())
	Expect(meta.EachListItem(list, func(item runtime.Object) error {
		return client.IgnoreNotFound(pastAdmission.Delete(ctx, item.(client.Object)))
	})).To(Succeed())
}

// deleteAdmitted records a deletion before it happens, as admission does, which these tests run without.
func deleteAdmitted(
	ctx context.Context,
	inner client.WithWatch,
	object client.Object,
	options ...client.DeleteOption,
) error {
	if kind, is := v1alpha1.KindOf(object); is {
		stored := kind.New()
		if err := inner.Get(ctx, client.ObjectKeyFromObject(object), stored); err != nil {
			return err
		}
		record, _, err := history.Compare(stored, nil)
		if err != nil {
			return err
		}
		actor := history.Actor{Name: "alice@example.com"}
		if err := record.Stamp(string(uuid.NewUUID()), actor, time.Now(), nil); err != nil {
			return err
		}
		change, err := history.NewChange(
			stored.GetNamespace(), history.ObjectOf(kind.Name, stored), v1alpha1.HistoryRequested, &record, nil)
		if err != nil {
			return err
		}
		if err := inner.Create(ctx, change); err != nil {
			return err
		}
	}
	return inner.Delete(ctx, object, options...)
}

// errInjected is what a write fails with where a test says so.
var errInjected = errors.New("injected failure")

// faults decides which writes of a manager fail.
type faults struct {
	// refuse is asked before each write; the write fails where it returns true.
	refuse atomic.Pointer[func(verb string, object client.Object) bool]
}

// refuseAfter lets so many writes in a namespace succeed, and none after them, like those of a manager that was killed.
// What it returns is closed with the first write that fails.
func (f *faults) refuseAfter(writes int, namespace string) <-chan struct{} {
	left, refused := make(chan struct{}, writes), make(chan struct{})
	var first sync.Once
	refuse := func(_ string, object client.Object) bool {
		if object.GetNamespace() != namespace {
			return false
		}
		select {
		case <-refused:
			return true
		case left <- struct{}{}:
			return false
		default:
			first.Do(func() { close(refused) })
			return true
		}
	}
	f.refuse.Store(&refuse)
	return refused
}

func (f *faults) check(verb string, object client.Object) error {
	if refuse := f.refuse.Load(); refuse != nil && (*refuse)(verb, object) {
		return fmt.Errorf("%w: %s of %T %s", errInjected, verb, object, object.GetName())
	}
	return nil
}

// link is a manager's way to the API server.
type link struct {
	mu          sync.Mutex
	isDown      bool
	connections []net.Conn
}

func (l *link) dial(ctx context.Context, network, address string) (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.isDown {
		return nil, errInjected
	}
	connection, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err == nil {
		l.connections = append(l.connections, connection)
	}
	return connection, err
}

// set cuts the link, or mends it.
func (l *link) set(isDown bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.isDown = isDown
	for _, connection := range l.connections {
		_ = connection.Close()
	}
	l.connections = nil
}

// operator is a running manager.
type operator struct {
	faults faults
	link   link
	stop   func()
	// ended is closed when the manager has ended.
	ended chan struct{}
	// err is what it ended with. It is read after ended only.
	err error
}

// startOperator runs the controllers as the manager does, until the test ends or stop is called.
func startOperator() *operator {
	GinkgoHelper()
	return startOperatorWith(rest.CopyConfig(restConfig), controllers.Options{})
}

// startOperatorWith is startOperator with credentials and options of its own.
func startOperatorWith(
	throughLink *rest.Config,
	options controllers.Options,
	changes ...func(*ctrl.Options),
) *operator {
	GinkgoHelper()
	started := &operator{ended: make(chan struct{})}
	throughLink.Dial = started.link.dial
	managerOptions := ctrl.Options{
		Scheme:     scheme,
		Cache:      controllers.CacheOptions(),
		Client:     controllers.ClientOptions(),
		Metrics:    metricsserver.Options{BindAddress: "0"},
		Controller: config.Controller{SkipNameValidation: new(true)},
		NewClient: func(config *rest.Config, options client.Options) (client.Client, error) {
			inner, err := client.NewWithWatch(config, options)
			if err != nil {
				return nil, err
			}
			return interceptor.NewClient(inner, started.faults.interceptors()), nil
		},
	}
	for _, change := range changes {
		change(&managerOptions)
	}
	mgr, err := ctrl.NewManager(throughLink, managerOptions)
	Expect(err).NotTo(HaveOccurred())
	ctx, cancel := context.WithCancel(context.Background())
	Expect(index.Setup(ctx, mgr.GetFieldIndexer())).To(Succeed())
	Expect(controllers.Setup(mgr, options)).To(Succeed())
	go func() {
		defer close(started.ended)
		started.err = mgr.Start(ctx)
	}()
	started.stop = func() {
		cancel()
		Eventually(started.ended).Should(BeClosed())
		if !managerOptions.LeaderElection { // A manager that loses the lease ends with an error.
			Expect(started.err).NotTo(HaveOccurred())
		}
	}
	DeferCleanup(started.stop)
	return started
}

func (f *faults) interceptors() interceptor.Funcs {
	return interceptor.Funcs{
		Create: func(ctx context.Context, inner client.WithWatch, object client.Object, options ...client.CreateOption) error {
			if err := f.check("create", object); err != nil {
				return err
			}
			return inner.Create(ctx, object, options...)
		},
		Update: func(ctx context.Context, inner client.WithWatch, object client.Object, options ...client.UpdateOption) error {
			if err := f.check("update", object); err != nil {
				return err
			}
			return inner.Update(ctx, object, options...)
		},
		Delete: func(ctx context.Context, inner client.WithWatch, object client.Object, options ...client.DeleteOption) error {
			if err := f.check("delete", object); err != nil {
				return err
			}
			return inner.Delete(ctx, object, options...)
		},
		SubResourcePatch: func(ctx context.Context, inner client.Client, subResource string, object client.Object, patch client.Patch, options ...client.SubResourcePatchOption) error {
			if err := f.check("patch "+subResource, object); err != nil {
				return err
			}
			return inner.SubResource(subResource).Patch(ctx, object, patch, options...)
		},
	}
}

// makeNamespace makes a project with a name of its own.
func makeNamespace() string {
	GinkgoHelper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "shop-"}}
	Expect(k8s.Create(context.Background(), namespace)).To(Succeed())
	return namespace.Name
}

func create(objects ...client.Object) {
	GinkgoHelper()
	for _, object := range objects {
		Expect(k8s.Create(context.Background(), object)).To(Succeed())
	}
}

// edit changes an object as it is stored, as often as it takes.
func edit[T client.Object](object T, change func(T)) {
	GinkgoHelper()
	Eventually(func() error {
		if err := k8s.Get(context.Background(), client.ObjectKeyFromObject(object), object); err != nil {
			return err
		}
		change(object)
		return k8s.Update(context.Background(), object)
	}).Should(Succeed())
}

func fetch[T client.Object](g Gomega, object T) T {
	g.ExpectWithOffset(1, k8s.Get(context.Background(), client.ObjectKeyFromObject(object), object)).To(Succeed())
	return object
}

// datafileOf reads the ConfigMap that an environment serves.
func datafileOf(g Gomega, namespace, environment string) *corev1.ConfigMap {
	return fetch(g, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "flags-" + environment}})
}

// flagIn returns a flag of a native document as JSON sees it, and nil where it is not there.
func flagIn(g Gomega, configMap *corev1.ConfigMap, key string) map[string]any {
	var document struct {
		Flags map[string]map[string]any `json:"flags"`
	}
	native, err := ownership.Native(configMap)
	g.ExpectWithOffset(1, err).NotTo(HaveOccurred())
	g.ExpectWithOffset(1, json.Unmarshal(native, &document)).To(Succeed())
	return document.Flags[key]
}

// conditionOf returns the condition of a type, and an empty one where there is none.
func conditionOf(conditions []metav1.Condition, conditionType string) metav1.Condition {
	if condition := meta.FindStatusCondition(conditions, conditionType); condition != nil {
		return *condition
	}
	return metav1.Condition{}
}
