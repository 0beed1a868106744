// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

import createClient from 'openapi-fetch'
import type { paths } from './generated/avsb.js'
import { baseUrl, equal, headers, is, project } from './common.js'

const client = createClient<paths>({ baseUrl, headers })
const of = { orgId: 'default', projectId: project }

const created = await is(201, client.POST('/api/orgs/{orgId}/projects/{projectId}/flags', {
  params: { path: of },
  body: {
    name: 'New Checkout Flow', key: 'avsb_checkout_flow', type: 'BOOLEAN', description: 'Enable the redesigned checkout experience',
    variations: [{ name: 'Off', key: 'off', value: 'false' }, { name: 'On', key: 'on', value: 'true' }], defaultVariationKey: 'off',
  },
}))
const flag = { ...of, flagId: created.data.id }
const listed = await is(200, client.GET('/api/orgs/{orgId}/projects/{projectId}/flags', { params: { path: of } }))
equal(listed.data?.some((one) => one.id === flag.flagId), true)
await is(200, client.PATCH('/api/orgs/{orgId}/projects/{projectId}/flags/{flagId}', { params: { path: flag }, body: { name: 'Checkout' } }))
const staging = { ...flag, envId: 'staging' }
await is(200, client.PATCH('/api/orgs/{orgId}/projects/{projectId}/flags/{flagId}/envs/{envId}', {
  params: { path: staging },
  body: { enabled: true, defaultVariationId: 'on' },
}))
const audience = await is(201, client.POST('/api/orgs/{orgId}/projects/{projectId}/audiences', {
  params: { path: of },
  body: { name: 'Beta Users', key: 'beta-users', matchAny: [{ conditions: [{ attribute: 'plan', operator: 'In', values: ['beta'] }] }] },
}))
const rule = await is(201, client.POST('/api/orgs/{orgId}/projects/{projectId}/flags/{flagId}/envs/{envId}/rules', {
  params: { path: staging },
  body: {
    type: 'AB_TEST', name: 'Checkout button colour test', trafficAllocation: 1, audienceIds: [audience.data.id], hashAttribute: 'userId',
    variations: [{ variationId: 'off', percentage: 0.5 }, { variationId: 'on', percentage: 0.5 }],
  },
}))
await is(200, client.PUT('/api/orgs/{orgId}/projects/{projectId}/flags/{flagId}/envs/{envId}/overrides', {
  params: { path: staging },
  body: { overrides: [{ userId: 'alice@example.com', variationId: 'on' }] },
}))
await is(204, client.DELETE('/api/orgs/{orgId}/projects/{projectId}/flags/{flagId}/envs/{envId}/rules/{ruleId}', {
  params: { path: { ...staging, ruleId: rule.data.id } },
}))
const archived = await is(200, client.POST('/api/orgs/{orgId}/projects/{projectId}/flags/{flagId}/archive', { params: { path: flag } }))
equal(archived.data.id, flag.flagId)
await is(204, client.DELETE('/api/orgs/{orgId}/projects/{projectId}/flags/{flagId}', { params: { path: flag } }))
