#!/usr/bin/env bash
# Copyright The Jackstaff Authors.
# SPDX-License-Identifier: Apache-2.0

# Builds kube-apiserver, etcd and kubectl, as go.mod beside this script pins them, into the directory given as the only
# argument. It does nothing where they are there already, built from the same go.mod.
set -euo pipefail

directory=$(mkdir -p "$1" && cd "$1" && pwd)
cd "$(dirname "$0")"

stamp=$directory/.go.mod.sum
wanted=$(cksum <go.mod)
if [[ -x $directory/kube-apiserver && -x $directory/etcd && -x $directory/kubectl && $(cat "$stamp" 2>/dev/null) == "$wanted" ]]; then
	exit 0
fi
rm -f "$stamp"

# The API server takes its version from the linker, and refuses to start without one.
version=$(go list -m -f '{{.Version}}' k8s.io/kubernetes)
IFS=. read -r major minor _ <<<"${version#v}"
component=k8s.io/component-base/version

packages=(k8s.io/kubernetes/cmd/kube-apiserver k8s.io/kubernetes/cmd/kubectl go.etcd.io/etcd/server/v3)
echo "Building kube-apiserver, kubectl and etcd from source. This happens once, and takes about 8 minutes on 2 cores."
CGO_ENABLED=0 PACKAGES="${packages[*]}" ../progress.sh "Building the control plane" go build -v -trimpath -o "$directory/" \
	-ldflags "-s -w -X $component.gitVersion=$version -X $component.gitMajor=$major -X $component.gitMinor=$minor" \
	"${packages[@]}"

# The main package of etcd is in a folder called server, after which go build names it.
mv "$directory/server" "$directory/etcd"
echo "$wanted" >"$stamp"
