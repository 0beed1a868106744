// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/gitops"
	"github.com/jackstaff-dev/jackstaff/internal/quote"
)

func (a *App) archiveCommand() *cobra.Command {
	var restore bool
	var c *cluster
	o := &changing{}
	cmd := &cobra.Command{
		Use:   "archive FLAG",
		Short: "Take a flag out of every datafile, and keep it on record",
		Long: "Archive a flag, by its name or key: it is served nowhere any more, so that code gets its own default. A " +
			"flag that Argo CD or\n" +
			"Flux owns is archived in Git.",
		GroupID: clusterGroup,
		Args:    cobra.ExactArgs(1),
		RunE: a.run(func(cmd *cobra.Command, arguments []string) error {
			if err := o.check(); err != nil {
				return err
			}
			return a.archive(cmd.Context(), c, o, arguments[0], !restore)
		}),
	}
	cmd.Flags().BoolVar(&restore, "restore", false, "Take the flag back into use.")
	o.addFlags(cmd)
	c = a.newCluster(cmd, contextFlag)
	return cmd
}

func (a *App) archive(ctx context.Context, c *cluster, o *changing, nameOrKey string, archived bool) error {
	flag, err := c.flag(ctx, nameOrKey)
	if err != nil {
		return err
	}
	changed, err := edit(ctx, c, o.dryRun, flag, func() error {
		if owner := gitops.ManagerOf(flag); owner != nil && flag.Spec.Archived != archived {
			return fmt.Errorf("%s owns the flag and would undo the change; change it in Git", owner)
		}
		flag.Spec.Archived = archived
		return nil
	})
	if err != nil {
		return err
	}
	done := &outcome{
		Kind: "FeatureFlag", Namespace: flag.Namespace, Name: flag.Name, Key: flag.Key(), Changed: changed, DryRun: o.dryRun,
		Action: map[bool]string{true: "archived", false: "restored"}[archived],
	}
	isServed := o.wanted || !changed && archivedEverywhere(flag, flag.Generation, archived).done
	done.Message = fmt.Sprintf("FeatureFlag %s %s %s", nameOf(flag), isOrIsToBe(isServed), done.Action)
	if o.wanted {
		said, err := o.untilArchived(ctx, c, flag, archived)
		if err != nil {
			return err
		}
		done.Served, done.Message = true, done.Message+": "+said
	}
	return o.print(a, done, safe(quote.Line(done.Message)))
}

// untilArchived waits until no environment serves an archived flag, or every environment serves a restored one as its
// spec wants.
func (w *waiter) untilArchived(
	ctx context.Context,
	c *cluster,
	flag *v1alpha1.FeatureFlag,
	archived bool,
) (string, error) {
	generation, key := flag.Generation, client.ObjectKeyFromObject(flag)
	shows := c.target().command([]string{"get", "flags", flag.Name})
	return w.until(ctx, "the change of "+flag.Name, shows, func(ctx context.Context) (progress, error) {
		if err := c.client.Get(ctx, key, flag); err != nil {
			return progress{}, err
		}
		now := archivedEverywhere(flag, generation, archived)
		for _, name := range flag.NamedEnvironments() {
			if !now.done {
				break
			}
			environment, err := c.environment(ctx, name)
			if err != nil {
				return now, client.IgnoreNotFound(err)
			}
			now = acknowledged(environment, 0, now.said)
		}
		return now, nil
	})
}

// archivedEverywhere is done once the status says that every environment serves a flag, of that generation, as archived
// or restored.
func archivedEverywhere(flag *v1alpha1.FeatureFlag, generation int64, archived bool) progress {
	published := meta.FindStatusCondition(flag.Status.Conditions, v1alpha1.PublishedCondition)
	if published == nil || flag.Status.ObservedGeneration < generation {
		return progress{said: "the operator has not seen it yet"}
	}
	if published.Status != metav1.ConditionTrue {
		return progress{stuck: isStuck(flag), said: published.Message}
	}
	for i := range flag.Status.Environments {
		state := &flag.Status.Environments[i]
		if state.State == v1alpha1.ServingStateServed && (state.Served == nil) != archived {
			return progress{said: "the operator is publishing it in " + state.Name}
		}
	}
	return progress{done: true, said: published.Message}
}

// isStuck reports whether an environment that the flag names serves it only once somebody acts.
func isStuck(flag *v1alpha1.FeatureFlag) bool {
	for _, name := range flag.NamedEnvironments() {
		if state := flag.StateIn(
			name,
		); state != nil && state.State != v1alpha1.ServingStateElsewhere &&
			stuckStates[state.State] {
			return true
		}
	}
	return false
}
