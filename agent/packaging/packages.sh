#!/bin/bash
# Installs Debian packages without starting or enabling any service they bring.
#
#   agent/packaging/packages.sh build             what building needs
#   agent/packaging/packages.sh build quickstart  ... and what the quickstart runs
#   agent/packaging/packages.sh build tests       ... and what the tests run
#
# Installs only what is missing; needs root (or sudo that asks nothing) only then.
set -euo pipefail

build=(g++ cmake ninja-build pkg-config dpkg-dev debian-archive-keyring ca-certificates
  prometheus-cpp-dev nlohmann-json3-dev libcurl4-openssl-dev libc-ares-dev libnghttp2-dev libspdlog-dev
  libre2-dev libboost-dev libssl-dev zlib1g-dev libabsl-dev tzdata libjs-dygraphs)
quickstart=(nginx curl)
tests=(libgtest-dev libgmock-dev nginx prometheus prometheus-node-exporter etcd-server curl openssl
  python3 python3-consul git util-linux
  clang clang-format clang-tidy shellcheck busybox-static musl-tools
  chromium chromium-driver python3-matplotlib python3-yaml)

say() { printf 'packages: %s\n' "$*"; }
die() { printf 'packages: cannot go on: %s\n' "$*" >&2; exit 1; }

installed() { dpkg-query -W -f '${Package} ${db:Status-Status}\n' 2>/dev/null | sed -n 's/ installed$//p' | sort -u; }

# While it exists, invoke-rc.d starts nothing. A policy of the host's own is put back.
policy=/usr/sbin/policy-rc.d
forbid_services() {
  [ ! -e "$policy" ] || mv "$policy" "$policy.containerpilot-saved"
  trap allow_services EXIT
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
}
allow_services() {
  rm -f "$policy"
  [ ! -e "$policy.containerpilot-saved" ] || mv "$policy.containerpilot-saved" "$policy"
}

# A package enables its services for the next boot; what we installed for our own use must not run then.
disable_services_of() {
  local package unit
  for package in "$@"; do
    while read -r unit; do
      case $unit in
        */systemd/system/*@.service) ;;
        */systemd/system/*.service | */systemd/system/*.socket | */systemd/system/*.timer)
          deb-systemd-helper disable "$(basename "$unit")" >/dev/null 2>&1 || true ;;
        /etc/init.d/*) update-rc.d "$(basename "$unit")" disable >/dev/null 2>&1 || true ;;
      esac
    done < <(dpkg -L "$package")
  done
}

[ $# -gt 0 ] || { sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}" >&2; exit 2; }
wanted=()
for list in "$@"; do
  case $list in
    build) wanted+=("${build[@]}") ;;
    quickstart) wanted+=("${quickstart[@]}") ;;
    tests) wanted+=("${tests[@]}") ;;
    *) die "unknown list '$list'; accepted: build, quickstart, tests" ;;
  esac
done
before=$(installed)
mapfile -t missing < <(comm -23 <(printf '%s\n' "${wanted[@]}" | sort -u) <(printf '%s\n' "$before"))
if [ "${#missing[@]}" -eq 0 ]; then
  say "everything needed is installed"
  exit 0
fi
if [ "$(id -u)" -ne 0 ]; then
  sudo -n true 2>/dev/null || die "not root, and sudo would ask for a password; as root: apt-get install ${missing[*]}"
  exec sudo -n "${BASH_SOURCE[0]}" "$@"
fi

say "installing ${missing[*]}"
log=$(mktemp)
forbid_services
export DEBIAN_FRONTEND=noninteractive
{ apt-get -q update && apt-get -q -y --no-install-recommends install "${missing[@]}"; } >"$log" 2>&1 </dev/null ||
  { tail -n 20 "$log" >&2; die "apt-get failed, see $log"; }
rm -f "$log"
mapfile -t new < <(comm -13 <(printf '%s\n' "$before") <(installed))
disable_services_of "${new[@]}"
say "${#new[@]} packages installed; their services were neither started nor enabled"
