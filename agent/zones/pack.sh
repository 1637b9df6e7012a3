#!/bin/bash
# Packs all time zones for the agent to carry: pack.sh OUTPUT
# From the text form in Debian's tzdata, compiled without what readers can compute. gzip of, for each name:
# a line "NAME SIZE", then SIZE bytes of TZif (RFC 8536). The same tzdata gives the same bytes.
set -euo pipefail

output=$1
source=/usr/share/zoneinfo/tzdata.zi
[ -r "$source" ] || { echo "zones: cannot read '$source'; install tzdata" >&2; exit 1; }
zic=$(PATH=$PATH:/usr/sbin:/sbin command -v zic) || { echo "zones: cannot find zic; install libc-bin" >&2; exit 1; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$zic" -b slim -d "$folder" "$source"
cd "$folder"
# Ordered by content, so that the many names of one zone lie side by side and cost next to nothing.
find . -type f -printf '%P\0' | xargs -0 sha256sum | LC_ALL=C sort | while read -r _ name; do
  printf '%s %s\n' "$name" "$(stat -c %s "$name")"
  cat "$name"
done | gzip -9n >"$output.part"
mv "$output.part" "$output"
