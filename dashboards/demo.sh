#!/bin/bash
# A real fleet that follows a sensor, on this machine: load x6 up and down, with faults in between.
#
#   dashboards/demo.sh     prints what happens and the figures; draws build/release/artifacts/autoscale.svg
#
# Takes about two minutes. Needs a built agent (agent/quickstart.sh builds the release preset) or CONTAINERPILOT_BINARY,
# and the packages of "agent/packaging/packages.sh tests".
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
case ${1:-} in
  '') ;;
  *) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; [ "$1" = --help ]; exit ;;
esac
export CONTAINERPILOT_BUILD=${CONTAINERPILOT_BUILD:-$root/build/release} PYTHONDONTWRITEBYTECODE=1
binary=${CONTAINERPILOT_BINARY:-$CONTAINERPILOT_BUILD/agent/containerpilot}
[ -x "$binary" ] || { printf 'demo: cannot go on: no agent at %s; agent/quickstart.sh builds one\n' "$binary" >&2; exit 1; }
exec python3 "$root/tests/integration/autoscale_test.py"
