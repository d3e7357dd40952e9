#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# As a service: what the manager is told, when, and by whom; the unit itself.
. "${0%/*}/lib.sh"
need python3
[ "${HAVE_SYSTEMD:-no}" = yes ] || skip "pagefsd is built without libsystemd"

ear=
extra_cleanup() {
	[ -z "$ear" ] || kill "$ear" 2>/dev/null
}

# listen NAME: what is said to $NOTIFY_SOCKET is then in $T/NAME
listen() {
	heard=$T/$1
	export NOTIFY_SOCKET=$T/$1.sock
	python3 "${0%/*}/service.py" "$NOTIFY_SOCKET" "$MNT/.pagefs/meminfo" \
		>"$heard" 2>&1 &
	ear=$!
	wait_until 20 grep -q listening "$heard" || fail "the ear does not listen"
}

# Nothing more is to come: what was sent before this has been heard before it.
end_listening() {
	python3 - "$NOTIFY_SOCKET" <<-'PY'
	import socket, sys
	with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
	    s.sendto(b"end", sys.argv[1])
	PY
	wait "$ear"
	ear=
}

says() {
	wait_until 20 grep -q -- "$1" "$heard"
}

says_nothing() {
	[ "$(sed -e /listening/d -e '/ end$/d' "$heard")" = "" ] || {
		cat "$heard"
		return 1
	}
}

for how in TERM umount; do
	listen "$how"
	start --memory=16M --cache=none
	check "READY=1 comes from the daemon's own process" says "^$DAEMON READY=1|"
	check "the mount is usable when it comes" says "^usable$"
	check "with it a status, in words" says "STATUS=Serving, memory=16M, cache=none"
	check "that it ends is not said before it does" sh -c "! grep STOPPING '$heard'"
	if [ $how = umount ]; then
		stop
	else
		kill "$DAEMON"
		wait "$DAEMON" || fail "exit status $? after SIGTERM"
		DAEMON=
	fi
	check "STOPPING=1 after $how" says "STOPPING=1|STATUS="
	wait "$ear"
	ear=
done

listen failed
refuse "a mount that fails" "$T/none" "$PAGEFSD" --foreground "$BACK" "$T/none"
end_listening
check "is not told as ready" says_nothing

listen detached
check "a daemon that detaches" "$PAGEFSD" --memory=16M "$BACK" "$MNT"
unmount
wait_until 10 flock -n "$BACK" true || fail "the daemon outlives its mount"
end_listening
check "tells nobody, for its parent's exit tells it" says_nothing

NOTIFY_SOCKET=$T/nobody
start --memory=16M
check "that a manager cannot be told is said" \
	wait_until 20 grep -q "NOTIFY_SOCKET: cannot tell" "$T/daemon.log"
check "and the mount serves" cat "$MNT/.pagefs/meminfo"
unset NOTIFY_SOCKET
stop

# ---- the unit ----

unit=$TOP_BUILDDIR/daemon/pagefs@.service
check "no @ is left over" sh -c "! grep -n '@[a-z_]*@' '$unit'"
# They imply a mount namespace, in which the mount would be alone.
namespace="Private(Tmp|Devices|Mounts|IPC|Users|Network)|ProtectSystem|ProtectHome|\
ProtectProc|ProcSubset|ProtectControlGroups|ProtectKernel(Tunables|Modules|Logs)|\
DynamicUser|MountFlags|[A-Za-z]*Paths|TemporaryFileSystem|Root(Directory|Image)|\
MountAPIVFS|LogNamespace|MountImages|ExtensionImages"
check "no option that hides the mount" sh -c "! grep -En '^($namespace)=' '$unit'"
if command -v systemd-analyze >/dev/null; then
	# It looks for the program where it will be.
	sed "s|^ExecStart=[^ ]*|ExecStart=$PAGEFSD|" "$unit" >"$T/pagefs@.service"
	# An unknown key is a warning, and no more.
	systemd-analyze --man=no verify "$T/pagefs@data.service" >"$T/verify" 2>&1 ||
		echo "exit status $?" >>"$T/verify"
	check "systemd-analyze verify has nothing to say" diff "$T/verify" /dev/null
else
	echo "not run: systemd-analyze verify: no systemd-analyze on this machine"
fi
