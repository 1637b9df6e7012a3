#!/bin/bash
# Builds what Debian's binary packages cannot give us from Debian's own source packages.
#
#   agent/packaging/deps.sh            civetweb, with IPv6, OpenSSL 3 and a prompt stop
#   agent/packaging/deps.sh --static   for the static preset: civetweb, and static archives of libcurl
#                                      (HTTP only) and prometheus-cpp, which Debian has as shared ones;
#                                      all built for size
#
# Installs into $CONTAINERPILOT_DEPS/prefix or /static (default: build/deps in the clone). What is there
# is kept until this script or a patch changes, so a second run costs nothing. The mirror is the one the
# machine's own apt uses; source entries, package lists and downloads stay in a private folder, and apt checks
# Debian's signature on them. Needs no root. CONTAINERPILOT_JOBS: compiler processes (default 2).
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
deps=${CONTAINERPILOT_DEPS:-$root/build/deps}
jobs=${CONTAINERPILOT_JOBS:-2}
prefix=$deps/prefix
flags=(-DCMAKE_POSITION_INDEPENDENT_CODE=ON)
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

say() { printf 'deps: %s\n' "$*"; }
die() { printf 'deps: cannot go on: %s\n' "$*" >&2; exit 1; }

private_apt() {
  local command=$1
  shift
  "$command" -qq \
    -o Dir::Etc::sourcelist="$deps/apt/sources.list" -o Dir::Etc::sourceparts=- \
    -o Dir::State::lists="$deps/apt/lists" -o Dir::Cache="$deps/apt/cache" \
    -o APT::Sandbox::User="$(id -un)" "$@"
}

# Source entries for the Debian archives this machine already takes its packages from.
prepare_apt() {
  [ -s "$deps/apt/sources.list" ] && return
  local tool entries
  for tool in apt-get dpkg-source cmake ninja cc; do
    command -v "$tool" >/dev/null || die "'$tool' is missing; run agent/packaging/packages.sh build"
  done
  [ -r "$keyring" ] || die "'$keyring' is missing; run agent/packaging/packages.sh build"
  entries=$(apt-get indextargets 'Created-By: Packages' 'Origin: Debian' \
    --format "deb-src [signed-by=$keyring] \$(REPO_URI) \$(RELEASE) \$(COMPONENT)" | sort -u)
  [ -n "$entries" ] || die "apt knows no Debian archive yet; run 'apt-get update' as root first"
  mkdir -p "$deps/apt/lists/partial" "$deps/apt/cache/archives/partial"
  printf '%s\n' "$entries" >"$deps/apt/sources.list"
  say "reading the lists of Debian's source packages"
  private_apt apt-get update || die "the lists of Debian's source packages cannot be read"
}

# fetch <package>: unpacks Debian's source, its patches applied, as $deps/src/<package>.
fetch() {
  prepare_apt
  say "fetching the source of $1"
  rm -rf "${deps:?}/src/$1" "$deps/download/$1"
  mkdir -p "$deps/src" "$deps/download/$1"
  (cd "$deps/download/$1" && private_apt apt-get --download-only source "$1" >/dev/null)
  # apt has checked the archive's signature over the .dsc; the uploader's own key need not be known.
  dpkg-source --no-check --no-copy -x "$deps/download/$1"/*.dsc "$deps/src/$1" >"$deps/$1.log"
}

cmake_install() {
  local name=$1
  shift
  say "building $name"
  {
    rm -rf "${deps:?}/work/$name"
    cmake -S "$deps/src/$name" -B "$deps/work/$name" -G Ninja -Wno-dev \
      -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=OFF "${flags[@]}" \
      -DCMAKE_INSTALL_PREFIX="$prefix" -DCMAKE_INSTALL_LIBDIR=lib "$@" &&
      cmake --build "$deps/work/$name" --parallel "$jobs" &&
      cmake --install "$deps/work/$name"
  } >>"$deps/$name.log" 2>&1 || { tail -n 25 "$deps/$name.log" >&2; die "$name does not build, see $deps/$name.log"; }
}

# Debian's binary crashes on TLS, has no IPv6, takes seconds to stop and never rests; its source built so does not.
# OpenSSL is named, not located: then a dynamic and a static link both find theirs.
build_civetweb() {
  fetch civetweb
  patch -d "$deps/src/civetweb" -p1 <"$root/agent/packaging/civetweb.patch" >>"$deps/civetweb.log" ||
    die "civetweb.patch does not fit this civetweb"
  cmake_install civetweb \
    -DCIVETWEB_BUILD_TESTING=OFF -DCIVETWEB_ENABLE_SERVER_EXECUTABLE=OFF \
    -DCIVETWEB_ENABLE_CXX=OFF -DCIVETWEB_ENABLE_IPV6=ON -DCIVETWEB_DISABLE_CGI=ON \
    -DCIVETWEB_SERVE_NO_FILES=ON -DCIVETWEB_DISABLE_CACHING=ON \
    -DCIVETWEB_ENABLE_SSL_DYNAMIC_LOADING=OFF -DCIVETWEB_SSL_OPENSSL_API_1_1=OFF \
    -DOPENSSL_SSL_LIBRARY:STRING=ssl -DOPENSSL_CRYPTO_LIBRARY:STRING=crypto \
    -DCMAKE_C_FLAGS="-DOPENSSL_API_3_0 -DSOCKET_TIMEOUT_QUANTUM=50"
}

# HTTP/1.1 and 2, TLS, and nothing else: Debian's library pulls in thirty others. Names are resolved before
# curl hears of them (supervisor/src/curl_call.cc): a resolver of its own would cost each call 74 kB.
build_curl() {
  fetch curl
  # OpenSSL readies itself for its first connection; curl would do it for plain HTTP, too (1 MB of memory).
  sed -i '/^ *OPENSSL_init_ssl(flags, NULL);$/d' "$deps/src/curl/lib/vtls/openssl.c"
  ! grep -q 'OPENSSL_init_ssl(' "$deps/src/curl/lib/vtls/openssl.c" || die "curl readies OpenSSL in another way now"
  local unused=(ALTSVC COOKIES CRYPTO_AUTH DOH GETOPTIONS HSTS LIBCURL_OPTION MIME NETRC NTLM PARSEDATE
    PROGRESS_METER SHUFFLE_DNS SOCKETPAIR)
  unused=("${unused[@]/#/-DCURL_DISABLE_}")
  cmake_install curl "${unused[@]/%/=ON}" \
    -DBUILD_CURL_EXE=OFF -DBUILD_TESTING=OFF -DENABLE_MANUAL=OFF -DHTTP_ONLY=ON \
    -DENABLE_ARES=OFF -DENABLE_THREADED_RESOLVER=OFF \
    -DCURL_USE_LIBSSH2=OFF -DCURL_USE_LIBPSL=OFF -DUSE_LIBIDN2=OFF -DCURL_ZLIB=OFF \
    -DUSE_NGHTTP2=ON -DNGHTTP2_LIBRARY:STRING=nghttp2 \
    -DCURL_CA_BUNDLE=/etc/ssl/certs/ca-certificates.crt -DCURL_CA_PATH=none
}

build_prometheus-cpp() {
  fetch prometheus-cpp
  cmake_install prometheus-cpp -DENABLE_PULL=OFF -DENABLE_PUSH=OFF -DENABLE_TESTING=OFF -DENABLE_COMPRESSION=OFF
}

# once <package>: builds it unless this very recipe already did.
once() {
  local stamp=$prefix/stamps/$1 recipe version
  recipe=$(cat "${BASH_SOURCE[0]}" "$root"/agent/packaging/*.patch | sha256sum | cut -c1-16)
  if [ -f "$stamp" ] && [ "$(cut -d' ' -f2 "$stamp")" = "$recipe" ]; then
    say "$1 $(cut -d' ' -f1 "$stamp") is there"
    return
  fi
  "build_$1"
  version=$(sed -n 's/^Version: //p' "$deps/download/$1"/*.dsc | head -n 1)
  mkdir -p "$prefix/stamps"
  printf '%s %s\n' "$version" "$recipe" >"$stamp"
  rm -rf "${deps:?}/work/$1" "$deps/src/$1" "$deps/download/$1"
  say "$1 $version is installed in $prefix"
}

mkdir -p "$deps"
exec 9>"$deps/lock"
flock 9  # two runs at once would build in each other's folders
trap 'rm -rf "$deps/apt"' EXIT  # package lists grow stale; the next version is looked up afresh
case ${1:-} in
  '') once civetweb ;;
  --static)
    prefix=$deps/static
    # No exception passes through C, so its unwind tables would never be read.
    size="-Os -DNDEBUG -ffunction-sections -fdata-sections -fno-pie"
    flags=(-DCMAKE_C_FLAGS_RELEASE="$size -fno-asynchronous-unwind-tables" -DCMAKE_CXX_FLAGS_RELEASE="$size")
    for package in civetweb curl prometheus-cpp; do once "$package"; done
    ;;
  *) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; [ "$1" = --help ] ;;
esac
