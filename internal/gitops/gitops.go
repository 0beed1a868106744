// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package gitops knows the tools that apply objects from Git, and how a flag of theirs is switched off nevertheless.
package gitops

import (
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Manager is the tool that owns an object: what is written to it by hand, the tool undoes.
type Manager struct {
	// Tool is Argo CD or Flux.
	Tool string `json:"tool"`
	// Application is the tool's own object that the object belongs to. It is empty where that is not known.
	Application string `json:"application,omitempty"`
}

// String is the tool, and in brackets the application.
func (m *Manager) String() string {
	if m.Application == "" {
		return m.Tool
	}
	return m.Tool + " (" + m.Application + ")"
}

// fluxPrefixes begin the labels of Flux's controllers.
var fluxPrefixes = []string{"kustomize.toolkit.fluxcd.io/", "helm.toolkit.fluxcd.io/"}

// trackingAnnotation is Argo CD's.
const trackingAnnotation = "argocd.argoproj.io/tracking-id"

// fieldManagers are the names under which the tools apply objects.
var fieldManagers = map[string]string{
	"argocd-controller": "Argo CD", "argocd-application-controller": "Argo CD",
	"kustomize-controller": "Flux", "helm-controller": "Flux",
}

// ManagerOf returns the tool that owns an object, and nil where none does. The label app.kubernetes.io/instance says
// nothing, because Helm sets it too.
func ManagerOf(object metav1.Object) *Manager {
	if id := object.GetAnnotations()[trackingAnnotation]; id != "" {
		application, _, _ := strings.Cut(id, ":")
		return &Manager{Tool: "Argo CD", Application: application}
	}
	for _, prefix := range fluxPrefixes {
		if name := object.GetLabels()[prefix+"name"]; name != "" {
			return &Manager{Tool: "Flux", Application: strings.TrimPrefix(object.GetLabels()[prefix+"namespace"]+"/"+name, "/")}
		}
	}
	for _, entry := range object.GetManagedFields() {
		if tool := fieldManagers[entry.Manager]; tool != "" && entry.Operation == metav1.ManagedFieldsOperationApply {
			return &Manager{Tool: tool}
		}
	}
	return nil
}

// IsTool reports whether a field manager is that of a tool.
func IsTool(fieldManager string) bool { return fieldManagers[fieldManager] != "" }

// SameMarks reports whether two objects bear the same marks, by which ManagerOf tells the tool that owns them.
func SameMarks(a, b metav1.Object) bool {
	if a.GetAnnotations()[trackingAnnotation] != b.GetAnnotations()[trackingAnnotation] {
		return false
	}
	for _, prefix := range fluxPrefixes {
		for _, name := range []string{"name", "namespace"} {
			if a.GetLabels()[prefix+name] != b.GetLabels()[prefix+name] {
				return false
			}
		}
	}
	return true
}
