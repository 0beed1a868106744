#!/usr/bin/env bash
# Copyright The Jackstaff Authors.
# SPDX-License-Identifier: Apache-2.0

# Asks the server of the posthog view with PostHog's own clients: current and old ones in Node.js, and posthog-js in a real
# Chromium. Only these are run: the view's other tests are among the module's. Node.js and Chromium are installed where
# they are missing. WITHOUT=javascript and WITHOUT=browser go without.
set -euo pipefail
cd "$(dirname "$0")/.."

export KUBEBUILDER_ASSETS="${KUBEBUILDER_ASSETS:-$PWD/bin/k8s}"
hack/programs/get.sh "PostHog's own clients" || exit $(($? == 3 ? 0 : $?))
if [[ ! test/posthog/node_modules/.package-lock.json -nt test/posthog/package-lock.json ]]; then
	(cd test/posthog && npm ci --no-audit --no-fund)
fi
hack/programs/get.sh "posthog-js in a browser" browser || [[ $? == 3 ]] || exit

POSTHOG_NODE=node POSTHOG_CHROMIUM="$(command -v chromium || command -v chromium-browser || true)" \
	go test -timeout 20m ./internal/server/views/posthog -ginkgo.focus "PostHog's own clients"
