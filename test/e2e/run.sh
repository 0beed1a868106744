#!/usr/bin/env bash
# Copyright The Jackstaff Authors.
# SPDX-License-Identifier: Apache-2.0

# Runs the end-to-end test on the cluster of the current KUBECONFIG. docs/operations.md says what it measures.
#
# Images are built here and loaded by the command E2E_LOAD, which is given the file of each as its last argument. By default it is that
# of kind. The other variables are those of e2e_test.go.
set -euo pipefail
cd "$(dirname "$0")/../.."

load=${E2E_LOAD:-kind load image-archive}
export PLATFORMS=${E2E_PLATFORM:-linux/$(go env GOARCH)}
export KUBECTL=${KUBECTL:-kubectl}

hack/image/build.sh . ./cmd/manager jackstaff/manager:e2e bin/e2e/manager.tar
hack/image/build.sh test/e2e ./workload jackstaff/workload:e2e bin/e2e/workload.tar -title "Jackstaff's workload for tests"
for image in manager workload; do
	# The hook is a command with its arguments.
	# shellcheck disable=SC2086
	$load "bin/e2e/$image.tar"
done

cd test/e2e
E2E=1 go test -count=1 -timeout 60m -v .
