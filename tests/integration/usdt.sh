#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# USDT probes: all are in the daemon, and a tracer counts what .pagefs/trace says.
. "${0%/*}/lib.sh" || exit
: "${TOP_SRCDIR:?is where the sources are}"
need readelf

readelf -n "$PAGEFSD" 2>/dev/null >"$T/notes"
grep -q "Provider: pagefs" "$T/notes" || skip "built without sys/sdt.h"

# name as in include/trace.h
events=$(sed -n 's/^	_(\([a-z_]*\)).*/\1/p' "$TOP_SRCDIR/include/trace.h")
[ -n "$events" ] || fail "no names in include/trace.h"
for event in $events; do
	check "there is a probe $event, with a semaphore" awk -v n="$event" '
		$1 == "Name:" { name = $2 }
		/Semaphore: 0x0*[1-9a-f]/ && name == n { found = 1 }
		END { exit !found }' "$T/notes"
done

need_root
need bpftrace
bpftrace -e 'BEGIN { exit(); }' >"$T/out" 2>&1 ||
	skip "bpftrace does not work here: $(tail -1 "$T/out")"

start --memory=64M
cat >"$T/count.bt" <<-END
	usdt:$PAGEFSD:pagefs:writeback_dirty_page { @dirty = count(); }
	usdt:$PAGEFSD:pagefs:writeback_pages { @bytes = sum(arg2); @us = max(arg5); @reason[arg3] = count(); }
END
timeout 60 bpftrace -p "$DAEMON" "$T/count.bt" >"$T/counted" 2>"$T/bpftrace.err" &
tracer=$!
wait_until 20 grep -q "Attaching" "$T/counted" ||
	skip "bpftrace does not attach: $(tail -1 "$T/bpftrace.err")"
sleep 2
gone $tracer && skip "bpftrace has ended: $(tail -1 "$T/bpftrace.err")"

# Nobody reads .pagefs/trace: the semaphores alone open the gates.
dd if=/dev/zero of="$MNT/f" bs=4096 count=37 conv=fsync status=none
kill -INT $tracer
wait $tracer 2>/dev/null
cat "$T/counted"
check "37 pages became dirty" grep -qx '@dirty: 37' "$T/counted"
check "37 pages were written" grep -qx "@bytes: $((37 * 4096))" "$T/counted"
check "for the reason sync" grep -q '^@reason\[2\]: [1-9]' "$T/counted"
check "their time was taken" grep -qxE '@us: [1-9][0-9]{0,8}' "$T/counted"

# And it has closed them again: nothing is noted, no more is counted.
check "the mount works without the tracer" sh -c "echo x >'$MNT/f' && sync '$MNT/f'"
stop
