// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Asks a server with OpenFeature's flagd provider for JavaScript, in process and over rpc. It writes one JSON line with what each of them
// says, and another one each time that both noticed a change, until it is ended. The environment has the server's port, the file of its
// authority and a key.

import { OpenFeature, ProviderEvents } from '@openfeature/server-sdk';
import { FlagdProvider } from '@openfeature/flagd-provider';

const { FLAGD_TEST_PORT: port, FLAGD_TEST_CA: certPath, FLAGD_TEST_KEY: key } = process.env;
const server = { host: '127.0.0.1', port: Number(port), tls: true, certPath, retryBackoffMaxMs: 100 };
const context = { targetingKey: 'alice', plan: 'beta' };
const questions = [
  ['ui/dark-mode', 'getBooleanDetails', false],
  ['colour', 'getStringDetails', 'none'],
  ['size', 'getNumberDetails', -1],
  ['options', 'getObjectDetails', {}],
  ['code', 'getStringDetails', 'none'],
  ['not/made up', 'getStringDetails', 'none'],
];

const modes = {
  'in-process': new FlagdProvider({ ...server, resolverType: 'in-process', selector: key }),
  // What opens its stream carries no selector, so that the key is the authority of all requests.
  rpc: new FlagdProvider({ ...server, resolverType: 'rpc', defaultAuthority: key }),
};
for (const [name, provider] of Object.entries(modes)) {
  await OpenFeature.setProviderAndWait(name, provider);
}

async function report() {
  const said = {};
  for (const name of Object.keys(modes)) {
    said[name] = {};
    for (const [flag, method, fallback] of questions) {
      const { value, variant, errorCode } = await OpenFeature.getClient(name)[method](flag, fallback, context);
      said[name][flag] = { value, variant, errorCode };
    }
  }
  console.log(JSON.stringify(said));
}

let noticed = 0;
for (const name of Object.keys(modes)) {
  OpenFeature.getClient(name).addHandler(ProviderEvents.ConfigurationChanged, async () => {
    noticed++;
    if (noticed % 2 === 0) {
      await report();
    }
  });
}
await report();
