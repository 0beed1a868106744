#!/usr/bin/env bash
# Copyright The Jackstaff Authors.
# SPDX-License-Identifier: Apache-2.0

# Checks the Go modules that are shipped with govulncheck. Where its data cannot be reached, such as behind a proxy of
# modules alone, it lists which direct dependencies have a newer version, which is no check, and says so.
#
# vulnerabilities.sh VERSION-OF-GOVULNCHECK
set -euo pipefail

database=${GOVULNDB:-https://vuln.go.dev}
modules=(. sdk api)

if curl -fsS --max-time 20 -o /dev/null "$database/index/modules.json"; then
  for module in "${modules[@]}"; do
    echo "govulncheck $module"
    (cd "$module" && go run "golang.org/x/vuln/cmd/govulncheck@$1" -db "$database" ./...)
  done
  exit
fi
echo "vulnerabilities: $database cannot be reached, so that nothing was checked; direct dependencies and newer versions:" >&2
for module in "${modules[@]}"; do
  (
    cd "$module"
    # What is replaced is in this repository, and the transitive ones follow those that are direct.
    go list -m -f '{{if not (or .Indirect .Main .Replace)}}{{.Path}}{{end}}' all |
      xargs -r go list -m -u -f '{{.Path}} {{.Version}}{{with .Update}} -> {{.Version}}{{end}}'
  )
done | sort -u
