#!/bin/sh
# Makes the deployment's secrets once and gives each service a folder with its own, and no more.
# Usage: sendtip-keys <folder of all keys> <folder of the services' folders>
# Environment: POSTGRES_HOST, POSTGRES_PORT (5432), POSTGRES_OPTIONS (sslmode=disable)
set -eu
umask 077
all=$1/keys
out=$2
services=$(sendtip keys services)
host=${POSTGRES_HOST:?} port=${POSTGRES_PORT:-5432} options=${POSTGRES_OPTIONS:-sslmode=disable}

sendtip keys init --dir "$1"

put() { # put <file>: writes standard input under its name when it is complete
  cat >"$1.new"
  mv "$1.new" "$1"
}

for s in $services; do
  mkdir -p "$out/$s"
  for k in identity service kek kafka-password; do put "$out/$s/$k" <"$all/$s.$k"; done
  echo "postgres://${s}_app:$(cat "$all/$s.app-password")@$host:$port/$s?$options" | put "$out/$s/database-url"
done
put "$out/user/signing.pem" <"$all/user.signing.pem"
put "$out/transactions/signing.pem" <"$all/transactions.sign.pem"

# The gateway knows each service's identity key, and of the service keys only their hashes.
put "$out/gateway/delegation" <"$all/gateway.delegation"
for s in $services; do echo "$s=$(cat "$all/$s.identity")"; done | put "$out/gateway/identities"
for s in $services; do echo "$s=$(tr -d '\n' <"$all/$s.service" | sha256sum | cut -d ' ' -f 1)"; done | put "$out/gateway/service-key-hashes"

put "$out/gateway/redis-password" <"$all/redis.password"

# The database server sees the superuser's password and no key: who reads its disk must not find there what its sealed columns open with.
mkdir -p "$out/postgres"
put "$out/postgres/password" <"$all/postgres.password"

# The broker gets its superuser's password only: the others' are made over its protocol. Redis has one.
mkdir -p "$out/redpanda" "$out/redis"
put "$out/redpanda/password" <"$all/kafka.password"
put "$out/redis/password" <"$all/redis.password"

# Only `sendtip migrate` gets the superuser's address.
echo "postgres://postgres:$(cat "$all/postgres.password")@$host:$port/postgres?$options" | put "$1/postgres-url"

# Volumes begin as root's; the programs run as a user without rights. The folder above the volumes may be read-only.
if [ "$(id -u)" = 0 ]; then
  chown -R 65532:65532 "$1"
  for s in $services postgres redis; do chown -R 65532:65532 "$out/$s"; done
  chown -R 101:101 "$out/redpanda" # the user of Redpanda's image
fi
