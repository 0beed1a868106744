// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/internal/cli"
)

var _ = Describe("The command line", func() {
	It("switches a flag, publishes, rolls back and shows the history", func() {
		namespace := makeProject()
		Expect(served(namespace)).To(Equal("on"))

		By("switching by key and publishing")
		Expect(
			run(0, namespace, "toggle", "new/checkout", "-e", "production"),
		).To(
			Equal("FeatureFlag " + namespace + "/checkout is to be off in production\n"),
		)
		Expect(fetch(namespace, "checkout", &v1alpha1.FeatureFlag{}).Spec.Environments[0].Enabled).To(BeFalse())
		again := jackstaff(
			context.Background(),
			"",
			"toggle",
			"checkout",
			"-e",
			"production",
			"--off",
			"--kubeconfig",
			kubeconfig,
			"-n",
			namespace,
		)
		Expect(
			again.err,
		).To(
			MatchRegexp(
				`^production publishes by hand: the change is served after "jackstaff publish production -n \S+ --kubeconfig \S+"\.\n$`,
			),
		)
		Eventually(func() int32 {
			return fetch(namespace, "production", &v1alpha1.FlagEnvironment{}).Status.Flags.Pending
		}).Should(BeEquivalentTo(1))
		Expect(served(namespace)).To(Equal("on"), "nothing is published before it is asked for")
		Expect(
			run(0, namespace, "publish", "production", "--wait"),
		).To(
			Equal(namespace + "/production: revision 2 is served\n"),
		)
		Expect(served(namespace)).To(Equal("off"))

		By("rolling back, which does not undo the emergency stop")
		Expect(
			run(1, namespace, "rollback", "production"),
		).To(
			ContainSubstring("from revision 1, the oldest of its history, to revision 2 flags were switched off"),
		)
		change(namespace, "checkout", &v1alpha1.FeatureFlag{}, func(flag *v1alpha1.FeatureFlag) {
			flag.Spec.Environments[0].Enabled, flag.Spec.Environments[0].DefaultVariation = true, "off"
		})
		run(0, namespace, "publish", "production", "--wait")
		run(0, namespace, "toggle", "checkout", "-e", "production", "--off")
		run(0, namespace, "publish", "production", "--wait")
		dry := run(0, namespace, "rollback", "production", "--dry-run")
		Expect(dry).To(ContainSubstring("undoes revision 3"))
		Expect(dry).To(ContainSubstring("is to serve revision 2 (dry run)"))
		Expect(fetch(namespace, "production", &v1alpha1.FlagEnvironment{}).Spec.Publish.Revision).To(BeNil())
		Expect(run(0, namespace, "rollback", "production", "--wait")).To(ContainSubstring("revision 2 is pinned"))
		Expect(served(namespace)).To(Equal("off"))

		By("refusing to switch on what was switched off, without a yes")
		Expect(run(1, namespace, "rollback", "production", "--to", "1")).To(
			ContainSubstring("a rollback to revision 1 would switch on new/checkout (switched off since); add --yes"))
		Expect(run(0, namespace, "rollback", "production", "--to", "1", "--yes", "--wait")).To(
			MatchRegexp(`new/checkout goes on: .*from off to on(.*\n)*.*revision 1 is pinned`))
		Expect(served(namespace)).To(Equal("on"))
		Expect(run(1, namespace, "publish", "production")).To(ContainSubstring("is pinned to revision 1"))
		history := strings.Split(run(0, namespace, "history", "production"), "\n")
		Expect(history[0]).To(MatchRegexp(`^REVISION +AGE +BY +WHAT +SERVED$`))
		Expect(history[1]).To(MatchRegexp(`^4 +\d+s *$`))
		Expect(history[4]).To(MatchRegexp(`^1 +\d+s +served$`))
		Expect(run(1, namespace, "rollback", "production")).To(ContainSubstring(
			"nothing to undo in production: it is rolled back to revision 1 already, and revision 1 is the oldest of its history; ",
		))
		Expect(run(1, namespace, "rollback", "production", "--to", "7", "--wait", "--timeout", "1s")).To(
			ContainSubstring("the history of production holds no revision 7; it holds 1 to 4"))
		Expect(run(0, namespace, "rollback", "production", "--clear", "--yes", "--wait")).To(ContainSubstring("revision"))
		Expect(fetch(namespace, "production", &v1alpha1.FlagEnvironment{}).Spec.Publish.Revision).To(BeNil())
		Expect(run(2, namespace, "rollback", "production", "--clear", "--to", "1")).NotTo(BeEmpty())
	})

	It("rolls back under a brake, which stays", func() {
		namespace := makeProject()
		change(namespace, "checkout", &v1alpha1.FeatureFlag{}, func(flag *v1alpha1.FeatureFlag) {
			flag.Spec.Environments[0].DefaultVariation = "off"
		})
		run(0, namespace, "publish", "production", "--wait")
		Expect(run(0, namespace, "toggle", "checkout", "-e", "production", "--brake", "--wait")).To(
			ContainSubstring("is off in production, by the annotation"), "the environment publishes by hand, but not brakes")
		Expect(run(0, namespace, "rollback", "production", "--to", "1", "--wait")).To(ContainSubstring("no flag changes"))
		Expect(served(namespace)).To(Equal("off"))
		Expect(run(0, namespace, "status", "production")).To(MatchRegexp(`brakes +new/checkout\n`))

		By("serving the pinned revision anew once the brake is lifted, with a yes")
		run(0, namespace, "toggle", "checkout", "-e", "production", "--on")
		again := []string{"rollback", "production", "--to", "1", "--wait"}
		Expect(run(1, namespace, again...)).To(ContainSubstring("would switch on new/checkout"))
		Expect(
			served(namespace),
		).To(
			Equal("off"),
			"lifting a brake is an ordinary change, which waits for the end of the pin",
		)
		Expect(run(0, namespace, append(again, "--yes")...)).To(
			MatchRegexp(`new/checkout goes on(.*\n)*.*revision 1 is pinned`))
		Expect(served(namespace)).To(Equal("on"))
		Expect(fetch(namespace, "production", &v1alpha1.FlagEnvironment{}).Status.PublishedRevision).To(BeEquivalentTo(1))
	})

	It("refuses names that do not exist, and says which are near", func() {
		namespace := makeProject()
		Expect(run(1, namespace, "toggle", "checkout", "-e", "prod", "--off")).To(
			MatchRegexp(`there is no environment "prod" in namespace ".*"; did you mean "production"\?`))
		Expect(fetch(namespace, "checkout", &v1alpha1.FeatureFlag{}).Spec.Environments).To(HaveLen(1))
		Expect(run(1, namespace, "toggle", "chekout", "-e", "production")).To(ContainSubstring(`did you mean "checkout"`))
		Expect(run(1, namespace, "evaluate", "chekout", "-e", "production")).To(ContainSubstring(`did you mean "checkout"`))
		Expect(run(0, namespace, "evaluate", "checkout", "-e", "production")).To(ContainSubstring("on"))
		for _, command := range []string{"freeze", "publish", "rollback", "status", "history"} {
			Expect(run(1, namespace, command, "prodution")).To(ContainSubstring(`did you mean "production"?`), command)
		}
		Expect(run(1, namespace, "evaluate", "checkout", "-e", "prod")).To(ContainSubstring(`did you mean "production"?`))
	})

	It("completes names, and shows versions", func() {
		namespace := makeProject()
		at := []string{"--kubeconfig", kubeconfig, "-n", namespace}
		for _, tc := range []struct {
			arguments []string
			want      []string
		}{
			{[]string{"toggle"}, []string{"checkout", "new/checkout"}},
			{[]string{"freeze"}, []string{"production"}},
			{[]string{"history"}, []string{"production", "checkout"}},
			{[]string{"get", "flag"}, []string{"checkout"}},
			{[]string{"toggle", "checkout", "-e"}, []string{"production"}},
			{[]string{"rollback", "production", "--to"}, []string{"1"}},
		} {
			arguments := append([]string{"__complete", tc.arguments[0]}, at...)
			arguments = append(append(arguments, tc.arguments[1:]...), "")
			got := jackstaff(context.Background(), "", arguments...)
			for _, name := range tc.want {
				Expect(strings.Split(got.out, "\n")).To(ContainElement(name), "%q", arguments)
			}
		}
		got := jackstaff(context.Background(), "", "version", "--kubeconfig", kubeconfig)
		Expect(got.code).To(BeZero())
		Expect(got.out).To(MatchRegexp(`client +v1.2.3\nserver +v1\.\d+.*\noperator +unknown\n`))
		Expect(got.err).To(ContainSubstring("is the operator installed?"))
	})

	It("says what is wrong with an operator that nobody installed as a whole", func() {
		namespace := makeProject()
		got := jackstaff(context.Background(), "", "doctor", "--kubeconfig", kubeconfig, "-n", namespace)
		Expect(got.code).To(Equal(cli.ExitFailure), got.err)
		Expect(got.out).To(And(
			MatchRegexp(`OK +API server +Kubernetes v1`),
			MatchRegexp(`OK +definitions +5 are installed, with all fields`),
			MatchRegexp(`Warning +leader +no operator has ever led`),
			MatchRegexp(`Problem +webhooks +no webhook judges flags`),
			MatchRegexp(`Problem +admission +nothing judges changes`),
			MatchRegexp(`Warning +policies +the policy jackstaff-datafiles is missing`),
			MatchRegexp(`OK +environments +production serves revision 1|Warning +environments +production`),
			MatchRegexp(`OK +changes +none has waited`),
			MatchRegexp(`OK +rights +in namespace `+namespace+` you may read flags, change flags`),
			MatchRegexp(`OK +rights +in namespace `+namespace+` you may serve a change by --break-glass`),
			ContainSubstring("5 problems"),
		))
		audiences := &v1alpha1.FlagAudienceList{}
		Expect(k8s.List(context.Background(), audiences, client.InNamespace(namespace))).To(Succeed())
		Expect(audiences.Items).To(BeEmpty(), "the dry run stores nothing")
	})

	It("compares what the manifests hold, and with --prune everything", func() {
		namespace := makeProject()
		Expect(
			k8s.Create(context.Background(), builders.MakeFlag("other", namespace).Boolean().Environment("production").Obj()),
		).To(
			Succeed(),
		)
		run(0, namespace, "publish", "production", "--wait")
		exported := run(0, namespace, "export", "flags", "other")
		file := filepath.Join(GinkgoT().TempDir(), "flags.yaml")
		Expect(os.WriteFile(file, []byte(exported), 0o600)).To(Succeed())
		Expect(run(0, namespace, "diff", file, "-e", "production", "--exit-code")).To(Equal("production: no flag changes\n"))
		pruned := jackstaff(
			context.Background(),
			"",
			"diff",
			file,
			"-e",
			"production",
			"--exit-code",
			"--prune",
			"--kubeconfig",
			kubeconfig,
			"-n",
			namespace,
		)
		Expect(pruned.code).To(Equal(1))
		Expect(pruned.out).To(ContainSubstring("production: new/checkout removed"))
	})

	It("exports flags for OpenFeature's code generation", func() {
		namespace := makeProject()
		for _, arguments := range [][]string{{"export"}, {"export", "flag"}, {"export", "flags", "checkout"}} {
			manifest := run(0, namespace, append(arguments, "-o", "openfeature-manifest")...)
			Expect(manifest).To(And(ContainSubstring("flag-manifest.json"), ContainSubstring(`"new/checkout": {`)))
		}
		for arguments, code := range map[string]int{
			"export environments -o openfeature-manifest": 2, "export flags none -o openfeature-manifest": 1, "export -o json": 2,
		} {
			Expect(run(code, namespace, strings.Fields(arguments)...)).To(HavePrefix("jackstaff: "), arguments)
		}
	})

	It("stores nothing in a dry run, and waits until it is served", func() {
		namespace := makeProject()
		Expect(run(0, namespace, "toggle", "checkout", "-e", "production", "--off", "--dry-run")).To(
			Equal("FeatureFlag " + namespace + "/checkout is to be off in production (dry run)\n"))
		Expect(run(0, namespace, "archive", "checkout", "--dry-run")).To(HaveSuffix("(dry run)\n"))
		Expect(run(0, namespace, "freeze", "production", "--dry-run")).To(HaveSuffix("(dry run)\n"))
		flag := fetch(namespace, "checkout", &v1alpha1.FeatureFlag{})
		Expect([]bool{flag.Spec.Environments[0].Enabled, flag.Spec.Archived}).To(Equal([]bool{true, false}))
		environment := fetch(namespace, "production", &v1alpha1.FlagEnvironment{})
		Expect(environment.Spec.Publish.Suspend).To(BeFalse())

		By("failing at once where waiting does not help")
		Expect(run(1, namespace, "toggle", "checkout", "-e", "production", "--off", "--wait")).To(
			ContainSubstring(
				`is stored and not served: production is published by hand; "jackstaff publish production -n ` + namespace,
			),
		)
		waiting := map[string]any{}
		said := run(0, namespace, "toggle", "checkout", "-e", "production", "--off", "-o", "json")
		Expect(json.Unmarshal([]byte(said), &waiting)).To(Succeed())
		Expect(waiting).To(And(HaveKeyWithValue("changed", false), HaveKeyWithValue("message",
			ContainSubstring("is to be off in production: production publishes by hand"))))
		Expect(waiting).NotTo(HaveKey("served"), "a script takes the flag for switched off")
		change(namespace, "production", &v1alpha1.FlagEnvironment{}, func(environment *v1alpha1.FlagEnvironment) {
			environment.Spec.Publish.Mode = v1alpha1.PublishModeAutomatic
		})
		done := map[string]any{}
		Expect(
			json.Unmarshal(
				[]byte(run(0, namespace, "toggle", "checkout", "-e", "production", "--on", "--wait", "-o", "json")),
				&done,
			),
		).To(
			Succeed(),
		)
		Expect(
			done,
		).To(
			And(HaveKeyWithValue("served", true), HaveKeyWithValue("action", "on"), HaveKeyWithValue("key", "new/checkout")),
		)
		Expect(served(namespace)).To(Equal("on"))
		Expect(run(0, namespace, "archive", "checkout", "--wait")).To(ContainSubstring("is archived: no longer served in"))
		Expect(
			run(1, namespace, "evaluate", "checkout", "-e", "production"),
		).To(
			ContainSubstring("does not serve FeatureFlag"),
		)
		Expect(run(1, namespace, "toggle", "checkout", "-e", "production", "--on")).To(
			ContainSubstring("archive new/checkout -n"))
		Expect(run(0, namespace, "toggle", "checkout", "-e", "production", "--brake", "--wait")).To(
			ContainSubstring("the flag is not served, so that code gets"))
		change(namespace, "checkout", &v1alpha1.FeatureFlag{}, func(flag *v1alpha1.FeatureFlag) {
			flag.ForceDisableIn("production", false)
		})
		Expect(run(0, namespace, "archive", "checkout", "--restore", "--wait")).To(ContainSubstring("is restored: "))
		Expect(served(namespace)).To(Equal("on"))
		Expect(
			run(0, namespace, "freeze", "production", "--wait"),
		).To(
			HavePrefix(namespace + "/production is frozen at revision"),
		)
		Expect(run(0, namespace, "status")).To(MatchRegexp(`state +Frozen\nrevision +\d+, published \d+s ago`))
		Expect(
			run(1, namespace, "toggle", "checkout", "-e", "production", "--off", "--wait"),
		).To(
			ContainSubstring("production is frozen"),
		)
	})

	It("freezes an environment", func() {
		namespace := makeProject()
		Expect(run(0, namespace, "freeze", "production")).To(
			Equal(namespace + "/production serves revision 1 now, and is to be frozen\n"))
		Expect(fetch(namespace, "production", &v1alpha1.FlagEnvironment{}).Spec.Publish.Suspend).To(BeTrue())
		Expect(run(1, namespace, "publish", "production")).To(ContainSubstring("jackstaff freeze production -n " + namespace))
		Expect(run(0, namespace, "freeze", "production", "--off")).To(HaveSuffix("/production is to be thawed\n"))
		Expect(fetch(namespace, "production", &v1alpha1.FlagEnvironment{}).Spec.Publish.Suspend).To(BeFalse())
	})

	It("freezes with a reason and an end, which everybody sees", func() {
		namespace := makeProject()
		for wrong, says := range map[string][]string{
			"--for is from 1m to 8784h": {"--for", "59s"}, "--reason has at most": {"--reason", strings.Repeat("x", 257)},
			"none of the others can be": {"--off", "--for", "1h"}, "such as 72h": {"--for", "8785h"},
		} {
			Expect(run(2, namespace, append([]string{"freeze", "production"}, says...)...)).To(ContainSubstring(wrong))
		}
		Expect(fetch(namespace, "production", &v1alpha1.FlagEnvironment{}).Spec.Publish.Suspend).To(BeFalse())

		done := map[string]any{}
		Expect(json.Unmarshal([]byte(run(
			0, namespace, "freeze", "production", "--reason", "black friday", "--for", "72h", "--wait", "-o", "json",
		)), &done)).To(Succeed())
		Expect(done).To(And(HaveKeyWithValue("reason", "black friday"), HaveKey("until"), HaveKeyWithValue("served", true)))
		until := fetch(namespace, "production", &v1alpha1.FlagEnvironment{}).Spec.Publish.SuspendUntil
		Expect(until.Time).To(BeTemporally("~", time.Now().Add(72*time.Hour), 10*time.Minute))
		at := until.UTC().Format(time.RFC3339)
		Expect(run(0, namespace, "status", "production")).To(
			ContainSubstring("until " + at + ": black friday; \"jackstaff freeze production -n " + namespace))
		Expect(
			run(0, namespace, "get", "environments", "-o", "wide"),
		).To(
			And(ContainSubstring(at), ContainSubstring("black friday")),
		)

		By("keeping the reason where the end moves, and dropping both with the freeze")
		Expect(run(0, namespace, "freeze", "production", "--for", "1h")).To(HaveSuffix(": black friday\n"))
		run(0, namespace, "freeze", "production", "--off")
		publish := fetch(namespace, "production", &v1alpha1.FlagEnvironment{}).Spec.Publish
		Expect(publish.Suspend).To(BeFalse())
		Expect(publish.SuspendReason).To(BeEmpty())
		Expect(publish.SuspendUntil).To(BeNil())

		By("ending a freeze that has ended by itself")
		change(namespace, "production", &v1alpha1.FlagEnvironment{}, func(environment *v1alpha1.FlagEnvironment) {
			ended := metav1.NewTime(time.Now().Add(-time.Minute).Truncate(time.Second))
			environment.Spec.Publish.Suspend, environment.Spec.Publish.SuspendUntil = true, &ended
		})
		Expect(run(0, namespace, "freeze", "production", "--off")).To(ContainSubstring("is not frozen, and revision"))
		Expect(fetch(namespace, "production", &v1alpha1.FlagEnvironment{}).Spec.Publish.Suspend).To(BeFalse())
	})

	It("switches a flag off that Git owns, so that the tool does not undo it", func() {
		namespace := makeProject("argocd.argoproj.io/tracking-id=shop-flags:x")
		Expect(
			run(0, namespace, "toggle", "checkout", "-e", "production", "--off", "--wait"),
		).To(
			ContainSubstring("because Argo CD (shop-flags) owns the flag"),
		)
		flag := fetch(namespace, "checkout", &v1alpha1.FeatureFlag{})
		Expect(flag.Annotations).To(HaveKeyWithValue(v1alpha1.ForceDisabledAnnotation, "production"))
		Expect(flag.Spec.Environments[0].Enabled).To(BeTrue())
		Expect(run(0, namespace, "toggle", "checkout", "-e", "production")).To(ContainSubstring("is to be on in production"))
		Expect(
			fetch(namespace, "checkout", &v1alpha1.FeatureFlag{}).Annotations,
		).To(
			HaveKeyWithValue(v1alpha1.ForceDisabledAnnotation, ""),
		)
		Expect(k8s.Create(context.Background(), builders.MakeEnvironment("staging", namespace).Obj())).To(Succeed())
		Expect(run(1, namespace, "toggle", "checkout", "-e", "staging", "--on")).To(ContainSubstring("switch it on in Git"))
		Expect(run(1, namespace, "archive", "checkout")).To(ContainSubstring("change it in Git"))
	})

	It("archives and restores a flag", func() {
		namespace := makeProject()
		Expect(
			run(0, namespace, "archive", "new/checkout"),
		).To(
			Equal("FeatureFlag " + namespace + "/checkout is to be archived\n"),
		)
		Expect(fetch(namespace, "checkout", &v1alpha1.FeatureFlag{}).Spec.Archived).To(BeTrue())
		Expect(
			run(0, namespace, "archive", "checkout", "--restore"),
		).To(
			Equal("FeatureFlag " + namespace + "/checkout is to be restored\n"),
		)
		Expect(fetch(namespace, "checkout", &v1alpha1.FeatureFlag{}).Spec.Archived).To(BeFalse())
		Expect(run(1, namespace, "archive", "nothing")).To(ContainSubstring(`no flag of the name or key "nothing"`))
	})

	It("shows objects", func() {
		namespace := makeProject()
		Eventually(
			func() string { return run(0, namespace, "get") },
		).Should(
			MatchRegexp(`NAME +KEY +TYPE +PHASE +ENVIRONMENTS.*\ncheckout +new/checkout +Boolean +Active +production=on`),
		)
		Expect(
			run(0, namespace, "get", "environments", "-o", "name"),
		).To(
			Equal("flagenvironment.flags.jackstaff.dev/production\n"),
		)
		Expect(run(0, namespace, "get", "flags", "checkout", "-o", "json")).To(ContainSubstring(`"kind": "FeatureFlag"`))
		Expect(run(0, namespace, "get", "flags", "-o", "yaml")).To(ContainSubstring("kind: List"))
		Expect(run(0, namespace, "get", "events")).To(BeEmpty())
		Expect(run(2, namespace, "get", "nothing")).To(ContainSubstring("there are flags, environments, audiences, events"))
		Expect(run(1, namespace, "get", "flags", "chekout")).To(ContainSubstring(`did you mean "checkout"`))
		Expect(run(1, namespace, "get", "ffa", "nothing")).To(ContainSubstring(`there is no audience "nothing"`))
		for _, name := range []string{"flag", "ffl", "featureflags"} {
			Expect(
				run(0, namespace, "get", name, "new/checkout", "-o", "name"),
			).To(
				Equal("featureflag.flags.jackstaff.dev/checkout\n"),
				name,
			)
		}
		Expect(run(0, namespace, "get", "ffe", "-o", "wide")).To(MatchRegexp(`PENDING +MODE`))
		empty := jackstaff(context.Background(), "", "get", "audiences", "--kubeconfig", kubeconfig, "-n", namespace)
		Expect(empty.err).To(Equal("There are no audiences in namespace " + namespace + ".\n"))

		By("showing a table again when it changes")
		ctx, cancel := context.WithCancel(context.Background())
		watched := make(chan result, 1)
		go func() {
			watched <- jackstaff(ctx, "", "get", "flags", "-w", "--kubeconfig", kubeconfig, "-n", namespace)
		}()
		run(0, namespace, "archive", "checkout")
		Eventually(func() string { return run(0, namespace, "get") }).Should(ContainSubstring("Archived"))
		time.AfterFunc(3*time.Second, cancel)
		shown := result{}
		Eventually(watched).Should(Receive(&shown))
		Expect(shown.code).To(BeZero(), shown.err)
		Expect(shown.out).To(ContainSubstring("Archived"))
		everywhere := jackstaff(context.Background(), "", "get", "-A", "--kubeconfig", kubeconfig)
		Expect(everywhere.out).To(MatchRegexp("NAMESPACE +NAME(.*\n)*" + namespace + " +checkout"))
	})

	It("renders the bytes that the operator publishes of the same manifests", func() {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "shop-"}}
		Expect(k8s.Create(context.Background(), namespace)).To(Succeed())
		directory := GinkgoT().TempDir()
		files := bigProject()
		rendered := func(environment, revision, output string) string {
			GinkgoHelper()
			got := jackstaff(
				context.Background(),
				"",
				"render",
				directory,
				"-n",
				namespace.Name,
				"-e",
				environment,
				"--revision",
				revision,
				"-o",
				output,
			)
			Expect(got.code).To(BeZero(), got.err)
			return got.out
		}
		// published applies the files and returns the revision of production in which they are served.
		published := func() (revision string) {
			GinkgoHelper()
			Expect(writeFiles(directory, files)).To(Succeed())
			apply(namespace.Name, files)
			for _, environment := range []string{"staging", "production"} {
				Eventually(func(g Gomega) {
					served := &corev1.ConfigMap{}
					g.Expect(
						k8s.Get(context.Background(), client.ObjectKey{Namespace: namespace.Name, Name: "flags-" + environment}, served),
					).To(
						Succeed(),
					)
					revision = served.Annotations[v1alpha1.RevisionAnnotation]
					g.Expect(served.Data["datafile.json"]).To(Equal(rendered(environment, revision, "native")))
					g.Expect(served.Data["flagd.json"]).To(Equal(rendered(environment, revision, "flagd")))
				}).Should(Succeed())
			}
			return revision
		}
		first := published()
		firstBytes := rendered("production", first, "native")

		By("editing a flag and an audience")
		files["team-3/flag-017.yaml"] = strings.Replace(files["team-3/flag-017.yaml"], "10%", "22.5%", 1)
		files["audience-2.yaml"] = strings.Replace(files["audience-2.yaml"], "plan-2", "gold", 1)
		Expect(published()).NotTo(Equal(first))
		kept := fetch(namespace.Name, "flags-production-r"+first, &corev1.ConfigMap{})
		Expect(kept.Data["datafile.json"]).To(Equal(firstBytes))
	})

	It("exports manifests that are the same to a cluster", func() {
		namespace := makeProject()
		run(0, namespace, "freeze", "production")
		exported := run(0, namespace, "export")
		Expect(
			exported,
		).NotTo(
			Or(
				ContainSubstring("uid"),
				ContainSubstring("status"),
				ContainSubstring("suspend"),
				ContainSubstring("publish-requested-at"),
			),
		)
		file := filepath.Join(GinkgoT().TempDir(), "flags.yaml")
		Expect(os.WriteFile(file, []byte(exported), 0o600)).To(Succeed())
		Expect(run(0, namespace, "diff", file, "-e", "production")).To(Equal("production: no flag changes\n"))

		By("comparing an edit with what is served")
		Expect(
			os.WriteFile(file, []byte(strings.Replace(exported, "enabled: true", "enabled: false", 1)), 0o600),
		).To(
			Succeed(),
		)
		Expect(
			run(0, namespace, "diff", file, "-e", "production"),
		).To(
			ContainSubstring("100 % of subjects move from on to off"),
		)
	})
})
