// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package rest_test

import (
	"net/http"

	. "github.com/onsi/ginkgo/v2"
)

// The requests of the five references, in an order in which they follow from each other. What they answer field by
// field is for the suites of the views to say; here they and their answers must be as the document has them.
var _ = Describe("What the references show is as the document says", func() {
	var (
		s      *shop
		d      *document
		token  string
		values map[string]string
	)
	BeforeEach(func() {
		s, d = newShop(), readDocument()
		token = newPerson(s.namespace.Name, "boss", "admin", s.namespace.Name).token
		values = map[string]string{
			"project": s.namespace.Name, "projectUID": string(s.namespace.UID), "flag": string(s.flag.UID),
			"staging": string(s.staging.UID), "production": string(s.production.UID),
		}
	})

	It("in avsb", func() {
		const project = "/api/orgs/default/projects/{project}"
		walk(
			d,
			token,
			"application/json",
			values,
			step{method: http.MethodGet, path: project + "/flags", status: http.StatusOK},
			step{
				method: http.MethodPost,
				path:   project + "/flags",
				status: http.StatusCreated,
				keep:   map[string]string{"new": "data.id"},
				body: `{
				"name": "New Checkout Flow", "key": "new_checkout_flow", "type": "BOOLEAN", "description": "Enable the redesigned checkout experience",
				"variations": [{"name": "Off", "key": "off", "value": "false"}, {"name": "On", "key": "on", "value": "true"}], "defaultVariationKey": "off"}`,
			},
			step{method: http.MethodGet, path: project + "/flags/{new}", status: http.StatusOK},
			step{
				method: http.MethodPatch,
				path:   project + "/flags/{new}",
				status: http.StatusOK,
				body:   `{"name": "Checkout", "description": "Newer"}`,
			},
			step{method: http.MethodPatch, path: project + "/flags/{new}/envs/{production}", status: http.StatusOK, body: `{
				"enabled": true, "defaultVariationId": "on", "schedulingEnabled": true, "scheduledEnableAt": "2035-03-15T09:00:00Z", "timezone": "America/New_York"}`},
			step{
				method: http.MethodPost,
				path:   project + "/flags/{new}/envs/{staging}/rules",
				status: http.StatusCreated,
				keep:   map[string]string{"rule": "data.id"},
				body: `{
				"type": "AB_TEST", "name": "Checkout button colour test", "trafficAllocation": 1.0, "audienceIds": [], "hashAttribute": "userId",
				"variations": [{"variationId": "off", "percentage": 0.5}, {"variationId": "on", "percentage": 0.5}]}`,
			},
			step{
				method: http.MethodPatch,
				path:   project + "/flags/{new}/envs/{staging}/rules/{rule}",
				status: http.StatusOK,
				body:   `{"trafficAllocation": 0.5}`,
			},
			step{
				method: http.MethodPut,
				path:   project + "/flags/{new}/envs/{staging}/rules/reorder",
				status: http.StatusOK,
				body:   `{"ruleIds": ["{rule}"]}`,
			},
			step{method: http.MethodPut, path: project + "/flags/{new}/envs/{staging}/overrides", status: http.StatusOK, body: `{
				"overrides": [{"userId": "alice@example.com", "variationId": "on"}]}`},
			step{
				method: http.MethodPut,
				path:   project + "/flags/{new}/variations",
				status: http.StatusOK,
				body: `{"variations": [
				{"id": "off", "name": "No", "key": "off", "value": "false"}, {"id": "on", "name": "Yes", "key": "on", "value": "true"}], "defaultVariationKey": "off"}`,
			},
			step{
				method: http.MethodDelete,
				path:   project + "/flags/{new}/envs/{staging}/rules/{rule}",
				status: http.StatusNoContent,
			},
			step{method: http.MethodGet, path: project + "/environments", status: http.StatusOK},
			step{method: http.MethodPost, path: project + "/environments", status: http.StatusCreated, body: `{
				"name": "Quality", "key": "quality", "isProduction": false, "publishMode": "MANUAL"}`},
			step{method: http.MethodPost, path: project + "/environments/staging/publish", status: http.StatusOK},
			step{method: http.MethodGet, path: project + "/flag-events", status: http.StatusOK},
			step{method: http.MethodPost, path: project + "/flag-events", status: http.StatusCreated, body: `{
				"name": "Revenue", "key": "revenue", "description": "What a user pays", "type": "NUMERIC"}`},
			step{method: http.MethodGet, path: project + "/audiences", status: http.StatusOK},
			step{method: http.MethodPost, path: project + "/flags/{new}/archive", status: http.StatusOK},
			step{method: http.MethodDelete, path: project + "/flags/{new}", status: http.StatusNoContent},
			step{method: http.MethodGet, path: project + "/flags/{new}", status: http.StatusNotFound},
			step{method: http.MethodPost, path: "/api/sdk/heartbeat", status: http.StatusNotFound, body: `{
				"sdkKey": "sdk_prod_abc123", "sdkType": "@avsbhq/browser", "sdkVersion": "0.2.0"}`},
		)
	})

	It("in phaseflag", func() {
		const in = "?environment_id={staging}"
		walk(
			d,
			token,
			"application/json",
			values,
			step{
				method: http.MethodPost,
				path:   "/api/v1/flags" + in,
				status: http.StatusCreated,
				keep:   map[string]string{"new": "data.id"},
				body: `{
				"key": "new-checkout-flow", "name": "New Checkout Flow", "description": "Redesigned", "flag_type": "boolean", "default_variation": "off",
				"variations": [{"key": "on", "name": "On", "value": true}, {"key": "off", "name": "Off", "value": false}]}`,
			},
			step{
				method: http.MethodGet,
				path:   "/api/v1/flags" + in + "&status=active&flag_type=boolean&search=CHECK&sort=name&order=asc&page=1&per_page=20",
				status: http.StatusOK,
			},
			step{method: http.MethodGet, path: "/api/v1/flags/{new}" + in, status: http.StatusOK},
			step{
				method: http.MethodPut,
				path:   "/api/v1/flags/{new}" + in,
				status: http.StatusOK,
				body: `{"name": "Checkout", "targeting_rules": [
				{"conditions": [{"attribute": "plan", "operator": "one_of", "value": ["beta"]}], "variation": "on"},
				{"conditions": [], "percentage_rollout": [{"variation": "on", "percentage": 25}, {"variation": "off", "percentage": 75}]}]}`,
			},
			step{
				method: http.MethodPost,
				path:   "/api/v1/flags/{new}/toggle" + in,
				status: http.StatusOK,
				body:   `{"enabled": true}`,
			},
			step{method: http.MethodGet, path: "/api/v1/flags/{new}/history" + in, status: http.StatusOK},
			step{method: http.MethodPost, path: "/api/v1/evaluate" + in, status: http.StatusOK, body: `{
				"flags": ["*"], "context": {"user_key": "alice@example.com", "attributes": {"plan": "beta"}}}`},
			step{method: http.MethodDelete, path: "/api/v1/flags/{new}" + in, status: http.StatusNoContent},
			step{method: http.MethodGet, path: "/api/v1/flags/none" + in, status: http.StatusNotFound},
		)
	})

	It("in flagmint", func() {
		walk(
			d,
			token,
			"application/json",
			values,
			step{
				method: http.MethodPost,
				path:   "/projects/{projectUID}/flags",
				status: http.StatusCreated,
				keep:   map[string]string{"new": "data.id"},
				body: `{
				"name": "New Checkout Flow", "description": "Redesigned", "template": "gradual_rollout", "envId": "{staging}"}`,
			},
			step{method: http.MethodGet, path: "/projects/{project}/flags", status: http.StatusOK},
			step{method: http.MethodGet, path: "/projects/{project}/flags/{new}", status: http.StatusOK},
			step{method: http.MethodGet, path: "/projects/{project}/flags/none", status: http.StatusNotFound},
		)
	})

	It("in posthog", func() {
		const flags = "/api/projects/{project}/feature_flags"
		walk(
			d,
			token,
			"application/json",
			values,
			step{method: http.MethodPost, path: flags, status: http.StatusCreated, keep: map[string]string{"new": "id"}, body: `{
				"name": "New checkout", "key": "newer-checkout", "active": true, "tags": ["checkout"], "ensure_experience_continuity": false,
				"filters": {"groups": [{"properties": [{"key": "plan", "type": "person", "value": ["beta"], "operator": "exact"}], "rollout_percentage": 50}]}}`},
			step{method: http.MethodGet, path: flags + "?limit=10", status: http.StatusOK},
			step{method: http.MethodGet, path: flags + "/{new}", status: http.StatusOK},
			step{
				method: http.MethodPatch,
				path:   flags + "/{new}",
				status: http.StatusOK,
				body:   `{"name": "Checkout", "active": false}`,
			},
			step{method: http.MethodGet, path: flags + "/{new}/status", status: http.StatusOK},
			step{method: http.MethodGet, path: flags + "/{new}/activity", status: http.StatusOK},
			step{method: http.MethodGet, path: flags + "/activity", status: http.StatusOK},
			step{method: http.MethodGet, path: flags + "/{new}/dependent_flags", status: http.StatusOK},
			step{method: http.MethodGet, path: flags + "/my_flags", status: http.StatusOK},
			step{method: http.MethodGet, path: flags + "/evaluation_reasons?distinct_id=alice", status: http.StatusOK},
			step{method: http.MethodGet, path: flags + "/local_evaluation", status: http.StatusOK},
			step{method: http.MethodPost, path: flags + "/bulk_keys", status: http.StatusOK, body: `{"ids": [{new}]}`},
			step{method: http.MethodPatch, path: flags + "/{new}", status: http.StatusOK, body: `{"deleted": true}`},
			step{method: http.MethodGet, path: flags + "/none", status: http.StatusNotFound},
		)
	})

	It("in atono", func() {
		const media = "application/vnd.api+json"
		walk(
			d,
			token,
			media,
			values,
			step{method: http.MethodGet, path: "/api/v1/flags", status: http.StatusOK},
			step{method: http.MethodGet, path: "/api/v1/flags/{flag}", status: http.StatusOK},
			step{
				method: http.MethodGet,
				path:   "/api/v1/flags/{flag}/environments",
				status: http.StatusOK,
				keep:   map[string]string{"part": "data.id"},
			},
			step{
				method: http.MethodGet,
				path:   "/api/v1/flags/{flag}/environments/{production}",
				status: http.StatusOK,
				keep:   map[string]string{"part": "data.id"},
			},
			step{
				method: http.MethodPatch,
				path:   "/api/v1/flags/{flag}/environments/{production}?replace=true",
				status: http.StatusOK,
				body: `{
				"data": {"type": "flag_environment", "id": "{part}", "attributes": {"configuration": "on"}}}`,
			},
			step{method: http.MethodGet, path: "/api/v1/flags/none", status: http.StatusNotFound},
		)
	})
})
