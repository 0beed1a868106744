#!/usr/bin/env bash
# Copyright The Jackstaff Authors.
# SPDX-License-Identifier: Apache-2.0

# Generates a client from the OpenAPI document of each view, compiles it, and runs the examples of the references with it. The generator is
# openapi-typescript, which needs Node; where that is missing the last line says so.
set -euo pipefail
cd "$(dirname "$0")/../test/rest"

if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
	echo "NOT RUN: clients generated from the OpenAPI documents, because node and npm are not on the PATH."
	exit
fi
if [[ ! clients/node_modules/.package-lock.json -nt clients/package-lock.json ]]; then
	npm --prefix clients ci --no-audit --no-fund
fi
REST_NODE=node go test -timeout 10m . -ginkgo.focus "Generated clients"
