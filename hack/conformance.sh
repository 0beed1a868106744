#!/usr/bin/env bash
# Copyright The Jackstaff Authors.
# SPDX-License-Identifier: Apache-2.0

# Runs the module test/conformance: what is published against the real clients. The clients that are written in JavaScript
# need Node; where it is missing the others are run, and the last line says so.
set -euo pipefail
cd "$(dirname "$0")/../test/conformance"

if command -v node >/dev/null && command -v npm >/dev/null; then
	if [[ ! node_modules/.package-lock.json -nt package-lock.json ]]; then
		npm ci --no-audit --no-fund
	fi
	CONFORMANCE_NODE=node go test -timeout 20m ./...
else
	go test -timeout 20m ./...
	echo "NOT RUN: conformance with the JavaScript clients, because node and npm are not on the PATH."
fi
