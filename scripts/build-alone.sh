#!/usr/bin/env bash
# Builds every module with the workspace switched off: a module must name all that it imports.
set -euo pipefail
cd "$(dirname "$0")/.."
for m in $(scripts/modules.sh); do
	(cd "$m" && GOWORK=off go build ./... && GOWORK=off go vet ./...) || { echo "$m does not build alone: run make tidy"; exit 1; }
done
echo "every module builds alone"
