#!/usr/bin/env bash
# Generates typed servers, clients, event payloads and database code from openapi/ and sql/.
# Usage: scripts/generate.sh [service…]   (no argument: everything)
set -euo pipefail
cd "$(dirname "$0")/.."
services=${*:-$(scripts/services.sh)}

oapi() { # oapi <contract> <package> <output> <generate block>
	mkdir -p "$(dirname "$3")"
	local cfg
	cfg=$(mktemp --suffix=.yaml)
	{
		echo "package: $2"
		echo "output: $3"
		echo "generate: $4"
		[ "$1" = common.yaml ] || echo "import-mapping: {common.yaml: github.com/sendtip/sendtip/generated/common}"
		echo "compatibility: {always-prefix-enum-values: true}"
		echo "output-options: {skip-prune: true, name-normalizer: ToCamelCaseWithInitialisms, prefer-skip-optional-pointer-on-container-types: true}"
	} >"$cfg"
	.bin/oapi-codegen -config "$cfg" "openapi/$1"
	rm -f "$cfg"
}

if [ $# -eq 0 ]; then
	oapi common.yaml common generated/common/common.gen.go "{models: true, chi-server: true, strict-server: true}"
	oapi events.yaml events generated/events/events.gen.go "{models: true}"
	mkdir -p generated/scopes
	scopes=$(cd gateway && go run ./cmd/scopes) # a fault leaves the old file
	printf '%s\n' "$scopes" >generated/scopes/scopes.gen.go
fi
for s in $services; do
	[ -f "openapi/$s.yaml" ] || continue
	oapi "$s.yaml" "${s}api" "generated/$s/api/api.gen.go" "{models: true, chi-server: true, strict-server: true}"
	oapi "$s.yaml" "${s}client" "generated/$s/client/client.gen.go" "{models: true, client: true}"
done

go run ./test/docs/settings

cfg=sql/.sqlc.gen.yaml
trap 'rm -f "$cfg"' EXIT
{
	echo 'version: "2"'
	echo 'sql:'
	for s in $services; do
		[ ! -d "sql/$s/queries" ] || sed "s/SERVICE/$s/g" sql/sqlc.yaml
	done
} >"$cfg"
if grep -q schema "$cfg"; then .bin/sqlc generate -f "$cfg"; fi
