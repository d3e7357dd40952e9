#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# When data reaches the disk, and why then: thresholds, age, laptop mode, and
# what writers, readers and fsync feel while a slow device is kept busy.
#
# The slow device is a loop device that a control group of the daemon's may
# write 20 MB/s to. Parts that the machine, or this pagefsd, has not what they
# take for are skipped, and then the script counts as skipped, too.
. "${0%/*}/lib.sh"
. "${0%/*}/device.sh"
need python3
SECS=${SECS:-6}
BPS=20000000
SKIPPED=0

extra_cleanup() {
	device_cleanup
}

skip_part() {
	echo "SKIP part: $*"
	SKIPPED=$((SKIPPED + 1))
}

# vm NAME VALUE: a tunable.
vm() {
	echo "$2" >"$MNT/.pagefs/vm/$1"
}

# wrote REASON: pages written for that reason so far
wrote() {
	stat_of "wb_$1"
}

dirty_pages() {
	stat_of nr_dirty
}

has_dirty() {
	[ "$(dirty_pages)" "$1" "$2" ]
}

# dirty_file NAME MIB
dirty_file() {
	dd if=/dev/zero of="$MNT/$1" bs=128k count=$(($2 * 8)) status=none
}

nothing_but() {
	local reason
	for reason in background periodic sync reclaim throttled laptop; do
		[ $reason = "$1" ] || [ "$(wrote $reason)" = 0 ] || {
			echo "wb_$reason is $(wrote $reason)"
			return 1
		}
	done
}

# ---- the background threshold: 10 % of 64 MiB ----

start --memory=64M
dirty_file below 4
sleep 1
check "below the threshold nothing is written" nothing_but none
check "and all is dirty" has_dirty -ge 1024
dirty_file above 4
check "above it the flushers start" wait_until 5 has_dirty -lt 1024
check "for that reason" nothing_but background
check "two flushers are there" [ "$(stat_of nr_pdflush_threads)" = 2 ]
dirty_file synced 1
check "fsync takes its file" sync "$MNT/synced"
check "and is a reason of its own" [ "$(wrote sync)" = 256 ]
stop

# ---- age ----

# age_at_writeback NAME: ms from when a file is dirtied until it is on its way
cat >"$T/age.py" <<'PY'
import sys, time
mnt, name = sys.argv[1:3]
def dirty():
    with open(mnt + "/.pagefs/vmstat") as f:
        return int(dict(l.split() for l in f)["nr_dirty"])
assert dirty() == 0, "something is dirty before"
with open(mnt + "/" + name, "wb") as f:
    f.write(b"x" * 4096)
start = time.monotonic()
while not dirty():
    assert time.monotonic() < start + 1, "it does not become dirty"
while dirty():
    assert time.monotonic() < start + 20, "it is not written"
    time.sleep(0.005)
print(int((time.monotonic() - start) * 1000))
PY

# written_between NAME LEAST MOST
written_between() {
	local age
	age=$(python3 "$T/age.py" "$MNT" "$1") || return 1
	echo "written after $age ms"
	[ "$age" -ge "$2" ] && [ "$age" -le "$3" ]
}

# Bounds: the expiry, less the file's clock, which ticks every 10 ms; and one
# wake-up interval later, with 300 ms for a busy machine.
start --memory=64M
if [ -e "$MNT/.pagefs/vm/dirty_expire_centisecs" ]; then
	vm dirty_writeback_centisecs 50
	vm dirty_expire_centisecs 100
	check "a page is written when it expires" written_between a 980 1800
	vm dirty_expire_centisecs 200
	check "a new expiry counts at once" written_between b 1980 2800
	check "nothing else was a reason" nothing_but periodic
	vm dirty_writeback_centisecs 100000
	vm dirty_expire_centisecs 1
	dirty_file c 1
	sleep 1
	check "a long interval lets the flushers sleep" has_dirty -ge 256
	vm dirty_writeback_centisecs 10
	check "a short one wakes them" wait_until 2 has_dirty -eq 0
else
	skip_part "no .pagefs/vm/dirty_expire_centisecs"
fi
stop

# ---- laptop mode ----

start --memory=64M
if [ -e "$MNT/.pagefs/vm/laptop_mode" ]; then
	vm dirty_writeback_centisecs 10
	vm dirty_expire_centisecs 10
	vm laptop_mode 1
	# what opening and mounting has read is over
	sleep 1.5
	for i in 1 2 3 4; do
		dirty_file l$i 2
		sleep 0.3
	done
	check "with the disk asleep nothing expires" has_dirty -ge 2048
	check "nor is written" nothing_but none
	check "an fsync wakes it" sh -c "echo x >'$MNT/wake' && sync '$MNT/wake'"
	check "and all follows" wait_until 4 has_dirty -eq 0
	check "in laptop mode's name" [ "$(wrote laptop)" -ge 2048 ]
	check "in one burst" [ "$(stat_of wb_laptop_runs)" = 1 ]
	check "and no other" [ "$(wrote periodic)$(wrote background)" = 00 ]
else
	skip_part "no .pagefs/vm/laptop_mode"
fi
stop

# ---- a slow device ----

cat >"$T/slow.py" <<'PY'
# Eight writers and a reader; each writer's longest write, the device's rate. They
# are processes, so that they meet nowhere but in the daemon.
import mmap, multiprocessing, os, sys, time
mnt, disk, secs, bps = sys.argv[1], sys.argv[2], float(sys.argv[3]), float(sys.argv[4])
piece, stop = b"w" * 131072, multiprocessing.Event()
longest = multiprocessing.Array("d", 8)

def writer(i):
    fd = os.open("%s/w%d" % (mnt, i), os.O_CREAT | os.O_RDWR)
    pos = 0
    while not stop.is_set():
        start = time.monotonic()
        os.pwrite(fd, piece, pos % (16 << 20))
        longest[i] = max(longest[i], time.monotonic() - start)
        pos += len(piece)
    os.close(fd)

def written():
    with open("/sys/block/%s/stat" % disk) as f:
        return int(f.read().split()[6]) * 512

# O_DIRECT: from the daemon's cache, not the kernel's
buf = mmap.mmap(-1, 4096)
fd = os.open(mnt + "/cached", os.O_CREAT | os.O_RDWR | os.O_DIRECT)
os.pwritev(fd, [buf], 0)
os.fsync(fd)

def read_for(seconds):
    took, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        start = time.monotonic()
        assert os.preadv(fd, [buf], 0) == 4096
        took.append(time.monotonic() - start)
        time.sleep(0.002)
    took.sort()
    return took[len(took) // 2], took[-1]

alone, _ = read_for(1)
writers = [multiprocessing.Process(target=writer, args=(i,)) for i in range(8)]
for w in writers: w.start()
time.sleep(2)                   # the free run is over, the speed is known
before, start = written(), time.monotonic()
median, worst = read_for(secs)
rate = (written() - before) / (time.monotonic() - start)
stop.set()
for w in writers: w.join()
print("device %.1f MB/s, longest write %.0f ms" % (rate / 1e6, max(longest) * 1e3))
print("read alone %.0f us, beside %.0f us, worst %.1f ms" %
      (alone * 1e6, median * 1e6, worst * 1e3))
assert max(longest) < 1, "a writer paused for more than 1 s"
assert rate > 0.9 * bps, "the device rested"
assert rate < 1.2 * bps, "the device is not slow: nothing was tested"
assert median < 2 * alone + 0.0002, "reads of cached data are slowed"
assert worst < 0.5, "a read of cached data waited for the disk"
PY

cat >"$T/fsync.py" <<'PY'
# fsync of 4 KiB, ten times, while another file is written as fast as it goes.
import os, sys, threading, time
mnt, stop = sys.argv[1], threading.Event()

def writer():
    fd = os.open(mnt + "/big", os.O_CREAT | os.O_RDWR)
    pos = 0
    while not stop.is_set():
        os.pwrite(fd, b"b" * 131072, pos % (256 << 20))
        pos += 131072
    os.close(fd)

t = threading.Thread(target=writer)
t.start()
time.sleep(1.5)
took = []
for i in range(10):
    fd = os.open("%s/small%d" % (mnt, i), os.O_CREAT | os.O_RDWR)
    os.write(fd, b"s" * 4096)
    start = time.monotonic()
    os.fsync(fd)
    took.append(time.monotonic() - start)
    os.close(fd)
stop.set()
t.join()
took.sort()
print("fsync: median %.0f ms, worst %.0f ms" % (took[5] * 1e3, took[-1] * 1e3))
# 16 MiB that are dirty would take 0.8 s
assert took[5] < 0.4, "fsync waits for the other file"
PY

# show: what the last check has printed
show() {
	sed 's/^/# /' "$T/out"
}

if JOURNAL=yes make_device 512 && BACK=$T/fs/back && mkdir "$BACK" &&
	start --memory=64M && slow_for "$DAEMON" bps $BPS; then
	check "8 writers on a slow device: it does not rest, nobody stalls" \
		timeout 60 python3 "$T/slow.py" "$MNT" "${LOOP#/dev/}" "$SECS" $BPS
	show
	check "they were held up in short pauses" [ "$(stat_of balance_pause_max_ms)" -lt 400 ]
	check "and pages written for them" [ "$(wrote throttled)" -gt 0 ]
	check "fsync of a small file goes past a large one" \
		timeout 60 python3 "$T/fsync.py" "$MNT"
	show
	slow_no_more "$DAEMON"
	stop
else
	skip_part "no slow device can be made here"
fi

[ $SKIPPED = 0 ] || skip "$SKIPPED parts of it"
