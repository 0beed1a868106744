#!/usr/bin/env bash
# Copyright The Jackstaff Authors.
# SPDX-License-Identifier: Apache-2.0

# Usage: get.sh WHAT [browser|promtool]
#
# Sees to it that Node.js and npm, a Chromium, or Prometheus' promtool are there for WHAT, such as "PostHog's own clients".
# What is missing is installed with apt-get, by root. Where that cannot be, it fails and says what to do, unless WITHOUT
# names javascript, browser or promtool: then it says what does not run, and exits with 3. Of Prometheus, promtool alone is
# put into BIN (/usr/local/bin), because the package starts a server.
set -euo pipefail

oldest=20 # The oldest Node.js that the clients of today take.

has() { command -v "$1" >/dev/null; }
has_javascript() { has node && has npm && [[ $(node --version) =~ ^v([0-9]+) ]] && ((BASH_REMATCH[1] >= oldest)); }
has_promtool() { has promtool; }
has_browser() { has chromium || has chromium-browser; } # Debian calls it chromium, others chromium-browser.

case ${2:-} in
"") kind=javascript packages="nodejs npm" needed="Node.js $oldest or later with npm" ;;
browser) kind=browser packages=chromium needed="Chromium" ;;
promtool) kind=promtool packages=prometheus needed="Prometheus' promtool" ;;
*)
	echo "get.sh: what is there to get is browser, promtool or nothing, not $2" >&2
	exit 2
	;;
esac

# bring has apt-get bring the packages.
bring() {
	if [[ $kind != promtool ]]; then
		# shellcheck disable=SC2086 # They are several words.
		apt-get install -y -q --no-install-recommends $packages
		return
	fi
	unpacked=$(mktemp -d)
	(
		cd "$unpacked" && apt-get download -q $packages && dpkg-deb -x "$packages"_*.deb . &&
			mkdir -p "${BIN:-/usr/local/bin}" && install -m 755 usr/bin/promtool "${BIN:-/usr/local/bin}"
	) && rm -rf "$unpacked"
}

# install_packages runs apt-get, again with new lists where it fails, and says every ten seconds that it goes on.
install_packages() {
	echo "Installing $needed with apt-get, for $1."
	log=$(mktemp)
	trap 'rm -f "$log"' EXIT
	export DEBIAN_FRONTEND=noninteractive
	(bring || { apt-get update -q && bring; }) >"$log" 2>&1 </dev/null &
	while kill -0 $! 2>/dev/null; do
		sleep 0.2
		if ((SECONDS >= ${next:=10})); then
			next=$((SECONDS + 10))
			echo "Installing $needed: $SECONDS s, $(tail -n 1 "$log")"
		fi
	done
	wait $! || tail -n 20 "$log" >&2
}

"has_$kind" && exit
if [[ " ${WITHOUT:-} " == *" $kind "* ]]; then
	echo "NOT RUN, as WITHOUT=$kind says: $1."
	exit 3
fi
why="apt-get is not there"
if has apt-get && [[ $(id -u) != 0 ]]; then
	why="to install it takes root"
elif has apt-get; then
	install_packages "$1"
	"has_$kind" && exit
	why="apt-get did not bring it"
	if [[ $kind == javascript ]] && has node; then why="apt-get brings Node.js $(node --version)"; fi
fi
echo "$1: $needed is missing, and $why. Install it, or go without by WITHOUT=$kind." >&2
exit 1
