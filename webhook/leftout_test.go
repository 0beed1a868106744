// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook_test

import (
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
)

// What admission writes for an author who says nothing must not stand in the way of the tool that says something later.
var _ = Describe("An environment whose author leaves production out", func() {
	It("becomes production once a tool says so, and no more once another one does", func(ctx SpecContext) {
		namespace := newNamespace(ctx)
		environment := builders.MakeEnvironment("staging", namespace).Obj()
		apply := func(owner, spec string) error {
			applied := fmt.Sprintf(
				`{"apiVersion":%q,"kind":"FlagEnvironment","metadata":{"name":"staging","namespace":%q},"spec":%s}`,
				v1alpha1.GroupVersion, namespace, spec)
			return cluster.Patch(
				ctx,
				environment,
				client.RawPatch(types.ApplyYAMLPatchType, []byte(applied)),
				client.FieldOwner(owner),
			)
		}
		Expect(apply("argocd-controller", `{"order":1}`)).To(Succeed())
		Expect(environment.Spec.Production).To(BeFalse())
		Expect(apply("argocd-controller", `{"order":2}`)).To(Succeed())
		Expect(apply("argocd-controller", `{"order":2,"production":true}`)).To(Succeed())
		Expect(environment.Spec.Production).To(BeTrue())
		warned.take()
		Expect(apply("argocd-controller", `{"order":2}`)).To(Succeed())
		Expect(environment.Spec.Production).To(BeFalse())
		Expect(warned.take()).To(ContainElement(ContainSubstring("production no more")))
		Expect(apply("kubectl", `{"production":true}`)).To(Succeed())
		Expect(environment.Spec.Production).To(BeTrue())
	})
})
