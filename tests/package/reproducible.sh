#!/bin/bash
# Builds the static file a second time, from a clone in another folder: same bytes?
#   tests/package/reproducible.sh BINARY DEPS_PREFIX
set -euo pipefail

binary=$1 deps=$2
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

git -c safe.directory='*' clone --quiet "$root" "$scratch/elsewhere"
cd "$scratch/elsewhere"
cmake --preset static -DCONTAINERPILOT_DEPS_PREFIX="$deps"
cmake --build build/static --target containerpilot --parallel "${CONTAINERPILOT_JOBS:-2}"
cmp "$binary" build/static/agent/containerpilot
