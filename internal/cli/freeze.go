// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/quote"
	"github.com/jackstaff-dev/jackstaff/internal/validation"
)

// freezing is what a freeze is to be.
type freezing struct {
	changing
	off    bool
	reason string
	// lasting is how long it lasts, and 0 without end.
	lasting time.Duration
}

// minFreeze is how long a freeze with an end lasts at least.
const minFreeze = time.Minute

func (a *App) freezeCommand() *cobra.Command {
	var c *cluster
	o := &freezing{}
	cmd := &cobra.Command{
		Use:   "freeze ENVIRONMENT",
		Short: "Let an environment publish nothing until the freeze is over",
		Long: "Freeze an environment by spec.publish.suspend: what is served stays as it is, and changes wait. --off ends " +
			"the freeze, and with --for\n" +
			"it ends by itself. Of an environment that is frozen already, --reason and --for change the freeze that there is.",
		Example: "  jackstaff freeze production --reason \"black friday\" --for 72h\n  jackstaff freeze production --off",
		GroupID: clusterGroup,
		Args:    cobra.ExactArgs(1),
		RunE: a.run(func(cmd *cobra.Command, arguments []string) error {
			if err := o.check(); err != nil {
				return err
			}
			if cmd.Flags().Changed("for") && (o.lasting < minFreeze || o.lasting > validation.MaxSuspension) {
				return usagef("--for is from 1m to 8784h, such as 72h")
			}
			if !utf8.ValidString(o.reason) || utf8.RuneCountInString(o.reason) > validation.MaxSuspendReason {
				return usagef("--reason has at most %d characters", validation.MaxSuspendReason)
			}
			return a.freeze(cmd.Context(), c, o, arguments[0])
		}),
	}
	cmd.Flags().BoolVar(&o.off, "off", false, "End the freeze.")
	cmd.Flags().StringVar(&o.reason, "reason", "", "Why, for those who find it frozen. At most 256 characters.")
	cmd.Flags().DurationVar(&o.lasting, "for", 0, "End the freeze by itself after that time, 1m to 8784h. Default no end.")
	o.addFlags(cmd)
	cmd.MarkFlagsMutuallyExclusive("off", "reason")
	cmd.MarkFlagsMutuallyExclusive("off", "for")
	c = a.newCluster(cmd, contextFlag)
	return cmd
}

// apply freezes or thaws an environment. Of a freeze that lasts, what is not asked for stays.
func (o *freezing) apply(publish *v1alpha1.Publish, now time.Time) {
	*publish = publish.At(now)
	if publish.Suspend = !o.off; o.off {
		publish.SuspendReason, publish.SuspendUntil = "", nil
		return
	}
	if o.reason != "" {
		publish.SuspendReason = o.reason
	}
	if o.lasting > 0 {
		publish.SuspendUntil = new(metav1.NewTime(now.Add(o.lasting).UTC().Truncate(time.Second)))
	}
}

func (a *App) freeze(ctx context.Context, c *cluster, o *freezing, name string) error {
	environment, err := c.environment(ctx, name)
	if err != nil {
		return err
	}
	if err := servedElsewhere(environment, "freeze it"); err != nil {
		return err
	}
	wasFrozen := false
	changed, err := edit(ctx, c, o.dryRun, environment, func() error {
		wasFrozen = environment.Spec.Publish.At(a.Clock.Now()).Suspend
		o.apply(&environment.Spec.Publish, a.Clock.Now())
		return nil
	})
	if err != nil {
		return err
	}
	done := environmentOutcome(environment, map[bool]string{true: "thawed", false: "frozen"}[o.off], changed, o.dryRun)
	generation := environment.Generation
	if o.wanted {
		// The operator reports a generation after it has done what that asks for.
		if _, err = o.untilEnvironment(ctx, c, environment, "the change", func() bool {
			return environment.Status.ObservedGeneration >= generation
		}); err != nil {
			return err
		}
		done.Served = true
	}
	done.Revision = environment.Status.PublishedRevision
	if spec := &environment.Spec.Publish; !o.off {
		done.Reason, done.Until = spec.SuspendReason, spec.SuspendUntil
	}
	isDone := done.Served || !changed && environment.Status.ObservedGeneration >= generation
	done.Message = frozenWords(environment, o.off, isDone)
	if o.off && !wasFrozen && (changed || isDone) { // The spec of a freeze that has ended by itself is cleared.
		done.Message = unfrozenWords(environment)
	}
	return o.print(a, done, safe(quote.Line(done.Message)))
}

// frozenWords say that an environment is frozen, or with isOff thawed, or where the operator has not seen it, is to be.
func frozenWords(environment *v1alpha1.FlagEnvironment, isOff, isDone bool) string {
	name, revision := nameOf(environment), environment.Status.PublishedRevision
	switch {
	case isOff && isDone:
		return name + " is not frozen any more"
	case isOff:
		return name + " is to be thawed"
	case isDone:
		return fmt.Sprintf("%s is frozen at revision %d%s", name, revision, freezeWords(&environment.Spec.Publish))
	}
	return fmt.Sprintf(
		"%s serves revision %d now, and is to be frozen%s", name, revision, freezeWords(&environment.Spec.Publish),
	)
}

// unfrozenWords say of an environment that was to be thawed that there was no freeze, and what is served.
func unfrozenWords(environment *v1alpha1.FlagEnvironment) string {
	if revision := environment.Status.PublishedRevision; revision > 0 {
		return fmt.Sprintf("%s is not frozen, and revision %d is served", nameOf(environment), revision)
	}
	return nameOf(environment) + " is not frozen, and nothing is published yet"
}

// freezeWords say until when an environment is frozen and why, as far as that is known.
func freezeWords(spec *v1alpha1.Publish) string {
	text := ""
	if spec.SuspendUntil != nil {
		text = " until " + spec.SuspendUntil.UTC().Format(time.RFC3339)
	}
	if spec.SuspendReason != "" {
		text += ": " + spec.SuspendReason
	}
	return text
}
