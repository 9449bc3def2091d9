#!/usr/bin/env bash
# Runs tests and ends with one line: N passed, N failed.
# Usage: scripts/test.sh [-tags …] <pattern…> [-- [-race …] <pattern…>]…   (what stands between two -- is a run of its own; the last line sums them)
# What go vet finds is not looked for here: make verify runs all of it over the same packages.
# Nothing is taken from the cache of results: Go does not see a change of a file outside a test's module (contracts, docker-compose.yml).
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p .cache
json=.cache/test-$$.json
trap 'rm -f "$json"' EXIT
status=0 passed=0 failed=0

count() { grep -c "\"Action\":\"$1\".*\"Test\":" "$json" || true; }

run() { # run <flags and patterns…>: adds its counts to the sums; a run that fails does not keep those after it from running
	local code=0 good bad skipped
	: >"$json"
	.bin/gotestsum --format "${TEST_FORMAT:-pkgname-and-test-fails}" --jsonfile "$json" --hide-summary=skipped -- -count=1 -vet=off -timeout=20m "$@" || code=$?
	good=$(count pass) bad=$(count fail) skipped=$(count skip)
	# A package that does not build or panics outside a test fails without a test's name.
	if [ "$code" != 0 ] && [ "$bad" = 0 ]; then bad=1; fi
	if [ "$skipped" != 0 ]; then
		echo "$skipped tests were skipped: a skipped test proves nothing"
		bad=$((bad + skipped)) code=1
	fi
	if [ "$good" = 0 ]; then echo "no test ran of: $*"; code=1; fi
	passed=$((passed + good)) failed=$((failed + bad))
	if [ "$code" != 0 ]; then status=$code; fi
}

args=()
for a in "$@" --; do
	if [ "$a" != -- ]; then args+=("$a"); continue; fi
	if [ ${#args[@]} != 0 ]; then run "${args[@]}"; fi
	args=()
done
if [ "$passed" = 0 ]; then status=1; fi
echo "$passed passed, $failed failed"
exit $status
