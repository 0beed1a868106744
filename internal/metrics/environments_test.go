// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
	"github.com/jackstaff-dev/jackstaff/internal/index"
)

var noon = time.Date(2027, 1, 1, 12, 0, 0, 0, time.UTC)

func at(before time.Duration) metav1.Time { return metav1.NewTime(noon.Add(-before)) }

// gather returns what is served with the objects in the cache: values by name and labels.
func gather(t *testing.T, objects ...client.Object) map[string]float64 {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	cached := fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).
		WithIndex(&v1alpha1.FeatureFlag{}, index.FlagKey, func(object client.Object) []string {
			return []string{object.GetName()}
		}).Build()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(&Environments{Cached: cached, Clock: clocktesting.NewFakePassiveClock(noon)})
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			var labels []string
			for _, label := range metric.GetLabel() {
				if label.GetName() != "project" && label.GetName() != "environment" {
					labels = append(labels, label.GetValue())
				}
			}
			name := strings.TrimPrefix(family.GetName(), "jackstaff_environment_")
			values[strings.Join(append([]string{name}, labels...), " ")] = metric.GetGauge().GetValue()
		}
	}
	return values
}

// Whoever is on call sees by these what an environment's users see.
func TestWhatIsServedOfAnEnvironment(t *testing.T) {
	isFalse := func(conditionType, reason string) metav1.Condition {
		return metav1.Condition{Type: conditionType, Status: metav1.ConditionFalse, Reason: reason}
	}
	flag := func(name string, changed time.Duration, annotation string) *v1alpha1.FeatureFlag {
		flag := builders.MakeFlag(name, "shop").Boolean().Obj()
		flag.Status.LastChangedTime = new(at(changed))
		if annotation != "" {
			flag.Annotations = map[string]string{v1alpha1.ForceDisabledAnnotation: annotation}
		}
		return flag
	}
	flags := []client.Object{flag("old", time.Hour, ""), flag("new", time.Minute, ""), flag("off", 0, "production")}
	for name, tc := range map[string]struct {
		acknowledge bool
		status      v1alpha1.FlagEnvironmentStatus
		want        map[string]float64
	}{
		"nothing yet": {want: map[string]float64{}},
		"served": {
			status: v1alpha1.FlagEnvironmentStatus{
				PublishedRevision: 7, Flags: v1alpha1.FlagCounts{Total: 3}, Datafile: v1alpha1.DatafileStatus{Bytes: 900},
				Conditions: []metav1.Condition{
					{Type: v1alpha1.PublishedCondition, Status: metav1.ConditionTrue, Reason: v1alpha1.PublishedReason},
				},
				Deliveries: []v1alpha1.NamespaceDelivery{{Namespace: "a", Revision: 7}, {Namespace: "b", Revision: 6}},
			},
			want: map[string]float64{
				"revision": 7, "flags": 3, "datafile_bytes": 900, "published Published": 1,
				"delivery_namespaces current": 1, "delivery_namespaces behind": 1,
			},
		},
		"everything is wrong": {
			status: v1alpha1.FlagEnvironmentStatus{Flags: v1alpha1.FlagCounts{LastGood: 2}, Conditions: []metav1.Condition{
				isFalse(v1alpha1.PublishedCondition, v1alpha1.WriteFailedReason),
				isFalse(v1alpha1.CompiledCondition, v1alpha1.LastGoodReason),
				isFalse(v1alpha1.DeliveredCondition, v1alpha1.NameTakenReason),
				isFalse(v1alpha1.SealedCondition, v1alpha1.TamperedReason),
			}},
			want: map[string]float64{
				"last_good_flags": 2, "published WriteFailed": 0, "compiled LastGood": 0, "delivered": 0, "sealed": 0,
			},
		},
		// Whoever is called by the alert on flags that do not compile has nothing to mend.
		"drafts that do not fit": {
			status: v1alpha1.FlagEnvironmentStatus{
				Flags: v1alpha1.FlagCounts{LastGood: 2, Pending: 2}, PendingFlags: []string{"new", "old"},
				Conditions: []metav1.Condition{
					{Type: v1alpha1.CompiledCondition, Status: metav1.ConditionTrue, Reason: v1alpha1.CompiledReason},
				},
			},
			want: map[string]float64{"pending_flags": 2, "pending_seconds": 3600, "compiled Compiled": 1},
		},
		"pending": {
			status: v1alpha1.FlagEnvironmentStatus{
				Flags: v1alpha1.FlagCounts{Pending: 3}, PendingFlags: []string{"deleted", "new", "old"},
			},
			want: map[string]float64{"pending_flags": 3, "pending_seconds": 3600},
		},
		"laggards under a brake": {
			acknowledge: true,
			status: v1alpha1.FlagEnvironmentStatus{PublishedRevision: 7, Instances: []v1alpha1.Instance{
				{Name: "current", Revision: 7, LastSeen: at(time.Minute)},
				{Name: "laggard", Revision: 6, LastSeen: at(time.Minute)},
				{Name: "silent", Revision: 6, LastSeen: at(time.Hour)},
			}},
			want: map[string]float64{
				"revision": 7, "instances current": 1, "instances laggard": 1, "unacknowledged_brakes": 1,
			},
		},
		"a brake that everybody has": {
			acknowledge: true,
			status: v1alpha1.FlagEnvironmentStatus{PublishedRevision: 7, Instances: []v1alpha1.Instance{
				{Name: "current", Revision: 7, LastSeen: at(time.Minute)},
			}},
			want: map[string]float64{"revision": 7, "instances current": 1},
		},
	} {
		t.Run(name, func(t *testing.T) {
			environment := builders.MakeEnvironment("production", "shop").Obj()
			environment.Spec.Delivery.Acknowledge, environment.Status = tc.acknowledge, tc.status
			want := map[string]float64{
				"revision": 0, "flags": 0, "pending_flags": 0, "pending_seconds": 0, "last_good_flags": 0, "delivered": 1,
				"sealed": 1, "datafile_bytes": 0, "instances current": 0, "instances laggard": 0,
				"delivery_namespaces current": 0, "delivery_namespaces behind": 0, "unacknowledged_brakes": 0,
				"jackstaff_environments_unreported": 0,
			}
			maps.Copy(want, tc.want)
			if diff := cmp.Diff(want, gather(t, append(flags, environment)...)); diff != "" {
				t.Errorf("the metrics differ (-want +got):\n%s", diff)
			}
		})
	}
}

// A tenant who makes environments without end takes neither Prometheus' memory nor the series of others.
func TestEnvironmentsWithoutSeries(t *testing.T) {
	var all []v1alpha1.FlagEnvironment
	add := func(namespace string, count int, age time.Duration) {
		for i := range count {
			environment := builders.MakeEnvironment(fmt.Sprint("e", i), namespace).Obj()
			environment.CreationTimestamp = at(age)
			all = append(all, *environment)
		}
	}
	add("hostile", 3*MaxPerNamespace, time.Hour)
	add("hostile-of-old", 1, 2*time.Hour)
	add("shop", 3, time.Minute)
	chosen, others := choose(all)
	counts := map[string]int{}
	for _, environment := range chosen {
		counts[environment.Namespace]++
	}
	want := map[string]int{"hostile": MaxPerNamespace, "hostile-of-old": 1, "shop": 3}
	if diff := cmp.Diff(want, counts); diff != "" || others != 2*MaxPerNamespace {
		t.Errorf("%d are without series, and of those that have some (-want +got):\n%s", others, diff)
	}
	for i := range MaxEnvironments {
		add(fmt.Sprint("n", i), 1, 0)
	}
	if chosen, others = choose(all); len(chosen) != MaxEnvironments || others != len(all)-MaxEnvironments {
		t.Errorf("%d environments have series and %d have none", len(chosen), others)
	}
}
