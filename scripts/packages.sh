#!/usr/bin/env bash
# Prints the packages that make test runs, the slow ones first, so that none of them runs alone at the end.
# Usage: scripts/packages.sh slow|race   (slow: without the race detector, which would make them several times slower and finds nothing in them
# that the packages they drive do not show; race: all others)
set -euo pipefail
cd "$(dirname "$0")/.."
slow='/(test/(e2e|canary|storm)|services/transactions/(check|crash|seed))$'
first='/sendtip/(cmd/sendtip/platform|services/(transactions|wallet|user)/internal/app)$'
patterns=()
for m in $(scripts/modules.sh); do patterns+=("./$m/..."); done
all=$(go list "${patterns[@]}")
case ${1:-} in
slow) grep -E "$slow" <<<"$all" | sort -r ;; # test/e2e is the slowest
race)
	rest=$(grep -vE "$slow" <<<"$all")
	grep -E "$first" <<<"$rest" || true
	grep -vE "$first" <<<"$rest"
	;;
*) echo "usage: $0 slow|race" >&2; exit 2 ;;
esac
