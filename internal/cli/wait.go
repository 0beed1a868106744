// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// waitInterval is how often the cluster is asked while a command waits.
const waitInterval = 200 * time.Millisecond

// waiter waits for the operator where the command line says so.
type waiter struct {
	app     *App
	wanted  bool
	timeout time.Duration
}

func (w *waiter) addFlags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&w.wanted, "wait", false, "Wait until it is done, and say what happened.")
	cmd.Flags().DurationVar(&w.timeout, "timeout", time.Minute, "How long to wait.")
}

// until reads the environment again until done reports true, and says what the operator says. It fails where that takes
// too long.
func (w *waiter) until(
	ctx context.Context,
	c *cluster,
	environment *v1alpha1.FlagEnvironment,
	what string,
	done func() bool,
) error {
	err := wait.PollUntilContextTimeout(ctx, waitInterval, w.timeout, true, func(ctx context.Context) (bool, error) {
		if err := c.client.Get(ctx, client.ObjectKeyFromObject(environment), environment); err != nil {
			return false, err
		}
		return done(), nil
	})
	said := "the operator has not answered yet"
	if condition := meta.FindStatusCondition(
		environment.Status.Conditions,
		v1alpha1.PublishedCondition,
	); condition != nil {
		said = condition.Message
	}
	switch {
	case wait.Interrupted(err) && ctx.Err() == nil:
		return fmt.Errorf("%s of %s is not done after %s: %s", what, environment.Name, w.timeout, said)
	case err != nil:
		return fmt.Errorf("wait for %s of %s: %w", what, environment.Name, err)
	}
	w.app.printf("%s: %s\n", environment.Name, said)
	return nil
}
