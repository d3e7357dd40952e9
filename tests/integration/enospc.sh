#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A backing file system that fills up: the writer hears of it, what was synced
# stays, the daemon goes on, and deleting files makes room again.
. "${0%/*}/lib.sh"
need_root
need mkfs.ext4 python3 losetup

extra_cleanup() {
	umount "$T/fs" 2>/dev/null
}

truncate -s 64M "$T/img"
mkfs.ext4 -q -m 0 "$T/img"
mkdir "$T/fs"
mount -o loop "$T/img" "$T/fs" || skip "cannot mount a loop image"
BACK=$T/fs/back
mkdir "$BACK"
start --memory=32M

check "synced data goes in" sh -c "head -c 5000000 /dev/urandom > '$MNT/keep' && sync '$MNT/keep'"
sum=$(sha256sum <"$MNT/keep")
check "the writer or its fsync gets ENOSPC" python3 - "$MNT/fill" <<'PY'
import errno, os, sys
fd = os.open(sys.argv[1], os.O_CREAT | os.O_RDWR)
block = os.urandom(65536)
try:
    for i in range(4096):
        os.write(fd, block)
    os.fsync(fd)
except OSError as e:
    assert e.errno == errno.ENOSPC, e
    print("ENOSPC after", i * 65536)
    sys.exit(0)
sys.exit("256 MiB went into 64")
PY
check "many small files end in ENOSPC too" python3 - "$MNT" <<'PY'
import errno, os, sys
try:
    for i in range(100000):
        fd = os.open("%s/small.%d" % (sys.argv[1], i), os.O_CREAT | os.O_RDWR)
        os.write(fd, b"x" * 8192)
        os.close(fd)
    os.sync()
except OSError as e:
    assert e.errno == errno.ENOSPC, e
    sys.exit(0)
sys.exit("100000 files went into nothing")
PY
check "what was synced is still there" [ "$sum" = "$(sha256sum <"$MNT/keep")" ]
check "and in the backing file" [ "$sum" = "$(sha256sum <"$BACK/keep")" ]
check "the daemon is alive" kill -0 "$DAEMON"
check "deleting works" sh -c "rm -f '$MNT'/fill && find '$MNT' -name 'small.*' -delete"
check "and makes it usable again" sh -c "head -c 20000000 /dev/urandom > '$MNT/more' && sync '$MNT/more'"
sum2=$(sha256sum <"$MNT/more")
stop
check "all of it is in the backing files" [ "$sum$sum2" = "$(sha256sum <"$BACK/keep")$(sha256sum <"$BACK/more")" ]
