// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

import createClient from 'openapi-fetch'
import type { paths } from './generated/phaseflag.js'
import { baseUrl, equal, headers, is, project } from './common.js'

const client = createClient<paths>({ baseUrl, headers })
const query = { environment_id: `${project}.staging` }

const created = await is(201, client.POST('/api/v1/flags', {
  params: { query },
  body: {
    key: 'new-checkout-flow', name: 'New Checkout Flow', description: 'Redesigned checkout experience', flag_type: 'boolean',
    variations: [{ key: 'on', name: 'Enabled', value: true }, { key: 'off', name: 'Disabled', value: false }], default_variation: 'off',
  },
}))
equal(created.data.key, 'new-checkout-flow')
const path = { id: created.data.id }

const listed = await is(200, client.GET('/api/v1/flags', { params: { query: { ...query, flag_type: 'boolean', search: 'checkout', page: 1, per_page: 20 } } }))
equal(listed.data?.some((flag) => flag.id === path.id), true)

const updated = await is(200, client.PUT('/api/v1/flags/{id}', {
  params: { query, path },
  body: {
    name: 'Checkout',
    targeting_rules: [
      { name: 'beta', conditions: [{ attribute: 'plan', operator: 'one_of', value: ['beta'] }], variation: 'on' },
      { name: 'rest', conditions: [], percentage_rollout: [{ variation: 'on', percentage: 25 }, { variation: 'off', percentage: 75 }] },
    ],
  },
}))
equal(updated.data.targeting_rules?.[0]?.conditions?.[0]?.operator, 'one_of')

const toggled = await is(200, client.POST('/api/v1/flags/{id}/toggle', { params: { query, path }, body: { enabled: true } }))
equal(toggled.data.enabled, true)
await is(200, client.GET('/api/v1/flags/{id}/history', { params: { query, path } }))
await is(200, client.POST('/api/v1/evaluate', {
  params: { query },
  body: { flags: ['*'], context: { user_key: 'alice@example.com', attributes: { plan: 'beta' } } },
}))
await is(204, client.DELETE('/api/v1/flags/{id}', { params: { query, path } }))
await is(404, client.GET('/api/v1/flags/{id}', { params: { query, path: { id: 'none' } } }))
