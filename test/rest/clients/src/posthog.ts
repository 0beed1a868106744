// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

import createClient from 'openapi-fetch'
import type { paths } from './generated/posthog.js'
import { baseUrl, equal, headers, is, project } from './common.js'

const client = createClient<paths>({ baseUrl, headers })
const of = { project_id: project }

const created = await is(201, client.POST('/api/projects/{project_id}/feature_flags', {
  params: { path: of },
  body: {
    name: 'New checkout', key: 'hog-checkout', active: true, tags: ['checkout'],
    filters: { groups: [{ properties: [{ key: 'plan', type: 'person', value: ['beta'], operator: 'exact' }], rollout_percentage: 50 }] },
  },
}))
const path = { ...of, id: String(created.id) }
const listed = await is(200, client.GET('/api/projects/{project_id}/feature_flags', { params: { path: of, query: { limit: 10, search: 'hog' } } }))
equal(listed.results?.[0]?.key, 'hog-checkout')
const one = await is(200, client.GET('/api/projects/{project_id}/feature_flags/{id}', { params: { path } }))
equal(one.filters.groups?.[0]?.properties?.[0]?.operator, 'exact')
const updated = await is(200, client.PATCH('/api/projects/{project_id}/feature_flags/{id}', { params: { path }, body: { active: false } }))
equal(updated.active, false)
await is(200, client.GET('/api/projects/{project_id}/feature_flags/{id}/status', { params: { path } }))
await is(200, client.GET('/api/projects/{project_id}/feature_flags/{id}/activity', { params: { path } }))
await is(200, client.GET('/api/projects/{project_id}/feature_flags/evaluation_reasons', { params: { path: of, query: { distinct_id: 'alice' } } }))
await is(200, client.POST('/api/projects/{project_id}/feature_flags/bulk_keys', { params: { path: of }, body: { ids: [created.id] } }))
await is(200, client.PATCH('/api/projects/{project_id}/feature_flags/{id}', { params: { path }, body: { deleted: true } }))
