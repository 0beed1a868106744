#!/usr/bin/env bash
# Copyright The Jackstaff Authors.
# SPDX-License-Identifier: Apache-2.0

# Builds kube-controller-manager, as go.mod beside this script pins it, into the directory given as the only argument.
set -euo pipefail

directory=$(mkdir -p "$1" && cd "$1" && pwd)
cd "$(dirname "$0")"

version=$(go list -m -f '{{.Version}}' k8s.io/kubernetes)
IFS=. read -r major minor _ <<<"${version#v}"
component=k8s.io/component-base/version

echo "Building kube-controller-manager from source. This happens once, and takes about 5 minutes on 2 cores."
CGO_ENABLED=0 ../progress.sh "Building kube-controller-manager" go build -v -trimpath -o "$directory/" \
	-ldflags "-s -w -X $component.gitVersion=$version -X $component.gitMajor=$major -X $component.gitMinor=$minor" \
	k8s.io/kubernetes/cmd/kube-controller-manager
