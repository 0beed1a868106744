// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/printers"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/history"
)

// maxRecent is how many changes the status of an environment shows.
const maxRecent = 10

// environmentReport is what on call needs to know of an environment.
type environmentReport struct {
	Namespace   string                `json:"namespace"`
	Environment string                `json:"environment"`
	Production  bool                  `json:"production"`
	State       v1alpha1.PublishState `json:"state"`
	// Unseen says what is so while the operator has not acted on it, so that State, Ready and what follows from the
	// status say what was so before.
	Unseen []string `json:"unseen,omitempty"`
	// Revision is the one that is served, by its ConfigMap where that may be read, and Pinned the one that is pinned.
	Revision    int64        `json:"revision"`
	Pinned      *int64       `json:"pinned,omitempty"`
	PublishedAt *metav1.Time `json:"publishedAt,omitempty"`
	// Freeze is absent where the environment is not frozen.
	Freeze *freezeReport `json:"freeze,omitempty"`
	// Ready is the condition's status and Message its message.
	Ready   metav1.ConditionStatus `json:"ready"`
	Message string                 `json:"message"`
	Flags   v1alpha1.FlagCounts    `json:"flags"`
	// Pending are keys of flags whose changes are not served yet, the first 20.
	Pending []string `json:"pending"`
	// Brakes are keys of flags that the annotation forces off here. They and Broken are null where the flags cannot be
	// read.
	Brakes []string `json:"brakes"`
	// Broken are flags that are not served as their spec says because something is wrong with them.
	Broken []brokenFlag `json:"broken"`
	// Loaded counts the instances that report what they have loaded, and is absent where none are asked to.
	Loaded *v1alpha1.DeliveryStatus `json:"loaded,omitempty"`
	// Changes are the last ten that concern the environment, the newest first.
	Changes []changeEntry `json:"changes"`
}

// freezeReport is a freeze as far as its environment says why it is and when it ends by itself.
type freezeReport struct {
	Reason string       `json:"reason,omitempty"`
	Until  *metav1.Time `json:"until,omitempty"`
}

// brokenFlag is a flag that something is wrong with.
type brokenFlag struct {
	Flag string `json:"flag"`
	Why  string `json:"why"`
}

func (a *App) statusCommand() *cobra.Command {
	var c *cluster
	var output string
	cmd := &cobra.Command{
		Use:   "status [ENVIRONMENT]",
		Short: "Show on one screen what an environment serves, and what is in its way",
		Long: "Show the state of an environment and its revision, the changes that wait, the flags that are forced off, " +
			"those that something is\n" +
			"wrong with, the instances that have not loaded the revision, and the last ten changes with who made them. " +
			"Without ENVIRONMENT\n" +
			"it is shown of each.",
		Example: "  jackstaff status production -n shop",
		GroupID: clusterGroup,
		Args:    cobra.MaximumNArgs(1),
		RunE: a.run(func(cmd *cobra.Command, arguments []string) error {
			if err := checkListOutput(output); err != nil {
				return err
			}
			reports, err := a.report(cmd.Context(), c, arguments)
			if err != nil {
				return err
			}
			if output == jsonOutput {
				return a.printJSON(reports)
			}
			for i := range reports {
				if i > 0 {
					a.printf("\n")
				}
				if err := a.printReport(c.target(), &reports[i]); err != nil {
					return err
				}
			}
			return nil
		}),
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "The format: json. Default text.")
	c = a.newCluster(cmd, contextFlag)
	return cmd
}

// report reads what is to be shown of the environments of the namespace, or of the one that is named.
func (a *App) report(ctx context.Context, c *cluster, named []string) ([]environmentReport, error) {
	environments, err := c.environments(ctx, named)
	if err != nil {
		return nil, err
	}
	if len(environments) == 0 {
		a.notef("There are no environments in namespace %s.", c.namespace)
	}
	flags := &v1alpha1.FeatureFlagList{}
	err = c.client.List(ctx, flags, client.InNamespace(c.namespace))
	switch {
	case meta.IsNoMatchError(err) || apierrors.IsForbidden(err):
		a.notef("Which flags are forced off or broken is not known: %s", explained(err))
		flags.Items = nil
	case err != nil:
		return nil, fmt.Errorf("list flags: %w", err)
	case flags.Items == nil:
		flags.Items = []v1alpha1.FeatureFlag{}
	}
	entries, err := c.log(ctx)
	if apierrors.IsForbidden(err) {
		a.notef("You may not read who changed what: %v", err)
	} else if err != nil {
		return nil, err
	}
	reports := make([]environmentReport, len(environments))
	for i := range environments {
		served, err := c.servedMark(ctx, &environments[i])
		if err != nil {
			return nil, err
		}
		reports[i] = newEnvironmentReport(&environments[i], flags.Items, entries)
		reports[i].see(&environments[i], served, a.Clock.Now())
		if spec := environments[i].Spec.Publish.At(a.Clock.Now()); spec.Suspend {
			reports[i].Freeze = &freezeReport{spec.SuspendReason, spec.SuspendUntil}
		}
	}
	return reports, nil
}

// environments reads the environments of the namespace in the order of display, or the one that is named.
func (c *cluster) environments(ctx context.Context, named []string) ([]v1alpha1.FlagEnvironment, error) {
	if len(named) > 0 {
		environment, err := c.environment(ctx, named[0])
		if err != nil {
			return nil, err
		}
		return []v1alpha1.FlagEnvironment{*environment}, nil
	}
	if err := c.connect(); err != nil {
		return nil, err
	}
	list := &v1alpha1.FlagEnvironmentList{}
	if err := c.client.List(ctx, list, client.InNamespace(c.namespace)); err != nil {
		return nil, fmt.Errorf("list environments: %w", err)
	}
	slices.SortFunc(list.Items, func(a, b v1alpha1.FlagEnvironment) int {
		return cmp.Or(cmp.Compare(a.Spec.Order, b.Spec.Order), strings.Compare(a.Name, b.Name))
	})
	return list.Items, nil
}

// see adds what is so that the environment's status does not say. Served is nil where it may not be read.
func (r *environmentReport) see(environment *v1alpha1.FlagEnvironment, served *servedMark, now time.Time) {
	for _, one := range unseenOf(environment, served, now) {
		r.Unseen = append(r.Unseen, one.what)
	}
	revision := servedRevision(environment, served)
	if environment.Status.State == v1alpha1.PublishStateElsewhere || revision == r.Revision {
		return
	}
	r.Revision, r.PublishedAt = revision, nil
	if !served.publishedAt.IsZero() {
		r.PublishedAt = new(metav1.NewTime(served.publishedAt))
	}
}

// newEnvironmentReport sums up an environment. Entries are the changes of the namespace, the newest first. Flags are
// nil where they cannot be read.
func newEnvironmentReport(
	environment *v1alpha1.FlagEnvironment, flags []v1alpha1.FeatureFlag, entries []history.Entry,
) environmentReport {
	status := &environment.Status
	report := environmentReport{
		Namespace:   environment.Namespace,
		Environment: environment.Name,
		Production:  environment.Spec.Production,
		State:       status.State,
		Revision:    status.PublishedRevision,
		Pinned:      environment.Spec.Publish.Revision,
		PublishedAt: status.PublishedAt,
		Ready:       metav1.ConditionUnknown,
		Message:     "the operator has not answered yet",
		Flags:       status.Flags,
		Pending:     append([]string{}, status.PendingFlags...),
		Loaded:      status.Delivery,
		Changes:     []changeEntry{},
	}
	if ready := meta.FindStatusCondition(status.Conditions, v1alpha1.ReadyCondition); ready != nil {
		report.Ready, report.Message = ready.Status, ready.Message
	}
	if flags != nil {
		report.Brakes, report.Broken = []string{}, []brokenFlag{}
	}
	report.Flags.LastGood = max(report.Flags.LastGood, lastGoodIn(flags, environment.Name))
	for i := range flags {
		flag := &flags[i]
		if flag.ForceDisabledIn(environment.Name) {
			report.Brakes = append(report.Brakes, flag.Key())
		}
		if why := whyBroken(flag, environment.Name); why != "" {
			report.Broken = append(report.Broken, brokenFlag{flag.Key(), why})
		}
	}
	slices.Sort(report.Brakes)
	slices.SortFunc(report.Broken, func(a, b brokenFlag) int { return strings.Compare(a.Flag, b.Flag) })
	for i := range entries {
		if len(report.Changes) < maxRecent && concerns(&entries[i], environment.Name) {
			report.Changes = append(report.Changes, newChangeEntry(&entries[i]))
		}
	}
	return report
}

// lastGoodIn counts the flags that keep their last good form in an environment. The environment's own count, of which an
// alert is made, leaves out those that do not fit, with which nothing is wrong.
func lastGoodIn(flags []v1alpha1.FeatureFlag, environment string) int32 {
	count := int32(0)
	for i := range flags {
		if state := flags[i].StateIn(environment); state != nil && state.State == v1alpha1.ServingStateLastGood {
			count++
		}
	}
	return count
}

// whyBroken says what is wrong with a flag in an environment, and nothing where all is right.
func whyBroken(flag *v1alpha1.FeatureFlag, environment string) string {
	for _, conditionType := range []string{v1alpha1.AcceptedCondition, v1alpha1.ResolvedRefsCondition} {
		condition := meta.FindStatusCondition(flag.Status.Conditions, conditionType)
		if condition != nil && condition.Status == metav1.ConditionFalse && flag.In(environment) != nil &&
			!flag.Spec.Archived {
			return condition.Message
		}
	}
	state := flag.StateIn(environment)
	if state != nil && (state.State == v1alpha1.ServingStateLastGood || state.State == v1alpha1.ServingStateKeyTaken) {
		return stateAdvice(target{}, state.State, environment)
	}
	return ""
}

// printReport prints a report for people.
func (a *App) printReport(at target, report *environmentReport) error {
	kind := ""
	if report.Production {
		kind = " (production)"
	}
	a.printf("%s/%s%s\n", report.Namespace, report.Environment, safe(kind))
	c := green
	if report.State != v1alpha1.PublishStateServing {
		c = yellow
	}
	if report.State == v1alpha1.PublishStateDegraded || report.Ready == metav1.ConditionFalse ||
		len(report.Unseen) > 0 {
		c = red
	}
	published := ""
	if report.PublishedAt != nil {
		published = ", published " + a.age(report.PublishedAt.Time) + " ago"
	}
	line := func(name string, text any) { a.printf("%-10s%s\n", safe(name), text) }
	line("state", a.paint(c, stateWords(report)))
	for _, one := range report.Unseen {
		line("unseen", a.paint(red, one))
	}
	line("revision", fmt.Sprintf("%d%s", report.Revision, published))
	if report.Pinned != nil {
		line(
			"pinned",
			fmt.Sprintf("revision %d; %s ends that", *report.Pinned, at.unpin(report.Environment)),
		)
	}
	if freeze := report.Freeze; freeze != nil {
		text := freezeWords(&v1alpha1.Publish{SuspendReason: freeze.Reason, SuspendUntil: freeze.Until})
		line("frozen", fmt.Sprintf("%s; %s ends that",
			cmp.Or(strings.TrimPrefix(strings.TrimPrefix(text, ": "), " "), "without end"), at.thaw(report.Environment)))
	}
	line("ready", fmt.Sprintf("%s: %s", report.Ready, report.Message))
	line(
		"flags",
		fmt.Sprintf("%d, %d pending, %d last good", report.Flags.Total, report.Flags.Pending, report.Flags.LastGood),
	)
	line("pending", listed(report.Pending, int(report.Flags.Pending)))
	if report.Brakes == nil {
		line("brakes", "unknown, as the flags cannot be read")
	} else {
		line("brakes", listed(report.Brakes, len(report.Brakes)))
	}
	a.printBroken(report.Broken)
	if loaded := report.Loaded; loaded != nil {
		line(
			"loaded",
			fmt.Sprintf("%d of %d instances have revision %d", loaded.Acknowledged, loaded.Expected, loaded.Revision),
		)
		line("laggards", listed(loaded.Laggards, int(loaded.Expected-loaded.Acknowledged)))
	}
	return a.printRecent(report.Changes)
}

// stateWords is the state, which is an old one where the operator has not acted on what is so.
func stateWords(report *environmentReport) string {
	state := string(cmp.Or(report.State, "Unknown"))
	if len(report.Unseen) > 0 {
		state += ", as the operator said last"
	}
	return state
}

// printBroken prints at most ten broken flags, a line each.
func (a *App) printBroken(broken []brokenFlag) {
	if broken == nil {
		a.printf("broken    unknown, as the flags cannot be read\n")
		return
	}
	if len(broken) == 0 {
		a.printf("broken    none\n")
	}
	for i, flag := range broken {
		if i == maxRecent {
			a.printf("          and %d more\n", len(broken)-i)
			return
		}
		a.printf("broken    %s: %s\n", flag.Flag, flag.Why)
	}
}

// printRecent prints changes as a table.
func (a *App) printRecent(changes []changeEntry) error {
	if len(changes) == 0 {
		a.printf("changes   none\n")
		return nil
	}
	w := printers.GetNewTabWriter(a.Streams.Out)
	printRow(w, "AGE", "BY", "OBJECT", "WHAT")
	for i := range changes {
		entry := &changes[i]
		printRow(w, a.age(entry.Time.Time), entry.By, cmp.Or(entry.Object.Key, entry.Object.Name), entry.Summary)
	}
	return w.Flush()
}

// listed names what there is, and how many more there are than it knows the names of.
func listed(names []string, total int) string {
	if total == 0 && len(names) == 0 {
		return "none"
	}
	text := strings.Join(names, ", ")
	if more := total - len(names); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
