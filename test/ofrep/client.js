// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Asks a server with OpenFeature's clients for JavaScript: that for servers, and that for pages, which once follows the stream of changes
// and once polls. It writes one JSON line with what each of them says, and another one each time that both of the latter noticed a change,
// until it is ended. The environment has the server's URL and its keys.

import { OpenFeature as Server } from '@openfeature/server-sdk';
import { OFREPProvider } from '@openfeature/ofrep-provider';
import { OpenFeature as Web } from '@openfeature/web-sdk';
import { OFREPWebProvider } from '@openfeature/ofrep-web-provider';

const { OFREP_URL: baseUrl, OFREP_SERVER_KEY: serverKey, OFREP_CLIENT_KEY: clientKey } = process.env;
const context = { targetingKey: 'alice', plan: 'beta' };
const questions = [
  ['ui/dark-mode', 'getBooleanDetails', false],
  ['colour', 'getStringDetails', 'none'],
  ['size', 'getNumberDetails', -1],
  ['options', 'getObjectDetails', {}],
  ['not/made up', 'getStringDetails', 'none'],
];

async function answers(client, ...more) {
  const all = {};
  for (const [key, method, fallback] of questions) {
    const { value, variant, reason, errorCode } = await client[method](key, fallback, ...more);
    all[key] = { value, variant, reason, errorCode };
  }
  return all;
}

await Server.setProviderAndWait(new OFREPProvider({ baseUrl, headers: [['Authorization', `Bearer ${serverKey}`]] }));
const server = Server.getClient();

await Web.setContext(context);
const statuses = [];
const pages = {
  stream: new OFREPWebProvider({ baseUrl, cacheMode: 'disabled', headers: [['X-API-Key', clientKey]] }),
  polling: new OFREPWebProvider({
    baseUrl,
    cacheMode: 'disabled',
    changeDetection: 'polling',
    pollInterval: 50,
    headers: [['X-API-Key', clientKey]],
    fetchImplementation: async (...request) => {
      const response = await fetch(...request);
      statuses.push(response.status);
      return response;
    },
  }),
};
for (const [name, provider] of Object.entries(pages)) {
  await Web.setProviderAndWait(name, provider);
}

const soon = () => new Promise((now) => setTimeout(now, 10));
while (!statuses.includes(304)) {
  await soon();
}
const said = {};
for (;;) {
  for (const name of Object.keys(pages)) {
    let now;
    do {
      await soon();
      now = await answers(Web.getClient(name));
    } while (JSON.stringify(now) === JSON.stringify(said[name]));
    said[name] = now;
  }
  console.log(JSON.stringify({ server: await answers(server, context), statuses: [...new Set(statuses)], ...said }));
}
