// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package e2e installs the operator on a cluster and uses it as people do: with kubectl, and with workloads that mount
// a datafile. `make e2e` runs it. It removes what it has installed, so it is not for a cluster on which Jackstaff is in
// use.
package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

const (
	project     = "shop"
	environment = "production"
	// flagName is a flag of config/samples, and also its key: a kill switch, on for everybody.
	flagName = "payments"
	// otherNamespace gets a copy of the datafile.
	otherNamespace = "e2e-web"
	// limit is what the time from an edit to the changed answer must stay below, at the 99th percentile.
	limit = 2 * time.Second
	// kubeletPatience is how long kubelet may take to look at a ConfigMap by itself.
	kubeletPatience = 3 * time.Minute
)

// suite is what all steps share.
type suite struct {
	*testing.T
	Gomega
	config  *rest.Config
	client  client.WithWatch
	pods    *kubernetes.Clientset
	kubectl string
	// hostNetwork is for a cluster without a network for pods and services.
	hostNetwork bool
	// edits is how often a flag is edited where pods are refreshed, and slowEdits where they are not.
	edits, slowEdits int
	workloads        []*workload
}

func newSuite(t *testing.T) *suite {
	t.Helper()
	if os.Getenv("E2E") == "" {
		t.Fatal("this needs a cluster on which to install the operator; run it with make e2e")
	}
	s := &suite{
		T:           t,
		Gomega:      NewWithT(t),
		kubectl:     os.Getenv("KUBECTL"),
		hostNetwork: os.Getenv("E2E_HOST_NETWORK") == "1",
	}
	s.edits, s.slowEdits = s.number("E2E_EDITS", 20), s.number("E2E_SLOW_EDITS", 4)
	s.SetDefaultEventuallyTimeout(time.Minute)
	s.SetDefaultEventuallyPollingInterval(50 * time.Millisecond)

	scheme := runtime.NewScheme()
	s.Expect(clientgoscheme.AddToScheme(scheme)).To(Succeed())
	s.Expect(v1alpha1.AddToScheme(scheme)).To(Succeed())
	var err error
	s.config, err = ctrl.GetConfig()
	s.Expect(err).NotTo(HaveOccurred())
	s.config.QPS = -1
	s.client, err = client.NewWithWatch(s.config, client.Options{Scheme: scheme})
	s.Expect(err).NotTo(HaveOccurred())
	s.pods, err = kubernetes.NewForConfig(s.config)
	s.Expect(err).NotTo(HaveOccurred())
	return s
}

func (s *suite) number(variable string, otherwise int) int {
	s.Helper()
	value := os.Getenv(variable)
	if value == "" {
		return otherwise
	}
	number, err := strconv.Atoi(value)
	s.Expect(err).NotTo(HaveOccurred(), "read "+variable)
	return number
}

// run runs kubectl and returns what it printed. Words are separated by spaces; further arguments are taken as they are.
func (s *suite) run(words string, further ...string) string {
	s.Helper()
	out, err := s.tryRun(words, further...)
	s.Expect(err).NotTo(HaveOccurred())
	return out
}

func (s *suite) tryRun(words string, further ...string) (string, error) {
	arguments := append(strings.Fields(words), further...)
	out, err := exec.CommandContext(s.Context(), s.kubectl, arguments...).CombinedOutput()
	if err != nil {
		err = fmt.Errorf("kubectl %s: %w: %s", strings.Join(arguments, " "), err, out)
	}
	return strings.TrimSpace(string(out)), err
}

func TestEndToEnd(t *testing.T) {
	s := newSuite(t)
	t.Cleanup(s.uninstall)
	s.install()
	s.applySamples()
	s.startWorkloads()

	fast := s.measure("with refreshPods", s.edits)
	s.killSwitch()
	s.rollBack()
	s.goOnWithoutOperator()
	s.run("-n shop patch flagenvironment production --type=merge -p", `{"spec":{"delivery":{"refreshPods":false}}}`)
	slow := s.measure("without refreshPods", s.slowEdits)

	fmt.Println("\nFrom the start of an edit, in ms:")
	fmt.Println("| | | edits | min | median | p90 | p99 | max |")
	fmt.Println("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
	for _, distribution := range slices.Concat(fast, slow) {
		fmt.Println(distribution)
	}
	for _, distribution := range fast {
		if p99 := distribution.percentile(99); p99 >= limit {
			t.Errorf("%s with refreshPods takes %s at the 99th percentile; it must be below %s", distribution.what, p99, limit)
		}
	}
}

func (s *suite) applySamples() {
	s.Helper()
	s.Log("applying config/samples")
	// The webhooks are called by a Service, which may take a moment longer than the pods to be ready.
	s.Eventually(
		func() error { _, err := s.tryRun("apply --server-side -k ../../config/samples"); return err },
	).Should(
		Succeed(),
	)
	s.run("create namespace " + otherNamespace)
	s.run("label namespace " + otherNamespace + " e2e=customer")
	s.run("annotate namespace " + otherNamespace + " flags.jackstaff.dev/accept-from=shop")
	s.run("-n shop patch flagenvironment production --type=merge -p",
		`{"spec":{"delivery":{"refreshPods":true,"namespaceSelector":{"matchLabels":{"e2e":"customer"}}}}}`)
	s.run("-n shop wait featureflag --all --for=condition=Published --timeout=60s")
	s.run("-n shop wait flagenvironment --all --for=condition=Ready --timeout=60s")
	s.run("-n shop wait flagenvironment/production --for=condition=Delivered --timeout=60s")
}

// setFlag switches the flag in production, and returns when it began to.
func (s *suite) setFlag(enabled bool) time.Time {
	s.Helper()
	patch := fmt.Appendf(nil, `[{"op":"replace","path":%q,"value":%t}]`, s.pathInFlag("enabled"), enabled)
	flag := &v1alpha1.FeatureFlag{ObjectMeta: metav1.ObjectMeta{Namespace: project, Name: flagName}}
	begin := time.Now()
	s.Expect(s.client.Patch(s.Context(), flag, client.RawPatch(types.JSONPatchType, patch))).To(Succeed())
	return begin
}

// pathInFlag is the JSON pointer to a field of the flag's environment production.
func (s *suite) pathInFlag(field string) string {
	s.Helper()
	flag := &v1alpha1.FeatureFlag{}
	s.Expect(s.client.Get(s.Context(), client.ObjectKey{Namespace: project, Name: flagName}, flag)).To(Succeed())
	i := slices.IndexFunc(flag.Spec.Environments, func(e v1alpha1.EnvironmentConfig) bool { return e.Name == environment })
	return fmt.Sprintf("/spec/environments/%d/%s", i, field)
}

// killSwitch is what docs/operations.md says to do in an emergency.
func (s *suite) killSwitch() {
	s.Helper()
	s.Log("using the kill switch")
	begin := time.Now()
	s.run("-n shop annotate featureflag payments flags.jackstaff.dev/force-disabled=production")
	s.run("-n shop wait featureflag/payments --for=condition=Published --timeout=30s")
	s.Logf(
		"the kill is published %s after the command was begun, two runs of kubectl included",
		time.Since(begin).Round(time.Millisecond),
	)
	s.Expect(
		s.run("-n shop get featureflag payments -o jsonpath={.status.summary}"),
	).To(
		ContainSubstring("production=off"),
	)
	s.allAnswer(false)
	s.run("-n shop annotate featureflag payments flags.jackstaff.dev/force-disabled-")
	s.allAnswer(true)
}

func (s *suite) rollBack() {
	s.Helper()
	s.Log("rolling back")
	before := s.run("-n shop get flagenvironment production -o jsonpath={.status.publishedRevision}")
	s.setFlag(false)
	s.allAnswer(false)
	s.run("-n shop patch flagenvironment production --type=merge -p", `{"spec":{"publish":{"revision":`+before+`}}}`)
	s.run(
		"-n shop wait flagenvironment/production --for=jsonpath={.status.publishedRevision}=" + before + " --timeout=30s",
	)
	s.allAnswer(true)
	s.setFlag(true)
	s.run("-n shop patch flagenvironment production --type=merge -p", `{"spec":{"publish":{"revision":null}}}`)
	s.run(
		"-n shop wait flagenvironment/production --for=jsonpath={.status.conditions[?(@.type==\"Published\")].reason}=Published --timeout=30s",
	)
	s.allAnswer(true)
}

// goOnWithoutOperator stops the operator before a schedule sets in.
func (s *suite) goOnWithoutOperator() {
	s.Helper()
	s.Log("stopping the operator before a schedule sets in")
	// It must be published and the operator gone by then.
	instant := time.Now().Add(30 * time.Second).Truncate(time.Second).UTC()
	schedule := func(value string) {
		s.Helper()
		s.run("-n shop patch featureflag payments --type=json -p",
			fmt.Sprintf(`[{"op":"add","path":%q,"value":%s}]`, s.pathInFlag("schedule"), value))
	}
	schedule(fmt.Sprintf(`{"disableAt":%q}`, instant.Format(time.RFC3339)))
	s.run("-n shop wait featureflag/payments --for=condition=Published --timeout=20s")
	revision := s.servedRevision()
	for _, workload := range s.workloads {
		workload.hasFile(revision)
	}
	s.run("-n jackstaff-system scale deployment jackstaff-manager --replicas=0")
	s.run("-n jackstaff-system wait pod -l app.kubernetes.io/component=manager --for=delete --timeout=60s")
	s.Expect(
		time.Now(),
	).To(
		BeTemporally("<", instant),
		"stopping the operator took too long for the test to prove anything",
	)
	s.Logf("the operator is gone %s before the instant", time.Until(instant).Round(time.Millisecond))
	for _, workload := range s.workloads {
		workload.answers(true)
	}
	for _, workload := range s.workloads {
		at := workload.waitFor(
			instant.Add(-time.Second),
			func(line line) bool { return line.Event == "answer" && !line.Value },
		)
		s.Logf("%s: changed its answer %s after the instant", workload.name, at.Sub(instant).Round(time.Millisecond))
		s.Expect(at).To(And(BeTemporally(">=", instant), BeTemporally("<", instant.Add(limit))))
	}

	s.Log("starting a pod while the operator is down")
	late := s.startWorkload("late", project, "flagd")
	late.answers(false)
	s.Expect(s.client.Delete(s.Context(), late.pod, client.GracePeriodSeconds(0))).To(Succeed())

	s.run("-n jackstaff-system scale deployment jackstaff-manager --replicas=" + s.replicas())
	s.run("-n jackstaff-system rollout status deployment jackstaff-manager --timeout=120s")
	s.Eventually(func() error {
		_, err := s.tryRun(
			"-n shop patch featureflag payments --type=json -p",
			`[{"op":"test","path":"/metadata/name","value":"payments"}]`,
		)
		return err
	}).Should(Succeed())
	schedule("null")
	s.allAnswer(true)
}

func (s *suite) servedRevision() int64 {
	s.Helper()
	served := &corev1.ConfigMap{}
	s.Expect(
		s.client.Get(s.Context(), client.ObjectKey{Namespace: project, Name: "flags-" + environment}, served),
	).To(
		Succeed(),
	)
	return revisionOf(served)
}

func revisionOf(configMap *corev1.ConfigMap) int64 {
	revision, _ := strconv.ParseInt(configMap.Annotations[v1alpha1.RevisionAnnotation], 10, 64)
	return revision
}

// allAnswer waits until every workload answers so.
func (s *suite) allAnswer(value bool) {
	s.Helper()
	for _, workload := range s.workloads {
		workload.answers(value)
	}
}

// uninstall removes everything, and first shows what the operator said where the test has failed.
func (s *suite) uninstall() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	run := func(arguments string) {
		out, err := exec.CommandContext(ctx, s.kubectl, strings.Fields(arguments)...).CombinedOutput()
		if err != nil || strings.Contains(arguments, " logs ") {
			s.Logf("kubectl %s: %v\n%s", arguments, err, out)
		}
	}
	if s.Failed() {
		run("-n jackstaff-system logs -l app.kubernetes.io/component=manager --tail=60")
		run("get pods -A -o wide")
	}
	if os.Getenv("E2E_KEEP") == "1" {
		return
	}
	run("delete --ignore-not-found --wait=false validatingwebhookconfiguration jackstaff-validating-webhook-configuration")
	run("delete --ignore-not-found namespace " + project + " " + otherNamespace)
	run("delete --ignore-not-found -k config")
}
