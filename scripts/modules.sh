#!/usr/bin/env bash
# Lists the modules of the workspace, one folder a line.
set -euo pipefail
cd "$(dirname "$0")/.."
sed -n 's/^\t\.\/\(.*\)$/\1/p' go.work
