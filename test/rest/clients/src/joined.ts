// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

import createClient from 'openapi-fetch'
import type { paths } from './generated/joined.js'
import { baseUrl, headers, is, project } from './common.js'

// The joined document has the paths of all views, two of which share some.
const client = createClient<paths>({ baseUrl, headers })
await is(200, client.GET('/api/v1/flags', { params: { query: { environment_id: `${project}.staging` } } }))
await is(200, client.GET('/api/v1/flags', { params: { header: { 'X-Jackstaff-Project': project } } }))
await is(200, client.GET('/projects/{projectId}/flags', { params: { path: { projectId: project } } }))
