#!/usr/bin/env bash
# Tidies every module and keeps the versions of shared dependencies equal over the workspace.
set -euo pipefail
cd "$(dirname "$0")/.."
for m in $(scripts/modules.sh); do (cd "$m" && GOWORK=off go mod tidy); done
go work sync
for m in $(scripts/modules.sh); do (cd "$m" && GOWORK=off go mod tidy); done
