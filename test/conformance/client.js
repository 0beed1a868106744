// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Evaluates flags with @openfeature/flagd-core, as the in-process provider of the JavaScript SDKs does. It reads one JSON line
// per request, {now, file, evaluations: [{key, type, context}]}, and writes one JSON line per answer, {results: [{value,
// variant, error}]}. The interpreter that edge runtimes use answers too; where it differs, the error says so.

import { createInterface } from 'node:readline';
import { FlagdCore } from '@openfeature/flagd-core';

const silent = { error() {}, warn() {}, info() {}, debug() {} };
const cores = [new FlagdCore(undefined, silent), new FlagdCore(undefined, silent, { disableDynamicCodeGeneration: true })];

const defaults = { Boolean: false, String: '', Number: 0, JSON: {} };

function resolve(core, { key, type, context }) {
  switch (type) {
    case 'Boolean':
      return core.resolveBooleanEvaluation(key, defaults[type], context, silent);
    case 'String':
      return core.resolveStringEvaluation(key, defaults[type], context, silent);
    case 'Number':
      return core.resolveNumberEvaluation(key, defaults[type], context, silent);
    default:
      return core.resolveObjectEvaluation(key, defaults[type], context, silent);
  }
}

function answer(request) {
  Date.now = () => request.now * 1000;
  for (const core of cores) {
    core.setConfigurations(request.file);
  }
  return request.evaluations.map((evaluation) => {
    const [compiled, interpreted] = cores.map((core) => resolve(core, evaluation));
    let error = compiled.errorMessage;
    if (compiled.variant !== interpreted.variant) {
      error = `compiled ${compiled.variant}, interpreted ${interpreted.variant}: ${interpreted.errorMessage ?? error}`;
    }
    return { value: compiled.value, variant: compiled.variant, error };
  });
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify({ results: answer(JSON.parse(line)) })}\n`);
}
