// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

import createClient from 'openapi-fetch'
import type { paths } from './generated/flagmint.js'
import { baseUrl, equal, headers, is, project } from './common.js'

const client = createClient<paths>({ baseUrl, headers })
const path = { projectId: project }

const created = await is(201, client.POST('/projects/{projectId}/flags', {
  params: { path },
  body: { name: 'Minted Checkout', description: 'Redesigned checkout experience', template: 'kill_switch' },
}))
equal(created.data.name, 'Minted Checkout')
const listed = await is(200, client.GET('/projects/{projectId}/flags', { params: { path } }))
equal(listed.data?.some((flag) => flag.id === created.data.id), true)
const one = await is(200, client.GET('/projects/{projectId}/flags/{flagId}', { params: { path: { ...path, flagId: created.data.id } } }))
equal(one.data.key, created.data.key)
await is(404, client.GET('/projects/{projectId}/flags/{flagId}', { params: { path: { ...path, flagId: 'none' } } }))
