#!/usr/bin/env bash
# Copyright The Jackstaff Authors.
# SPDX-License-Identifier: Apache-2.0

# Checks everything about the tree that a test does not: generated files are fresh, Go code is formatted and clean, every
# module is tidy, and the manifests build. Its arguments are the folders of the modules below the root.
set -euo pipefail
cd "$(dirname "$0")/.."

step() { echo "verify: $*"; }

# Where changes are not committed yet, the tree must at least stay as it is; CI starts from a clean one.
tree() {
	git diff HEAD
	git ls-files --others --exclude-standard -z | xargs -0r cksum
}

step "generated files"
before=$(tree)
make generate manifests chart
if [[ $(tree) != "$before" || -n ${CI:-} && -n $(git status --porcelain) ]]; then
	git --no-pager diff
	git status --short
	echo "verify: make generate manifests chart changes the tree as shown above; commit what it makes." >&2
	exit 1
fi

step "formatting"
if ! git ls-files --cached --others --exclude-standard -- '*.go' | xargs gofmt -s -d; then
	echo "verify: run make fmt." >&2
	exit 1
fi

step "lint"
make lint

for module in . "$@"; do
	step "go mod tidy in $module"
	(cd "$module" && go mod tidy -diff)
done

step "manifests"
overlay=$(mktemp -d ./config/.verify.XXXXXX)
trap 'rm -rf "$overlay"' EXIT
for component in "" certmanager network-policy prometheus refresh-pods; do
	{
		echo "resources: [../default]"
		if [[ -n $component ]]; then echo "components: [../$component]"; fi
	} >"$overlay/kustomization.yaml"
	"$KUBECTL" kustomize "$overlay" >/dev/null
done
for folder in config/samples config/namespaced/{administrator,operator,project} docs/gitops/clusters/{staging,production}; do
	"$KUBECTL" kustomize "$folder" >/dev/null
done
