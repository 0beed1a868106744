// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Generates the types of a client from the OpenAPI document of each view, and from the joined one, as the server gives them.

import { mkdir, writeFile } from 'node:fs/promises'
import openapiTS, { astToString } from 'openapi-typescript'

const folder = new URL('src/generated/', import.meta.url)
await mkdir(folder, { recursive: true })
for (const [name, path] of [
  ...['atono', 'avsb', 'flagmint', 'phaseflag', 'posthog'].map((view) => [view, `/openapi/${view}.json`]),
  ['joined', '/openapi.json'],
]) {
  const types = await openapiTS(new URL(path, process.env.JACKSTAFF_URL), { silent: true })
  await writeFile(new URL(`${name}.ts`, folder), astToString(types))
}
