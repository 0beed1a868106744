// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Command chart makes the templates of the Helm chart from what config/ installs: each object as it is, with values
// where an installation may choose. Its arguments are kubectl and the chart's folder.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	sigsyaml "sigs.k8s.io/yaml"
)

// header begins every file that is made here.
const header = `{{/*
Copyright The Jackstaff Authors.
SPDX-License-Identifier: Apache-2.0

Made by "make chart" from config/. Edit that, or hack/chart.
*/}}
`

// namespace is what config/ calls the namespace of the operator.
const namespace = "jackstaff-system"

// The conditions under which objects are installed, as Helm writes them.
const (
	inCluster  = `.Values.parts.cluster`
	inOperator = `.Values.parts.operator`
	everywhere = `and .Values.parts.operator (not .Values.namespaces)`
	own        = `and .Values.parts.operator (eq .Values.certificates.mode "Own")`
)

// files are the templates, by name, with the objects that each holds.
var files = []struct {
	name string
	// condition is when an object is installed, and empty where it is not in the file.
	condition func(kind, name string) string
}{
	{"crds.yaml", func(kind, _ string) string {
		return when(kind == "CustomResourceDefinition", `and .Values.parts.cluster .Values.crds.install`)
	}},
	{"cluster.yaml", func(kind, name string) string {
		switch {
		case kind == "Secret" && name == "jackstaff-webhook-certificate":
			return `and .Values.parts.cluster (has .Values.certificates.mode (list "Own" "Administrator"))`
		case slices.Contains([]string{"Issuer", "Certificate"}, kind):
			return `and .Values.parts.cluster (eq .Values.certificates.mode "CertManager")`
		case kind == "ClusterRole" && slices.Contains([]string{"jackstaff-admin", "jackstaff-editor", "jackstaff-publisher", "jackstaff-viewer"}, name):
			return `and .Values.parts.cluster .Values.userRoles.install`
		}
		return when(
			name == "jackstaff-webhook-service" || strings.HasSuffix(kind, "WebhookConfiguration") ||
				strings.HasPrefix(kind, "ValidatingAdmissionPolicy"),
			inCluster,
		)
	}},
	{"rbac.yaml", func(kind, name string) string {
		switch {
		case kind == "ServiceAccount":
			return inOperator
		case name == "jackstaff-metrics-reader":
			return `and .Values.parts.operator .Values.metrics.enabled .Values.metrics.serviceMonitor`
		case name == "jackstaff-refresh-pods":
			return `and .Values.parts.operator .Values.refreshPods (not .Values.namespaces)`
		case name == "jackstaff-certificates":
			return own
		case strings.HasPrefix(kind, "ClusterRole") && slices.Contains([]string{"jackstaff-manager", "jackstaff-reviews"}, name):
			return everywhere
		}
		return when(slices.Contains([]string{"Role", "RoleBinding"}, kind) && name != "jackstaff-manager", inOperator)
	}},
	{"manager.yaml", func(kind, name string) string {
		switch {
		case kind == "Service" && name == "jackstaff-api":
			return `and .Values.parts.operator .Values.api.enabled`
		case kind == "PodDisruptionBudget":
			return `and .Values.parts.operator .Values.podDisruptionBudget.enabled`
		case kind == "NetworkPolicy":
			return `and .Values.parts.operator .Values.networkPolicy.enabled`
		case kind == "PrometheusRule":
			return `and .Values.parts.operator .Values.metrics.enabled .Values.metrics.prometheusRule`
		case kind == "ServiceMonitor", name == "jackstaff-metrics":
			return `and .Values.parts.operator .Values.metrics.enabled .Values.metrics.serviceMonitor`
		}
		return when(
			kind == "Deployment" ||
				kind == "Secret" && slices.Contains([]string{"jackstaff-session-key", "jackstaff-seal"}, name),
			inOperator,
		)
	}},
	{"dashboards.yaml", func(kind, name string) string {
		return when(kind == "ConfigMap" && strings.HasPrefix(name, dashboardPrefix),
			`and .Values.parts.operator .Values.metrics.enabled .Values.metrics.dashboards`)
	}},
}

func when(is bool, condition string) string {
	if is {
		return condition
	}
	return ""
}

// choices are what stands in the place of a mark, at the indentation of the mark.
var choices = map[string]string{
	"replicas":          `{{ .Values.replicas }}`,
	"image":             `{{ printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) }}`,
	"pullPolicy":        `{{ .Values.image.pullPolicy }}`,
	"resources":         `{{- toYaml .Values.resources | nindent INDENT }}`,
	"unavailable":       `{{ .Values.podDisruptionBudget.maxUnavailable }}`,
	"certificateSecret": `{{ include "jackstaff.certificateSecret" . }}`,
	"serviceType":       `{{ .Values.api.service.type }}`,
	"arguments": `{{- with .Values.namespaces }}
- --namespaces={{ join "," . }}
{{- end }}
{{- if ne .Values.certificates.mode "Own" }}
- --cert-rotation=false
- --webhook-cert-dir=/certificates
{{- end }}
{{- if .Values.refreshPods }}
- --refresh-pods
{{- end }}
{{- if not .Values.metrics.enabled }}
- --metrics-bind-address=0
{{- end }}
{{- if not .Values.api.enabled }}
- --api=false
{{- end }}
{{- with .Values.api.defaultProject }}
- --default-project={{ . }}
{{- end }}
{{- with .Values.api.publicUrl }}
- --api-public-url={{ . }}
{{- end }}
{{- with .Values.api.trustedProxies }}
- --trusted-proxies={{ join "," . }}
{{- end }}
{{- if .Values.api.allowGitOpsWrites }}
- --allow-gitops-writes
{{- end }}
{{- range .Values.extraArguments }}
- {{ . | quote }}
{{- end }}`,
	"mounts": `{{- if ne .Values.certificates.mode "Own" }}
volumeMounts:
- name: certificates
  mountPath: /certificates
  readOnly: true
{{- end }}`,
	"pod": `{{- if ne .Values.certificates.mode "Own" }}
volumes:
- name: certificates
  secret:
    secretName: {{ include "jackstaff.certificateSecret" . }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
{{- toYaml . | nindent INDENT }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
{{- toYaml . | nindent DEEPER }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
{{- toYaml . | nindent INDENT }}
{{- end }}`,
	"authority": `{{- if eq .Values.certificates.mode "Secret" }}
caBundle: {{ required "certificates.caBundle is needed with certificates.mode Secret" .Values.certificates.caBundle }}
{{- end }}`,
	"injection": `{{- if eq .Values.certificates.mode "CertManager" }}
cert-manager.io/inject-ca-from: {{ .Release.Namespace }}/jackstaff-webhook
{{- end }}`,
	"serviceAnnotations": `{{- with .Values.api.service.annotations }}
annotations:
{{- toYaml . | nindent DEEPER }}
{{- end }}`,
	"keep": `helm.sh/resource-policy: keep`,
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "chart:", err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if len(arguments) != 2 {
		return errors.New("the arguments are kubectl and the chart's folder")
	}
	objects, err := kustomize(arguments[0], "config/default")
	if err != nil {
		return err
	}
	for _, component := range []string{
		"network-policy/network_policy.yaml", "prometheus/service_monitor.yaml", "prometheus/rules.yaml", "certmanager/certificate.yaml", "refresh-pods/role.yaml",
	} {
		data, err := os.ReadFile(filepath.Join("config", component))
		if err != nil {
			return err
		}
		optional, err := decode(data)
		if err != nil {
			return fmt.Errorf("read %s: %w", component, err)
		}
		objects = append(objects, optional...)
	}
	boards, err := dashboards()
	if err != nil {
		return err
	}
	objects = append(objects, boards...)
	templates := filepath.Join(arguments[1], "templates")
	installed := map[*unstructured.Unstructured]bool{}
	for _, file := range files {
		var text strings.Builder
		text.WriteString(header)
		for _, object := range objects {
			condition := file.condition(object.GetKind(), object.GetName())
			if condition == "" {
				continue
			}
			installed[object] = true
			body, err := template(object)
			if err != nil {
				return err
			}
			fmt.Fprintf(&text, "{{- if %s }}\n---\n%s{{- end }}\n", condition, body)
		}
		if err := write(templates, file.name, text.String()); err != nil {
			return err
		}
	}
	for _, object := range objects {
		if !installed[object] && object.GetKind() != "Namespace" {
			return fmt.Errorf("%s %s is in no template", object.GetKind(), object.GetName())
		}
	}
	return projects(arguments[0], templates)
}

// projects makes the Roles of an operator that has rights in some namespaces only.
func projects(kubectl, templates string) error {
	objects, err := kustomize(kubectl, "config/namespaced/project")
	if err != nil {
		return err
	}
	var text strings.Builder
	text.WriteString(header + "{{- if .Values.parts.operator }}\n{{- range .Values.namespaces }}\n")
	for _, object := range objects {
		object.SetNamespace("@project")
		if object.GetKind() == "Role" {
			rules, _, err := unstructured.NestedSlice(object.Object, "rules")
			if err != nil {
				return err
			}
			if err := unstructured.SetNestedSlice(object.Object, append(rules, "@pods"), "rules"); err != nil {
				return err
			}
		}
		body, err := template(object)
		if err != nil {
			return err
		}
		body = strings.NewReplacer(
			"'@project'",
			"{{ . }}",
			".Release",
			"$.Release",
			"- '@pods'\n",
			"{{- if $.Values.refreshPods }}\n- apiGroups: [\"\"]\n  resources: [pods]\n  verbs: [list, watch, patch]\n{{- "+
				"end }}\n",
		).Replace(body)
		text.WriteString("---\n" + body)
	}
	text.WriteString("{{- end }}\n{{- end }}\n")
	return write(templates, "projects.yaml", text.String())
}

// template is an object with values in it.
func template(object *unstructured.Unstructured) (string, error) {
	object = object.DeepCopy()
	if err := mark(object); err != nil {
		return "", fmt.Errorf("mark %s %s: %w", object.GetKind(), object.GetName(), err)
	}
	encoded, err := sigsyaml.Marshal(object.Object)
	if err != nil {
		return "", err
	}
	text := strings.ReplaceAll(string(encoded), "{{", `{{ "{{" }}`)
	text = strings.ReplaceAll(text, namespace, "{{ .Release.Namespace }}")
	return marks.ReplaceAllStringFunc(text, choose), nil
}

// marks finds the marks: an item of a list or a field, whose value or name begins with zz_, so that it is the last of
// its object.
var marks = regexp.MustCompile(`(?m)^( *)(- )?([\w-]+: )?zz_(\w+)(: true)?$`)

func choose(line string) string {
	found := marks.FindStringSubmatch(line)
	indent, field, choice := found[1], found[3], choices[found[4]]
	if field != "" && !strings.HasPrefix(choice, "{{-") {
		return indent + found[2] + field + choice
	}
	lines := strings.Split(choice, "\n")
	for i, choice := range lines {
		choice = strings.NewReplacer(
			"INDENT",
			strconv.Itoa(len(indent)),
			"DEEPER",
			strconv.Itoa(len(indent)+2),
		).Replace(
			choice,
		)
		if !strings.HasPrefix(choice, "{{-") {
			choice = indent + choice
		}
		lines[i] = choice
	}
	if field != "" {
		return indent + strings.TrimSuffix(
			field,
			" ",
		) + "\n" + strings.ReplaceAll(
			lines[0],
			fmt.Sprintf("nindent %d", len(indent)),
			fmt.Sprintf("nindent %d", len(indent)+2),
		)
	}
	return strings.Join(lines, "\n")
}

// mark puts marks where an installation may choose.
func mark(object *unstructured.Unstructured) error {
	set := func(value any, fields ...string) error {
		return unstructured.SetNestedField(object.Object, value, fields...)
	}
	switch object.GetKind() {
	case "CustomResourceDefinition":
		annotations, _, err := unstructured.NestedMap(object.Object, "metadata", "annotations")
		if err != nil {
			return err
		}
		annotations["zz_keep"] = true
		return set(annotations, "metadata", "annotations")
	case "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration":
		webhooks, _, err := unstructured.NestedSlice(object.Object, "webhooks")
		if err != nil {
			return err
		}
		for _, webhook := range webhooks {
			if err := unstructured.SetNestedField(webhook.(map[string]any), true, "clientConfig", "zz_authority"); err != nil {
				return err
			}
		}
		return errors.Join(set(webhooks, "webhooks"), set(map[string]any{"zz_injection": true}, "metadata", "annotations"))
	case "ServiceMonitor":
		return markAuthority(object)
	case "PodDisruptionBudget":
		return set("zz_unavailable", "spec", "maxUnavailable")
	case "Service":
		if object.GetName() == "jackstaff-api" {
			return errors.Join(set("zz_serviceType", "spec", "type"), set(true, "metadata", "zz_serviceAnnotations"))
		}
	case "Deployment":
		containers, _, err := unstructured.NestedSlice(object.Object, "spec", "template", "spec", "containers")
		if err != nil {
			return err
		}
		container := containers[0].(map[string]any)
		arguments, _, err := unstructured.NestedSlice(container, "args")
		if err != nil {
			return err
		}
		container["args"] = append(arguments, "zz_arguments")
		container["image"], container["imagePullPolicy"], container["resources"] = "zz_image", "zz_pullPolicy", "zz_resources"
		container["zz_mounts"] = true
		return errors.Join(
			set("zz_replicas", "spec", "replicas"),
			set(containers, "spec", "template", "spec", "containers"),
			set(true, "spec", "template", "spec", "zz_pod"),
		)
	}
	return nil
}

// markAuthority marks the Secret by which Prometheus verifies whom it scrapes: who makes the certificate is a choice.
func markAuthority(monitor *unstructured.Unstructured) error {
	endpoints, _, err := unstructured.NestedSlice(monitor.Object, "spec", "endpoints")
	if err != nil {
		return err
	}
	if err := unstructured.SetNestedField(
		endpoints[0].(map[string]any), "zz_certificateSecret", "tlsConfig", "ca", "secret", "name",
	); err != nil {
		return err
	}
	return unstructured.SetNestedSlice(monitor.Object, endpoints, "spec", "endpoints")
}
