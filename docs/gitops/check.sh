#!/bin/sh
# Copyright The Jackstaff Authors.
# SPDX-License-Identifier: Apache-2.0

# Checks a directory of flags without a cluster, as a pipeline does before a merge:
#
#   check.sh FLAGS BASE OUT ENVIRONMENT...
#
# FLAGS holds the manifests, or a kustomization of them, and, beside them, flag tests; BASE the manifests as they are now. OUT receives of each environment what would be
# published and a report of who gets something else. It ends at the first step that fails.
set -eu

flags=$1 base=$2 out=$3
shift 3
mkdir -p "$out"

jackstaff validate --strict "$flags"
for environment in "$@"; do
  jackstaff render "$flags" -e "$environment" >"$out/$environment.datafile.json"
  jackstaff render "$flags" -e "$environment" -o flagd >"$out/$environment.flagd.json"
  jackstaff diff "$flags" -e "$environment" --against "$base" >"$out/$environment.diff.txt"
  cat "$out/$environment.diff.txt"
done
jackstaff test "$flags"
