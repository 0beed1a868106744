// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// On call has one screen. What it does not show of an incident is looked for in ten other places.
func TestTheScreenForOnCall(t *testing.T) {
	now := time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) metav1.Time { return metav1.NewTime(now.Add(-d)) }
	published, until := ago(2*time.Minute), metav1.NewTime(now.Add(time.Hour))
	report := &environmentReport{
		Namespace: "shop", Environment: "production", Production: true, State: v1alpha1.PublishStatePinned,
		Revision: 45, Pinned: new(int64(41)), PublishedAt: &published,
		Freeze: &freezeReport{Reason: "black friday", Until: &until},
		Ready:  metav1.ConditionTrue, Message: "all conditions are True",
		Flags:   v1alpha1.FlagCounts{Total: 120, Pending: 3, LastGood: 1},
		Pending: []string{"search"}, Brakes: []string{"payments"},
		Broken: []brokenFlag{{"new_checkout", `FlagAudience "staf" does not exist`}},
		Loaded: &v1alpha1.DeliveryStatus{Revision: 45, Acknowledged: 7, Expected: 10, Laggards: []string{"web-1", "web-2"}},
		Changes: []changeEntry{{
			By: "alice@example.com", Object: v1alpha1.ChangedObject{Key: "payments"}, Summary: "production: off, by a brake",
			Time: metav1.NewMicroTime(now.Add(-time.Minute)),
		}},
	}
	var printed bytes.Buffer
	app := &App{
		Streams: genericiooptions.IOStreams{Out: &printed, ErrOut: &printed},
		Clock:   clocktesting.NewFakePassiveClock(now),
	}
	if err := app.printReport(target{namespace: "shop"}, report); err != nil {
		t.Fatal(err)
	}
	want := `shop/production (production)
state     Pinned
revision  45, published 2m ago
pinned    revision 41; "jackstaff rollback production -n shop --clear" ends that
frozen    until 2027-03-01T13:00:00Z: black friday; "jackstaff freeze production -n shop --off" ends that
ready     True: all conditions are True
flags     120, 3 pending, 1 last good
pending   search and 2 more
brakes    payments
broken    new_checkout: FlagAudience "staf" does not exist
loaded    7 of 10 instances have revision 45
laggards  web-1, web-2 and 1 more
AGE   BY                  OBJECT     WHAT
60s   alice@example.com   payments   production: off, by a brake
`
	var lines []string
	for line := range strings.Lines(printed.String()) {
		lines = append(lines, strings.TrimRight(line, " \n"))
	}
	if delta := cmp.Diff(want, strings.Join(lines, "\n")+"\n"); delta != "" {
		t.Errorf("the screen is another one (-want +got):\n%s", delta)
	}
}

// A screen that names a flag with its last good form beside a count of 0 is not believed.
func TestTheCountOfLastGoodAgreesWithTheList(t *testing.T) {
	flags := make([]v1alpha1.FeatureFlag, 4)
	for i, state := range []v1alpha1.ServingState{
		v1alpha1.ServingStateLastGood, v1alpha1.ServingStateServed, v1alpha1.ServingStateLastGood, v1alpha1.ServingStateKeyTaken,
	} {
		flags[i].Status.Environments = []v1alpha1.EnvironmentState{{Name: "production", State: state}}
	}
	if got := lastGoodIn(flags, "production"); got != 2 {
		t.Errorf("%d flags keep their last good form, want 2", got)
	}
	if got := lastGoodIn(flags, "staging"); got != 0 {
		t.Errorf("in another environment %d do", got)
	}
	environment := &v1alpha1.FlagEnvironment{}
	environment.Name = "production"
	report := newEnvironmentReport(environment, flags, nil)
	if report.Flags.LastGood != 2 || len(report.Broken) != 3 {
		t.Errorf("it says %d last good beside %v", report.Flags.LastGood, report.Broken)
	}
}
