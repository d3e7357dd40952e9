#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Lines of /etc/fstab: mount(8) and mount.fuse3 find the daemon, hand it their
# options with ours, and say what it says.
#
# In a mount namespace of its own. They look for programs in a fixed PATH, of
# which /usr/local/sbin is the first: there it is another directory. So is
# /etc/fstab, the only one that a user may mount from; and /dev/fuse, as in
# nonroot.sh.
. "${0%/*}/namespace.sh"
. "${0%/*}/lib.sh"
need_root
need mount.fuse3 fusermount3 setpriv
[ -d /usr/local/sbin ] || skip "no /usr/local/sbin on this machine"

mkdir "$T/sbin" "$T/back2" "$T/mnt2"
chmod 755 "$T"
install -m 755 "$PAGEFSD" "$T/sbin/pagefsd" 2>/dev/null || skip "cannot copy the daemon"
ln -s pagefsd "$T/sbin/pagefs"
mount --bind "$T/sbin" /usr/local/sbin || skip "cannot bind /usr/local/sbin"
extra_cleanup() {
	umount -q "$T/mnt2"
	umount -l /usr/local/sbin	# busy, if a daemon is left
	umount -q /etc/fstab /dev/fuse
}

# fstab LINE...: what -T "$T/fstab" reads
fstab() {
	printf '%s\n' "$@" >"$T/fstab"
}

memory_is() {
	grep -q "MemTotal: *$(($1 * 1024)) kB" "$MNT/.pagefs/meminfo"
}

# ended BACK: the daemon has written everything and is gone
ended() {
	wait_until 10 flock -n "$1" true || fail "the daemon outlives its mount"
}

# serves MIB: as its line says; then it is unmounted
serves() {
	check "its options took effect" memory_is "$1"
	check "the type is fuse.pagefs, the source the directory" \
		grep -q "^$BACK $MNT fuse.pagefs " /proc/self/mounts
	check "it serves" sh -c "echo '$1' >'$MNT/f' && grep -qx '$1' '$MNT/f'"
	check "umount" umount "$MNT"
	ended "$BACK"
	check "what was written is there" grep -qx "$1" "$BACK/f"
}

fstab "pagefsd#$BACK $MNT fuse defaults,memory=24M 0 0"
check "pagefsd#DIR with the type fuse" mount -T "$T/fstab" "$MNT"
serves 24
fstab "$BACK $MNT fuse.pagefsd memory=25M,allow_other 0 0"
check "the type fuse.pagefsd" mount -T "$T/fstab" "$MNT"
serves 25
fstab "$BACK $MNT fuse.pagefs memory=26M 0 0"
check "the type fuse.pagefs" mount -T "$T/fstab" "$MNT"
serves 26
check "mount --fstab, by the directory's name" mount --fstab "$T/fstab" "$BACK"
serves 26

# What mount(8) and systemd.mount(5) know, all of it at once; half of it is not
# handed on by this mount(8), but may be by another.
generic=rw,dev,suid,exec,async,auto,nouser,_netdev,nofail,relatime,lazytime,comment=x
generic+=,x-systemd.automount,x-systemd.requires=/srv,X-mount.mkdir,x-initrd.mount
fstab "$BACK $MNT fuse.pagefsd $generic,memory=27M 0 0"
check "options that are mount(8)'s own" mount -T "$T/fstab" "$MNT"
serves 27
check "the same, given to the daemon as they are" \
	"$PAGEFSD" "$BACK" "$MNT" -o "$generic,user,users,owner,group,noauto,memory=28M"
serves 28

fstab "$BACK $MNT fuse.pagefs ro,noexec,memory=16M 0 0"
check "ro" mount -T "$T/fstab" "$MNT"
refuse "cannot be written to" "Read-only file system" touch "$MNT/g"
check "noexec" grep -q " $MNT fuse.pagefs ro,.*noexec" /proc/self/mounts
refuse "-o remount" "remount: options cannot be changed" \
	mount -T "$T/fstab" -o remount,rw "$MNT"
umount "$MNT"
ended "$BACK"

# ---- mount -a ----

fstab "# a comment" "" \
	"$BACK $MNT fuse.pagefs memory=16M 0 0" \
	"$T/back2 $T/mnt2 fuse.pagefs noauto,memory=16M 0 0"
check "mount -a" mount -a -T "$T/fstab"
check "mounts" is_mounted
check "but not what is noauto" sh -c "! grep -q ' $T/mnt2 ' /proc/self/mounts"
check "mount -a again finds it mounted" mount -a -T "$T/fstab"
check "noauto, by its name" mount -T "$T/fstab" "$T/mnt2"
fstab "pagefsd#$BACK $MNT fuse memory=16M 0 0"
refuse "mount -a cannot find it by pagefsd#DIR, and the daemon refuses" "already served" \
	mount -a -T "$T/fstab"
check "once" [ "$(grep -c " $MNT fuse" /proc/self/mounts)" = 1 ]
umount "$T/mnt2" "$MNT"
ended "$BACK"
ended "$T/back2"

# ---- what is wrong ----

# wrong NAME PATTERN LINE
wrong() {
	fstab "$3"
	refuse "$1" "$2" mount -T "$T/fstab" "$MNT"
	check "and nothing is mounted" sh -c "! grep -q ' $MNT ' /proc/self/mounts"
}

wrong "a size that is none" "pagefsd: memory=lots: not a size" \
	"$BACK $MNT fuse.pagefsd memory=lots 0 0"
wrong "a mode that is none" "cache=sometimes: must be" \
	"pagefsd#$BACK $MNT fuse memory=16M,cache=sometimes 0 0"
wrong "an option that nobody knows" "unknown option.*momory=1G" \
	"$BACK $MNT fuse.pagefs momory=1G 0 0"
wrong "a directory that is not there" "$T/none" \
	"$T/none $MNT fuse.pagefs memory=16M 0 0"

# ---- a user ----

as_user() {
	setpriv --reuid=65534 --regid=65534 --clear-groups -- "$@"
}

if [ ! -e /etc/fstab ] || [ ! -u "$(command -v mount)" ] ||
	[ ! -u "$(command -v fusermount3)" ]; then
	echo "not run: a user's mount: no /etc/fstab, or mount or fusermount3 is not set-uid here"
	exit 0
fi
mknod -m 666 "$T/fuse" c 10 229 && mount --bind "$T/fuse" /dev/fuse ||
	fail "cannot make a device"
chown 65534:65534 "$BACK" "$MNT"
fstab "$BACK $MNT fuse.pagefs user,noauto,memory=16M 0 0"
chmod 644 "$T/fstab"
mount --bind "$T/fstab" /etc/fstab || fail "cannot bind /etc/fstab"
check "a user mounts what is for users" as_user mount "$MNT"
check "it is his" as_user sh -c "echo his >'$MNT/his'"
check "and unmounts it" as_user umount "$MNT"
ended "$BACK"
check "what he has written is there" grep -qx his "$BACK/his"
