// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/history"
	"github.com/jackstaff-dev/jackstaff/internal/ownership"
	"github.com/jackstaff-dev/jackstaff/internal/publish"
	"github.com/jackstaff-dev/jackstaff/internal/quote"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// rollingBack is what the command line of rollback says.
type rollingBack struct {
	changing
	to       int64
	clearPin bool
	yes      bool
	// breakGlass serves the revision without the operator.
	breakGlass bool
	cluster    *cluster
}

func (a *App) rollbackCommand() *cobra.Command {
	o := &rollingBack{}
	cmd := &cobra.Command{
		Use:   "rollback ENVIRONMENT",
		Short: "Serve an older revision until the rollback is cleared",
		Long: "Serve a revision of the history by spec.publish.revision. Without --to it is the newest one from before the " +
			"change that is to be\n" +
			"undone: the last change that did more than switch flags off. One without any flag is passed over while flags are " +
			"served.\n" +
			"Changes wait until --clear removes the field.\n\n" +
			"Printed is which flags go on and off, and for whom. What would switch on a flag that somebody has switched off " +
			"since needs --yes.\n" +
			"A flag that the annotation " + v1alpha1.ForceDisabledAnnotation + " forces off stays off.\n\n" + breakGlassHelp,
		Example: "  jackstaff rollback production --dry-run\n  jackstaff rollback production --wait\n" +
			"  jackstaff rollback production --to 41\n  jackstaff rollback production --clear",
		GroupID: clusterGroup,
		Args:    cobra.ExactArgs(1),
		RunE: a.run(func(cmd *cobra.Command, arguments []string) error {
			if cmd.Flags().Changed("to") && o.to < 1 {
				return usagef("--to is 1 or more")
			}
			if err := o.check(); err != nil {
				return err
			}
			read := o.cluster.environment
			if o.breakGlass {
				read = o.cluster.environmentOrServed
			}
			environment, err := read(cmd.Context(), arguments[0])
			if err != nil {
				return err
			}
			if err := servedElsewhere(environment, "roll it back"); err != nil {
				return err
			}
			if o.clearPin {
				return a.clearRollback(cmd.Context(), o, environment)
			}
			return a.rollback(cmd.Context(), o, environment)
		}),
	}
	cmd.Flags().Int64Var(&o.to, "to", 0, "The revision. Default the newest from before the change that is to be undone.")
	cmd.Flags().BoolVar(&o.clearPin, "clear", false, "End the rollback.")
	cmd.Flags().BoolVar(
		&o.yes,
		"yes",
		false,
		"Roll back even where that switches on what somebody has switched off since. --clear needs none.",
	)
	cmd.MarkFlagsMutuallyExclusive("to", "clear")
	o.addFlags(cmd)
	offersBreakGlass(cmd, &o.breakGlass)
	cmd.MarkFlagsMutuallyExclusive("break-glass", "clear")
	o.cluster = a.newCluster(cmd, contextFlag)
	return cmd
}

// clearRollback removes the pin.
func (a *App) clearRollback(ctx context.Context, o *rollingBack, environment *v1alpha1.FlagEnvironment) error {
	return a.pin(ctx, o, environment, 0, &rollback{})
}

func (a *App) rollback(ctx context.Context, o *rollingBack, environment *v1alpha1.FlagEnvironment) error {
	planned, err := o.cluster.planRollback(ctx, environment, o.to, a.age)
	if err != nil {
		return err
	}
	if o.output != jsonOutput {
		if planned.undoes != "" {
			a.printf("undoes %s\n", planned.undoes)
		}
		if len(planned.passed) > 0 {
			a.printf("passes over %s, without any flag\n", numbers(planned.passed))
		}
		for _, effect := range planned.effects {
			a.printf("  %s\n", effect)
		}
		if len(planned.effects) == 0 && planned.unknown == nil {
			a.printf("  no flag changes\n")
		}
	}
	if !o.yes {
		if err := o.refuse(a, planned.refusal(o.cluster.target(), environment.Name, o.breakGlass)); err != nil {
			return err
		}
	}
	if o.breakGlass {
		return a.breakGlassRollback(ctx, o, environment, planned)
	}
	return a.pin(ctx, o, environment, planned.target, planned)
}

// pin pins an environment to a revision, or with 0 to none.
func (a *App) pin(
	ctx context.Context,
	o *rollingBack,
	environment *v1alpha1.FlagEnvironment,
	to int64,
	planned *rollback,
) error {
	var replaced int64 // The revision that the same pin replaces, and 0 where the pin is another one.
	changed, err := edit(ctx, o.cluster, o.dryRun, environment, func() error {
		replaced = 0
		if planned.isPinnedAgain(environment) {
			replaced = environment.Status.PublishedRevision
			metav1.SetMetaDataAnnotation(
				&environment.ObjectMeta, v1alpha1.PinAgainAnnotation, strconv.FormatInt(replaced, 10))
		}
		environment.Spec.Publish.Revision = nil
		if to > 0 {
			environment.Spec.Publish.Revision = &to
		}
		return nil
	})
	if err != nil {
		return err
	}
	done := environmentOutcome(environment, "pinned", changed, o.dryRun)
	done.Effects, done.Undoes, done.PassesOver, done.Revision = planned.effects, planned.undoes, planned.passed, to
	done.Message = fmt.Sprintf("%s is to serve revision %d", nameOf(environment), to)
	if to == 0 {
		done.Action, done.Message = "unpinned", unpinnedWords(environment, changed)
	}
	if o.wanted {
		generation := environment.Generation
		said, err := o.lookAt(ctx, o.cluster, environment, "the rollback", func() progress {
			if environment.Status.ObservedGeneration < generation {
				return progress{}
			}
			status := &environment.Status
			isServed := status.State != v1alpha1.PublishStateBreakGlass && status.PublishedRevision != replaced &&
				(to == 0 || status.PublishedRevision == to || status.PinnedRevision == to)
			return published(o.cluster.target(), environment, isServed, true, a.Clock.Now())
		})
		if err != nil {
			return err
		}
		done.Served, done.Revision, done.Message = true, environment.Status.PublishedRevision, nameOf(environment)+": "+said
	} else {
		a.noteBreakGlass(o.cluster.target(), environment, "that")
	}
	return o.print(a, done, safe(quote.Line(done.Message)))
}

// unpinnedWords say that a rollback is to end, or where none was there, what is served.
func unpinnedWords(environment *v1alpha1.FlagEnvironment, changed bool) string {
	name, revision := nameOf(environment), environment.Status.PublishedRevision
	switch {
	case changed:
		return fmt.Sprintf("the rollback of %s is to end", name)
	case revision == 0:
		return name + " is pinned to no revision, and nothing is published yet"
	}
	return fmt.Sprintf("%s is pinned to no revision, and revision %d is served", name, revision)
}

// rollback is what a rollback would do.
type rollback struct {
	// target is the revision to serve.
	target int64
	// undoes is the change that it undoes, in words. Empty where the revision was chosen by hand.
	undoes string
	// passed are newer revisions from before that change that were not chosen because they hold no flag.
	passed []int64
	// effects are what changes for whom, a sentence each.
	effects []string
	// switchedOn are the flags that would go on though somebody has switched them off since, with who did.
	switchedOn []string
	// keys are those of switchedOn.
	keys []string
	// replaces is contentID of what is served that the effects compare with, and empty where they are not known.
	replaces string
	// unknown is why the effects are not known.
	unknown error
}

// refusal is why the rollback needs a yes, and nil where it needs none.
func (r *rollback) refusal(at target, environment string, isBreakGlass bool) error {
	keepingOff := "keep off with " + switchingOff(at, r.keys, environment, "--brake")
	if isBreakGlass { // A brake needs admission, and the flags are off until then by what this replaces.
		keepingOff = "switch off again after it with " + switchingOff(at, r.keys, environment, "--off", "--break-glass")
	}
	switch {
	case r.unknown != nil:
		return fmt.Errorf(
			"what a rollback to revision %d would do is not known: %w; add --yes to roll back all the same",
			r.target,
			r.unknown,
		)
	case len(r.switchedOn) > 0:
		return fmt.Errorf(
			"a rollback to revision %d would switch on %s; add --yes if that is meant; what is to be off, %s",
			r.target,
			strings.Join(r.switchedOn, ", "),
			keepingOff,
		)
	}
	return nil
}

// isPinnedAgain reports whether the rollback switches flags on in a revision that is served already as another one: with
// these flags off by brakes that were lifted since. A pin by itself changes nothing of that.
func (r *rollback) isPinnedAgain(environment *v1alpha1.FlagEnvironment) bool {
	status := &environment.Status
	return r.target > 0 && status.PinnedRevision == r.target && status.PublishedRevision != r.target &&
		status.State != v1alpha1.PublishStateBreakGlass && len(r.keys) > 0
}

// planRollback says what a rollback to a revision would do, or with 0 to the newest one from before the change that is
// to be undone.
func (c *cluster) planRollback(
	ctx context.Context, environment *v1alpha1.FlagEnvironment, to int64, age ager,
) (*rollback, error) {
	revisions, err := c.history(ctx, environment)
	if apierrors.IsForbidden(err) && to > 0 {
		return &rollback{target: to, unknown: err}, nil
	} else if err != nil {
		return nil, err
	}
	entries, err := c.log(ctx)
	if err != nil && !apierrors.IsForbidden(err) && !isGone(err) {
		return nil, err
	}
	planned := &rollback{target: to}
	if to == 0 {
		undone, err := undone(c.target(), environment, revisions, func(revision int64) (*datafile.Contents, error) {
			return c.keptContents(ctx, environment, revision)
		})
		if err != nil {
			return nil, err
		}
		planned.target = revisions[undone.target].Revision
		planned.undoes = describe(
			revisions, undone.change, environment.Name, entries, c.guesses(ctx, environment))
		planned.passed = undone.passed
	} else if !holds(revisions, to) {
		return nil, fmt.Errorf("the history of %s holds no revision %d; it holds %s", environment.Name, to, ranges(revisions))
	}
	served, replaces, err := c.documentOf(ctx, environment)
	var target *datafile.Document
	if err == nil {
		target, err = c.keptDocument(ctx, environment, planned.target)
	}
	if err == nil {
		// Without flags in the cluster, what is served says which are off.
		if err = c.brake(ctx, environment.Name, target); isGone(err) {
			err = nil
		}
	}
	if err != nil {
		planned.unknown = err
		return planned, nil //nolint:nilerr // The plan says that it is not known what the rollback switches.
	}
	var on []string
	planned.replaces = replaces
	planned.effects, on = rollbackEffects(served, target)
	planned.keys = on
	for _, key := range on {
		planned.switchedOn = append(planned.switchedOn, key+whoSwitchedOff(key, environment.Name, entries, age))
	}
	return planned, nil
}

// keptContents reads a revision of the history.
func (c *cluster) keptContents(
	ctx context.Context,
	environment *v1alpha1.FlagEnvironment,
	revision int64,
) (*datafile.Contents, error) {
	configMap, err := ownership.GetHistory(ctx, c.client, environment, revision)
	if err != nil {
		return nil, fmt.Errorf("read revision %d: %w", revision, err)
	}
	native, err := publish.Files{Text: configMap.Data, Binary: configMap.BinaryData}.Native()
	if err == nil && native == nil {
		err = errors.New("it holds no native datafile")
	}
	if err != nil {
		return nil, fmt.Errorf("read revision %d: %w", revision, err)
	}
	_, contents, err := datafile.Decode(native)
	if err != nil {
		return nil, fmt.Errorf("read revision %d: %w", revision, err)
	}
	return contents, nil
}

func (c *cluster) keptDocument(
	ctx context.Context,
	environment *v1alpha1.FlagEnvironment,
	revision int64,
) (*datafile.Document, error) {
	contents, err := c.keptContents(ctx, environment, revision)
	if err != nil {
		return nil, err
	}
	return contents.Document()
}

// describe says in words which change made a revision.
func describe(
	revisions []historyEntry, i int, environment string, entries []history.Entry, guessed guesses,
) string {
	by, what := sumUp(bringing(revisions, i, environment, entries, guessed))
	text := fmt.Sprintf("revision %d", revisions[i].Revision)
	if what != "" {
		text += ": " + what
	}
	if by != "" {
		text += " (by " + by + ")"
	}
	return text
}
