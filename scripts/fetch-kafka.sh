#!/bin/sh
# Downloads Apache Kafka's jars (tools/kafka/pom.xml) into .cache/kafka/lib, once per version of the pom.
# As root on Debian or Ubuntu it installs Java and Maven first if they are missing.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
pom=$root/tools/kafka/pom.xml
lib=$root/.cache/kafka/lib
stamp=$root/.cache/kafka/pom.xml

missing=""
command -v java >/dev/null 2>&1 || missing="$missing default-jre-headless"
if cmp -s "$pom" "$stamp" && [ -z "$missing" ]; then
  exit 0
fi
command -v mvn >/dev/null 2>&1 || missing="$missing maven"
if [ -n "$missing" ]; then
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "fetch-kafka: install Java 17 or newer and Maven first (Debian, Ubuntu: apt-get install$missing)" >&2
    exit 1
  fi
  echo "fetch-kafka: installing$missing"
  apt-get update -qq
  # shellcheck disable=SC2086 # a list of packages
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
fi

echo "fetch-kafka: downloading Apache Kafka (about 46 MB, once)"
mkdir -p "$root/.cache/kafka"
rm -rf "$lib.new"
mvn -q -B -f "$pom" dependency:copy-dependencies -DoutputDirectory="$lib.new" -DincludeScope=runtime
rm -rf "$lib"
mv "$lib.new" "$lib"
cp "$pom" "$stamp"
echo "fetch-kafka: $(find "$lib" -name '*.jar' | wc -l | tr -d ' ') jars in .cache/kafka/lib"
