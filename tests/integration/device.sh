# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# device.sh - for tests that need a device of their own: a loop device with
# ext4 on $T/fs, and a control group whose writes to it can be slowed.
#
#   . "${0%/*}/lib.sh"; . "${0%/*}/device.sh"
#   make_device MIB || skip_part ...    $LOOP; no journal, unless JOURNAL=yes
#   slow_for PID bps|iops N || ...      PID's writes to it; 0: as it likes
#   device_written                      bytes, since it is there
#
# The script calls device_cleanup in its extra_cleanup.

LOOP=
CGROUP=

device_cleanup() {
	umount "$T/fs" 2>/dev/null
	[ -z "$LOOP" ] || losetup -d "$LOOP" 2>/dev/null
	[ -z "$CGROUP" ] || rmdir "$CGROUP" 2>/dev/null
}

make_device() {
	local features=^has_journal

	[ "$(id -u)" = 0 ] && command -v losetup mkfs.ext4 >/dev/null || return 1
	[ "${JOURNAL:-no}" = no ] || features=has_journal
	truncate -s "$1M" "$T/img" || return 1
	mkfs.ext4 -q -m 0 -O "$features" -E lazy_itable_init=0,lazy_journal_init=0 \
		"$T/img" || return 1
	LOOP=$(losetup --direct-io=on -f --show "$T/img" 2>/dev/null) ||
		LOOP=$(losetup -f --show "$T/img") || { LOOP=; return 1; }
	mkdir "$T/fs" && mount -o noatime "$LOOP" "$T/fs"
}

device_written() {
	awk '{ print $7 * 512 }' "/sys/block/${LOOP#/dev/}/stat"
}

# A group of ours, of the old kind or the new.
make_cgroup() {
	local root
	for root in /sys/fs/cgroup/blkio /sys/fs/cgroup; do
		[ -e $root/blkio.throttle.write_bps_device ] ||
			grep -qw io $root/cgroup.subtree_control 2>/dev/null || continue
		CGROUP=$root/pagefs-test.$$
		mkdir "$CGROUP" 2>/dev/null && return
		CGROUP=
	done
	return 1
}

slow_for() {
	local pid=$1 what=$2 nr=$3 dev

	dev=$(cat "/sys/block/${LOOP#/dev/}/dev")
	[ -n "$CGROUP" ] || make_cgroup || return 1
	if [ -e "$CGROUP/blkio.throttle.write_${what}_device" ]; then
		echo "$dev $nr" >"$CGROUP/blkio.throttle.write_${what}_device"
	else
		[ "$nr" != 0 ] || nr=max
		echo "$dev w$what=$nr" >"$CGROUP/io.max"
	fi 2>/dev/null || return 1
	echo "$pid" >"$CGROUP/cgroup.procs"
}

# Before the end: what is left is written at full speed, and the group is empty.
slow_no_more() {
	[ -z "$CGROUP" ] || echo "$1" >"${CGROUP%/*}/cgroup.procs"
}
