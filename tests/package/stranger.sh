#!/bin/bash
# Installs the build in a scratch prefix and builds a stranger's project against it, one module at a time.
#   tests/package/stranger.sh BUILD_DIR DEPS_PREFIX
set -euo pipefail

build=$1 deps=$2
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

cmake --install "$build" --prefix "$scratch/prefix" >"$scratch/install.log"
for module in supervisor discovery telemetry agent; do
  cmake -S "$here/stranger" -B "$scratch/$module" -G Ninja -DMODULE="$module" \
    -DCMAKE_PREFIX_PATH="$scratch/prefix;$deps" >"$scratch/$module.log" || { cat "$scratch/$module.log"; exit 1; }
  cmake --build "$scratch/$module"
  "$scratch/$module/stranger"
done
"$scratch/prefix/bin/containerpilot" -version
