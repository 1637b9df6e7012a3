#!/bin/bash
# Builds and runs all tests, as CI and people do:
#
#   tests/run.sh               lint, unit, package and integration tests
#   tests/run.sh --static      also the program's tests with the static file, and that a second build of it
#                              gives the same bytes
#   tests/run.sh --tidy        also clang-tidy over the modules
#   tests/run.sh --sanitize    also the unit tests under AddressSanitizer and ThreadSanitizer
#   tests/run.sh --long        ten times the simulated lives, 100,000 runs of jobs instead of 2,000
#   tests/run.sh --fuzz 600    also every fuzz target for that many seconds (clang), one after the other
#   tests/run.sh --only unit   one suite: unit, lint, package, integration, static
#
# Installs what is missing from Debian's packages (as root or through sudo; nothing is asked, no service is
# started). Ends with one line "N passed, N failed" over all suites; exits non-zero if anything failed.
# From the environment: CONTAINERPILOT_DEPS (build/deps), CONTAINERPILOT_JOBS (2).
set -uo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export CONTAINERPILOT_DEPS=${CONTAINERPILOT_DEPS:-$root/build/deps} CONTAINERPILOT_JOBS=${CONTAINERPILOT_JOBS:-2}
reports=$root/build/reports
only="" static="" sanitize="" tidy="" fuzz="" ok=true

say() { printf '\n== %s (%d s)\n' "$*" "$SECONDS"; }
die() { printf 'tests: cannot go on: %s\n' "$*" >&2; printf '\n0 passed, 1 failed\n'; exit 1; }

while [ $# -gt 0 ]; do
  case $1 in
    --static) static=yes ;;
    --sanitize) sanitize=yes ;;
    --tidy) tidy=yes ;;
    --long) export CONTAINERPILOT_LONG=yes ;;
    --fuzz) fuzz=${2:?--fuzz takes seconds}; shift ;;
    --only) only=${2:?--only takes unit, lint, package, integration or static}; shift ;;
    *) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; [ "$1" = --help ]; exit ;;
  esac
  shift
done
wants() { [ -z "$only" ] || [ "$only" = "$1" ]; }

# build <preset> [target...]
build() {
  local preset=$1 prefix=$CONTAINERPILOT_DEPS/prefix
  [ "$preset" != static ] || prefix=$CONTAINERPILOT_DEPS/static
  shift
  cmake -S "$root" --preset "$preset" -DCONTAINERPILOT_PCH=ON \
    -DCONTAINERPILOT_DEPS_PREFIX="$prefix" >"$reports/$preset.configure.log" 2>&1 ||
    { tail -n 25 "$reports/$preset.configure.log" >&2; die "preset $preset does not configure"; }
  cmake --build "$root/build/$preset" --parallel "$CONTAINERPILOT_JOBS" ${1:+--target "$@"} >"$reports/$preset.build.log" 2>&1 ||
    { tail -n 40 "$reports/$preset.build.log" >&2; die "preset $preset does not build"; }
}

# suite <preset> <label> [report]: through ctest; programs report their single cases beside ctest's report.
suite() {
  local name=${3:-$1.$2}
  local cases=$reports/cases/$name
  mkdir -p "$cases"
  GTEST_OUTPUT=xml:$cases/ CONTAINERPILOT_CASES=$cases ctest --test-dir "$root/build/$1" -L "^$2\$" \
    --no-tests=error --output-on-failure --timeout 900 --parallel "$CONTAINERPILOT_JOBS" \
    --output-junit "$reports/$name.xml" || ok=false
}

rm -rf "$reports"
mkdir -p "$reports"
cd "$root" || exit 1

say "packages and dependencies"
agent/packaging/packages.sh build tests || die "packages are missing"
agent/packaging/deps.sh || die "dependencies do not build"

if wants unit; then
  say "unit tests"
  build dev
  suite dev unit
fi
if wants lint; then
  say "lint"
  build dev
  suite dev lint
fi
if [ -n "$tidy" ]; then
  say "clang-tidy"
  build dev
  suite dev tidy
fi
if wants package; then
  say "package tests"
  build dev
  suite dev package
fi
if wants integration; then
  say "integration tests, with the release build of the agent"
  build release containerpilot
  build dev
  CONTAINERPILOT_BINARY=$root/build/release/agent/containerpilot suite dev integration
fi
if [ -n "$static" ] || [ "$only" = static ]; then
  say "integration tests of the program, with the static file"
  agent/packaging/deps.sh --static || die "static dependencies do not build"
  build static containerpilot
  build dev
  CONTAINERPILOT_BINARY=$root/build/static/agent/containerpilot suite dev program static.program
fi
if [ -n "$static" ]; then
  say "the static file a second time"
  suite dev reproducible
fi
if [ -n "$sanitize" ]; then
  for preset in asan tsan; do
    say "unit tests, $preset"
    build "$preset"
    suite "$preset" unit
  done
fi

if [ -n "$fuzz" ]; then
  say "fuzz targets, $fuzz s each"
  names=(tests/fuzz/*_fuzz.cc)
  names=("${names[@]##*/}")
  names=("${names[@]%_fuzz.cc}")
  build fuzz "${names[@]/#/fuzz_}"
  for name in "${names[@]}"; do
    work=$root/build/fuzz/run/$name
    mkdir -p "$work/found" "$work/seeds"
    tests/fuzz/seeds.py "$name" "$work/seeds"
    "build/fuzz/tests/fuzz/fuzz_$name" -max_total_time="$fuzz" -entropic=0 -timeout=20 -artifact_prefix="$work/" \
      -print_final_stats=1 "$work/found" "$work/seeds" >"$work/log" 2>&1 || ok=false
    printf '%s: ' "$name"
    tail -n 8 "$work/log" | grep -E 'executed_units|SUMMARY|Test unit written' || tail -n 3 "$work/log"
  done
fi

say "summary"
python3 tests/summary.py "$reports" && $ok
