// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/client-go/discovery"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// operatorLabels are those of the operator's Deployment.
var operatorLabels = client.MatchingLabels{"app.kubernetes.io/name": "jackstaff"}

// versions are what version prints.
type versions struct {
	// Client is the version of this program.
	Client string `json:"client"`
	// Server is that of the API server, and Operator the images of the operator. They are absent where they are not asked
	// for, or where Problem says why they are not known.
	Server   string   `json:"server,omitempty"`
	Operator []string `json:"operator,omitempty"`
	Problem  string   `json:"problem,omitempty"`
}

func (a *App) versionCommand() *cobra.Command {
	var c *cluster
	var clientOnly bool
	var output string
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Show the versions of this program, of the cluster and of the operator in it",
		GroupID: clusterGroup,
		Args:    cobra.NoArgs,
		RunE: a.run(func(cmd *cobra.Command, _ []string) error {
			if err := checkListOutput(output); err != nil {
				return err
			}
			shown := &versions{Client: a.Version}
			if !clientOnly {
				if err := c.versions(cmd.Context(), shown); err != nil {
					shown.Problem = explained(err)
				}
			}
			if output == jsonOutput {
				return a.printJSON(shown)
			}
			a.printf("client    %s\n", shown.Client)
			if !clientOnly {
				a.printf(
					"server    %s\noperator  %s\n",
					cmp.Or(shown.Server, "unknown"),
					cmp.Or(strings.Join(shown.Operator, ", "), "unknown"),
				)
			}
			if shown.Problem != "" {
				a.notef("%s", shown.Problem)
			}
			return nil
		}),
	}
	cmd.Flags().BoolVar(&clientOnly, "client", false, "Show the version of this program alone.")
	cmd.Flags().StringVarP(&output, "output", "o", "", "The format: json. Default text.")
	c = a.newCluster(cmd, contextFlag)
	return cmd
}

// versions asks the cluster.
func (c *cluster) versions(ctx context.Context, shown *versions) error {
	config, err := c.flags.ToRESTConfig()
	if err != nil {
		return fmt.Errorf("find the cluster: %w", err)
	}
	asking, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return fmt.Errorf("find the cluster: %w", err)
	}
	server, err := asking.ServerVersion()
	if err != nil {
		return fmt.Errorf("ask the cluster for its version: %w", err)
	}
	shown.Server = server.GitVersion
	if err := c.connect(); err != nil {
		return err
	}
	deployments := &appsv1.DeploymentList{}
	if err := c.client.List(ctx, deployments, operatorLabels); err != nil {
		return fmt.Errorf("look for the operator: %w", err)
	}
	for i := range deployments.Items {
		deployment := &deployments.Items[i]
		for j := range deployment.Spec.Template.Spec.Containers {
			shown.Operator = append(
				shown.Operator,
				fmt.Sprintf("%s (%s/%s)", deployment.Spec.Template.Spec.Containers[j].Image, deployment.Namespace, deployment.Name),
			)
		}
	}
	if len(shown.Operator) == 0 {
		return errors.New(
			"no Deployment of the cluster has the label app.kubernetes.io/name=jackstaff; is the operator installed?",
		)
	}
	return nil
}

// optionsCommand shows the flags that every command with a cluster has, and that its own help leaves out.
func (a *App) optionsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "options",
		Short: "Show the flags that choose a cluster and a user, which every command with a cluster has",
		Args:  cobra.NoArgs,
	}
	shown := &cobra.Command{}
	a.newCluster(shown, contextFlag)
	for _, name := range foldedFlags {
		if flag := shown.Flags().Lookup(name); flag != nil {
			flag.Hidden = false
		}
	}
	usages := shown.Flags().FlagUsages()
	cmd.Long = "These flags choose a cluster and a user. Every command with a cluster has them:\n\n" + usages
	cmd.RunE = a.run(func(*cobra.Command, []string) error {
		a.printf("%s", safe(cmd.Long))
		return nil
	})
	return cmd
}
