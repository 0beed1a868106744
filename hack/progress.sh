#!/usr/bin/env bash
# Copyright The Jackstaff Authors.
# SPDX-License-Identifier: Apache-2.0

# Usage: [STAGE="2 of 3"] [PACKAGES="./cmd/manager …"] progress.sh WHAT COMMAND…
#
# Runs a `go build -v` or the like, and says every ten seconds how far it is: a first build takes minutes, in which go
# itself says nothing that anyone wants to read. PACKAGES are what the command builds; their dependencies are counted
# first, so that what is left can be said. Where the command fails, the end of what it said is shown.
set -euo pipefail

what=${STAGE:+"Stage $STAGE: "}$1
shift
log=$(mktemp)
trap 'kill $command 2>/dev/null || true; rm -f "$log" "$log.packages"' EXIT

# follow waits for the command, and says every ten seconds what report prints.
follow() {
	while kill -0 "$command" 2>/dev/null; do
		sleep 0.2
		if ((SECONDS >= ${next:=5})); then
			next=$((SECONDS + 10))
			echo "$what: $SECONDS s, $(report)"
		fi
	done
	if ! wait "$command"; then
		echo "$what failed:" >&2
		grep -v '^go: downloading' "$log" | tail -n 40 >&2
		exit 1
	fi
}

downloaded() { grep -c '^go: downloading' "$log" || true; }
compiled() { grep -vc '^go: ' "$log" || true; }

# left says how long the rest takes at the pace so far. Packages that were compiled before are skipped, so it is a bound.
left() {
	local compiled=$1 total=$2 seconds=$((SECONDS - started))
	if ((compiled < 20)); then
		echo "of at most $total"
		return
	fi
	local rest=$(((total - compiled) * seconds / compiled))
	echo "of at most $total, less than $((rest / 60 + 1)) min left"
}

total=0
if [[ -n ${PACKAGES:-} ]]; then
	report() { echo "$(downloaded) modules downloaded"; }
	# shellcheck disable=SC2086 # They are several words.
	go list -deps $PACKAGES >"$log.packages" 2>"$log" &
	command=$!
	follow
	total=$(wc -l <"$log.packages")
fi

started=$SECONDS
report() {
	if ((total > 0)); then
		echo "$(compiled) packages compiled $(left "$(compiled)" "$total")"
	else
		echo "$(downloaded) modules downloaded, $(compiled) packages compiled"
	fi
}
"$@" >"$log" 2>&1 &
command=$!
follow
if ((SECONDS >= 5)); then
	echo "$what: done in ${SECONDS} s"
fi
