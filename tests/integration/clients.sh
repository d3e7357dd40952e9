#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Clients that lie, stall, die and flood: they alone suffer. After each of them
# an honest client is served, and at the end the daemon has as many descriptors
# as before. Then: where it listens, and how it ends with clients attached.
. "${0%/*}/lib.sh"
need python3

CLIENTS=$TOP_SRCDIR/tests/integration/clients.py

client() {
	timeout 120 python3 "$CLIENTS" "$MNT" "$@"
}

# What the daemon has open for clients: not the rings of its threads, say, which
# come and stay.
descriptors() {
	find "/proc/$DAEMON/fd" -printf '%l\n' |
		grep -c -e socket: -e pidfd -e userfaultfd -e "$MNT/"
}

as_many_descriptors() {
	[ "$(descriptors)" = "$1" ]
}

# It listens a moment after the mount is there.
listens() {
	wait_until 10 grep -q . "$MNT/.pagefs/socket"
}

start --memory=64M --log-level=debug
listens || skip "no userfaultfd for the daemon here"
client data
before=$(descriptors)
client honest || fail "an honest client is not served"
# Their stores raise faults; then they are scanned for, where the kernel can.
for how in '' 1; do
	export PAGEFS_TEST_DIRECT=$how
	for name in $(client list); do
		check "${name//_/ }${how:+, O_DIRECT}" client "$name"
		check "... and an honest client is served" client honest
	done
done
unset PAGEFS_TEST_DIRECT
check "no descriptor is left behind" wait_until 20 as_many_descriptors "$before"
socket=$(cat "$MNT/.pagefs/socket")
check "the socket is this user's alone" [ "$(stat -c %a "$socket")" = 600 ]
inode=$(stat -c %i "$socket")
stop
# Or another daemon's is there, whose mount has got the same number.
check "the socket has gone" [ "$(stat -c %i "$socket" 2>/dev/null)" != "$inode" ]

faulting=
extra_cleanup() {
	end_faulting
}

# start_faulting: clients that fault without end; their pids in $faulting.
start_faulting() {
	for i in 1 2 3; do
		python3 "$CLIENTS" "$MNT" faults >"$T/faults.$i" 2>&1 &
		faulting="$faulting $!"
		wait_until 20 grep -q faulting "$T/faults.$i" || fail "no faults"
	done
}

# They wait for a daemon that has gone; a library would not.
end_faulting() {
	for pid in $faulting; do
		kill -9 "$pid"
		wait "$pid"
	done 2>/dev/null
	faulting=
}

start --memory=32M --socket="$T/here"
listens
check "--socket=PATH" [ "$(cat "$MNT/.pagefs/socket")" = "$T/here" ]
start_faulting
kill -9 "$DAEMON"
wait "$DAEMON" 2>/dev/null
end_faulting
umount -l "$MNT" 2>/dev/null || fusermount3 -u "$MNT"
check "a killed daemon leaves its socket" [ -S "$T/here" ]
start --memory=32M --socket="$T/here"
listens
check "the next one replaces it" client honest
mkdir "$T/back2" "$T/mnt2"
refuse "a socket somebody listens on is not replaced" "another daemon" \
	timeout 20 "$PAGEFSD" --foreground --memory=16M --socket="$T/here" "$T/back2" "$T/mnt2"
: >"$T/file"
refuse "nor is a file" "is no socket" \
	timeout 20 "$PAGEFSD" --foreground --memory=16M --socket="$T/file" "$T/back2" "$T/mnt2"
check "the first one still serves" client honest
start_faulting
kill -TERM "$DAEMON"
wait "$DAEMON" || fail "exit status $? after SIGTERM with clients attached"
DAEMON=
end_faulting
echo "ok - SIGTERM with clients attached"

start --memory=32M --socket="$T/here" -o allow_other
listens
if [ "$(id -u)" = 0 ]; then
	check "root's socket with allow_other is for all" [ "$(stat -c %a "$T/here")" = 666 ]
	chmod 755 "$T"
	chmod 666 "$MNT/data" "$MNT/out"
	as_user() {
		# The program may be where he cannot go.
		setpriv --reuid=65534 --regid=65534 --clear-groups -- \
			timeout 120 python3 - "$MNT" "$@" <"$CLIENTS"
	}
	check "an ordinary user maps what he may write" as_user honest
	check "... by a userfaultfd from the daemon's device" as_user gets_device
	chmod 644 "$MNT/data"
	chown 65534 "$MNT/read_only"
	check "his own file he may map for reading, and no more" as_user read_only
	check "but no stranger's" as_user strangers_file
fi
start_faulting
stop
end_faulting
echo "ok - umount with clients attached"

start --memory=32M --socket=none
check "--socket=none" [ -z "$(cat "$MNT/.pagefs/socket")" ]
stop
