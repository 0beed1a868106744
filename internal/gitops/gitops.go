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

// fieldManagers are the names under which the tools apply objects.
var fieldManagers = map[string]string{
	"argocd-controller": "Argo CD", "argocd-application-controller": "Argo CD",
	"kustomize-controller": "Flux", "helm-controller": "Flux",
}

// ManagerOf returns the tool that owns an object, and nil where none does. The label app.kubernetes.io/instance says
// nothing, because Helm sets it too.
func ManagerOf(object metav1.Object) *Manager {
	if id := object.GetAnnotations()["argocd.argoproj.io/tracking-id"]; id != "" {
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
