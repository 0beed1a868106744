// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package install_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// asked is what the account has asked of the API server, as RBAC sees it.
type asked struct{ verb, group, resource, subresource, namespace, name string }

func (a asked) String() string {
	return fmt.Sprintf("%s %s.%s/%s %s/%s", a.verb, a.resource, a.group, a.subresource, a.namespace, a.name)
}

// requests reads the audit log: what was allowed, and what was denied.
func (c *controlPlane) requests(g Gomega) (allowed, denied map[asked]bool) {
	file, err := os.Open(c.audit)
	g.Expect(err).NotTo(HaveOccurred())
	defer func() { _ = file.Close() }()
	allowed, denied = map[asked]bool{}, map[asked]bool{}
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var event struct {
			Verb        string
			Annotations map[string]string
			ObjectRef   *struct{ Resource, Namespace, Name, APIGroup, Subresource string }
		}
		g.Expect(json.Unmarshal(lines.Bytes(), &event)).To(Succeed())
		if event.ObjectRef == nil {
			continue // Discovery, which everybody may.
		}
		of := event.ObjectRef
		request := asked{event.Verb, of.APIGroup, of.Resource, of.Subresource, of.Namespace, of.Name}
		if event.Annotations["authorization.k8s.io/decision"] == "allow" {
			allowed[request] = true
		} else {
			denied[request] = true
		}
	}
	g.Expect(lines.Err()).NotTo(HaveOccurred())
	return allowed, denied
}

// right is one verb on one resource in one rule of one role.
type right struct {
	role                  *unstructured.Unstructured
	rule                  int
	group, resource, verb string
}

func (r right) String() string {
	return fmt.Sprintf(
		"%s %s.%s in %s %s/%s",
		r.verb,
		r.resource,
		r.group,
		r.role.GetKind(),
		r.role.GetNamespace(),
		r.role.GetName(),
	)
}

func (r right) rules() []rbacv1.PolicyRule {
	role := &rbacv1.ClusterRole{}
	ExpectWithOffset(1, runtime.DefaultUnstructuredConverter.FromUnstructured(r.role.Object, role)).To(Succeed())
	return role.Rules
}

// covers reports whether a request may be one that the right allows.
func (r right) covers(request asked) bool {
	resource := request.resource
	if request.subresource != "" {
		resource += "/" + request.subresource
	}
	names := r.rules()[r.rule].ResourceNames
	return r.verb == request.verb && r.group == request.group && r.resource == resource &&
		(r.role.GetNamespace() == "" || r.role.GetNamespace() == request.namespace) &&
		(len(names) == 0 || slices.Contains(names, request.name))
}

// without returns the role without the right.
func (r right) without() *unstructured.Unstructured {
	GinkgoHelper()
	rules := r.rules()
	rule := rules[r.rule]
	rules = slices.Delete(rules, r.rule, r.rule+1)
	for _, group := range rule.APIGroups {
		for _, resource := range rule.Resources {
			verbs := slices.DeleteFunc(slices.Clone(rule.Verbs), func(verb string) bool {
				return group == r.group && resource == r.resource && verb == r.verb
			})
			if len(verbs) > 0 {
				rules = append(
					rules,
					rbacv1.PolicyRule{
						APIGroups:     []string{group},
						Resources:     []string{resource},
						Verbs:         verbs,
						ResourceNames: rule.ResourceNames,
					},
				)
			}
		}
	}
	encoded, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&rbacv1.ClusterRole{Rules: rules})
	Expect(err).NotTo(HaveOccurred())
	reduced := r.role.DeepCopy()
	reduced.Object["rules"] = encoded["rules"]
	return reduced
}

// rightsOf are all rights that the roles among objects give to the account.
func rightsOf(objects []*unstructured.Unstructured) []right {
	GinkgoHelper()
	bound := map[string]bool{}
	for _, object := range objects {
		subjects, _, _ := unstructured.NestedSlice(object.Object, "subjects")
		for _, subject := range subjects {
			if subject.(map[string]any)["name"] == account {
				kind, _, _ := unstructured.NestedString(object.Object, "roleRef", "kind")
				name, _, _ := unstructured.NestedString(object.Object, "roleRef", "name")
				bound[kind+" "+object.GetNamespace()+"/"+name] = true
			}
		}
	}
	var rights []right
	for _, object := range objects {
		if !bound[object.GetKind()+" "+object.GetNamespace()+"/"+object.GetName()] {
			continue
		}
		all := right{role: object}
		for i, rule := range all.rules() {
			for _, group := range rule.APIGroups {
				for _, resource := range rule.Resources {
					for _, verb := range rule.Verbs {
						rights = append(rights, right{object, i, group, resource, verb})
					}
				}
			}
		}
	}
	Expect(rights).NotTo(BeEmpty())
	return rights
}

// may asks the API server whether the account may do again what it did.
func (c *controlPlane) may(g Gomega, request asked) bool {
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User:   accountUser,
		Groups: []string{"system:serviceaccounts", "system:serviceaccounts:" + system, "system:authenticated"},
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Verb: request.verb, Group: request.group, Resource: request.resource, Subresource: request.subresource,
			Namespace: request.namespace, Name: request.name,
		},
	}}
	g.Expect(c.admin.Create(context.Background(), review)).To(Succeed())
	return review.Status.Allowed
}

// isLeast asserts that nothing was denied to the account, and that without any one of its rights something would have
// been.
func (c *controlPlane) isLeast(objects []*unstructured.Unstructured) {
	GinkgoHelper()
	// The recorder patches an event that comes again for the same version of an object, as after a look into a cache that
	// lags. Whether one does is a matter of timing.
	rights := slices.DeleteFunc(
		rightsOf(objects),
		func(r right) bool { return r.group == "events.k8s.io" && r.verb == "patch" },
	)
	unused := func(g Gomega) (names []string) {
		allowed, denied := c.requests(g)
		g.Expect(denied).To(BeEmpty())
		for _, right := range rights {
			if !slices.ContainsFunc(slices.Collect(maps.Keys(allowed)), right.covers) {
				names = append(names, right.String())
			}
		}
		return names
	}
	// The lease is renewed every few seconds, and the certificate looked at.
	Eventually(unused).WithTimeout(20*time.Second).Should(BeEmpty(), "these rights are given and never used")

	allowed, _ := c.requests(Default)
	ctx := context.Background()
	for _, right := range rights {
		uses := slices.DeleteFunc(
			slices.Collect(maps.Keys(allowed)),
			func(request asked) bool { return !right.covers(request) },
		)
		reduced := right.without()
		reduced.SetManagedFields(nil)
		apply := func(role *unstructured.Unstructured) {
			GinkgoHelper()
			Expect(
				c.admin.Apply(
					ctx,
					client.ApplyConfigurationFromUnstructured(role.DeepCopy()),
					client.FieldOwner("test"),
					client.ForceOwnership,
				),
			).To(
				Succeed(),
			)
		}
		apply(reduced)
		Eventually(func(g Gomega) {
			isDenied := slices.ContainsFunc(uses, func(request asked) bool { return !c.may(g, request) })
			g.Expect(
				isDenied,
			).To(
				BeTrue(),
				"without the right to %s all is allowed that was asked, such as %s: another rule gives it too",
				right,
				uses[0],
			)
		}).WithTimeout(5 * time.Second).Should(Succeed())
		apply(right.role)
	}
}

// withoutPods leaves out what makes no sense where no pods run.
func withoutPods(objects []*unstructured.Unstructured) []*unstructured.Unstructured {
	return slices.DeleteFunc(
		slices.Clone(objects),
		func(object *unstructured.Unstructured) bool { return object.GetKind() == "Deployment" },
	)
}

var _ = Describe("The operator in the whole cluster", Ordered, func() {
	It("does everything with the rights that it is given, and needs each of them", func() {
		c := startControlPlane()
		objects := overlay("refresh-pods")
		c.install(withoutPods(objects))
		c.leaveOldHistory("shop")
		c.startManager("--leader-elect", "--refresh-pods")
		c.doTheJob("shop", "customer")
		c.isLeast(objects)
	})
})

var _ = Describe("The Deployment", Ordered, func() {
	var c *controlPlane
	var template corev1.PodTemplateSpec
	ctx := context.Background()

	BeforeAll(func() {
		c = startControlPlane()
		objects := kustomize("config/default")
		c.install(
			slices.DeleteFunc(
				slices.Clone(objects),
				func(object *unstructured.Unstructured) bool { return object.GetKind() != "Namespace" },
			),
		)
		for _, object := range objects {
			if object.GetKind() == "Deployment" {
				found, _, err := unstructured.NestedMap(object.Object, "spec", "template")
				Expect(err).NotTo(HaveOccurred())
				Expect(runtime.DefaultUnstructuredConverter.FromUnstructured(found, &template)).To(Succeed())
			}
		}
		Expect(template.Spec.Containers).To(HaveLen(1))
	})

	// start asks the API server, whose namespace enforces the level restricted, for a pod of the Deployment.
	start := func(change func(*corev1.PodSpec)) error {
		pod := &corev1.Pod{ObjectMeta: *template.ObjectMeta.DeepCopy(), Spec: *template.Spec.DeepCopy()}
		pod.Namespace, pod.Name = system, "manager"
		change(&pod.Spec)
		return c.admin.Create(ctx, pod, client.DryRunAll)
	}

	It("makes pods of the level restricted, which write to no disk", func() {
		Expect(start(func(*corev1.PodSpec) {})).To(Succeed())
		container := template.Spec.Containers[0]
		Expect(container.SecurityContext.ReadOnlyRootFilesystem).To(HaveValue(BeTrue()))
		Expect(container.VolumeMounts).To(BeEmpty())
		Expect(template.Spec.SecurityContext.RunAsNonRoot).To(HaveValue(BeTrue()))
		Expect(template.Spec.SecurityContext.SeccompProfile.Type).To(Equal(corev1.SeccompProfileTypeRuntimeDefault))
	})

	It("would not be let in with less", func() {
		for name, change := range map[string]func(*corev1.PodSpec){
			"runAsNonRoot":             func(spec *corev1.PodSpec) { spec.SecurityContext.RunAsNonRoot = nil },
			"seccompProfile":           func(spec *corev1.PodSpec) { spec.SecurityContext.SeccompProfile = nil },
			"allowPrivilegeEscalation": func(spec *corev1.PodSpec) { spec.Containers[0].SecurityContext.AllowPrivilegeEscalation = nil },
			"capabilities":             func(spec *corev1.PodSpec) { spec.Containers[0].SecurityContext.Capabilities = nil },
		} {
			Expect(start(change)).To(MatchError(ContainSubstring(name)), strings.ToLower(name))
		}
	})
})

var _ = Describe("The operator in some namespaces", Ordered, func() {
	It("does everything with Roles alone, and needs each right in them", func() {
		c := startControlPlane()
		ctx := context.Background()
		c.install(kustomize("config/namespaced/administrator"))
		operator := kustomize("config/namespaced/operator")
		c.install(withoutPods(operator))
		var project []*unstructured.Unstructured
		for _, namespace := range []string{"shop", "customer"} {
			Expect(c.admin.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})).To(Succeed())
			objects := kustomize("config/namespaced/project")
			for _, object := range objects {
				object.SetNamespace(namespace)
			}
			c.install(objects)
			if namespace == "shop" {
				project = objects
			}
		}
		elsewhere := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
			Name:        "elsewhere",
			Labels:      map[string]string{"tier": "customer"},
			Annotations: map[string]string{v1alpha1.AcceptFromAnnotation: "shop"},
		}}
		Expect(c.admin.Create(ctx, elsewhere)).To(Succeed())

		By("making the certificate as an administrator does")
		command := exec.Command(binary, "certificate", "--kubeconfig="+c.kubeconfig)
		output, err := command.CombinedOutput()
		Expect(err).NotTo(HaveOccurred(), string(output))
		secret := fetch(
			Default,
			c,
			&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: "jackstaff-webhook-certificate"}},
		)
		mounted := GinkgoT().TempDir()
		for name, data := range secret.Data {
			Expect(os.WriteFile(filepath.Join(mounted, name), data, 0o600)).To(Succeed())
		}

		arguments := argumentsOf(operator)
		Expect(arguments).To(ContainElements("--namespaces=shop", "--webhook-cert-dir=/certificates"))
		for i := range arguments {
			arguments[i] = strings.NewReplacer("=/certificates", "="+mounted, "=shop", "=shop,customer").Replace(arguments[i])
		}
		c.leaveOldHistory("shop")
		c.startManager(arguments...)
		c.doTheJob("shop", "customer")
		Expect(
			apierrors.IsNotFound(
				c.admin.Get(ctx, client.ObjectKey{Namespace: "elsewhere", Name: "flags-production"}, &corev1.ConfigMap{}),
			),
		).To(
			BeTrue(),
		)
		for _, object := range slices.Concat(operator, project) {
			Expect(object.GetKind()).NotTo(HavePrefix("Cluster"))
		}
		c.isLeast(slices.Concat(operator, project))
	})
})

// argumentsOf are those of the manager in the Deployment.
func argumentsOf(objects []*unstructured.Unstructured) []string {
	GinkgoHelper()
	deployment := &appsv1.Deployment{}
	for _, object := range objects {
		if object.GetKind() == "Deployment" {
			Expect(runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, deployment)).To(Succeed())
		}
	}
	Expect(deployment.Spec.Template.Spec.Containers).NotTo(BeEmpty())
	return deployment.Spec.Template.Spec.Containers[0].Args
}
