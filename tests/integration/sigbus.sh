#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Faults that cannot be served: SIGBUS, or EFAULT from a system call; and once
# the disk has recovered they can, in the same mapping. And some that must wait,
# for which others must not.
#
# The disk is a loop device whose file we cut off, fill, or freeze.
. "${0%/*}/lib.sh"
need_root
need python3 losetup mkfs.ext4 fsfreeze

LOOP=
CLIENT=
extra_cleanup() {
	fsfreeze -u "$BACK"
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

# finish_client [WORD]: what it waits for
finish_client() {
	echo "${1:-mended}" >&3
	exec 3>&-
	wait "$CLIENT" || { cat "$T/said"; return 1; }
	CLIENT=
}

# In any case it is thawed: nothing can be unmounted before.
finish_frozen() {
	local status

	fsfreeze -f "$BACK" || return
	finish_client frozen
	status=$?
	fsfreeze -u "$BACK"
	return $status
}

# serve [SIZE]: of memory
serve() {
	start --memory="${1:-32M}" --log-level=debug
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

# A store needs a block of a disk that is all but full, and waits for it.
head -c 36M /dev/urandom >"$BACK/large"
free=$(stat -f -c %f "$BACK")
[ "$free" -le 1024 ] || head -c $(((free - 1024) * 4096)) /dev/zero >"$BACK/filler"
sync
serve 16M
check "clients read more than memory can hold" \
	start_client frozen_disk
sync
check "they do not wait for the stores of others, which wait for the disk" \
	finish_frozen
stop
