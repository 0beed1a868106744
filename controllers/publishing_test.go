// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	"context"
	"fmt"
	"strconv"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
)

// isServed asserts that the environment serves a flag as enabled or not, in both files, that both statuses say so, and
// that the first SDK keys are there, so that no write is to follow.
func isServed(g Gomega, namespace, environment, key string, enabled bool) {
	configMap := datafileOf(g, namespace, environment)
	g.ExpectWithOffset(1, flagIn(g, configMap, key)).To(HaveKeyWithValue("enabled", enabled))
	variant := `"` + key + `":{"defaultVariant":"off"`
	if enabled {
		variant = `"` + key + `":{"defaultVariant":"on"`
	}
	g.ExpectWithOffset(1, configMap.Data["flagd.json"]).To(ContainSubstring(variant))
	g.ExpectWithOffset(1, configMap.Annotations).To(HaveKey(v1alpha1.SDKKeysAnnotation))
	status := fetch(g, builders.MakeEnvironment(environment, namespace).Obj()).Status
	g.ExpectWithOffset(
		1,
		strconv.FormatInt(status.PublishedRevision, 10),
	).To(
		Equal(configMap.Annotations[v1alpha1.RevisionAnnotation]),
	)
	g.ExpectWithOffset(1, status.PublishedDigest).To(Equal(configMap.Annotations[v1alpha1.DigestAnnotation]))
	g.ExpectWithOffset(
		1,
		conditionOf(status.Conditions, v1alpha1.PublishedCondition).Status,
	).To(
		Equal(metav1.ConditionTrue),
	)
}

// onFlag is a flag that serves on to everybody in production.
func onFlag(name, namespace string) *v1alpha1.FeatureFlag {
	return builders.MakeFlag(name, namespace).Boolean().Environment("production").Fallthrough("on").Obj()
}

func revisionOf(g Gomega, namespace, environment string) int64 {
	revision, err := strconv.ParseInt(
		datafileOf(g, namespace, environment).Annotations[v1alpha1.RevisionAnnotation],
		10,
		64,
	)
	g.ExpectWithOffset(1, err).NotTo(HaveOccurred())
	return revision
}

var _ = Describe("Publishing", func() {
	var namespace string
	ctx := context.Background()

	BeforeEach(func() { namespace = makeNamespace() })

	It("publishes a flag and every edit of it, and says when the edit is served", func() {
		startOperator()
		create(builders.MakeEnvironment("production", namespace).Obj(), onFlag("checkout", namespace))
		Eventually(func(g Gomega) { isServed(g, namespace, "production", "checkout", true) }).Should(Succeed())

		By("switching the flag off")
		flag := onFlag("checkout", namespace)
		edit(flag, func(flag *v1alpha1.FeatureFlag) { flag.Spec.Environments[0].Enabled = false })
		Eventually(
			func(g Gomega) { isServed(g, namespace, "production", "checkout", false) },
		).WithTimeout(
			time.Second,
		).Should(
			Succeed(),
		)
		Eventually(func(g Gomega) {
			status := fetch(g, flag).Status
			published := conditionOf(status.Conditions, v1alpha1.PublishedCondition)
			g.Expect(published.Status).To(Equal(metav1.ConditionTrue))
			g.Expect(published.ObservedGeneration).To(Equal(flag.Generation))
			g.Expect(status.Phase).To(Equal(v1alpha1.PhaseInactive))
			g.Expect(status.Summary).To(Equal("production=off"))
			g.Expect(status.Environments).To(HaveExactElements(And(
				HaveField(
					"State",
					v1alpha1.ServingStateServed,
				),
				HaveField("Served.Revision", revisionOf(g, namespace, "production")),
			)))
			g.Expect(conditionOf(status.Conditions, v1alpha1.ReadyCondition).Status).To(Equal(metav1.ConditionTrue))
		}).Should(Succeed())
	})

	It("publishes an empty datafile for an environment without flags, so that workloads can start", func() {
		startOperator()
		create(builders.MakeEnvironment("production", namespace).Obj())
		Eventually(func(g Gomega) {
			g.Expect(datafileOf(g, namespace, "production").Data["datafile.json"]).To(Equal(
				`{"audiences":{},"environment":"production","events":{},"flags":{},"project":"` + namespace + `","revision":1,"schemaVersion":"1.0"}`,
			))
		}).Should(Succeed())
	})

	It("keeps the annotation that turns a flag off stronger than its spec", func() {
		startOperator()
		flag := onFlag("checkout", namespace)
		create(builders.MakeEnvironment("production", namespace).Obj(), flag)
		Eventually(func(g Gomega) { isServed(g, namespace, "production", "checkout", true) }).Should(Succeed())
		edit(flag, func(flag *v1alpha1.FeatureFlag) {
			metav1.SetMetaDataAnnotation(&flag.ObjectMeta, v1alpha1.ForceDisabledAnnotation, "production")
		})
		Eventually(func(g Gomega) {
			isServed(g, namespace, "production", "checkout", false)
			g.Expect(
				fetch(g, flag).Status.Environments,
			).To(
				HaveExactElements(And(HaveField("Wanted.Enabled", false), HaveField("Wanted.ForceDisabled", true))),
			)
		}).Should(Succeed())
	})

	It("makes nothing new of an unchanged set of flags, even when it restarts", func() {
		operator := startOperator()
		create(builders.MakeEnvironment("production", namespace).Obj(), onFlag("checkout", namespace))
		Eventually(func(g Gomega) { isServed(g, namespace, "production", "checkout", true) }).Should(Succeed())
		before := datafileOf(Default, namespace, "production")
		edit(onFlag("checkout", namespace), func(flag *v1alpha1.FeatureFlag) { flag.Spec.Description = "not published" })
		Eventually(func(g Gomega) {
			g.Expect(fetch(g, onFlag("checkout", namespace)).Status.ObservedGeneration).To(BeEquivalentTo(2))
		}).Should(Succeed())
		operator.stop()
		startOperator()
		edit(
			builders.MakeEnvironment("production", namespace).Obj(),
			func(environment *v1alpha1.FlagEnvironment) { environment.Spec.DisplayName = "Production" },
		)
		Eventually(func(g Gomega) {
			g.Expect(
				fetch(g, builders.MakeEnvironment("production", namespace).Obj()).Status.ObservedGeneration,
			).To(
				BeEquivalentTo(2),
			)
		}).Should(Succeed())
		Expect(datafileOf(Default, namespace, "production").ResourceVersion).To(Equal(before.ResourceVersion))
	})

	It("gathers a burst of edits into few revisions, the last edit in the last one", func() {
		startOperator()
		create(builders.MakeEnvironment("production", namespace).Obj(), onFlag("checkout", namespace))
		Eventually(func(g Gomega) { isServed(g, namespace, "production", "checkout", true) }).Should(Succeed())
		flag := fetch(Default, onFlag("checkout", namespace))
		first, began := revisionOf(Default, namespace, "production"), time.Now()
		for i := range 300 {
			flag.Spec.Metadata = map[string]string{"edit": strconv.Itoa(i)}
			flag.ResourceVersion = ""
			flag.ManagedFields = nil
			Expect(
				k8s.Patch(
					ctx,
					flag,
					client.RawPatch("application/merge-patch+json", fmt.Appendf(nil, `{"spec":{"metadata":{"edit":"%d"}}}`, i)),
				),
			).To(
				Succeed(),
			)
		}
		Eventually(func(g Gomega) {
			g.Expect(
				flagIn(g, datafileOf(g, namespace, "production"), "checkout"),
			).To(
				HaveKeyWithValue("metadata", HaveKeyWithValue("edit", "299")),
			)
		}).Should(Succeed())
		// Publishes are 200 ms apart, then 400 ms and more while the burst lasts: 400 ms on average at least.
		most := 5 + int64(time.Since(began)/(400*time.Millisecond))
		Expect(revisionOf(Default, namespace, "production") - first).To(BeNumerically("<", most))
	})

	It("restores a datafile that is deleted or edited by hand, within a second", func() {
		startOperator()
		create(builders.MakeEnvironment("production", namespace).Obj(), onFlag("checkout", namespace))
		Eventually(func(g Gomega) { isServed(g, namespace, "production", "checkout", true) }).Should(Succeed())
		before := datafileOf(Default, namespace, "production")

		Expect(k8s.Delete(ctx, before.DeepCopy())).To(Succeed())
		Eventually(func(g Gomega) {
			after := datafileOf(g, namespace, "production")
			g.Expect(after.Data).To(Equal(before.Data))
			g.Expect(after.Annotations).To(Equal(before.Annotations))
		}).WithTimeout(time.Second).Should(Succeed())

		edit(before.DeepCopy(), func(configMap *corev1.ConfigMap) {
			configMap.Data["datafile.json"] = "{}"
			delete(configMap.Data, "flagd.json")
			metav1.SetMetaDataAnnotation(&configMap.ObjectMeta, v1alpha1.RevisionAnnotation, "77")
			metav1.SetMetaDataAnnotation(&configMap.ObjectMeta, "example.com/reloader", "kept")
		})
		Eventually(func(g Gomega) {
			after := datafileOf(g, namespace, "production")
			g.Expect(after.Data).To(Equal(before.Data))
			g.Expect(
				after.Annotations,
			).To(
				HaveKeyWithValue(v1alpha1.RevisionAnnotation, before.Annotations[v1alpha1.RevisionAnnotation]),
			)
			g.Expect(after.Annotations).To(HaveKeyWithValue("example.com/reloader", "kept"))
		}).WithTimeout(time.Second).Should(Succeed())
	})

	It("restores the served ConfigMap whose label somebody changed, by which the operator knows it", func() {
		startOperator()
		create(builders.MakeEnvironment("production", namespace).Obj(), onFlag("checkout", namespace))
		served := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "flags-production"}}
		Eventually(func(g Gomega) {
			g.Expect(fetch(g, served).Labels).To(HaveKeyWithValue(v1alpha1.ManagedByLabel, v1alpha1.ManagedBy))
		}).Should(Succeed())
		edit(served, func(configMap *corev1.ConfigMap) { configMap.Labels[v1alpha1.ManagedByLabel] = "Helm" })
		Eventually(func(g Gomega) {
			g.Expect(fetch(g, served).Labels).To(HaveKeyWithValue(v1alpha1.ManagedByLabel, v1alpha1.ManagedBy))
		}).Should(Succeed())
	})

	It("leaves a ConfigMap of the same name alone that is not its own, and reports it", func() {
		startOperator()
		foreign := &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "flags-production"},
			Data:       map[string]string{"mine": "yes"},
		}
		create(foreign.DeepCopy(), builders.MakeEnvironment("production", namespace).Obj(), onFlag("checkout", namespace))
		environment := builders.MakeEnvironment("production", namespace).Obj()
		Eventually(func(g Gomega) {
			published := conditionOf(fetch(g, environment).Status.Conditions, v1alpha1.PublishedCondition)
			g.Expect(published.Status).To(Equal(metav1.ConditionFalse))
			g.Expect(published.Reason).To(Equal(v1alpha1.NameTakenReason))
			g.Expect(published.Message).To(ContainSubstring("flags-production"))
		}).Should(Succeed())
		Expect(fetch(Default, foreign).Data).To(Equal(map[string]string{"mine": "yes"}))
		Expect(foreign.Labels).To(BeEmpty())

		By("choosing another name")
		edit(
			environment,
			func(environment *v1alpha1.FlagEnvironment) { environment.Spec.Datafile.Name = "flags-web.production" },
		)
		Eventually(func(g Gomega) {
			configMap := fetch(
				g,
				&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "flags-web.production"}},
			)
			g.Expect(flagIn(g, configMap, "checkout")).NotTo(BeNil())
			g.Expect(
				conditionOf(fetch(g, environment).Status.Conditions, v1alpha1.PublishedCondition).Status,
			).To(
				Equal(metav1.ConditionTrue),
			)
		}).Should(Succeed())
	})

	It("keeps as many revisions as asked for, unchangeable", func() {
		startOperator()
		create(
			builders.MakeEnvironment(
				"production",
				namespace,
			).Spec(
				func(spec *v1alpha1.FlagEnvironmentSpec) { spec.Publish.RevisionHistoryLimit = new(int32(2)) },
			).Obj(),
			onFlag("checkout", namespace),
		)
		for i := range 4 {
			Eventually(func(g Gomega) { isServed(g, namespace, "production", "checkout", i%2 == 0) }).Should(Succeed())
			edit(
				onFlag("checkout", namespace),
				func(flag *v1alpha1.FeatureFlag) { flag.Spec.Environments[0].Enabled = i%2 != 0 },
			)
		}
		Eventually(func(g Gomega) {
			isServed(g, namespace, "production", "checkout", true)
			history := &corev1.ConfigMapList{}
			g.Expect(
				k8s.List(
					ctx,
					history,
					client.InNamespace(namespace),
					client.MatchingLabels{v1alpha1.DatafileLabel: v1alpha1.DatafileHistory},
				),
			).To(
				Succeed(),
			)
			g.Expect(history.Items).To(HaveLen(2))
			g.Expect(history.Items).To(HaveEach(HaveField("Immutable", HaveValue(BeTrue()))))
		}).Should(Succeed())
	})

	It(
		"removes the datafiles of a deleted environment where its policy says so, and else leaves them for it to take up again",
		func() {
			operator := startOperator()
			create(
				builders.MakeEnvironment("production", namespace).Obj(),
				onFlag("checkout", namespace),
				builders.MakeEnvironment(
					"preview",
					namespace,
				).Spec(
					func(spec *v1alpha1.FlagEnvironmentSpec) { spec.DeletionPolicy = v1alpha1.DeletionPolicyDelete },
				).Obj(),
			)
			Eventually(func(g Gomega) {
				isServed(g, namespace, "production", "checkout", true)
				g.Expect(datafileOf(g, namespace, "preview")).NotTo(BeNil())
			}).Should(Succeed())
			last := revisionOf(Default, namespace, "production")
			operator.stop() // What was deleted while nobody looked is swept at the next start.
			Expect(k8s.Delete(ctx, builders.MakeEnvironment("preview", namespace).Obj())).To(Succeed())
			startOperator()
			Expect(k8s.Delete(ctx, builders.MakeEnvironment("production", namespace).Obj())).To(Succeed())
			Eventually(func(g Gomega) {
				all := &corev1.ConfigMapList{}
				g.Expect(
					k8s.List(ctx, all, client.InNamespace(namespace), client.MatchingLabels{v1alpha1.EnvironmentLabel: "preview"}),
				).To(
					Succeed(),
				)
				g.Expect(all.Items).To(BeEmpty())
			}).Should(Succeed())
			Expect(datafileOf(Default, namespace, "production").Data).NotTo(BeEmpty())

			create(builders.MakeEnvironment("production", namespace).Obj())
			edit(onFlag("checkout", namespace), func(flag *v1alpha1.FeatureFlag) { flag.Spec.Environments[0].Enabled = false })
			Eventually(func(g Gomega) {
				isServed(g, namespace, "production", "checkout", false)
				g.Expect(revisionOf(g, namespace, "production")).To(Equal(last + 1))
			}).Should(Succeed())
		},
	)

	It("drops and adds files as the formats say", func() {
		startOperator()
		environment := builders.MakeEnvironment("production", namespace).Obj()
		create(environment, onFlag("checkout", namespace))
		Eventually(func(g Gomega) { isServed(g, namespace, "production", "checkout", true) }).Should(Succeed())
		for _, formats := range [][]v1alpha1.DatafileFormat{{v1alpha1.DatafileFormatFlagd}, {v1alpha1.DatafileFormatNative}, {v1alpha1.DatafileFormatNative, v1alpha1.DatafileFormatFlagd}} {
			edit(environment, func(environment *v1alpha1.FlagEnvironment) { environment.Spec.Datafile.Formats = formats })
			files := map[v1alpha1.DatafileFormat]string{
				v1alpha1.DatafileFormatFlagd:  "flagd.json",
				v1alpha1.DatafileFormatNative: "datafile.json",
			}
			Eventually(func(g Gomega) {
				data := datafileOf(g, namespace, "production").Data
				g.Expect(data).To(HaveLen(len(formats)))
				for _, format := range formats {
					g.Expect(data).To(HaveKeyWithValue(files[format], ContainSubstring("checkout")))
				}
			}).Should(Succeed())
		}
	})

	It("compresses what would not fit, and stops before it serves less than it did", func() {
		startOperator()
		environment := builders.MakeEnvironment("production", namespace).Obj()
		create(environment, onFlag("checkout", namespace))
		Eventually(func(g Gomega) { isServed(g, namespace, "production", "checkout", true) }).Should(Succeed())
		members := make([]string, 20000)
		for i := range members {
			members[i] = fmt.Sprintf("a-customer-with-a-long-key-%05d", i)
		}
		create(
			builders.MakeAudience("one", namespace).Members(members...).Obj(),
			builders.MakeAudience("two", namespace).Members(members...).Obj(),
		)
		edit(onFlag("checkout", namespace), func(flag *v1alpha1.FeatureFlag) {
			rule := builders.MakeRule("customers").Audiences("one", "two").Serve("on")
			flag.Spec = builders.MakeFlag("checkout", namespace).Boolean().
				Environment("production").Fallthrough("on").Rule(rule).Obj().Spec
		})
		Eventually(func(g Gomega) {
			configMap := datafileOf(g, namespace, "production")
			g.Expect(configMap.BinaryData).To(HaveKey("datafile.json.gz"))
			g.Expect(configMap.Data["datafile.json"]).To(ContainSubstring(`"compressed":"datafile.json.gz"`))
			status := fetch(g, environment).Status
			g.Expect(status.Datafile.Compressed).To(BeTrue())
		}).Should(Succeed())
	})

	It("survives that any one of its writes fails, and a restart right after it", func() {
		// Each round lets one more write through before it fails one, until a publish needs no more writes than that.
		create(builders.MakeEnvironment("production", namespace).Obj(), onFlag("checkout", namespace))
		operator := startOperator()
		Eventually(func(g Gomega) { isServed(g, namespace, "production", "checkout", true) }).Should(Succeed())
		operator.stop()
		contents := map[string]string{}
		for failing, done := 0, false; !done; failing++ {
			Expect(failing).To(BeNumerically("<", 20), "a publish should need few writes")
			enabled := failing%2 != 0
			operator := startOperator()
			refused := operator.faults.refuseAfter(failing, namespace)
			edit(onFlag("checkout", namespace), func(flag *v1alpha1.FeatureFlag) { flag.Spec.Environments[0].Enabled = enabled })
			select {
			case <-refused:
			case <-time.After(3 * time.Second):
				done = true
			}
			operator.stop()
			operator = startOperator()
			Eventually(func(g Gomega) {
				isServed(g, namespace, "production", "checkout", enabled)
				flag := fetch(g, onFlag("checkout", namespace))
				g.Expect(conditionOf(flag.Status.Conditions, v1alpha1.PublishedCondition).Status).To(Equal(metav1.ConditionTrue))
				g.Expect(flag.Status.ObservedGeneration).To(Equal(flag.Generation))
			}).Should(Succeed())
			operator.stop()
			history := &corev1.ConfigMapList{}
			Expect(
				k8s.List(
					ctx,
					history,
					client.InNamespace(namespace),
					client.MatchingLabels{v1alpha1.DatafileLabel: v1alpha1.DatafileHistory},
				),
			).To(
				Succeed(),
			)
			for i := range history.Items {
				name, content := history.Items[i].Name, history.Items[i].Data["datafile.json"]
				if known, ok := contents[name]; ok {
					Expect(content).To(Equal(known), "a revision number must not be used twice for different content")
				}
				contents[name] = content
			}
		}
	})
})
