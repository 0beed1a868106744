// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook_test

import (
	"context"
	"os/exec"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
)

var _ = Describe("The permission", Ordered, func() {
	// Four people with certificates of their own.
	var (
		users                       = map[string]*envtest.AuthenticatedUser{}
		viewer, editor, publisher   client.Client
		releaser                    client.Client
		namespace                   string
		production, manual, staging *v1alpha1.FlagEnvironment
		flag                        *v1alpha1.FeatureFlag
		audience                    *v1alpha1.FlagAudience
		event                       *v1alpha1.FlagEvent
		isForbidden                 = MatchError(apierrors.IsForbidden, "IsForbidden")
		everybody                   = []string{
			"viewer@example.com",
			"editor@example.com",
			"publisher@example.com",
			"releaser@example.com",
		}
		forbiddenFor, succeedWithout func(ctx SpecContext, object client.Object, change func())
	)
	BeforeAll(func() {
		clients := map[string]*client.Client{
			everybody[0]: &viewer,
			everybody[1]: &editor,
			everybody[2]: &publisher,
			everybody[3]: &releaser,
		}
		for name, target := range clients {
			user, err := environment.AddUser(envtest.User{Name: name, Groups: []string{"people"}}, nil)
			Expect(err).NotTo(HaveOccurred())
			users[name] = user
			*target, err = client.New(user.Config(), client.Options{Scheme: scheme})
			Expect(err).NotTo(HaveOccurred())
		}
	})
	BeforeEach(func(ctx SpecContext) {
		namespace = newNamespace(ctx)
		for i, role := range []string{"jackstaff-viewer", "jackstaff-editor", "jackstaff-publisher", "jackstaff-editor"} {
			bind(ctx, namespace, everybody[i], role)
		}
		// The releaser may publish to production alone.
		Expect(cluster.Create(ctx, &rbacv1.Role{
			ObjectMeta: metav1.ObjectMeta{Name: "publish-production", Namespace: namespace},
			Rules: []rbacv1.PolicyRule{{
				APIGroups: []string{v1alpha1.GroupVersion.Group}, Resources: []string{"flagenvironments"},
				ResourceNames: []string{"production"}, Verbs: []string{"publish"},
			}},
		})).To(Succeed())
		Expect(cluster.Create(ctx, &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: "publish-production", Namespace: namespace},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "publish-production"},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: everybody[3]}},
		})).To(Succeed())
		waitUntilMay(ctx, namespace, everybody[0], "get", "featureflags", "")
		waitUntilMay(ctx, namespace, everybody[1], "update", "featureflags", "")
		waitUntilMay(ctx, namespace, everybody[2], "publish", "flagenvironments", "production")
		waitUntilMay(ctx, namespace, everybody[3], "publish", "flagenvironments", "production")
		waitUntilMay(ctx, namespace, everybody[3], "update", "featureflags", "")

		production = builders.MakeEnvironment("production", namespace).Production().Obj()
		manual = builders.MakeEnvironment("reviewed", namespace).Production().Manual().Obj()
		staging = builders.MakeEnvironment("staging", namespace).Obj()
		audience = builders.MakeAudience("beta", namespace).Members("alice@example.com").Obj()
		event = builders.MakeEvent("purchase", namespace).Obj()
		flag = builders.MakeFlag("new-checkout", namespace).Boolean().
			Environment("staging").Environment("reviewed").
			Environment("production").Rule(builders.MakeRule("r").Audiences("beta").Serve("on")).Obj()
		for _, object := range []client.Object{production, manual, staging, audience, event, flag} {
			Expect(cluster.Create(ctx, object)).To(Succeed())
		}

		update := func(ctx SpecContext, as client.Client, object client.Object, change func(), options ...client.UpdateOption) error {
			GinkgoHelper()
			Expect(cluster.Get(ctx, client.ObjectKeyFromObject(object), object)).To(Succeed())
			change()
			return as.Update(ctx, object, options...)
		}
		forbiddenFor = func(ctx SpecContext, object client.Object, change func()) {
			GinkgoHelper()
			Expect(update(ctx, editor, object, change)).To(isForbidden)
			Expect(update(ctx, editor, object, change, client.DryRunAll)).To(isForbidden, "in a dry run")
			Expect(update(ctx, publisher, object, change)).To(Succeed())
		}
		succeedWithout = func(ctx SpecContext, object client.Object, change func()) {
			GinkgoHelper()
			Expect(update(ctx, editor, object, change)).To(Succeed())
		}
	})

	It("is needed for what a production environment publishes by itself, and says so", func(ctx SpecContext) {
		flag.Spec.Environments[2].Enabled = false
		err := editor.Update(ctx, flag.DeepCopy())
		Expect(err).To(isForbidden)
		Expect(err).To(MatchError(SatisfyAll(
			ContainSubstring(`"editor@example.com" needs the verb "publish" in namespace "`+namespace+`"`),
			ContainSubstring("flagenvironments/production (what it publishes of the flag changes)"),
			ContainSubstring("publisher role"), Not(ContainSubstring("flagenvironments/reviewed")))))
		Expect(readFlag(ctx, namespace, "new-checkout").Spec.Environments[2].Enabled).To(BeTrue())
		Expect(publisher.Update(ctx, flag)).To(Succeed())

		By("leaving to RBAC what it decides alone")
		flag.Spec.Description = "viewers only look"
		Expect(viewer.Update(ctx, flag)).To(isForbidden)
		Expect(viewer.Get(ctx, client.ObjectKeyFromObject(flag), flag)).To(Succeed())
	})

	It("is not needed for what is not published", func(ctx SpecContext) {
		succeedWithout(ctx, flag, func() {
			flag.Spec.Description, flag.Spec.DisplayName, flag.Spec.Owner, flag.Spec.Tags = "d", "n", "o", []string{"t"}
			flag.Spec.Environments[2].Rules[0].DisplayName = "Insiders"
			flag.Labels = map[string]string{"team": "checkout"}
		})
		succeedWithout(ctx, audience, func() { audience.Spec.DisplayName = "Beta testers" })
		succeedWithout(ctx, event, func() { event.Spec.Description = "User completes a purchase" })
	})

	It(
		"is not needed for other environments, of which those in mode Manual are published by a publisher",
		func(ctx SpecContext) {
			succeedWithout(ctx, flag, func() {
				flag.Spec.Environments[0].Rules = []v1alpha1.Rule{{Name: "r", Variation: "on"}}
				flag.Spec.Environments[1].Enabled = false
			})
			request := func() {
				metav1.SetMetaDataAnnotation(&manual.ObjectMeta, v1alpha1.PublishRequestedAtAnnotation, "2026-11-01T12:00:00Z")
			}
			forbiddenFor(ctx, manual, request)
		},
	)

	It("is needed where a production environment is suspended or pinned, which only delays", func(ctx SpecContext) {
		production.Spec.Publish.Suspend = true
		Expect(publisher.Update(ctx, production)).To(Succeed())
		forbiddenFor(ctx, flag, func() { flag.Spec.Environments[2].Enabled = false })
	})

	It("is needed for a value, for what serves everywhere and for archiving", func(ctx SpecContext) {
		forbiddenFor(ctx, flag, func() { flag.Spec.Variations[1].Payload = &v1alpha1.JSON{Raw: []byte(`{"a":1}`)} })
		forbiddenFor(ctx, flag, func() { flag.Spec.Metadata = map[string]string{"jira": "SHOP-12"} })
		forbiddenFor(ctx, flag, func() { flag.Spec.Archived = true })
		succeedWithout(ctx, flag, func() { flag.Spec.Environments[2].Enabled = false })
	})

	It("is needed for members, conditions and events", func(ctx SpecContext) {
		forbiddenFor(ctx, audience, func() { audience.Spec.Members = append(audience.Spec.Members, "bob@example.com") })
		forbiddenFor(ctx, audience, func() {
			audience.Spec.MatchAny = []v1alpha1.ConditionGroup{
				{Conditions: []v1alpha1.Condition{{Attribute: "plan", Operator: v1alpha1.OperatorIn, Values: []string{"beta"}}}},
			}
		})
		forbiddenFor(ctx, event, func() { event.Spec.Unit = "EUR" })
	})

	It("is needed to create and to delete", func(ctx SpecContext) {
		for _, object := range []client.Object{
			builders.MakeFlag("x", namespace).Boolean().Environment("production").
				Annotation(v1alpha1.ConfirmDeleteAnnotation, "x").Obj(),
			builders.MakeAudience("x", namespace).Members("a").Obj(),
			builders.MakeEvent("x", namespace).Obj(), builders.MakeEnvironment("x", namespace).Production().Obj(),
		} {
			Expect(editor.Create(ctx, object.DeepCopyObject().(client.Object))).To(isForbidden)
			Expect(publisher.Create(ctx, object)).To(Succeed())
			if object, is := object.(*v1alpha1.FlagEnvironment); is {
				metav1.SetMetaDataAnnotation(&object.ObjectMeta, v1alpha1.ConfirmDeleteAnnotation, "x")
				Expect(publisher.Update(ctx, object)).To(Succeed())
			}
			Expect(editor.Delete(ctx, object)).To(isForbidden)
			Expect(editor.Delete(ctx, object, client.DryRunAll)).To(isForbidden)
			Expect(publisher.Delete(ctx, object)).To(Succeed())
		}
		Expect(editor.Create(ctx, builders.MakeFlag("archived", namespace).Boolean().Archived().Obj())).To(Succeed())
		By("looking at who holds a key")
		Eventually(func() error {
			return editor.Create(
				ctx,
				builders.MakeFlag("rival", namespace).Key("new-checkout").Boolean().Archived().Obj(),
				client.DryRunAll,
			)
		}).Should(isForbidden)
		Expect(editor.DeleteAllOf(ctx, &v1alpha1.FlagEvent{}, client.InNamespace(namespace))).To(isForbidden)
	})

	It("is needed for every change of a production environment that matters, in every mode", func(ctx SpecContext) {
		succeedWithout(ctx, manual, func() {
			manual.Spec.DisplayName, manual.Spec.Order, manual.Labels = "Reviewed", 7, map[string]string{"a": "b"}
			metav1.SetMetaDataAnnotation(&manual.ObjectMeta, "example.com/note", "n")
		})
		forbiddenFor(ctx, manual, func() { manual.Spec.Publish.RevisionHistoryLimit = new(int32(3)) })
		forbiddenFor(ctx, manual, func() { manual.Spec.Datafile.Compression = v1alpha1.CompressionAlways })
		forbiddenFor(
			ctx,
			manual,
			func() { metav1.SetMetaDataAnnotation(&manual.ObjectMeta, v1alpha1.ConfirmDeleteAnnotation, "reviewed") },
		)
		forbiddenFor(
			ctx,
			manual,
			func() { metav1.SetMetaDataAnnotation(&manual.ObjectMeta, v1alpha1.ViewAnnotationPrefix+"avsb", "{}") },
		)
		forbiddenFor(ctx, manual, func() { manual.Spec.Production = false })
		By("taking nobody's right to their own")
		succeedWithout(ctx, manual, func() { manual.Spec.Publish.RevisionHistoryLimit = new(int32(4)) })
		forbiddenFor(ctx, manual, func() { manual.Spec.Production = true })
	})

	It("is needed to force-disable and to stop that, in every mode", func(ctx SpecContext) {
		forceDisable := func(names string) func() {
			return func() { metav1.SetMetaDataAnnotation(&flag.ObjectMeta, v1alpha1.ForceDisabledAnnotation, names) }
		}
		succeedWithout(ctx, flag, forceDisable("staging"))
		forbiddenFor(ctx, flag, forceDisable("staging,reviewed"))
		succeedWithout(ctx, flag, forceDisable("reviewed"))
		forbiddenFor(ctx, flag, forceDisable(""))
		Expect(
			editor.Create(
				ctx,
				builders.MakeFlag(
					"x",
					namespace,
				).Boolean().Archived().Annotation(
					v1alpha1.ForceDisabledAnnotation,
					"reviewed",
				).Obj(),
			),
		).To(
			isForbidden,
		)
	})

	It("is asked for each environment by its name, and all that is missing is told at once", func(ctx SpecContext) {
		flag.Spec.Environments[2].Enabled = false
		Expect(releaser.Update(ctx, flag)).To(Succeed())
		Expect(cluster.Create(ctx, builders.MakeEnvironment("europe", namespace).Production().Obj())).To(Succeed())
		flag.Spec.Archived = true
		metav1.SetMetaDataAnnotation(&flag.ObjectMeta, v1alpha1.ForceDisabledAnnotation, "reviewed")
		err := releaser.Update(ctx, flag)
		Expect(err).To(isForbidden)
		Expect(
			err,
		).To(
			MatchError(
				SatisfyAll(ContainSubstring("flagenvironments/europe ("), ContainSubstring(" and on flagenvironments/reviewed ("),
					Not(ContainSubstring("flagenvironments/production"))),
			),
		)
	})

	It("is needed to change what is being deleted, which is published until it is gone", func(ctx SpecContext) {
		flag.Finalizers = []string{"example.com/hold"}
		metav1.SetMetaDataAnnotation(&flag.ObjectMeta, v1alpha1.ConfirmDeleteAnnotation, flag.Name)
		Expect(cluster.Update(ctx, flag)).To(Succeed())
		Expect(publisher.Delete(ctx, flag)).To(Succeed())
		Expect(cluster.Get(ctx, client.ObjectKeyFromObject(flag), flag)).To(Succeed())
		changed := flag.DeepCopy()
		changed.Spec.Environments[2].Enabled = false
		Expect(editor.Update(ctx, changed)).To(isForbidden)
		controllerutil.RemoveFinalizer(flag, "example.com/hold")
		Expect(editor.Update(ctx, flag)).To(Succeed())
	})

	It("does not hold up the deletion of a namespace", func(ctx SpecContext) {
		Expect(cluster.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})).To(Succeed())
		for _, object := range []client.Object{flag, audience, event, production} {
			Expect(editor.Delete(ctx, object)).To(Succeed())
		}
	})

	It("is given and taken by RBAC, within seconds, and can be looked up", func(ctx SpecContext) {
		canI := func(user, environment string) string {
			GinkgoHelper()
			kubectl, err := users[user].Kubectl()
			Expect(err).NotTo(HaveOccurred())
			command := exec.CommandContext(
				ctx,
				kubectl.Path,
				append(kubectl.Opts, "-n", namespace, "auth", "can-i", "publish", "flagenvironments/"+environment)...)
			output, _ := command.Output() // It fails where the answer is no.
			return strings.TrimSpace(string(output))
		}
		Expect(canI(everybody[1], "production")).To(Equal("no"))
		Expect(canI(everybody[2], "production")).To(Equal("yes"))
		Expect(canI(everybody[3], "production")).To(Equal("yes"))
		Expect(canI(everybody[3], "reviewed")).To(Equal("no"))

		toggle := func(as client.Client) func() error {
			return func() error {
				if err := cluster.Get(ctx, client.ObjectKeyFromObject(flag), flag); err != nil {
					return err
				}
				flag.Spec.Environments[2].Enabled = !flag.Spec.Environments[2].Enabled
				return as.Update(ctx, flag)
			}
		}
		Expect(toggle(editor)()).To(isForbidden)
		bind(ctx, namespace, everybody[1], "jackstaff-publisher")
		Eventually(toggle(editor)).Should(Succeed())
		Expect(cluster.Delete(ctx, &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{
			Name: bindingName(everybody[1], "jackstaff-publisher"), Namespace: namespace,
		}})).To(Succeed())
		Eventually(toggle(editor)).Should(isForbidden)
	})

	It("is taken for missing while nobody can be asked, and can be tried again", func(ctx SpecContext) {
		role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "jackstaff-manager"}}
		Expect(cluster.Get(ctx, client.ObjectKeyFromObject(role), role)).To(Succeed())
		all := role.DeepCopy().Rules
		role.Rules = slices.DeleteFunc(
			role.Rules,
			func(rule rbacv1.PolicyRule) bool { return slices.Contains(rule.Resources, "subjectaccessreviews") },
		)
		Expect(role.Rules).To(HaveLen(len(all) - 1))
		Expect(cluster.Update(ctx, role)).To(Succeed())
		flag.Spec.Environments[2].Enabled = false
		attempt := func(ctx context.Context) error { return publisher.Update(ctx, flag.DeepCopy(), client.DryRunAll) }
		DeferCleanup(func(ctx SpecContext) {
			role.Rules = all
			Expect(cluster.Update(ctx, role)).To(Succeed())
			Eventually(attempt).WithContext(ctx).Should(Succeed())
		})
		Eventually(attempt).WithContext(ctx).WithPolling(time.Second).Should(SatisfyAll(
			MatchError(
				apierrors.IsInternalError,
				"IsInternalError",
			),
			MatchError(ContainSubstring("may publish flagenvironments/* of namespace \"%s\"; try again", namespace)),
		))
	})

	It(
		"is part of Kubernetes' own role for administrators of a namespace, and not of that for editors",
		func(ctx SpecContext) {
			for _, role := range []string{"edit", "admin"} {
				// What aggregates roles runs in no control plane of tests.
				roles := &rbacv1.ClusterRoleList{}
				Expect(
					cluster.List(ctx, roles, client.MatchingLabels{"rbac.authorization.k8s.io/aggregate-to-" + role: "true"}),
				).To(
					Succeed(),
				)
				var verbs []string
				for _, found := range roles.Items {
					if strings.HasPrefix(found.Name, "jackstaff-") {
						for _, rule := range found.Rules {
							verbs = append(verbs, rule.Verbs...)
						}
					}
				}
				Expect(verbs).NotTo(BeEmpty())
				if role == "admin" {
					Expect(verbs).To(ContainElement("*"))
				} else {
					Expect(verbs).NotTo(ContainElement(BeElementOf("*", "publish")))
				}
			}
		},
	)
})

func bindingName(user, role string) string {
	return strings.ReplaceAll(user, "@", ".") + "." + role
}

// bind gives a user a cluster role in a namespace.
func bind(ctx SpecContext, namespace, user, role string) {
	GinkgoHelper()
	Expect(cluster.Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: bindingName(user, role), Namespace: namespace},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}},
	})).To(Succeed())
}

// waitUntilMay waits until the API server knows of a binding.
func waitUntilMay(ctx SpecContext, namespace, user, verb, resource, name string) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User: user,
			ResourceAttributes: &authorizationv1.ResourceAttributes{
				Namespace: namespace, Verb: verb, Group: v1alpha1.GroupVersion.Group, Resource: resource, Name: name,
			},
		}}
		g.Expect(cluster.Create(ctx, review)).To(Succeed())
		g.Expect(review.Status.Allowed).To(BeTrue())
	}).Should(Succeed())
}
