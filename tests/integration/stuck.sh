#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A disk that stands still under a client of many threads: others, whose pages are
# in memory, are served, and so are those who look on.
#
# The disk is a loop device on a file of another mount, whose daemon we stop.
. "${0%/*}/lib.sh"
need_root
need python3 losetup mkfs.ext4

LOOP=
UNDER=
extra_cleanup() {
	kill -CONT "$UNDER"
	umount "$BACK" || umount -l "$BACK"
	[ -z "$LOOP" ] || losetup -d "$LOOP"
	umount "$T/disk" || umount -l "$T/disk"
	wait "$UNDER"
} 2>/dev/null

is_mounted_below() {
	grep -q " $T/disk fuse" /proc/self/mounts
}

mkdir "$T/store" "$T/disk"
"$PAGEFSD" --foreground --memory=32M --socket=none "$T/store" "$T/disk" \
	>>"$T/under.log" 2>&1 &
UNDER=$!
wait_until 20 is_mounted_below || fail "no mount to stop"
truncate -s 128M "$T/disk/image"
mkfs.ext4 -q -b 4096 -m 0 -O ^has_journal "$T/disk/image" || skip "no ext4 here"
LOOP=$(losetup -f --direct-io=on --show "$T/disk/image" 2>/dev/null) ||
	{ LOOP=; skip "no loop device here"; }
mount "$LOOP" "$BACK" 2>/dev/null || skip "cannot mount"
head -c 64M /dev/urandom >"$BACK/large"
head -c 1M /dev/urandom >"$BACK/small"
sync

start --memory=32M --log-level=debug --http=127.0.0.1:0
wait_until 10 grep -q . "$MNT/.pagefs/socket" ||
	skip "no userfaultfd for the daemon here"
timeout -k 5 60 python3 "$TOP_SRCDIR/tests/integration/clients.py" "$MNT" \
	stuck_disk >"$T/said" 2>&1 &
client=$!
wait_until 30 grep -q broken "$T/said" || { cat "$T/said"; fail "no clients"; }
url=$(cat "$MNT/.pagefs/http")
kill -STOP "$UNDER"
MNT=$MNT timeout -k 5 50 python3 "$TOP_SRCDIR/tests/integration/http_client.py" \
	"$url" alive >"$T/alive" 2>&1 &
page=$!
wait $client
status=$?
wait $page
alive=$?
kill -CONT "$UNDER"
[ $alive = 0 ] || fail "the live page: $(cat "$T/alive")"
echo "ok - the live page waits for nobody"
check "a page in memory is had while another's faults wait for the disk" \
	[ $status = 0 ]
stop
