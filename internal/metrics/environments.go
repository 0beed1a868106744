// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/index"
	"github.com/jackstaff-dev/jackstaff/internal/replica/heartbeat"
)

const (
	// MaxPerNamespace is how many environments of one namespace have series: the oldest, so that new ones push none out.
	MaxPerNamespace = 20
	// MaxEnvironments is how many environments have series.
	MaxEnvironments = 5_000

	// collectPatience is how long a scrape waits for the cache.
	collectPatience = 5 * time.Second
)

// The metrics of an environment.
var (
	revision     = ofEnvironment("revision", "The revision that the environment serves, and 0 before the first.")
	flags        = ofEnvironment("flags", "The flags of the environment.")
	pendingFlags = ofEnvironment("pending_flags", "Flags with changes that are not published.")
	pendingAge   = ofEnvironment("pending_seconds", "How long ago the first of the pending flags was last changed.")
	lastGood     = ofEnvironment(
		"last_good_flags",
		"Flags that keep their last good form, where any of them does not compile.",
	)
	published     = ofEnvironment("published", "1 where the condition Published is True, else 0.", "reason")
	compiled      = ofEnvironment("compiled", "1 where the condition Compiled is True, else 0.", "reason")
	delivered     = ofEnvironment("delivered", "0 where the condition Delivered is False, else 1.")
	sealed        = ofEnvironment("sealed", "0 where a ConfigMap is not what the operator published, else 1.")
	datafileBytes = ofEnvironment("datafile_bytes", "The size of the served ConfigMap, of the 1048576 that one holds.")
	instances     = ofEnvironment("instances", "Running workloads that report what they have loaded.", "state")
	namespaces    = ofEnvironment("delivery_namespaces", "Namespaces with a copy, of the first 100.", "state")
	brakes        = ofEnvironment("unacknowledged_brakes", "Flags forced off while workloads report another revision.")
	unreported    = prometheus.NewDesc("jackstaff_environments_unreported",
		"Environments without series, because their namespace or the cluster has too many.", nil, nil)
)

func ofEnvironment(name, help string, labels ...string) *prometheus.Desc {
	labels = append([]string{"project", "environment"}, labels...)
	return prometheus.NewDesc("jackstaff_environment_"+name, help, labels, nil)
}

// Environments collects what each environment serves from the operator's cache, with each scrape.
type Environments struct {
	// Cached reads from a cache with the indexes of package index.
	Cached client.Reader
	Clock  clock.PassiveClock
}

// Describe describes the metrics of environments.
func (e *Environments) Describe(to chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{
		revision, flags, pendingFlags, pendingAge, lastGood, published, compiled, delivered, sealed, datafileBytes,
		instances, namespaces, brakes, unreported,
	} {
		to <- desc
	}
}

// Collect collects them. Where the cache cannot be read, there are none.
func (e *Environments) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), collectPatience)
	defer cancel()
	list := &v1alpha1.FlagEnvironmentList{}
	if err := e.Cached.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
		log.Log.WithName("metrics").V(1).Info("Cannot read environments", "reason", err.Error())
		return
	}
	now := e.Clock.Now()
	chosen, others := choose(list.Items)
	for _, environment := range chosen {
		s := seriesOf(environment, now)
		s.pendingSince = e.pendingSince(ctx, environment)
		if s.laggards > 0 {
			s.brakes = e.braked(ctx, environment)
		}
		s.send(to, now)
	}
	to <- prometheus.MustNewConstMetric(unreported, prometheus.GaugeValue, float64(others))
}

// choose returns the environments that have series, and how many have none: of each namespace the oldest, and of all
// namespaces those whose environments are older.
func choose(all []v1alpha1.FlagEnvironment) (chosen []*v1alpha1.FlagEnvironment, others int) {
	ordered := make([]*v1alpha1.FlagEnvironment, len(all))
	for i := range all {
		ordered[i] = &all[i]
	}
	slices.SortFunc(ordered, func(a, b *v1alpha1.FlagEnvironment) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Namespace, b.Namespace),
			cmp.Compare(a.Name, b.Name))
	})
	inNamespace := map[string]int{}
	for _, environment := range ordered {
		if len(chosen) == MaxEnvironments || inNamespace[environment.Namespace] == MaxPerNamespace {
			others++
			continue
		}
		inNamespace[environment.Namespace]++
		chosen = append(chosen, environment)
	}
	return chosen, others
}

// series is what the metrics say of one environment.
type series struct {
	environment *v1alpha1.FlagEnvironment
	// current and laggards count running workloads that report the served revision, and another one.
	current, laggards int
	// copies and oldCopies count the namespaces with the served revision, and with another one.
	copies, oldCopies int
	// pendingSince is zero where nothing is pending.
	pendingSince time.Time
	brakes       int
}

func seriesOf(environment *v1alpha1.FlagEnvironment, now time.Time) *series {
	s, status := &series{environment: environment}, &environment.Status
	if environment.Spec.Delivery.Acknowledge {
		for i := range status.Instances {
			switch instance := &status.Instances[i]; {
			case !heartbeat.IsExpected(instance.LastSeen.Time, now):
			case instance.Revision == status.PublishedRevision:
				s.current++
			default:
				s.laggards++
			}
		}
	}
	for _, copied := range status.Deliveries {
		if copied.Revision == status.PublishedRevision {
			s.copies++
		} else {
			s.oldCopies++
		}
	}
	return s
}

// notCompiled is how many flags keep their last good form, and 0 where all of them compile: nobody has to mend what only
// does not fit.
func notCompiled(status *v1alpha1.FlagEnvironmentStatus) int32 {
	if meta.IsStatusConditionTrue(status.Conditions, v1alpha1.CompiledCondition) {
		return 0
	}
	return status.Flags.LastGood
}

// send sends the series.
func (s *series) send(to chan<- prometheus.Metric, now time.Time) {
	status := &s.environment.Status
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		labels = append([]string{s.environment.Namespace, s.environment.Name}, labels...)
		to <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	gauge(revision, float64(status.PublishedRevision))
	gauge(flags, float64(status.Flags.Total))
	gauge(pendingFlags, float64(status.Flags.Pending))
	gauge(lastGood, float64(notCompiled(status)))
	gauge(datafileBytes, float64(status.Datafile.Bytes))
	age := time.Duration(0)
	if !s.pendingSince.IsZero() {
		age = max(0, now.Sub(s.pendingSince))
	}
	gauge(pendingAge, age.Seconds())
	for desc, conditionType := range map[*prometheus.Desc]string{
		published: v1alpha1.PublishedCondition, compiled: v1alpha1.CompiledCondition,
	} {
		if condition := meta.FindStatusCondition(status.Conditions, conditionType); condition != nil {
			gauge(desc, oneWhere(condition.Status == metav1.ConditionTrue), condition.Reason)
		}
	}
	gauge(delivered, oneWhere(!meta.IsStatusConditionFalse(status.Conditions, v1alpha1.DeliveredCondition)))
	gauge(sealed, oneWhere(!meta.IsStatusConditionFalse(status.Conditions, v1alpha1.SealedCondition)))
	gauge(instances, float64(s.current), "current")
	gauge(instances, float64(s.laggards), "laggard")
	gauge(namespaces, float64(s.copies), "current")
	gauge(namespaces, float64(s.oldCopies), "behind")
	gauge(brakes, float64(s.brakes))
}

func oneWhere(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

// pendingSince is when the first of the pending flags that the status names was last changed. A deletion that
// waits has no time.
func (e *Environments) pendingSince(ctx context.Context, environment *v1alpha1.FlagEnvironment) (since time.Time) {
	for _, key := range environment.Status.PendingFlags {
		flags := &v1alpha1.FeatureFlagList{}
		if err := e.Cached.List(ctx, flags, client.InNamespace(environment.Namespace),
			client.MatchingFields{index.FlagKey: key}, client.UnsafeDisableDeepCopy); err != nil {
			return since
		}
		for i := range flags.Items {
			changed := flags.Items[i].Status.LastChangedTime
			if changed != nil && (since.IsZero() || changed.Time.Before(since)) {
				since = changed.Time
			}
		}
	}
	return since
}

// braked counts the flags that are forced off in an environment.
func (e *Environments) braked(ctx context.Context, environment *v1alpha1.FlagEnvironment) (count int) {
	flags := &v1alpha1.FeatureFlagList{}
	namespace := client.InNamespace(environment.Namespace)
	if err := e.Cached.List(ctx, flags, namespace, client.UnsafeDisableDeepCopy); err != nil {
		return 0
	}
	for i := range flags.Items {
		if flags.Items[i].ForceDisabledIn(environment.Name) {
			count++
		}
	}
	return count
}
