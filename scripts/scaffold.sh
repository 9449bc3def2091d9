#!/usr/bin/env bash
# Proves that `make service` works: in a clean clone it writes a service, builds it alone, lints it, and runs its tests, those that hold lists
# and documents together, and a customer's journey through it. Ends with one line: N passed, N failed.
set -euo pipefail
cd "$(dirname "$0")/.."
clone=$(mktemp -d)
trap 'rm -rf "$clone"' EXIT
git clone -q . "$clone"
cp -al .bin "$clone/"
cd "$clone"
git config user.name probe
git config user.email probe@example.com
make -s service NAME=probe
git add -A
git commit -qm "A probe"
modified=$(git show --diff-filter=M --name-only --format= | wc -l)
[ "$modified" -le 14 ] || { echo "a new service modifies $modified files, more than 14"; exit 1; }
(cd services/probe && GOWORK=off go build ./... && GOWORK=off go vet ./...)
(cd services/probe && "$clone/.bin/golangci-lint" run --allow-parallel-runners --config "$clone/.golangci.yaml" ./...)
scripts/test.sh ./services/probe/... ./test/docs/... ./test/compose/... -- -run 'TestProbe$' ./test/e2e
