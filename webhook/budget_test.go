// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook_test

import (
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/internal/budget"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
)

// maxEnvironments is the budget of the namespaces of these tests, more than any other spec makes.
const maxEnvironments = 30

var _ = Describe("A namespace at its budget", func() {
	It("gets nothing more, by a message that names the limit, and can be edited and cleared", func(ctx SpecContext) {
		namespace := newNamespace(ctx)
		for i := range maxEnvironments {
			create(ctx, builders.MakeEnvironment(fmt.Sprintf("env-%d", i), namespace).Obj())
		}
		more := builders.MakeEnvironment("more", namespace).Obj()
		Eventually(func() error { return cluster.Create(ctx, more.DeepCopy()) }).Should(MatchError(SatisfyAll(
			ContainSubstring("may store %d environments", maxEnvironments),
			ContainSubstring("--"+budget.EnvironmentsFlag),
		)))
		Expect(cluster.Create(ctx, more.DeepCopy())).To(MatchError(apierrors.IsForbidden, "IsForbidden"))

		there := builders.MakeEnvironment("env-0", namespace).Obj()
		Expect(cluster.Get(ctx, client.ObjectKeyFromObject(there), there)).To(Succeed())
		there.Spec.DisplayName = "The first"
		Expect(cluster.Update(ctx, there)).To(Succeed())
		Expect(cluster.Delete(ctx, there)).To(Succeed())
		Eventually(func() error { return cluster.Create(ctx, more.DeepCopy()) }).Should(Succeed())

		By("another namespace has a budget of its own")
		create(ctx, builders.MakeEnvironment("env-0", newNamespace(ctx)).Obj())
	})
})
