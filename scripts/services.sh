#!/usr/bin/env bash
# Lists the services of openapi/services.yaml, the gateway too, one name a line.
set -euo pipefail
cd "$(dirname "$0")/.."
awk '/^[a-z]/ {inside = $1 == "services:"} inside && /^  [a-z]+:$/ {sub(":", "", $1); print $1}' openapi/services.yaml
