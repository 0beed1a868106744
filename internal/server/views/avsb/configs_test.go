// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package avsb

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/builders"
)

// A request that leaves a field out must not switch a flag off, nor cancel a schedule that somebody relies on; and a
// flag that its schedule keeps off must not go on because the schedule is cleared.
func TestApplyConfig(t *testing.T) {
	now := time.Date(2027, 1, 2, 15, 4, 5, 0, time.UTC)
	early, late, later := now.Add(-time.Hour), now.Add(14*time.Hour), now.Add(20*time.Hour)
	stamp := func(at time.Time) string { return `"` + at.Format(time.RFC3339) + `"` }
	flag := func() *builders.FlagBuilder {
		return builders.MakeFlag("a", "shop").Boolean().Environment("staging").Fallthrough("on")
	}
	ahead := flag().Schedule(late, time.Time{})
	both, expired := flag().Schedule(late, later), flag().Schedule(time.Time{}, early)
	braked := func(of *builders.FlagBuilder) *v1alpha1.FeatureFlag {
		obj := of.Obj()
		obj.ForceDisableIn("staging", true)
		return obj
	}
	type state struct {
		enabled           bool
		enable, disableAt time.Time
		timeZone          string
	}
	for name, tc := range map[string]struct {
		flag  *v1alpha1.FeatureFlag
		asked string
		want  state
	}{
		"ahead, another time zone": {
			ahead.Obj(), `{"timezone": "Europe/Berlin"}`, state{enabled: true, enable: late, timeZone: "Europe/Berlin"},
		},
		"ahead, its switch and another time zone": {
			ahead.Obj(), `{"schedulingEnabled": true, "timezone": "Asia/Tokyo"}`, state{enabled: true, enable: late, timeZone: "Asia/Tokyo"},
		},
		"ahead, an end": {
			ahead.Obj(), `{"scheduledDisableAt": ` + stamp(later) + `}`, state{enabled: true, enable: late, disableAt: later},
		},
		"ahead, no end any more": {both.Obj(), `{"scheduledDisableAt": null}`, state{enabled: true, enable: late}},
		"ahead, the time zone it is shown with": {
			ahead.Obj(), `{"enabled": false, "schedulingEnabled": true, "timezone": "UTC"}`, state{enabled: true, enable: late},
		},
		"ahead, a default":    {ahead.Obj(), `{"defaultVariationId": "off"}`, state{enabled: true, enable: late}},
		"ahead, cleared":      {ahead.Obj(), `{"schedulingEnabled": false}`, state{}},
		"ahead, no beginning": {both.Obj(), `{"scheduledEnableAt": null}`, state{disableAt: later}},
		"ahead, an end and no beginning": {
			ahead.Obj(), `{"scheduledEnableAt": null, "scheduledDisableAt": ` + stamp(later) + `}`, state{disableAt: later},
		},
		"ahead, off":       {ahead.Obj(), `{"enabled": false}`, state{}},
		"expired, a later": {expired.Obj(), `{"scheduledDisableAt": ` + stamp(later) + `}`, state{enabled: true, disableAt: later}},
		"expired, off and a later": {
			expired.Obj(), `{"enabled": false, "scheduledDisableAt": ` + stamp(later) + `}`, state{disableAt: later},
		},
		"expired, cleared": {expired.Obj(), `{"schedulingEnabled": false}`, state{}},
		"expired, off, as it is shown": {
			expired.Obj(), `{"enabled": false}`, state{enabled: true, disableAt: early},
		},
		"braked, off, as it is shown":   {braked(flag()), `{"enabled": false}`, state{enabled: true}},
		"braked and ahead, a time zone": {braked(ahead), `{"timezone": "UTC"}`, state{enabled: true, enable: late}},
		"archived, off, as it is shown": {flag().Archived().Obj(), `{"enabled": false}`, state{enabled: true}},
		"archived, off, with an end that is shown to the second": {
			flag().Schedule(time.Time{}, later.Add(time.Second/2)).Archived().Obj(),
			`{"enabled": false, "scheduledDisableAt": ` + stamp(later) + `}`, state{enabled: true, disableAt: later.Add(time.Second / 2)},
		},
		"on, an end": {
			flag().Obj(), `{"scheduledDisableAt": ` + stamp(later) + `}`, state{enabled: true, disableAt: later},
		},
		"on, off and an end": {flag().Obj(), `{"enabled": false, "scheduledDisableAt": ` + stamp(later) + `}`, state{disableAt: later}},
		"on, off":            {flag().Obj(), `{"enabled": false, "defaultVariationId": "on"}`, state{}},
		"off, a beginning": {
			flag().Disabled().Obj(), `{"scheduledEnableAt": ` + stamp(late) + `}`, state{enabled: true, enable: late},
		},
	} {
		t.Run(name, func(t *testing.T) {
			asked := ConfigChanges{}
			if err := json.Unmarshal([]byte(tc.asked), &asked); err != nil {
				t.Fatal(err)
			}
			if err := applyConfig(tc.flag, "staging", &asked, now); err != nil {
				t.Fatal(err)
			}
			config := tc.flag.In("staging")
			want := builders.MakeFlag("a", "shop").Boolean().Environment("staging").Schedule(tc.want.enable, tc.want.disableAt).
				Obj().In("staging").Schedule
			if tc.want.enable.IsZero() && tc.want.disableAt.IsZero() {
				want = nil
			} else {
				want.TimeZone = tc.want.timeZone
			}
			if config.Enabled != tc.want.enabled || !equality.Semantic.DeepEqual(config.Schedule, want) {
				t.Errorf("it is enabled %t with %+v and not %t with %+v", config.Enabled, config.Schedule, tc.want.enabled, want)
			}
		})
	}
}

// Whoever switches an archived flag on must not hear that it is on.
func TestApplyConfigRefusesArchived(t *testing.T) {
	for field, asked := range map[string]string{
		"enabled": `{"enabled": true}`, "scheduledEnableAt": `{"scheduledEnableAt": "2027-01-03T00:00:00Z"}`,
	} {
		flag, changes := builders.MakeFlag("a", "shop").Boolean().Archived().Environment("staging").Obj(), ConfigChanges{}
		if err := json.Unmarshal([]byte(asked), &changes); err != nil {
			t.Fatal(err)
		}
		err := applyConfig(flag, "staging", &changes, time.Date(2027, 1, 2, 0, 0, 0, 0, time.UTC))
		if err == nil || !strings.Contains(err.Error(), "archived") || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v", asked, err)
		}
	}
}

// Whoever switches a flag on must not hear that it is off and no word why; who asks for a schedule gets it.
func TestApplyConfigSaysWhatKeepsAFlagOff(t *testing.T) {
	now := time.Date(2027, 1, 2, 15, 4, 5, 0, time.UTC)
	ahead := func() *v1alpha1.FeatureFlag {
		return builders.MakeFlag("a", "shop").Boolean().Environment("staging").Fallthrough("on").
			Schedule(now.Add(time.Hour), time.Time{}).Obj()
	}
	plain := func() *v1alpha1.FeatureFlag {
		return builders.MakeFlag("a", "shop").Boolean().Environment("staging").Disabled().Obj()
	}
	const now1, leave = `send "schedulingEnabled": false with "enabled": true`, `leave "enabled" out`
	for name, tc := range map[string]struct {
		flag  *v1alpha1.FeatureFlag
		asked string
		says  []string
	}{
		"on under a schedule":  {ahead(), `{"enabled": true}`, []string{now1}},
		"on, and another zone": {ahead(), `{"enabled": true, "timezone": "Asia/Tokyo"}`, []string{now1, leave}},
		"on, and an end":       {ahead(), `{"enabled": true, "scheduledDisableAt": "2027-02-02T00:00:00Z"}`, []string{now1, leave}},
		"on, the same time, a zone": {
			ahead(), `{"enabled": true, "scheduledEnableAt": "2027-01-02T16:04:05Z", "timezone": "Asia/Tokyo"}`,
			[]string{now1, leave},
		},
		"on until before":       {plain(), `{"enabled": true, "scheduledDisableAt": "2027-01-01T00:00:00Z"}`, []string{now1, leave}},
		"on from later":         {plain(), `{"enabled": true, "scheduledEnableAt": "2027-02-02T00:00:00Z"}`, nil},
		"on from even later":    {ahead(), `{"enabled": true, "scheduledEnableAt": "2027-02-02T00:00:00Z"}`, nil},
		"on now":                {ahead(), `{"enabled": true, "schedulingEnabled": false}`, nil},
		"on, and no beginning":  {ahead(), `{"enabled": true, "scheduledEnableAt": null}`, nil},
		"another zone":          {ahead(), `{"timezone": "Asia/Tokyo"}`, nil},
		"off, and another zone": {ahead(), `{"enabled": false, "timezone": "Asia/Tokyo"}`, nil},
	} {
		asked := ConfigChanges{}
		if err := json.Unmarshal([]byte(tc.asked), &asked); err != nil {
			t.Fatal(err)
		}
		err := applyConfig(tc.flag, "staging", &asked, now)
		if (err == nil) != (tc.says == nil) {
			t.Errorf("%s: %v", name, err)
		}
		for _, says := range tc.says {
			if err == nil || !strings.Contains(err.Error(), says) {
				t.Errorf("%s: %v does not say %q", name, err, says)
			}
		}
	}
}

// Two people who change different things of one flag at once must both succeed.
func TestPartOfConfigChanges(t *testing.T) {
	on := builders.MakeFlag("a", "shop").Boolean().Environment("staging").Obj()
	off := builders.MakeFlag("a", "shop").Boolean().Environment("staging").Disabled().Obj()
	other := builders.MakeFlag("a", "shop").Boolean().Environment("staging").Fallthrough("on").Obj()
	for name, tc := range map[string]struct {
		asked  string
		is     *v1alpha1.FeatureFlag
		shares bool
	}{
		"a default beside a switch":  {`{"defaultVariationId": "on"}`, off, false},
		"a switch beside a default":  {`{"enabled": true, "timezone": "UTC"}`, other, false},
		"a default beside a default": {`{"defaultVariationId": "off"}`, other, true},
		"a switch beside a switch":   {`{"enabled": true}`, off, true},
		"a schedule beside a switch": {`{"timezone": "UTC"}`, off, true},
	} {
		asked := ConfigChanges{}
		if err := json.Unmarshal([]byte(tc.asked), &asked); err != nil {
			t.Fatal(err)
		}
		conflicts := !equality.Semantic.DeepEqual(asked.part(on, "staging"), asked.part(tc.is, "staging"))
		if conflicts != tc.shares {
			t.Errorf("%s: conflict %t, want %t", name, conflicts, tc.shares)
		}
	}
}

// One who names a flag and one who describes it must both succeed; two who name it at once must not overwrite each other.
func TestPartOfFlagChanges(t *testing.T) {
	is, other := builders.MakeFlag("a", "shop").Boolean().Obj(), builders.MakeFlag("a", "shop").Boolean().Obj()
	other.Spec.DisplayName = "Other"
	naming, describing := updateFlagInput{}, updateFlagInput{}
	naming.Body.Name, describing.Body.Description.Sent = new("Mine"), true
	if equality.Semantic.DeepEqual(naming.part(is), naming.part(other)) {
		t.Error("a name overwrites another")
	}
	if !equality.Semantic.DeepEqual(describing.part(is), describing.part(other)) {
		t.Error("a description is in conflict with a name")
	}
}

// Whoever may not publish must hear why and until when, in words that a client of this API knows.
func TestHeld(t *testing.T) {
	now := time.Date(2027, 1, 2, 15, 4, 5, 0, time.UTC)
	later := &metav1.Time{Time: now.Add(time.Hour)}
	for name, tc := range map[string]struct {
		publish v1alpha1.Publish
		says    string
	}{
		"free":        {v1alpha1.Publish{}, ""},
		"thawed":      {v1alpha1.Publish{Suspend: true, SuspendUntil: &metav1.Time{Time: now}}, ""},
		"frozen":      {v1alpha1.Publish{Suspend: true}, `suspended in environment "staging" until somebody ends the freeze`},
		"frozen, why": {v1alpha1.Publish{Suspend: true, SuspendReason: "Black Friday"}, "ends the freeze: Black Friday"},
		"frozen, how long": {
			v1alpha1.Publish{Suspend: true, SuspendReason: "Sale", SuspendUntil: later}, "until 2027-01-02T16:04:05Z: Sale",
		},
		"pinned": {v1alpha1.Publish{Revision: new(int64(3))}, "pinned to revision 3"},
	} {
		environment := builders.MakeEnvironment("staging", "shop").Obj()
		environment.Spec.Publish = tc.publish
		err, said := held(environment, now), ""
		if err != nil {
			said = err.Error()
		}
		if (err == nil) != (tc.says == "") || !strings.Contains(said, tc.says) || strings.Contains(said, "spec.") {
			t.Errorf("%s: %q", name, said)
		}
	}
}

// A flag without a name for people is called by the key that code asks for, as in the other views.
func TestDisplayName(t *testing.T) {
	if name := displayName(builders.MakeFlag("new-checkout", "shop").Key("new_checkout").Obj()); name != "new_checkout" {
		t.Error(name)
	}
}

// A message names a type as the request does, and not as the Kind.
func TestWords(t *testing.T) {
	for kind, want := range map[string]string{
		"it is not of the flag's type Number":       "it is not of the flag's type NUMBER",
		"a Boolean flag has exactly two variations": "a BOOLEAN flag has exactly two variations",
		"enableAt is after disableAt":               "scheduledEnableAt is after scheduledDisableAt",
	} {
		if got := words().Replace(kind); got != want {
			t.Errorf("%q and not %q", got, want)
		}
	}
}
