#!/usr/bin/env bash
# Copyright The Jackstaff Authors.
# SPDX-License-Identifier: Apache-2.0

# Usage: build.sh MODULE PACKAGE IMAGE OUT [FLAG…]
#
# Builds a program of a module, both as paths from the root of the repository, and packs it as an image into the file OUT, without a
# container engine. FLAGs are those of hack/image. The environment says for which PLATFORMS, separated by commas, and which VERSION.
# The same commit makes the same bytes, with the same version of Go.
set -euo pipefail
cd "$(dirname "$0")/../.."

module=$1 package=$2 image=$3 out=$(realpath -m "$4")
shift 4
program=$(basename "$package")
revision=$(git rev-parse HEAD 2>/dev/null || true)
created=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

binaries=()
for platform in ${PLATFORMS//,/ }; do
	binary=$work/${platform//\//-}/$program
	(
		cd "$module"
		IFS=/ read -r GOOS GOARCH _ <<<"$platform"
		export GOOS GOARCH CGO_ENABLED=0
		"$OLDPWD/hack/progress.sh" "Building $program for $platform" \
			go build -v -trimpath -buildvcs=false -ldflags "-s -w -X main.version=$VERSION" -o "$binary" "$package"
	)
	binaries+=("$platform=$binary")
done
mkdir -p "$(dirname "$out")"
cd hack/image
go run . -out "$out" -tag "$image" -path "/$program" -version "$VERSION" -revision "$revision" -created "$created" "$@" "${binaries[@]}"
