#!/usr/bin/env bash
# Copyright The Jackstaff Authors.
# SPDX-License-Identifier: Apache-2.0

# Generates a client from the OpenAPI document of each view, compiles it, and runs the examples of the references with it. The
# generator is openapi-typescript, which needs Node.js, installed where it is missing. WITHOUT=javascript goes without.
set -euo pipefail
cd "$(dirname "$0")/../test/rest"

../../hack/programs/get.sh "clients generated from the OpenAPI documents" || exit $(($? == 3 ? 0 : $?))
if [[ ! clients/node_modules/.package-lock.json -nt clients/package-lock.json ]]; then
	npm --prefix clients ci --no-audit --no-fund
fi
REST_NODE=node go test -timeout 10m . -ginkgo.focus "Generated clients"
