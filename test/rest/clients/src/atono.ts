// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

import createClient from 'openapi-fetch'
import type { paths } from './generated/atono.js'
import { baseUrl, equal, headers, is, project } from './common.js'

const client = createClient<paths>({ baseUrl, headers: { ...headers, 'Content-Type': 'application/vnd.api+json', 'X-Jackstaff-Project': project } })

const listed = await is(200, client.GET('/api/v1/flags', { params: { query: { include: 'slices' } } }))
const flag = listed.data?.[0]
if (!flag) throw new Error('there is no flag')
equal(flag.type, 'flag')
const one = await is(200, client.GET('/api/v1/flags/{id}', { params: { path: { id: flag.id } } }))
equal(one.data.id, flag.id)
const parts = await is(200, client.GET('/api/v1/flags/{id}/environments', { params: { path: { id: flag.id } } }))
const part = parts.data?.[0]
if (!part) throw new Error('the flag is in no environment')
const path = { id: flag.id, environment: 'staging' }
const before = await is(200, client.GET('/api/v1/flags/{id}/environments/{environment}', { params: { path } }))
const after = await is(200, client.PATCH('/api/v1/flags/{id}/environments/{environment}', {
  params: { path, query: { replace: true } },
  body: { data: { type: 'flag_environment', id: before.data.id, attributes: { configuration: 'on' } } },
}))
equal(after.data.attributes.configuration, 'on')
