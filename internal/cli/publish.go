// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/quote"
)

func (a *App) publishCommand() *cobra.Command {
	var c *cluster
	o := &changing{}
	cmd := &cobra.Command{
		Use:   "publish ENVIRONMENT",
		Short: "Publish the pending changes of an environment",
		Long: "Ask for the pending changes of an environment to be published, as it takes where publish.mode is Manual. " +
			"With --wait the command\n" +
			"ends when the operator has answered.",
		GroupID: clusterGroup,
		Args:    cobra.ExactArgs(1),
		RunE: a.run(func(cmd *cobra.Command, arguments []string) error {
			if err := o.check(); err != nil {
				return err
			}
			return a.publish(cmd.Context(), c, o, arguments[0])
		}),
	}
	o.addFlags(cmd)
	c = a.newCluster(cmd, contextFlag)
	return cmd
}

func (a *App) publish(ctx context.Context, c *cluster, o *changing, name string) error {
	environment, err := c.environment(ctx, name)
	if err != nil {
		return err
	}
	if err := servedElsewhere(environment, "publish it"); err != nil {
		return err
	}
	// Nanoseconds let two requests of one second differ.
	request := a.Clock.Now().UTC().Format(time.RFC3339Nano)
	changed, err := edit(ctx, c, o.dryRun, environment, func() error {
		switch spec := environment.Spec.Publish.At(a.Clock.Now()); {
		case spec.Suspend:
			return fmt.Errorf("%s is frozen; end that first with %s", name, c.target().thaw(name))
		case spec.Revision != nil:
			return fmt.Errorf(
				"%s is pinned to revision %d; end that first with %s",
				name,
				*spec.Revision,
				c.target().unpin(name),
			)
		}
		metav1.SetMetaDataAnnotation(&environment.ObjectMeta, v1alpha1.PublishRequestedAtAnnotation, request)
		return nil
	})
	if err != nil {
		return err
	}
	done := environmentOutcome(environment, "published", changed, o.dryRun)
	done.Message = fmt.Sprintf("a publish of %s is asked for", nameOf(environment))
	if o.wanted {
		said, err := o.lookAt(ctx, c, environment, "the publish", func() progress {
			return published(c.target(), environment, environment.Status.LastHandledPublishAt == request, false, a.Clock.Now())
		})
		if err != nil {
			return err
		}
		done.Served, done.Revision, done.Message = true, environment.Status.PublishedRevision, nameOf(environment)+": "+said
	} else {
		a.noteBreakGlass(c.target(), environment, "what waits")
	}
	return o.print(a, done, safe(quote.Line(done.Message)))
}

func environmentOutcome(environment *v1alpha1.FlagEnvironment, action string, changed, dryRun bool) *outcome {
	return &outcome{
		Kind:      "FlagEnvironment",
		Namespace: environment.Namespace,
		Name:      environment.Name,
		Action:    action,
		Changed:   changed,
		DryRun:    dryRun,
	}
}
