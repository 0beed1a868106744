// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package alerts reads the alerts and dashboards of config/prometheus. Its tests fire each alert with Prometheus' own rule
// engine.
package alerts

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// Rule is one alert of a PrometheusRule.
type Rule struct {
	Alert       string            `json:"alert"`
	Expr        string            `json:"expr"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

// Group is a group of rules.
type Group struct {
	Name  string `json:"name"`
	Rules []Rule `json:"rules"`
}

// Rules reads the PrometheusRule of a repository, and its spec as Prometheus takes it.
func Rules(root string) (groups []Group, spec []byte, err error) {
	file := filepath.Join(root, "config", "prometheus", "rules.yaml")
	manifest, err := os.ReadFile(file)
	if err != nil {
		return nil, nil, fmt.Errorf("read the alerts: %w", err)
	}
	object := struct {
		Spec json.RawMessage `json:"spec"`
	}{}
	if err := yaml.UnmarshalStrict(manifest, &struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		Metadata   any    `json:"metadata"`
		Spec       any    `json:"spec"`
	}{}); err != nil {
		return nil, nil, fmt.Errorf("read the alerts: %w", err)
	}
	if err := yaml.Unmarshal(manifest, &object); err != nil {
		return nil, nil, fmt.Errorf("read the alerts: %w", err)
	}
	read := struct {
		Groups []Group `json:"groups"`
	}{}
	if err := json.Unmarshal(object.Spec, &read); err != nil {
		return nil, nil, fmt.Errorf("read the alerts: %w", err)
	}
	return read.Groups, object.Spec, nil
}

// Panel is a panel of a dashboard, with its queries.
type Panel struct {
	Dashboard, Title string
	Queries          []string
}

// Panels reads the dashboards of a repository.
func Panels(root string) ([]Panel, error) {
	files, err := filepath.Glob(filepath.Join(root, "config", "prometheus", "dashboards", "*.json"))
	if err != nil {
		return nil, fmt.Errorf("find the dashboards: %w", err)
	}
	var panels []Panel
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read a dashboard: %w", err)
		}
		dashboard := struct {
			Panels []struct {
				Title   string `json:"title"`
				Targets []struct {
					Expr string `json:"expr"`
				} `json:"targets"`
			} `json:"panels"`
		}{}
		if err := json.Unmarshal(data, &dashboard); err != nil {
			return nil, fmt.Errorf("read %s: %w", file, err)
		}
		for _, panel := range dashboard.Panels {
			read := Panel{Dashboard: filepath.Base(file), Title: panel.Title}
			for _, target := range panel.Targets {
				read.Queries = append(read.Queries, target.Expr)
			}
			panels = append(panels, read)
		}
	}
	if len(panels) == 0 {
		return nil, errors.Join(fs.ErrNotExist, errors.New("there is no dashboard"))
	}
	return panels, nil
}

// metricName finds metrics: each that we use begins with one of these.
var metricName = regexp.MustCompile(
	`\b((?:jackstaff|controller_runtime|leader_election|workqueue|rest_client|process|go)_\w+)(?:\{([^}]*)\})?`,
)

var (
	matcher  = regexp.MustCompile(`(\w+)\s*(?:=~|!~|!=|=)`)
	grouping = regexp.MustCompile(`\bby\s*\(([^)]*)\)`)
	word     = regexp.MustCompile(`\w+`)
)

// targetLabels are those that Prometheus itself gives.
var targetLabels = []string{"le", "pod", "namespace", "job", "instance"}

// Metrics returns the metrics that a query names, with the labels that each has to have: those that it is matched by, and
// those that the query groups by.
func Metrics(query string) map[string][]string {
	grouped := Grouped(query)
	metrics := map[string][]string{}
	for _, found := range metricName.FindAllStringSubmatch(query, -1) {
		labels := slices.Clone(grouped)
		for _, label := range matcher.FindAllStringSubmatch(found[2], -1) {
			labels = append(labels, label[1])
		}
		labels = slices.DeleteFunc(append(labels, metrics[found[1]]...), func(label string) bool {
			return slices.Contains(targetLabels, label)
		})
		slices.Sort(labels)
		metrics[found[1]] = slices.Compact(labels)
	}
	return metrics
}

// Grouped returns the labels that a query groups by.
func Grouped(query string) (labels []string) {
	for _, found := range grouping.FindAllStringSubmatch(query, -1) {
		labels = append(labels, word.FindAllString(found[1], -1)...)
	}
	slices.Sort(labels)
	return slices.Compact(labels)
}

// Anchor is the anchor of a heading of a page.
func Anchor(heading string) string {
	heading = strings.ToLower(strings.TrimLeft(heading, "# "))
	return strings.ReplaceAll(regexp.MustCompile(`[^\w\- ]`).ReplaceAllString(heading, ""), " ", "-")
}
