// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	"context"
	"slices"
	"strconv"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/controllers"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/internal/compile"
	"github.com/jackstaff-dev/jackstaff/internal/history"
	"github.com/jackstaff-dev/jackstaff/internal/ownership"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
	"github.com/jackstaff-dev/jackstaff/sdk/flagd"
)

// switchOffByHand does what the command line does without the operator: it writes the served ConfigMap with a flag off.
func switchOffByHand(project, flag string) {
	GinkgoHelper()
	edit(datafileOf(Default, project, "production"), func(served *corev1.ConfigMap) {
		header, contents, err := datafile.Decode([]byte(served.Data[datafile.FileName]))
		Expect(err).NotTo(HaveOccurred())
		braked, definitions, _, err := compile.Brake(contents, []string{flag})
		Expect(err).NotTo(HaveOccurred())
		header.Revision++
		served.Data[datafile.FileName] = string(braked.Encode(header))
		served.Data[flagd.FileName] = string(flagd.Encode(header, definitions))
		delete(served.Annotations, v1alpha1.SealAnnotation)
		served.Annotations[v1alpha1.RevisionAnnotation] = strconv.FormatInt(header.Revision, 10)
		served.Annotations[v1alpha1.DigestAnnotation] = braked.Digest(definitions)
		served.Annotations[v1alpha1.BreakGlassAnnotation] = ownership.BreakGlass{
			Actor: "alice@example.com", At: time.Date(2027, 1, 1, 9, 0, 0, 0, time.UTC),
		}.String()
	})
}

// On call has switched a broken flag off while the operator was away. An operator that comes back and switches it on
// again, or that says that all is served as wanted, is worse than none.
var _ = Describe("Break glass", func() {
	var project string
	var environment *v1alpha1.FlagEnvironment
	ctx := context.Background()
	start := func(guarded bool) *operator {
		GinkgoHelper()
		return startOperatorWith(rest.CopyConfig(restConfig), controllers.Options{
			Seal:    ownership.NewSeal([]byte("an operator's key of at least 32 bytes")),
			Guarded: func(context.Context) (bool, error) { return guarded, nil },
		})
	}
	published := func(g Gomega) metav1.Condition {
		return conditionOf(fetch(g, environment).Status.Conditions, v1alpha1.PublishedCondition)
	}
	// begin serves two flags, then stops the operator.
	begin := func(guarded bool) {
		GinkgoHelper()
		operator := start(guarded)
		create(environment, onFlag("checkout", project), onFlag("search", project))
		Eventually(func(g Gomega) {
			isServed(g, project, "production", "checkout", true)
			isServed(g, project, "production", "search", true)
			g.Expect(published(g).Status).To(Equal(metav1.ConditionTrue))
		}).Should(Succeed())
		operator.stop()
	}
	BeforeEach(func() {
		project = makeNamespace()
		environment = builders.MakeEnvironment("production", project).Obj()
	})

	It("stays as it is when the operator is back, says who and when, and goes on from there once it is ended", func() {
		begin(true)
		switchOffByHand(project, "checkout")
		setEnabled("search", project, false)
		written := datafileOf(Default, project, "production")
		start(true)
		Eventually(func(g Gomega) {
			condition := published(g)
			g.Expect(condition.Reason).To(Equal(v1alpha1.BreakGlassReason))
			g.Expect(condition.Message).To(And(ContainSubstring("alice@example.com"), ContainSubstring("2027-01-01T09:00:00Z")))
			g.Expect(environment.Status.State).To(Equal(v1alpha1.PublishStateBreakGlass))
			for _, name := range []string{"checkout", "search"} {
				flag := fetch(g, onFlag(name, project))
				g.Expect(conditionOf(flag.Status.Conditions, v1alpha1.PublishedCondition).Reason).
					To(Equal(v1alpha1.BreakGlassReason))
			}
			g.Expect(fetch(g, onFlag("checkout", project)).Status.Summary).To(Equal("production=off→on (break glass)"))
		}).Should(Succeed())

		By("being edited, pinned and asked to publish")
		setEnabled("checkout", project, true)
		edit(environment, func(environment *v1alpha1.FlagEnvironment) {
			environment.Spec.Publish.Revision = new(int64(1))
			metav1.SetMetaDataAnnotation(&environment.ObjectMeta, v1alpha1.PublishRequestedAtAnnotation, "2027-01-01T10:00:00Z")
		})
		Eventually(func(g Gomega) {
			g.Expect(fetch(g, environment).Status.ObservedGeneration).To(Equal(environment.Generation))
		}).Should(Succeed())
		Expect(datafileOf(Default, project, "production").ResourceVersion).To(Equal(written.ResourceVersion))

		By("freezing, then ending it")
		edit(environment, func(environment *v1alpha1.FlagEnvironment) {
			environment.Spec.Publish.Revision, environment.Spec.Publish.Suspend = nil, true
		})
		edit(written, func(served *corev1.ConfigMap) { delete(served.Annotations, v1alpha1.BreakGlassAnnotation) })
		Eventually(func(g Gomega) {
			g.Expect(published(g).Reason).To(Equal(v1alpha1.SuspendedReason))
			g.Expect(environment.Status.State).To(Equal(v1alpha1.PublishStateFrozen))
			served := datafileOf(g, project, "production")
			g.Expect(served.Annotations).To(HaveKey(v1alpha1.SealAnnotation))
			g.Expect(served.Data).To(Equal(written.Data), "ending it switches nothing on by itself")
		}).Should(Succeed())

		By("thawing")
		edit(environment, func(environment *v1alpha1.FlagEnvironment) { environment.Spec.Publish.Suspend = false })
		Eventually(func(g Gomega) {
			isServed(g, project, "production", "checkout", true)
			isServed(g, project, "production", "search", false)
			g.Expect(revisionOf(g, project, "production")).To(BeNumerically(">", ownership.RevisionOf(written)))
			g.Expect(published(g).Status).To(Equal(metav1.ConditionTrue))
		}).Should(Succeed())
	})

	It("is restored and named where no policy kept others from writing it", func() {
		begin(false)
		switchOffByHand(project, "checkout")
		start(false)
		Eventually(func(g Gomega) {
			isServed(g, project, "production", "checkout", true)
			sealed := conditionOf(fetch(g, environment).Status.Conditions, v1alpha1.SealedCondition)
			g.Expect(sealed.Reason).To(Equal(v1alpha1.TamperedReason))
			g.Expect(sealed.Message).To(ContainSubstring(ownership.PolicyName))
			g.Expect(datafileOf(g, project, "production").Annotations).NotTo(HaveKey(v1alpha1.BreakGlassAnnotation))
		}).Should(Succeed())
	})

	It("is restored, and goes on, where somebody deletes or breaks its file", func() {
		begin(true)
		switchOffByHand(project, "checkout")
		isBreakGlass := func() {
			GinkgoHelper()
			Eventually(func(g Gomega) {
				served := datafileOf(g, project, "production")
				g.Expect(flagIn(g, served, "checkout")).To(HaveKeyWithValue("enabled", false))
				mark, is := ownership.BreakGlassOf(served)
				g.Expect(is).To(BeTrue())
				g.Expect(mark.Actor).To(Equal("alice@example.com"))
				g.Expect(published(g).Reason).To(Equal(v1alpha1.BreakGlassReason))
			}).Should(Succeed())
		}
		operator := start(true)
		isBreakGlass()
		Expect(k8s.Delete(ctx, datafileOf(Default, project, "production"))).To(Succeed())
		isBreakGlass()

		By("being edited")
		edit(datafileOf(Default, project, "production"), func(served *corev1.ConfigMap) {
			served.Data[datafile.FileName] = "{}"
		})
		isBreakGlass()

		By("being deleted while no operator is there")
		operator.stop()
		Expect(k8s.Delete(ctx, datafileOf(Default, project, "production"))).To(Succeed())
		start(true)
		isBreakGlass()
	})

	It("is recorded, as its end is, with who, when and what", func() {
		begin(true)
		switchOffByHand(project, "checkout")
		start(true)
		recorded := func(action, actor, summary string, at time.Time) v1alpha1.FlagChange {
			GinkgoHelper()
			var found v1alpha1.FlagChange
			Eventually(func(g Gomega) {
				list := &v1alpha1.FlagChangeList{}
				g.Expect(k8s.List(ctx, list, client.InNamespace(project))).To(Succeed())
				is := slices.IndexFunc(list.Items, func(c v1alpha1.FlagChange) bool { return c.Spec.Action == action })
				g.Expect(is).NotTo(Equal(-1), "no record of %s", action)
				found = list.Items[is]
				g.Expect(found.Spec.Actor.Name).To(Equal(actor))
				g.Expect(found.Spec.Summary).To(Equal(summary))
				g.Expect(found.Spec.Time.Time).To(BeTemporally("==", at))
				g.Expect(found.Spec.Object.Name).To(Equal("production"))
			}).Should(Succeed())
			return found
		}
		at := time.Date(2027, 1, 1, 9, 0, 0, 0, time.UTC)
		change := recorded("environment.break_glass", "alice@example.com", "break glass: checkout off", at)
		served := datafileOf(Default, project, "production")
		kept := &corev1.ConfigMap{}
		key := client.ObjectKey{Namespace: project, Name: environment.HistoryName(ownership.RevisionOf(served))}
		Expect(k8s.Get(ctx, key, kept)).To(Succeed())
		brought := history.DecodeBrought(kept.Annotations[v1alpha1.BroughtAnnotation])
		Expect(brought).To(HaveKeyWithValue("FlagEnvironment/production", ConsistOf(change.Name)))

		By("ending it")
		at = at.Add(time.Hour)
		edit(served, func(served *corev1.ConfigMap) {
			served.Annotations[v1alpha1.BreakGlassAnnotation] = ownership.BreakGlass{Actor: "bob", At: at}.Ended()
		})
		recorded("environment.break_glass_ended", "bob", "break glass ended", at)
		Eventually(func(g Gomega) {
			isServed(g, project, "production", "checkout", true)
			g.Expect(datafileOf(g, project, "production").Annotations).NotTo(HaveKey(v1alpha1.BreakGlassAnnotation))
		}).Should(Succeed())
	})
})
