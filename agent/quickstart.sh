#!/bin/bash
# From a clean clone to a running, registered, measured nginx in one command, on Debian 12:
#
#   agent/quickstart.sh            (as root, through sudo, or as a user once the packages are there)
#
# Installs what is missing from Debian's packages, builds the release preset and runs the agent with
# agent/examples/quickstart.json5. Everything listens on 127.0.0.1. Ctrl-C stops it and leaves nothing behind.
#
# From the environment: WEB_PORT (8080), TELEMETRY_PORT (9090), CATALOG_PORT (8500), QUICKSTART_DIR
# (build/quickstart; made at start, removed at the end), CONTAINERPILOT_DEPS, CONTAINERPILOT_JOBS (2).
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export WEB_PORT=${WEB_PORT:-8080} TELEMETRY_PORT=${TELEMETRY_PORT:-9090} CATALOG_PORT=${CATALOG_PORT:-8500}
export CONTAINERPILOT_DEPS=${CONTAINERPILOT_DEPS:-$root/build/deps}
dir=${QUICKSTART_DIR:-$root/build/quickstart}
binary=$root/build/release/agent/containerpilot

say() { printf 'quickstart: %s\n' "$*"; }
die() { printf 'quickstart: cannot go on: %s\n' "$*" >&2; exit 1; }

case ${1:-} in
  '') ;;
  *) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; [ "$1" = --help ]; exit ;;
esac

for name in WEB_PORT TELEMETRY_PORT CATALOG_PORT; do
  if (exec 3<>"/dev/tcp/127.0.0.1/${!name}") 2>/dev/null; then
    die "port ${!name} is taken by another program; choose a free one: $name=... agent/quickstart.sh"
  fi
done
[ ! -e "$dir" ] || die "'$dir' exists: another quickstart runs there, or was killed; remove it or set QUICKSTART_DIR"

"$root/agent/packaging/packages.sh" build quickstart
"$root/agent/packaging/deps.sh"
say "building the release preset"
build() {
  cmake -S "$root" --preset release -DCONTAINERPILOT_TESTS=OFF -DCONTAINERPILOT_PCH=ON -DCONTAINERPILOT_DEPS_PREFIX="$CONTAINERPILOT_DEPS/prefix" &&
    cmake --build "$root/build/release" --target containerpilot --parallel "${CONTAINERPILOT_JOBS:-2}"
}
log=$root/build/quickstart.log
mkdir -p "$root/build"
build >"$log" 2>&1 || { tail -n 25 "$log" >&2; die "the build failed, see $log"; }

mkdir -p "$(dirname "$dir")"
cp -r "$root/agent/examples" "$dir"
cd "$dir"
set -m  # the agent gets its own process group: Ctrl-C reaches only this script, which passes it on once
"$binary" -config quickstart.json5 &
agent=$!
trap 'kill -TERM "$agent" 2>/dev/null || true' INT TERM HUP
trap 'kill -TERM "$agent" 2>/dev/null || true; wait; cd / && rm -rf "$dir"' EXIT

web=http://127.0.0.1:$WEB_PORT telemetry=http://127.0.0.1:$TELEMETRY_PORT catalog=http://127.0.0.1:$CATALOG_PORT
deadline=$((SECONDS + 30))
until curl --silent --fail --output /dev/null "$telemetry/readyz"; do
  kill -0 "$agent" 2>/dev/null || die "the agent has ended; its last lines above say why"
  [ "$SECONDS" -lt "$deadline" ] || die "not ready after 30 s; the lines above say why"
  sleep 0.2
done
cat <<TEXT

nginx runs, is registered and is measured:

  app       $web/
  metrics   $telemetry/metrics
  status    $telemetry/status        (or: $binary -socket $dir/containerpilot.socket -status)
  catalog   $catalog/v1/health/service/web?passing=1

Three things to try in another terminal:

  1. Kill nginx:          kill -KILL \$(cat '$dir/nginx/nginx.pid')
     It is back at once. $telemetry/status counts the restart and says why the job ran.
  2. Send load:           curl -s --parallel -o /dev/null '$web/?[1-20000]'
     curl -s $telemetry/metrics | grep '^nginx_' shows both sensors move.
  3. Break the sensor:    chmod -x '$dir/nginx-stat.sh'
     After 3 seconds its series are gone from the metrics, and /status says why. chmod +x brings them back.

Ctrl-C deregisters nginx, stops everything and removes $dir.

TEXT
until wait "$agent"; code=$?; ! kill -0 "$agent" 2>/dev/null; do :; done  # a signal ends wait, not the agent
say "stopped"
exit "$code"
