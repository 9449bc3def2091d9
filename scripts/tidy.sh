#!/usr/bin/env bash
# Tidies every module and keeps the versions of shared dependencies equal over the workspace: each module takes the version that the
# workspace as a whole builds with.
set -euo pipefail
cd "$(dirname "$0")/.."
tidy() { for m in $(scripts/modules.sh); do (cd "$m" && GOWORK=off go mod tidy); done; }
tidy
versions=$(go list -m -f '{{.Path}} {{.Version}}' all | grep -v '^github.com/sendtip/')
for m in $(scripts/modules.sh); do
	(
		cd "$m"
		GOWORK=off go list -m -f '{{if not (or .Main .Indirect)}}{{.Path}}{{end}}' all | { grep -v '^github.com/sendtip/' || true; } | while read -r path; do
			version=$(awk -v p="$path" '$1 == p {print $2}' <<<"$versions")
			[ -z "$version" ] || go mod edit -require "$path@$version"
		done
	)
done
tidy
