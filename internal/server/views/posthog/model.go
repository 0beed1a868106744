// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package posthog

import (
	"encoding/json"
	"net/http"
	"reflect"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/compile"
	"github.com/jackstaff-dev/jackstaff/internal/gitops"
	"github.com/jackstaff-dev/jackstaff/internal/server"
	"github.com/jackstaff-dev/jackstaff/sdk/datafile"
)

// Failure is how errors are written.
type Failure struct {
	Type   string              `json:"type" doc:"What kind of error it is."`
	Code   string              `json:"code" doc:"The same, in one word."`
	Detail string              `json:"detail" doc:"What is wrong, and what to do."`
	Attr   *string             `json:"attr" doc:"The first field that is wrong."`
	Fields []server.FieldError `json:"fields,omitempty" doc:"All fields that are wrong."`
}

// failure writes an error.
func failure(e *server.Error) *Failure {
	f := &Failure{Type: "invalid_request", Code: "invalid_input", Detail: e.Text(), Fields: e.Fields}
	switch {
	case e.Status == http.StatusUnauthorized:
		f.Type, f.Code = "authentication_error", "not_authenticated"
	case e.Status == http.StatusForbidden:
		f.Type, f.Code = "authentication_error", "permission_denied"
	case e.Status == http.StatusNotFound:
		f.Code = "not_found"
	case e.Status == http.StatusConflict || e.Status == http.StatusPreconditionFailed:
		f.Code = "conflict"
	case e.Status == http.StatusTooManyRequests:
		f.Type, f.Code = "throttled_error", "throttled"
	case e.Status >= http.StatusInternalServerError:
		f.Type, f.Code = "server_error", "error"
	case e.Status == http.StatusUnprocessableEntity:
		f.Type = "validation_error"
	}
	if len(e.Fields) > 0 {
		f.Attr = &e.Fields[0].Field
	}
	return f
}

// Fields are what can be said of a flag in a request. What is not sent stays as it is.
type Fields struct {
	Name                       server.Optional[string]          `json:"name,omitzero" maxLength:"256" doc:"The flag's name for people."`
	Key                        server.Optional[string]          `json:"key,omitzero" maxLength:"128" doc:"What code asks for. It cannot change."`
	Filters                    server.Optional[Filters]         `json:"filters,omitzero" doc:"Who gets the flag in the default environment."`
	Deleted                    server.Optional[bool]            `json:"deleted,omitzero" doc:"Archives the flag, or brings it back."`
	Active                     server.Optional[bool]            `json:"active,omitzero" doc:"Switches the flag on or off in the default environment."`
	CreatedAt                  server.Optional[time.Time]       `json:"created_at,omitzero" doc:"Ignored."`
	Version                    server.Optional[int64]           `json:"version,omitzero" doc:"The version that was read. Where it is older than the flag's the answer is 409. 0 is none."`
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
	EvaluationRuntime          server.Optional[string]          `json:"evaluation_runtime,omitzero" enum:"server,client,all" doc:"Which SDK keys receive the flag."`
	BucketingIdentifier        server.Optional[string]          `json:"bucketing_identifier,omitzero" enum:"distinct_id,device_id" doc:"What the hash takes."`
	LastCalledAt               server.Optional[time.Time]       `json:"last_called_at,omitzero" doc:"Ignored."`
	CreateInFolder             server.Optional[string]          `json:"_create_in_folder,omitzero" maxLength:"1024" doc:"Stored."`
	ShouldCreateUsageDashboard server.Optional[bool]            `json:"_should_create_usage_dashboard,omitzero" doc:"Whether a new flag gets a dashboard of its evaluations. Default true."`

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
	ID                         int64           `json:"id" doc:"The first 52 bits of the UID."`
	Name                       string          `json:"name"`
	Key                        string          `json:"key"`
	Filters                    ShownFilters    `json:"filters"`
	Deleted                    bool            `json:"deleted"`
	Active                     bool            `json:"active"`
	CreatedAt                  string          `json:"created_at" format:"date-time"`
	Version                    int64           `json:"version"`
	EnsureExperienceContinuity bool            `json:"ensure_experience_continuity"`
	RollbackConditions         json.RawMessage `json:"rollback_conditions"`
	PerformedRollback          *bool           `json:"performed_rollback"`
	Tags                       []string        `json:"tags"`
	EvaluationTags             []string        `json:"evaluation_tags"`
	AnalyticsDashboards        []int64         `json:"analytics_dashboards"`
	HasEnrichedAnalytics       *bool           `json:"has_enriched_analytics"`
	CreationContext            *string         `json:"creation_context"`
	IsRemoteConfiguration      bool            `json:"is_remote_configuration"`
	HasEncryptedPayloads       bool            `json:"has_encrypted_payloads"`
	EvaluationRuntime          string          `json:"evaluation_runtime"`
	BucketingIdentifier        string          `json:"bucketing_identifier"`
	LastCalledAt               *string         `json:"last_called_at"`
	CreateInFolder             *string         `json:"_create_in_folder"`
	UpdatedAt                  string          `json:"updated_at" format:"date-time"`
	Status                     string          `json:"status" doc:"ACTIVE, STALE or DELETED."`
	NotShown                   []string        `json:"not_shown" doc:"What the filters do not show. A PATCH of filters refuses to lose it, unless it has ?replace=true."`
	EvaluatedByServer          []string        `json:"evaluated_by_server" doc:"Why clients that evaluate by themselves ask the server about this flag. Empty where they need not."`
	ManagedBy                  *manager        `json:"managed_by" doc:"The GitOps tool that owns the flag."`
}

// manager is the GitOps tool that owns a flag.
type manager gitops.Manager

// Schema allows null, which a schema that others refer to cannot.
func (manager) Schema(registry huma.Registry) *huma.Schema {
	schema := *huma.SchemaFromType(registry, reflect.TypeFor[gitops.Manager]())
	schema.Nullable = true
	return &schema
}

// ShownFilters are the filters of an answer.
type ShownFilters struct {
	Groups       []Group            `json:"groups"`
	Multivariate *Multivariate      `json:"multivariate"`
	Payloads     map[string]Payload `json:"payloads"`
}

func shown(filters *Filters) ShownFilters {
	return ShownFilters{Groups: filters.Groups, Multivariate: filters.Multivariate, Payloads: filters.Payloads}
}

// viewName names the view, and the annotation that keeps what the Kind has no field for.
const viewName = "posthog"

// kept is what the annotation holds.
type kept struct {
	EnsureExperienceContinuity bool            `json:"ensureExperienceContinuity,omitempty"`
	RollbackConditions         json.RawMessage `json:"rollbackConditions,omitempty"`
	PerformedRollback          *bool           `json:"performedRollback,omitempty"`
	EvaluationTags             []string        `json:"evaluationTags,omitempty"`
	AnalyticsDashboards        []int64         `json:"analyticsDashboards,omitempty"`
	HasEnrichedAnalytics       *bool           `json:"hasEnrichedAnalytics,omitempty"`
	CreationContext            *string         `json:"creationContext,omitempty"`
	CreateInFolder             *string         `json:"createInFolder,omitempty"`
	// Shares are those of the variants by environment, where no rule splits and so holds them.
	Shares map[string]map[string]float64 `json:"shares,omitempty"`
}

// keep changes what the annotation holds to what a request says.
func (k *kept) keep(fields *Fields) {
	keepValue(&k.EnsureExperienceContinuity, &fields.EnsureExperienceContinuity)
	keepValue(&k.RollbackConditions, &fields.RollbackConditions)
	keepPointer(&k.PerformedRollback, &fields.PerformedRollback)
	keepValue(&k.EvaluationTags, &fields.EvaluationTags)
	keepValue(&k.AnalyticsDashboards, &fields.AnalyticsDashboards)
	keepPointer(&k.HasEnrichedAnalytics, &fields.HasEnrichedAnalytics)
	keepPointer(&k.CreationContext, &fields.CreationContext)
	keepPointer(&k.CreateInFolder, &fields.CreateInFolder)
}

// isEmpty reports whether there is nothing to hold.
func (k *kept) isEmpty() bool { return canonical(k) == "{}" }

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

// asOn is a flag as its environment would serve it if it were on. It is nil where the flag cannot be compiled.
func asOn(flag *v1alpha1.FeatureFlag, environment string) *datafile.Flag {
	on := flag.DeepCopy()
	server.SetEnabled(on, environment, true)
	form, err := compile.Flag(on, environment)
	if err != nil {
		return nil
	}
	return form
}

// describeFlag is a flag in an environment in PostHog's form, whether it is on or off.
func (s *surroundings) describeFlag(flag *v1alpha1.FeatureFlag, environment string) *description {
	form := asOn(flag, environment)
	if form == nil {
		broken := &description{Filters: Filters{Groups: []Group{}, Payloads: map[string]Payload{}}}
		broken.lose("the flag breaks a rule of the Kind; its status says which")
		return broken
	}
	d := s.describe(flag.Key(), form)
	if config := flag.In(environment); config != nil {
		for i := range d.Filters.Groups {
			if rule := ruleOf(config, d.Filters.Groups[i].SortKey); rule != nil {
				d.Filters.Groups[i].Description = rule.DisplayName
			}
		}
	}
	shares := server.ViewFields[kept](flag, viewName).Shares[environment]
	for i := range flag.Spec.Variations {
		variation := &flag.Spec.Variations[i]
		d.nameVariant(variation, shares)
		if variation.PayloadFrom == nil {
			continue
		}
		switch {
		case flag.Spec.Type != v1alpha1.FlagTypeBoolean:
			d.Filters.Payloads[variation.Key] = redacted
		case isTrue(variation.Value.Raw):
			d.Filters.Payloads[payloadTrue] = redacted
		}
	}
	return d
}

// nameVariant adds to a variant what is not published: its name, and its share where no rule splits.
func (d *description) nameVariant(variation *v1alpha1.Variation, shares map[string]float64) {
	if d.Filters.Multivariate == nil {
		return
	}
	splits := slices.ContainsFunc(d.Filters.Groups, func(group Group) bool { return group.Variant == nil })
	variants := d.Filters.Multivariate.Variants
	for i := range variants {
		if variants[i].Key != variation.Key {
			continue
		}
		variants[i].Name = variation.DisplayName
		if !splits {
			variants[i].RolloutPercentage = shares[variation.Key]
		}
	}
}

// isRemoteConfiguration reports whether a flag that is on serves one variation with a payload.
func isRemoteConfiguration(flag *v1alpha1.FeatureFlag, environment string) bool {
	only, is := compile.OnlyVariation(asOn(flag, environment))
	if !is {
		return false
	}
	for i := range flag.Spec.Variations {
		if variation := &flag.Spec.Variations[i]; variation.Key == only {
			return variation.PayloadFrom != nil || variation.Payload != nil && !variation.Payload.IsZero()
		}
	}
	return false
}

// bucketingIdentifier is what the rules of an environment hash.
func bucketingIdentifier(config *v1alpha1.EnvironmentConfig) string {
	if config != nil &&
		slices.ContainsFunc(config.Rules, func(rule v1alpha1.Rule) bool { return rule.HashAttribute == deviceID }) {
		return "device_id"
	}
	return distinctID
}

// runtimes are the words for who receives a flag.
var runtimes = map[v1alpha1.Runtime]string{
	v1alpha1.RuntimeAll: "all", v1alpha1.RuntimeServer: "server", v1alpha1.RuntimeClient: "client", "": "all",
}

// runtimeOf is the inverse of runtimes.
func runtimeOf(word string) v1alpha1.Runtime {
	switch word {
	case "server":
		return v1alpha1.RuntimeServer
	case "client":
		return v1alpha1.RuntimeClient
	default:
		return v1alpha1.RuntimeAll
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
