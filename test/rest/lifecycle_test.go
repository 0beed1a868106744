// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package rest_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/gexec"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8srest "k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/utils/clock"

	"github.com/jackstaff-dev/jackstaff/internal/replica/store"
	"github.com/jackstaff-dev/jackstaff/internal/server"
	"github.com/jackstaff-dev/jackstaff/internal/server/sdk"
)

var _ = Describe("A server that is told to stop", func() {
	It("finishes the requests in flight, ends its streams and takes no new ones", func() {
		s := newShop()
		datafiles := store.NewStore()
		Expect(datafiles.SetupWithManager(world.Manager)).To(Succeed())
		srv, err := server.New(world.Manager, server.Options{
			Address: "127.0.0.1:0", SessionKey: bytes.Repeat([]byte("k"), 32), Clock: clock.RealClock{},
		})
		Expect(err).NotTo(HaveOccurred())
		srv.Handle("/api/sdk/stream/", srv.Stream(sdk.NewHandler(datafiles, clock.RealClock{}, srv.LimitAddress)))
		arrived, release := make(chan struct{}), make(chan struct{})
		srv.Handle("/slow", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			close(arrived)
			<-release
			fmt.Fprint(w, "finished")
		}))
		ctx, stop := context.WithCancel(context.Background())
		defer stop()
		stopped := make(chan error, 1)
		go func() { stopped <- srv.Start(ctx) }()
		address, err := srv.Address(ctx)
		Expect(err).NotTo(HaveOccurred())
		base := "http://" + address.String()

		key := keyOf(s.staging, "server")
		var stream *http.Response
		Eventually(func(g Gomega) {
			stream, err = http.Get(base + "/api/sdk/stream/" + key)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(stream.StatusCode).To(Equal(http.StatusOK))
		}).Should(Succeed())
		defer stream.Body.Close()
		line, err := bufio.NewReader(stream.Body).ReadString('\n')
		Expect(err).NotTo(HaveOccurred())
		Expect(line).To(HavePrefix(": hello"))
		slow := make(chan string, 1)
		go func() {
			defer GinkgoRecover()
			answer, err := http.Get(base + "/slow")
			Expect(err).NotTo(HaveOccurred())
			defer answer.Body.Close()
			body, err := io.ReadAll(answer.Body)
			Expect(err).NotTo(HaveOccurred())
			slow <- string(body)
		}()
		Eventually(arrived).Should(BeClosed())

		stop()
		ended := make(chan struct{})
		go func() {
			_, _ = io.Copy(io.Discard, stream.Body)
			close(ended)
		}()
		Eventually(ended, "5s").Should(BeClosed())
		Eventually(func() error {
			connection, err := net.DialTimeout("tcp", address.String(), time.Second)
			if err == nil {
				_ = connection.Close()
			}
			return err
		}).Should(HaveOccurred())
		Consistently(stopped, "200ms").ShouldNot(Receive())
		close(release)
		Eventually(slow).Should(Receive(Equal("finished")))
		Eventually(stopped).Should(Receive(Succeed()))
	})
})

var _ = Describe("The manager's readiness", func() {
	It("waits for the caches, and so do the callers", func() {
		manager, err := gexec.Build("github.com/jackstaff-dev/jackstaff/cmd/manager")
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(gexec.CleanupBuildArtifacts)
		s := newShop()
		token := newPerson(s.namespace.Name, "viewer", "viewer", s.namespace.Name).token
		Expect(
			world.Admin.Create(context.Background(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "jackstaff-system"}}),
		).To(
			Succeed(),
		)
		for _, name := range []string{"jackstaff-session-key", "jackstaff-seal"} {
			Expect(world.Admin.Create(context.Background(), &corev1.Secret{
				ObjectMeta: metav1.ObjectMeta{Namespace: "jackstaff-system", Name: name},
			})).To(Succeed())
		}
		release := make(chan struct{})
		kubeconfig := gated("/featureflags", release)
		probes, api := freeAddress(), freeAddress()

		command := exec.Command(
			manager,
			"--controllers=false",
			"--leader-elect=false",
			"--metrics-bind-address=0",
			"--api-plain-http",
			"--cert-rotation=false",
			"--webhook-cert-dir="+GinkgoT().TempDir(),
			"--health-probe-bind-address="+probes,
			"--api-bind-address="+api,
		)
		command.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig)
		running, err := gexec.Start(command, GinkgoWriter, GinkgoWriter)
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(func() { running.Kill().Wait() })
		status := func(url string) int {
			request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, nil)
			Expect(err).NotTo(HaveOccurred())
			request.Header.Set("Authorization", "Bearer "+token)
			answer, err := http.DefaultClient.Do(request)
			if err != nil {
				return 0
			}
			_ = answer.Body.Close()
			return answer.StatusCode
		}
		Eventually(func() int { return status("http://" + probes + "/healthz") }).Should(Equal(http.StatusOK))
		Consistently(
			func() int { return status("http://" + probes + "/readyz") },
			"1s",
		).Should(
			Equal(http.StatusInternalServerError),
		)
		// An empty list would be a lie.
		Expect(status("http://" + api + s.avsb("/flags"))).To(Equal(0))
		close(release)
		Eventually(func() int { return status("http://" + probes + "/readyz") }).Should(Equal(http.StatusOK))
		Eventually(func() int { return status("http://" + api + s.avsb("/flags")) }).Should(Equal(http.StatusOK))
		running.Terminate()
		Eventually(running, "30s").Should(gexec.Exit(0))
	})
})

// gated is the kubeconfig of an administrator whose reads of a resource are held back until release is closed.
func gated(resource string, release <-chan struct{}) string {
	GinkgoHelper()
	transport, err := k8srest.TransportFor(world.Config)
	Expect(err).NotTo(HaveOccurred())
	target, err := url.Parse(world.Config.Host)
	Expect(err).NotTo(HaveOccurred())
	if target.Scheme == "" || target.Host == "" {
		target = &url.URL{Scheme: "https", Host: world.Config.Host}
	}
	proxy := &httputil.ReverseProxy{
		Transport: transport, FlushInterval: -1, Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Header.Del("Authorization")
		},
	}
	gate := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, resource) {
			select {
			case <-release:
			case <-r.Context().Done():
				return
			}
		}
		proxy.ServeHTTP(w, r)
	}))
	DeferCleanup(func() {
		gate.CloseClientConnections()
		gate.Close()
	})
	config := clientcmdapi.NewConfig()
	config.Clusters["gate"] = &clientcmdapi.Cluster{Server: gate.URL}
	config.AuthInfos["gate"] = &clientcmdapi.AuthInfo{}
	config.Contexts["gate"] = &clientcmdapi.Context{Cluster: "gate", AuthInfo: "gate"}
	config.CurrentContext = "gate"
	path := filepath.Join(GinkgoT().TempDir(), "kubeconfig")
	Expect(clientcmd.WriteToFile(*config, path)).To(Succeed())
	return path
}

// freeAddress is one on which nothing listens.
func freeAddress() string {
	GinkgoHelper()
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // It is closed at once.
	Expect(err).NotTo(HaveOccurred())
	defer listener.Close()
	return listener.Addr().String()
}
