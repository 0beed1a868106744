// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/controllers"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
)

// published remembers what each revision of a project's production stands for, as its native document.
type published map[string]string

// isKept asserts that no number stands for anything else than before, in the served ConfigMap or in the history, and
// that the history has lost nothing. The environment must keep more revisions than the test makes.
func (p published) isKept(g Gomega, project string) {
	all, history := &corev1.ConfigMapList{}, map[string]string{}
	g.ExpectWithOffset(1, k8s.List(
		context.Background(),
		all,
		client.InNamespace(project),
		client.MatchingLabels{
			v1alpha1.EnvironmentLabel: "production",
			v1alpha1.ManagedByLabel:   v1alpha1.ManagedBy,
		},
	)).To(Succeed())
	for i := range all.Items {
		revision, document := all.Items[i].Annotations[v1alpha1.RevisionAnnotation], all.Items[i].Data["datafile.json"]
		if known, ok := p[revision]; ok {
			g.ExpectWithOffset(1, document).To(Equal(known), "revision %s is used twice", revision)
		}
		p[revision] = document
		if all.Items[i].Labels[v1alpha1.DatafileLabel] == v1alpha1.DatafileHistory {
			history[revision] = document
		}
	}
	g.ExpectWithOffset(1, history).To(BeEquivalentTo(p), "the history has lost a revision")
}

// rememberingEnvironment is deliveringEnvironment with a history that is never pruned in a test.
func rememberingEnvironment(project string) *v1alpha1.FlagEnvironment {
	environment := deliveringEnvironment(project)
	environment.Spec.Publish.RevisionHistoryLimit = new(int32(100))
	return environment
}

// setEnabled switches a flag of onFlag.
func setEnabled(name, project string, enabled bool) {
	GinkgoHelper()
	edit(onFlag(name, project), func(flag *v1alpha1.FeatureFlag) { flag.Spec.Environments[0].Enabled = enabled })
}

// steppedClock is the system's clock with somebody's hand on it.
type steppedClock struct{ offset atomic.Int64 }

func (c *steppedClock) Now() time.Time                  { return time.Now().Add(time.Duration(c.offset.Load())) }
func (c *steppedClock) Since(t time.Time) time.Duration { return c.Now().Sub(t) }

// set makes it that time now.
func (c *steppedClock) set(to time.Time) { c.offset.Store(int64(time.Until(to))) }

// stopAPIServer stops the API server, which can be started again. It would wait for those who watch, so their
// connections are cut first.
func stopAPIServer(watching *operator) error {
	watching.link.set(true)
	defer watching.link.set(false)
	return controlPlane.ControlPlane.GetAPIServer().Stop()
}

// compactEtcd forgets everything that was, but for what is.
func compactEtcd() {
	GinkgoHelper()
	ask := func(path string, question any) (answer struct {
		Header struct{ Revision string }
	}) {
		body, err := json.Marshal(question)
		Expect(err).NotTo(HaveOccurred())
		request, err := http.NewRequestWithContext(context.Background(), http.MethodPost,
			controlPlane.ControlPlane.Etcd.URL.JoinPath(path).String(), bytes.NewReader(body))
		Expect(err).NotTo(HaveOccurred())
		response, err := http.DefaultClient.Do(request)
		Expect(err).NotTo(HaveOccurred())
		defer func() { _ = response.Body.Close() }()
		Expect(response.StatusCode).To(Equal(http.StatusOK))
		Expect(json.NewDecoder(response.Body).Decode(&answer)).To(Succeed())
		return answer
	}
	now := ask("/v3/kv/range", map[string]any{"key": []byte("/"), "keys_only": true})
	ask("/v3/kv/compaction", map[string]any{"revision": now.Header.Revision, "physical": true})
}

var _ = Describe("Faults of the cluster", func() {
	var project string
	var seen published
	ctx := context.Background()
	apiServer := controlPlane.ControlPlane.GetAPIServer()

	// isServedAs is isServed, with every revision kept.
	isServedAs := func(g Gomega, flag string, enabled bool) {
		isServed(g, project, "production", flag, enabled)
		seen.isKept(g, project)
	}
	begin := func() {
		GinkgoHelper()
		create(rememberingEnvironment(project), onFlag("checkout", project))
		Eventually(func(g Gomega) { isServedAs(g, "checkout", true) }).Should(Succeed())
	}

	BeforeEach(func() { project, seen = makeNamespace(), published{} })

	It("goes on where it was when the API server is restarted in mid-publish", func() {
		operator := startOperator()
		begin()
		// The history has the revision by then, and nobody serves it.
		var once sync.Once
		stopped := make(chan error, 1)
		refuse := func(verb string, object client.Object) bool {
			if verb == "update" && object.GetNamespace() == project && object.GetName() == "flags-production" {
				once.Do(func() { stopped <- stopAPIServer(operator) })
			}
			return false // The write itself finds nobody who answers.
		}
		operator.faults.refuse.Store(&refuse)
		before := revisionOf(Default, project, "production")
		setEnabled("checkout", project, false)
		Eventually(stopped).Should(Receive(Succeed()))
		Expect(apiServer.Start()).To(Succeed())
		Eventually(func(g Gomega) {
			isServedAs(g, "checkout", false)
			g.Expect(revisionOf(g, project, "production")).To(Equal(before+1), "what the history had is to be served")
		}).Should(Succeed())
	})

	It("sees what happened while the past was compacted away under its watches", func() {
		operator := startOperator()
		create(onFlag("search", project))
		begin()
		operator.link.set(true)
		setEnabled("checkout", project, false)
		Expect(k8s.Delete(ctx, onFlag("search", project))).To(Succeed())
		create(onFlag("payments", project))
		Expect(k8s.Delete(ctx, datafileOf(Default, project, "production"))).To(Succeed())
		compactEtcd()
		// An API server that has just been started knows only what etcd does.
		Expect(stopAPIServer(operator)).To(Succeed())
		Expect(apiServer.Start()).To(Succeed())
		Eventually(func(g Gomega) {
			isServedAs(g, "checkout", false)
			isServedAs(g, "payments", true)
			g.Expect(flagIn(g, datafileOf(g, project, "production"), "search")).To(BeNil())
		}).Should(Succeed())
	})

	It("publishes once where the leader is held up in mid-publish and another one takes over", func() {
		startElected := func() *operator {
			return startOperatorWith(rest.CopyConfig(restConfig), controllers.Options{}, func(options *ctrl.Options) {
				options.LeaderElection, options.LeaderElectionID, options.LeaderElectionNamespace = true, "manager", project
				options.LeaseDuration, options.RenewDeadline, options.RetryPeriod = new(
					2*time.Second,
				), new(
					time.Second,
				), new(
					200*time.Millisecond,
				)
			})
		}
		leader := startElected()
		begin()
		other := startElected()
		for i := range 2 {
			By("holding the leader up and cutting its link")
			held, release := make(chan struct{}), make(chan struct{})
			var once sync.Once
			refuse := func(verb string, object client.Object) bool {
				if verb == "update" && object.GetNamespace() == project && object.GetName() == "flags-production" {
					once.Do(func() { close(held) })
					<-release
				}
				return false
			}
			leader.faults.refuse.Store(&refuse)
			setEnabled("checkout", project, i%2 != 0)
			Eventually(held).Should(BeClosed())
			leader.link.set(true)
			create(onFlag([]string{"search", "payments"}[i], project))
			Eventually(leader.ended).Should(BeClosed())
			Expect(leader.err).To(MatchError(ContainSubstring("leader election lost")))
			Eventually(func(g Gomega) {
				isServedAs(g, "checkout", i%2 != 0)
				isServedAs(g, []string{"search", "payments"}[i], true)
			}).Should(Succeed())
			By("letting it go on")
			leader.link.set(false)
			close(release)
			leader, other = other, startElected()
		}
		setEnabled("checkout", project, false)
		Eventually(func(g Gomega) { isServedAs(g, "checkout", false) }).Should(Succeed())
	})

	It("uses no number twice, and comes to rest, though two managers believe to lead", func() {
		startOperator()
		startOperator()
		begin()
		for i := range 20 {
			edit(onFlag("checkout", project), func(flag *v1alpha1.FeatureFlag) {
				flag.Spec.Environments[0].Enabled, flag.Spec.Metadata = i%2 == 0, map[string]string{"edit": string(rune('a' + i))}
			})
			seen.isKept(NewGomega(func(string, ...int) {}), project) // What it finds wrong it finds again below.
		}
		Eventually(func(g Gomega) {
			isServedAs(g, "checkout", false)
			g.Expect(
				flagIn(g, datafileOf(g, project, "production"), "checkout"),
			).To(
				HaveKeyWithValue("metadata", HaveKeyWithValue("edit", "t")),
			)
		}).Should(Succeed())
		last := ""
		Eventually(func(g Gomega) {
			before := last
			last = datafileOf(g, project, "production").ResourceVersion
			g.Expect(last).To(Equal(before), "the managers go on correcting each other")
			isServedAs(g, "checkout", false)
		}).WithPolling(time.Second).Should(Succeed())
	})

	It("delivers to others when a namespace is deleted in mid-delivery, and to a new one of that name", func() {
		operator := startOperator()
		stays, goes := makeCustomer(project, project), makeCustomer(project, project)
		begin()
		Eventually(func(g Gomega) { isDelivered(g, project, "all 2", stays, goes) }).Should(Succeed())
		remove := sync.OnceValue(func() error { return removeNamespace(goes) })
		refuse := func(verb string, object client.Object) bool {
			return verb == "update" && object.GetNamespace() == goes && remove() != nil
		}
		operator.faults.refuse.Store(&refuse)
		setEnabled("checkout", project, false)
		Eventually(func(g Gomega) {
			isServedAs(g, "checkout", false)
			isDelivered(g, project, "all 1", stays)
			g.Expect(remove()).To(Succeed())
		}).Should(Succeed())

		create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
			Name:        goes,
			Labels:      map[string]string{teamLabel: project},
			Annotations: map[string]string{v1alpha1.AcceptFromAnnotation: project},
		}})
		Eventually(func(g Gomega) { isDelivered(g, project, "all 2", stays, goes) }).Should(Succeed())
	})

	It("publishes at once and counts on though the clock is set back or forward by years", func() {
		clock := &steppedClock{}
		startOperatorWith(rest.CopyConfig(restConfig), controllers.Options{Clock: clock})
		begin()
		enabled := true
		for _, year := range []int{1990, 2090, 1971, time.Now().Year()} {
			clock.set(time.Date(year, time.March, 1, 0, 0, 0, 0, time.UTC))
			for range 2 {
				enabled = !enabled
				before := revisionOf(Default, project, "production")
				setEnabled("checkout", project, enabled)
				Eventually(func(g Gomega) {
					isServedAs(g, "checkout", enabled)
					g.Expect(revisionOf(g, project, "production")).To(Equal(before + 1))
				}).WithTimeout(2 * time.Second).Should(Succeed())
			}
		}
		environment := builders.MakeEnvironment("production", project).Obj()
		edit(environment, func(environment *v1alpha1.FlagEnvironment) { environment.Spec.Publish.Revision = new(int64(1)) })
		Eventually(func(g Gomega) { g.Expect(revisionOf(g, project, "production")).To(BeEquivalentTo(1)) }).Should(Succeed())
		seen.isKept(Default, project)
	})
})

// removeNamespace deletes a namespace at once, as the namespace controller would in the end. Nothing else does in this
// control plane.
func removeNamespace(name string) error {
	ctx, namespace := context.Background(), namespaceNamed(name)
	if err := k8s.Delete(ctx, namespace); err != nil {
		return err
	}
	if err := k8s.DeleteAllOf(ctx, &corev1.ConfigMap{}, client.InNamespace(name)); err != nil {
		return err
	}
	if err := k8s.Get(ctx, client.ObjectKeyFromObject(namespace), namespace); err != nil {
		return err
	}
	namespace.Spec.Finalizers = nil
	return k8s.SubResource("finalize").Update(ctx, namespace)
}

var _ = Describe("Faults of the API server", func() {
	It("publishes again what conflicts with somebody else's write", func() {
		namespace := makeNamespace()
		operator := startOperator()
		create(builders.MakeEnvironment("production", namespace).Obj(), onFlag("checkout", namespace))
		Eventually(func(g Gomega) { isServed(g, namespace, "production", "checkout", true) }).Should(Succeed())
		last := revisionOf(Default, namespace, "production")
		conflicts := 3
		refuse := func(verb string, object client.Object) bool {
			if verb != "update" || object.GetName() != "flags-production" || conflicts == 0 {
				return false
			}
			conflicts--
			return true
		}
		operator.faults.refuse.Store(&refuse)
		edit(onFlag("checkout", namespace), func(flag *v1alpha1.FeatureFlag) { flag.Spec.Environments[0].Enabled = false })
		Eventually(func(g Gomega) {
			isServed(g, namespace, "production", "checkout", false)
			g.Expect(revisionOf(g, namespace, "production")).To(Equal(last+1), "a retry must not use up revisions")
		}).Should(Succeed())
	})

	It("knows which revision changed a flag though the history could not be pruned after it", func() {
		namespace := makeNamespace()
		operator := startOperator()
		create(
			builders.MakeEnvironment(
				"production",
				namespace,
			).Spec(
				func(spec *v1alpha1.FlagEnvironmentSpec) { spec.Publish.RevisionHistoryLimit = new(int32(1)) },
			).Obj(),
			onFlag("checkout", namespace),
		)
		revisionIsKnown := func(g Gomega, enabled bool) {
			isServed(g, namespace, "production", "checkout", enabled)
			g.Expect(fetch(g, onFlag("checkout", namespace)).Status.Environments).To(
				HaveExactElements(HaveField("Served.Revision", revisionOf(g, namespace, "production"))))
		}
		Eventually(func(g Gomega) { revisionIsKnown(g, true) }).Should(Succeed())
		var refused atomic.Bool
		refuse := func(verb string, _ client.Object) bool {
			return verb == "delete" && refused.CompareAndSwap(false, true)
		}
		operator.faults.refuse.Store(&refuse)
		edit(onFlag("checkout", namespace), func(flag *v1alpha1.FeatureFlag) { flag.Spec.Environments[0].Enabled = false })
		Eventually(func(g Gomega) { revisionIsKnown(g, false) }).Should(Succeed())
	})

	It("loses nothing while the API server is away", func() {
		namespace := makeNamespace()
		operator := startOperator()
		create(
			builders.MakeEnvironment("production", namespace).Obj(),
			onFlag("checkout", namespace),
			onFlag("search", namespace),
		)
		Eventually(func(g Gomega) { isServed(g, namespace, "production", "search", true) }).Should(Succeed())
		operator.link.set(true)
		edit(onFlag("checkout", namespace), func(flag *v1alpha1.FeatureFlag) { flag.Spec.Environments[0].Enabled = false })
		Expect(k8s.Delete(context.Background(), onFlag("search", namespace))).To(Succeed())
		Expect(k8s.Delete(context.Background(), datafileOf(Default, namespace, "production"))).To(Succeed())
		create(onFlag("payments", namespace))
		operator.link.set(false)
		Eventually(func(g Gomega) {
			isServed(g, namespace, "production", "checkout", false)
			isServed(g, namespace, "production", "payments", true)
			g.Expect(flagIn(g, datafileOf(g, namespace, "production"), "search")).To(BeNil())
		}).WithTimeout(30 * time.Second).Should(Succeed())
	})

	It("tells in the status why a write is refused", func() {
		namespace := makeNamespace()
		operator := startOperator()
		refuse := func(_ string, object client.Object) bool {
			return strings.HasPrefix(object.GetName(), "flags-production")
		}
		operator.faults.refuse.Store(&refuse)
		environment := builders.MakeEnvironment("production", namespace).Obj()
		create(environment)
		Eventually(func(g Gomega) {
			published := conditionOf(fetch(g, environment).Status.Conditions, v1alpha1.PublishedCondition)
			g.Expect(published.Reason).To(Equal(v1alpha1.WriteFailedReason))
			g.Expect(published.Message).To(ContainSubstring("injected failure"))
		}).Should(Succeed())
		operator.faults.refuse.Store(nil)
		Eventually(func(g Gomega) {
			g.Expect(
				conditionOf(fetch(g, environment).Status.Conditions, v1alpha1.PublishedCondition).Status,
			).To(
				Equal(metav1.ConditionTrue),
			)
		}).Should(Succeed())
		Expect(
			apierrors.IsNotFound(
				k8s.Get(
					context.Background(),
					client.ObjectKey{Namespace: namespace, Name: "flags-production-r2"},
					&corev1.ConfigMap{},
				),
			),
		).To(
			BeTrue(),
		)
	})
})
