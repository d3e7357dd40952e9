#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A tree of processes that fork, store, kill each other and look at what they
# have: memory without a file, copies of files, shared memory. More of it than
# the daemon has memory for. When all have gone nothing is left of theirs.
#
#   SECONDS_EACH, PROCS, PAGES, MEMORY, SWAP; PAGEFS_SEED repeats a run
. "${0%/*}/lib.sh" || exit
. "${0%/*}/anonlib.sh"
: "${FORKTREE:?names the forktree program}"
# A child starts threads there, which ThreadSanitizer calls unsupported; it works.
export TSAN_OPTIONS="${TSAN_OPTIONS:-} die_after_fork=0 report_mutex_bugs=0"
SECONDS_EACH=${SECONDS_EACH:-10}
PROCS=${PROCS:-64}
PAGES=${PAGES:-256}
MEMORY=${MEMORY:-64M}
SWAP=${SWAP:-512M}

takes_clients() {
	[ -n "$(cat "$MNT/.pagefs/socket")" ]
}

# grow NAME OPTION...: a tree
grow() {
	local name=$1
	shift
	check "$name" timeout $((300 + SECONDS_EACH)) "$FORKTREE" \
		--seconds="$SECONDS_EACH" --seed="${PAGEFS_SEED:-0}" "$@" "$MNT/file"
	sed 's/^/  /' "$T/out"
	check "... and nothing is left of it" wait_until 20 nothing_left
}

start --memory="$MEMORY" --swap="$T/swap:$SWAP"
wait_until 5 takes_clients || skip "no userfaultfd for the daemon here"
watch_budget
grow "up to $PROCS processes, more than fits into memory" --procs="$PROCS" \
	--pages="$PAGES"
check "pages went to swap" test "$(stat_of pswpout)" -gt 0
budget_held "a tree of processes"
stop

start --memory=128M
wait_until 5 takes_clients
grow "16 processes, in memory alone" --procs=16 --pages=64
stop
