// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Opens a page of another origin with posthog-js in a real Chromium, with PostHog's default settings, and writes what the page found. It
// reads from standard input
//   {"url", "token", "subject", "properties"}
// and writes to standard output
//   {"flags": {flag: value}, "payloads": {flag: payload}, "requests": [{"method", "path", "status"}], "errors": [text]}

import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { text } from 'node:stream/consumers'
import { chromium } from 'playwright-core'

const input = JSON.parse(await text(process.stdin))
const script = await readFile(new URL('node_modules/posthog-js/dist/array.full.js', import.meta.url))

// The page's own server, whose port makes its origin another one than that of the flags.
const page = `<!doctype html><title>shop</title><link rel="icon" href="data:,"><button>buy</button><script>
  window.posthog = []; posthog._i = []; posthog.init = (...a) => { posthog._i.push([a[0], a[1], 'posthog']) }; posthog.__SV = 1
  posthog.init(${JSON.stringify(input.token)}, {
    api_host: ${JSON.stringify(input.url)},
    loaded: (client) => {
      client.setPersonPropertiesForFlags(${JSON.stringify(input.properties)}, false)
      client.identify(${JSON.stringify(input.subject)})
      client.reloadFeatureFlags()
      client.onFeatureFlags(() => { window.answers = (window.answers || 0) + 1 })
      client.capture('looked')
    },
  })
</script><script src="/array.js"></script>`
const server = createServer((request, response) => {
  const isScript = request.url === '/array.js'
  response.setHeader('Content-Type', isScript ? 'application/javascript' : 'text/html')
  response.end(isScript ? script : page)
})
await new Promise((listens) => server.listen(0, '127.0.0.1', listens))

const browser = await chromium.launch({
  executablePath: process.env.POSTHOG_CHROMIUM,
  // posthog-js sends no events of browsers that say that they are driven.
  args: ['--no-sandbox', '--disable-background-networking', '--disable-blink-features=AutomationControlled'],
})
const answers = { flags: {}, payloads: {}, requests: [], errors: [] }
try {
  const tab = await browser.newPage({ userAgent: `Mozilla/5.0 (X11; Linux x86_64) Chrome/${browser.version()} Safari/537.36` })
  const isAsked = (address) => address.startsWith(input.url)
  tab.on('console', (message) => message.type() === 'error' && answers.errors.push(message.text()))
  tab.on('pageerror', (error) => answers.errors.push(String(error)))
  tab.on('requestfailed', (request) => isAsked(request.url()) && answers.errors.push(`${request.url()}: ${request.failure()?.errorText}`))
  tab.on('response', (response) => {
    if (isAsked(response.url())) {
      const path = new URL(response.url()).pathname
      answers.requests.push({ method: response.request().method(), path, status: response.status() })
    }
  })
  await tab.goto(`http://127.0.0.1:${server.address().port}/`)
  await tab.waitForFunction((subject) => {
    const flags = window.posthog.featureFlags
    return window.answers > 0 && window.posthog.get_distinct_id() === subject && Object.keys(flags.getFlagVariants()).length > 0
  }, input.subject, { timeout: 60_000 })
  await tab.waitForLoadState('networkidle')
  // Events are sent in batches, a few seconds after the first.
  for (let tries = 0; tries < 60 && !answers.requests.some(({ path }) => path.includes('/e/')); tries++) {
    await tab.waitForTimeout(500)
  }
  Object.assign(answers, await tab.evaluate(() => {
    const flags = window.posthog.featureFlags.getFlagVariants()
    const payloads = {}
    for (const key of Object.keys(flags)) {
      payloads[key] = window.posthog.getFeatureFlagPayload(key) ?? null
    }
    return { flags, payloads }
  }))
} finally {
  await browser.close()
  server.close()
}
process.stdout.write(JSON.stringify(answers))
