#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Clients come, use memory without a file, fork, are killed, and go. Afterwards
# frames, slots, slab objects and windows are back to where they were.
#
#   CLIENTS	how many; `make stress-anon' has 1,000
. "${0%/*}/lib.sh" || exit
. "${0%/*}/anonlib.sh"
: "${ANONCHURN:?names the anonchurn program}"
export TSAN_OPTIONS="${TSAN_OPTIONS:-} die_after_fork=0 report_mutex_bugs=0"
CLIENTS=${CLIENTS:-100}
SEED=${PAGEFS_SEED:-$RANDOM}

# Objects of the caches that clients need, and descriptors of the daemon.
objects() {
	awk '$1 ~ /^(mm_struct|vm_area_struct|page|radix_tree_node)$/ {
		print $1, $2 }' "$MNT/.pagefs/slabinfo"
	echo "descriptors $(ls "/proc/$DAEMON/fd" | wc -l)"
	echo "page tables $(stat_of nr_page_table_pages)"
	echo "windows $(stat_of nr_window_pages)"
}

# settled: as before, but for a few. Of nodes each thread may keep 33 for when it
# must not fail (radix-node.c), and more threads have been at work since.
settled() {
	nothing_left || return 1
	objects >"$T/after"
	paste -d' ' "$T/before" "$T/after" | awk \
		-v threads="$(ls "/proc/$DAEMON/task" | wc -l)" '
		{ was = $(NF / 2); is = $NF; more = 64 }
		$1 == "radix_tree_node" { was = 0; more += 33 * threads }
		is > was + more { print; bad = 1 }
		END { exit bad }' >"$T/more"
}

start --memory=32M --swap="$T/swap:128M"
# Once before: threads, caches and magazines are made when they are first needed.
check "a few clients, seed $SEED" timeout 300 "$ANONCHURN" --clients=10 \
	--seed=$((SEED + 1)) "$MNT"
wait_until 20 nothing_left || fail "something was left: $(grep -E \
	'nr_anon|committed' "$MNT/.pagefs/vmstat") $(cat "$MNT/.pagefs/swaps")"
objects >"$T/before"
# Eight at a time, with more than there is memory.
check "$CLIENTS clients" timeout $((120 + CLIENTS)) "$ANONCHURN" \
	--clients="$CLIENTS" --parallel=8 --pages=1500 --seed=$((SEED + 2)) "$MNT"
cat "$T/out"
check "what they had is free again" wait_until 30 settled
out=$(stat_of pswpout)
check "pages went to swap ($out)" test "$out" -gt 0
stop
