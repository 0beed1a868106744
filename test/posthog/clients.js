// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Asks PostHog's clients what flags are, and writes their answers. It reads from standard input
//   {"url", "key", "token", "flags": [key], "configs": [key], "subjects": [{"id", "properties"}]}
// and writes to standard output, for each client,
//   {"local": {flag: [value]}, "fallback": {flag: [value]}, "remote": {flag: [value]}, "payloads": {flag: [payload]}, "configs": {flag: payload}}
// with the values in the order of the subjects, of whom all clients but two are asked the first hundred. A local value is null where the client would have to ask the server.

import { text } from 'node:stream/consumers'
import { PostHog } from 'posthog-node'
import { PostHog as PostHog36 } from 'posthog-node-3'
import { PostHog as PostHog418 } from 'posthog-node-4'
import { PostHog as PostHog42 } from 'posthog-node-4.2'

const input = JSON.parse(await text(process.stdin))
console.warn = () => {} // It warns of flags that it asks the server about, which are meant.

async function collect(subjects, evaluate) {
  const answers = {}
  for (const flag of input.flags) {
    answers[flag] = []
    for (const subject of subjects) {
      answers[flag].push((await evaluate(flag, subject)) ?? null)
    }
  }
  return answers
}

async function ask(Client, personalApiKey, subjects) {
  const options = { host: input.url, featureFlagsPollingInterval: 3_600_000, disabled: false }
  const local = new Client(input.key, { ...options, personalApiKey })
  await local.reloadFeatureFlags()
  const remote = new Client(input.key, options)

  const answers = { local: {}, fallback: {}, remote: {}, payloads: {}, configs: {} }
  const ofSubject = (subject) => ({ personProperties: subject.properties, sendFeatureFlagEvents: false })
  answers.local = await collect(subjects, (flag, subject) => local.getFeatureFlag(flag, subject.id, { ...ofSubject(subject), onlyEvaluateLocally: true }))
  for (const [name, client] of [['fallback', local], ['remote', remote]]) {
    for (const flag of input.flags) {
      answers[name][flag] = []
      answers.payloads[flag] = []
    }
    for (const subject of subjects) {
      const all = await client.getAllFlagsAndPayloads(subject.id, ofSubject(subject))
      for (const flag of input.flags) {
        answers[name][flag].push(all.featureFlags[flag] ?? null)
        const payload = all.featureFlagPayloads?.[flag] ?? null
        answers.payloads[flag].push(Client === PostHog36 && payload !== null ? JSON.parse(payload) : payload) // It gives the JSON as text.
      }
    }
  }
  for (const flag of local.getRemoteConfigPayload ? input.configs : []) {
    let payload = await local.getRemoteConfigPayload(flag)
    answers.configs[flag] = typeof payload === 'string' ? JSON.parse(payload) : payload // Version 4 gives the JSON as text.
  }
  await Promise.all([local.shutdown(), remote.shutdown()])
  return answers
}

const answers = {}
for (const [name, Client, key, most] of [
  ['5 with a key', PostHog, input.key],
  ['5 with a token', PostHog, input.token, 100],
  ['4.18', PostHog418, input.key],
  ['4.2', PostHog42, input.key, 100],
  ['3.6', PostHog36, input.key, 100],
]) {
  answers[name] = await ask(Client, key, input.subjects.slice(0, most))
}
process.stdout.write(JSON.stringify(answers))
