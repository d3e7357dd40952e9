#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Faults that cannot be served: SIGBUS, or EFAULT from a system call; and once
# the disk has recovered they can, in the same mapping.
#
# The disk is a loop device whose file we cut off, or fill.
. "${0%/*}/lib.sh"
need_root
need python3 losetup mkfs.ext4

LOOP=
CLIENT=
extra_cleanup() {
	[ -z "$CLIENT" ] || kill -9 "$CLIENT" "$(pgrep -P "$CLIENT")"
	umount "$BACK" || umount -l "$BACK"
	[ -z "$LOOP" ] || losetup -d "$LOOP"
} 2>/dev/null

truncate -s 64M "$T/image"
mkfs.ext4 -q -b 4096 -O ^has_journal "$T/image" || skip "no ext4 here"
LOOP=$(losetup -f --show "$T/image" 2>/dev/null) || { LOOP=; skip "no loop device here"; }
mount "$LOOP" "$BACK" 2>/dev/null || skip "cannot mount"

CLIENTS=$TOP_SRCDIR/tests/integration/clients.py

# start_client NAME: runs with its input on fd 3; waits until it says "broken".
start_client() {
	rm -f "$T/in"
	mkfifo "$T/in"
	timeout -k 5 120 python3 "$CLIENTS" "$MNT" "$1" <"$T/in" >"$T/said" 2>&1 &
	CLIENT=$!
	exec 3>"$T/in"
	wait_until 60 sh -c "grep -q broken '$T/said' || ! kill -0 $CLIENT" &&
		grep -q broken "$T/said" || { cat "$T/said"; return 1; }
}

finish_client() {
	echo mended >&3
	exec 3>&-
	wait "$CLIENT" || { cat "$T/said"; return 1; }
	CLIENT=
}

serve() {
	start --memory=32M --log-level=debug
	# It listens a moment after the mount is there.
	wait_until 10 grep -q . "$MNT/.pagefs/socket" ||
		skip "no userfaultfd for the daemon here"
}

serve
python3 "$CLIENTS" "$MNT" data
stop
# The file's last block, in bytes of the image.
end=$(filefrag -v "$BACK/data" | awk '/^ *[0-9]+:/ { gsub(/\.|:/, " "); e = $5 } END { print e }')
[ "${end:-0}" -gt 512 ] || skip "where is the file on the disk?"
sync
cp --sparse=always "$T/image" "$T/copy"
umount "$BACK" && mount "$LOOP" "$BACK" || fail "cannot mount again"
serve
truncate -s $(((end - 100) * 4096)) "$T/image"
check "a page that cannot be read raises SIGBUS, there and nowhere else" \
	start_client broken_disk
dd if="$T/copy" of="$T/image" bs=4096 seek=$((end - 100)) skip=$((end - 100)) \
	conv=notrunc status=none
truncate -s 64M "$T/image"
check "when the disk has recovered it is a page like others" finish_client
check "the daemon counts such faults" [ "$(stat_of pgfault_error)" -gt 0 ]

dd if=/dev/zero of="$MNT/filler" bs=4096 status=none 2>/dev/null
check "a store the disk has no room for raises SIGBUS" start_client full_disk
rm "$MNT/filler"
check "when there is room again it succeeds" finish_client
stop
