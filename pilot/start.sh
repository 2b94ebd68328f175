#!/bin/sh
# Starts the packed pilot on a batch node: start.sh BOOT_FILE. Takes the node's own Node.js where it is new enough, else the one
# that lies beside this file. The pilot takes the shell's place, so that signals of the batch system reach it.
trap 'echo "ended before the pilot had started" >&2; exit 0' TERM INT HUP USR1 USR2 XCPU
boot=$1
here=$(cd "$(dirname "$0")" && pwd) || exit 2

fail() {
  echo "error: $1" >&2
  exit 2
}

fits() {
  [ -x "$1" ] || { [ -z "$1" ] || echo "$1 cannot be run here"; return 1; }
  "$1" -e 'const [a, b] = process.versions.node.split(".").map(Number);
    if (a > 20 || (a === 20 && b >= 19)) process.exit(0);
    console.log(`${process.execPath} is Node.js ${process.versions.node}`); process.exit(1)' 2>&1
}

[ -r "$boot" ] || fail "the boot file $boot cannot be read"
own=$(command -v node 2>/dev/null || echo "")
if said=$(fits "$own"); then node=$own; checked=pilot.mjs; else node=$here/node; checked='pilot.mjs|node'; fi
(cd "$here" && grep -E "  ($checked)\$" SHA256SUMS | sha256sum -c - >/dev/null) ||
  fail "the pilot in $here is damaged (sha256): unpack its archive again"
also=$(fits "$node") || fail "no Node.js 20.19 or newer works here: ${said:-none in PATH}; $(echo "$also" | tail -n 1)"
exec "$node" "$here/pilot.mjs" --boot "$boot"
