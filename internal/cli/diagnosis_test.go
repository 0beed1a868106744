// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/manifests"
)

var examined = time.Date(2026, time.November, 27, 12, 0, 0, 0, time.UTC)

// expect fails where a diagnosis has another verdict, or does not say what it should.
func expect(t *testing.T, got []diagnosis, want verdict, says string) {
	t.Helper()
	if len(got) != 1 {
		t.Fatalf("%d diagnoses for 1: %+v", len(got), got)
	}
	if got[0].Verdict != want || !strings.Contains(got[0].Message, says) {
		t.Errorf("got %s %q, want %s and %q", got[0].Verdict, got[0].Message, want, says)
	}
	if want == problem && got[0].Advice == "" {
		t.Errorf("nobody is told what to do about %q", got[0].Message)
	}
}

func TestDiagnoseServer(t *testing.T) {
	for version, want := range map[string]verdict{
		"v1.30.0": healthy, "v1.37.2-eks-1a2b": healthy, "v1.29.14": problem, "main": unknown,
	} {
		t.Run(version, func(t *testing.T) { expect(t, []diagnosis{diagnoseServer(version)}, want, version) })
	}
}

func TestDiagnoseDefinitions(t *testing.T) {
	shipped, err := manifests.Definitions()
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		change func(all []apiextensionsv1.CustomResourceDefinition) []apiextensionsv1.CustomResourceDefinition
		want   verdict
		says   string
	}{
		"as shipped": {
			func(all []apiextensionsv1.CustomResourceDefinition) []apiextensionsv1.CustomResourceDefinition {
				return all
			},
			healthy, "5 are installed",
		},
		"one is missing": {
			func(all []apiextensionsv1.CustomResourceDefinition) []apiextensionsv1.CustomResourceDefinition {
				return all[1:]
			},
			problem, "featureflags.flags.jackstaff.dev is missing",
		},
		"one goes": {
			func(all []apiextensionsv1.CustomResourceDefinition) []apiextensionsv1.CustomResourceDefinition {
				all[0].DeletionTimestamp = &metav1.Time{Time: examined}
				return all
			},
			problem, "is being deleted",
		},
		"one is not established": {
			func(all []apiextensionsv1.CustomResourceDefinition) []apiextensionsv1.CustomResourceDefinition {
				all[0].Status.Conditions = nil
				return all
			},
			problem, "not established",
		},
		"one is of an earlier release": {
			func(all []apiextensionsv1.CustomResourceDefinition) []apiextensionsv1.CustomResourceDefinition {
				spec := all[0].Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"]
				delete(spec.Properties, "environments")
				return all
			},
			warning, "lacks spec.environments",
		},
		"one has no such version": {
			func(all []apiextensionsv1.CustomResourceDefinition) []apiextensionsv1.CustomResourceDefinition {
				all[0].Spec.Versions[0].Name = "v1beta1"
				return all
			},
			warning, "version v1alpha1",
		},
	} {
		t.Run(name, func(t *testing.T) {
			found := make([]apiextensionsv1.CustomResourceDefinition, len(shipped))
			for i := range shipped {
				found[i] = *shipped[i].DeepCopy()
				found[i].Status.Conditions = []apiextensionsv1.CustomResourceDefinitionCondition{
					{Type: apiextensionsv1.Established, Status: apiextensionsv1.ConditionTrue},
				}
			}
			expect(t, diagnoseDefinitions(shipped, tc.change(found)), tc.want, tc.says)
		})
	}
}

func TestDiagnoseOperator(t *testing.T) {
	deployment := func(image string, wanted, available int32) []appsv1.Deployment {
		one := appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "jackstaff-system", Name: "manager"}}
		one.Spec.Replicas, one.Status.AvailableReplicas = &wanted, available
		one.Spec.Template.Spec.Containers = []corev1.Container{{Image: image}}
		return []appsv1.Deployment{one}
	}
	for name, tc := range map[string]struct {
		deployments []appsv1.Deployment
		client      string
		want        verdict
		says        string
	}{
		"none":              {nil, "v0.2.0", warning, "no Deployment"},
		"all there":         {deployment("registry:5000/jackstaff:v0.2.0", 2, 2), "v0.2.0", healthy, "2 of 2"},
		"none is available": {deployment("jackstaff:v0.2.0", 2, 0), "v0.2.0", problem, "nothing is published"},
		"scaled to nothing": {deployment("jackstaff:v0.2.0", 0, 0), "v0.2.0", problem, "nothing is published"},
		"one is missing":    {deployment("jackstaff:v0.2.0", 2, 1), "v0.2.0", warning, "1 of 2"},
		"another release":   {deployment("jackstaff:v0.3.0", 1, 1), "v0.2.0", warning, "this program is v0.2.0"},
		"without the v":     {deployment("jackstaff:0.2.0", 1, 1), "v0.2.0", healthy, ""},
		"built by hand":     {deployment("jackstaff/manager:dev", 1, 1), "v0.2.0", healthy, ""},
		"by digest":         {deployment("registry:5000/jackstaff@sha256:00", 1, 1), "v0.2.0", healthy, ""},
	} {
		t.Run(name, func(t *testing.T) {
			expect(t, diagnoseOperator(target{namespace: "shop"}, tc.deployments, tc.client), tc.want, tc.says)
		})
	}
}

func TestDiagnoseLeader(t *testing.T) {
	lease := func(holder string, ago time.Duration) []coordinationv1.Lease {
		seconds, renewed := int32(15), metav1.NewMicroTime(examined.Add(-ago))
		old, long := "replica-0", metav1.NewMicroTime(examined.Add(-1000*time.Hour))
		return []coordinationv1.Lease{
			{Spec: coordinationv1.LeaseSpec{HolderIdentity: &old, LeaseDurationSeconds: &seconds, RenewTime: &long}},
			{Spec: coordinationv1.LeaseSpec{HolderIdentity: &holder, LeaseDurationSeconds: &seconds, RenewTime: &renewed}},
		}
	}
	for name, tc := range map[string]struct {
		leases []coordinationv1.Lease
		want   verdict
		says   string
	}{
		"none":       {nil, warning, "no operator has ever led"},
		"leads":      {lease("replica-1", time.Second), healthy, "replica-1 leads"},
		"gone":       {lease("replica-1", time.Minute), problem, "was seen at 2026-11-27T11:59:00Z"},
		"given back": {lease("", time.Second), problem, "gave the lease back"},
	} {
		t.Run(name, func(t *testing.T) { expect(t, []diagnosis{diagnoseLeader(tc.leases, examined)}, tc.want, tc.says) })
	}
}

// authority makes a certificate that is valid from and until some time from the examination on.
func authority(t *testing.T, from, until time.Duration) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    examined.Add(from),
		NotAfter:     examined.Add(until),
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})
}

func TestDiagnoseWebhooks(t *testing.T) {
	const year = 365 * 24 * time.Hour
	valid, expired := authority(t, -time.Hour, year), authority(t, -year, -time.Hour)
	ignore := admissionregistrationv1.Ignore
	of := func(bundle []byte, policy *admissionregistrationv1.FailurePolicyType, resources ...string) []hook {
		return []hook{{
			name: "judge", client: admissionregistrationv1.WebhookClientConfig{CABundle: bundle}, policy: policy,
			rules: []admissionregistrationv1.RuleWithOperations{{Rule: admissionregistrationv1.Rule{
				APIGroups: []string{v1alpha1.GroupVersion.Group}, Resources: resources,
			}}},
		}}
	}
	all := []string{"featureflags", "flagenvironments", "flagaudiences", "flagevents"}
	for name, tc := range map[string]struct {
		hooks []hook
		want  verdict
		says  string
	}{
		"as shipped":          {of(valid, nil, all...), healthy, ""},
		"none for audiences":  {of(valid, nil, "featureflags", "flagenvironments", "flagevents"), problem, "no webhook judges audiences"},
		"no authority":        {of(nil, nil, all...), warning, "no authority"},
		"expired":             {of(expired, nil, all...), problem, "expired"},
		"renewed in time":     {of(append(expired, valid...), nil, all...), healthy, ""},
		"of the future":       {of(authority(t, time.Hour, year), nil, all...), problem, "not valid yet"},
		"ends soon":           {of(authority(t, -time.Hour, time.Hour), nil, all...), warning, "expires at 2026-11-27T13:00:00Z"},
		"no certificate":      {of(pem.EncodeToMemory(&pem.Block{Bytes: []byte("x")}), nil, all...), problem, "cannot be read"},
		"may be passed over":  {of(valid, &ignore, all...), problem, "may be passed over"},
		"of others besides":   {append(of(valid, nil, all...), of(expired, &ignore, "pods")...), healthy, ""},
		"expired, two hooks ": {append(of(expired, nil, all...), of(expired, nil, all...)...), problem, "expired"},
	} {
		t.Run(name, func(t *testing.T) {
			got := diagnoseWebhooks(tc.hooks, tc.hooks, examined)
			if tc.hooks[0].policy != nil {
				got = got[:1] // The same is said of the mutating and of the validating one.
			}
			expect(t, got, tc.want, tc.says)
		})
	}
}

// Whoever has mistyped the namespace must be told so first, rather than that this and that is not known.
func TestDiagnoseNamespace(t *testing.T) {
	missing := apierrors.NewNotFound(schema.GroupResource{Resource: "namespaces"}, "shopp")
	refused := apierrors.NewForbidden(schema.GroupResource{Resource: "flagenvironments"}, "", errors.New("no"))
	for name, tc := range map[string]struct {
		find, read   error
		environments int
		want         verdict
		says         string
	}{
		"missing":                    {missing, nil, 0, problem, "namespace shopp does not exist"},
		"missing, to a stranger":     {refused, refused, 0, problem, "it is another project's, or does not exist"},
		"empty":                      {nil, nil, 0, warning, "it may be the wrong one"},
		"empty, may not be found":    {refused, nil, 0, warning, "it may be the wrong one"},
		"a project":                  {nil, nil, 2, healthy, ""},
		"a project, to its viewer":   {refused, nil, 1, healthy, ""},
		"the definition is missing ": {nil, errors.New("no match"), 0, healthy, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := diagnoseNamespace("shopp", tc.find, tc.read, tc.environments)
			if tc.want == healthy {
				if len(got) > 0 {
					t.Errorf("it says %+v", got)
				}
				return
			}
			expect(t, got, tc.want, tc.says)
		})
	}
}

func TestDiagnoseAdmission(t *testing.T) {
	resource := schema.GroupResource{Group: v1alpha1.GroupVersion.Group, Resource: "flagaudiences"}
	for name, tc := range map[string]struct {
		err  error
		took time.Duration
		want verdict
		says string
	}{
		"judged":        {nil, 12 * time.Millisecond, healthy, "12ms"},
		"there already": {apierrors.NewAlreadyExists(resource, "doctor"), 0, healthy, ""},
		"slow":          {nil, 3 * time.Second, warning, "took 3s"},
		"away": {
			apierrors.NewInternalError(errors.New(`failed calling webhook "judge": Post "https://x": connection refused`)), 0,
			problem, "connection refused",
		},
		"no right": {apierrors.NewForbidden(resource, "doctor", errors.New("no")), 0, unknown, "may not create"},
		"no namespace": {
			apierrors.NewNotFound(schema.GroupResource{Resource: "namespaces"}, "shop"), 0, unknown, `namespaces "shop" not found`,
		},
		"refused": {apierrors.NewBadRequest("no"), 0, problem, "is refused"},
		"a right of admission": {
			apierrors.NewForbidden(resource, "doctor", errors.New(`admission webhook "judge" denied the request: needs the verb "publish"`)),
			0, healthy, `needs the verb "publish"`,
		},
	} {
		t.Run(name, func(t *testing.T) { expect(t, []diagnosis{diagnoseAdmission(tc.err, tc.took)}, tc.want, tc.says) })
	}
}

func TestDiagnosePolicies(t *testing.T) {
	policies := func(names ...string) (all []admissionregistrationv1.ValidatingAdmissionPolicy) {
		for _, name := range names {
			all = append(all, admissionregistrationv1.ValidatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: name}})
		}
		return all
	}
	bound := func(action admissionregistrationv1.ValidationAction, names ...string) (all []admissionregistrationv1.ValidatingAdmissionPolicyBinding) {
		for _, name := range names {
			all = append(all, admissionregistrationv1.ValidatingAdmissionPolicyBinding{
				Spec: admissionregistrationv1.ValidatingAdmissionPolicyBindingSpec{
					PolicyName: name, ValidationActions: []admissionregistrationv1.ValidationAction{action},
				},
			})
		}
		return all
	}
	both := policies("jackstaff-datafiles", "jackstaff-own-account")
	narrow := bound(admissionregistrationv1.Deny, "jackstaff-datafiles", "jackstaff-own-account")
	narrow[0].Spec.MatchResources = &admissionregistrationv1.MatchResources{}
	for name, tc := range map[string]struct {
		policies []admissionregistrationv1.ValidatingAdmissionPolicy
		bindings []admissionregistrationv1.ValidatingAdmissionPolicyBinding
		want     verdict
		says     string
	}{
		"as shipped":  {both, bound(admissionregistrationv1.Deny, "jackstaff-datafiles", "jackstaff-own-account"), healthy, ""},
		"one missing": {policies("jackstaff-own-account"), bound(admissionregistrationv1.Deny, "jackstaff-own-account"), warning, "whoever may edit ConfigMaps"},
		"one unbound": {both, bound(admissionregistrationv1.Deny, "jackstaff-datafiles"), warning, "jackstaff-own-account denies nothing"},
		"only warns": {
			both, append(bound(admissionregistrationv1.Warn, "jackstaff-datafiles"), bound(admissionregistrationv1.Deny, "jackstaff-own-account")...),
			warning, "jackstaff-datafiles denies nothing",
		},
		"not everywhere": {both, narrow, warning, "jackstaff-datafiles denies nothing everywhere"},
	} {
		t.Run(name, func(t *testing.T) { expect(t, diagnosePolicies(tc.policies, tc.bindings), tc.want, tc.says) })
	}
}

func TestDiagnoseEnvironments(t *testing.T) {
	environment := func(state v1alpha1.PublishState, generation, observed int64) []v1alpha1.FlagEnvironment {
		one := v1alpha1.FlagEnvironment{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "production", Generation: generation},
		}
		one.Status.State, one.Status.ObservedGeneration, one.Status.PublishedRevision = state, observed, 42
		one.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ReadyCondition, Message: "because."}}
		return []v1alpha1.FlagEnvironment{one}
	}
	for name, tc := range map[string]struct {
		environments []v1alpha1.FlagEnvironment
		want         verdict
		says         string
	}{
		"none":        {nil, warning, "namespace shop has no environment"},
		"new":         {environment("", 1, 0), problem, "no operator has looked at it"},
		"serves":      {environment(v1alpha1.PublishStateServing, 2, 2), healthy, "production serves revision 42"},
		"edited":      {environment(v1alpha1.PublishStateServing, 2, 1), warning, "its spec has been changed, which the operator has not seen"},
		"frozen":      {environment(v1alpha1.PublishStateFrozen, 2, 2), warning, "is Frozen: because."},
		"pinned":      {environment(v1alpha1.PublishStatePinned, 2, 2), warning, "is Pinned: because."},
		"waits":       {environment(v1alpha1.PublishStateAwaitingPublish, 2, 2), warning, "because."},
		"break glass": {environment(v1alpha1.PublishStateBreakGlass, 2, 2), warning, "because."},
		"degraded":    {environment(v1alpha1.PublishStateDegraded, 2, 2), problem, "production: because."},
		"elsewhere":   {environment(v1alpha1.PublishStateElsewhere, 2, 2), healthy, "another cluster"},
	} {
		t.Run(name, func(t *testing.T) {
			expect(
				t,
				diagnoseEnvironments(
					target{namespace: "shop"},
					tc.environments,
					make([]*servedMark, len(tc.environments)),
					examined,
				),
				tc.want,
				tc.says,
			)
		})
	}
}

func TestDiagnosePods(t *testing.T) {
	pod := func(subPath string) []corev1.Pod {
		one := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web"}}
		one.Spec.Volumes = []corev1.Volume{{Name: "flags", VolumeSource: corev1.VolumeSource{
			ConfigMap: &corev1.ConfigMapVolumeSource{
				LocalObjectReference: corev1.LocalObjectReference{Name: "flags-production"},
			},
		}}}
		one.Spec.Containers = []corev1.Container{{VolumeMounts: []corev1.VolumeMount{{Name: "flags", SubPath: subPath}}}}
		return []corev1.Pod{one}
	}
	going := pod("flagd.json")
	going[0].DeletionTimestamp = &metav1.Time{Time: examined}
	for name, tc := range map[string]struct {
		pods []corev1.Pod
		want verdict
	}{"a directory": {pod(""), healthy}, "a file by subPath": {pod("flagd.json"), problem}, "going": {going, healthy}, "none": {nil, healthy}} {
		t.Run(name, func(t *testing.T) { expect(t, diagnosePods(tc.pods, []string{"flags-production"}), tc.want, "") })
	}
}

func TestDiagnoseRights(t *testing.T) {
	production, staging := v1alpha1.FlagEnvironment{}, v1alpha1.FlagEnvironment{}
	production.Name, production.Spec.Production, staging.Name = "production", true, "staging"
	rights := rightsWanted("shop", []v1alpha1.FlagEnvironment{production, staging})
	expect(
		t,
		[]diagnosis{diagnoseRights("shop", rights)},
		warning,
		"nor change what production serves (publish flagenvironments)",
	)
	for i := range rights {
		rights[i].allowed = true
	}
	expect(t, []diagnosis{diagnoseRights("shop", rights)}, healthy, "you may read flags, change flags")
}
