// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
)

func kustomize(kubectl, folder string) ([]*unstructured.Unstructured, error) {
	command := exec.Command(kubectl, "kustomize", folder) //nolint:gosec,noctx // It is the developer's own, and ends.
	output, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("build %s: %w", folder, err)
	}
	return decode(output)
}

func decode(manifests []byte) ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(manifests), len(manifests))
	for {
		object := &unstructured.Unstructured{}
		if err := decoder.Decode(object); errors.Is(err, io.EOF) {
			return objects, nil
		} else if err != nil {
			return nil, err
		}
		if len(object.Object) > 0 {
			objects = append(objects, object)
		}
	}
}

func write(folder, name, text string) error {
	return os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644) //nolint:gosec // It is source code.
}

// dashboardPrefix begins the names of the ConfigMaps with dashboards.
const dashboardPrefix = "jackstaff-dashboard-"

// dashboards are the ConfigMaps that kustomize generates for config/prometheus.
func dashboards() ([]*unstructured.Unstructured, error) {
	files, err := filepath.Glob(filepath.Join("config", "prometheus", "dashboards", "*.json"))
	if err != nil {
		return nil, err
	}
	var made []*unstructured.Unstructured
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		name := filepath.Base(file)
		made = append(made, &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "v1", "kind": "ConfigMap",
			"metadata": map[string]any{
				"name":      dashboardPrefix + strings.TrimSuffix(name, ".json"),
				"namespace": namespace,
				"labels":    map[string]any{"app.kubernetes.io/name": "jackstaff", "grafana_dashboard": "1"},
			},
			"data": map[string]any{name: string(data)},
		}})
	}
	return made, nil
}
