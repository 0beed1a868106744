// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package posthog

import (
	"cmp"
	"context"
	"regexp"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/history"
	"github.com/jackstaff-dev/jackstaff/internal/server"
	"github.com/jackstaff-dev/jackstaff/internal/server/views/posthog/lookup"
)

// changed is a change and the flag that it is of.
type changed struct {
	history.Record

	uid  types.UID
	name string
}

// changesOfFlag are the changes of a flag, newest first.
func (v *view) changesOfFlag(ctx context.Context, flag *v1alpha1.FeatureFlag) ([]changed, error) {
	if err := v.Cluster.Authorize(ctx, "list", server.Changes, flag.Namespace, ""); err != nil {
		return nil, err
	}
	entries, err := history.List(ctx, v.history, flag.Namespace, "FeatureFlag", flag.Name)
	changes := make([]changed, 0, len(entries))
	for i := range entries {
		changes = append(changes, changed{Record: entries[i].Record, uid: flag.UID, name: flag.Key()})
	}
	return changes, err
}

// changesOf are the changes of all flags of a project, newest first, those that are gone included.
func (v *view) changesOf(ctx context.Context, project string, flags []*v1alpha1.FeatureFlag) ([]changed, error) {
	if err := v.Cluster.Authorize(ctx, "list", server.Changes, project, ""); err != nil {
		return nil, err
	}
	var carried []history.Entry
	keys := map[string]string{}
	for _, flag := range flags {
		keys[flag.Name] = flag.Key()
		of, err := history.Carried("FeatureFlag", flag)
		if err != nil {
			return nil, err
		}
		carried = append(carried, of...)
	}
	entries, err := history.ListProject(ctx, v.history, project, carried)
	if err != nil {
		return nil, err
	}
	changes := make([]changed, 0, len(entries))
	for i := range entries {
		if of := entries[i].Object; of.Kind == "FeatureFlag" {
			changes = append(changes, changed{
				Record: entries[i].Record, uid: types.UID(of.UID), name: cmp.Or(keys[of.Name], of.Key, of.Name),
			})
		}
	}
	return changes, nil
}

// userOf is who made a change.
func userOf(actor *history.Actor) ActivityUser {
	user := ActivityUser{FirstName: actor.Name}
	if strings.Contains(actor.Name, "@") {
		user.Email = actor.Name
	}
	return user
}

// show is a change in an answer, as seen from an environment.
func (c *changed) show(environment string) Activity {
	activity := Activity{
		ID:        c.ID,
		User:      userOf(&c.Actor),
		Activity:  "updated",
		Scope:     "FeatureFlag",
		ItemID:    strconv.FormatInt(lookup.IDOf(c.uid), 10),
		Detail:    ActivityDetail{Changes: changesIn(&c.Record, environment), Name: c.name},
		CreatedAt: server.Time(c.Time.Time),
	}
	if word, is := activities[c.Action]; is {
		activity.Activity = word
	}
	return activity
}

// capital is a letter that begins a word.
var capital = regexp.MustCompile(`[A-Z]`)

// snake is a name of a Kind's field in PostHog's spelling.
func snake(name string) string {
	return capital.ReplaceAllStringFunc(name, func(letter string) string { return "_" + strings.ToLower(letter) })
}
