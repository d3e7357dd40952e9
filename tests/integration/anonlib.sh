# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# anonlib.sh - for tests of memory without a file; sourced after lib.sh

# The most memory there is behind the daemon's memfds, the arena and windows, from
# now on, goes to $T/budget.
watch_budget() {
	rm -f "$T/budget.end"
	python3 "${BASH_SOURCE[0]%/*}/memfds.py" "$DAEMON" "$T/budget.end" \
		>"$T/budget" &
	BUDGET_PID=$!
}

# budget_held NAME: since watch_budget
budget_held() {
	local most total

	: >"$T/budget.end"
	wait "$BUDGET_PID"
	most=$(cat "$T/budget")
	total=$(awk '$1 == "MemTotal:" { print $2 * 1024 }' "$MNT/.pagefs/meminfo")
	[ "$most" -gt 0 ] || fail "$1: no memory was seen at all"
	# A window's page is charged before it is there, never after.
	[ "$most" -le "$total" ] ||
		fail "$1: $most bytes were in memory, of $total"
	echo "  at most $((most >> 20)) MiB of $((total >> 20)) in memory"
}

# swapped_more MB NAME COMMAND...: it must make the daemon write so much to swap
swapped_more() {
	local mb=$1 name=$2 was is
	shift 2

	was=$(stat_of pswpout)
	"$@"
	is=$(stat_of pswpout)
	[ $(((is - was) >> 8)) -ge "$mb" ] ||
		fail "$name: only $(((is - was) >> 8)) MiB went to swap"
	echo "  $(((is - was) >> 8)) MiB to swap"
}

# No client is left, no page of memory without a file, no slot.
nothing_left() {
	local used

	used=$(awk 'NR > 1 { n += $4 } END { print n + 0 }' "$MNT/.pagefs/swaps")
	[ "$(stat_of nr_anon_pages)" = 0 ] && [ "$used" = 0 ] &&
		[ "$(stat_of nr_committed_as)" = 0 ]
}
