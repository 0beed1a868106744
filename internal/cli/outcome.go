// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// outcome is what a command did to an object. It is what -o json prints.
type outcome struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// Key is that of a flag.
	Key string `json:"key,omitempty"`
	// Environment is the one in which a flag was switched.
	Environment string `json:"environment,omitempty"`
	// Action is one word for what was asked for, such as "on", "archived" or "frozen".
	Action string `json:"action"`
	// Changed is false where the object was so before.
	Changed bool `json:"changed"`
	// DryRun is true where nothing was stored.
	DryRun bool `json:"dryRun,omitempty"`
	// Served is true where the command has waited until it was served.
	Served bool `json:"served,omitempty"`
	// Revision is the revision that is served, or to be served, where the command knows it.
	Revision int64 `json:"revision,omitempty"`
	// Reason and Until are those of a freeze, where it has them.
	Reason string       `json:"reason,omitempty"`
	Until  *metav1.Time `json:"until,omitempty"`
	// Undoes is the change that a rollback undoes, in words.
	Undoes string `json:"undoes,omitempty"`
	// PassesOver are newer revisions that a rollback did not choose because they hold no flag.
	PassesOver []int64 `json:"passesOver,omitempty"`
	// Effects are what changes for whom, a sentence each.
	Effects []string `json:"effects,omitempty"`
	// Refused are the reasons why the command itself would be refused, where a dry run finds any.
	Refused []string `json:"refused,omitempty"`
	// Message is a sentence for people.
	Message string `json:"message"`
}

// isOrIsToBe returns the verb of a message about a change: "is" where it is known to be served, else "is to be".
func isOrIsToBe(served bool) string {
	if served {
		return "is"
	}
	return "is to be"
}

// nameOf names an object with its namespace, because whoever has forgotten -n has changed another project.
func nameOf(object client.Object) string { return object.GetNamespace() + "/" + object.GetName() }

// changing are the flags of commands that change an object of the cluster.
type changing struct {
	waiter
	dryRun bool
	output string
	// refused are the refusals that a dry run has said.
	refused []string
}

func (c *changing) addFlags(cmd *cobra.Command) {
	c.waiter.addFlags(cmd)
	cmd.Flags().BoolVar(&c.dryRun, "dry-run", false, "Ask admission, and store nothing.")
	cmd.Flags().StringVarP(&c.output, "output", "o", "", "The format: json. Default a sentence.")
	cmd.MarkFlagsMutuallyExclusive("wait", "dry-run")
}

// check refuses what does not go together before anything is changed.
func (c *changing) check() error { return checkListOutput(c.output) }

// print prints what was done; text is the message with its colours.
func (c *changing) print(a *App, done *outcome, text safe) error {
	done.Refused = c.refused
	switch {
	case c.output == jsonOutput:
		if err := a.printJSON(done); err != nil {
			return err
		}
	case len(c.refused) > 0:
		a.printf("%s (dry run: it would be refused)\n", text)
	case done.DryRun:
		a.printf("%s (dry run)\n", text)
	default:
		a.printf("%s\n", text)
	}
	if len(c.refused) > 0 {
		return errReported
	}
	return nil
}
