#!/usr/bin/env bash
# Copyright The Jackstaff Authors.
# SPDX-License-Identifier: Apache-2.0

# Makes everything of a release in the folder dist/VERSION, without a container engine, and without a network once modules are there:
# the operator's image with its bill of materials, the command line, the chart, install.yaml, the manifest for krew, notes and checksums.
#
# The environment says which VERSION, such as v0.2.0, which image IMG, for which PLATFORMS the image and for which CLI_PLATFORMS the
# command line are made, both separated by commas, and which KUBECTL builds install.yaml.
set -euo pipefail
cd "$(dirname "$0")/../.."

out=$PWD/dist/$VERSION
created=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

platforms=(${CLI_PLATFORMS//,/ })
binaries=()
for i in "${!platforms[@]}"; do
	platform=${platforms[i]}
	binary=$work/${platform//\//-}
	(
		IFS=/ read -r GOOS GOARCH <<<"$platform"
		export GOOS GOARCH CGO_ENABLED=0
		STAGE="$((i + 1)) of $((${#platforms[@]} + 2))" hack/progress.sh "Building jackstaff for $platform" \
			go build -v -trimpath -buildvcs=false -ldflags "-s -w -X main.version=$VERSION" -o "$binary" ./cmd/jackstaff
	)
	binaries+=("$platform=$binary")
done

rm -rf "$out"
mkdir -p "$out"
echo "Stage $((${#platforms[@]} + 1)) of $((${#platforms[@]} + 2)): the image"
hack/image/build.sh . ./cmd/manager "$IMG" "$out/manager-image.tar" -sbom "$out/manager-sbom.json"

echo "Stage $((${#platforms[@]} + 2)) of $((${#platforms[@]} + 2)): packing"
"$KUBECTL" kustomize config/default | sed "s|image: jackstaff/manager:dev\$|image: $IMG|" >"$out/install.yaml"
if ! grep -q "image: $IMG\$" "$out/install.yaml"; then
	echo "release: install.yaml does not name the image $IMG." >&2
	exit 1
fi
go run ./hack/release -version "$VERSION" -image "$IMG" -created "$created" -out "$out" "${binaries[@]}"
(cd "$out" && sha256sum --check --quiet checksums.txt)
ls -l "$out"
