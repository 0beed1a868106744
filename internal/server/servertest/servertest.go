// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package servertest runs everything that a view stands on for the view's tests: an API server with the Kinds, the
// webhooks, the controllers and the REST server, and people with roles who call it.
package servertest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8sruntime "k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	k8srest "k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	ctrlwebhook "sigs.k8s.io/controller-runtime/pkg/webhook"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/controllers"
	"github.com/jackstaff-dev/jackstaff/internal/compile"
	"github.com/jackstaff-dev/jackstaff/internal/decode"
	"github.com/jackstaff-dev/jackstaff/internal/index"
	"github.com/jackstaff-dev/jackstaff/internal/server"
	"github.com/jackstaff-dev/jackstaff/webhook"
)

// World is what a suite runs on.
type World struct {
	// Admin is an administrator's client, which reads live.
	Admin client.Client
	// Config reaches the API server as an administrator.
	Config *k8srest.Config
	// URL is where the REST server listens, without a slash at its end.
	URL string
	// Manager is the running manager.
	Manager ctrl.Manager
	// Server is the running REST server.
	Server *server.Server
}

// Start runs the world until the suite ends. Mount adds the views that the suite is about.
func Start(options server.Options, mount func(mgr ctrl.Manager, srv *server.Server) error) *World {
	GinkgoHelper()
	ctrl.SetLogger(zap.New(zap.WriteTo(GinkgoWriter), zap.UseDevMode(true)))
	SetDefaultEventuallyTimeout(time.Minute)
	SetDefaultEventuallyPollingInterval(20 * time.Millisecond)
	root := repository()
	scheme := k8sruntime.NewScheme()
	Expect(clientgoscheme.AddToScheme(scheme)).To(Succeed())
	Expect(v1alpha1.AddToScheme(scheme)).To(Succeed())
	environment := &envtest.Environment{
		CRDDirectoryPaths:     []string{filepath.Join(root, "config", "crd", "bases")},
		ErrorIfCRDPathMissing: true,
		WebhookInstallOptions: envtest.WebhookInstallOptions{
			Paths: []string{filepath.Join(root, "config", "webhook", "manifests.yaml")},
		},
	}
	restConfig, err := environment.Start()
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(environment.Stop)
	restConfig.QPS = -1
	world := &World{Config: restConfig}
	world.Admin, err = client.New(restConfig, client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())

	webhooks := environment.WebhookInstallOptions
	// As the manager's own program has it: an object that does not fit its type is read as far as it does.
	tolerant := k8srest.CopyConfig(restConfig)
	decode.Tolerate(tolerant)
	world.Manager, err = ctrl.NewManager(tolerant, ctrl.Options{
		Scheme:     scheme,
		Cache:      controllers.CacheOptions(),
		Client:     controllers.ClientOptions(),
		Metrics:    metricsserver.Options{BindAddress: "0"},
		Controller: config.Controller{SkipNameValidation: new(true)},
		WebhookServer: ctrlwebhook.NewServer(ctrlwebhook.Options{
			Host: webhooks.LocalServingHost, Port: webhooks.LocalServingPort, CertDir: webhooks.LocalServingCertDir,
		}),
	})
	Expect(err).NotTo(HaveOccurred())
	ctx, cancel := context.WithCancel(context.Background())
	Expect(index.Setup(ctx, world.Manager.GetFieldIndexer())).To(Succeed())
	Expect(controllers.Setup(world.Manager, controllers.Options{SettleStatus: -1})).To(Succeed())
	Expect(webhook.Setup(world.Manager, compile.FlagdCompatible)).To(Succeed())
	options.Address, options.SessionKey, options.Clock = "127.0.0.1:0", bytes.Repeat([]byte("k"), 32), clock.RealClock{}
	world.Server, err = server.New(world.Manager, options)
	Expect(err).NotTo(HaveOccurred())
	Expect(mount(world.Manager, world.Server)).To(Succeed())
	Expect(world.Manager.Add(world.Server)).To(Succeed())

	done := make(chan error, 1)
	go func() { done <- world.Manager.Start(ctx) }()
	DeferCleanup(func() {
		cancel()
		Eventually(done).Should(Receive(Succeed()))
	})
	address, err := world.Server.Address(ctx)
	Expect(err).NotTo(HaveOccurred())
	world.URL = "http://" + address.String()
	Expect(world.Manager.GetCache().WaitForCacheSync(ctx)).To(BeTrue())
	Eventually(func() error {
		connection, err := (&net.Dialer{}).DialContext(
			ctx,
			"tcp",
			net.JoinHostPort(webhooks.LocalServingHost, strconv.Itoa(webhooks.LocalServingPort)),
		)
		if err == nil {
			err = connection.Close()
		}
		return err
	}).Should(Succeed())
	return world
}

// repository is the folder that holds the whole repository: the nearest one above the test's own that has a PROJECT
// file.
func repository() string {
	folder, err := os.Getwd()
	Expect(err).NotTo(HaveOccurred())
	for {
		if _, err := os.Stat(filepath.Join(folder, "PROJECT")); err == nil {
			return folder
		}
		parent := filepath.Dir(folder)
		Expect(parent).NotTo(Equal(folder), "there is no repository above the test")
		folder = parent
	}
}

// Project makes a namespace with a name of its own.
func (w *World) Project() *corev1.Namespace {
	GinkgoHelper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "shop-"}}
	Expect(w.Admin.Create(context.Background(), namespace)).To(Succeed())
	return namespace
}

// Create creates objects of the four Kinds as an administrator and waits until the caches have them.
func (w *World) Create(objects ...client.Object) {
	GinkgoHelper()
	for _, object := range objects {
		Expect(w.Admin.Create(context.Background(), object)).To(Succeed(), fmt.Sprintf("%T %s", object, object.GetName()))
		Eventually(func() error {
			return w.Manager.GetCache().Get(
				context.Background(),
				client.ObjectKeyFromObject(object),
				object.DeepCopyObject().(client.Object),
			)
		}).Should(Succeed())
	}
}

// Verbs that the rules of Token allow.
var (
	Read  = []string{"get", "list", "watch"}
	Write = []string{"create", "update", "patch", "delete"}
)

// Token returns the token of a new service account of a namespace that may do verbs with the Kinds in that namespace.
func (w *World) Token(namespace, name string, verbs ...string) string {
	GinkgoHelper()
	ctx := context.Background()
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	Expect(client.IgnoreAlreadyExists(w.Admin.Create(ctx, account))).To(Succeed())
	if len(verbs) > 0 {
		role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Rules: []rbacv1.PolicyRule{{
			APIGroups: []string{v1alpha1.GroupVersion.Group}, Resources: []string{rbacv1.ResourceAll}, Verbs: verbs,
		}}}
		binding := &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name},
			Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: name}},
		}
		Expect(w.Admin.Create(ctx, role)).To(Succeed())
		Expect(w.Admin.Create(ctx, binding)).To(Succeed())
		// The API server takes a moment to know it.
		Eventually(func(g Gomega) {
			review := &authorizationv1.LocalSubjectAccessReview{
				ObjectMeta: metav1.ObjectMeta{Namespace: namespace},
				Spec: authorizationv1.SubjectAccessReviewSpec{
					User: "system:serviceaccount:" + namespace + ":" + name,
					ResourceAttributes: &authorizationv1.ResourceAttributes{
						Namespace: namespace, Verb: verbs[0], Group: v1alpha1.GroupVersion.Group, Resource: server.Flags,
					},
				},
			}
			g.Expect(w.Admin.Create(ctx, review)).To(Succeed())
			g.Expect(review.Status.Allowed).To(BeTrue())
		}).Should(Succeed())
	}
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: new(int64(3600))}}
	Expect(w.Admin.SubResource("token").Create(ctx, account, request)).To(Succeed())
	return request.Status.Token
}

// Editor is the token of somebody who may do everything with the Kinds in a namespace, publish included.
func (w *World) Editor(namespace string) string {
	GinkgoHelper()
	return w.Token(namespace, "editor", rbacv1.VerbAll)
}

// Answer is what a request was answered with.
type Answer struct {
	// Status is the HTTP status.
	Status int
	// Header is the header.
	Header http.Header
	// Body is the body as it came, and JSON the same decoded where it is JSON.
	Body []byte
	JSON any
}

// Call makes a request with a token and a body, which is JSON text or nil; headers are pairs of names and values.
func (w *World) Call(token, method, path string, body any, headers ...string) *Answer {
	GinkgoHelper()
	var reader io.Reader
	switch body := body.(type) {
	case nil:
	case string:
		reader = strings.NewReader(body)
	default:
		data, err := json.Marshal(body)
		Expect(err).NotTo(HaveOccurred())
		reader = bytes.NewReader(data)
	}
	request, err := http.NewRequestWithContext(context.Background(), method, w.URL+path, reader)
	Expect(err).NotTo(HaveOccurred())
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		if strings.HasPrefix(headers[i], "If-") {
			request.Header.Add(headers[i], headers[i+1]) // One that is there twice makes two lines.
			continue
		}
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	Expect(err).NotTo(HaveOccurred())
	defer response.Body.Close()
	answer := &Answer{Status: response.StatusCode, Header: response.Header}
	answer.Body, err = io.ReadAll(response.Body)
	Expect(err).NotTo(HaveOccurred())
	if strings.Contains(response.Header.Get("Content-Type"), "json") && len(answer.Body) > 0 {
		Expect(json.Unmarshal(answer.Body, &answer.JSON)).To(Succeed(), string(answer.Body))
	}
	return answer
}
