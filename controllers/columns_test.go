// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	"context"
	"encoding/json"
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/discovery"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
)

// On call looks at "kubectl get" first, and filters by who owns a flag and who changed what.
var _ = Describe("kubectl get", func() {
	ctx := context.Background()
	var namespace string
	BeforeEach(func() {
		namespace = makeNamespace()
		startOperator()
		create(builders.MakeEnvironment("production", namespace).Obj())
		for _, name := range []string{"checkout", "search"} {
			flag := onFlag(name, namespace)
			flag.Spec.Key, flag.Spec.Owner = name+"_v2", "team-"+name
			create(flag)
		}
	})

	// row is what kubectl prints of an object, by column. Only says whether that takes -o wide.
	row := func(g Gomega, resource, name string) (cells map[string]any, wide map[string]bool) {
		reader := discovery.NewDiscoveryClientForConfigOrDie(restConfig).RESTClient()
		data, err := reader.Get().AbsPath(fmt.Sprintf("/apis/%s/namespaces/%s/%s/%s",
			v1alpha1.GroupVersion, namespace, resource, name)).
			SetHeader("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io").DoRaw(ctx)
		g.Expect(err).NotTo(HaveOccurred())
		table := &metav1.Table{}
		g.Expect(json.Unmarshal(data, table)).To(Succeed())
		g.Expect(table.Rows).To(HaveLen(1))
		cells, wide = map[string]any{}, map[string]bool{}
		for i, column := range table.ColumnDefinitions {
			cells[column.Name], wide[column.Name] = table.Rows[0].Cells[i], column.Priority > 0
		}
		return cells, wide
	}

	It("shows what is served beside what is wanted, the state of an environment, and with -o wide who", func() {
		Eventually(func(g Gomega) {
			flag, wide := row(g, "featureflags", "checkout")
			g.Expect(flag).To(HaveKeyWithValue("Environments", "production=on"))
			g.Expect(flag).To(HaveKeyWithValue("Owner", "team-checkout"))
			for column, isWide := range map[string]bool{"Environments": false, "Owner": true, "Changed": true, "By": true} {
				g.Expect(wide).To(HaveKeyWithValue(column, isWide))
			}
			environment, _ := row(g, "flagenvironments", "production")
			g.Expect(environment).To(HaveKeyWithValue("State", "Serving"))
			g.Expect(environment).To(HaveKey("Revision"))
		}).Should(Succeed())
		edit(builders.MakeEnvironment("production", namespace).Obj(), func(environment *v1alpha1.FlagEnvironment) {
			environment.Spec.Publish.Suspend = true
		})
		Eventually(func(g Gomega) {
			environment, _ := row(g, "flagenvironments", "production")
			g.Expect(environment).To(HaveKeyWithValue("State", "Frozen"))
		}).Should(Succeed())
		edit(onFlag("checkout", namespace), func(flag *v1alpha1.FeatureFlag) { flag.Spec.Environments[0].Enabled = false })
		Eventually(func(g Gomega) {
			flag, _ := row(g, "featureflags", "checkout")
			g.Expect(flag).To(HaveKeyWithValue("Environments", "production=on→off (frozen)"))
		}).Should(Succeed())
	})

	It("filters flags by key, owner and type, and changes by object and actor", func() {
		names := func(list client.ObjectList, selector client.MatchingFields) []string {
			Expect(k8s.List(ctx, list, client.InNamespace(namespace), selector)).To(Succeed(), "%v", selector)
			var names []string
			switch list := list.(type) {
			case *v1alpha1.FeatureFlagList:
				for i := range list.Items {
					names = append(names, list.Items[i].Name)
				}
			case *v1alpha1.FlagChangeList:
				for i := range list.Items {
					names = append(names, list.Items[i].Spec.Object.Name)
				}
			}
			return names
		}
		for field, value := range map[string]string{"spec.key": "search_v2", "spec.owner": "team-search"} {
			Expect(names(&v1alpha1.FeatureFlagList{}, client.MatchingFields{field: value})).To(
				HaveExactElements("search"), field)
		}
		Expect(names(&v1alpha1.FeatureFlagList{}, client.MatchingFields{"spec.type": "Boolean"})).To(
			ConsistOf("checkout", "search"))
		Expect(names(&v1alpha1.FeatureFlagList{}, client.MatchingFields{"spec.type": "String"})).To(BeEmpty())

		Expect(k8s.Delete(ctx, onFlag("checkout", namespace))).To(Succeed())
		for field, value := range map[string]string{
			"spec.object.kind": "FeatureFlag", "spec.object.name": "checkout", "spec.object.key": "checkout_v2",
			"spec.actor.name": "alice@example.com",
		} {
			Expect(names(&v1alpha1.FlagChangeList{}, client.MatchingFields{field: value})).To(ContainElement("checkout"), field)
			Expect(names(&v1alpha1.FlagChangeList{}, client.MatchingFields{field: "another"})).To(BeEmpty(), field)
		}
	})
})
