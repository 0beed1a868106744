// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package posthog

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/server"
	"github.com/jackstaff-dev/jackstaff/internal/server/views/posthog/filters"
	"github.com/jackstaff-dev/jackstaff/internal/server/views/posthog/lookup"
)

type listInput struct {
	lookup.Scope
	Limit   int    `query:"limit" default:"100" minimum:"1" maximum:"1000" doc:"How many flags."`
	Offset  int    `query:"offset" default:"0" minimum:"0" doc:"How many flags to leave out."`
	Search  string `query:"search" maxLength:"256" doc:"A part of key or name, without regard to case."`
	Active  string `query:"active" enum:"true,false,STALE" doc:"Only flags that are on, off or stale."`
	Type    string `query:"type" enum:"boolean,multivariant,experiment,remote_config" doc:"Only flags of this type."`
	Runtime string `query:"evaluation_runtime" enum:"server,client,all" doc:"Only flags with this runtime."`
	Tags    string `query:"tags" maxLength:"4096" doc:"Only flags with one of these tags: a JSON list, or words between commas."`
	Order   string `query:"order" enum:"key,-key,name,-name,created_at,-created_at,updated_at,-updated_at,version,-version,active,-active" doc:"The field that decides the order, after a minus from the largest on. Default key."`

	tags []string
}

// Resolve reads the tags, and refuses parameters that would be ignored.
func (i *listInput) Resolve(ctx huma.Context) []error {
	var mistakes []error
	address := ctx.URL()
	for _, name := range slices.Sorted(maps.Keys(address.Query())) {
		if !slices.Contains(listParameters, name) {
			mistakes = append(mistakes, malformed(name, "is unknown; these are known: "+strings.Join(listParameters, ", ")))
		}
	}
	switch {
	case strings.HasPrefix(i.Tags, "["):
		if err := json.Unmarshal([]byte(i.Tags), &i.tags); err != nil {
			mistakes = append(mistakes, malformed("tags", "is no JSON list of texts"))
		}
	case i.Tags != "":
		i.tags = strings.Split(i.Tags, ",")
	}
	return mistakes
}

// listParameters are those of the list.
var listParameters = []string{"active", "evaluation_runtime", "limit", "offset", "order", "search", "tags", "type"}

// malformed is what is wrong with a parameter of the query.
func malformed(name, message string) error {
	return &huma.ErrorDetail{Location: "query." + name, Message: message}
}

// selects reports whether a flag is one of those that are asked for.
func (i *listInput) selects(flag *v1alpha1.FeatureFlag, environment string, now time.Time) bool {
	search, on := strings.ToLower(i.Search), server.EnabledAt(flag, environment, now)
	switch {
	case !strings.Contains(strings.ToLower(flag.Key()), search) &&
		!strings.Contains(strings.ToLower(flag.Spec.DisplayName), search),
		i.Active == "STALE" && (flag.Status.Stale == nil || !on),
		i.Active == "true" && !on,
		i.Active == "false" && on,
		i.Runtime != "" && filters.Runtimes[flag.Spec.Runtime] != i.Runtime,
		len(i.tags) > 0 && !slices.ContainsFunc(i.tags, func(tag string) bool { return slices.Contains(flag.Spec.Tags, tag) }):
		return false
	default:
		return i.Type == "" || isOfType(flag, environment, i.Type)
	}
}

// isOfType reports whether a flag is of one of PostHog's types. A remote configuration is no boolean flag there.
func isOfType(flag *v1alpha1.FeatureFlag, environment, name string) bool {
	switch name {
	case "remote_config":
		return filters.IsRemoteConfiguration(flag, environment)
	case "experiment":
		config := flag.In(environment)
		return config != nil && slices.ContainsFunc(
			config.Rules,
			func(rule v1alpha1.Rule) bool { return rule.Type == v1alpha1.RuleTypeABTest },
		)
	case "multivariant":
		return flag.Spec.Type != v1alpha1.FlagTypeBoolean
	default:
		return flag.Spec.Type == v1alpha1.FlagTypeBoolean && !filters.IsRemoteConfiguration(flag, environment)
	}
}

// compare says which of two flags comes first.
func (i *listInput) compare(a, b *v1alpha1.FeatureFlag, environment string, now time.Time) int {
	field, descending := strings.CutPrefix(i.Order, "-")
	by := 0
	switch field {
	case "name":
		by = cmp.Compare(a.Spec.DisplayName, b.Spec.DisplayName)
	case "created_at":
		by = a.CreationTimestamp.Compare(b.CreationTimestamp.Time)
	case "updated_at":
		by = server.UpdatedAt(a).Compare(server.UpdatedAt(b))
	case "version":
		by = cmp.Compare(a.Generation, b.Generation)
	case "active":
		by = cmp.Compare(rank(server.EnabledAt(a, environment, now)), rank(server.EnabledAt(b, environment, now)))
	default:
		by = cmp.Compare(a.Key(), b.Key())
	}
	if descending {
		by = -by
	}
	return cmp.Or(by, cmp.Compare(a.Key(), b.Key()), cmp.Compare(a.Name, b.Name))
}

func rank(on bool) int {
	if on {
		return 1
	}
	return 0
}

type listOutput struct {
	Body struct {
		Count    int     `json:"count"`
		Next     *string `json:"next"`
		Previous *string `json:"previous"`
		Results  []*Flag `json:"results" nullable:"false"`
	}
}

// list leaves out archived flags, which are deleted ones here.
func (v *view) list(ctx context.Context, input *listInput) (*listOutput, error) {
	at, err := v.Place(ctx, &input.Scope)
	if err != nil {
		return nil, err
	}
	all, err := v.Cluster.Flags(ctx, at.Project)
	if err != nil {
		return nil, err
	}
	environment, now := at.Environment.Name, v.clock.Now()
	all = slices.DeleteFunc(
		slices.Clone(all),
		func(flag *v1alpha1.FeatureFlag) bool {
			return flag.Spec.Archived || !input.selects(flag, environment, now)
		},
	)
	slices.SortFunc(all, func(a, b *v1alpha1.FeatureFlag) int { return input.compare(a, b, environment, now) })
	output := &listOutput{}
	output.Body.Count, output.Body.Results = len(all), []*Flag{}
	from, to := min(input.Offset, len(all)), min(input.Offset+input.Limit, len(all))
	for _, flag := range all[from:to] {
		output.Body.Results = append(output.Body.Results, v.show(ctx, at, flag))
	}
	if to < len(all) {
		output.Body.Next = link(ctx, "offset", to)
	}
	if input.Offset > 0 {
		output.Body.Previous = link(ctx, "offset", max(input.Offset-input.Limit, 0))
	}
	return output, nil
}

// link is the address of the request with another value of a parameter.
func link(ctx context.Context, parameter string, value int) *string {
	request := lookup.ExchangeOf(ctx).Request
	query := request.URL.Query()
	query.Set(parameter, strconv.Itoa(value))
	address := url.URL{
		Scheme:   "http",
		Host:     request.Host,
		Path:     request.URL.Path,
		RawPath:  request.URL.RawPath,
		RawQuery: query.Encode(),
	}
	if request.TLS != nil {
		address.Scheme = "https"
	}
	return new(address.String())
}
