#!/usr/bin/env bash
# Copyright The Jackstaff Authors.
# SPDX-License-Identifier: Apache-2.0

# Usage: progress.sh WHAT COMMAND…
#
# Runs a `go build -v` or the like, and says every ten seconds how far it is: a first build takes minutes, in which go
# itself says nothing that anyone wants to read. Where the command fails, the end of what it said is shown.
set -euo pipefail

what=$1
shift
log=$(mktemp)
"$@" >"$log" 2>&1 &
command=$!
trap 'kill $command 2>/dev/null || true; rm -f "$log"' EXIT

while kill -0 $command 2>/dev/null; do
	sleep 0.2
	if ((SECONDS >= ${next:=5})); then
		next=$((next + 10))
		downloaded=$(grep -c '^go: downloading' "$log" || true)
		compiled=$(grep -vc '^go: ' "$log" || true)
		echo "$what: ${SECONDS} s, $downloaded modules downloaded, $compiled packages compiled"
	fi
done
if ! wait $command; then
	echo "$what failed:" >&2
	grep -v '^go: downloading' "$log" | tail -n 40 >&2
	exit 1
fi
if ((SECONDS >= 5)); then
	echo "$what: done in ${SECONDS} s"
fi
