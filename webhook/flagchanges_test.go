// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/internal/history"
)

var _ = Describe("A FlagChange", func() {
	var (
		namespace string
		operating client.Client
		change    *v1alpha1.FlagChange
	)
	made := func(id, actor, flag string) *v1alpha1.FlagChange {
		GinkgoHelper()
		record := history.Record{
			ID: id, Action: history.FlagToggled, Actor: history.Actor{Name: actor}, Time: metav1.NowMicro(),
			Changes: []history.Change{
				{Path: "spec.environments[production].enabled", From: []byte("true"), To: []byte("false")},
			},
		}
		of := history.ObjectOf("FeatureFlag", builders.MakeFlag(flag, namespace).Obj())
		change, err := history.NewChange(namespace, of, v1alpha1.HistoryRecorded, &record, []byte(`{"type":"Boolean"}`))
		Expect(err).NotTo(HaveOccurred())
		return change
	}
	BeforeEach(func(ctx SpecContext) {
		namespace = newNamespace(ctx)
		operating = impersonate(operator)
		change = made(namespace+"-a", "alice@example.com", "payments")
		Expect(operating.Create(ctx, change)).To(Succeed())
	})

	It("is written by nobody but the operator, be it an administrator", func(ctx SpecContext) {
		refused := func(err error) {
			GinkgoHelper()
			Expect(err).To(MatchError(apierrors.IsForbidden, "IsForbidden"))
			Expect(err).To(MatchError(ContainSubstring("change records are written by the operator alone")))
		}
		refused(cluster.Create(ctx, made("forged", "mallory", "payments")))
		edited := change.DeepCopy()
		edited.Labels[v1alpha1.HistoryLabel] = v1alpha1.HistoryRequested
		refused(cluster.Update(ctx, edited))
		refused(cluster.Patch(ctx, edited, client.MergeFrom(change)))
		edited.Status.Published = "production=1"
		refused(cluster.Status().Update(ctx, edited))
		refused(cluster.Delete(ctx, change))
		refused(cluster.DeleteAllOf(ctx, &v1alpha1.FlagChange{}, client.InNamespace(namespace)))
	})

	It("is immutable, for the operator too", func(ctx SpecContext) {
		for name, edit := range map[string]func(*v1alpha1.FlagChangeSpec){
			"actor":   func(spec *v1alpha1.FlagChangeSpec) { spec.Actor.Name = "bob@example.com" },
			"time":    func(spec *v1alpha1.FlagChangeSpec) { spec.Time = metav1.NowMicro() },
			"summary": func(spec *v1alpha1.FlagChangeSpec) { spec.Summary = "nothing" },
			"object":  func(spec *v1alpha1.FlagChangeSpec) { spec.Object.Name = "other" },
			"spec":    func(spec *v1alpha1.FlagChangeSpec) { spec.SpecGzip = "" },
		} {
			edited := change.DeepCopy()
			edit(&edited.Spec)
			Expect(operating.Update(ctx, edited)).To(MatchError(ContainSubstring("a change record is immutable")), name)
		}
	})

	It("is found by object and by actor", func(ctx SpecContext) {
		Expect(operating.Create(ctx, made(namespace+"-b", "bob@example.com", "search"))).To(Succeed())
		for field, value := range map[string]string{
			"spec.actor.name": "bob@example.com", "spec.object.name": "search", "spec.object.key": "search",
		} {
			list := &v1alpha1.FlagChangeList{}
			Expect(cluster.List(ctx, list, client.InNamespace(namespace), client.MatchingFields{field: value})).To(Succeed())
			Expect(list.Items).To(HaveLen(1), field)
			Expect(list.Items[0].Name).To(Equal(namespace+"-b"), "by "+field)
		}
	})
})
