// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package install_test

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/controllers"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/internal/cli"
	"github.com/jackstaff-dev/jackstaff/internal/compile"
	"github.com/jackstaff-dev/jackstaff/internal/ownership"
	"github.com/jackstaff-dev/jackstaff/internal/publish"
	"github.com/jackstaff-dev/jackstaff/internal/replica/store"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// The API server asks a webhook that nobody answers, as after the operator's pods are gone, and the policy on datafiles is
// in force.
var _ = Describe("The command line while the operator is away", Ordered, func() {
	var c *controlPlane
	ctx := context.Background()
	production := types.NamespacedName{Namespace: "shop", Name: "production"}

	run := func(user string, arguments ...string) (code int, out string) {
		GinkgoHelper()
		var printed bytes.Buffer
		app := &cli.App{
			Streams: genericiooptions.IOStreams{
				In:     strings.NewReader(""),
				Out:    &printed,
				ErrOut: &printed,
			},
			Clock: clock.RealClock{},
		}
		arguments = append(
			append([]string{"jackstaff"}, arguments...),
			"-n",
			"shop",
			"--as",
			user,
			"--kubeconfig",
			c.kubeconfig,
		)
		code = app.Run(ctx, arguments)
		return code, printed.String()
	}
	served := func() *corev1.ConfigMap {
		GinkgoHelper()
		found := &corev1.ConfigMap{}
		Expect(c.admin.Get(ctx, types.NamespacedName{Namespace: "shop", Name: "flags-production"}, found)).To(Succeed())
		return found
	}
	environment := func() *v1alpha1.FlagEnvironment {
		GinkgoHelper()
		found := &v1alpha1.FlagEnvironment{}
		Expect(c.admin.Get(ctx, production, found)).To(Succeed())
		return found
	}

	judged := func() (*ownership.Datafile, error) {
		GinkgoHelper()
		mark, _ := ownership.BreakGlassOf(served())
		return ownership.JudgeBreakGlass(environment(), served(), mark, true, nil)
	}

	BeforeAll(func() {
		c = startControlPlane()
		objects := kustomize("config/default")
		isWebhook := func(object *unstructured.Unstructured) bool {
			return strings.HasSuffix(object.GetKind(), "WebhookConfiguration")
		}
		c.install(slices.DeleteFunc(slices.Clone(objects), func(object *unstructured.Unstructured) bool {
			return isWebhook(object) || object.GetKind() == "Deployment"
		}))
		Expect(c.admin.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}})).To(Succeed())

		By("publishing two revisions, before the operator goes")
		flag := builders.MakeFlag("checkout", "shop").Boolean().Key("new/checkout").Environment("production").Obj()
		Expect(c.admin.Create(ctx, flag)).To(Succeed())
		Expect(c.admin.Create(ctx, builders.MakeEnvironment("production", "shop").Obj())).To(Succeed())
		publisher := &publish.Publisher{Client: c.admin, Metadata: c.admin, Clock: clock.RealClock{}}
		last := &publish.Served{}
		for _, variation := range []string{"off", "on"} {
			flag.Spec.Environments[0].Enabled, flag.Spec.Environments[0].DefaultVariation = true, variation
			Expect(c.admin.Update(ctx, flag)).To(Succeed())
			compiled := compile.NewEnvironment("production", nil)
			compiled.SetFlag(flag)
			compiled.Compile()
			content := publish.Content{Contents: compiled.Contents(), Flagd: compiled.Flagd(), Document: compiled.Document}
			published := environment()
			var err error
			last, err = publisher.Publish(ctx, published, content, last)
			Expect(err).NotTo(HaveOccurred())
			published.Status.PublishedRevision, published.Status.PublishedDigest = last.Revision, last.Digest
			Expect(c.admin.Status().Update(ctx, published)).To(Succeed())
		}
		keys := served()
		keys.Annotations[v1alpha1.SDKKeysAnnotation] = "sealed"
		keys.Annotations[v1alpha1.SealAnnotation] = "sealed"
		Expect(c.admin.Update(ctx, keys)).To(Succeed())

		rules := []rbacv1.PolicyRule{
			{
				APIGroups: []string{"flags.jackstaff.dev"},
				Resources: []string{"*"},
				Verbs:     []string{"get", "list", "update", "patch"},
			},
			{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"get", "list", "update", "patch"}},
		}
		c.actAs("editor", "shop", rules...)
		c.actAs("on-call", "shop", append(rules, rbacv1.PolicyRule{
			APIGroups: []string{"flags.jackstaff.dev"}, Resources: []string{"flagenvironments"}, Verbs: []string{"publish"},
		})...)
		c.install(slices.DeleteFunc(objects, func(object *unstructured.Unstructured) bool { return !isWebhook(object) }))
		Eventually(func() string {
			_, out := run("on-call", "toggle", "checkout", "-e", "production", "--off", "--dry-run")
			return out
		}).Should(ContainSubstring("admission does not answer"))
	})

	It("says that admission does not answer, and what there is", func() {
		code, out := run("on-call", "toggle", "checkout", "-e", "production", "--off")
		Expect(code).To(Equal(1))
		Expect(out).To(And(ContainSubstring("connection refused"), ContainSubstring("--break-glass")))
		Expect(strings.Count(out, "\n")).To(Equal(1))
	})

	It("switches a flag off in what is served, in the name of whoever does so", func() {
		code, out := run("editor", "toggle", "new/checkout", "-e", "production", "--off", "--break-glass")
		Expect(code).To(Equal(1), out)
		Expect(out).To(ContainSubstring("the verb publish"))
		code, out = run("on-call", "toggle", "checkout", "-e", "production", "--on", "--break-glass")
		Expect(code).To(Equal(2), out)

		before := served()
		code, out = run("on-call", "toggle", "new/checkout", "-e", "production", "--off", "--break-glass", "--dry-run")
		Expect(code).To(BeZero(), out)
		Expect(served().ResourceVersion).To(Equal(before.ResourceVersion))
		code, out = run("on-call", "toggle", "new/checkout", "-e", "production", "--off", "--break-glass")
		Expect(code).To(BeZero(), out)
		Expect(out).To(ContainSubstring("as revision 3, served without the operator"))
		mark, is := ownership.BreakGlassOf(served())
		Expect(is).To(BeTrue())
		Expect(mark.Actor).To(Equal("on-call"))
		Expect(served().Annotations).To(HaveKeyWithValue(v1alpha1.SDKKeysAnnotation, "sealed"), "workloads keep their keys")
		Expect(served().Annotations).NotTo(HaveKey(v1alpha1.SealAnnotation))
		read, err := judged()
		Expect(err).NotTo(HaveOccurred(), "the operator believes it when it is back")
		Expect(compile.IsOn(read.Contents, "new/checkout")).To(BeFalse())
		Expect(served().Data["flagd.json"]).NotTo(Equal(before.Data["flagd.json"]), "flagd's clients get it, too")
	})

	It("reaches OFREP and SDKs by a server that starts while there is no leader", func() {
		config := rest.CopyConfig(c.config)
		mgr, err := ctrl.NewManager(config, ctrl.Options{
			Scheme: scheme, Cache: controllers.CacheOptions(), Client: controllers.ClientOptions(),
			Metrics:        metricsserver.Options{BindAddress: "0"},
			LeaderElection: true, LeaderElectionID: "never-elected", LeaderElectionNamespace: "no-such-namespace",
		})
		Expect(err).NotTo(HaveOccurred())
		datafiles := store.NewStore()
		datafiles.Seal = ownership.NewSeal([]byte("an operator's key of at least 32 bytes"))
		Expect(datafiles.SetupWithManager(mgr)).To(Succeed())
		running, stop := context.WithCancel(ctx)
		done := make(chan error, 1)
		go func() { done <- mgr.Start(running) }()
		DeferCleanup(func() {
			stop()
			Eventually(done).Should(Receive(Succeed()))
		})
		Eventually(func(g Gomega) {
			held, found := datafiles.Environment("shop", "production")
			g.Expect(found).To(BeTrue())
			g.Expect(held.Revision().Number).To(BeEquivalentTo(3), "else it has no flag, or the broken one on")
		}).Should(Succeed())
	})

	It("serves an older revision again", func() {
		code, out := run("on-call", "rollback", "production", "--to", "1", "--break-glass")
		Expect(code).To(Equal(1), out)
		Expect(out).To(ContainSubstring("would switch on new/checkout"))
		code, out = run("on-call", "rollback", "production", "--to", "1", "--break-glass", "--yes")
		Expect(code).To(BeZero(), out)
		Expect(out).To(ContainSubstring("production serves revision 1 again, as revision 4 and without the operator"))
		read, err := judged()
		Expect(err).NotTo(HaveOccurred())
		Expect(compile.IsOn(read.Contents, "new/checkout")).To(BeTrue())
	})

	It("shows what the operator would serve before it ends", func() {
		code, out := run("on-call", "break-glass", "end", "production")
		Expect(code).To(Equal(1), out)
		Expect(out).To(ContainSubstring("the operator has not taken over revision 4"), "it would lose the revision")
		_, is := ownership.BreakGlassOf(served())
		Expect(is).To(BeTrue())

		By("writing what the operator reports when it is back")
		seen := environment()
		seen.Status.State, seen.Status.PublishedRevision = v1alpha1.PublishStateBreakGlass, 4
		Expect(c.admin.Status().Update(ctx, seen)).To(Succeed())
		code, out = run("on-call", "break-glass", "end", "production")
		Expect(code).To(BeZero(), out)
		Expect(
			out,
		).To(
			MatchRegexp(
				`on-call served revision 4 without the operator \d+s ago; after that\n  new/checkout changes: 100 % of subjects move from off to on\n`,
			),
		)
		_, is = ownership.BreakGlassOf(served())
		Expect(is).To(BeFalse())
		code, out = run("on-call", "break-glass", "end", "production")
		Expect(code).To(Equal(1), out)
		Expect(out).To(ContainSubstring("there is no break glass to end"))
	})

	It("works from what is served alone where the Kinds and their objects are gone", func() {
		for _, plural := range []string{"featureflags", "flagenvironments"} {
			kind := &unstructured.Unstructured{}
			kind.SetGroupVersionKind(schema.GroupVersionKind{
				Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition",
			})
			kind.SetName(plural + ".flags.jackstaff.dev")
			Expect(c.admin.Delete(ctx, kind)).To(Succeed())
			Eventually(func() bool {
				return apierrors.IsNotFound(c.admin.Get(ctx, client.ObjectKeyFromObject(kind), kind))
			}).WithTimeout(30 * time.Second).Should(BeTrue())
		}
		code, out := run("on-call", "toggle", "new/chekout", "-e", "production", "--off", "--break-glass")
		Expect(code).To(Equal(1), out)
		Expect(out).To(ContainSubstring("new/checkout"), "the nearest key of what is served")
		code, out = run("on-call", "toggle", "new/checkout", "-e", "production", "--off", "--break-glass")
		Expect(code).To(BeZero(), out)
		_, contents, err := datafile.Decode([]byte(served().Data[datafile.FileName]))
		Expect(err).NotTo(HaveOccurred())
		Expect(compile.IsOn(contents, "new/checkout")).To(BeFalse())
		Expect(served().Data).To(HaveKey("flagd.json"))
		code, out = run("on-call", "rollback", "production", "--to", "2", "--break-glass", "--yes")
		Expect(code).To(BeZero(), out)
		code, out = run("on-call", "toggle", "new/checkout", "-e", "staging", "--off", "--break-glass")
		Expect(code).To(Equal(1), out)
	})
})
