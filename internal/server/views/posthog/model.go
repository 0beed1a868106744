// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package posthog

import (
	"encoding/json"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/gitops"
	"github.com/jackstaff-dev/jackstaff/internal/server"
	"github.com/jackstaff-dev/jackstaff/internal/server/views/posthog/filters"
)

// Fields are what can be said of a flag in a request. What is not sent stays as it is.
type Fields struct {
	Name                       server.Optional[string]          `json:"name,omitzero" maxLength:"256" doc:"The flag's name for people."`
	Key                        server.Optional[string]          `json:"key,omitzero" nullable:"false" maxLength:"128" doc:"What code asks for. It cannot change."`
	Filters                    server.Optional[filters.Filters] `json:"filters,omitzero" nullable:"false" doc:"Who gets the flag in the default environment."`
	Deleted                    server.Optional[bool]            `json:"deleted,omitzero" nullable:"false" doc:"Archives the flag, or brings it back."`
	Active                     server.Optional[bool]            `json:"active,omitzero" nullable:"false" doc:"Switches the flag on or off in the default environment."`
	CreatedAt                  server.Optional[time.Time]       `json:"created_at,omitzero" doc:"Ignored."`
	Version                    server.Optional[int64]           `json:"version,omitzero" nullable:"false" doc:"The version that was read. Where it is older than the flag's the answer is 409. 0 is none."`
	EnsureExperienceContinuity server.Optional[bool]            `json:"ensure_experience_continuity,omitzero" doc:"Stored."`
	RollbackConditions         server.Optional[json.RawMessage] `json:"rollback_conditions,omitzero" doc:"Stored."`
	PerformedRollback          server.Optional[bool]            `json:"performed_rollback,omitzero" doc:"Stored."`
	Tags                       server.Optional[[]string]        `json:"tags,omitzero" doc:"Words to find the flag by."`
	EvaluationTags             server.Optional[[]string]        `json:"evaluation_tags,omitzero" doc:"Stored, and given to clients."`
	AnalyticsDashboards        server.Optional[[]int64]         `json:"analytics_dashboards,omitzero" doc:"Stored."`
	HasEnrichedAnalytics       server.Optional[bool]            `json:"has_enriched_analytics,omitzero" doc:"Stored."`
	CreationContext            server.Optional[string]          `json:"creation_context,omitzero" maxLength:"256" doc:"Stored."`
	IsRemoteConfiguration      server.Optional[bool]            `json:"is_remote_configuration,omitzero" doc:"True asks that the flag serves one payload to everybody; else derived from that."`
	HasEncryptedPayloads       server.Optional[bool]            `json:"has_encrypted_payloads,omitzero" doc:"Derived: true where a payload comes from a Secret, which is chosen in the manifest."`
	EvaluationRuntime          server.Optional[string]          `json:"evaluation_runtime,omitzero" enum:"server,client,all" doc:"Which SDK keys receive the flag. Null says nothing, and is refused in a PATCH of a flag that has another than all."`
	BucketingIdentifier        server.Optional[string]          `json:"bucketing_identifier,omitzero" enum:"distinct_id,device_id" doc:"What the hash takes. Null says nothing, and is refused in a PATCH of a flag that has another than distinct_id."`
	LastCalledAt               server.Optional[time.Time]       `json:"last_called_at,omitzero" doc:"Ignored."`
	CreateInFolder             server.Optional[string]          `json:"_create_in_folder,omitzero" maxLength:"1024" doc:"Stored."`
	ShouldCreateUsageDashboard server.Optional[bool]            `json:"_should_create_usage_dashboard,omitzero" nullable:"false" doc:"Whether a new flag gets a dashboard of its evaluations. Default true."`

	ReadOnly
	Exported
}

// isOnlyActive reports whether a request does nothing but switch a flag on or off.
func (f *Fields) isOnlyActive() bool {
	others := *f
	others.Active, others.Version = server.Optional[bool]{}, server.Optional[int64]{}
	others.ReadOnly, others.Exported = ReadOnly{}, Exported{}
	return f.Active.Sent && reflect.ValueOf(others).IsZero()
}

// Flag is a flag in an answer.
type Flag struct {
	ID                         int64                `json:"id" doc:"The first 52 bits of the UID."`
	Name                       string               `json:"name"`
	Key                        string               `json:"key"`
	Filters                    filters.ShownFilters `json:"filters"`
	Deleted                    bool                 `json:"deleted"`
	Active                     bool                 `json:"active"`
	CreatedAt                  string               `json:"created_at" format:"date-time"`
	Version                    int64                `json:"version"`
	EnsureExperienceContinuity bool                 `json:"ensure_experience_continuity"`
	RollbackConditions         json.RawMessage      `json:"rollback_conditions"`
	PerformedRollback          *bool                `json:"performed_rollback"`
	Tags                       []string             `json:"tags"`
	EvaluationTags             []string             `json:"evaluation_tags"`
	AnalyticsDashboards        []int64              `json:"analytics_dashboards"`
	HasEnrichedAnalytics       *bool                `json:"has_enriched_analytics"`
	CreationContext            *string              `json:"creation_context"`
	IsRemoteConfiguration      bool                 `json:"is_remote_configuration"`
	HasEncryptedPayloads       bool                 `json:"has_encrypted_payloads"`
	EvaluationRuntime          string               `json:"evaluation_runtime"`
	BucketingIdentifier        string               `json:"bucketing_identifier"`
	LastCalledAt               *string              `json:"last_called_at"`
	CreateInFolder             *string              `json:"_create_in_folder"`
	UpdatedAt                  string               `json:"updated_at" format:"date-time"`
	Status                     string               `json:"status" doc:"ACTIVE, STALE or DELETED."`
	NotShown                   []string             `json:"not_shown" doc:"What the filters do not show. A PATCH of filters refuses to lose it, unless it has ?replace=true."`
	EvaluatedByServer          []string             `json:"evaluated_by_server" doc:"Why clients that evaluate by themselves ask the server about this flag. Empty where they need not."`
	ManagedBy                  *manager             `json:"managed_by" doc:"The GitOps tool that owns the flag."`
}

// manager is the GitOps tool that owns a flag.
type manager gitops.Manager

// Schema allows null, which a schema that others refer to cannot.
func (manager) Schema(registry huma.Registry) *huma.Schema {
	schema := *huma.SchemaFromType(registry, reflect.TypeFor[gitops.Manager]())
	schema.Nullable = true
	return &schema
}

// keep changes what the annotation holds to what a request says.
func keep(k *filters.Kept, fields *Fields) {
	keepValue(&k.EnsureExperienceContinuity, &fields.EnsureExperienceContinuity)
	keepValue(&k.RollbackConditions, &fields.RollbackConditions)
	keepPointer(&k.PerformedRollback, &fields.PerformedRollback)
	keepValue(&k.EvaluationTags, &fields.EvaluationTags)
	keepValue(&k.AnalyticsDashboards, &fields.AnalyticsDashboards)
	keepPointer(&k.HasEnrichedAnalytics, &fields.HasEnrichedAnalytics)
	keepPointer(&k.CreationContext, &fields.CreationContext)
	keepPointer(&k.CreateInFolder, &fields.CreateInFolder)
}

func keepValue[T any](to *T, from *server.Optional[T]) {
	if from.Sent {
		*to = from.Value
	}
}

func keepPointer[T any](to **T, from *server.Optional[T]) {
	switch {
	case from.Sent && from.Null:
		*to = nil
	case from.Sent:
		*to = &from.Value
	}
}

// statusOf is where a flag is in its life, and why.
func statusOf(
	flag *v1alpha1.FeatureFlag,
	environment string,
	lastCalled *time.Time,
	now time.Time,
) (status, reason string) {
	switch {
	case flag.DeletionTimestamp != nil || flag.Spec.Archived:
		return "deleted", "Flag has been deleted"
	case !flag.EnabledIn(environment):
		return "active", "Flag is not stale: it is disabled"
	case flag.Status.Stale != nil:
		return "stale", "The flag has served one variation to everybody since " + server.Time(flag.Status.Stale.Since.Time)
	case lastCalled != nil && now.Sub(*lastCalled) > staleAfter:
		return "stale", "The flag was last evaluated on " + server.Time(*lastCalled)
	default:
		return "active", "Flag is not stale"
	}
}

// staleAfter is how long a flag may go without being evaluated.
const staleAfter = 30 * 24 * time.Hour
