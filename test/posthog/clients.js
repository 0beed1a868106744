// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Asks PostHog's clients what flags are, and writes their answers. It reads from standard input
//   {"url", "key", "token", "flags": [key], "configs": [key], "subjects": [{"id", "properties"}]}
// and writes to standard output, for each client,
//   {"local": {flag: [value]}, "fallback": {flag: [value]}, "remote": {flag: [value]}, "payloads": {flag: [payload]}, "configs": {flag: payload}}
// with the values in the order of the subjects. A local value is null where the client would have to ask the server.

import { text } from 'node:stream/consumers'
import { PostHog } from 'posthog-node'
import { PostHog as PostHog418 } from 'posthog-node-4'

const input = JSON.parse(await text(process.stdin))
console.warn = () => {} // It warns of flags that it asks the server about, which are meant.

async function collect(evaluate) {
  const answers = {}
  for (const flag of input.flags) {
    answers[flag] = []
    for (const subject of input.subjects) {
      answers[flag].push((await evaluate(flag, subject)) ?? null)
    }
  }
  return answers
}

async function ask(Client, personalApiKey) {
  const options = { host: input.url, featureFlagsPollingInterval: 3_600_000, disabled: false }
  const local = new Client(input.key, { ...options, personalApiKey })
  await local.reloadFeatureFlags()
  const remote = new Client(input.key, options)

  const answers = { local: {}, fallback: {}, remote: {}, payloads: {}, configs: {} }
  const ofSubject = (subject) => ({ personProperties: subject.properties, sendFeatureFlagEvents: false })
  answers.local = await collect((flag, subject) => local.getFeatureFlag(flag, subject.id, { ...ofSubject(subject), onlyEvaluateLocally: true }))
  for (const [name, client] of [['fallback', local], ['remote', remote]]) {
    for (const flag of input.flags) {
      answers[name][flag] = []
      answers.payloads[flag] = []
    }
    for (const subject of input.subjects) {
      const all = await client.getAllFlagsAndPayloads(subject.id, ofSubject(subject))
      for (const flag of input.flags) {
        answers[name][flag].push(all.featureFlags[flag] ?? null)
        answers.payloads[flag].push(all.featureFlagPayloads[flag] ?? null)
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
for (const [name, Client, key] of [
  ['5 with a key', PostHog, input.key],
  ['5 with a token', PostHog, input.token],
  ['4.18', PostHog418, input.key],
]) {
  answers[name] = await ask(Client, key)
}
process.stdout.write(JSON.stringify(answers))
