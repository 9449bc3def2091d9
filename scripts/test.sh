#!/usr/bin/env bash
# Runs tests and ends with one line: N passed, N failed.
# Usage: scripts/test.sh [-tags …] <pattern…>
# Nothing is taken from the cache of results: Go does not see a change of a file outside a test's module (contracts, docker-compose.yml).
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p .cache
json=.cache/test-$$.json
trap 'rm -f "$json"' EXIT
status=0
.bin/gotestsum --format "${TEST_FORMAT:-pkgname-and-test-fails}" --jsonfile "$json" --hide-summary=skipped -- -count=1 -timeout=20m "$@" || status=$?
passed=$(grep -c '"Action":"pass".*"Test":' "$json" || true)
failed=$(grep -c '"Action":"fail".*"Test":' "$json" || true)
skipped=$(grep -c '"Action":"skip".*"Test":' "$json" || true)
# A package that does not build or panics outside a test fails without a test's name.
if [ "$status" != 0 ] && [ "$failed" = 0 ]; then failed=1; fi
if [ "$skipped" != 0 ]; then
	echo "$skipped tests were skipped: a skipped test proves nothing"
	failed=$((failed + skipped)); status=1
fi
if [ "$passed" = 0 ]; then echo "no test ran"; status=1; fi
echo "$passed passed, $failed failed"
exit $status
