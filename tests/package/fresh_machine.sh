#!/bin/bash
# Proves both commands on a machine with nothing installed: a Debian root made by debootstrap, a clean clone in it.
#   sudo tests/package/fresh_machine.sh [FOLDER]
# FOLDER keeps the bare root for the next run; without it a scratch one is made and removed. Needs root and
# debootstrap; the quickstart's ports (WEB_PORT, ...) must be free. Not part of tests/run.sh, which it runs.
set -euo pipefail

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck disable=SC2016  # apt expands these
mirror=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' 'Origin: Debian' |
  awk '$2 == "bookworm" { print $1; exit }')
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
bare=${1:-$scratch/bare}
[ -d "$bare" ] || debootstrap --variant=minbase bookworm "$bare" "$mirror" >/dev/null

machine=$scratch/machine
cp -a "$bare" "$machine"
cp /etc/resolv.conf "$machine/etc/resolv.conf"
printf '127.0.0.1\tlocalhost\n::1\tlocalhost\n' >"$machine/etc/hosts"  # as Debian's installer does
[ ! -d /etc/apt/apt.conf.d ] || find /etc/apt/apt.conf.d -iname '*proxy*' -exec cp {} "$machine/etc/apt/apt.conf.d/" \;
git -c safe.directory='*' clone --quiet "$repo" "$machine/root/containerpilot"
cat >"$machine/root/prove" <<'SCRIPT'
#!/bin/bash
set -euo pipefail
cd /root/containerpilot
agent/quickstart.sh >/root/quickstart.log 2>&1 &
quickstart=$!
until grep -q 'Ctrl-C deregisters' /root/quickstart.log; do
  kill -0 "$quickstart" || { cat /root/quickstart.log; exit 1; }
  sleep 1
done
echo "fresh machine: the quickstart was up after $SECONDS s"
kill -TERM "$quickstart"
wait "$quickstart" || true
cat /root/quickstart.log
for process in /proc/[0-9]*; do
  case $(cat "$process/comm" 2>/dev/null || true) in nginx | containerpilot) echo "left behind: $process"; exit 1 ;; esac
done
[ ! -e build/quickstart ] || { echo "left behind: build/quickstart"; exit 1; }
ls /etc/rc2.d /etc/systemd/system/multi-user.target.wants 2>/dev/null |
  grep -E '^S.*(nginx|prometheus|etcd)|(nginx|prometheus|etcd).*service' && { echo "a service was left enabled"; exit 1; }
SECONDS=0
tests/run.sh
echo "fresh machine: all tests took $SECONDS s"
SCRIPT
chmod +x "$machine/root/prove"
# Mounts and processes live in namespaces of their own and end with them; the network is the host's loopback. A root
# that is a mount of its own, as a machine's is, lets tests make namespaces in turn.
# shellcheck disable=SC2016  # the inner shell expands these
unshare --mount --pid --fork --kill-child bash -euc '
  mount --bind "$0" "$0"
  cd "$0"
  mount --rbind /dev dev
  mount -t proc proc proc
  mount -t sysfs -o ro sysfs sys
  mount --rbind /sys/fs/cgroup sys/fs/cgroup 2>/dev/null || true
  pivot_root . mnt
  umount -l /mnt
  exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb /root/prove' "$machine"
