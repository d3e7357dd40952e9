#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# One client, many, then two, on a daemon that is stopped and continued; umount
# and SIGTERM while they work; mounts in quick succession. Every request is
# answered, and the daemon exits with 0 every time.
#
# What many workers do at once is seen here alone: with one client they take
# turns, and the hand-over hides races from ThreadSanitizer.
. "${0%/*}/lib.sh"
need python3
CYCLES=${CYCLES:-10}
SECS=${SECS:-2}

# Relative names: after umount -l they still reach the mount.
cat >"$T/client.py" <<'PY'
import errno, os, random, sys, time
tag, end = sys.argv[1], time.time() + float(sys.argv[2])
n = 0
def work():
    name = "c%s.%d" % (tag, n % 7)
    fd = os.open(name, os.O_CREAT | os.O_RDWR)
    try:
        data = os.urandom(random.randint(1, 70000))
        os.pwrite(fd, data, 0)
        if n % 5 == 0:
            os.fsync(fd)
        if n % 3 == 0:
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        assert os.pread(fd, len(data), 0) == data
    finally:
        os.close(fd)
    for i in range(random.randint(0, 60)):
        assert not os.access("none%d" % random.getrandbits(40), os.F_OK)
    if n % 4 == 0:
        os.unlink(name)
try:
    while time.time() < end:
        work()
        n += 1
except OSError as e:
    # the daemon has ended, if it was told to
    if len(sys.argv) < 4 or e.errno not in (errno.ENOTCONN, errno.ECONNABORTED):
        raise
PY

# clients NUMBER [may-end]: in the background
clients() {
	CLIENTS=
	for c in $(seq "$1"); do
		(cd "$MNT" && exec timeout -s KILL $((SECS + 60)) \
			python3 "$T/client.py" "$c" "$SECS" ${2:-}) 2>>"$T/clients.err" &
		CLIENTS="$CLIENTS $!"
	done
}

wait_clients() {
	for c in $CLIENTS; do
		wait "$c" || fail "$1: a client ended with $?: $(cat "$T/clients.err")"
	done
}

# wait_daemon WHAT: it has been told to end.
wait_daemon() {
	local status=0
	wait_until 90 gone "$DAEMON" || fail "$1: the daemon does not end"
	wait "$DAEMON" || status=$?
	DAEMON=
	[ $status = 0 ] || fail "$1: pagefsd exited with $status"
}

for cache in through none writeback; do
	start --memory=16M --cache=$cache
	for nr in 1 8 2; do
		clients $nr
		for i in $(seq $((SECS * 3))); do
			kill -STOP "$DAEMON"
			sleep 0.0$((RANDOM % 9 + 1))
			kill -CONT "$DAEMON"
			sleep 0.2
		done
		wait_clients "$nr clients, cache=$cache"
		echo "ok - $nr clients, stopped and continued, cache=$cache"
	done
	stop
done

# Programs that begin others with files open: their kernel closes those in
# execve(2), and until we have answered nobody can look at what they are.
start --memory=16M
timeout 60 python3 - "$MNT" >"$T/exec.out" 2>&1 <<'PY' &
import os, sys
for i in range(200):
    fd = os.open(sys.argv[1] + "/exec%d" % (i % 5), os.O_RDWR | os.O_CREAT)
    for n in range(100):        # one caller, who is followed
        os.pwrite(fd, b"x" * 100, 100 * n)
    pid = os.fork()
    if not pid:
        for n in range(i % 20):
            os.pwrite(fd, b"y", n)
        os.execv("/bin/true", ["true"])
    assert os.waitpid(pid, 0)[1] == 0
    os.close(fd)
PY
wait_until 60 gone $! || fail "a program that begins another with files open hangs"
wait $! || fail "programs that begin others: $(cat "$T/exec.out")"
echo "ok - programs that begin others with files open"
stop

for nr in 1 5; do
	for how in "umount -l $MNT" 'kill -TERM'; do
		[ "$(id -u)" = 0 ] || [ "$how" = 'kill -TERM' ] || how="fusermount3 -uz $MNT"
		start --memory=16M
		clients $nr may-end
		sleep 0.$((RANDOM % 9 + 1))
		case $how in
		kill*) kill -TERM "$DAEMON" ;;
		*) $how || fail "$how" ;;
		esac
		wait_clients "$how"
		wait_daemon "$how"
		echo "ok - $how under the load of $nr"
	done
done

for i in $(seq "$CYCLES"); do
	start --memory=16M
	[ $((i % 2)) = 0 ] || echo "$i" >"$MNT/f$i"
	if [ $((i % 3)) = 0 ]; then
		kill -TERM "$DAEMON"
		wait_daemon SIGTERM
	else
		stop
	fi
done
echo "ok - $CYCLES mounts"
