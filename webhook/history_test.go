// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	controllerconfig "sigs.k8s.io/controller-runtime/pkg/config"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/controllers"
	"github.com/jackstaff-dev/jackstaff/controllers/featureflag"
	historycontroller "github.com/jackstaff-dev/jackstaff/controllers/history"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/internal/history"
	"github.com/jackstaff-dev/jackstaff/internal/index"
	"github.com/jackstaff-dev/jackstaff/internal/status"
	"github.com/jackstaff-dev/jackstaff/internal/topics"
)

// carried returns the records that an object carries, oldest first.
func carried(ctx context.Context, g Gomega, object client.Object) []history.Record {
	g.ExpectWithOffset(1, cluster.Get(ctx, client.ObjectKeyFromObject(object), object)).To(Succeed())
	records, err := history.Decode(object.GetAnnotations()[v1alpha1.ChangesAnnotation])
	g.ExpectWithOffset(1, err).NotTo(HaveOccurred())
	return records
}

// told sums records up as "actor action path,path".
func told(records []history.Record) []string {
	var texts []string
	for _, record := range records {
		var paths []string
		for _, change := range record.Changes {
			paths = append(paths, change.Path)
		}
		texts = append(
			texts,
			strings.TrimSpace(fmt.Sprintf("%s %s %s", record.Actor.Name, record.Action, strings.Join(paths, ","))),
		)
	}
	return texts
}

// change edits a flag as a user, as often as it takes, and returns it.
func change(ctx context.Context, as client.Client, flag *v1alpha1.FeatureFlag, edit func()) {
	GinkgoHelper()
	Eventually(func() error {
		if err := cluster.Get(ctx, client.ObjectKeyFromObject(flag), flag); err != nil {
			return err
		}
		edit()
		return as.Update(ctx, flag)
	}).Should(Succeed())
}

var _ = Describe("A change record", func() {
	var (
		namespace   string
		flag        *v1alpha1.FeatureFlag
		alice, tool client.Client
	)
	BeforeEach(func(ctx SpecContext) {
		namespace = newNamespace(ctx)
		alice, tool = impersonate("alice@example.com"), impersonate("system:serviceaccount:ci:deployer")
		flag = builders.MakeFlag("new-checkout", namespace).Boolean().Environment("staging").Disabled().Obj()
		Expect(alice.Create(ctx, flag)).To(Succeed())
	})

	It("is stored with each change, and names its user, be it a person or a service account", func(ctx SpecContext) {
		change(ctx, tool, flag, func() { flag.Spec.Environments[0].Enabled = true })
		change(ctx, alice, flag, func() {
			metav1.SetMetaDataAnnotation(&flag.ObjectMeta, v1alpha1.ForceDisabledAnnotation, "staging")
		})
		change(ctx, alice, flag, func() { flag.Labels = map[string]string{"team": "checkout"} })
		change(ctx, alice, flag, func() { flag.Finalizers = []string{"example.com/hold"} })
		change(ctx, alice, flag, func() {
			flag.OwnerReferences = []metav1.OwnerReference{
				{APIVersion: "apps/v1", Kind: "Deployment", Name: "shop", UID: "d-1"},
			}
		})
		records := carried(ctx, Default, flag)
		Expect(told(records[1:])).To(Equal([]string{
			"system:serviceaccount:ci:deployer flag.toggled spec.environments[staging].enabled",
			"alice@example.com flag.toggled metadata.annotations[flags.jackstaff.dev/force-disabled]",
			"alice@example.com flag.updated metadata.labels[team]",
			"alice@example.com flag.updated metadata.finalizers[example.com/hold]",
			"alice@example.com flag.updated metadata.ownerReferences[d-1]",
		}))
		Expect(records[0].Actor.Name).To(Equal("alice@example.com"))
		Expect(records[0].Action).To(Equal(history.FlagCreated))
		Expect(records[1].Enables).To(BeTrue())
		Expect(string(records[1].Changes[0].From)).To(Equal("false"))
		Expect(string(records[1].Changes[0].To)).To(Equal("true"))
		Expect(records[1].Time.Time).To(BeTemporally("~", time.Now(), time.Minute))
	})

	It("cannot be forged, changed or removed", func(ctx SpecContext) {
		const forged = `[{"id":"forged","action":"flag.updated","actor":{"name":"mallory"},"time":"2026-01-01T00:00:00.000000Z"}]`
		other := builders.MakeFlag("other", namespace).Boolean().Annotation(v1alpha1.ChangesAnnotation, forged).Obj()
		Expect(alice.Create(ctx, other)).To(Succeed())
		Expect(carried(ctx, Default, other)).To(HaveLen(1))
		Expect(carried(ctx, Default, other)[0].Action).To(Equal(history.FlagCreated))

		before := carried(ctx, Default, flag)
		unchanged := func() {
			GinkgoHelper()
			Expect(carried(ctx, Default, flag)).To(Equal(before))
		}
		By("update")
		change(ctx, alice, flag, func() { flag.Annotations[v1alpha1.ChangesAnnotation] = forged })
		unchanged()
		change(ctx, alice, flag, func() { delete(flag.Annotations, v1alpha1.ChangesAnnotation) })
		unchanged()
		By("patch")
		for _, value := range []string{"null", `"[]"`} {
			patch := `{"metadata":{"annotations":{"` + v1alpha1.ChangesAnnotation + `":` + value + `}}}`
			Expect(alice.Patch(ctx, flag, client.RawPatch("application/merge-patch+json", []byte(patch)))).To(Succeed())
			unchanged()
		}
		By("a user who writes what is no record")
		change(ctx, alice, flag, func() { flag.Annotations[v1alpha1.ChangesAnnotation] = "nonsense" })
		unchanged()
		By("the operator, which may take away the oldest alone")
		change(ctx, impersonate(operator), flag, func() { flag.Annotations[v1alpha1.ChangesAnnotation] = forged })
		unchanged()
		change(ctx, alice, flag, func() { flag.Spec.Description = "d" })
		records := carried(ctx, Default, flag)
		text, err := history.Encode(records[:1])
		Expect(err).NotTo(HaveOccurred())
		change(ctx, impersonate(operator), flag, func() { flag.Annotations[v1alpha1.ChangesAnnotation] = text })
		Expect(carried(ctx, Default, flag)).To(Equal(records))
		text, err = history.Encode(records[1:])
		Expect(err).NotTo(HaveOccurred())
		change(ctx, impersonate(operator), flag, func() { flag.Annotations[v1alpha1.ChangesAnnotation] = text })
		Expect(carried(ctx, Default, flag)).To(Equal(records[1:]))
	})

	It("is not made by a dry run, a refusal or a change of nothing", func(ctx SpecContext) {
		dry := builders.MakeFlag("dry", namespace).Boolean().Obj()
		Expect(alice.Create(ctx, dry, client.DryRunAll)).To(Succeed())
		Expect(dry.Annotations).NotTo(HaveKey(v1alpha1.ChangesAnnotation))
		before := carried(ctx, Default, flag)
		changed := flag.DeepCopy()
		changed.Spec.Description = "d"
		Expect(alice.Update(ctx, changed, client.DryRunAll)).To(Succeed())
		Expect(changed.Annotations[v1alpha1.ChangesAnnotation]).To(Equal(flag.Annotations[v1alpha1.ChangesAnnotation]))
		changed = flag.DeepCopy()
		changed.Spec.DefaultVariation = "of"
		Expect(causes(alice.Update(ctx, changed))).To(HaveLen(1))
		Expect(alice.Update(ctx, flag)).To(Succeed())
		Expect(carried(ctx, Default, flag)).To(Equal(before))
		Expect(alice.Delete(ctx, flag, client.DryRunAll)).To(Succeed())
		Expect(changesOf(ctx, Default, namespace)).To(BeEmpty())
	})

	It("is kept of environments, audiences and events too", func(ctx SpecContext) {
		production := builders.MakeEnvironment("production", namespace).Obj()
		beta := builders.MakeAudience("beta", namespace).Members("alice@example.com").Obj()
		Expect(alice.Create(ctx, production)).To(Succeed())
		Expect(alice.Create(ctx, beta)).To(Succeed())
		metav1.SetMetaDataAnnotation(&production.ObjectMeta, v1alpha1.PublishRequestedAtAnnotation, "2026-11-01T12:00:00Z")
		Expect(alice.Update(ctx, production)).To(Succeed())
		beta.Spec.Members = []string{"bob@example.com"}
		Expect(alice.Update(ctx, beta)).To(Succeed())
		purchase := builders.MakeEvent("purchase", namespace).Obj()
		Expect(alice.Create(ctx, purchase)).To(Succeed())
		purchase.Spec.Description = "d"
		Expect(alice.Update(ctx, purchase)).To(Succeed())
		Expect(
			told(carried(ctx, Default, purchase)[1:]),
		).To(
			Equal([]string{"alice@example.com event.updated spec.description"}),
		)
		Expect(told(carried(ctx, Default, production)[1:])).To(Equal([]string{
			"alice@example.com environment.published metadata.annotations[flags.jackstaff.dev/publish-requested-at]",
		}))
		Expect(told(carried(ctx, Default, beta)[1:])).To(Equal([]string{
			"alice@example.com audience.updated spec.members[alice@example.com],spec.members[bob@example.com]",
		}))
	})
})

// changesOf returns the FlagChanges of a namespace.
func changesOf(ctx context.Context, g Gomega, namespace string) []v1alpha1.FlagChange {
	list := &v1alpha1.FlagChangeList{}
	g.ExpectWithOffset(1, cluster.List(ctx, list, client.InNamespace(namespace))).To(Succeed())
	return list.Items
}

// startHistory runs the controllers that keep the history, with the operator's rights, until stop is called. They move
// records at once.
func startHistory(clock *clocktesting.FakePassiveClock) (stop func()) {
	return startQuietHistory(clock, 0)
}

// startQuietHistory is startHistory with controllers that leave records with their object for some time.
func startQuietHistory(clock *clocktesting.FakePassiveClock, quiet time.Duration) (stop func()) {
	GinkgoHelper()
	return startControllers(func(manager ctrl.Manager) {
		Expect((&featureflag.Reconciler{
			Client: manager.GetClient(), Ledger: topics.New(), Clock: clock, StaleAfter: time.Hour,
			Status: &status.Patcher{Client: manager.GetClient(), Recorder: manager.GetEventRecorder("featureflag-controller")},
		}).SetupWithManager(manager)).To(Succeed())
		for _, kind := range v1alpha1.Kinds {
			Expect((&historycontroller.Reconciler{
				Client: manager.GetClient(), Metadata: manager.GetCache(), Live: manager.GetAPIReader(), Clock: clock, Kind: kind,
				Quiet: quiet,
			}).SetupWithManager(manager)).To(Succeed())
		}
	})
}

// startControllers runs controllers with the operator's rights until stop is called.
func startControllers(register func(manager ctrl.Manager)) (stop func()) {
	GinkgoHelper()
	manager, err := ctrl.NewManager(
		impersonation(operator, "system:serviceaccounts", "system:authenticated"),
		ctrl.Options{
			Scheme: scheme,
			Cache:  controllers.CacheOptions(),
			Client: controllers.ClientOptions(),
			Metrics: metricsserver.Options{
				BindAddress: "0",
			},
			Controller: controllerconfig.Controller{SkipNameValidation: new(true)},
		},
	)
	Expect(err).NotTo(HaveOccurred())
	ctx, cancel := context.WithCancel(context.Background())
	Expect(index.Setup(ctx, manager.GetFieldIndexer())).To(Succeed())
	register(manager)
	var running sync.WaitGroup
	running.Go(func() {
		defer GinkgoRecover()
		Expect(manager.Start(ctx)).To(Succeed())
	})
	return sync.OnceFunc(func() {
		cancel()
		running.Wait()
	})
}

var _ = Describe("The history", func() {
	var (
		clock       *clocktesting.FakePassiveClock
		stopHistory func()
		namespace   string
		alice, bob  client.Client
		flag        *v1alpha1.FeatureFlag
	)
	BeforeEach(func(ctx SpecContext) {
		clock = clocktesting.NewFakePassiveClock(time.Now())
		stopHistory = startHistory(clock)
		DeferCleanup(func() { stopHistory() })
		namespace = newNamespace(ctx)
		alice, bob = impersonate("alice@example.com"), impersonate("bob@example.com")
		flag = builders.MakeFlag(
			"new-checkout",
			namespace,
		).Boolean().Spec(
			func(s *v1alpha1.FeatureFlagSpec) { s.Description = "0" },
		).Obj()
		Expect(alice.Create(ctx, flag)).To(Succeed())
	})
	list := func(ctx context.Context, g Gomega) []history.Record {
		entries, err := history.List(ctx, cluster, namespace, "FeatureFlag", "new-checkout")
		g.ExpectWithOffset(1, err).NotTo(HaveOccurred())
		records := make([]history.Record, len(entries))
		for i := range entries {
			records[i] = entries[i].Record
		}
		return records
	}
	descriptions := func(records []history.Record) []string {
		var texts []string
		for _, record := range records {
			for _, change := range record.Changes {
				if change.Path == "spec.description" {
					texts = append(texts, strings.Trim(string(change.To), `"`))
				}
			}
		}
		return texts
	}
	moved := func(ctx context.Context) {
		GinkgoHelper()
		Eventually(func(g Gomega) { g.Expect(carried(ctx, g, flag)).To(BeEmpty()) }).Should(Succeed())
	}
	// touch makes the controller look at each FlagChange again.
	touch := func(ctx context.Context) {
		GinkgoHelper()
		changes := changesOf(ctx, Default, namespace)
		for i := range changes {
			before := changes[i].DeepCopy()
			metav1.SetMetaDataAnnotation(&changes[i].ObjectMeta, "example.com/touched", clock.Now().String())
			Expect(client.IgnoreNotFound(impersonate(operator).Patch(ctx, &changes[i], client.MergeFrom(before)))).To(Succeed())
		}
	}

	It("takes the records from the flag into FlagChanges, which hold the spec", func(ctx SpecContext) {
		moved(ctx)
		change(ctx, bob, flag, func() { flag.Spec.Description = "1" })
		moved(ctx)
		Expect(told(list(ctx, Default)[:1])).To(Equal([]string{"bob@example.com flag.updated spec.description"}))
		Expect(descriptions(list(ctx, Default))).To(Equal([]string{"1", "0"}))
		changes := changesOf(ctx, Default, namespace)
		Expect(changes).To(HaveLen(2))
		for i := range changes {
			after, err := history.Spec(&changes[i])
			Expect(err).NotTo(HaveOccurred())
			spec := &v1alpha1.FeatureFlagSpec{}
			Expect(json.Unmarshal(after, spec)).To(Succeed())
			Expect(changes[i].Spec.Object).To(Equal(v1alpha1.ChangedObject{
				Kind: "FeatureFlag", Name: "new-checkout", Key: "new-checkout", UID: string(flag.UID),
			}))
			record := history.EntriesOf(&changes[i])[0].Record
			Expect([]string{spec.Description}).To(Equal(descriptions([]history.Record{record})))
		}
	})

	It(
		"leaves a flag alone for some seconds after an edit, so that the next edit does not conflict",
		func(ctx SpecContext) {
			moved(ctx)
			stopHistory()
			clock.SetTime(time.Now())
			stopHistory = startQuietHistory(clock, time.Second)
			for i := range 3 {
				before := flag.DeepCopy()
				flag.Spec.Description = strconv.Itoa(i + 1)
				Expect(alice.Patch(ctx, flag, client.MergeFrom(before))).To(Succeed())
				Eventually(func(g Gomega) {
					g.Expect(cluster.Get(ctx, client.ObjectKeyFromObject(flag), flag)).To(Succeed())
					g.Expect(flag.Status.ObservedGeneration).To(Equal(flag.Generation))
				}).Should(Succeed())
				Consistently(func(g Gomega) {
					now := &v1alpha1.FeatureFlag{}
					g.Expect(cluster.Get(ctx, client.ObjectKeyFromObject(flag), now)).To(Succeed())
					g.Expect(now.ResourceVersion).To(Equal(flag.ResourceVersion), "somebody else wrote to the flag after the edit")
				}).WithTimeout(300 * time.Millisecond).Should(Succeed())
				flag.Spec.Description += "!"
				Expect(alice.Update(ctx, flag)).To(Succeed())
			}
			By("moving the records in one batch once nobody edits any more")
			Expect(carried(ctx, Default, flag)).To(HaveLen(6))
			clock.SetTime(time.Now().Add(time.Minute))
			moved(ctx)
			Expect(list(ctx, Default)).To(HaveLen(7))
		},
	)

	It("gives the status its times, whenever the controller comes to look", func(ctx SpecContext) {
		moved(ctx)
		stopHistory()
		change(
			ctx,
			bob,
			flag,
			func() { flag.Spec.Environments = []v1alpha1.EnvironmentConfig{{Name: "staging", Enabled: true}} },
		)
		change(ctx, bob, flag, func() { flag.Spec.Environments[0].Enabled = false })
		change(ctx, bob, flag, func() { flag.Spec.Archived = true })
		records := carried(ctx, Default, flag)
		clock.SetTime(clock.Now().Add(24 * time.Hour))
		stopHistory = startHistory(clock)
		moved(ctx)
		Expect(flag.Status.FirstEnabledTime.Time).To(BeTemporally("==", records[0].Time.Truncate(time.Second)))
		Expect(flag.Status.LastChangedTime.Time).To(BeTemporally("==", records[2].Time.Truncate(time.Second)))
		Expect(flag.Status.ArchivedTime.Time).To(BeTemporally("==", records[2].Time.Truncate(time.Second)))
	})

	It(
		"keeps the detail of as many changes as the flag says, and of the others who, what and when",
		func(ctx SpecContext) {
			change(ctx, alice, flag, func() { flag.Spec.HistoryLimit = new(int32(2)) })
			for i := range 4 {
				change(ctx, alice, flag, func() { flag.Spec.Description = strconv.Itoa(i + 1) })
				if i%2 == 1 {
					moved(ctx)
				}
			}
			Eventually(func(g Gomega) { g.Expect(descriptions(list(ctx, g))).To(Equal([]string{"4", "3"})) }).Should(Succeed())
			Eventually(func(g Gomega) { g.Expect(changesOf(ctx, g, namespace)).To(HaveLen(3)) }).Should(Succeed())
			Expect(told(list(ctx, Default)[2:])).To(Equal([]string{
				"alice@example.com flag.updated", "alice@example.com flag.updated", "alice@example.com flag.updated",
				"alice@example.com flag.created",
			}))
			change(ctx, bob, flag, func() { flag.Spec.HistoryLimit = new(int32(0)) })
			moved(ctx)
			Eventually(func(g Gomega) {
				g.Expect(descriptions(list(ctx, g))).To(BeEmpty())
				g.Expect(changesOf(ctx, g, namespace)).To(HaveLen(1))
			}).Should(Succeed())
			Expect(list(ctx, Default)).To(HaveLen(7))
			Expect(list(ctx, Default)[0].Actor.Name).To(Equal("bob@example.com"))
			Expect(changesOf(ctx, Default, namespace)[0].Spec.Summary).To(HavePrefix("7 older changes since "))
		},
	)

	It("keeps no more than 256 KiB of a flag", func(ctx SpecContext) {
		for i := range 4 {
			// Hexadecimal digits of digests can be compressed to half their size and no further.
			var noise strings.Builder
			for sum := sha256.Sum256([]byte{byte(i)}); noise.Len() < 150<<10; sum = sha256.Sum256(sum[:]) {
				noise.WriteString(hex.EncodeToString(sum[:]))
			}
			change(ctx, alice, flag, func() {
				flag.Spec.Description = strconv.Itoa(i + 1)
				flag.Spec.Variations[1].Payload = &v1alpha1.JSON{Raw: []byte(`"` + noise.String() + `"`)}
			})
			moved(ctx)
		}
		Eventually(func(g Gomega) { g.Expect(descriptions(list(ctx, g))).To(Equal([]string{"4", "3"})) }).Should(Succeed())
	})

	It("loses no record while the operator is away, and leaves what does not fit to its summary", func(ctx SpecContext) {
		moved(ctx)
		stopHistory()
		for i := range 22 {
			change(ctx, alice, flag, func() {
				flag.Spec.Description = strconv.Itoa(i + 1)
				flag.Spec.Metadata = map[string]string{}
				for j := range 40 {
					flag.Spec.Metadata[fmt.Sprintf("%d-%d", i, j)] = strings.Repeat("x", 70)
				}
			})
		}
		Expect(carried(ctx, Default, flag)).To(HaveLen(22))
		Expect(len(flag.Annotations[v1alpha1.ChangesAnnotation])).To(BeNumerically("<=", history.MaxAnnotationBytes))
		By("not telling twice of what was moved before the operator went")
		again, err := history.NewChange(namespace, history.ObjectOf("FeatureFlag", flag), v1alpha1.HistoryRecorded,
			&carried(ctx, Default, flag)[0], nil)
		Expect(err).NotTo(HaveOccurred())
		Expect(impersonate(operator).Create(ctx, again)).To(Succeed())
		Expect(list(ctx, Default)).To(HaveLen(23))
		stopHistory = startHistory(clock)
		moved(ctx)
		records := list(ctx, Default)
		Expect(records).To(HaveLen(23))
		Expect(records[0].Changes).NotTo(BeEmpty())
		Expect(records[21].Changes).To(BeEmpty())
		Expect(records[21].Omitted).To(BeNumerically(">", 0))
		Expect(records[21].Actor.Name).To(Equal("alice@example.com"))
	})

	It("outlives the flag by thirty days, the deletion and what was not moved before it included", func(ctx SpecContext) {
		moved(ctx)
		stopHistory()
		change(ctx, bob, flag, func() { flag.Spec.Description = "1" })
		Expect(bob.Delete(ctx, flag)).To(Succeed())
		Expect(told(list(ctx, Default))).To(HaveLen(2), "a deletion that nobody has confirmed yet is no part of the history")
		stopHistory = startHistory(clock)
		Eventually(func(g Gomega) {
			g.Expect(told(list(ctx, g))).To(HaveExactElements(
				"bob@example.com flag.deleted",
				"bob@example.com flag.updated spec.description",
				HavePrefix("alice@example.com flag.created"),
			))
		}).Should(Succeed())

		By("going on where the flag is made again")
		again := builders.MakeFlag(
			"new-checkout",
			namespace,
		).Boolean().Spec(
			func(s *v1alpha1.FeatureFlagSpec) { s.HistoryLimit = new(int32(1)) },
		).Obj()
		Expect(bob.Create(ctx, again)).To(Succeed())
		moved(ctx)
		Consistently(func(g Gomega) { g.Expect(list(ctx, g)).To(HaveLen(4)) }).WithTimeout(time.Second).Should(Succeed())
		Expect(list(ctx, Default)[0].Action).To(Equal(history.FlagCreated))

		clock.SetTime(time.Now().Add(history.Retention + time.Hour))
		touch(ctx)
		Eventually(func(g Gomega) {
			g.Expect(told(list(ctx, g))).To(HaveExactElements(HavePrefix("bob@example.com flag.created")))
		}).Should(Succeed())
	})

	It("does not tell of a deletion that did not happen", func(ctx SpecContext) {
		moved(ctx)
		// Another webhook refuses what this project's admits.
		refuser := &admissionregistrationv1.ValidatingWebhookConfiguration{
			ObjectMeta: metav1.ObjectMeta{Name: "refuse-" + namespace},
			Webhooks: []admissionregistrationv1.ValidatingWebhook{
				{
					Name:                    "refuse.example.com",
					SideEffects:             new(admissionregistrationv1.SideEffectClassNone),
					AdmissionReviewVersions: []string{"v1"},
					ClientConfig:            admissionregistrationv1.WebhookClientConfig{URL: new("https://127.0.0.1:1/")},
					NamespaceSelector: &metav1.LabelSelector{
						MatchLabels: map[string]string{"kubernetes.io/metadata.name": namespace},
					},
					Rules: []admissionregistrationv1.RuleWithOperations{
						{
							Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Delete},
							Rule: admissionregistrationv1.Rule{
								APIGroups:   []string{v1alpha1.GroupVersion.Group},
								APIVersions: []string{"*"},
								Resources:   []string{"featureflags"},
							},
						},
					},
				},
			},
		}
		Expect(cluster.Create(ctx, refuser)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) { Expect(client.IgnoreNotFound(cluster.Delete(ctx, refuser))).To(Succeed()) })
		Eventually(func(g Gomega) {
			g.Expect(alice.Delete(ctx, flag, client.DryRunAll)).To(MatchError(apierrors.IsInternalError, "IsInternalError"))
		}).Should(Succeed())
		Expect(alice.Delete(ctx, flag)).NotTo(Succeed())
		Expect(changesOf(ctx, Default, namespace)).To(HaveLen(2))
		Expect(list(ctx, Default)).To(HaveLen(1))
		clock.SetTime(time.Now().Add(2 * time.Minute))
		touch(ctx)
		Eventually(func(g Gomega) { g.Expect(changesOf(ctx, g, namespace)).To(HaveLen(1)) }).Should(Succeed())
		Expect(list(ctx, Default)).To(HaveLen(1))
		Expect(cluster.Delete(ctx, refuser)).To(Succeed())
	})

	DescribeTable("is no drift for kubectl", func(ctx SpecContext, arguments ...string) {
		manifest := builders.MakeFlag("new-checkout", namespace).Boolean().Environment("staging").Obj()
		manifest.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("FeatureFlag"))
		data, err := json.Marshal(manifest) // JSON is YAML.
		Expect(err).NotTo(HaveOccurred())
		file := filepath.Join(GinkgoT().TempDir(), "flag.yaml")
		Expect(os.WriteFile(file, data, 0o600)).To(Succeed())
		config := kubeconfig()
		kubectl := func(verb string) (string, error) {
			arguments := append([]string{"--kubeconfig", config, verb, "-f", file}, arguments...)
			output, err := exec.CommandContext(ctx, environment.ControlPlane.KubectlPath, arguments...).CombinedOutput()
			return string(output), err
		}
		output, err := kubectl("apply")
		Expect(err).NotTo(HaveOccurred(), output)
		moved(ctx)
		records := list(ctx, Default)
		for range 2 {
			output, err = kubectl("apply")
			Expect(err).NotTo(HaveOccurred(), output)
			Expect(kubectl("diff")).To(BeEmpty())
		}
		Expect(list(ctx, Default)).To(Equal(records))

		By("showing of a change nothing but the change")
		Expect(
			os.WriteFile(file, []byte(strings.Replace(string(data), `"enabled":true`, `"enabled":false`, 1)), 0o600),
		).To(
			Succeed(),
		)
		output, err = kubectl("diff")
		Expect(err).To(HaveOccurred()) // There is a difference.
		Expect(output).To(ContainSubstring("enabled"))
		Expect(output).NotTo(ContainSubstring(v1alpha1.ChangesAnnotation))
	},
		Entry("client-side"),
		Entry("server-side", "--server-side", "--force-conflicts"),
	)
})
