// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/controllers"
)

// makePod makes a pod in a phase, as a kubelet would report it, with these volumes mounted at directories of their own.
func makePod(namespace, name string, phase corev1.PodPhase, volumes ...corev1.Volume) *corev1.Pod {
	GinkgoHelper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: "web"}}, Volumes: volumes},
	}
	for _, volume := range volumes {
		mount := corev1.VolumeMount{Name: volume.Name, MountPath: "/etc/" + volume.Name}
		if volume.Name == "by-subpath" {
			mount.SubPath = "flagd.json"
		}
		pod.Spec.Containers[0].VolumeMounts = append(pod.Spec.Containers[0].VolumeMounts, mount)
	}
	create(pod)
	pod.Status.Phase = phase
	Expect(k8s.Status().Update(context.Background(), pod)).To(Succeed())
	return pod
}

func configMapVolume(volume, configMap string) corev1.Volume {
	source := &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: configMap}}
	return corev1.Volume{Name: volume, VolumeSource: corev1.VolumeSource{ConfigMap: source}}
}

func projectedVolume(volume, configMap string) corev1.Volume {
	source := &corev1.ConfigMapProjection{LocalObjectReference: corev1.LocalObjectReference{Name: configMap}}
	return corev1.Volume{
		Name: volume,
		VolumeSource: corev1.VolumeSource{
			Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{{ConfigMap: source}}},
		},
	}
}

// refreshingEnvironment is deliveringEnvironment with refreshPods.
func refreshingEnvironment(project string) *v1alpha1.FlagEnvironment {
	environment := deliveringEnvironment(project)
	environment.Spec.Delivery.RefreshPods = true
	return environment
}

// eventsOf are the events of a reason about an object of a project.
func eventsOf(g Gomega, project, reason string) []eventsv1.Event {
	list, found := &eventsv1.EventList{}, []eventsv1.Event{}
	g.ExpectWithOffset(1, k8s.List(context.Background(), list, client.InNamespace(project))).To(Succeed())
	for _, event := range list.Items {
		if event.Reason == reason {
			found = append(found, event)
		}
	}
	return found
}

// asManager returns credentials with the rights that config/rbac gives the manager, and no others.
func asManager(name string) *rest.Config {
	GinkgoHelper()
	role := &rbacv1.ClusterRole{}
	manifest, err := os.ReadFile(filepath.Join("..", "config", "rbac", "role.yaml"))
	Expect(err).NotTo(HaveOccurred())
	Expect(yaml.UnmarshalStrict(manifest, role)).To(Succeed())
	role.Name = name
	create(role, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: name}},
	})
	config := rest.CopyConfig(restConfig)
	config.Impersonate = rest.ImpersonationConfig{UserName: name}
	return config
}

var _ = Describe("Refreshing pods", func() {
	var project, customer string
	ctx := context.Background()
	isOn := controllers.Options{RefreshPods: true}

	// publishAnother switches the flag checkout off and waits until that is served.
	publishAnother := func() {
		GinkgoHelper()
		edit(onFlag("checkout", project), func(flag *v1alpha1.FeatureFlag) { flag.Spec.Environments[0].Enabled = false })
		Eventually(func(g Gomega) { isServed(g, project, "production", "checkout", false) }).Should(Succeed())
	}
	// isRefreshed asserts that a pod has the annotation of the served revision.
	isRefreshed := func(g Gomega, pod *corev1.Pod) {
		revision := datafileOf(g, project, "production").Annotations[v1alpha1.RevisionAnnotation]
		g.ExpectWithOffset(1, fetch(g, pod).Annotations).To(HaveKeyWithValue(v1alpha1.RevisionAnnotation, revision), pod.Name)
	}

	BeforeEach(func() {
		project = makeNamespace()
		customer = makeCustomer(project, project)
	})

	It("annotates the pods that mount the datafile, within a second of each revision, and no others", func() {
		startOperatorWith(rest.CopyConfig(restConfig), isOn)
		create(refreshingEnvironment(project), onFlag("checkout", project))
		Eventually(func(g Gomega) { isServed(g, project, "production", "checkout", true) }).Should(Succeed())
		ended := makePod(project, "ended", corev1.PodSucceeded, configMapVolume("flags", "flags-production"))
		unscheduled := makePod(project, "unscheduled", corev1.PodPending, configMapVolume("flags", "flags-production"))
		without := makePod(project, "without", corev1.PodRunning)
		staging := makePod(project, "staging", corev1.PodRunning, configMapVolume("flags", "flags-staging"))
		elsewhere := makePod(makeNamespace(), "elsewhere", corev1.PodRunning, configMapVolume("flags", "flags-production"))
		starting := makePod(project, "starting", corev1.PodPending, configMapVolume("flags", "flags-production"))
		Expect(
			k8s.SubResource(
				"binding",
			).Create(
				ctx,
				starting,
				&corev1.Binding{Target: corev1.ObjectReference{Kind: "Node", Name: "node-1"}},
			),
		).To(
			Succeed(),
		)
		mounting := []*corev1.Pod{
			starting,
			makePod(project, "volume", corev1.PodRunning, configMapVolume("flags", "flags-production")),
			makePod(project, "projected", corev1.PodRunning, projectedVolume("flags", "flags-production")),
			makePod(customer, "customer", corev1.PodRunning, configMapVolume("flags", "flags-production")),
		}
		publishAnother()
		Eventually(func(g Gomega) {
			for _, pod := range mounting {
				isRefreshed(g, pod)
			}
		}).WithTimeout(time.Second).Should(Succeed())
		for _, pod := range []*corev1.Pod{ended, unscheduled, without, staging, elsewhere} {
			Expect(fetch(Default, pod).Annotations).NotTo(HaveKey(v1alpha1.RevisionAnnotation), pod.Name)
		}

		By("publishing once more")
		edit(onFlag("checkout", project), func(flag *v1alpha1.FeatureFlag) { flag.Spec.Environments[0].Enabled = true })
		Eventually(func(g Gomega) { isServed(g, project, "production", "checkout", true) }).Should(Succeed())
		Eventually(func(g Gomega) {
			for _, pod := range mounting {
				isRefreshed(g, pod)
			}
		}).WithTimeout(time.Second).Should(Succeed())
	})

	It("reaches more pods than are patched at a time", func() {
		startOperatorWith(rest.CopyConfig(restConfig), isOn)
		pods := []*corev1.Pod{}
		for i := range 150 {
			pods = append(
				pods,
				makePod(project, fmt.Sprintf("web-%d", i), corev1.PodRunning, configMapVolume("flags", "flags-production")),
			)
		}
		create(refreshingEnvironment(project))
		Eventually(func(g Gomega) {
			for _, pod := range pods {
				isRefreshed(g, pod)
			}
		}).Should(Succeed())
	})

	It("tells once of pods that mount by subPath", func() {
		startOperatorWith(rest.CopyConfig(restConfig), isOn)
		pod := makePod(project, "stuck", corev1.PodRunning, configMapVolume("by-subpath", "flags-production"))
		makePod(project, "fine", corev1.PodRunning, configMapVolume("flags", "flags-production"))
		create(refreshingEnvironment(project), onFlag("checkout", project))
		told := func(g Gomega) {
			events := eventsOf(g, project, v1alpha1.SubPathMountReason)
			g.Expect(
				events,
			).To(
				HaveExactElements(
					And(HaveField("Note", ContainSubstring("stuck")), HaveField("Note", Not(ContainSubstring("fine"))),
						HaveField("Regarding.Kind", "FlagEnvironment"), HaveField("Series", BeNil())),
				),
			)
		}
		Eventually(func(g Gomega) {
			isServed(g, project, "production", "checkout", true)
			isRefreshed(g, pod)
			told(g)
		}).Should(Succeed())
		publishAnother()
		Eventually(func(g Gomega) { isRefreshed(g, pod) }).Should(Succeed())
		told(Default)
	})

	It("tells of the pods that mount by subPath in each namespace", func() {
		startOperatorWith(rest.CopyConfig(restConfig), isOn)
		pods := []*corev1.Pod{makePod(project, "stuck", corev1.PodRunning, configMapVolume("by-subpath", "flags-production"))}
		for i := range 4 {
			pods = append(
				pods,
				makePod(
					makeCustomer(project, project),
					fmt.Sprint("stuck-", i),
					corev1.PodRunning,
					configMapVolume("by-subpath", "flags-production"),
				),
			)
		}
		create(refreshingEnvironment(project), onFlag("checkout", project))
		Eventually(func(g Gomega) {
			events := eventsOf(g, project, v1alpha1.SubPathMountReason)
			for _, pod := range pods {
				g.Expect(
					events,
				).To(
					ContainElement(And(HaveField("Note", HaveSuffix(" "+pod.Name)), HaveField("Related.Namespace", pod.Namespace))),
				)
			}
		}).Should(Succeed())
	})

	It("touches no pod where the environment does not ask for it, and begins when it does", func() {
		startOperatorWith(rest.CopyConfig(restConfig), isOn)
		environment := refreshingEnvironment(project)
		environment.Spec.Delivery.RefreshPods = false
		create(environment, onFlag("checkout", project))
		Eventually(func(g Gomega) { isServed(g, project, "production", "checkout", true) }).Should(Succeed())
		pods := []*corev1.Pod{
			makePod(project, "web", corev1.PodRunning, configMapVolume("flags", "flags-production")),
			makePod(customer, "web", corev1.PodRunning, configMapVolume("flags", "flags-production")),
		}
		publishAnother()
		Eventually(func(g Gomega) { isDelivered(g, project, "all 1", customer) }).Should(Succeed())
		Consistently(func(g Gomega) {
			for _, pod := range pods {
				g.Expect(fetch(g, pod).Annotations).To(BeEmpty())
			}
		}).WithTimeout(500 * time.Millisecond).Should(Succeed())
		edit(environment, func(environment *v1alpha1.FlagEnvironment) { environment.Spec.Delivery.RefreshPods = true })
		Eventually(func(g Gomega) {
			for _, pod := range pods {
				isRefreshed(g, pod)
			}
		}).Should(Succeed())
	})

	It("touches no pod where the operator has it switched off, and tells the environment that asks", func() {
		startOperator()
		create(refreshingEnvironment(project), onFlag("checkout", project))
		Eventually(func(g Gomega) {
			isServed(g, project, "production", "checkout", true)
			g.Expect(eventsOf(g, project, v1alpha1.PodRefreshOffReason)).To(HaveLen(1))
		}).Should(Succeed())
		pod := makePod(project, "web", corev1.PodRunning, configMapVolume("flags", "flags-production"))
		publishAnother()
		Eventually(func(g Gomega) { isDelivered(g, project, "all 1", customer) }).Should(Succeed())
		Expect(fetch(Default, pod).Annotations).To(BeEmpty())
	})

	It("publishes and delivers without rights on pods, tells of them once, and refreshes pods once it has them", func() {
		startOperatorWith(asManager(project), isOn)
		pod := makePod(project, "web", corev1.PodRunning, configMapVolume("flags", "flags-production"))
		create(refreshingEnvironment(project), onFlag("checkout", project))
		Eventually(func(g Gomega) {
			isServed(g, project, "production", "checkout", true)
			isDelivered(g, project, "all 1", customer)
			g.Expect(eventsOf(g, project, v1alpha1.PodRefreshForbiddenReason)).NotTo(BeEmpty())
		}).Should(Succeed())
		Expect(fetch(Default, pod).Annotations).To(BeEmpty())
		create(&rbacv1.ClusterRole{
			ObjectMeta: metav1.ObjectMeta{Name: project + "-pods"},
			Rules: []rbacv1.PolicyRule{
				{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"list", "watch", "patch"}},
			},
		}, &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: project + "-pods"},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: project + "-pods"},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: project}},
		})
		Eventually(func(g Gomega) { isRefreshed(g, pod) }).WithTimeout(time.Minute).Should(Succeed())
		Expect(
			eventsOf(Default, project, v1alpha1.PodRefreshForbiddenReason),
		).To(
			HaveExactElements(HaveField("Series", BeNil())),
		)
	})
})
