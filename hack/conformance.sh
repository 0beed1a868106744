#!/usr/bin/env bash
# Copyright The Jackstaff Authors.
# SPDX-License-Identifier: Apache-2.0

# Runs the modules test/conformance and test/ofrep: what is published, and what is served, against the real clients. The clients that are
# written in JavaScript need Node; where it is missing the others are run, and the last line says so.
set -euo pipefail
cd "$(dirname "$0")/../test"

node=
if command -v node >/dev/null && command -v npm >/dev/null; then
	node=node
fi
for module in conformance ofrep; do
	if [[ -n $node && ! $module/node_modules/.package-lock.json -nt $module/package-lock.json ]]; then
		npm --prefix "$module" ci --no-audit --no-fund
	fi
	(cd "$module" && CONFORMANCE_NODE=$node go test -timeout 20m ./...)
done
if [[ -z $node ]]; then
	echo "NOT RUN: conformance with the JavaScript clients, because node and npm are not on the PATH."
fi
