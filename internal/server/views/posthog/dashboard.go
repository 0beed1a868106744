// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package posthog

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/replica/usage"
	"github.com/jackstaff-dev/jackstaff/internal/server"
)

const (
	// dashboardLabel with the value "1" is what Grafana's sidecar looks for.
	dashboardLabel = "grafana_dashboard"
	// dashboardPrefix and the name of a flag are the name of the ConfigMap with its dashboard.
	dashboardPrefix = "jackstaff-dashboard-"
	dashboardFile   = "dashboard.json"
)

// writeDashboard writes, as the caller, a ConfigMap with a Grafana dashboard of the flag's evaluations. It belongs to
// the flag and goes with it. It fails with an *Error of status 400 where something else has its name, and else with
// what the API server says.
func (v *view) writeDashboard(ctx context.Context, flag *v1alpha1.FeatureFlag) error {
	data, err := json.MarshalIndent(dashboard(flag), "", "  ")
	if err != nil {
		return fmt.Errorf("encode dashboard: %w", err)
	}
	writer := v.Cluster.AsCaller()
	owner := metav1.OwnerReference{
		APIVersion: v1alpha1.GroupVersion.String(),
		Kind:       "FeatureFlag",
		Name:       flag.Name,
		UID:        flag.UID,
	}
	wanted := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: flag.Namespace, Name: dashboardPrefix + flag.Name,
			Labels: map[string]string{dashboardLabel: "1"}, OwnerReferences: []metav1.OwnerReference{owner},
		},
		Data: map[string]string{dashboardFile: string(data)},
	}
	err = writer.Create(ctx, wanted.DeepCopy())
	if !apierrors.IsAlreadyExists(err) {
		return dashboardRefusal(ctx, flag, err)
	}
	existing := &corev1.ConfigMap{}
	if err := writer.Get(ctx, client.ObjectKeyFromObject(wanted), existing); err != nil {
		return dashboardRefusal(ctx, flag, err)
	}
	if len(existing.OwnerReferences) != 1 || existing.OwnerReferences[0].UID != flag.UID {
		return server.Errorf(http.StatusBadRequest, "the ConfigMap %s is not that of this flag", wanted.Name)
	}
	changed := existing.DeepCopy()
	changed.Data, changed.Labels = wanted.Data, wanted.Labels
	return dashboardRefusal(ctx, flag, writer.Patch(ctx, changed, client.MergeFrom(existing)))
}

// dashboardRefusal is the answer to an error of writing a dashboard. The roles for flags give no right to ConfigMaps,
// because the datafiles are such too, so that it says which right is missing.
func dashboardRefusal(ctx context.Context, flag *v1alpha1.FeatureFlag, err error) error {
	if apierrors.IsForbidden(err) {
		return server.Errorf(
			http.StatusForbidden,
			"a dashboard is a ConfigMap, and %s may not create, get and patch configmaps in project %q; bind a role that "+
				"allows it, such as Kubernetes' edit",
			server.CallerFrom(ctx).User.GetName(),
			flag.Namespace,
		)
	}
	return server.FromKubernetes(err, func(path string) string { return path })
}

// dashboard is Grafana's JSON of a dashboard with one panel.
func dashboard(flag *v1alpha1.FeatureFlag) map[string]any {
	query := fmt.Sprintf(
		"sum by (%s, %s) (rate(%s{%s=%q, %s=%q}[$__rate_interval]))",
		usage.EnvironmentLabel,
		usage.VariationLabel,
		usage.CounterName,
		usage.ProjectLabel,
		flag.Namespace,
		usage.FlagLabel,
		flag.Key(),
	)
	legend := fmt.Sprintf("{{%s}} {{%s}}", usage.EnvironmentLabel, usage.VariationLabel)
	source := map[string]any{"type": "prometheus", "uid": "${datasource}"}
	return map[string]any{
		"uid": string(
			flag.UID,
		),
		"title":         "Flag " + flag.Key(),
		"tags":          []string{"jackstaff"},
		"schemaVersion": 39,
		"refresh":       "1m",
		"time":          map[string]any{"from": "now-24h", "to": "now"},
		"templating": map[string]any{"list": []any{
			map[string]any{"name": "datasource", "type": "datasource", "query": "prometheus"},
		}},
		"panels": []any{map[string]any{
			"id": 1, "type": "timeseries", "title": "Evaluations per second", "datasource": source,
			"gridPos": map[string]any{"h": 12, "w": 24, "x": 0, "y": 0},
			"targets": []any{map[string]any{"refId": "A", "datasource": source, "expr": query, "legendFormat": legend}},
		}},
	}
}
