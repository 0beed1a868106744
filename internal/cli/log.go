// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/cli-runtime/pkg/printers"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/history"
)

// defaultSince is how far back the log goes where nobody says.
const defaultSince = 24 * time.Hour

// changeEntry is one change as it is printed.
type changeEntry struct {
	ID           string                    `json:"id"`
	Time         metav1.MicroTime          `json:"time"`
	By           string                    `json:"by"`
	Object       v1alpha1.ChangedObject    `json:"object"`
	Action       history.Action            `json:"action"`
	Environments []string                  `json:"environments,omitempty"`
	Summary      string                    `json:"summary"`
	Changes      []history.Change          `json:"changes,omitempty"`
	Revisions    []v1alpha1.ChangeRevision `json:"revisions,omitempty"`
}

func newChangeEntry(entry *history.Entry) changeEntry {
	return changeEntry{
		ID: entry.ID, Time: entry.Time, By: entry.Actor.Name, Object: entry.Object, Action: entry.Action,
		Environments: entry.Environments, Summary: entry.Summary, Changes: entry.Changes, Revisions: entry.Revisions,
	}
}

func (a *App) logCommand() *cobra.Command {
	var output, by string
	var since time.Duration
	var c *cluster
	cmd := &cobra.Command{
		Use:   "log",
		Short: "Show who changed what in a namespace, the newest first",
		Long: "Show the changes of flags, environments, audiences and events, those that are gone included. Of older " +
			"changes the history keeps who,\n" +
			"what and when.",
		Example: "  jackstaff log -n shop --since 2h\n  jackstaff log --since 168h --by alice@example.com -o json",
		GroupID: clusterGroup,
		Args:    cobra.NoArgs,
		RunE: a.run(func(cmd *cobra.Command, _ []string) error {
			if err := checkListOutput(output); err != nil {
				return err
			}
			if since <= 0 {
				return usagef("--since is more than 0, such as 2h")
			}
			if err := c.connect(); err != nil {
				return err
			}
			entries, err := c.log(cmd.Context())
			if err != nil {
				return err
			}
			after := a.Clock.Now().Add(-since)
			entries = slices.DeleteFunc(entries, func(entry history.Entry) bool {
				return entry.Time.Time.Before(after) || by != "" && entry.Actor.Name != by
			})
			return a.printChangeEntries(output, entries, true)
		}),
	}
	cmd.Flags().DurationVar(&since, "since", defaultSince, "How far back, such as 30m or 2h.")
	cmd.Flags().StringVar(&by, "by", "", "Show the changes of this user alone.")
	cmd.Flags().StringVarP(&output, "output", "o", "", "The format: json. Default a table.")
	c = a.newCluster(cmd, contextFlag)
	return cmd
}

func checkListOutput(output string) error {
	if output != "" && output != jsonOutput {
		return usagef("--output is %s", jsonOutput)
	}
	return nil
}

// log returns the changes of all objects of the namespace, newest first. Of a Kind that the cluster does not have any
// more, the history has what there is to know.
func (c *cluster) log(ctx context.Context) ([]history.Entry, error) {
	var carried []history.Entry
	for _, kind := range v1alpha1.Kinds {
		list := kind.NewList()
		if err := c.client.List(ctx, list, client.InNamespace(c.namespace)); meta.IsNoMatchError(err) {
			continue
		} else if err != nil {
			return nil, fmt.Errorf("list objects of Kind %s: %w", kind.Name, err)
		}
		if err := meta.EachListItem(list, func(item runtime.Object) error {
			object, isObject := item.(v1alpha1.Object)
			if !isObject {
				return fmt.Errorf("%T is no object", item)
			}
			of, err := history.Carried(kind.Name, object)
			carried = append(carried, of...)
			return err
		}); err != nil {
			return nil, err
		}
	}
	return history.ListProject(ctx, c.client, c.namespace, carried)
}

// printChangeEntries prints changes, with their objects where these are several.
func (a *App) printChangeEntries(output string, entries []history.Entry, withObject bool) error {
	if output == jsonOutput {
		shown := make([]changeEntry, len(entries))
		for i := range entries {
			shown[i] = newChangeEntry(&entries[i])
		}
		return a.printJSON(shown)
	}
	if len(entries) == 0 {
		a.notef("There are no changes.")
		return nil
	}
	w := printers.GetNewTabWriter(a.Streams.Out)
	header := "AGE\tBY\tACTION\tWHAT"
	if withObject {
		header = "AGE\tBY\tOBJECT\tACTION\tWHAT"
	}
	_, _ = fmt.Fprintln(w, header)
	for i := range entries {
		entry := &entries[i]
		columns := []string{a.age(entry.Time.Time), entry.Actor.Name, string(entry.Action), entry.Summary}
		if withObject {
			columns = slices.Insert(columns, 2, cmp.Or(entry.Object.Key, entry.Object.Name))
		}
		printRow(w, columns...)
	}
	return w.Flush()
}

// age is how long ago something was, as kubectl shows it.
func (a *App) age(at time.Time) string { return duration.HumanDuration(max(a.Clock.Now().Sub(at), 0)) }

// sumUp says in one line who made changes, and what these are, the oldest first.
func sumUp(entries []history.Entry) (by, what string) {
	const most = 4
	var actors, phrases []string
	for _, entry := range slices.Backward(entries) {
		if !slices.Contains(actors, entry.Actor.Name) {
			actors = append(actors, entry.Actor.Name)
		}
		if len(phrases) < most {
			phrases = append(phrases, cmp.Or(entry.Object.Key, entry.Object.Name)+" "+entry.Summary)
		}
	}
	if more := len(entries) - most; more > 0 {
		phrases = append(phrases, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(actors, ", "), strings.Join(phrases, "; ")
}
