// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package install_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"strconv"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
)

// leaveOldHistory makes a project in which a release up to 0.1 has left the history of a flag. It is called before the
// manager starts.
func (c *controlPlane) leaveOldHistory(project string) {
	GinkgoHelper()
	ctx := context.Background()
	Expect(client.IgnoreAlreadyExists(
		c.admin.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: project}}),
	)).To(Succeed())
	var packed bytes.Buffer
	writer := gzip.NewWriter(&packed)
	_, err := fmt.Fprintf(
		writer,
		`{"records":[{"id":"old-1","action":"flag.toggled","actor":{"name":"alice@example.com"},"time":%q}]}`,
		time.Now().UTC().Format(metav1.RFC3339Micro),
	)
	Expect(err).NotTo(HaveOccurred())
	Expect(writer.Close()).To(Succeed())
	data, err := json.Marshal(map[string][]byte{"gzip": packed.Bytes()})
	Expect(err).NotTo(HaveOccurred())
	Expect(c.admin.Create(ctx, &appsv1.ControllerRevision{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: project, Name: "jackstaff-history-old-1",
			Labels: map[string]string{
				v1alpha1.ManagedByLabel: v1alpha1.ManagedBy, v1alpha1.HistoryLabel: v1alpha1.HistoryRecorded,
				v1alpha1.FlagLabel: "retired", v1alpha1.UIDLabel: "f-0",
			},
			Annotations: map[string]string{v1alpha1.NameAnnotation: "retired"},
		},
		Data: runtime.RawExtension{Raw: data}, Revision: 1,
	})).To(Succeed())
}

// doTheJob has a running manager do everything that it does once, in a project that delivers to a customer, which are
// namespaces. Both are made where they are not there. LeaveOldHistory made the project.
func (c *controlPlane) doTheJob(project, customer string) {
	GinkgoHelper()
	ctx := context.Background()
	create := func(objects ...client.Object) {
		GinkgoHelper()
		for _, object := range objects {
			Expect(c.admin.Create(ctx, object)).To(Succeed(), object.GetName())
		}
	}
	in := func(namespace, name string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: namespace, Name: name}
	}
	for _, name := range []string{project, customer} {
		Expect(
			client.IgnoreAlreadyExists(c.admin.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})),
		).To(
			Succeed(),
		)
	}
	edit(c, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: customer}}, func(namespace *corev1.Namespace) {
		namespace.Labels["tier"] = "customer"
		namespace.Annotations = map[string]string{v1alpha1.AcceptFromAnnotation: project}
	})

	By("taking over the history of an older release")
	Eventually(func(g Gomega) {
		left := &appsv1.ControllerRevisionList{}
		g.Expect(c.admin.List(ctx, left, client.InNamespace(project))).To(Succeed())
		g.Expect(left.Items).To(BeEmpty())
		changes := &v1alpha1.FlagChangeList{}
		g.Expect(c.admin.List(ctx, changes, client.InNamespace(project),
			client.MatchingFields{"spec.object.name": "retired"})).To(Succeed())
		g.Expect(changes.Items).To(HaveLen(1))
		g.Expect(changes.Items[0].Spec.Actor.Name).To(Equal("alice@example.com"))
	}).WithTimeout(time.Minute).Should(Succeed())

	By("publishing and delivering")
	production := builders.MakeEnvironment(
		"production",
		project,
	).Production().Spec(
		func(spec *v1alpha1.FlagEnvironmentSpec) {
			spec.Delivery = v1alpha1.Delivery{
				NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"tier": "customer"}},
				RefreshPods:       true,
			}
			spec.DeletionPolicy, spec.Publish.RevisionHistoryLimit = v1alpha1.DeletionPolicyDelete, new(int32(1))
		},
	).Obj()
	flag := builders.MakeFlag("checkout", project).Boolean().Environment("production").
		Rule(builders.MakeRule("staff").Audiences("staff").ABTest("purchase").Split("on", 1).Split("off", 1)).
		Spec(func(spec *v1alpha1.FeatureFlagSpec) { spec.HistoryLimit = new(int32(1)) }).Obj()
	audience := builders.MakeAudience("staff", project).Members("alice").Obj()
	purchase := builders.MakeEvent("purchase", project).Obj()
	create(production, audience, purchase, flag)
	served := &corev1.ConfigMap{ObjectMeta: in(project, "flags-production")}
	revision := func(g Gomega) string { return fetch(g, c, served).Annotations[v1alpha1.RevisionAnnotation] }
	isPublished := func(g Gomega) {
		environment := fetch(g, c, production)
		g.Expect(environment.Status.PublishedRevision).To(BeNumerically(">", 0))
		g.Expect(environment.Status.Flags.Pending).To(BeZero())
		g.Expect(environment.Status.ObservedGeneration).To(Equal(environment.Generation))
		g.Expect(
			fetch(g, c, &corev1.ConfigMap{ObjectMeta: in(customer, "flags-production")}).Annotations[v1alpha1.RevisionAnnotation],
		).To(
			Equal(revision(g)),
		)
	}
	Eventually(func(g Gomega) {
		isPublished(g)
		g.Expect(served.Data["datafile.json"]).To(ContainSubstring(`"checkout"`))
		for _, subject := range []client.Object{flag, audience, purchase, production} {
			g.Expect(fetch(g, c, subject).GetAnnotations()).NotTo(HaveKey(v1alpha1.ChangesAnnotation), subject.GetName())
		}
		secrets := &corev1.SecretList{}
		g.Expect(c.admin.List(ctx, secrets, client.InNamespace(project))).To(Succeed())
		g.Expect(secrets.Items).To(HaveLen(1), "the SDK keys")
		g.Expect(fetch(g, c, purchase).Status.UsedBy).To(HaveLen(1))
	}).Should(Succeed())

	By("serving REST to those who may ask")
	c.servesREST(production, flag)

	By("refreshing a pod, and keeping one revision and one change")
	pod := &corev1.Pod{ObjectMeta: in(project, "web"), Spec: corev1.PodSpec{
		NodeName: "node",
		Containers: []corev1.Container{
			{Name: "web", Image: "web", VolumeMounts: []corev1.VolumeMount{{Name: "flags", MountPath: "/flags"}}},
		},
		Volumes: []corev1.Volume{{Name: "flags", VolumeSource: corev1.VolumeSource{
			ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: served.Name}},
		}}},
	}}
	create(pod)
	pod.Status.Phase = corev1.PodRunning
	Expect(c.admin.Status().Update(ctx, pod)).To(Succeed())
	for i := range 3 {
		before := revision(Default)
		edit(c, flag, func(flag *v1alpha1.FeatureFlag) { flag.Spec.Environments[0].Rules[0].Salt = strconv.Itoa(i) })
		Eventually(func(g Gomega) {
			isPublished(g)
			g.Expect(revision(g)).NotTo(Equal(before))
			g.Expect(fetch(g, c, flag).Annotations).NotTo(HaveKey(v1alpha1.ChangesAnnotation))
			if c.refreshes {
				g.Expect(fetch(g, c, pod).Annotations[v1alpha1.RevisionAnnotation]).To(Equal(revision(g)))
			}
		}).Should(Succeed())
	}
	Eventually(func(g Gomega) {
		changes := &v1alpha1.FlagChangeList{}
		g.Expect(
			c.admin.List(ctx, changes, client.InNamespace(project), client.MatchingLabels{v1alpha1.FlagLabel: flag.Name}),
		).To(
			Succeed(),
		)
		g.Expect(changes.Items).To(HaveLen(2), "one change in detail, and one record of the older ones")
		files := &corev1.ConfigMapList{}
		g.Expect(
			c.admin.List(
				ctx,
				files,
				client.InNamespace(project),
				client.MatchingLabels{v1alpha1.DatafileLabel: v1alpha1.DatafileHistory},
			),
		).To(
			Succeed(),
		)
		g.Expect(files.Items).To(HaveLen(1))
	}).Should(Succeed())

	By("refusing to delete what is used")
	for _, used := range []client.Object{flag, audience, purchase} {
		Expect(c.admin.Delete(ctx, used)).To(MatchError(apierrors.IsInvalid, "invalid"), used.GetName())
	}

	By("refusing what needs the permission")
	developer := c.actAs(
		"developer",
		project,
		rbacv1.PolicyRule{
			APIGroups: []string{v1alpha1.GroupVersion.Group},
			Resources: []string{"*"},
			Verbs:     []string{"get", "update"},
		},
	)
	Eventually(func() error {
		if err := developer.Get(ctx, client.ObjectKeyFromObject(production), production); err != nil {
			return err
		}
		production.Spec.Production = false
		return developer.Update(ctx, production)
	}).Should(MatchError(ContainSubstring(`needs the verb "publish"`)))

	By("asking for metrics, with and without the right to them")
	metrics := "https://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(c.metrics)) + "/metrics"
	scraper := &corev1.ServiceAccount{ObjectMeta: in(project, "scraper")}
	create(scraper)
	Expect(get(metrics, "")).To(Equal(401))
	Expect(get(metrics, c.token(project, "scraper"))).To(Equal(403))
	create(
		&rbacv1.ClusterRole{
			ObjectMeta: metav1.ObjectMeta{Name: "scraper"},
			Rules:      []rbacv1.PolicyRule{{NonResourceURLs: []string{"/metrics"}, Verbs: []string{"get"}}},
		},
	)
	c.bind("scraper", "scraper", rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: project, Name: "scraper"})
	Eventually(
		func() (int, error) { return get(metrics, c.token(project, "scraper")) },
	).WithTimeout(
		30 * time.Second,
	).Should(
		Equal(200),
	)
	expectDocumented(c.scrape(metrics, c.token(project, "scraper")))

	By("deleting everything")
	edit(c, flag, func(flag *v1alpha1.FeatureFlag) { flag.Spec.Archived = true })
	edit(c, production, func(environment *v1alpha1.FlagEnvironment) {
		environment.Annotations = map[string]string{v1alpha1.ConfirmDeleteAnnotation: environment.Name}
	})
	for _, object := range []client.Object{flag, audience, purchase, production} {
		Eventually(func() error { return client.IgnoreNotFound(c.admin.Delete(ctx, object)) }).Should(Succeed())
	}
	Eventually(func(g Gomega) {
		for _, namespace := range []string{project, customer} {
			files := &corev1.ConfigMapList{}
			g.Expect(
				c.admin.List(
					ctx,
					files,
					client.InNamespace(namespace),
					client.MatchingLabels{v1alpha1.ManagedByLabel: v1alpha1.ManagedBy},
				),
			).To(
				Succeed(),
			)
			g.Expect(files.Items).To(BeEmpty())
		}
		requested := &v1alpha1.FlagChangeList{}
		g.Expect(
			c.admin.List(
				ctx,
				requested,
				client.InNamespace(project),
				client.MatchingLabels{v1alpha1.HistoryLabel: v1alpha1.HistoryRequested},
			),
		).To(
			Succeed(),
		)
		g.Expect(requested.Items).To(BeEmpty(), "all deletions are recorded")
	}).Should(Succeed())
}
