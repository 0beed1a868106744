// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package posthog

import (
	"context"
	"fmt"
	"net/http"
	"strconv"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/index"
	"github.com/jackstaff-dev/jackstaff/internal/server"
	"github.com/jackstaff-dev/jackstaff/internal/server/views/posthog/filters"
	"github.com/jackstaff-dev/jackstaff/internal/server/views/posthog/lookup"
)

type createInput struct {
	lookup.Scope
	Body Fields
}

type createOutput struct {
	ETag    string `header:"ETag"`
	Warning string `header:"Warning" doc:"Why the flag has no dashboard."`
	Body    *Flag
}

func (v *view) create(ctx context.Context, input *createInput) (*createOutput, error) {
	at, err := v.Place(ctx, &input.Scope)
	if err != nil {
		return nil, err
	}
	fields := &input.Body
	if fields.Key.Value == "" {
		return nil, server.InvalidField("key", "a flag has a key")
	}
	if fields.IsRemoteConfiguration.Value && len(fields.Filters.Value.Groups) == 0 {
		fields.Filters.Sent, fields.Filters.Value.Groups = true, []filters.Group{{}}
	}
	if err := fields.checkActive(fields.Deleted.Value); err != nil {
		return nil, err
	}
	flag := &v1alpha1.FeatureFlag{}
	flag.Spec.Key = fields.Key.Value
	deleted, err := v.nameFlag(ctx, at, flag)
	if err != nil {
		return nil, err
	}
	filters.NewFlag(flag, &fields.Filters.Value)
	server.SetEnabled(flag, at.Environment.Name, !fields.Active.Sent || fields.Active.Value)
	change := v.change(ctx, at, fields, false)
	if err := change.apply(flag); err != nil {
		return nil, err
	}
	if err := v.freeKey(ctx, at, flag, deleted, change.rename); err != nil {
		return nil, err
	}
	if err := server.Create(ctx, v.Cluster, at.Project, flag, change.rename); err != nil {
		return nil, err
	}
	shows := v.flagOutput(ctx, at, flag)
	output := &createOutput{ETag: shows.ETag, Body: shows.Body}
	if !fields.ShouldCreateUsageDashboard.Sent || fields.ShouldCreateUsageDashboard.Value {
		// The flag is created already, by somebody who need not have the right to write ConfigMaps.
		if err := v.writeDashboard(ctx, flag); err != nil {
			output.Warning = warning("the flag has no dashboard", err)
		}
	}
	return output, nil
}

// warning is the header Warning for something that was left out.
func warning(what string, err error) string {
	why := "the log says why"
	if refused, is := lookup.AsRefusal(err); is {
		why = refused.Text()
	}
	return "299 jackstaff " + strconv.QuoteToASCII(what+": "+why)
}

// nameFlag names a flag that is about to be created, and returns the deleted flags that hold its key.
func (v *view) nameFlag(
	ctx context.Context,
	at *lookup.Place,
	flag *v1alpha1.FeatureFlag,
) ([]v1alpha1.FeatureFlag, error) {
	others := &v1alpha1.FeatureFlagList{}
	err := v.Cluster.Reader.List(
		ctx,
		others,
		client.InNamespace(at.Project.Name),
		client.MatchingFields{index.FlagKey: flag.Spec.Key},
	)
	if err != nil {
		return nil, fmt.Errorf("list flags of key %q: %w", flag.Spec.Key, err)
	}
	for i := range others.Items {
		if !others.Items[i].Spec.Archived {
			return nil, v.Cluster.NameFlag(ctx, at.Project, flag) // It says that the key is taken.
		}
	}
	if len(others.Items) == 0 {
		return nil, v.Cluster.NameFlag(ctx, at.Project, flag)
	}
	all, err := v.Cluster.Flags(ctx, at.Project)
	if err != nil {
		return nil, err
	}
	// The history of the deleted flag is by its name.
	flag.Name = server.Label(flag.Spec.Key, "flag", func(name string) bool {
		for _, other := range all {
			if other.Name == name {
				return true
			}
		}
		return false
	})
	return others.Items, nil
}

// freeKey removes deleted flags that hold the key of one that is about to be created, as PostHog does. They stay where
// the API server would refuse the new one.
func (v *view) freeKey(
	ctx context.Context,
	at *lookup.Place, flag *v1alpha1.FeatureFlag,
	deleted []v1alpha1.FeatureFlag,
	rename server.Rename,
) error {
	if len(deleted) == 0 {
		return nil
	}
	if err := v.Cluster.Authorize(ctx, "create", server.Flags, at.Project.Name, ""); err != nil {
		return err
	}
	trial := flag.DeepCopy()
	trial.Namespace = at.Project.Name
	if err := v.Cluster.AsCaller().Create(ctx, trial, client.DryRunAll); err != nil {
		return server.FromKubernetes(err, rename)
	}
	for i := range deleted {
		if err := server.Delete(ctx, v.Cluster, &deleted[i], "", func(other *v1alpha1.FeatureFlag) error {
			if other.Spec.Archived {
				return nil
			}
			return server.Errorf(http.StatusConflict, "the flag with the key %q was restored in the meantime", flag.Spec.Key)
		}); err != nil {
			refused, is := lookup.AsRefusal(err)
			if !is || refused.Status != http.StatusForbidden {
				return err
			}
			return server.Errorf(
				http.StatusConflict,
				"a deleted flag has the key %q; restore it by a PATCH with {\"deleted\": false}, or have it removed by somebody "+
					"who may",
				flag.Spec.Key,
			)
		}
	}
	return nil
}
