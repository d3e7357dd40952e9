#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Command line: help, versions, what is refused and with which words.
. "${0%/*}/lib.sh"

status() {
	local want=$1
	shift
	"$@" >/dev/null 2>&1
	[ $? = "$want" ]
}

check "--help exits with 0" "$PAGEFSD" --help
check "--help names every option" sh -c '
	for o in memory foreground cache allow-other log-level version help; do
		"$0" --help | grep -q -- "--$o" || exit 1
	done' "$PAGEFSD"
check "--version exits with 0" "$PAGEFSD" --version
check "an unknown option is a usage error" status 2 "$PAGEFSD" --no-such "$BACK" "$MNT"
check "a missing operand is a usage error" status 2 "$PAGEFSD" "$BACK"
refuse "an empty backing directory" "no backing directory" "$PAGEFSD" "" "$MNT"
# In the scratch directory, which is what an empty one was once taken for.
refuse "an empty mountpoint" "no mountpoint" env -C "$T" "$PAGEFSD" "$BACK" ""
refuse "-o remount" "remount" "$PAGEFSD" -o remount "$BACK" "$MNT"
refuse "--memory=4K" "4K" "$PAGEFSD" --memory=4K "$BACK" "$MNT"
refuse "--memory=lots" "lots" "$PAGEFSD" --memory=lots "$BACK" "$MNT"
refuse "--memory=-1M" "memory" "$PAGEFSD" --memory=-1M "$BACK" "$MNT"
refuse "--memory beyond a size_t" "memory" "$PAGEFSD" --memory=99999999999G "$BACK" "$MNT"
refuse "--cache=sometimes" "sometimes" "$PAGEFSD" --cache=sometimes "$BACK" "$MNT"
refuse "a missing backing directory" "$T/none" "$PAGEFSD" "$T/none" "$MNT"
refuse "a missing mountpoint" "$T/none" "$PAGEFSD" "$BACK" "$T/none"
: >"$T/file"
refuse "a file as mountpoint" "$T/file" "$PAGEFSD" "$BACK" "$T/file"
refuse "a file as backing directory" "$T/file" "$PAGEFSD" "$T/file" "$MNT"
mkdir "$BACK/inside"
refuse "a mountpoint inside the backing directory" "inside" "$PAGEFSD" "$BACK" "$BACK/inside"
ln -s "$BACK/inside" "$T/link"
refuse "the same through a symbolic link" "inside" "$PAGEFSD" "$BACK" "$T/link"
refuse "a backing directory as its own mountpoint" "$BACK" "$PAGEFSD" "$BACK" "$BACK"
check "nothing is mounted after all this" sh -c "! grep -q '$T' /proc/self/mounts"

start --memory=16M
mkdir "$T/mnt2" "$T/back2"
refuse "a second daemon on the backing directory" "$BACK" "$PAGEFSD" "$BACK" "$T/mnt2"
refuse "a busy mountpoint" "$MNT" "$PAGEFSD" "$T/back2" "$MNT"
check "the first one is not disturbed" sh -c "echo hello > '$MNT/f' && grep -q hello '$MNT/f'"
check "the mount's type is fuse.pagefs" grep -q " $MNT fuse.pagefs " /proc/self/mounts
stop
check "after umount the data is in the backing file" grep -q hello "$BACK/f"

check "daemonized: returns once mounted" "$PAGEFSD" --memory=16M "$BACK" "$MNT"
check "it serves" grep -q hello "$MNT/f"
unmount
wait_until 10 sh -c "! grep -q ' $MNT ' /proc/self/mounts" || fail "still mounted"
# The lock goes when the daemon does.
wait_until 10 flock -n "$BACK" true || fail "the daemon outlives its mount"
echo "ok - umount ends the daemon"

for sig in TERM INT; do
	start --memory=16M
	echo "before $sig" >"$MNT/f.$sig"
	# A background job of a script ignores SIGINT unless it sets a handler.
	kill -s "$sig" "$DAEMON"
	wait "$DAEMON" || fail "exit status $? after SIG$sig"
	DAEMON=
	is_mounted && fail "still mounted after SIG$sig"
	check "SIG$sig writes everything back and exits with 0" \
		grep -q "before $sig" "$BACK/f.$sig"
done

if [ "$(id -u)" = 0 ] && command -v mount.fuse3 >/dev/null; then
	# As mount -t fuse.pagefs does, which finds the program in a fixed PATH.
	check "mount(8) through mount.fuse3" mount -t fuse \
		-o memory=32M,allow_other,noatime "$PAGEFSD#$BACK" "$MNT"
	check "it serves" grep -q hello "$MNT/f"
	check "its options took effect" grep -q "MemTotal: *32768 kB" "$MNT/.pagefs/meminfo"
	unmount
	wait_until 10 flock -n "$BACK" true || fail "the daemon outlives its mount"
fi
