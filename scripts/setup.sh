#!/usr/bin/env bash
# Installs what a target needs and nothing twice: Debian packages (as root), Go tools into .bin, npm tools into node_modules,
# Python tools into .cache/python.
# Usage: scripts/setup.sh go|tools|contract|python|postgres|race|kafka…
set -euo pipefail
cd "$(dirname "$0")/.."

say() { echo "setup: $*" >&2; }

need_go() {
	command -v go >/dev/null || { say "Go is missing: install Go 1.26 or newer from https://go.dev/dl"; exit 1; }
}

apt_install() { # apt_install <why> <package…>
	local why=$1; shift
	if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
		say "$why needs the packages $*: install them, then call again"; exit 1
	fi
	say "installing $* ($why)"
	# A list that is fresh enough is not asked for again.
	[ -n "$(find /var/lib/apt/lists -name '*_Packages*' -mmin -1440 2>/dev/null | head -1)" ] || apt-get update -qq >/dev/null
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

go_tools() {
	need_go
	local stamp=.bin/.stamp want
	want=$(cat tools/go.mod tools/go.sum | sha256sum | cut -c1-16)
	[ "$(cat $stamp 2>/dev/null)" = "$want" ] && return
	say "building the Go tools into .bin (once; several minutes on a small machine)"
	mkdir -p .bin
	local t
	for t in $(cd tools && GOWORK=off go list -e -f '{{.ImportPath}}' tool); do
		say "  $t"
		GOWORK=off GOBIN="$PWD/.bin" CGO_ENABLED=0 go -C tools install "$t"
	done
	echo "$want" >$stamp
}

npm_tools() {
	command -v npm >/dev/null || apt_install "linting contracts" nodejs npm
	local stamp=node_modules/.stamp want
	want=$(sha256sum package-lock.json | cut -c1-16)
	[ "$(cat $stamp 2>/dev/null)" = "$want" ] && return
	say "installing the npm tools into node_modules (once)"
	npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null
	echo "$want" >$stamp
}

python_tools() {
	python3 -c 'import ensurepip' 2>/dev/null || apt_install "Schemathesis" python3 python3-venv
	local stamp=.cache/python/.stamp want
	want=$(sha256sum tools/python/requirements.txt | cut -c1-16)
	[ "$(cat $stamp 2>/dev/null)" = "$want" ] && return
	say "installing the Python tools into .cache/python (once)"
	rm -rf .cache/python
	python3 -m venv .cache/python
	.cache/python/bin/pip install -q --disable-pip-version-check --no-deps -r tools/python/requirements.txt
	echo "$want" >$stamp
}

for what in "$@"; do
	case $what in
	go) need_go ;;
	tools) go_tools ;;
	contract) go_tools; npm_tools ;;
	python) python_tools ;;
	postgres)
		command -v postgres >/dev/null || ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || {
			# Without this file Debian starts a cluster of its own on the standard port.
			[ "$(id -u)" = 0 ] && mkdir -p /etc/postgresql-common && [ ! -e /etc/postgresql-common/createcluster.conf ] && echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf
			apt_install "PostgreSQL" postgresql
		} ;;
	race) command -v gcc >/dev/null || apt_install "the race detector" gcc libc6-dev ;;
	kafka) scripts/fetch-kafka.sh ;;
	*) say "unknown: $what"; exit 1 ;;
	esac
done
