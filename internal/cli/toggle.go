// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/gitops"
	"github.com/jackstaff-dev/jackstaff/internal/quote"
)

// toggling is what the command line of toggle says.
type toggling struct {
	changing
	environment string
	on, off     bool
	brake       bool
	breakGlass  bool
	yes         bool
	cluster     *cluster
}

func (a *App) toggleCommand() *cobra.Command {
	o := &toggling{}
	cmd := &cobra.Command{
		Use:   "toggle FLAG -e ENVIRONMENT",
		Short: "Switch a flag on or off in an environment",
		Long: "Switch a flag, by its name or key, on or off in an environment; without --on and --off to what it is not. A " +
			"flag that Argo CD\n" +
			"or Flux owns is switched off by the " +
			"annotation " + v1alpha1.ForceDisabledAnnotation + ", which they do not undo, and on again\n" +
			"by removing it. What Git itself has switched off is for Git to switch on.\n\n" +
			"--brake uses the annotation for any flag: that is served at once, in a frozen, pinned or manual environment, " +
			"too, and no rollback\n" +
			"undoes it. --on lifts it.\n\n" +
			"With --wait the command ends when the environment serves it, and where instances report what they have loaded, " +
			"when these\n" +
			"have; it fails where that does not come by waiting, such as in a frozen environment.\n\n" + breakGlassHelp,
		Example: "  jackstaff toggle new_checkout -e production --off --wait",
		GroupID: clusterGroup,
		Args:    cobra.ExactArgs(1),
		RunE: a.run(func(cmd *cobra.Command, arguments []string) error {
			if err := o.check(); err != nil {
				return err
			}
			return a.toggle(cmd.Context(), o, arguments[0])
		}),
	}
	cmd.Flags().StringVarP(&o.environment, "environment", "e", "", "The environment (required).")
	cmd.Flags().BoolVar(&o.on, "on", false, "Switch the flag on.")
	cmd.Flags().BoolVar(&o.off, "off", false, "Switch the flag off.")
	cmd.Flags().BoolVar(&o.brake, "brake", false, "Switch the flag off at once in every mode, by the annotation.")
	cmd.MarkFlagsMutuallyExclusive("on", "off")
	cmd.MarkFlagsMutuallyExclusive("on", "brake")
	_ = cmd.MarkFlagRequired("environment") // It fails only for a flag that does not exist.
	o.addFlags(cmd)
	offersBreakGlass(cmd, &o.breakGlass)
	cmd.MarkFlagsMutuallyExclusive("on", "break-glass")
	cmd.Flags().BoolVar(&o.yes, "yes", false, "With --break-glass: even while admission answers.")
	o.cluster = a.newCluster(cmd, contextFlag)
	return cmd
}

func (a *App) toggle(ctx context.Context, o *toggling, nameOrKey string) error {
	if o.breakGlass {
		return a.breakGlassToggle(ctx, o, nameOrKey)
	}
	flag, err := o.cluster.flag(ctx, nameOrKey)
	if err != nil {
		return err
	}
	environment, err := o.cluster.namedEnvironment(ctx, flag, o.environment)
	if err != nil {
		return err
	}
	// What is meant is decided once, so that a retry does not switch back.
	wanted := o.on || !o.off && !o.brake && !flag.EnabledIn(o.environment)
	how, isServed := "", false
	changed, err := edit(ctx, o.cluster, o.dryRun, flag, func() error {
		isServed = serves(flag, o.environment, wanted)
		how, err = switchTo(o.cluster.target(), flag, o.environment, wanted, o.brake)
		return err
	})
	if err != nil {
		return err
	}
	state, c := "off", red
	if wanted {
		state, c = "on", green
	}
	done := &outcome{
		Kind:        "FeatureFlag",
		Namespace:   flag.Namespace,
		Name:        flag.Name,
		Key:         flag.Key(),
		Environment: o.environment,
		Action:      state,
		Changed:     changed,
		DryRun:      o.dryRun,
	}
	is, why, now := isOrIsToBe(o.wanted || isServed), "", a.Clock.Now()
	if !o.wanted && waits(environment, isServed, flag.ForceDisabledIn(o.environment), now) {
		why = whyUnpublished(o.cluster.target(), environment, flag.Key(), wanted, now)
	}
	done.Message = fmt.Sprintf("FeatureFlag %s %s %s in %s%s", nameOf(flag), is, state, o.environment, how)
	said := ""
	if o.wanted {
		if said, err = o.untilSwitched(ctx, o.cluster, flag, o.environment, wanted); err != nil {
			return err
		}
		done.Served, done.Message = true, done.Message+": "+said
		if served := flag.StateIn(o.environment); served != nil && served.Served != nil {
			done.Revision = served.Served.Revision
		}
		said = ": " + said
	} else if why != "" {
		done.Message += ": " + strings.TrimSuffix(why, ".")
		a.noteUnpublished(environment, why, wanted, now)
	}
	return o.print(a, done, safe(fmt.Sprintf("FeatureFlag %s %s %s in %s%s",
		quote.Line(nameOf(flag)), safe(is), a.paint(c, state), quote.Line(o.environment), quote.Line(how+said))))
}

// namedEnvironment reads an environment of a flag. It is nil where the user may not read it, but the flag names it.
func (c *cluster) namedEnvironment(
	ctx context.Context,
	flag *v1alpha1.FeatureFlag,
	name string,
) (*v1alpha1.FlagEnvironment, error) {
	environment, err := c.environment(ctx, name)
	if apierrors.IsForbidden(err) && flag.In(name) != nil {
		return nil, nil //nolint:nilnil // What is not known is not needed: the flag has been there before.
	}
	return environment, err
}

// untilSwitched waits until an environment serves a flag as it was switched.
func (w *waiter) untilSwitched(
	ctx context.Context, c *cluster, flag *v1alpha1.FeatureFlag, name string, on bool,
) (string, error) {
	generation, key := flag.Generation, client.ObjectKeyFromObject(flag)
	shows := c.target().command([]string{"status", name})
	return w.until(ctx, "the change of "+flag.Name, shows, func(ctx context.Context) (progress, error) {
		if err := c.client.Get(ctx, key, flag); err != nil {
			return progress{}, err
		}
		now := switched(c.target(), flag, generation, name, on)
		if !now.done {
			return now, nil
		}
		environment, err := c.namedEnvironment(ctx, flag, name)
		if err != nil || environment == nil {
			return now, err
		}
		revision := int64(0)
		if state := flag.StateIn(name); state.Served != nil {
			revision = state.Served.Revision
		}
		return acknowledged(environment, revision, now.said), nil
	})
}

// switched is done once the status says that an environment serves a flag, of that generation, as on or off. What is to
// be off is done where it is off, whatever else of the flag waits. A brake changes no generation: the status is of an
// older flag until it says of the brake what the annotation does.
func switched(at target, flag *v1alpha1.FeatureFlag, generation int64, name string, on bool) progress {
	state := flag.StateIn(name)
	switch {
	case flag.EnabledIn(name) != on:
		return progress{stuck: true, said: "somebody has switched the flag meanwhile"}
	case on && flag.Spec.Archived:
		return progress{stuck: true, said: archivedError(at, flag).Error()}
	case flag.Status.ObservedGeneration < generation || state == nil || state.Wanted.Enabled != on ||
		state.Wanted.ForceDisabled != flag.ForceDisabledIn(name):
		return progress{said: "the operator has not seen it yet"}
	case !on && (isServedNowhere(flag, state) || state.Served == nil && state.Wanted.ForceDisabled &&
		(brakedStates[state.State] || state.State == v1alpha1.ServingStateLastGood)):
		return progress{done: true, said: "the flag is not served, so that code gets its own default"}
	case state.State == v1alpha1.ServingStateServed && (state.Served == nil || state.Served.Enabled != on):
		return progress{said: "the operator is publishing it"}
	case state.State == v1alpha1.ServingStateServed && state.Served.Revision > 0:
		return progress{done: true, said: fmt.Sprintf("served since revision %d", state.Served.Revision)}
	case state.State == v1alpha1.ServingStateServed:
		return progress{done: true, said: "served"}
	case !on && state.Served != nil && !state.Served.Enabled && (!stuckStates[state.State] || brakedStates[state.State]):
		// What waits is something else: it is wanted off and it is off.
		said := "served"
		if state.Served.Revision > 0 {
			said = fmt.Sprintf("served since revision %d", state.Served.Revision)
		}
		return progress{done: true, said: said + "; what else is changed of the flag is not served yet"}
	}
	// A brake is published in every mode of this cluster; other changes wait for a person.
	isBrake := state.Wanted.ForceDisabled && !on
	return progress{
		stuck: stuckStates[state.State] && (!isBrake || !brakedStates[state.State]),
		said:  fmt.Sprintf("%s is %s", name, stateAdvice(at, state.State, name)),
	}
}

// brakedStates are those in which a brake is served all the same.
var brakedStates = map[v1alpha1.ServingState]bool{
	v1alpha1.ServingStateAwaitingPublish: true, v1alpha1.ServingStateFrozen: true, v1alpha1.ServingStatePinned: true,
}

// stuckStates are those that a person has to end.
var stuckStates = map[v1alpha1.ServingState]bool{
	v1alpha1.ServingStateAwaitingPublish: true, v1alpha1.ServingStateFrozen: true, v1alpha1.ServingStatePinned: true,
	v1alpha1.ServingStateBreakGlass: true, v1alpha1.ServingStateElsewhere: true, v1alpha1.ServingStateKeyTaken: true,
	v1alpha1.ServingStateNotFound: true,
}

// stateAdvice says what an environment is where it does not serve what is wanted of a flag, and what ends that.
func stateAdvice(at target, state v1alpha1.ServingState, environment string) string {
	switch state {
	case v1alpha1.ServingStateAwaitingPublish:
		return fmt.Sprintf("published by hand; %s publishes it", at.publish(environment))
	case v1alpha1.ServingStateFrozen:
		return fmt.Sprintf("frozen; %s ends that", at.thaw(environment))
	case v1alpha1.ServingStatePinned:
		return fmt.Sprintf("pinned; %s ends that", at.unpin(environment))
	case v1alpha1.ServingStateBreakGlass:
		return fmt.Sprintf("served without the operator; %s ends that", at.endBreakGlass(environment))
	case v1alpha1.ServingStateElsewhere:
		return "served by another cluster"
	case v1alpha1.ServingStateKeyTaken:
		return "serving an older flag of the same key; delete or archive one of them"
	case v1alpha1.ServingStateNotFound:
		return "no FlagEnvironment of the namespace"
	case v1alpha1.ServingStateLastGood:
		return "serving what was last published of the flag, because it does not compile or does not fit; see its conditions"
	case v1alpha1.ServingStatePending, v1alpha1.ServingStateServed:
	}
	return "being published"
}

// unserved reports whether the operator serves nothing that is wanted of an environment, a brake neither, because
// another cluster serves it or somebody has broken the glass. Of an environment that may not be read, which is nil,
// nothing is known.
func unserved(environment *v1alpha1.FlagEnvironment) bool {
	return environment != nil &&
		(environment.IsElsewhere() || environment.Status.State == v1alpha1.PublishStateBreakGlass)
}

// serves reports whether an environment serves a flag as on or off, as far as the status knows. One that has not seen
// the brake pulled or lifted does not know.
func serves(flag *v1alpha1.FeatureFlag, name string, on bool) bool {
	state := flag.StateIn(name)
	return state != nil && state.Wanted.ForceDisabled == flag.ForceDisabledIn(name) &&
		(!on && isServedNowhere(flag, state) || state.Served != nil && state.Served.Enabled == on)
}

// isServedNowhere reports whether an archived flag is gone from what an environment serves, as far as the status knows.
func isServedNowhere(flag *v1alpha1.FeatureFlag, state *v1alpha1.EnvironmentState) bool {
	return flag.Spec.Archived && state.State == v1alpha1.ServingStateServed && state.Served == nil
}

// archivedError says why a flag that is archived cannot be switched on, and what to do first.
func archivedError(at target, flag *v1alpha1.FeatureFlag) error {
	return fmt.Errorf("FeatureFlag %s is archived, so that no environment serves it; %s takes it back into use",
		nameOf(flag), at.command([]string{"archive", flag.Key()}, "--restore"))
}

// waits reports whether a flag as it was switched is not served in an environment until a person does something else. A
// brake waits where nobody serves it at all. Of an environment that may not be read, which is nil, nothing is known.
func waits(environment *v1alpha1.FlagEnvironment, isServed, isBraked bool, now time.Time) bool {
	if environment == nil || isServed {
		return false
	}
	spec := environment.Spec.Publish.At(now)
	return unserved(environment) ||
		!isBraked && (spec.Suspend || spec.Revision != nil || spec.Mode == v1alpha1.PublishModeManual)
}

// whyUnpublished says why an environment does not publish the switch of a flag by itself, and what ends that. It is
// empty where it does.
func whyUnpublished(
	at target, environment *v1alpha1.FlagEnvironment, key string, on bool, now time.Time,
) string {
	spec, name := environment.Spec.Publish.At(now), environment.Name
	switch {
	case environment.IsElsewhere():
		return fmt.Sprintf(
			"Another cluster serves %s (spec.publish.mode is None), and nothing changes there: switch the flag there.",
			name,
		)
	case unserved(environment) && on:
		return fmt.Sprintf(
			"%s is served without the operator (break glass): the change is served after %s.",
			name,
			at.endBreakGlass(name),
		)
	case unserved(environment):
		return fmt.Sprintf(
			"%s is served without the operator (break glass), as it was: %s switches the flag off there, and %s "+
				"lets the operator serve it again.",
			name,
			at.toggle(key, name, "--off", "--break-glass"),
			at.endBreakGlass(name),
		)
	case spec.Suspend:
		return fmt.Sprintf("%s is frozen: the change is served after %s.", name, ends(at, environment, &spec))
	case spec.Revision != nil:
		anew := ""
		if on && environment.Status.PinnedRevision == *spec.Revision &&
			environment.Status.PublishedRevision != *spec.Revision {
			anew = fmt.Sprintf("; without its end, %s serves that revision as it was, but for brakes",
				at.pinAgain(name, *spec.Revision))
		}
		return fmt.Sprintf(
			"%s is pinned to revision %d: the change is served after %s%s.",
			name,
			*spec.Revision,
			ends(at, environment, &spec),
			anew,
		)
	case spec.Mode == v1alpha1.PublishModeManual:
		return fmt.Sprintf("%s publishes by hand: the change is served after %s.", name, at.publish(name))
	}
	return ""
}

// ends are the commands after which an environment publishes what waits, in their order.
func ends(at target, environment *v1alpha1.FlagEnvironment, spec *v1alpha1.Publish) string {
	var commands []string
	if spec.Suspend {
		commands = append(commands, at.thaw(environment.Name))
	}
	if spec.Revision != nil {
		commands = append(commands, at.unpin(environment.Name))
	}
	if spec.Mode == v1alpha1.PublishModeManual {
		commands = append(commands, at.publish(environment.Name))
	}
	return strings.Join(commands, ", then ")
}

// noteUnpublished says why a switch of a flag is not served, and what is served at once.
func (a *App) noteUnpublished(environment *v1alpha1.FlagEnvironment, why string, on bool, now time.Time) {
	a.notef("%s", why)
	spec := environment.Spec.Publish.At(now)
	if !on && !unserved(environment) && (spec.Suspend || spec.Revision != nil) {
		a.notef("To switch it off at once, add --brake.")
	}
}

// switchTo switches a flag, and says how where that is not by its spec.
func switchTo(
	at target, flag *v1alpha1.FeatureFlag, environment string, on, brake bool,
) (how string, err error) {
	if on && flag.Spec.Archived {
		return "", archivedError(at, flag)
	}
	config := flag.In(environment)
	if brake {
		flag.ForceDisableIn(environment, true)
		return ", by the annotation " + v1alpha1.ForceDisabledAnnotation, nil
	}
	if owner := gitops.ManagerOf(flag); owner != nil {
		if config == nil || !config.Enabled {
			if on {
				return "", fmt.Errorf("%s owns the flag and has it off in %s; switch it on in Git", owner, environment)
			}
			return "", nil
		}
		if on && !flag.ForceDisabledIn(environment) {
			return "", nil
		}
		by := "by the annotation"
		if on {
			by = "without the annotation"
		}
		flag.ForceDisableIn(environment, !on)
		return fmt.Sprintf(", %s %s, because %s owns the flag", by, v1alpha1.ForceDisabledAnnotation, owner), nil
	}
	if config == nil {
		flag.Spec.Environments = append(flag.Spec.Environments, v1alpha1.EnvironmentConfig{Name: environment})
		config = &flag.Spec.Environments[len(flag.Spec.Environments)-1]
	}
	config.Enabled = on
	if on {
		flag.ForceDisableIn(environment, false)
	}
	return "", nil
}
