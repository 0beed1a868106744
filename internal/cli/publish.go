// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

func (a *App) publishCommand() *cobra.Command {
	var c *cluster
	wait := &waiter{app: a}
	cmd := &cobra.Command{
		Use:   "publish ENVIRONMENT",
		Short: "Publish the pending changes of an environment",
		Long: "Ask for the pending changes of an environment to be published, as it takes where publish.mode is Manual. With --wait the command\n" +
			"ends when the operator has answered.",
		GroupID: clusterGroup,
		Args:    cobra.ExactArgs(1),
		RunE: a.run(func(cmd *cobra.Command, arguments []string) error {
			environment, err := c.environment(cmd.Context(), arguments[0])
			if err != nil {
				return err
			}
			// Nanoseconds let two requests of one second differ.
			request := a.Clock.Now().UTC().Format(time.RFC3339Nano)
			err = edit(cmd.Context(), c, environment, func() error {
				switch spec := &environment.Spec.Publish; {
				case spec.Suspend:
					return fmt.Errorf(
						"%s is frozen; end that first with \"jackstaff freeze %s --off\"",
						environment.Name,
						environment.Name,
					)
				case spec.Revision != nil:
					return fmt.Errorf(
						"%s is pinned to revision %d; end that first with \"jackstaff rollback %s --clear\"",
						environment.Name,
						*spec.Revision,
						environment.Name,
					)
				}
				metav1.SetMetaDataAnnotation(&environment.ObjectMeta, v1alpha1.PublishRequestedAtAnnotation, request)
				return nil
			})
			if err != nil {
				return err
			}
			if !wait.wanted {
				a.printf("a publish of %s is asked for\n", environment.Name)
				return nil
			}
			return wait.until(
				cmd.Context(),
				c,
				environment,
				"the publish",
				func() bool { return environment.Status.LastHandledPublishAt == request },
			)
		}),
	}
	wait.addFlags(cmd)
	c = a.newCluster(cmd, contextFlag)
	return cmd
}

func (a *App) freezeCommand() *cobra.Command {
	var c *cluster
	var off bool
	cmd := &cobra.Command{
		Use:     "freeze ENVIRONMENT",
		Short:   "Let an environment publish nothing until the freeze is over",
		Long:    "Freeze an environment by spec.publish.suspend: what is served stays as it is, and changes wait. --off ends the freeze.",
		GroupID: clusterGroup,
		Args:    cobra.ExactArgs(1),
		RunE: a.run(func(cmd *cobra.Command, arguments []string) error {
			environment, err := c.environment(cmd.Context(), arguments[0])
			if err != nil {
				return err
			}
			err = edit(cmd.Context(), c, environment, func() error {
				environment.Spec.Publish.Suspend = !off
				return nil
			})
			if err == nil && off {
				a.printf("%s is not frozen any more\n", environment.Name)
			} else if err == nil {
				a.printf("%s is frozen at revision %d\n", environment.Name, environment.Status.PublishedRevision)
			}
			return err
		}),
	}
	cmd.Flags().BoolVar(&off, "off", false, "End the freeze.")
	c = a.newCluster(cmd, contextFlag)
	return cmd
}
