// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/gitops"
)

func (a *App) toggleCommand() *cobra.Command {
	var environment string
	var on, off bool
	var c *cluster
	cmd := &cobra.Command{
		Use:   "toggle FLAG -e ENVIRONMENT",
		Short: "Switch a flag on or off in an environment",
		Long: "Switch a flag, by its name or key, on or off in an environment; without --on and --off to what it is not. A flag that Argo CD\n" +
			"or Flux owns is switched off by the annotation " + v1alpha1.ForceDisabledAnnotation + ", which they do not undo, and on again\n" +
			"by removing it. What Git itself has switched off is for Git to switch on.",
		Example: "  jackstaff toggle new_checkout -e production --off",
		GroupID: clusterGroup,
		Args:    cobra.ExactArgs(1),
		RunE: a.run(func(cmd *cobra.Command, arguments []string) error {
			flag, err := c.flag(cmd.Context(), arguments[0])
			if err != nil {
				return err
			}
			// What is meant is decided once, so that a retry does not switch back.
			wanted := on || !off && !flag.EnabledIn(environment)
			how := ""
			if err := edit(
				cmd.Context(),
				c,
				flag,
				func() error { how, err = switchTo(flag, environment, wanted); return err },
			); err != nil {
				return err
			}
			state := a.paint(red, "off")
			if wanted {
				state = a.paint(green, "on")
			}
			a.printf("FeatureFlag %s is %s in %s%s\n", flag.Name, state, environment, how)
			a.noteUnpublished(cmd.Context(), c, environment)
			return nil
		}),
	}
	cmd.Flags().StringVarP(&environment, "environment", "e", "", "The environment (required).")
	cmd.Flags().BoolVar(&on, "on", false, "Switch the flag on.")
	cmd.Flags().BoolVar(&off, "off", false, "Switch the flag off.")
	cmd.MarkFlagsMutuallyExclusive("on", "off")
	_ = cmd.MarkFlagRequired("environment") // It fails only for a flag that does not exist.
	c = a.newCluster(cmd, contextFlag)
	return cmd
}

// noteUnpublished says so where an environment does not publish by itself, so that a change is not served yet. Who may
// not read the environment is told nothing.
func (a *App) noteUnpublished(ctx context.Context, c *cluster, name string) {
	environment, err := c.environment(ctx, name)
	spec := &environment.Spec.Publish
	switch {
	case apierrors.IsNotFound(err):
		a.notef("There is no FlagEnvironment %s yet.", name)
	case err != nil:
	case spec.Suspend:
		a.notef("%s is frozen: the change is served after \"jackstaff freeze %s --off\".", name, name)
	case spec.Revision != nil:
		a.notef(
			"%s is pinned to revision %d: the change is served after \"jackstaff rollback %s --clear\".",
			name,
			*spec.Revision,
			name,
		)
	case spec.Mode == v1alpha1.PublishModeManual:
		a.notef("%s publishes by hand: the change is served after \"jackstaff publish %s\".", name, name)
	}
}

// switchTo switches a flag, and says how where that is not by its spec.
func switchTo(flag *v1alpha1.FeatureFlag, environment string, on bool) (how string, err error) {
	config := flag.In(environment)
	if owner := gitops.ManagerOf(flag); owner != nil {
		if config == nil || !config.Enabled {
			if on {
				return "", fmt.Errorf("%s owns the flag and has it off in %s; switch it on in Git", owner, environment)
			}
			return "", nil
		}
		flag.ForceDisableIn(environment, !on)
		return fmt.Sprintf(", by the annotation %s, because %s owns the flag", v1alpha1.ForceDisabledAnnotation, owner), nil
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

func (a *App) archiveCommand() *cobra.Command {
	var restore bool
	var c *cluster
	cmd := &cobra.Command{
		Use:   "archive FLAG",
		Short: "Take a flag out of every datafile, and keep it on record",
		Long: "Archive a flag, by its name or key: it is served nowhere any more, so that code gets its own default. A flag that Argo CD or\n" +
			"Flux owns is archived in Git.",
		GroupID: clusterGroup,
		Args:    cobra.ExactArgs(1),
		RunE: a.run(func(cmd *cobra.Command, arguments []string) error {
			flag, err := c.flag(cmd.Context(), arguments[0])
			if err != nil {
				return err
			}
			err = edit(cmd.Context(), c, flag, func() error {
				if owner := gitops.ManagerOf(flag); owner != nil {
					return fmt.Errorf("%s owns the flag and would undo the change; change it in Git", owner)
				}
				flag.Spec.Archived = !restore
				return nil
			})
			if err == nil {
				a.printf("FeatureFlag %s is %s\n", flag.Name, map[bool]string{true: "restored", false: "archived"}[restore])
			}
			return err
		}),
	}
	cmd.Flags().BoolVar(&restore, "restore", false, "Take the flag back into use.")
	c = a.newCluster(cmd, contextFlag)
	return cmd
}
