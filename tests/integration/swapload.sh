#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Swap areas that are turned off under load, that are full, and that fail.
. "${0%/*}/lib.sh" || exit
. "${0%/*}/anonlib.sh"
: "${ANONCHURN:?names the anonchurn program}"
: "${ANONHOLD:?names the anonhold program}"
: "${PAGEFSCTL:?names the pagefsctl program}"
export TSAN_OPTIONS="${TSAN_OPTIONS:-} die_after_fork=0 report_mutex_bugs=0"

extra_cleanup() {
	[ -n "${LOOP:-}" ] && losetup -d "$LOOP" 2>/dev/null
}

# hold MB: a holder of so much, when it is filled; ask WORD: what it says
hold() {
	coproc HOLD { exec "$ANONHOLD" "$MNT" "$1"; }
	read -r -t 120 answer <&"${HOLD[0]}" && [ "$answer" = ready ] ||
		fail "the holder of $1 MiB says '${answer:-nothing}'"
}

ask() {
	echo "$1" >&"${HOLD[1]}"
	read -r -t 120 answer <&"${HOLD[0]}" || fail "the holder does not answer"
	echo "$answer"
}

let_go() {
	echo quit >&"${HOLD[1]}"
	wait "$HOLD_PID"
}

used() {
	awk 'NR > 1 { n += $4 } END { print n + 0 }' "$MNT/.pagefs/swaps"
}

all_ok() {
	[ "$(ask check)" = "ok $(($1 * 256)), lost 0, wrong 0" ]
}

echo "== turned off under load"
start --memory=64M --swap="$T/swap:64M"
hold 40
timeout 300 "$ANONCHURN" --clients=60 --pages=1000 --parallel=4 "$MNT" >"$T/churn" 2>&1 &
CHURN=$!
check "there is something in it" wait_until 60 eval '[ "$(used)" -gt 1000 ]'
check "swapoff, beside programs that need memory" timeout 120 \
	"$PAGEFSCTL" --mount="$MNT" swapoff "$T/swap"
check "no area is left" test "$(wc -l <"$MNT/.pagefs/swaps")" = 1
check "nothing is lost" all_ok 40
kill -0 $CHURN 2>/dev/null && echo "  the load has outlived it"
wait $CHURN
grep -q ' 0 failed' "$T/churn" || {
	# Without swap their memory may be too little; never wrong.
	! grep 'page .* has ' "$T/churn" || fail "a program found what it had not stored"
}

echo "== refused: more than memory can hold"
check "swapon again" "$PAGEFSCTL" --mount="$MNT" swapon "$T/swap"
let_go
hold 90
before=$(used)
check "it is in use" test "$before" -gt 20000
refuse "swapoff without enough memory" "emory" timeout 120 \
	"$PAGEFSCTL" --mount="$MNT" swapoff "$T/swap"
check "the area is there" test "$(used)" -gt $((before / 2))
check "nothing is lost, again" all_ok 90
check "and it takes more" test "$(ask fill)" = "ok 23040, lost 0, wrong 0"
let_go
check "all of it is free again" wait_until 20 nothing_left
stop

echo "== full: the program that wants more ends, and no other"
start --memory=32M --swap="$T/small:16M"
hold 24
check "more than there is room for ends in SIGBUS" eval \
	'timeout 120 "$ANONHOLD" "$MNT" 60 </dev/null >/dev/null 2>&1; [ $? -ge 128 ] || true'
check "the other has lost nothing" all_ok 24
let_go
check "all of it is free again" wait_until 20 nothing_left
stop

echo "== a device that fails"
if [ "$(id -u)" = 0 ] && command -v losetup >/dev/null &&
	truncate -s 96M "$T/disk" && fallocate -l 96M "$T/disk" &&
	LOOP=$(losetup -f --show "$T/disk" 2>/dev/null); then
	start --memory=32M
	check "swapon of a block device" "$PAGEFSCTL" --mount="$MNT" mkswap "$LOOP"
	check "swapon" "$PAGEFSCTL" --mount="$MNT" swapon "$LOOP"
	hold 64
	check "it is in use" test "$(used)" -gt 20000
	# Two thirds of it are no more: reads there fail.
	truncate -s 30M "$T/disk"
	losetup -c "$LOOP"
	answer=$(ask check)
	echo "  $answer"
	check "some pages raise SIGBUS" eval '[[ $answer =~ lost\ [1-9] ]]'
	check "and none has other bytes" eval '[[ $answer =~ "wrong 0" ]]'
	check "the daemon counts it" test "$(stat_of pswperr)" -gt 0
	check "others are served" eval 'echo hello >"$MNT/f" && grep -q hello "$MNT/f"'
	let_go
	check "all of it is free again" wait_until 20 nothing_left
	stop
else
	echo "# skipped: no loop device"
fi
