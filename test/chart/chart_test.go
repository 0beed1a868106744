// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package chart_test renders the Helm chart with Helm's own engine and installs what comes out on an API server.
package chart_test

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/yaml"
)

var (
	root  = filepath.Join("..", "..")
	chart = filepath.Join(root, "charts", "jackstaff")
)

// render renders the chart with values in YAML, as helm template does.
func render(t *testing.T, namespace, values string) (objects []*unstructured.Unstructured, notes string, err error) {
	t.Helper()
	return renderFrom(t, chart, namespace, values)
}

// renderFrom is render of the chart in a folder or a file.
func renderFrom(
	t *testing.T, path, namespace, values string,
) (objects []*unstructured.Unstructured, notes string, err error) {
	t.Helper()
	loaded, err := loader.Load(path)
	check(t, err)
	given := map[string]any{}
	check(t, yaml.Unmarshal([]byte(values), &given))
	release := common.ReleaseOptions{Name: "jackstaff", Namespace: namespace, Revision: 1, IsInstall: true}
	rendered, err := util.ToRenderValues(loaded, given, release, common.DefaultCapabilities)
	if err != nil {
		return nil, "", err
	}
	engine := engine.Engine{Strict: true}
	files, err := engine.RenderWithContext(t.Context(), loaded, rendered)
	if err != nil {
		return nil, "", err
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if strings.HasSuffix(name, "NOTES.txt") {
			notes = files[name]
		} else {
			objects = append(objects, decode(t, []byte(files[name]))...)
		}
	}
	return objects, notes, nil
}

func decode(t *testing.T, manifests []byte) (objects []*unstructured.Unstructured) {
	t.Helper()
	decoder := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(manifests), len(manifests)+1)
	for {
		object := &unstructured.Unstructured{}
		if err := decoder.Decode(object); errors.Is(err, io.EOF) {
			return objects
		} else if err != nil {
			t.Fatalf("%v in:\n%s", err, manifests)
		}
		if len(object.Object) > 0 {
			objects = append(objects, object)
		}
	}
}

func id(object *unstructured.Unstructured) string { return object.GetKind() + "/" + object.GetName() }

func TestRenderAndInstall(t *testing.T) {
	ctrl.SetLogger(zap.New(zap.WriteTo(t.Output())))
	environment := &envtest.Environment{CRDs: []*apiextensionsv1.CustomResourceDefinition{
		optional(
			"cert-manager.io",
			"v1",
			"Issuer",
			"issuers",
		),
		optional("cert-manager.io", "v1", "Certificate", "certificates"),
		optional("monitoring.coreos.com", "v1", "ServiceMonitor", "servicemonitors"),
		optional("monitoring.coreos.com", "v1", "PrometheusRule", "prometheusrules"),
		optional("gateway.networking.k8s.io", "v1", "HTTPRoute", "httproutes"),
		optional("gateway.networking.k8s.io", "v1", "BackendTLSPolicy", "backendtlspolicies"),
	}}
	config, err := environment.Start()
	check(t, err)
	t.Cleanup(func() { check(t, environment.Stop()) })
	config.QPS = -1
	plain, err := client.New(config, client.Options{})
	check(t, err)
	k8s := client.WithFieldValidation(plain, metav1.FieldValidationStrict)

	for name, tc := range map[string]struct {
		values string
		// want and wantNot are objects, by kind and name.
		want, wantNot []string
		// wantArguments and wantNotArguments are those of the manager.
		wantArguments, wantNotArguments []string
		wantNotes                       string
	}{
		"defaults": {
			want: []string{
				"Deployment/jackstaff-manager", "Service/jackstaff-api", "ClusterRole/jackstaff-manager", "ClusterRole/jackstaff-certificates",
				"PodDisruptionBudget/jackstaff-manager", "ValidatingAdmissionPolicyBinding/jackstaff-own-account", "ClusterRole/jackstaff-editor",
			},
			wantNot:          []string{"Ingress/jackstaff-api", "ServiceMonitor/jackstaff", "PrometheusRule/jackstaff", "ClusterRole/jackstaff-refresh-pods", "NetworkPolicy/jackstaff-manager"},
			wantArguments:    []string{"--leader-elect"},
			wantNotArguments: []string{"--cert-rotation=false", "--refresh-pods"},
			wantNotes:        "port-forward",
		},
		"everything optional": {
			values: `
replicas: 3
priorityClassName: system-cluster-critical
nodeSelector: {disk: fast}
tolerations: [{key: dedicated, operator: Exists}]
image: {repository: example.com/jackstaff, tag: v1, pullPolicy: Always, pullSecrets: [{name: pull}]}
resources: {limits: {memory: 2Gi}}
extraArguments: ["--stale-after=240h"]
refreshPods: true
certificates: {mode: CertManager}
metrics: {serviceMonitor: true, prometheusRule: true, dashboards: true}
networkPolicy: {enabled: true}
api:
  defaultProject: shop
  publicUrl: https://flags.example.com
  trustedProxies: [10.0.0.0/8, "fd00::/8"]
  allowGitOpsWrites: true
  service: {type: LoadBalancer, annotations: {example.com/internal: "true"}}
  ingress: {enabled: true, className: nginx, host: flags.example.com, tlsSecretName: flags-tls, annotations: {nginx.ingress.kubernetes.io/backend-protocol: HTTPS}}
  gateway: {enabled: true, parentRefs: [{name: public}], hostnames: [flags.example.com], authorityConfigMap: authority}
`,
			want: []string{
				"Ingress/jackstaff-api", "HTTPRoute/jackstaff-api", "BackendTLSPolicy/jackstaff-api", "ServiceMonitor/jackstaff", "PrometheusRule/jackstaff", "ConfigMap/jackstaff-dashboard-project",
				"Service/jackstaff-metrics",
				"ClusterRole/jackstaff-metrics-reader", "ClusterRole/jackstaff-refresh-pods", "NetworkPolicy/jackstaff-manager", "Certificate/jackstaff-webhook",
			},
			wantNot: []string{"ClusterRole/jackstaff-certificates", "Role/jackstaff-certificates", "Secret/jackstaff-webhook-certificate"},
			wantArguments: []string{
				"--cert-rotation=false", "--webhook-cert-dir=/certificates", "--refresh-pods", "--default-project=shop", "--allow-gitops-writes", "--stale-after=240h",
				"--api-public-url=https://flags.example.com", "--trusted-proxies=10.0.0.0/8,fd00::/8",
			},
		},
		"little": {
			values: `{replicas: 1, api: {enabled: false}, metrics: {enabled: false, serviceMonitor: true, prometheusRule: true}, podDisruptionBudget: {enabled: false}, userRoles: {install: false}}`,
			wantNot: []string{
				"Service/jackstaff-api", "ServiceMonitor/jackstaff", "PrometheusRule/jackstaff", "PodDisruptionBudget/jackstaff-manager", "ClusterRole/jackstaff-editor", "ClusterRole/jackstaff-metrics-reader",
			},
			wantArguments: []string{"--api=false", "--metrics-bind-address=0"},
		},
		"a certificate from elsewhere": {
			values:        `{certificates: {mode: Secret, secretName: mine, caBundle: bWluZQ==}}`,
			wantNot:       []string{"Secret/jackstaff-webhook-certificate", "ClusterRole/jackstaff-certificates"},
			wantArguments: []string{"--cert-rotation=false"},
		},
		"the part of an administrator": {
			values:    `{parts: {operator: false}, namespaces: [shop], certificates: {mode: Administrator}}`,
			want:      []string{"CustomResourceDefinition/featureflags.flags.jackstaff.dev", "ValidatingAdmissionPolicy/jackstaff-own-account", "Secret/jackstaff-webhook-certificate"},
			wantNot:   []string{"Deployment/jackstaff-manager", "ServiceAccount/jackstaff-manager", "Role/jackstaff-manager"},
			wantNotes: "manager certificate --operator-namespace=",
		},
		"the part of an operator in some namespaces": {
			values: `{parts: {cluster: false}, namespaces: [shop, web], certificates: {mode: Administrator}, refreshPods: true}`,
			want:   []string{"Role/jackstaff-manager", "RoleBinding/jackstaff-manager", "Deployment/jackstaff-manager"},
			wantNot: []string{
				"ClusterRole/jackstaff-manager", "ClusterRole/jackstaff-reviews", "ClusterRole/jackstaff-refresh-pods", "ClusterRole/jackstaff-editor",
				"ClusterRoleBinding/jackstaff-manager", "ClusterRoleBinding/jackstaff-reviews", "MutatingWebhookConfiguration/jackstaff-mutating-webhook-configuration",
			},
			wantArguments: []string{"--namespaces=shop,web", "--refresh-pods"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			namespace := "jackstaff-" + strings.ReplaceAll(name, " ", "-")
			objects, notes, err := render(t, namespace, tc.values)
			check(t, err)
			if !strings.Contains(notes, tc.wantNotes) || !strings.Contains(notes, namespace) {
				t.Errorf("the notes lack %q:\n%s", tc.wantNotes, notes)
			}
			var ids, arguments []string
			for _, name := range []string{namespace, "shop", "web"} {
				check(
					t,
					client.IgnoreAlreadyExists(k8s.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})),
				)
			}
			for _, object := range objects {
				ids = append(ids, id(object))
				if object.GetKind() == "Deployment" {
					arguments = argumentsOf(object)
				}
				if err := k8s.Apply(
					t.Context(),
					client.ApplyConfigurationFromUnstructured(object),
					client.FieldOwner("helm"),
					client.ForceOwnership,
				); err != nil {
					t.Errorf("install %s: %v", id(object), err)
				}
			}
			has(t, ids, tc.want, tc.wantNot)
			has(t, arguments, tc.wantArguments, tc.wantNotArguments)
		})
	}
}

// argumentsOf are those of the manager in its Deployment.
func argumentsOf(deployment *unstructured.Unstructured) []string {
	containers, _, _ := unstructured.NestedSlice(deployment.Object, "spec", "template", "spec", "containers")
	arguments, _, _ := unstructured.NestedStringSlice(containers[0].(map[string]any), "args")
	return arguments
}

func has(t *testing.T, all, want, wantNot []string) {
	t.Helper()
	for _, one := range want {
		if !slices.Contains(all, one) {
			t.Errorf("%s is missing among %v", one, all)
		}
	}
	for _, one := range wantNot {
		if slices.Contains(all, one) {
			t.Errorf("%s is there", one)
		}
	}
}

func TestRefusesMistakes(t *testing.T) {
	for name, tc := range map[string]struct{ values, want string }{
		"an address with a path":    {`{api: {publicUrl: "https://flags.example.com/x"}}`, "publicUrl"},
		"a value that is none":      {`{replica: 2}`, "replica"},
		"a wrong type":              {`{replicas: many}`, "replicas"},
		"a wrong mode":              {`{certificates: {mode: own}}`, "mode"},
		"own certificates confined": {`{namespaces: [shop]}`, "certificates.mode"},
		"no authority":              {`{certificates: {mode: Secret, secretName: mine}}`, "certificates.caBundle"},
		"no Secret":                 {`{certificates: {mode: Secret, caBundle: bWluZQ==}}`, "certificates.secretName"},
		"an Ingress for nothing":    {`{api: {ingress: {enabled: true}}}`, "api.ingress.host"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, _, err := render(t, "flags", tc.values); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("the error is %v, want one with %q", err, tc.want)
			}
		})
	}
}

// The chart is another way to install the same.
func TestInstallsWhatKustomizeInstalls(t *testing.T) {
	for name, tc := range map[string]struct {
		values  string
		folders []string
	}{
		"the whole cluster": {`{image: {tag: dev}}`, []string{"config/default"}},
		"some namespaces": {
			`{image: {tag: dev}, namespaces: [shop], certificates: {mode: Administrator}}`,
			[]string{"config/namespaced/administrator", "config/namespaced/operator", "config/namespaced/project"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			want, got := map[string]any{}, map[string]any{}
			for _, folder := range tc.folders {
				kubectl := filepath.Join(os.Getenv("KUBEBUILDER_ASSETS"), "kubectl")
				manifests, err := exec.CommandContext(t.Context(), kubectl, "kustomize", filepath.Join(root, folder)).Output()
				check(t, err)
				for _, object := range decode(t, manifests) {
					if filepath.Base(folder) == "project" {
						object.SetNamespace("shop")
					}
					if object.GetKind() != "Namespace" { // Helm makes it, with --create-namespace.
						want[object.GetNamespace()+"/"+id(object)] = object.Object
					}
				}
			}
			objects, _, err := render(t, "jackstaff-system", tc.values)
			check(t, err)
			for _, object := range objects {
				annotations := object.GetAnnotations()
				delete(annotations, "helm.sh/resource-policy")
				object.SetAnnotations(annotations)
				if object.GetKind() == "Deployment" {
					containers, _, _ := unstructured.NestedSlice(object.Object, "spec", "template", "spec", "containers")
					delete(containers[0].(map[string]any), "imagePullPolicy")
					check(t, unstructured.SetNestedSlice(object.Object, containers, "spec", "template", "spec", "containers"))
				}
				if object.GetKind() == "Service" {
					unstructured.RemoveNestedField(object.Object, "spec", "type")
				}
				got[object.GetNamespace()+"/"+id(object)] = object.Object
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("config/ and the chart differ (-config +chart):\n%s", diff)
			}
		})
	}
}

// optional is a Kind of another project, whose fields are not looked at.
func optional(group, version, kind, plural string) *apiextensionsv1.CustomResourceDefinition {
	definition := &apiextensionsv1.CustomResourceDefinition{}
	definition.Name = plural + "." + group
	definition.Annotations = map[string]string{"api-approved.kubernetes.io": "unapproved, for a test"}
	definition.Spec = apiextensionsv1.CustomResourceDefinitionSpec{
		Group: group,
		Scope: apiextensionsv1.NamespaceScoped,
		Names: apiextensionsv1.CustomResourceDefinitionNames{
			Kind:     kind,
			Plural:   plural,
			Singular: strings.ToLower(kind),
			ListKind: kind + "List",
		},
		Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{
			Name: version, Served: true, Storage: true,
			Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{
				Type: "object", XPreserveUnknownFields: new(true),
			}},
		}},
	}
	return definition
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// What Prometheus and Grafana fill in must not be filled in by Helm.
func TestAlertsAndDashboardsAreThoseOfKustomize(t *testing.T) {
	manifests := overlay(t, "prometheus")
	objects, _, err := render(t, "jackstaff-system", "{metrics: {prometheusRule: true, dashboards: true}}")
	check(t, err)
	of := func(objects []*unstructured.Unstructured) map[string]any {
		found := map[string]any{}
		for _, object := range objects {
			if object.GetKind() == "PrometheusRule" || object.GetKind() == "ConfigMap" {
				found[id(object)] = object.Object
			}
		}
		return found
	}
	want := of(manifests)
	if diff := cmp.Diff(want, of(objects)); diff != "" || len(want) != 3 {
		t.Errorf("%d alerts and dashboards differ (-config +chart):\n%s", len(want), diff)
	}
}

// overlay builds config/default with components, in that order.
func overlay(t *testing.T, components ...string) []*unstructured.Unstructured {
	t.Helper()
	//nolint:usetesting // An overlay names what is beside it.
	folder, err := os.MkdirTemp(filepath.Join(root, "config"), ".overlay-")
	check(t, err)
	t.Cleanup(func() { check(t, os.RemoveAll(folder)) })
	lines := "resources: [../default]\ncomponents: [../" + strings.Join(components, ", ../") + "]\n"
	check(t, os.WriteFile(filepath.Join(folder, "kustomization.yaml"), []byte(lines), 0o600))
	kubectl := filepath.Join(os.Getenv("KUBEBUILDER_ASSETS"), "kubectl")
	manifests, err := exec.CommandContext(t.Context(), kubectl, "kustomize", folder).Output()
	check(t, err)
	return decode(t, manifests)
}

// Whoever makes the certificate, the ServiceMonitor names the Secret with its authority, and a name that it is for.
func TestPrometheusVerifiesTheOperator(t *testing.T) {
	chart := func(certificates string) []*unstructured.Unstructured {
		objects, _, err := render(
			t, "jackstaff-system", "{metrics: {serviceMonitor: true}, certificates: "+certificates+"}",
		)
		check(t, err)
		return objects
	}
	for name, tc := range map[string]struct {
		objects []*unstructured.Unstructured
		want    string
	}{
		"kustomize":                   {overlay(t, "prometheus"), "jackstaff-webhook-certificate"},
		"kustomize with cert-manager": {overlay(t, "prometheus", "certmanager"), "jackstaff-webhook-tls"},
		"Helm":                        {chart("{mode: Own}"), "jackstaff-webhook-certificate"},
		"Helm with an administrator":  {chart("{mode: Administrator}"), "jackstaff-webhook-certificate"},
		"Helm with cert-manager":      {chart("{mode: CertManager}"), "jackstaff-webhook-tls"},
		"Helm with a Secret":          {chart("{mode: Secret, secretName: mine, caBundle: bWluZQ==}"), "mine"},
	} {
		t.Run(name, func(t *testing.T) {
			at := slices.IndexFunc(
				tc.objects,
				func(o *unstructured.Unstructured) bool { return o.GetKind() == "ServiceMonitor" },
			)
			if at < 0 {
				t.Fatal("there is no ServiceMonitor")
			}
			endpoints, _, err := unstructured.NestedSlice(tc.objects[at].Object, "spec", "endpoints")
			check(t, err)
			want := map[string]any{
				"serverName": "jackstaff-metrics.jackstaff-system.svc",
				"ca":         map[string]any{"secret": map[string]any{"name": tc.want, "key": "ca.crt"}},
			}
			if diff := cmp.Diff(want, endpoints[0].(map[string]any)["tlsConfig"]); diff != "" {
				t.Errorf("Prometheus does not verify whom it scrapes (-want +got):\n%s", diff)
			}
		})
	}
}

// Whoever takes the chart of a release installs the operator of that release, without a value.
func TestTheChartOfARelease(t *testing.T) {
	folder := t.TempDir()
	packed := exec.CommandContext(
		t.Context(), "go", "run", "./hack/release", "-version", "v0.2.0", "-image", "example.com:5000/manager:v0.2.0",
		"-out", folder, "linux/amd64=LICENSE",
	)
	packed.Dir = root
	if said, err := packed.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	objects, _, err := renderFrom(t, filepath.Join(folder, "jackstaff-0.2.0.tgz"), "jackstaff-system", "{}")
	check(t, err)
	at := slices.IndexFunc(objects, func(o *unstructured.Unstructured) bool { return o.GetKind() == "Deployment" })
	containers, _, err := unstructured.NestedSlice(objects[at].Object, "spec", "template", "spec", "containers")
	check(t, err)
	if image := containers[0].(map[string]any)["image"]; image != "example.com:5000/manager:v0.2.0" {
		t.Errorf("the chart installs %v", image)
	}
}
