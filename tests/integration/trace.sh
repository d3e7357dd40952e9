#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# .pagefs/trace: its account is the backing file's, reasons are right, readers
# wait, are woken, interrupted, killed, too slow, too many.
. "${0%/*}/lib.sh" || exit
need python3

# Seconds until dirty pages are old; less where it can be set.
EXPIRE=30
PY="${0%/*}/trace.py"
# Sanitizers make noting an event, not only the rest, slow.
SLACK=1.5
[ "${PROGRAM_MB:-32}" -le 32 ] || SLACK=4

trace() {
	timeout 120 python3 -B "$PY" "$1" "$MNT" "$BACK" "${@:2}"
}

start --memory=64M
if [ ! -e "$MNT/.pagefs/trace" ]; then
	fail "no .pagefs/trace"
fi
cat "$MNT/.pagefs/trace" >/dev/null 2>"$T/err" &
pid=$!
sleep 0.2
grep -q "not supported" "$T/err" && skip "built without trace points"
kill "$pid"
wait "$pid" 2>/dev/null

tunable=$MNT/.pagefs/vm/dirty_expire_centisecs
if [ -w "$tunable" ] && echo 300 >"$tunable" 2>/dev/null; then
	EXPIRE=3
fi
# Written when it is old, which takes its time.
echo "dirty for a while" >"$MNT/old"

check "what fsync writes is told: all, once, with its reason" trace fsync
check "the age is the oldest page's" trace age
check "filters by event and by file" trace filter
check "reads of any size get all" trace small_reads
check "read waits, a signal ends it" trace blocking
check "20 readers get all that is theirs" trace twenty
check "64 readers wait, all is served, the 65th is refused" trace many
check "a reader that sleeps is told what it lost, and slows nobody" trace slow $SLACK
if [ -n "${PAGEFS_RUN:-}" ] && [ -e "$(cat "$MNT/.pagefs/socket")" ]; then
	check "faults of programs that map files" trace faults "$PAGEFS_RUN"
else
	echo "# no clients here: faults are not tested"
fi
# With a short expiry that has been written already: once more.
[ $EXPIRE = 30 ] || echo "dirty for a moment" >"$MNT/old"
check "old pages are written for the reason periodic" trace periodic "$EXPIRE"
check "above the threshold the reason is background" trace background

# The end of the mount: end TEST, with its program at work; it, and the daemon,
# succeed. Milliseconds until the daemon was gone are in $TOOK.
end() {
	local pid began

	rm -f "$T/end.out"
	timeout 60 python3 -B "$PY" "$1" "$MNT" "$BACK" >"$T/end.out" 2>&1 &
	pid=$!
	wait_until 10 grep -q ready "$T/end.out" ||
		fail "no reader: $(cat "$T/end.out")"
	began=$(date +%s%N)
	kill -TERM "$DAEMON"
	wait "$DAEMON" || fail "exit status $? after SIGTERM"
	TOOK=$((($(date +%s%N) - began) / 1000000))
	DAEMON=
	wait "$pid" || fail "$(cat "$T/end.out")"
}

end umount
echo "ok - what is written at the end is told, and then that it is the end"
start --memory=16M
end idle
# A second is what readers have; the rest is for a busy machine.
check "who does not read is not waited for ($TOOK ms)" [ "$TOOK" -lt 5000 ]

if [ "$(id -u)" = 0 ]; then
	start --memory=16M
	cat "$MNT/.pagefs/trace" >"$T/seen" 2>&1 &
	pid=$!
	wait_until 10 sh -c "echo x >'$MNT/f'; grep -q dirty_page '$T/seen'" ||
		fail "no reader"
	refuse "umount finds a mount busy whose trace is read" busy umount "$MNT"
	check "umount -l takes the name" umount -l "$MNT"
	sleep 0.3
	check "the reader reads on" kill -0 "$pid"
	kill "$pid"
	wait "$pid" 2>/dev/null
	wait_until 10 gone "$DAEMON" || fail "the daemon waits for a killed reader"
	wait "$DAEMON" || fail "exit status $? after umount -l"
	check "what it left dirty is written" grep -qx x "$BACK/f"

	start --memory=16M
	cat "$MNT/.pagefs/trace" >/dev/null 2>&1 &
	pid=$!
	sleep 0.3
	umount -f "$MNT" 2>/dev/null
	wait_until 10 gone "$pid" || fail "a reader waits after umount -f"
	wait "$pid"
	wait_until 10 gone "$DAEMON" || fail "the daemon waits after umount -f"
	wait "$DAEMON"
	DAEMON=
	is_mounted && umount "$MNT"
	echo "ok - umount -f ends reader and daemon"

	start --memory=16M --allow-other
	chmod 755 "$T" "$MNT"
	check "only root and the daemon's user may listen" trace rights
	stop
fi
