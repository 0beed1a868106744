#!/usr/bin/env bash
# Copyright The Jackstaff Authors.
# SPDX-License-Identifier: Apache-2.0

# Usage: get.sh DIRECTORY [download | build]
#
# Puts kube-apiserver, etcd and kubectl into the directory, unless they are there. Without a second argument they are
# downloaded, and built where no answer to the question which ones there are comes within ten seconds. setup-envtest
# compares what it downloads with the checksums of its index.
set -euo pipefail

mkdir -p "$1"
directory=$(cd "$1" && pwd)
cd "$(dirname "$0")"

complete() { [[ -x $directory/kube-apiserver && -x $directory/etcd && -x $directory/kubectl ]]; }
setup=(go run sigs.k8s.io/controller-runtime/tools/setup-envtest@v0.25.1)
version=1.36.x

download() {
	echo "Downloading kube-apiserver, etcd and kubectl $version."
	cp -f "$("${setup[@]}" use "$version" --bin-dir "$directory/../envtest" -p path)"/* "$directory/"
	touch "$directory/.downloaded"
}

# answers reports whether the index of what can be downloaded comes within ten seconds. setup-envtest is built before, so
# that building it does not count.
answers() {
	"${setup[@]}" version >/dev/null 2>&1 && timeout 10 "${setup[@]}" list --bin-dir "$directory/../envtest" >/dev/null 2>&1
}

case ${2:-} in
download)
	download
	;;
build)
	rm -f "$directory/.downloaded"
	./build.sh "$directory"
	;;
"")
	if complete && [[ -e $directory/.downloaded ]]; then
		exit 0
	fi
	if ! complete && answers; then
		download
	else
		./build.sh "$directory"
	fi
	;;
*)
	echo "get.sh: CONTROL_PLANE is download, build or nothing, not $2" >&2
	exit 1
	;;
esac
