# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# lib.sh - what every system test starts with: a scratch directory, a daemon,
# a mount, and a trap that leaves nothing behind.
#
#   . "${0%/*}/lib.sh"
#   start --memory=64M        mounts $BACK on $MNT; $DAEMON is its pid
#   check "what is true" command...
#   stop                      unmounts; fails unless the daemon exits with 0
#
# PAGEFSD names the daemon. TEST_DIR, where scratch files go, wants a file
# system that can do O_DIRECT; the default is /var/tmp.

set -u

skip() {
	echo "SKIP: $*"
	exit 77
}

fail() {
	echo "FAIL: $*" >&2
	[ -s "$T/daemon.log" ] && sed 's/^/  daemon: /' "$T/daemon.log" >&2
	exit 1
}

need() {
	for prog; do
		command -v "$prog" >/dev/null || skip "no $prog on this machine"
	done
}

need_root() {
	[ "$(id -u)" = 0 ] || skip "needs root"
}

# check NAME COMMAND...: the command must succeed.
check() {
	local name=$1
	shift
	if "$@" >"$T/out" 2>&1; then
		echo "ok - $name"
	else
		echo "not ok - $name (exit $?): $*" >&2
		sed 's/^/  /' "$T/out" >&2
		fail "$name"
	fi
}

# refuse NAME PATTERN COMMAND...: it must fail, with a message like PATTERN.
refuse() {
	local name=$1 pattern=$2
	shift 2
	if "$@" >"$T/out" 2>&1; then
		fail "$name: succeeded: $*"
	fi
	grep -q -- "$pattern" "$T/out" || {
		sed 's/^/  /' "$T/out" >&2
		fail "$name: no message like '$pattern'"
	}
	echo "ok - $name"
}

# wait_until SECONDS COMMAND...: poll until it succeeds.
wait_until() {
	local deadline=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $deadline ] || return 1
		sleep 0.05
	done
}

is_mounted() {
	grep -q " $MNT fuse" /proc/self/mounts
}

gone() {
	! kill -0 "$1" 2>/dev/null
}

# start OPTION...: in the foreground of a background job, so that $! is it.
start() {
	"$PAGEFSD" --foreground "$@" "$BACK" "$MNT" >>"$T/daemon.log" 2>&1 &
	DAEMON=$!
	wait_until 20 is_mounted || fail "pagefsd $* did not mount"
}

unmount() {
	if [ "$(id -u)" = 0 ]; then umount "$MNT"; else fusermount3 -u "$MNT"; fi
}

# stop: unmount; the daemon must write everything back and exit with 0.
stop() {
	local status=0
	unmount || fail "cannot unmount $MNT"
	wait "$DAEMON" || status=$?
	DAEMON=
	[ $status = "${1:-0}" ] || fail "pagefsd exited with $status"
}

# stat_of NAME: a counter of .pagefs/vmstat
stat_of() {
	awk -v n="$1" '$1 == n { print $2 }' "$MNT/.pagefs/vmstat"
}

cleanup() {
	local status=$?
	trap - EXIT
	cd /
	is_mounted && { unmount || umount -l "$MNT" || fusermount3 -uz "$MNT"; } 2>/dev/null
	if [ -n "${DAEMON:-}" ]; then
		wait_until 20 gone "$DAEMON" || kill -9 "$DAEMON" 2>/dev/null
	fi
	declare -F extra_cleanup >/dev/null && extra_cleanup
	rm -rf "$T"
	exit $status
}

: "${PAGEFSD:?names the daemon to test}"
[ -e /dev/fuse ] || skip "no /dev/fuse"
T=$(mktemp -d "${TEST_DIR:-/var/tmp}/pagefs-test.XXXXXX") || exit 1
# The path as /proc/self/mounts will show it.
T=$(realpath "$T")
BACK=$T/back
MNT=$T/mnt
DAEMON=
mkdir "$BACK" "$MNT"
trap cleanup EXIT
trap 'exit 130' INT TERM
