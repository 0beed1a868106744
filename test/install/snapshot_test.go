// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build snapshot

package install_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/gbytes"
	"github.com/onsi/gomega/gexec"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
)

// A cluster's administrator restores a snapshot of etcd. What the running manager knows is from a future that never was.
var _ = Describe("An older snapshot of etcd that is restored under a running manager", func() {
	It("ends the manager with a clear line, and the next one publishes edits", func(ctx SpecContext) {
		etcd := &envtest.Etcd{DataDir: filepath.Join(GinkgoT().TempDir(), "etcd")}
		environment := &envtest.Environment{}
		environment.ControlPlane.Etcd = etcd
		apiServer := environment.ControlPlane.GetAPIServer()
		apiServer.CertDir = GinkgoT().TempDir()
		// It waits for so long until those go who watch.
		apiServer.Configure().Set("request-timeout", "5s")
		c := startControlPlaneOf(environment)
		c.install(slices.DeleteFunc(kustomize("config/default"), func(object *unstructured.Unstructured) bool {
			return object.GetKind() == "Deployment"
		}))
		Expect(c.admin.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}})).To(Succeed())

		flag := builders.MakeFlag("checkout", "shop").Boolean().Environment("production").Obj()
		production := builders.MakeEnvironment("production", "shop").Obj()
		says := func(text string) {
			GinkgoHelper()
			Eventually(func(g Gomega) {
				served := fetch(g, c, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "flags-production"}})
				g.Expect(served.Data["datafile.json"]).To(ContainSubstring(text))
			}).Should(Succeed())
		}
		describe := func(value string) {
			GinkgoHelper()
			edit(c, flag, func(flag *v1alpha1.FeatureFlag) { flag.Spec.Metadata = map[string]string{"edit": value} })
		}
		start := func() *gexec.Session {
			GinkgoHelper()
			return c.startManager("--leader-elect=false")
		}
		first := start()
		Eventually(func() error { return c.admin.Create(ctx, flag) }).Should(Succeed())
		Expect(c.admin.Create(ctx, production)).To(Succeed())
		says(`"checkout"`)
		first.Terminate().Wait()

		By("taking the snapshot, and publishing more after it")
		snapshot := filepath.Join(GinkgoT().TempDir(), "snapshot")
		stored := func(do func()) {
			GinkgoHelper()
			Expect(apiServer.Stop()).To(Succeed())
			Expect(etcd.Stop()).To(Succeed())
			do()
			Expect(etcd.Start()).To(Succeed())
			Expect(apiServer.Start()).To(Succeed())
			Eventually(
				func() error { return c.admin.List(context.Background(), &v1alpha1.FlagEnvironmentList{}) },
			).Should(
				Succeed(),
			)
		}
		stored(func() { Expect(os.CopyFS(snapshot, os.DirFS(etcd.DataDir))).To(Succeed()) })
		running := start()
		for _, value := range []string{"a", "b", "after-the-snapshot"} {
			describe(value)
			says(`"` + value + `"`)
		}

		By("restoring it")
		stored(func() {
			Expect(os.RemoveAll(etcd.DataDir)).To(Succeed())
			Expect(os.CopyFS(etcd.DataDir, os.DirFS(snapshot))).To(Succeed())
		})
		Eventually(running).Should(gexec.Exit())
		Expect(running.ExitCode()).NotTo(BeZero())
		Expect(running.Err).To(gbytes.Say("the API server's data went back from resource version"))
		start()
		describe("restored")
		says(`"restored"`)
	})
})
