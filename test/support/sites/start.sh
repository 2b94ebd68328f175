#!/bin/bash
# A site: an operating system of its own on an overlay of ROOT, with its own network (10.77.INDEX.2; the outside is .1), host name
# and processes. Runs until its first process is ended, which loses the site at once with all that runs there.
# Usage: start.sh NAME INDEX DIRECTORY ROOT SHARED_PATH... ; prints "ready".
set -euo pipefail
name=$1 index=$2 directory=$3 base=$4
shift 4

mkdir -p "$directory"/{upper,work,root}
mountpoint -q "$directory/root" ||
  mount -t overlay overlay -o "lowerdir=$base,upperdir=$directory/upper,workdir=$directory/work" "$directory/root"
if [[ ! -e /run/netns/$name ]]; then
  ip netns add "$name"
  ip link add "v$name-o" type veth peer name "v$name-i"
  ip link set "v$name-i" netns "$name"
  ip addr add "10.77.$index.1/24" dev "v$name-o"
  ip link set "v$name-o" up
  ip -n "$name" addr add "10.77.$index.2/24" dev "v$name-i"
  ip -n "$name" link set "v$name-i" up
  ip -n "$name" link set lo up
fi
printf '127.0.0.1 localhost\n10.77.%s.2 %s\n' "$index" "$name" >"$directory/root/etc/hosts"
mkdir -p "$directory/root/.old"
for path in "$@"; do mkdir -p "$directory/root$path"; done

exec ip netns exec "$name" unshare --mount --propagation private --uts --pid --fork --kill-child bash -c '
set -e
name=$1 root=$2
shift 2
hostname "$name"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount --rbind /sys "$root/sys"
for path in "$@"; do mount --rbind "$path" "$root$path"; done
mount --rbind "$root" "$root"
cd "$root"
pivot_root . .old
umount -l /.old
mount -t tmpfs tmpfs /run
mkdir -p /run/lock
echo ready
trap : TERM
while :; do sleep 1000 & wait; done' site "$name" "$directory/root" "$@"
