// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package budget

import (
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
)

func TestLimits(t *testing.T) {
	limits := Limits{Environments: 10, Objects: 100, Bytes: 1000}
	for name, tc := range map[string]struct {
		limits        Limits
		before, after Usage
		wantRefusal   string
		wantStop      string
	}{
		"within all":                               {limits: limits, after: Usage{10, 100, 1000, 1000}},
		"one environment too many":                 {limits: limits, before: Usage{Environments: 10}, after: Usage{Environments: 11}, wantRefusal: EnvironmentsFlag},
		"an object too many":                       {limits: limits, before: Usage{Objects: 100}, after: Usage{Objects: 101}, wantRefusal: ObjectsFlag},
		"a byte too many":                          {limits: limits, before: Usage{Bytes: 1000}, after: Usage{Bytes: 1001}, wantRefusal: BytesFlag},
		"an edit beyond a lowered limit":           {limits: limits, before: Usage{Bytes: 1090}, after: Usage{Bytes: 1090}},
		"what shrinks beyond a lowered limit":      {limits: limits, before: Usage{12, 150, 3000, 3000}, after: Usage{12, 150, 2000, 2000}, wantStop: EnvironmentsFlag},
		"a tenth more stops":                       {limits: limits, before: Usage{Objects: 110}, after: Usage{Objects: 111}, wantRefusal: ObjectsFlag, wantStop: ObjectsFlag},
		"twice the bytes with what takes no place": {limits: limits, before: Usage{Held: 2000 + freeManagersBytes}, after: Usage{Held: 2001 + freeManagersBytes}, wantRefusal: BytesFlag},
		"an edit beyond that that does not grow":   {limits: limits, before: Usage{Held: 2100 + freeManagersBytes}, after: Usage{Held: 2100 + freeManagersBytes}},
		"much more than that stops":                {limits: limits, before: Usage{Held: (2000 + freeManagersBytes) * 11 / 10}, after: Usage{Held: (2010 + freeManagersBytes) * 11 / 10}, wantRefusal: BytesFlag, wantStop: BytesFlag},
		"no limits":                                {after: Usage{1e6, 1e6, 1e12, 1e12}},
	} {
		t.Run(name, func(t *testing.T) {
			for what, message := range map[string][2]string{
				"admission":  {tc.limits.Refusal(tc.before, tc.after), tc.wantRefusal},
				"publishing": {tc.limits.Stop(tc.after), tc.wantStop},
			} {
				if (message[0] == "") != (message[1] == "") || !strings.Contains(message[0], message[1]) {
					t.Errorf("%s says %q, want a message that names %q", what, message[0], message[1])
				}
			}
		})
	}
}

func TestLedgerCountsANamespace(t *testing.T) {
	ledger := NewLedger(Limits{Environments: 1, Bytes: 300})
	var notified []string
	ledger.Subscribe(func(namespace string) { notified = append(notified, namespace) })
	production := builders.MakeEnvironment("production", "shop").Obj()
	ledger.record(production)
	ledger.record(production) // Seen again after a resync.
	ledger.record(builders.MakeEnvironment("production", "web").Obj())

	staging := builders.MakeEnvironment("staging", "shop").Obj()
	if ledger.Refusal(staging) == "" {
		t.Error("a second environment is admitted where one is allowed")
	}
	if refusal := ledger.Refusal(production); refusal != "" {
		t.Errorf("an edit of what is there is refused: %s", refusal)
	}
	if refusal := ledger.Refusal(builders.MakeEnvironment("staging", "other").Obj()); refusal != "" {
		t.Errorf("a namespace pays for another: %s", refusal)
	}
	audience := builders.MakeAudience("beta", "shop").Members(strings.Repeat("a", 400)).Obj()
	ledger.record(audience)
	if ledger.Stop("shop") == "" || ledger.Stop("web") != "" {
		t.Error("not the namespace that has too much is stopped")
	}
	ledger.remove(audience)
	if stop := ledger.Stop("shop"); stop != "" {
		t.Errorf("what is deleted counts: %s", stop)
	}
	if len(notified) != 2 || notified[0] != "shop" {
		t.Errorf("controllers are told of %v, want twice of shop", notified)
	}
	for _, object := range []client.Object{production, builders.MakeEnvironment("production", "web").Obj()} {
		ledger.remove(object)
	}
	if len(ledger.namespaces)+len(ledger.objects) != 0 {
		t.Error("the ledger remembers what is gone")
	}
}

// A tenant fills the namespace to the byte, and whoever is on call must still be able to act.
func TestAFullNamespaceTakesWhatIsDoneOnCall(t *testing.T) {
	flag := builders.MakeFlag("checkout", "shop").Boolean().Environment("production").Obj()
	environment := builders.MakeEnvironment("production", "shop").Obj()
	ledger := NewLedger(Limits{Bytes: sizeOf(flag) + sizeOf(environment)})
	ledger.record(flag)
	ledger.record(environment)
	if ledger.Refusal(builders.MakeFlag("search", "shop").Boolean().Obj()) == "" {
		t.Fatal("the namespace is not full")
	}
	for name, edit := range map[string]func(*v1alpha1.FeatureFlag, *v1alpha1.FlagEnvironment){
		"a switch off": func(flag *v1alpha1.FeatureFlag, _ *v1alpha1.FlagEnvironment) {
			flag.Spec.Environments[0].Enabled = !flag.Spec.Environments[0].Enabled
		},
		"a brake": func(flag *v1alpha1.FeatureFlag, _ *v1alpha1.FlagEnvironment) {
			flag.ForceDisableIn("production", true)
		},
		"a freeze": func(_ *v1alpha1.FeatureFlag, environment *v1alpha1.FlagEnvironment) {
			environment.Spec.Publish.Suspend = true
		},
		"a rollback": func(_ *v1alpha1.FeatureFlag, environment *v1alpha1.FlagEnvironment) {
			environment.Spec.Publish.Revision = new(int64(41))
		},
		"a request to publish": func(_ *v1alpha1.FeatureFlag, environment *v1alpha1.FlagEnvironment) {
			environment.Annotations = map[string]string{v1alpha1.PublishRequestedAtAnnotation: "2026-01-02T03:04:05Z"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			flag, environment := flag.DeepCopy(), environment.DeepCopy()
			edit(flag, environment)
			if refusal := ledger.Refusal(flag) + ledger.Refusal(environment); refusal != "" {
				t.Error(refusal)
			}
		})
	}
	flag.ForceDisableIn(strings.Repeat("a", 5000), true)
	if ledger.Refusal(flag) == "" {
		t.Error("a brake of any length takes no place")
	}
}

func TestNoLedgerKnowsNoLimit(t *testing.T) {
	var none *Ledger
	if none.Refusal(builders.MakeEnvironment("production", "shop").Obj())+none.Stop("shop") != "" {
		t.Error("a limit holds that nobody has set")
	}
}

// Metadata fills memory as a spec does, so that a tenant must not get around the budget by it.
func TestMetadataTakesPlace(t *testing.T) {
	long := strings.Repeat("a", 1000)
	for name, tc := range map[string]struct {
		grow func(*v1alpha1.FeatureFlag)
		want bool
	}{
		"labels":      {grow: func(f *v1alpha1.FeatureFlag) { f.Labels = map[string]string{"a": long} }, want: true},
		"annotations": {grow: func(f *v1alpha1.FeatureFlag) { f.Annotations = map[string]string{"a": long} }, want: true},
		"finalizers":  {grow: func(f *v1alpha1.FeatureFlag) { f.Finalizers = []string{long} }, want: true},
		"owners": {grow: func(f *v1alpha1.FeatureFlag) {
			f.OwnerReferences = []metav1.OwnerReference{{Name: long}}
		}, want: true},
		"what a hundred tools apply": {grow: func(f *v1alpha1.FeatureFlag) {
			for range 100 {
				f.ManagedFields = append(f.ManagedFields, metav1.ManagedFieldsEntry{
					Manager: "tool", FieldsV1: metav1.NewFieldsV1(`{"f:spec":"` + long + `"}`),
				})
			}
		}, want: true},
		"what a person applies": {grow: func(f *v1alpha1.FeatureFlag) {
			f.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "kubectl", FieldsV1: metav1.NewFieldsV1(`{"f:spec":"` + long + `"}`)}}
		}},
		"an object that is being deleted": {grow: func(f *v1alpha1.FeatureFlag) {
			f.DeletionTimestamp, f.Finalizers = &metav1.Time{}, []string{long}
		}, want: true},
	} {
		t.Run(name, func(t *testing.T) {
			flag := builders.MakeFlag("checkout", "shop").Boolean().Obj()
			ledger := NewLedger(Limits{Bytes: sizeOf(flag)})
			ledger.record(flag)
			grown := flag.DeepCopy()
			tc.grow(grown)
			if refused := ledger.Refusal(grown) != ""; refused != tc.want {
				t.Errorf("it is refused: %t, want %t", refused, tc.want)
			}
			if sameSize(flag, grown) == tc.want {
				t.Error("an update of the metadata is not counted anew")
			}
		})
	}
}

// A brake takes no place, but a tenant must not hold memory without a bound by filling all that is free.
func TestWhatTakesNoPlaceIsBoundedForANamespace(t *testing.T) {
	ledger := NewLedger(Limits{Bytes: 20 << 10})
	refused := 0
	for i := range 20 {
		flag := builders.MakeFlag(fmt.Sprintf("flag-%d", i), "shop").Boolean().Obj()
		if ledger.Refusal(flag) != "" {
			refused++
			continue
		}
		flag.ManagedFields = []metav1.ManagedFieldsEntry{{
			Manager: "tool", FieldsV1: metav1.NewFieldsV1(`{"f:spec":"` + strings.Repeat("a", 12<<10) + `"}`),
		}}
		if ledger.Refusal(flag) != "" {
			refused++
			continue
		}
		ledger.record(flag)
	}
	if used := ledger.namespaces["shop"]; used.Held > 40<<10+freeManagersBytes || used.Bytes > 20<<10 {
		t.Errorf("the namespace holds %d bytes of which %d count", used.Held, used.Bytes)
	}
	if refused == 0 {
		t.Error("nothing is refused")
	}
}

// Requests that are judged at a time must not all take the room that is left.
func TestParallelRequestsTakeRoomOnce(t *testing.T) {
	ledger := NewLedger(Limits{Objects: 5})
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	ledger.now = func() time.Time { return now }
	flag := func(i int) client.Object {
		return builders.MakeFlag(fmt.Sprintf("flag-%d", i), "shop").Boolean().Obj()
	}
	admit := func(from, to int) (count int) {
		for i := from; i < to; i++ {
			if ledger.Admit(flag(i)) == "" {
				count++
			}
		}
		return count
	}
	if got := admit(0, 20); got != 5 {
		t.Errorf("%d of 20 flags are admitted before the cache shows any, want 5", got)
	}
	if ledger.Admit(flag(0)) != "" {
		t.Error("an edit of what was admitted is refused")
	}
	if ledger.Admit(builders.MakeFlag("flag", "web").Boolean().Obj()) != "" {
		t.Error("another namespace pays for it")
	}
	ledger.record(flag(0))
	ledger.record(flag(1))
	if got := admit(20, 30); got != 0 {
		t.Errorf("%d more are admitted once the cache shows some", got)
	}
	now = now.Add(admittedFor + time.Second) // Something else has refused the other three.
	if got := admit(20, 30); got != 3 {
		t.Errorf("%d are admitted later, want 3", got)
	}
	for i := range 30 {
		ledger.remove(flag(i))
	}
	ledger.remove(builders.MakeFlag("flag", "web").Boolean().Obj())
	if len(ledger.admitted)+len(ledger.objects) != 0 {
		t.Error("the ledger remembers what is gone")
	}
}
