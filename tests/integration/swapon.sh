#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Swap areas that hold nothing: --swap, pagefsctl mkswap, swapon, swapoff, swaps;
# what is refused, each with words of its own.
. "${0%/*}/lib.sh" || exit
: "${PAGEFSCTL:?names the pagefsctl program}"
need flock python3 stat truncate
unset PAGEFS_MOUNT
S=$T/swap
C=$MNT/.pagefs
mkdir "$S" "$T/back2" "$T/mnt2"

ctl() {
	timeout 60 "$PAGEFSCTL" -m "$MNT" "$@"
}
mkswap() {
	timeout 60 "$PAGEFSCTL" mkswap "$@"
}
daemon() {
	timeout 60 "$PAGEFSD" --foreground --memory=16M "$@" "$BACK" "$MNT"
}
# kb NAME: of meminfo
kb() {
	awk -v n="$1:" '$1 == n { print $2 }' "$C/meminfo"
}
# damage FILE OFFSET [sum]: one byte is another; the sum is right again
damage() {
	python3 - "$@" <<-'PY'
	import sys, zlib
	with open(sys.argv[1], "r+b") as f:
	    page = bytearray(f.read(4096))
	    page[int(sys.argv[2])] ^= 0x55
	    if len(sys.argv) > 3:
	        page[84:88] = bytes(4)
	        page[84:88] = zlib.crc32(page).to_bytes(4, "little")
	    f.seek(0)
	    f.write(page)
	PY
}
# area NAME: a new one of 1 MiB
area() {
	rm -f "$S/$1"
	mkswap "$S/$1" 1M >/dev/null || fail "mkswap $1"
}

# ---- made ----

check "mkswap makes a file" mkswap "$S/made" 1M
check "for its owner alone" [ "$(stat -c %a,%s "$S/made")" = 600,1048576 ]
check "with all its blocks" [ "$(stat -c %b "$S/made")" -ge 2048 ]
check "it does so again" mkswap "$S/made"
check "and says so to programs" mkswap --json "$S/made"
[ "$(cat "$T/out")" = "{\"path\":\"$S/made\",\"size_kb\":1020}" ] || fail "JSON: $(cat "$T/out")"
refuse "mkswap of nothing" "say its size" mkswap "$S/none"
refuse "mkswap of too little" "too small" mkswap "$S/none" 36K
refuse "mkswap without a size that is one" "not a size" mkswap "$S/none" 1Q
refuse "mkswap of a directory" "directory" mkswap "$S"
head -c 1M /dev/urandom >"$S/letters"
cp "$S/letters" "$S/letters.copy"
refuse "mkswap of somebody's file" "there is something" mkswap "$S/letters"
check "which is as it was" cmp "$S/letters" "$S/letters.copy"
truncate -s 1M "$S/sparse"
refuse "mkswap of a file with holes" "has holes" mkswap "$S/sparse"
refuse "mkswap of an area in use" "in use by a pagefsd" \
	flock "$S/made" "$PAGEFSCTL" mkswap "$S/made"
check "mkswap --force of somebody's file" mkswap -f -L name "$S/letters"

# ---- refused at the start ----

refuse "--swap=" "no path" daemon --swap=
refuse "--swap of nothing" "swap: $S/none: No such file" daemon --swap="$S/none"
refuse "--swap of no size" "1Q is not a size" daemon --swap="$S/none:1Q"
refuse "--swap of no priority" "40000 is not a priority" daemon --swap="$S/none:1M:40000"
refuse "--swap of too little" "too small" daemon --swap="$S/none:1K"
check "nothing was made" [ ! -e "$S/none" ]
refuse "--swap without room" "cannot make a swap area" daemon --swap="$S/huge:900T"
check "nor is it there" [ ! -e "$S/huge" ]
refuse "--swap of a directory" "neither a file nor a block device" daemon --swap="$S"
refuse "--swap of a file that is none" "$S/letters.copy: has no header" \
	daemon --swap="$S/letters.copy:1M"
check "which is as it was, too" [ "$(stat -c %s "$S/letters.copy")" = 1048576 ]
area magic
damage "$S/magic" 0 sum
refuse "another magic" "magic: has no header" daemon --swap="$S/magic"
area version
damage "$S/version" 16 sum
refuse "another version" "version: a swap area of another version" daemon --swap="$S/version"
area damaged
damage "$S/damaged" 500
refuse "a damaged header" "damaged: the header of the swap area is damaged" \
	daemon --swap="$S/damaged"
area short
truncate -s 512K "$S/short"
refuse "a file cut short" "short: has only 524288 bytes" daemon --swap="$S/short"
area holes
truncate -s 4K "$S/holes"
truncate -s 1M "$S/holes"
refuse "a file with holes" "holes: has holes" daemon --swap="$S/holes"
area held
refuse "a file in use by another daemon" "held: in use by another pagefsd" \
	flock "$S/held" "$PAGEFSD" --foreground --swap="$S/held" "$BACK" "$MNT"
refuse "a file in the backing directory" "lies in the backing directory" \
	daemon --swap="$BACK/swap:1M"
refuse "a file in the mount" "lies in the mount" daemon --swap="$MNT/swap:1M"
check "neither was left there" [ ! -e "$BACK/swap" ]
refuse "a good one and a bad one" "none: No such file" \
	daemon --swap="$S/held" --swap="$S/none"
check "nothing is mounted after all this" sh -c "! grep -q '$T' /proc/self/mounts"
refuse "-o swap= of nothing" "No such file" daemon -o "swap=$S/none"

# ---- used ----

start --memory=64M --swap="$S/first:1M:5" --swap="$S/held"
wait_until 10 grep -q held "$C/swaps" || fail "not turned on at the start"
check "the file was made" [ "$(stat -c %a,%s "$S/first")" = 600,1048576 ]
printf 'Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n' >"$T/want"
for f in "first 5" "held -2"; do
	p="$S/${f% *}"
	n=$((40 - ${#p}))
	printf '%s%*sfile\t\t1020\t\t0\t\t%s\n' "$p" $((n > 0 ? n : 1)) "" "${f#* }"
done >>"$T/want"
check "swaps is as Linux's" diff "$C/swaps" "$T/want"
check "meminfo counts them" [ "$(kb SwapTotal),$(kb SwapFree),$(kb SwapCached)" = 2040,2040,0 ]
check "pagefsctl swaps" sh -c "'$PAGEFSCTL' -m '$MNT' swaps | grep -q '^file  *1.0M  *0  *5  $S/first'"
check "pagefsctl swaps --json" python3 -c '
import json, sys
j = json.loads(sys.argv[1])
assert [(a["path"], a["priority"]) for a in j["swaps"]] == [(sys.argv[2] + "/first", 5), (sys.argv[2] + "/held", -2)], j
assert all(a["size_kb"] == 1020 and a["used_kb"] == 0 and a["type"] == "file" for a in j["swaps"])
' "$(ctl --json swaps)" "$S"

check "swapon makes one more" ctl swapon "$S/more:2M:7"
check "it is in swaps" grep -q "$S/more.*2044.*7" "$C/swaps"
refuse "swapon of the same" "more: is a swap area here already" ctl swapon "$S/more"
ln -s more "$S/link"
refuse "swapon by a link" "more: is a swap area here already" ctl swapon "$S/link"
refuse "swapon of nothing" "none: No such file" ctl swapon "$S/none"
refuse "swapon of a file in the mount" "lies in the mount" ctl swapon "$MNT/f:1M"
check "it was not left there" [ ! -e "$MNT/f" ]
refuse "swapon of a damaged one" "is damaged" ctl swapon "$S/damaged"
refuse "swapon of no size" "1Q is not a size" ctl swapon "$S/none:1Q"
refuse "mkswap of one that is used" "in use by a pagefsd" mkswap "$S/more"
refuse "a second daemon with one that is used" "in use by another pagefsd" \
	"$PAGEFSD" --foreground --memory=16M --swap="$S/more" "$T/back2" "$T/mnt2"
check "by a relative path" sh -c "cd '$S' && '$PAGEFSCTL' -m '$MNT' swapoff more"
check "it is gone from swaps" sh -c "! grep -q more '$C/swaps'"
check "and can be locked" flock -n "$S/more" true
check "and be used again" ctl swapon "$S/more"
check "below all others" grep -q "$S/more.*-3" "$C/swaps"
check "swapoff for programs" ctl --json swapoff "$S/more"
[ "$(cat "$T/out")" = "{\"path\":\"$S/more\",\"state\":\"done\",\"left_kb\":0,\"used_kb\":0,\"error\":null}" ] ||
	fail "JSON: $(cat "$T/out")"
refuse "swapoff of none" "no swap area of" ctl swapoff "$S/more"
refuse "swapoff without a file" "a file is missing" ctl swapoff

# Without pagefsctl.
echo "$S/more" >"$C/swapon" || fail "echo to swapon"
check "echo turns on" grep -q more "$C/swaps"
refuse "and fails" "resource busy" bash -c "echo '$S/more' >'$C/swapon'"
echo "$S/more" >"$C/swapoff" || fail "echo to swapoff"
wait_until 10 sh -c "! grep -q more '$C/swaps'" || fail "echo does not turn off"
check "swapoff says how it ended" grep -q "^$S/more.*done" "$C/swapoff"
check "both are for the owner alone" [ "$(stat -c %a "$C/swapon" "$C/swapoff" | xargs)" = "600 600" ]

# The mount serves meanwhile, and what is in its way.
for _ in 1 2 3 4 5 6 7 8; do
	timeout 30 "$PAGEFSCTL" -m "$MNT" swapon "$MNT/a/b/c:1M" 2>/dev/null &
done
echo hello >"$MNT/f"
wait $(jobs -p | grep -v "^$DAEMON$")
check "many at once" grep -q hello "$MNT/f"

check "swapoff --all" ctl swapoff --all
check "nothing is left" [ "$(wc -l <"$C/swaps"),$(kb SwapTotal)" = 1,0 ]
ctl swapon "$S/more" || fail "swapon"
stop
check "the end gives it back" flock -n "$S/more" true

chmod 644 "$S/more"
: >"$T/daemon.log"
start --memory=16M --swap="$S/more"
wait_until 10 grep -q insecure "$T/daemon.log" || fail "loose rights are not warned of"
echo "ok - loose rights are warned of"
stop
