#!/usr/bin/env bash
# Lints the contracts, and compares them with those of a base revision (BASE, default origin/main or the commit before).
set -euo pipefail
cd "$(dirname "$0")/.."
npx --no-install spectral lint openapi/*.yaml --fail-severity=error --quiet --ignore-unknown-format
base=${BASE:-}
for b in origin/main HEAD^; do
	[ -n "$base" ] || { git rev-parse -q --verify "$b^{commit}" >/dev/null && base=$b; } || true
done
if [ -z "$base" ]; then echo "no earlier contracts to compare with"; exit 0; fi
old=$(mktemp -d)
trap 'rm -rf "$old"' EXIT
git archive "$base" openapi 2>/dev/null | tar -x -C "$old" || { echo "$base has no contracts"; exit 0; }
# What no journey answers may only get less.
list=test/contract/unanswered.txt
if git cat-file -e "$base:$list" 2>/dev/null; then
	new=$(LC_ALL=C comm -13 <(git show "$base:$list" | LC_ALL=C sort) <(LC_ALL=C sort "$list"))
	[ -z "$new" ] || { echo "$list must not get longer: add a test to test/e2e that is answered"; echo "$new"; exit 1; }
fi
for f in openapi/*.yaml; do
	grep -q '^paths:' "$f" && [ -f "$old/$f" ] || continue
	case $f in */common.yaml | */events.yaml) continue ;; esac
	# What is ignored only says less: any media type covers the one that was named, and format takes the place of a pattern.
	# A customer's phone may be absent: of one whose number has passed to somebody else there is none to show.
	# So may the phone of a withdrawal: one to a bank account, which only a client makes that knows of them, goes to no phone.
	# An enum of an answer may be opened: that clients accept new values has been the rule from the start, and a closed list would break them at each new one.
	.bin/oasdiff breaking "$old/$f" "$f" --fail-on ERR --severity-levels scripts/oasdiff-levels.txt --err-ignore scripts/oasdiff-ignored.txt
done
