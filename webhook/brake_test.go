// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
)

var _ = Describe("A brake", func() {
	It("stays where an update leaves the annotation out, and is lifted by an explicit empty value", func(ctx SpecContext) {
		namespace := newNamespace(ctx)
		create(ctx, builders.MakeEnvironment("staging", namespace).Obj())
		flag := builders.MakeFlag("checkout", namespace).Boolean().Environment("staging").Fallthrough("on").
			Annotation(v1alpha1.ForceDisabledAnnotation, "staging").Obj()
		create(ctx, flag)

		By("replacing the flag by a manifest that does not know of it")
		replacement := builders.MakeFlag("checkout", namespace).Boolean().Environment("staging").Fallthrough("on").Obj()
		replacement.ResourceVersion = flag.ResourceVersion
		Expect(cluster.Update(ctx, replacement)).To(Succeed())
		Expect(readFlag(ctx, namespace, "checkout").Annotations).To(
			HaveKeyWithValue(v1alpha1.ForceDisabledAnnotation, "staging"), "a replace must not switch the flag on")

		flag = readFlag(ctx, namespace, "checkout")
		flag.Annotations[v1alpha1.ForceDisabledAnnotation] = ""
		Expect(cluster.Update(ctx, flag)).To(Succeed())
		Expect(readFlag(ctx, namespace, "checkout").Annotations).To(
			HaveKeyWithValue(v1alpha1.ForceDisabledAnnotation, ""))
	})
})
