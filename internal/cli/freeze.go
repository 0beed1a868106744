// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/jackstaff-dev/jackstaff/internal/quote"
)

func (a *App) freezeCommand() *cobra.Command {
	var c *cluster
	var off bool
	o := &changing{}
	cmd := &cobra.Command{
		Use:     "freeze ENVIRONMENT",
		Short:   "Let an environment publish nothing until the freeze is over",
		Long:    "Freeze an environment by spec.publish.suspend: what is served stays as it is, and changes wait. --off ends the freeze.",
		GroupID: clusterGroup,
		Args:    cobra.ExactArgs(1),
		RunE: a.run(func(cmd *cobra.Command, arguments []string) error {
			if err := o.check(); err != nil {
				return err
			}
			return a.freeze(cmd.Context(), c, o, arguments[0], !off)
		}),
	}
	cmd.Flags().BoolVar(&off, "off", false, "End the freeze.")
	o.addFlags(cmd)
	c = a.newCluster(cmd, contextFlag)
	return cmd
}

func (a *App) freeze(ctx context.Context, c *cluster, o *changing, name string, frozen bool) error {
	environment, err := c.environment(ctx, name)
	if err != nil {
		return err
	}
	changed, err := edit(ctx, c, o.dryRun, environment, func() error {
		environment.Spec.Publish.Suspend = frozen
		return nil
	})
	if err != nil {
		return err
	}
	done := environmentOutcome(environment, map[bool]string{true: "frozen", false: "thawed"}[frozen], changed, o.dryRun)
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
	done.Message = name + " is not frozen any more"
	if frozen {
		done.Message = fmt.Sprintf("%s is frozen at revision %d", name, done.Revision)
	}
	return o.print(a, done, safe(quote.Line(done.Message)))
}
