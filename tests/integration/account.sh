#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# What the trace says was written, why, and how long it took: the same as the
# device says, on a loop device; for each way of causing writeback; and with a
# device that is slow. Parts for which the machine has no loop devices, or no
# control groups that make them slow, are skipped, and the script counts as
# skipped then.
. "${0%/*}/lib.sh" || exit
. "${0%/*}/device.sh"
need python3
SECS=${SECS:-4}
RUN=${PAGEFS_RUN:--}
SKIPPED=0

extra_cleanup() {
	device_cleanup
}

skip_part() {
	echo "SKIP part: $*"
	SKIPPED=$((SKIPPED + 1))
}

account() {
	timeout 120 python3 -B "${0%/*}/account.py" "$1" "$MNT" "$BACK" "${@:2}"
}

# show: what the last check has printed
show() {
	sed 's/^/# /' "$T/out"
}

# ---- reasons ----

start --memory=64M
(exec 3<"$MNT/.pagefs/trace") 2>"$T/err" || {
	grep -q "not supported" "$T/err" && skip "built without trace points"
	fail "$(cat "$T/err")"
}
check "reason sync: fsync, fdatasync, O_DSYNC, msync, rename" account sync "$RUN"
show
check "reason background: above the threshold" account background
check "reason periodic: old" account periodic
check "reason throttled: while writers wait" account throttled
check "reason laptop: the disk is awake anyway" account laptop
stop
start --memory=16M
check "reason reclaim: memory is short" account reclaim
stop

# ---- the device ----

if make_device 256; then
	PLAIN=$BACK
	BACK=$T/fs/back
	mkdir "$BACK"
	start --memory=64M
	check "what is told of known writes is what the device got" \
		account device "${LOOP#/dev/}" "$SECS" "$RUN"
	show
	check "to the byte, in place" account exact "${LOOP#/dev/}"
	show
	dd if=/dev/zero of="$MNT/timed" bs=4k count=220 conv=fsync status=none
	echo 36000 >"$MNT/.pagefs/vm/dirty_expire_centisecs"
	if slow_for "$DAEMON" iops 50; then
		check "times in the queue and on the device, of a slow one" \
			account latency "${LOOP#/dev/}" 50
		show
		slow_no_more "$DAEMON"
	else
		skip_part "no control group makes a device slow here"
	fi
	stop
	BACK=$PLAIN
else
	skip_part "no loop device can be made here"
fi

[ $SKIPPED = 0 ] || skip "$SKIPPED parts of it"
