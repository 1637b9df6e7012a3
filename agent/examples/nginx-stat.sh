#!/bin/sh
# Prints one number from nginx's stub_status page: nginx-stat.sh active|requests
set -eu
page=$(curl --fail --silent --show-error "http://127.0.0.1:${WEB_PORT:-8080}/stub_status")
case ${1:-} in
  active) echo "$page" | sed -n 's/^Active connections: *\([0-9]*\).*/\1/p' ;;
  requests) echo "$page" | sed -n '3s/^ *[0-9]* *[0-9]* *\([0-9]*\).*/\1/p' ;;
  *) echo "usage: nginx-stat.sh active|requests" >&2; exit 2 ;;
esac
