// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package posthog

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/history"
	"github.com/jackstaff-dev/jackstaff/internal/server"
)

// changed is a change and the flag that it is of.
type changed struct {
	history.Record

	uid  types.UID
	name string
}

// changesOfFlag are the changes of a flag, newest first.
func (v *view) changesOfFlag(ctx context.Context, flag *v1alpha1.FeatureFlag) ([]changed, error) {
	records, err := history.List(ctx, v.history, flag.Namespace, flag.Name)
	changes := make([]changed, 0, len(records))
	for i := range records {
		changes = append(changes, changed{Record: records[i], uid: flag.UID, name: flag.Key()})
	}
	return changes, err
}

// changesOf are the changes of all flags of a project, newest first, those that are gone included.
func (v *view) changesOf(ctx context.Context, project string, flags []*v1alpha1.FeatureFlag) ([]changed, error) {
	var changes []changed
	known, keys := map[string]bool{}, map[string]string{}
	add := func(records []history.Record, uid types.UID, name string) {
		for i := range records {
			if !known[records[i].ID] {
				known[records[i].ID] = true
				changes = append(changes, changed{Record: records[i], uid: uid, name: name})
			}
		}
	}
	for _, flag := range flags {
		keys[flag.Name] = flag.Key()
		carried, err := history.Decode(flag.Annotations[v1alpha1.ChangesAnnotation])
		if err != nil {
			return nil, fmt.Errorf("read the changes of flag %q: %w", flag.Name, err)
		}
		add(carried, flag.UID, flag.Key())
	}
	revisions := &appsv1.ControllerRevisionList{}
	if err := v.history.List(
		ctx,
		revisions,
		client.InNamespace(project),
		client.HasLabels{v1alpha1.FlagLabel},
		client.MatchingLabels{
			v1alpha1.ManagedByLabel: v1alpha1.ManagedBy, v1alpha1.HistoryLabel: v1alpha1.HistoryRecorded,
		},
	); err != nil {
		return nil, fmt.Errorf("list the history of flags: %w", err)
	}
	for i := range revisions.Items {
		revision := &revisions.Items[i]
		_, name, is := history.Subject(revision)
		if !is {
			continue
		}
		contents, err := history.ReadRevision(revision)
		if err != nil {
			return nil, err
		}
		add(contents.Records, types.UID(revision.Labels[v1alpha1.UIDLabel]), cmp.Or(keys[name], name))
	}
	slices.SortFunc(
		changes,
		func(a, b changed) int { return cmp.Or(b.Time.Compare(a.Time.Time), cmp.Compare(b.ID, a.ID)) },
	)
	return changes, nil
}

// show is a change in an answer, as seen from an environment.
func (c *changed) show(environment string) Activity {
	activity := Activity{
		ID:       c.ID,
		User:     ActivityUser{FirstName: c.Actor.Name},
		Activity: "updated",
		Scope:    "FeatureFlag",
		ItemID: strconv.FormatInt(
			idOf(c.uid),
			10,
		),
		Detail:    ActivityDetail{Changes: []ActivityChange{}, Name: c.name},
		CreatedAt: server.Time(c.Time.Time),
	}
	if strings.Contains(c.Actor.Name, "@") {
		activity.User.Email = c.Actor.Name
	}
	switch c.Action {
	case history.FlagCreated:
		activity.Activity = "created"
	case history.FlagDeleted:
		activity.Activity = "deleted"
	default:
	}
	for i := range c.Changes {
		change := &c.Changes[i]
		shows := ActivityChange{
			Type:   "FeatureFlag",
			Action: "changed",
			Field:  activityField(change.Path, environment),
			Before: orNull(change.From),
			After:  orNull(change.To),
		}
		switch {
		case len(change.From) == 0:
			shows.Action = "created"
		case len(change.To) == 0:
			shows.Action = "deleted"
		}
		activity.Detail.Changes = append(activity.Detail.Changes, shows)
	}
	return activity
}

func orNull(value json.RawMessage) json.RawMessage {
	if len(value) == 0 {
		return json.RawMessage("null")
	}
	return value
}
