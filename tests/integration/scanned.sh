#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Stores that raise no fault and are found by scanning: of files opened with
# O_DIRECT, where the kernel can tell. Nothing may be lost by it, whatever ends.
. "${0%/*}/lib.sh" || exit
: "${PAGEFS_RUN:?names the pagefs-run program}"
: "${MAPTWINS:?names the maptwins program}"
: "${MAPCOUNT:?names the mapcount program}"
: "${TOP_BUILDDIR:?is where the test programs are}"
need python3
export MNT BACK
export TSAN_OPTIONS="${TSAN_OPTIONS:-} die_after_fork=0 report_mutex_bugs=0"
export PAGEFS_TEST_DIRECT=1
SEED=${PAGEFS_SEED:-$RANDOM$RANDOM}
SECONDS_EACH=${SECONDS_EACH:-3}
CLIENT=$TOP_BUILDDIR/tests/client
tests=${0%/*}

serve() {
	start "$@"
	wait_until 20 grep -q . "$MNT/.pagefs/socket" || fail "no socket"
}

# user NAME ARGUMENT...: a client of scanned.py
user() {
	timeout 120 "$PAGEFS_RUN" --direct python3 "$tests/scanned.py" "$@"
}

serve --memory=32M
check "a store is a store" user store "$MNT/first" 500
if [ "$(stat_of pgstored)" = 0 ] && [ "$(stat_of pgwpfault)" -gt 0 ]; then
	version=$(uname -r)
	major=${version%%.*} minor=${version#*.}
	[ "$((major * 100 + ${minor%%.*}))" -lt 607 ] ||
		fail "this kernel can tell what was stored to, and is not asked"
	skip "no PAGEMAP_SCAN before Linux 6.7"
fi
check "none of them was a fault" [ "$(stat_of pgwpfault)" = 0 ]
check "they were found" [ "$(stat_of pgstored)" -ge 500 ]

# ---- each way out, and what is in the store then ----

for how in msync munmap exit killed behind moved fsync; do
	check "stored, then $how: the store has it" \
		user "$how" "$MNT/$how" 300 "$BACK/$how"
done
echo 100 >"$MNT/.pagefs/vm/dirty_expire_centisecs"
echo 50 >"$MNT/.pagefs/vm/dirty_writeback_centisecs"
check "nobody syncs: it is there before long" \
	user periodic "$MNT/periodic" 300 "$BACK/periodic"
check "read(2) sees a store at once, write(2) is seen at once" \
	user coherent "$MNT/coherent" 200
check "the kernel's own mapping sees it before long" \
	user kernel "$MNT/kernel" 20
check "mtime tells" user mtime "$MNT/mtime" 1
check "a child's stores are found, too" user child "$MNT/child" 200 "$BACK/child"
check "read(2) with O_DIRECT into the mapping" \
	user pinned "$MNT/pinned" 200 "$BACK/pinned"
stop

# ---- the library's tests again ----

serve --memory=64M --allow-other
check "libpagefs maps, changes and unmaps" timeout 300 "$CLIENT/test_map"
check "children have what their parent has" timeout 300 "$CLIENT/test_fork"
stop

# ---- in little memory, against a model ----

serve --memory=16M
for how in '' --apart; do
	# shellcheck disable=SC2086
	check "maptwins --direct --seed=$SEED $how" \
		timeout $((SECONDS_EACH + 200)) "$MAPTWINS" --direct $how \
		--seed="$SEED" --seconds="$SECONDS_EACH" --len=16384 --procs=4 \
		--backing="$BACK" "$MNT"
done
check "mapcount --direct --seed=$SEED" \
	timeout $((SECONDS_EACH * 2 + 300)) "$MAPCOUNT" --direct --seed="$SEED" \
	--seconds="$SECONDS_EACH" --size=96 --procs=2 --threads=2 \
	--backing="$BACK/count" "$MNT/count"
check "more was demoted than fits" [ "$(stat_of pgdemote)" -gt 4096 ]
check "no page was planted behind the daemon's back" \
	[ "$(stat_of window_foreign)" = 0 ]
stop

# ---- the daemon ends before its client ----

serve --memory=32M
timeout 60 "$PAGEFS_RUN" --direct python3 "$tests/scanned.py" wait "$MNT/end" 300 \
	>"$T/wait.out" 2>&1 &
client=$!
wait_until 20 grep -q stored "$T/wait.out" || fail "no client: $(cat "$T/wait.out")"
kill "$DAEMON"
wait "$DAEMON" || fail "terminated with a client attached, it exits with $?"
DAEMON=
check "terminated, it has stored what its client had" \
	python3 "$tests/scanned.py" verify "$BACK/end" 300
kill $client
wait $client 2>/dev/null

# ---- not wanted ----

serve --memory=32M --track-stores=fault
check "--track-stores=fault" user store "$MNT/first" 500
check "each is a fault" [ "$(stat_of pgwpfault)" -ge 500 ]
check "nothing is scanned" [ "$(stat_of pgstored)" = 0 ]
stop
