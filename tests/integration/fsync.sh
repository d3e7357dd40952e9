#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# fsync of small files while a large one is being written back: as long as it
# takes through ext4 itself on the same device under the same load, or less,
# or five times that at most.
. "${0%/*}/lib.sh" || exit
. "${0%/*}/device.sh"
need python3
ROUNDS=${ROUNDS:-3}

extra_cleanup() {
	device_cleanup
}

# The large file, MiB; less on small machines.
MIB=1024
free_kb=$(awk '$1 == "MemAvailable:" { print $2 }' /proc/meminfo)
disk_kb=$(df -k --output=avail "$T" | tail -1)
if [ "$free_kb" -lt 6000000 ] || [ "$disk_kb" -lt 6000000 ]; then
	MIB=256
fi

# Small files, one after the other, from when DIR/big is written until it is on
# the disk: median and longest fsync in us, how many, and ms for the large one.
cat >"$T/load.py" <<'PY'
import os, sys, threading, time
where, mib = sys.argv[1], int(sys.argv[2])
piece = os.urandom(1 << 20)
big = os.open(where + "/big", os.O_CREAT | os.O_RDWR)
for i in range(mib):
    os.pwrite(big, piece, i << 20)
begin, took = threading.Barrier(2), []

def flush():
    begin.wait()
    os.fsync(big)

t = threading.Thread(target=flush)
t.start()
begin.wait()
start = time.monotonic()
while t.is_alive():
    fd = os.open(where + "/small%d" % len(took), os.O_CREAT | os.O_RDWR)
    os.write(fd, b"s" * 4096)
    at = time.monotonic()
    os.fsync(fd)
    took.append(time.monotonic() - at)
    os.close(fd)
t.join()
end = time.monotonic()
os.close(big)
took.sort()
print(int(took[len(took) // 2] * 1e6), int(took[-1] * 1e6), len(took),
      int((end - start) * 1e3))
PY

# load WHAT DIR: adds a line to $T/WHAT
load() {
	mkdir "$2"
	timeout 120 python3 "$T/load.py" "$2" "$MIB" >>"$T/$1" || fail "load on $1"
	rm -rf "$2"
	sync -f "$T/fs"
}

# median WHAT FIELD
median() {
	sort -n -k"$2,$2" "$T/$1" | awk -v f="$2" '{ v[NR] = $f }
		END { print v[int((NR + 1) / 2)] }'
}

JOURNAL=yes make_device $((MIB * 2 + 512)) || skip "no loop device can be made here"
BACK=$T/fs/back
mkdir "$BACK"
start --memory=$((MIB * 2))M
echo 90 >"$MNT/.pagefs/vm/dirty_ratio"
echo 80 >"$MNT/.pagefs/vm/dirty_background_ratio"
for ((i = 0; i < ROUNDS; i++)); do
	load ext4 "$T/fs/dir$i"
	load pagefs "$MNT/dir$i"
done
for what in ext4 pagefs; do
	echo "# $what: $MIB MiB in $(median $what 4) ms; meanwhile $(median $what 3) fsyncs," \
		"median $(median $what 1) us, longest $(median $what 2) us"
done
check "fsync beside a large file takes no more than 5 times what it takes through ext4" \
	[ "$(median pagefs 1)" -le $((5 * $(median ext4 1))) ]
check "nor does the longest" [ "$(median pagefs 2)" -le $((5 * $(median ext4 2))) ]
stop
