#!/usr/bin/env bash
# Copyright The Jackstaff Authors.
# SPDX-License-Identifier: Apache-2.0

# Runs the modules test/conformance, test/ofrep and test/flagd: what is published, and what is served, against the real
# clients. Those that are written in JavaScript need Node.js, which is installed where it is missing. WITHOUT=javascript goes without.
set -euo pipefail
cd "$(dirname "$0")/../test"

node=node
../hack/programs/get.sh "conformance with the JavaScript clients" || {
	status=$?
	if ((status != 3)); then exit "$status"; fi
	node=
}
for module in conformance ofrep flagd; do
	if [[ -n $node && ! $module/node_modules/.package-lock.json -nt $module/package-lock.json ]]; then
		npm --prefix "$module" ci --no-audit --no-fund
	fi
	(cd "$module" && CONFORMANCE_NODE=$node go test -timeout 20m ./...)
done
