// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
)

// completionTime bounds how long a shell waits for names. Without an answer there are none.
const completionTime = 2 * time.Second

// completes completes the names of flags, environments and revisions that a command takes, as far as its usage says so.
func (c *cluster) completes(cmd *cobra.Command) {
	positional := strings.Fields(cmd.Use)[1:]
	if len(positional) > 0 && cmd.ValidArgsFunction == nil && cmd.ValidArgs == nil {
		takes := strings.Trim(positional[0], "[].")
		cmd.ValidArgsFunction = func(cmd *cobra.Command, arguments []string, _ string) ([]string, cobra.ShellCompDirective) {
			if cmd.Name() == "get" && len(arguments) > 0 {
				return c.names(cmd, c.namesOf(arguments[0]))
			}
			if len(arguments) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return c.names(cmd, c.namesFor(takes))
		}
	}
	if cmd.Flags().Lookup("environment") != nil {
		_ = cmd.RegisterFlagCompletionFunc(
			"environment",
			func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
				return c.names(cmd, c.environmentNames)
			},
		)
	}
	if cmd.Flags().Lookup("to") != nil {
		_ = cmd.RegisterFlagCompletionFunc(
			"to",
			func(cmd *cobra.Command, arguments []string, _ string) ([]string, cobra.ShellCompDirective) {
				return c.names(cmd, func(ctx context.Context) []string { return c.revisionNumbers(ctx, arguments) })
			},
		)
	}
}

// names asks for names within the bound of time.
func (c *cluster) names(cmd *cobra.Command, ask func(context.Context) []string) ([]string, cobra.ShellCompDirective) {
	ctx := cmd.Context()
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, cancel := context.WithTimeout(ctx, completionTime)
	defer cancel()
	if ask == nil {
		return nil, cobra.ShellCompDirectiveDefault
	}
	if c.connect() != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return ask(ctx), cobra.ShellCompDirectiveNoFileComp
}

// namesFor asks for what an argument takes, by its name in the usage.
func (c *cluster) namesFor(takes string) func(context.Context) []string {
	switch takes {
	case "FLAG":
		return c.flagNames
	case "ENVIRONMENT":
		return c.environmentNames
	case "ENVIRONMENT|FLAG":
		return func(ctx context.Context) []string { return append(c.environmentNames(ctx), c.flagNames(ctx)...) }
	}
	if strings.HasPrefix(takes, kinds[0].names[0]+"|") {
		return func(context.Context) []string { return strings.Split(takes, "|") }
	}
	return nil
}

// namesOf asks for the names of the objects of a Kind that completion knows.
func (c *cluster) namesOf(kind string) func(context.Context) []string {
	_, plural, _ := resourceOf(kind)
	switch plural {
	case "flags":
		return c.flagNames
	case "environments":
		return c.environmentNames
	}
	return func(context.Context) []string { return nil }
}

func (c *cluster) flagNames(ctx context.Context) []string {
	list := &v1alpha1.FeatureFlagList{}
	_ = c.client.List(ctx, list, client.InNamespace(c.namespace)) // Without an answer there are no names.
	var names []string
	for i := range list.Items {
		names = append(names, list.Items[i].Name, list.Items[i].Key())
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (c *cluster) environmentNames(ctx context.Context) []string {
	list := &v1alpha1.FlagEnvironmentList{}
	_ = c.client.List(ctx, list, client.InNamespace(c.namespace)) // Without an answer there are no names.
	var names []string
	for i := range list.Items {
		names = append(names, list.Items[i].Name)
	}
	return names
}

// revisionNumbers are the revisions that the history of an environment holds.
func (c *cluster) revisionNumbers(ctx context.Context, arguments []string) []string {
	if len(arguments) == 0 {
		return nil
	}
	environment := &v1alpha1.FlagEnvironment{}
	environment.Namespace, environment.Name = c.namespace, arguments[0]
	revisions, err := c.history(ctx, environment)
	if err != nil {
		return nil
	}
	var numbers []string
	for i := range revisions {
		numbers = append(numbers, strconv.FormatInt(revisions[i].Revision, 10))
	}
	return numbers
}
