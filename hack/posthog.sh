#!/usr/bin/env bash
# Copyright The Jackstaff Authors.
# SPDX-License-Identifier: Apache-2.0

# Runs the tests of the posthog view with PostHog's own clients, a current and an old one, against its server. They need Node; where it is
# missing the other tests are run, and the last line says so.
set -euo pipefail
cd "$(dirname "$0")/.."

export KUBEBUILDER_ASSETS="${KUBEBUILDER_ASSETS:-$PWD/bin/k8s}"
if command -v node >/dev/null && command -v npm >/dev/null; then
	if [[ ! test/posthog/node_modules/.package-lock.json -nt test/posthog/package-lock.json ]]; then
		(cd test/posthog && npm ci --no-audit --no-fund)
	fi
	POSTHOG_NODE=node go test -timeout 20m ./internal/server/views/posthog/...
else
	go test -timeout 20m ./internal/server/views/posthog/...
	echo "NOT RUN: PostHog's own clients, because node and npm are not on the PATH."
fi
