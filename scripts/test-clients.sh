#!/usr/bin/env bash
# Makes clients of the contract as the gateway serves it, as partners would: the TypeScript one compiles under --strict, and each module of
# the Python one can be imported. Usage: scripts/test-clients.sh <served contract>; its last line is `N passed, N failed`.
set -euo pipefail
cd "$(dirname "$0")/.."
contract=$(realpath "$1")
out=.cache/clients
rm -rf "$out"
mkdir -p "$out/typescript"
passed=0 failed=0

check() { # check <what> <command…>
	local what=$1
	shift
	if "$@"; then passed=$((passed + 1)); echo "ok: $what"; else failed=$((failed + 1)); echo "FAILED: $what"; fi
}

typescript() {
	npx --no-install openapi-typescript "$contract" -o "$out/typescript/schema.ts" >"$out/typescript.log" || { cat "$out/typescript.log"; return 1; }
	cp tools/typescript/use.ts "$out/typescript/"
	npx --no-install tsc --strict --noEmit --target es2022 --module esnext --moduleResolution bundler "$out/typescript/use.ts" "$out/typescript/schema.ts"
}

python() {
	PATH=$PWD/.cache/python/bin:$PATH openapi-python-client generate --path "$contract" --meta none --fail-on-warning --output-path "$out/python/sendtip" >"$out/python.log" ||
		{ cat "$out/python.log"; return 1; }
	PYTHONPATH=$out/python .cache/python/bin/python - <<-'END'
		import importlib, pkgutil, sendtip
		modules = [m.name for m in pkgutil.walk_packages(sendtip.__path__, "sendtip.")]
		for name in modules:
		    importlib.import_module(name)
		assert len(modules) > 100, modules
		print(len(modules), "modules")
	END
}

check "the TypeScript client compiles" typescript
check "the Python client imports" python
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
