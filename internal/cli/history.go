// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/cli-runtime/pkg/printers"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/history"
	"github.com/jackstaff-dev/jackstaff/internal/ownership"
	"github.com/jackstaff-dev/jackstaff/internal/quote"
)

// historyEntry is one revision that the history holds.
type historyEntry struct {
	Revision    int64  `json:"revision"`
	PublishedAt string `json:"publishedAt"`
	Digest      string `json:"digest"`
	Served      bool   `json:"served"`
	// By and What sum up the changes that the revision brought.
	By   string `json:"by,omitempty"`
	What string `json:"what,omitempty"`

	// name is that of the ConfigMap.
	name string
	// brought are the changes that the revision says it brought, and empty where it says nothing.
	brought history.Brought
}

func (a *App) historyCommand() *cobra.Command {
	var output string
	var c *cluster
	cmd := &cobra.Command{
		Use:   "history ENVIRONMENT|FLAG",
		Short: "Show the revisions of an environment, or the changes of a flag, the newest first",
		Long: "Show what was published for an environment, by whom it was changed, and which revision is served; or who " +
			"changed a flag.\n" +
			"environment/NAME and flag/NAME say which is meant where both have the name.",
		Example: "  jackstaff history production\n  jackstaff history new-checkout -o json",
		GroupID: clusterGroup,
		Args:    cobra.ExactArgs(1),
		RunE: a.run(func(cmd *cobra.Command, arguments []string) error {
			if _, err := newPrinter(output); err != nil {
				return err
			}
			return a.history(cmd.Context(), c, output, arguments[0])
		}),
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "The format: json, yaml or name. Default a table.")
	c = a.newCluster(cmd, contextFlag)
	return cmd
}

// history shows the history of an environment, or of a flag where no environment has the name.
func (a *App) history(ctx context.Context, c *cluster, output, name string) error {
	if flag, is := strings.CutPrefix(name, "flag/"); is {
		return a.flagHistory(ctx, c, output, flag)
	}
	wanted, isEnvironment := strings.CutPrefix(name, "environment/")
	if strings.Contains(wanted, "/") { // It can be a key alone.
		return a.flagHistory(ctx, c, output, name)
	}
	environment, err := c.environment(ctx, wanted)
	if !isEnvironment && apierrors.IsNotFound(err) {
		notFound := err
		if err := a.flagHistory(ctx, c, output, name); err != nil {
			return fmt.Errorf("%w, and %w", notFound, err)
		}
		return nil
	}
	if err != nil {
		return err
	}
	revisions, err := c.history(ctx, environment)
	isTold := apierrors.IsForbidden(err) && output != "name" // Nothing else tells the names of ConfigMaps.
	if isTold {
		a.notef(
			"You may not list ConfigMaps in namespace %s, so that the revisions are those that the status and the changes "+
				"tell of: older ones, their ages and digests are not shown. Ask for the verb list on configmaps: %v",
			c.namespace,
			err,
		)
	} else if err != nil {
		return err
	}
	entries, err := c.log(ctx)
	if apierrors.IsForbidden(err) {
		// What was published is no secret to those who may not read who changed it.
		a.notef("You may not read who changed what: %v", err)
	} else if err != nil {
		return err
	}
	served, err := c.servedMark(ctx, environment)
	if err != nil {
		return err
	}
	for _, one := range unseenOf(environment, served, a.Clock.Now()) {
		a.notef("%s: %s", environment.Name, one.what)
	}
	if isTold {
		revisions, entries = toldRevisions(environment, entries)
	}
	guessed := c.guesses(ctx, environment)
	for i := range revisions {
		revisions[i].Served = revisions[i].Revision == servedRevision(environment, served) &&
			(served == nil || served.differs == "")
		revisions[i].By, revisions[i].What = sumUp(bringing(revisions, i, environment.Name, entries, guessed))
	}
	return a.printHistory(output, revisions)
}

// toldRevisions are the revisions that the status of an environment and the changes tell of, the newest first, with the
// changes that say which revision published them. Of the others nobody knows what they belong to.
func toldRevisions(
	environment *v1alpha1.FlagEnvironment, entries []history.Entry,
) (revisions []historyEntry, telling []history.Entry) {
	known := map[int64]historyEntry{}
	status := &environment.Status
	for i := range entries {
		for _, by := range entries[i].Revisions {
			if by.Environment == environment.Name {
				known[by.Revision] = historyEntry{Revision: by.Revision}
				telling = append(telling, entries[i])
				break
			}
		}
	}
	if status.PinnedRevision > 0 {
		known[status.PinnedRevision] = historyEntry{Revision: status.PinnedRevision}
	}
	if status.PublishedRevision > 0 {
		served := historyEntry{Revision: status.PublishedRevision, Digest: status.PublishedDigest}
		if status.PublishedAt != nil {
			served.PublishedAt = status.PublishedAt.UTC().Format(time.RFC3339)
		}
		known[served.Revision] = served
	}
	return slices.SortedFunc(maps.Values(known), func(a, b historyEntry) int {
		return cmp.Compare(b.Revision, a.Revision)
	}), telling
}

// flagHistory shows the changes of a flag, which may be gone.
func (a *App) flagHistory(ctx context.Context, c *cluster, output, nameOrKey string) error {
	if err := checkListOutput(output); err != nil {
		return err
	}
	flag, err := c.flag(ctx, nameOrKey)
	name := nameOrKey
	if err == nil {
		name = flag.Name
	} else if c.client == nil {
		return err
	}
	entries, listErr := history.List(ctx, c.client, c.namespace, "FeatureFlag", name)
	if listErr != nil {
		return listErr
	}
	if len(entries) == 0 && err != nil {
		return err
	}
	return a.printChangeEntries(output, entries, false)
}

// history returns the revisions that the history of an environment holds, the newest first.
func (c *cluster) history(ctx context.Context, environment *v1alpha1.FlagEnvironment) ([]historyEntry, error) {
	list := ownership.ConfigMaps()
	selecting := ownership.Selecting(client.ObjectKeyFromObject(environment), v1alpha1.DatafileHistory)
	if err := c.client.List(ctx, list, selecting...); err != nil {
		return nil, fmt.Errorf("list the history: %w", err)
	}
	revisions := []historyEntry{}
	for i := range list.Items {
		kept := &list.Items[i]
		revision := ownership.RevisionOf(kept)
		if revision == 0 {
			continue
		}
		revisions = append(revisions, historyEntry{
			Revision:    revision,
			PublishedAt: kept.Annotations[v1alpha1.PublishedAtAnnotation],
			Digest:      kept.Annotations[v1alpha1.DigestAnnotation],
			Served:      revision == environment.Status.PublishedRevision,
			name:        kept.Name,
			brought:     history.DecodeBrought(kept.Annotations[v1alpha1.BroughtAnnotation]),
		})
	}
	slices.SortFunc(revisions, func(a, b historyEntry) int {
		return cmp.Or(cmp.Compare(b.Revision, a.Revision), cmp.Compare(a.name, b.name))
	})
	// While the operator compresses an entry both forms of it are there.
	return slices.CompactFunc(revisions, func(a, b historyEntry) bool { return a.Revision == b.Revision }), nil
}

func (a *App) printHistory(output string, revisions []historyEntry) error {
	switch output {
	case jsonOutput:
		return a.printJSON(revisions)
	case "yaml":
		data, err := quote.YAML(revisions)
		a.printf("%s", safe(data))
		return err
	case "name":
		for _, entry := range revisions {
			a.printf("configmap/%s\n", entry.name)
		}
		return nil
	}
	w := printers.GetNewTabWriter(a.Streams.Out)
	_, _ = fmt.Fprintln(w, "REVISION\tAGE\tBY\tWHAT\tSERVED")
	for _, entry := range revisions {
		served := ""
		if entry.Served {
			served = "served"
		}
		age := "unknown"
		if at, err := time.Parse(time.RFC3339, entry.PublishedAt); err == nil {
			age = a.age(at)
		}
		printRow(w, strconv.FormatInt(entry.Revision, 10), age, entry.By, entry.What, served)
	}
	return w.Flush()
}
