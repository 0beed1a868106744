// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"k8s.io/apimachinery/pkg/types"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/server"
	"github.com/jackstaff-dev/jackstaff/internal/server/views/posthog/filters"
	"github.com/jackstaff-dev/jackstaff/internal/server/views/posthog/lookup"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// Definition is a flag, for clients that evaluate.
type Definition struct {
	ID                         int64                `json:"id"`
	TeamID                     int64                `json:"team_id"`
	Name                       string               `json:"name"`
	Key                        string               `json:"key"`
	Filters                    filters.ShownFilters `json:"filters"`
	Deleted                    bool                 `json:"deleted"`
	Active                     bool                 `json:"active"`
	Version                    int64                `json:"version"`
	EvaluationRuntime          string               `json:"evaluation_runtime"`
	BucketingIdentifier        string               `json:"bucketing_identifier"`
	EnsureExperienceContinuity bool                 `json:"ensure_experience_continuity" doc:"True makes clients ask the server about the flag."`
	EvaluationTags             []string             `json:"evaluation_tags" nullable:"false"`
}

// Definitions are all that clients need to evaluate.
type Definitions struct {
	Flags            []Definition               `json:"flags" nullable:"false"`
	GroupTypeMapping map[string]string          `json:"group_type_mapping"`
	Cohorts          map[string]*filters.Cohort `json:"cohorts"`
}

// Wanted is what a client asks of definitions.
type Wanted struct {
	Token       string `query:"token" maxLength:"256" doc:"An SDK key, in the place of PostHog's project token."`
	SendCohorts bool   `query:"send_cohorts" doc:"Whether clients take cohorts. It may stand without a value."`
	IfNoneMatch string `header:"If-None-Match"`
}

// Resolve reads a parameter without a value as true.
func (i *Wanted) Resolve(ctx huma.Context) []error {
	url := ctx.URL()
	if values := url.Query()["send_cohorts"]; len(values) == 1 && values[0] == "" {
		i.SendCohorts = true
	}
	return nil
}

type definitionsInput struct {
	lookup.Headers
	Wanted
}

type localEvaluationInput struct {
	lookup.Scope
	Wanted
}

type definitionsOutput struct {
	Status int
	ETag   string `header:"ETag"`
	Body   *Definitions
}

func (c *Clients) definitions(ctx context.Context, input *definitionsInput) (*definitionsOutput, error) {
	return c.localEvaluation(ctx, &localEvaluationInput{Scope: lookup.Scope{Headers: input.Headers}, Wanted: input.Wanted})
}

func (c *Clients) localEvaluation(ctx context.Context, input *localEvaluationInput) (*definitionsOutput, error) {
	of, err := c.admit(ctx, &input.Scope, input.Token)
	if err != nil {
		return nil, err
	}
	if err := of.ofServer(); err != nil {
		return nil, err
	}
	body, err := c.define(ctx, of, input.SendCohorts)
	if err != nil {
		return nil, err
	}
	data, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("encode definitions: %w", err)
	}
	sum := sha256.Sum256(data)
	etag := `"` + hex.EncodeToString(sum[:16]) + `"`
	output := &definitionsOutput{Status: http.StatusOK, ETag: "W/" + etag, Body: body}
	for candidate := range strings.SplitSeq(input.IfNoneMatch, ",") {
		if candidate = strings.TrimPrefix(strings.TrimSpace(candidate), "W/"); candidate == etag || candidate == "*" {
			output.Status, output.Body = http.StatusNotModified, nil
		}
	}
	return output, nil
}

// define makes the definitions of what is published.
func (c *Clients) define(ctx context.Context, of *access, cohorts bool) (*Definitions, error) {
	body := &Definitions{
		Flags:            []Definition{},
		GroupTypeMapping: map[string]string{},
		Cohorts:          map[string]*filters.Cohort{},
	}
	if of.served == nil {
		return body, nil
	}
	published, err := c.Published.Of(of.served)
	if err != nil {
		return nil, err
	}
	objects, err := c.objects(ctx, of.project.Name)
	if err != nil {
		return nil, err
	}
	document := published.Document
	for _, key := range slices.Sorted(maps.Keys(document.Flags)) {
		form := document.Flags[key]
		if form.Retained {
			continue
		}
		d := published.describe(key)
		definition := Definition{
			ID: lookup.IDOf(
				types.UID("flag/" + key),
			),
			TeamID:  lookup.IDOf(of.project.UID),
			Name:    key,
			Key:     key,
			Filters: filters.Shown(&d.Filters),
			Active: form.Enabled ||
				len(d.Filters.Groups) > 0,
			EvaluationRuntime:   filters.Runtimes[v1alpha1.Runtime(form.Runtime)],
			BucketingIdentifier: filters.DistinctID,
			EvaluationTags:      []string{},
		}
		if slices.ContainsFunc(form.Rules, func(rule datafile.Rule) bool { return rule.HashAttribute == filters.DeviceID }) {
			definition.BucketingIdentifier = "device_id"
		}
		if len(d.Remote) > 0 {
			definition.Active, definition.EnsureExperienceContinuity = true, true
			definition.Filters.Groups, definition.Filters.Multivariate = []filters.Group{}, nil
		}
		if flag := objects[key]; flag != nil {
			stored := server.ViewFields[filters.Kept](flag, filters.ViewName)
			definition.ID, definition.Version, definition.EvaluationTags = lookup.IDOf(
				flag.UID,
			), flag.Generation, append(
				[]string{}, stored.EvaluationTags...,
			)
			definition.EnsureExperienceContinuity = definition.EnsureExperienceContinuity || stored.EnsureExperienceContinuity
		}
		body.Flags = append(body.Flags, definition)
	}
	if cohorts {
		for name, audience := range document.Audiences {
			if form, remote := filters.CohortForm(audience); remote == "" {
				body.Cohorts[strconv.FormatInt(lookup.CohortID(name), 10)] = form
			}
		}
	}
	return body, nil
}
