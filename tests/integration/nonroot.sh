#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A daemon run by an ordinary user serves that user.
#
# In a mount namespace of its own, for the device of this machine may not be for
# ordinary users: there it gets a /dev/fuse with the usual mode, 0666.
. "${0%/*}/namespace.sh"
. "${0%/*}/lib.sh"
need_root
need setpriv /usr/bin/python3 fusermount3

as_user() {
	setpriv --reuid=65534 --regid=65534 --clear-groups -- "$@"
}

mknod -m 666 "$T/fuse" c 10 229 && mount --bind "$T/fuse" /dev/fuse ||
	skip "cannot make a device"
extra_cleanup() {
	umount /dev/fuse
}
chmod 755 "$T"
chown 65534:65534 "$BACK" "$MNT"
install -m 755 "$PAGEFSD" "$T/pagefsd" 2>/dev/null || skip "cannot copy the daemon"

check "an ordinary user mounts" as_user "$T/pagefsd" --memory=16M "$BACK" "$MNT"
check "it serves him" as_user sh -c "
	cd '$MNT' && echo x > a && mkdir b && mv a b/c && grep -q x b/c"
check "the files are his" [ "$(stat -c %u "$BACK/b/c")" = 65534 ]
check "root is kept out" sh -c "! ls '$MNT'"
check "a file he makes read-only stays writable through his open one" \
	as_user /usr/bin/python3 - "$MNT" <<'PY'
import os, sys
fd = os.open(sys.argv[1] + "/ro", os.O_CREAT | os.O_RDWR, 0o444)
os.write(fd, b"a" * 10000)
os.fsync(fd)
os.pwrite(fd, b"b", 5000)
os.close(fd)
assert open(sys.argv[1] + "/ro", "rb").read()[5000:5001] == b"b"
try:
    os.open(sys.argv[1] + "/ro", os.O_RDWR)
    sys.exit("opened a 0444 file for writing")
except PermissionError:
    pass
os.chmod(sys.argv[1] + "/ro", 0)
try:
    os.open(sys.argv[1] + "/ro", os.O_RDONLY)
    sys.exit("opened a 0000 file")
except PermissionError:
    pass
PY
check "fusermount3 -u" as_user fusermount3 -u "$MNT"
wait_until 10 flock -n "$BACK" true || fail "the daemon outlives its mount"
check "his data is in the backing directory" grep -q x "$BACK/b/c"
refuse "allow_other needs /etc/fuse.conf" "user_allow_other" \
	as_user "$T/pagefsd" --memory=16M --allow-other "$BACK" "$MNT"
