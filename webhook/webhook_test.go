// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/yaml"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
)

// causes are the field errors of a refusal, as "path: message".
func causes(err error) []string {
	GinkgoHelper()
	Expect(err).To(HaveOccurred())
	Expect(apierrors.IsInvalid(err)).To(BeTrue(), "the refusal is not of the kind Invalid: %v", err)
	var status apierrors.APIStatus
	Expect(errors.As(err, &status)).To(BeTrue())
	var texts []string
	for _, cause := range status.Status().Details.Causes {
		texts = append(texts, cause.Field+": "+cause.Message)
	}
	return texts
}

var _ = Describe("Defaulting", func() {
	It("sets what a manifest leaves out, so that every reader sees the same flag", func(ctx SpecContext) {
		namespace := newNamespace(ctx)
		flag := builders.MakeFlag(
			"new-checkout",
			namespace,
		).Boolean().Environment(
			"production",
		).Rule(
			builders.MakeRule("r").Serve("on"),
		).Obj()
		environment := builders.MakeEnvironment("production", namespace).Obj()
		event := builders.MakeEvent("purchase", namespace).Obj()
		create(ctx, flag, environment, event)

		Expect(flag.Spec.Key).To(Equal("new-checkout"))
		Expect(flag.Spec).To(Equal(builders.MakeFlag("new-checkout", namespace).Boolean().Environment("production").
			Rule(builders.MakeRule("r").Serve("on")).Defaulted().Obj().Spec))
		Expect(environment.Spec).To(Equal(builders.MakeEnvironment("production", namespace).Defaulted().Obj().Spec))
		Expect(event.Spec.Key).To(Equal("purchase"))
	})

	It("uses the name that the API server makes up as the key", func(ctx SpecContext) {
		flag := builders.MakeFlag("", newNamespace(ctx)).Boolean().Obj()
		flag.GenerateName = "made-up-"
		Expect(cluster.Create(ctx, flag)).To(Succeed())
		Expect(flag.Name).To(HavePrefix("made-up-"))
		Expect(flag.Spec.Key).To(BeElementOf("", flag.Name))
	})
})

var _ = Describe("Refusals", func() {
	var namespace string
	BeforeEach(func(ctx SpecContext) { namespace = newNamespace(ctx) })

	It("names the field of a default that names no variation", func(ctx SpecContext) {
		err := cluster.Create(ctx, builders.MakeFlag("x", namespace).Boolean().DefaultVariation("of").Obj())
		Expect(
			causes(err),
		).To(
			Equal([]string{`spec.defaultVariation: Invalid value: "of": names no variation of this flag; it has "off", "on"`}),
		)
	})

	It("reports several mistakes together, those of the schema's rules included", func(ctx SpecContext) {
		err := cluster.Create(ctx, builders.MakeFlag("x", namespace).Boolean().DefaultVariation("of").Rule(
			builders.MakeRule("r").Serve("on").Condition("version", v1alpha1.OperatorSemVerEqual, "1.x"),
			builders.MakeRule("s").Split("on", 0).Split("maybe", 0),
		).Obj())
		Expect(causes(err)).To(Equal([]string{
			`spec.defaultVariation: Invalid value: "of": names no variation of this flag; it has "off", "on"`,
			`spec.environments[0].rules[0].conditions[0].values[0]: Invalid value: "1.x": operator SemVerEqual: must be a semantic version, such as 1.2.3`,
			`spec.environments[0].rules[1].split[1].variation: Invalid value: "maybe": names no variation of this flag; it has "off", "on"`,
			`spec.environments[0].rules[1].split: Invalid value: the weights sum to 0; the sum must be between 1 and 2147483647`,
		}))
	})

	It("names the field of a value that YAML takes for another type, such as an unquoted off", func(ctx SpecContext) {
		flag := &unstructured.Unstructured{}
		Expect(yaml.Unmarshal([]byte(`
apiVersion: flags.jackstaff.dev/v1alpha1
kind: FeatureFlag
metadata: {name: x, namespace: `+namespace+`}
spec:
  type: Boolean
  variations: [{key: off, value: false}, {key: "on", value: true}]
  defaultVariation: off
  owner: `+strings.Repeat("x", 300)+`
`), &flag.Object)).To(Succeed())
		Expect(causes(cluster.Create(ctx, flag))).To(ContainElements(
			`spec.variations[0].key: Invalid value: "false": must be text; YAML reads on, off, yes, no, y, n, true and false as a boolean `+
				`unless they are in quotes: write "off" in quotes`,
			HavePrefix(`spec.defaultVariation: Invalid value: "false": must be text`),
			HavePrefix(`spec.owner: Too long`),
		))
	})

	It("speaks of every Kind", func(ctx SpecContext) {
		Expect(
			causes(cluster.Create(ctx, builders.MakeEnvironment("production-r1", namespace).Obj())),
		).To(
			ConsistOf(HavePrefix("metadata.name: ")),
		)
		Expect(
			causes(
				cluster.Create(ctx, builders.MakeEnvironment("production", namespace).Spec(func(s *v1alpha1.FlagEnvironmentSpec) {
					s.Datafile.Name = "flags-staging"
				}).Obj()),
			),
		).To(
			ConsistOf(HavePrefix("spec.datafile.name: ")),
		)
		Expect(causes(cluster.Create(ctx, builders.MakeAudience("x", namespace).Members(strings.Repeat("é", 129)).Obj()))).
			To(Equal([]string{"spec.members[0]: Too long: may not be more than 256 bytes"}))
		Expect(
			causes(cluster.Create(ctx, builders.MakeEvent("x", namespace).Key("a b").Obj())),
		).To(
			ConsistOf(HavePrefix("spec.key: ")),
		)
	})

	It("does not let the key, the type or a used variation change", func(ctx SpecContext) {
		flag := builders.MakeFlag("x", namespace).Type(v1alpha1.FlagTypeString).Variation("a", `"A"`).Variation("b", `"B"`).
			Environment("production").Fallthrough("b").Obj()
		create(ctx, builders.MakeEnvironment("production", namespace).Obj(), flag)

		changed := flag.DeepCopy()
		changed.Spec.Key, changed.Spec.Type = "y", v1alpha1.FlagTypeJSON
		Expect(causes(cluster.Update(ctx, changed))).To(ContainElements(
			`spec.key: Invalid value: "y": is immutable; it was "x"`,
			`spec.type: Invalid value: "JSON": is immutable; it was "String"`,
		))

		changed = flag.DeepCopy()
		changed.Spec.Variations = changed.Spec.Variations[:1]
		Expect(causes(cluster.Update(ctx, changed))).To(Equal([]string{
			`spec.variations: Forbidden: variation "b" was removed and is still used by the default of environment "production"; change these first`,
		}))
	})

	It("pins only revisions that the history holds", func(ctx SpecContext) {
		file := &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Name: "flags-production-r3", Namespace: namespace, Labels: map[string]string{
				v1alpha1.ManagedByLabel: v1alpha1.ManagedBy, v1alpha1.DatafileLabel: v1alpha1.DatafileHistory,
				v1alpha1.ProjectLabel: namespace, v1alpha1.EnvironmentLabel: "production",
			}},
		}
		foreign := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "flags-production-r4", Namespace: namespace}}
		environment := builders.MakeEnvironment("production", namespace).Obj()
		compressed := file.DeepCopy()
		compressed.Name = "flags-production-r1.gz"
		create(ctx, file, compressed, foreign, environment)

		for _, revision := range []int64{2, 4} {
			environment.Spec.Publish.Revision = &revision
			Expect(
				causes(cluster.Update(ctx, environment.DeepCopy())),
			).To(
				ConsistOf(HavePrefix("spec.publish.revision: Invalid value: ")),
			)
		}
		environment.Spec.Publish.Revision = new(int64(2))
		Eventually(func() []string { return causes(cluster.Update(ctx, environment.DeepCopy())) }).Should(ConsistOf(
			"spec.publish.revision: Invalid value: 2: the history does not hold this revision; it holds 3, 1"))
		environment.Spec.Publish.Revision = new(int64(1))
		Expect(cluster.Update(ctx, environment)).To(Succeed())
		environment.Spec.Publish.Revision = new(int64(3))
		Expect(cluster.Update(ctx, environment)).To(Succeed())

		By("not asking again once it is pinned")
		Expect(cluster.Delete(ctx, file)).To(Succeed())
		environment.Spec.DisplayName = "Production"
		Expect(cluster.Update(ctx, environment)).To(Succeed())
	})

	It("lets finalizers go whatever the object says", func(ctx SpecContext) {
		flag := builders.MakeFlag("x", namespace).Boolean().Obj()
		controllerutil.AddFinalizer(flag, "example.com/hold")
		create(ctx, flag)
		Expect(cluster.Delete(ctx, flag)).To(Succeed())
		Expect(cluster.Get(ctx, client.ObjectKeyFromObject(flag), flag)).To(Succeed())
		Expect(flag.DeletionTimestamp).NotTo(BeNil())
		flag.Finalizers = nil
		metav1.SetMetaDataAnnotation(&flag.ObjectMeta, v1alpha1.ForceDisabledAnnotation, "NOT A NAME")
		Expect(cluster.Update(ctx, flag)).To(Succeed())
		Expect(cluster.Get(ctx, client.ObjectKeyFromObject(flag), flag)).To(MatchError(apierrors.IsNotFound, "IsNotFound"))
	})

	It("does not look at status", func(ctx SpecContext) {
		flag := builders.MakeFlag("x", namespace).Boolean().Environment("missing").Obj()
		create(ctx, flag)
		flag.Status.Phase = v1alpha1.PhaseActive
		Expect(cluster.Status().Update(ctx, flag)).To(Succeed())
		Expect(warned.take()).To(BeEmpty())
	})
})

var _ = Describe("Warnings", func() {
	It("are all that an apply out of order gets, and they end once all is there", func(ctx SpecContext) {
		namespace := newNamespace(ctx)
		flag := builders.MakeFlag(
			"new-checkout",
			namespace,
		).Boolean().Environment(
			"production",
		).Prerequisite(
			"payments",
			"on",
		).
			Rule(
				builders.MakeRule("r").ABTest("purchase").Audiences("beta").Serve("on"),
			).Obj()
		Expect(cluster.Create(ctx, flag)).To(Succeed())
		Expect(warned.take()).To(Equal([]string{
			`spec.environments[0].name: FlagEnvironment "production" does not exist`,
			`spec.environments[0].prerequisites[0].flag: no FeatureFlag has the key "payments"; the prerequisite is not met until one does`,
			`spec.environments[0].rules[0].audiences[0]: FlagAudience "beta" does not exist, and holds for nobody until it does`,
			`spec.environments[0].rules[0].metrics[0]: no FlagEvent has the key "purchase"`,
		}))

		create(ctx, builders.MakeEnvironment("production", namespace).Obj(), builders.MakeAudience("beta", namespace).Obj(),
			builders.MakeEvent("purchase", namespace).Obj(), builders.MakeFlag("payments", namespace).Boolean().Obj())
		flag.Spec.Description = "All is there."
		Expect(cluster.Update(ctx, flag)).To(Succeed())
		Expect(warned.take()).To(BeEmpty())
	})

	It("tell of a second flag and a second event with the same key", func(ctx SpecContext) {
		namespace := newNamespace(ctx)
		create(
			ctx,
			builders.MakeFlag("first", namespace).Key("k").Boolean().Obj(),
			builders.MakeEvent("first", namespace).Key("k").Obj(),
		)
		flag, event := builders.MakeFlag(
			"second",
			namespace,
		).Key(
			"k",
		).Boolean().Obj(), builders.MakeEvent(
			"second",
			namespace,
		).Key(
			"k",
		).Obj()
		Expect(cluster.Create(ctx, flag)).To(Succeed())
		Expect(cluster.Create(ctx, event)).To(Succeed())
		var want []string
		// Objects of the same second are ordered by their UIDs, which are random.
		if first := readFlag(
			ctx,
			namespace,
			"first",
		); !flag.CreationTimestamp.Equal(&first.CreationTimestamp) ||
			first.UID < flag.UID {
			want = append(
				want,
				`spec.key: FeatureFlag "first" holds the key "k" already; this flag is not served until that one is gone`,
			)
		}
		first := &v1alpha1.FlagEvent{}
		Expect(cluster.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "first"}, first)).To(Succeed())
		if !event.CreationTimestamp.Equal(&first.CreationTimestamp) || first.UID < event.UID {
			want = append(
				want,
				`spec.key: FlagEvent "first" holds the key "k" already; this event is not published until that one is gone`,
			)
		}
		Expect(warned.take()).To(HaveExactElements(want))
	})

	It("tell of a cycle, of archiving what is required and of a flag that leaves the flagd file", func(ctx SpecContext) {
		namespace := newNamespace(ctx)
		payments := builders.MakeFlag("payments", namespace).Boolean().Environment("production").Obj()
		create(ctx, builders.MakeEnvironment("production", namespace).Obj(), payments,
			builders.MakeFlag("checkout", namespace).Boolean().Environment("production").Prerequisite("payments", "on").Obj())

		cyclic := payments.DeepCopy()
		cyclic.Spec.Environments[0].Prerequisites = []v1alpha1.Prerequisite{{Flag: "checkout", Variations: []string{"on"}}}
		Expect(cluster.Update(ctx, cyclic, client.DryRunAll)).To(Succeed())
		Expect(
			warned.take(),
		).To(
			ConsistOf(
				HavePrefix(
					`spec.environments[0].prerequisites: the flag requires itself in environment "production": payments → checkout → payments; `,
				),
			),
		)

		archived := payments.DeepCopy()
		archived.Spec.Archived = true
		Expect(cluster.Update(ctx, archived, client.DryRunAll)).To(Succeed())
		Expect(
			warned.take(),
		).To(
			HaveExactElements(
				`spec.archived: required by "checkout", for which an archived flag is a prerequisite that is not met; remove it there first`,
				HavePrefix("the flag is archived: "),
			),
		)

		leaving := payments.DeepCopy()
		leaving.Spec.Environments[0].Rules = []v1alpha1.Rule{{Name: "r", Variation: "on", Conditions: []v1alpha1.Condition{
			{Attribute: "email", Operator: v1alpha1.OperatorMatches, Values: []string{"@example.com$"}},
		}}}
		Expect(cluster.Update(ctx, leaving, client.DryRunAll)).To(Succeed())
		Expect(
			warned.take(),
		).To(
			HaveExactElements(
				HavePrefix(`spec: the flag leaves the flagd files of "production"`),
				HavePrefix("production: of subjects that match "),
			),
		)
	})

	It("fit into what the API server passes on", func(ctx SpecContext) {
		flag := builders.MakeFlag("x", newNamespace(ctx)).Boolean()
		for _, letter := range "abcdefghijklmnopqrstuvwxyz" {
			flag.Environment(strings.Repeat(string(letter), 63))
		}
		Expect(cluster.Create(ctx, flag.Obj())).To(Succeed())
		texts := warned.take()
		Expect(texts).To(HaveLen(15))
		Expect(texts[14]).To(Equal("and 12 more warnings"))
	})
})

var _ = Describe("Deletion", func() {
	var namespace string
	BeforeEach(func(ctx SpecContext) { namespace = newNamespace(ctx) })
	enabled := func(name string) *builders.FlagBuilder {
		return builders.MakeFlag(name, namespace).Boolean().Environment("production")
	}

	It("of a flag that was enabled needs archiving or confirmation", func(ctx SpecContext) {
		create(
			ctx,
			builders.MakeEnvironment("production", namespace).Obj(),
			enabled("x").Obj(),
			enabled("y").Disabled().Obj(),
			enabled("z").Obj(),
		)
		Expect(causes(cluster.Delete(ctx, readFlag(ctx, namespace, "x")))).To(ConsistOf(SatisfyAll(
			HavePrefix(
				"metadata.annotations[flags.jackstaff.dev/confirm-delete]: Required value: ",
			),
			ContainSubstring("archive it first"),
		)))
		Expect(
			cluster.DeleteAllOf(ctx, &v1alpha1.FeatureFlag{}, client.InNamespace(namespace)),
		).To(
			MatchError(apierrors.IsInvalid, "IsInvalid"),
		)

		flag := readFlag(ctx, namespace, "x")
		flag.Spec.Archived = true
		Expect(cluster.Update(ctx, flag)).To(Succeed())
		Expect(cluster.Delete(ctx, flag)).To(Succeed())

		By("reading status too, so that a flag once enabled is no draft")
		draft := enabled("w").Disabled().Obj()
		create(ctx, draft)
		draft.Status.FirstEnabledTime = new(metav1.Now())
		Expect(cluster.Status().Update(ctx, draft)).To(Succeed())
		Expect(causes(cluster.Delete(ctx, draft))).To(HaveLen(1))

		By("taking the annotation for an answer")
		metav1.SetMetaDataAnnotation(&draft.ObjectMeta, v1alpha1.ConfirmDeleteAnnotation, "w")
		Expect(cluster.Update(ctx, draft)).To(Succeed())
		Expect(cluster.Delete(ctx, draft)).To(Succeed())
	})

	It("of a flag whose key another flag takes over is allowed, and not that of both", func(ctx SpecContext) {
		create(
			ctx,
			builders.MakeEnvironment("production", namespace).Obj(),
			enabled("old-name").Key("k").Obj(),
			enabled("new-name").Key("k").Obj(),
		)
		Expect(cluster.Delete(ctx, readFlag(ctx, namespace, "old-name"))).To(Succeed())
		// The cache may still know the deleted flag; the live read does not.
		Expect(causes(cluster.Delete(ctx, readFlag(ctx, namespace, "new-name")))).To(HaveLen(1))
	})

	It("of an audience or event waits for the flags that use it", func(ctx SpecContext) {
		audience, event := builders.MakeAudience(
			"beta",
			namespace,
		).Obj(), builders.MakeEvent(
			"purchase",
			namespace,
		).Key(
			"buy",
		).Obj()
		rule := builders.MakeRule("r").ABTest("buy").Audiences("beta").Serve("on")
		holding := enabled("a").Disabled().Rule(rule).Obj()
		controllerutil.AddFinalizer(holding, "example.com/hold")
		// The flags are not waited for: what the cache has not seen yet must be seen too.
		create(ctx, audience, event)
		Expect(cluster.Create(ctx, holding)).To(Succeed())
		Expect(cluster.Create(ctx, enabled("b").Disabled().Rule(rule).Obj())).To(Succeed())
		Expect(causes(cluster.Delete(ctx, audience))).To(Equal([]string{
			`metadata.name: Invalid value: "beta": is still named by unarchived flags: "a", "b"; change or archive them first`,
		}))
		Expect(causes(cluster.Delete(ctx, event))).To(Equal([]string{
			`metadata.name: Invalid value: "purchase": is still measured by unarchived flags: "a", "b"; change or archive them first`,
		}))

		By("not counting archived flags and flags that are being deleted")
		Expect(cluster.Delete(ctx, holding)).To(Succeed())
		archived := readFlag(ctx, namespace, "b")
		archived.Spec.Archived = true
		Expect(cluster.Update(ctx, archived)).To(Succeed())
		Expect(cluster.Delete(ctx, audience)).To(Succeed())
		Expect(cluster.Delete(ctx, event)).To(Succeed())

		Expect(cluster.Get(ctx, client.ObjectKeyFromObject(holding), holding)).To(Succeed())
		holding.Finalizers = nil
		Expect(cluster.Update(ctx, holding)).To(Succeed())
	})

	It("of a production environment needs confirmation", func(ctx SpecContext) {
		production, staging := builders.MakeEnvironment(
			"production",
			namespace,
		).Production().Obj(), builders.MakeEnvironment(
			"staging",
			namespace,
		).Obj()
		create(ctx, production, staging)
		Expect(cluster.Delete(ctx, staging)).To(Succeed())
		Expect(
			causes(cluster.Delete(ctx, production)),
		).To(
			ConsistOf(HavePrefix("metadata.annotations[flags.jackstaff.dev/confirm-delete]: Required value: ")),
		)
		metav1.SetMetaDataAnnotation(&production.ObjectMeta, v1alpha1.ConfirmDeleteAnnotation, "production")
		Expect(cluster.Update(ctx, production)).To(Succeed())
		Expect(cluster.Delete(ctx, production)).To(Succeed())
	})

	It("in a namespace that goes is never denied", func(ctx SpecContext) {
		objects := []client.Object{
			builders.MakeEnvironment("production", namespace).Production().Obj(), builders.MakeAudience("beta", namespace).Obj(),
			enabled("x").Rule(builders.MakeRule("r").Audiences("beta").Serve("on")).Obj(),
		}
		create(ctx, objects...)
		for _, object := range objects {
			Expect(cluster.Delete(ctx, object, client.DryRunAll)).To(MatchError(apierrors.IsInvalid, "IsInvalid"))
		}
		Expect(cluster.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})).To(Succeed())
		for _, object := range objects {
			Expect(cluster.Delete(ctx, object)).To(Succeed())
		}
	})
})

var _ = Describe("A dry run", func() {
	It("refuses, defaults and warns as the real thing, and stores nothing", func(ctx SpecContext) {
		namespace := newNamespace(ctx)
		Expect(
			causes(
				cluster.Create(ctx, builders.MakeFlag("x", namespace).Boolean().DefaultVariation("of").Obj(), client.DryRunAll),
			),
		).To(
			HaveLen(1),
		)
		flag := builders.MakeFlag("x", namespace).Boolean().Environment("production").Obj()
		Expect(cluster.Create(ctx, flag, client.DryRunAll)).To(Succeed())
		Expect(flag.Spec.Key).To(Equal("x"))
		Expect(warned.take()).To(HaveLen(1))
		Expect(cluster.Get(ctx, client.ObjectKeyFromObject(flag), flag)).To(MatchError(apierrors.IsNotFound, "IsNotFound"))
	})
})

var _ = Describe("With the webhooks down", Ordered, Serial, func() {
	var namespace string
	BeforeAll(func(ctx SpecContext) {
		namespace = newNamespace(ctx)
		create(
			ctx,
			builders.MakeEnvironment("production", namespace).Production().Obj(),
			builders.MakeAudience("beta", namespace).Obj(),
			builders.MakeEvent("purchase", namespace).Obj(),
			builders.MakeFlag(
				"x",
				namespace,
			).Boolean().Environment(
				"production",
			).Rule(
				builders.MakeRule("r").ABTest("purchase").Audiences("beta").Serve("on"),
			).Obj(),
		)
		stopManager()
	})
	AfterAll(func() { startManager() })

	It("nothing is opened", func(ctx SpecContext) {
		Expect(
			cluster.Create(ctx, builders.MakeFlag("y", namespace).Boolean().Obj()),
		).To(
			MatchError(apierrors.IsInternalError, "IsInternalError"),
		)
		Expect(
			cluster.Delete(ctx, readFlag(ctx, namespace, "x")),
		).To(
			MatchError(apierrors.IsInternalError, "IsInternalError"),
		)
	})

	It("the status is written, so that a controller without webhooks goes on", func(ctx SpecContext) {
		flag := readFlag(ctx, namespace, "x")
		flag.Status.Phase = v1alpha1.PhaseActive
		Expect(cluster.Status().Update(ctx, flag)).To(Succeed())
	})

	It("the namespace controller and the garbage collector delete", func(ctx SpecContext) {
		namespaceController := impersonate("system:serviceaccount:kube-system:namespace-controller")
		Expect(namespaceController.DeleteAllOf(ctx, &v1alpha1.FeatureFlag{}, client.InNamespace(namespace))).To(Succeed())
		Expect(namespaceController.DeleteAllOf(ctx, &v1alpha1.FlagEnvironment{}, client.InNamespace(namespace))).To(Succeed())
		garbageCollector := impersonate("system:serviceaccount:kube-system:generic-garbage-collector")
		Expect(garbageCollector.DeleteAllOf(ctx, &v1alpha1.FlagAudience{}, client.InNamespace(namespace))).To(Succeed())
		Expect(garbageCollector.DeleteAllOf(ctx, &v1alpha1.FlagEvent{}, client.InNamespace(namespace))).To(Succeed())
		for _, list := range []client.ObjectList{
			&v1alpha1.FeatureFlagList{}, &v1alpha1.FlagEnvironmentList{}, &v1alpha1.FlagAudienceList{}, &v1alpha1.FlagEventList{},
		} {
			Expect(cluster.List(ctx, list, client.InNamespace(namespace))).To(Succeed())
			Expect(list).To(HaveField("Items", BeEmpty()))
		}
	})
})

func readFlag(ctx SpecContext, namespace, name string) *v1alpha1.FeatureFlag {
	GinkgoHelper()
	flag := &v1alpha1.FeatureFlag{}
	Expect(cluster.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, flag)).To(Succeed())
	return flag
}

// impersonate returns a client that acts as user with all rights.
func impersonate(user string) client.Client {
	GinkgoHelper()
	as := rest.CopyConfig(config)
	as.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: []string{"system:masters"}}
	impersonating, err := client.New(as, client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())
	return impersonating
}

// kubeconfig writes an administrator's kubeconfig and returns its path.
func kubeconfig() string {
	GinkgoHelper()
	path := filepath.Join(GinkgoT().TempDir(), "kubeconfig")
	Expect(os.WriteFile(path, environment.KubeConfig, 0o600)).To(Succeed())
	return path
}
