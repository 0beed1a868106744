// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// waitInterval is how often the cluster is asked while a command waits.
const waitInterval = 200 * time.Millisecond

// waiter waits for the operator where the command line says so.
type waiter struct {
	wanted  bool
	timeout time.Duration
}

func (w *waiter) addFlags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&w.wanted, "wait", false, "Wait until it is served, and where instances report, loaded.")
	cmd.Flags().DurationVar(&w.timeout, "timeout", time.Minute, "How long to wait.")
}

// progress is how far the operator is with what was asked for.
type progress struct {
	// done says that it is served, and stuck that waiting does not help.
	done, stuck bool
	// said is what the operator says.
	said string
}

// until looks again and again until it is done, and returns what the operator says. It fails where that takes too long,
// or does not come by waiting.
// What is the change, which is stored, and shows the command line that shows whether it is served.
func (w *waiter) until(
	ctx context.Context,
	what, shows string,
	look func(ctx context.Context) (progress, error),
) (string, error) {
	last := progress{said: "the operator has not answered yet"}
	err := wait.PollUntilContextTimeout(ctx, waitInterval, w.timeout, true, func(ctx context.Context) (bool, error) {
		now, err := look(ctx)
		if err != nil {
			return false, err
		}
		if now.said == "" {
			now.said = last.said
		}
		last = now
		return now.done || now.stuck, nil
	})
	switch {
	case ctx.Err() != nil:
		return "", &storedError{what, "waiting was interrupted", shows, context.Cause(ctx)}
	case wait.Interrupted(err):
		return "", fmt.Errorf("%s is stored, and not served after %s: %s", what, w.timeout, last.said)
	case err != nil:
		return "", &storedError{what, "whether it is served cannot be seen: " + explained(err), shows, err}
	case last.stuck:
		return "", fmt.Errorf("%s is stored and not served: %s", what, last.said)
	}
	return last.said, nil
}

// untilEnvironment waits for what was asked of an environment, and where instances report, until these have loaded what
// it serves.
func (w *waiter) untilEnvironment(
	ctx context.Context, c *cluster, environment *v1alpha1.FlagEnvironment, what string, done func() bool,
) (string, error) {
	return w.lookAt(ctx, c, environment, what, func() progress { return progress{done: done()} })
}

// lookAt is untilEnvironment, where look says what does not come by waiting, too.
func (w *waiter) lookAt(
	ctx context.Context, c *cluster, environment *v1alpha1.FlagEnvironment, what string, look func() progress,
) (string, error) {
	shows := c.target().command([]string{"status", environment.Name})
	return w.until(ctx, what+" of "+environment.Name, shows, func(ctx context.Context) (progress, error) {
		if err := c.client.Get(ctx, client.ObjectKeyFromObject(environment), environment); err != nil {
			return progress{}, err
		}
		now := look()
		if now.said == "" {
			now.said = conditionMessage(environment, v1alpha1.PublishedCondition)
		}
		if now.done {
			now = acknowledged(environment, 0, now.said)
		}
		return now, nil
	})
}

// published is done where that is so, and else stuck where the operator publishes nothing of what a publish or, with
// isPin, a rollback asks for, until a person ends what holds it back.
func published(
	at target, environment *v1alpha1.FlagEnvironment, done, isPin bool, now time.Time,
) progress {
	if done {
		return progress{done: true}
	}
	spec := environment.Spec.Publish.At(now)
	var state v1alpha1.ServingState
	switch {
	case environment.IsElsewhere():
		state = v1alpha1.ServingStateElsewhere
	case environment.Status.State == v1alpha1.PublishStateBreakGlass:
		state = v1alpha1.ServingStateBreakGlass
	case !isPin && spec.Revision != nil:
		state = v1alpha1.ServingStatePinned
	case !isPin && spec.Suspend:
		state = v1alpha1.ServingStateFrozen
	default:
		return progress{}
	}
	return progress{stuck: true, said: fmt.Sprintf("%s is %s", environment.Name, stateAdvice(at, state, environment.Name))}
}

// servedElsewhere refuses what only the cluster can do that serves an environment, and is nil where that is this one.
func servedElsewhere(environment *v1alpha1.FlagEnvironment, there string) error {
	if !environment.IsElsewhere() {
		return nil
	}
	return fmt.Errorf("another cluster serves %s (spec.publish.mode is None); %s there", environment.Name, there)
}

// noteBreakGlass says so where what was asked for waits for the end of a break glass.
func (a *App) noteBreakGlass(at target, environment *v1alpha1.FlagEnvironment, what string) {
	if environment.Status.State != v1alpha1.PublishStateBreakGlass {
		return
	}
	a.notef(
		"%s is served without the operator (break glass): %s is served after %s.",
		environment.Name,
		what,
		at.endBreakGlass(environment.Name),
	)
}

// acknowledged is done once the instances of an environment have loaded that revision or a later one, where they
// report.
func acknowledged(environment *v1alpha1.FlagEnvironment, revision int64, said string) progress {
	if !environment.Spec.Delivery.Acknowledge {
		return progress{done: true, said: said}
	}
	counted := environment.Status.Delivery
	condition := meta.FindStatusCondition(environment.Status.Conditions, v1alpha1.AcknowledgedCondition)
	if counted == nil || condition == nil || counted.Revision < max(revision, environment.Status.PublishedRevision) {
		return progress{said: said + "; its instances have not been counted yet"}
	}
	return progress{done: condition.Status == metav1.ConditionTrue, said: said + "; " + condition.Message}
}

func conditionMessage(environment *v1alpha1.FlagEnvironment, conditionType string) string {
	if condition := meta.FindStatusCondition(environment.Status.Conditions, conditionType); condition != nil {
		return condition.Message
	}
	return ""
}
