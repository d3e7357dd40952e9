#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Swap areas are turned off with programs' memory in them: it comes back, as it
# was; and where there is no room for it, the area stays.
. "${0%/*}/lib.sh" || exit
. "${0%/*}/anonlib.sh"
: "${PAGEFSCTL:?names the pagefsctl program}"
: "${PAGEFS_RUN:?names the pagefs-run program}"
need python3
S=$T/swap
C=$MNT/.pagefs
mkdir "$S"
mkfifo "$T/ask" "$T/say"
holder=
extra_cleanup() {
	[ -z "$holder" ] || kill "$holder" 2>/dev/null
}

ctl() {
	timeout 120 "$PAGEFSCTL" -m "$MNT" "$@"
}
# kb NAME: of meminfo
kb() {
	awk -v n="$1:" '$1 == n { print $2 }' "$C/meminfo"
}
used_kb() {
	awk 'NR > 1 { n += $4 } END { print n + 0 }' "$C/swaps"
}
# run MB: a program that fills so much memory, and ends
run() {
	timeout 120 "$PAGEFS_RUN" --anon --mount="$MNT" -- python3 -c '
import os, sys
a = bytearray(os.urandom(1 << 20)) * int(sys.argv[1])
assert a[:99] == a[-(1 << 20):][:99]
' "$1"
}
# hold MB: one that fills so much and stays, and can be asked
hold() {
	timeout 300 "$PAGEFS_RUN" --anon --mount="$MNT" -- python3 -c '
import hashlib, random, sys
a = bytearray(random.Random(1).randbytes(int(sys.argv[1]) << 20))
was = hashlib.sha256(a).digest()
with open(sys.argv[3], "w") as say:
    print("filled", file=say, flush=True)
    for line in open(sys.argv[2]):
        same = hashlib.sha256(a).digest() == was
        print("same" if same else "other", file=say, flush=True)
' "$1" "$T/ask" "$T/say" &
	holder=$!
	exec 4<"$T/say" 3>"$T/ask"
	read -r -t 120 word <&4 && [ "$word" = filled ] || fail "the program says $word"
}
is_same() {
	echo >&3
	read -r -t 120 word <&4 && [ "$word" = same ]
}
let_go() {
	exec 3>&- 4<&-
	wait "$holder" || fail "the program ended with $?"
	holder=
}

# ---- there is room ----

start --memory=96M --swap="$S/area:256M"
hold 40
check "others push it out" run 120
[ "$(used_kb)" -ge 4096 ] || fail "only $(used_kb) kB are in swap"
echo "  $(used_kb) kB in swap"
in=$(stat_of pswpin)
# The mount serves meanwhile.
(while [ ! -e "$T/enough" ]; do echo hello >"$MNT/f" && cat "$MNT/f"; done >/dev/null) &
server=$!
check "swapoff" ctl --json swapoff "$S/area"
: >"$T/enough"
wait $server
cp "$T/out" "$T/json"
check "says what it was" python3 -c '
import json, sys
j = json.load(open(sys.argv[1]))
assert j["state"] == "done" and j["left_kb"] == 0 and j["used_kb"] >= 4096, j
' "$T/json"
check "it was read" [ "$(stat_of pswpin)" -gt "$in" ]
check "there is no swap any more" [ "$(used_kb),$(kb SwapTotal)" = 0,0 ]
check "nobody has the file" flock -n "$S/area" true
check "the memory is as it was" is_same

# ---- to another area ----

check "two areas" ctl swapon "$S/area" "$S/other:256M:5"
check "others push it out again" run 120
[ "$(used_kb)" -ge 4096 ] || fail "only $(used_kb) kB are in swap"
check "the other goes" ctl swapoff "$S/other"
check "the first stays" grep -q "^$S/area " "$C/swaps"
check "the memory is still as it was" is_same
let_go
wait_until 10 nothing_left || fail "something is left"
check "swapoff of an empty area" ctl swapoff --all
stop

# ---- there is none ----

start --memory=32M --swap="$S/area"
hold 64
[ "$(used_kb)" -ge 16384 ] || fail "only $(used_kb) kB are in swap"
refuse "swapoff without room" "not enough memory" ctl swapoff "$S/area"
check "swapoff says so afterwards" grep -q "^$S/area.*failed.*not enough memory" "$C/swapoff"
check "the area is used as before" [ "$(kb SwapTotal)" -gt 0 ]
check "the memory is as it was" is_same

# ---- while it is at it ----

ctl swapoff "$S/area" >"$T/off" 2>&1 &
off=$!
check "the daemon is told to end while it is at it" sh -c \
	"'$PAGEFSCTL' -m '$MNT' swaps && kill -TERM $DAEMON"
wait "$DAEMON" || fail "the daemon ended with $?"
DAEMON=
wait $off
exec 3>&- 4<&-
kill "$holder" 2>/dev/null
wait "$holder"
holder=
check "the end gives the area back" flock -n "$S/area" true
