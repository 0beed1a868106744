#!/usr/bin/env bash
# Copyright The Jackstaff Authors.
# SPDX-License-Identifier: Apache-2.0

# Asks the server of the posthog view with PostHog's own clients: current and old ones in Node, and posthog-js in a real Chromium. Only these
# are run: the view's other tests are among the module's. The last lines say what could not be run, and why.
set -euo pipefail
cd "$(dirname "$0")/.."

export KUBEBUILDER_ASSETS="${KUBEBUILDER_ASSETS:-$PWD/bin/k8s}"
if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
	echo "NOT RUN: PostHog's own clients, because node and npm are not on the PATH."
	exit
fi
if [[ ! test/posthog/node_modules/.package-lock.json -nt test/posthog/package-lock.json ]]; then
	(cd test/posthog && npm ci --no-audit --no-fund)
fi

# Debian calls it chromium, others chromium-browser.
browser() { command -v chromium || command -v chromium-browser || true; }
why="chromium is not on the PATH, and apt-get is not there or needs root"
if [[ -z "$(browser)" ]] && command -v apt-get >/dev/null && [[ "$(id -u)" == 0 ]]; then
	why="apt-get could not install chromium"
	export DEBIAN_FRONTEND=noninteractive
	apt-get install -y -qq --no-install-recommends chromium >/dev/null ||
		{ apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium >/dev/null; } || true
fi

POSTHOG_NODE=node POSTHOG_CHROMIUM="$(browser)" \
	go test -timeout 20m ./internal/server/views/posthog -ginkgo.focus "PostHog's own clients"
if [[ -z "$(browser)" ]]; then
	echo "NOT RUN: posthog-js in a browser, because $why."
fi
