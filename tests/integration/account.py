#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
#
# account.py - the trace's account of writes against what the device got, what
# caused them, and how long they took
#
#   account.py TEST MNT BACK [ARGUMENT...]
#
# Run by account.sh, one test a call; fails with an exception.

import mmap
import os
import random
import subprocess
import sys
import threading
import time

from trace_reader import (PAGE, Reader, back, check_once, mnt, of, times, write,
                          written_bytes)

CTL = mnt + "/.pagefs/"


def vm(**values):
    for name, value in values.items():
        with open(CTL + "vm/" + name, "w") as f:
            f.write(str(value))


def vmstat(name):
    with open(CTL + "vmstat") as f:
        return int(dict(line.split() for line in f)[name])


def until(condition, seconds, what):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.02)


def clean():
    """Everything is on the disk, and nothing will go there by itself."""
    vm(laptop_mode=0, dirty_writeback_centisecs=10, dirty_expire_centisecs=1,
       dirty_background_bytes=4 << 20, dirty_bytes=16 << 20)
    until(lambda: vmstat("nr_dirty") + vmstat("nr_writeback") == 0, 30,
          "pages stay dirty")
    vm(dirty_expire_centisecs=360000, dirty_writeback_centisecs=0)


class Drainer(threading.Thread):
    """Reads a trace all the while."""

    def __init__(self, rule=None):
        super().__init__()
        self.reader = Reader(rule)
        self.ending = threading.Event()
        self.start()

    def run(self):
        while not self.ending.wait(0.002):
            self.reader.drain()

    def finish(self):
        self.ending.set()
        self.join()
        events = self.reader.drain()
        self.reader.close()
        return events


# ---- what the device got ----

def sectors_of(disk):
    with open(f"/sys/block/{disk}/stat") as f:
        return int(f.read().split()[6])


def own_sectors():
    with open(CTL + "diskstats") as f:
        return int(f.read().split()[9])


def sync_file(name):
    fd = os.open(f"{mnt}/{name}", os.O_RDWR)
    os.fsync(fd)
    os.close(fd)


def writer(name, size, seconds, model):
    """Writes at random places, often to the same, and now and then syncs."""
    rand = random.Random(name)
    fd = os.open(f"{mnt}/{name}", os.O_RDWR)
    end = time.monotonic() + seconds
    rounds = 0
    while time.monotonic() < end:
        pos = rand.randrange(size - 1)
        data = rand.randbytes(rand.randrange(1, min(3 * PAGE, size - pos) + 1))
        os.pwrite(fd, data, pos)
        model[pos:pos + len(data)] = data
        rounds += 1
        if rounds % 200 == 0:
            os.fdatasync(fd)
        time.sleep(0.0005)
    os.close(fd)


MAPPER = """
import mmap, random, sys
rand = random.Random(1)
with open(sys.argv[1], "r+b") as f:
    m = mmap.mmap(f.fileno(), 0)
    for i in range(600):
        m[rand.randrange(len(m))] = i & 255
        if i % 100 == 0:
            m.flush()
"""


def test_device():
    """Known writes, in every way there is."""
    disk, seconds, run = sys.argv[4], float(sys.argv[5]), sys.argv[6]
    sizes = {"random0": 2 << 20, "random1": (1 << 20) + 1234, "random2": 777}
    models = {}
    for name, size in sizes.items():
        write(name, os.urandom(size), sync=True)
        with open(f"{back}/{name}", "rb") as f:
            models[name] = bytearray(f.read())
    for name in "mapped", "scanned":
        write(name, bytes(1 << 20), sync=True)
    # Whole before: then the file system below writes data, and little else.
    write("whole", bytes(16 << 20), sync=True)
    clean()
    vm(dirty_background_bytes=2 << 20, dirty_bytes=8 << 20,
       dirty_expire_centisecs=50, dirty_writeback_centisecs=20)
    os.sync()
    trace = Drainer()
    ours, device = own_sectors(), sectors_of(disk)

    threads = [threading.Thread(target=writer,
                                args=(name, size, seconds, models[name]))
               for name, size in sizes.items()]
    for thread in threads:
        thread.start()
    if run != "-":                  # first stores are faults, or found later
        subprocess.run([run, sys.executable, "-c", MAPPER, f"{mnt}/mapped"],
                       check=True, timeout=60)
        subprocess.run([run, "--direct", sys.executable, "-c", MAPPER,
                        f"{mnt}/scanned"], check=True, timeout=60)
    whole = os.urandom(16 << 20)
    for pos in range(0, len(whole), 1 << 18):
        write("whole", whole[pos:pos + (1 << 18)], pos)
    tail = os.urandom(3 * PAGE + 17)
    write("tail", tail)
    for thread in threads:
        thread.join()
    for name in *sizes, "mapped", "scanned", "whole", "tail":
        sync_file(name)

    ours, device = own_sectors() - ours, sectors_of(disk) - device
    events = trace.finish()
    check_once(events)
    writes = of(events, "writeback_pages")
    total = sum(e["bytes"] for e in writes)
    assert sum(-(-e["bytes"] // 512) for e in writes) == ours, (total, ours)
    assert written_bytes(events, "whole") >= len(whole)
    # A page of which a part was written is the kernel's to write, whole.
    aligned = sum(e["bytes"] // PAGE * PAGE for e in writes)
    print(f"{len(writes)} writes, {total} bytes; by our count {ours * 512}, by "
          f"the device's {device * 512}")
    assert aligned <= device * 512, (aligned, device * 512)
    # Besides that, blocks of names, sizes and times, at each sync: 0.1 % here.
    assert device * 512 <= total * 1.03 + (1 << 20)

    # And what it was told to be there is.
    os.sync()
    for name, data in *models.items(), ("whole", whole), ("tail", tail):
        with open(f"{back}/{name}", "rb") as f:
            assert f.read() == data, name
    for name in "mapped", "scanned":
        with open(f"{back}/{name}", "rb") as f:
            assert run == "-" or any(f.read()), name
    dirtied, _ = times(events)
    assert max(dirtied.values()) > 1, "nothing was dirtied twice"
    reasons = {e["reason"] for e in writes}
    assert {"sync", "background"} <= reasons, reasons


def test_exact():
    """In place and whole pages: the device gets these bytes and no others."""
    disk = sys.argv[4]
    write("exact", bytes(32 << 20), sync=True)
    clean()
    os.sync()
    time.sleep(1)
    os.sync()
    trace = Drainer("event=writeback_pages,writeback_dirty_page")
    device = sectors_of(disk)
    fd = os.open(f"{mnt}/exact", os.O_RDWR)
    for pos in range(0, 32 << 20, 1 << 18):
        os.pwrite(fd, os.urandom(1 << 18), pos)
    os.fdatasync(fd)
    os.close(fd)
    device = (sectors_of(disk) - device) * 512
    events = trace.finish()
    check_once(events)
    total = written_bytes(events, "exact")
    print(f"by the trace {total} bytes, by the device {device}")
    assert total == 32 << 20, total
    # The inode's block, for the time of the change; a bitmap at most.
    assert 0 <= device - total <= 8 * PAGE, device - total


# ---- reasons ----

def check_reason(events, name, reasons, pages):
    check_once([e for e in events if e.get("file") == name])
    writes = of(events, "writeback_pages", name)
    assert {e["reason"] for e in writes} == reasons, (name, writes[:5])
    assert sum(e["nr"] for e in writes) == pages, (name, writes[:5])
    started = {e["reason"] for e in of(events, "writeback_start")}
    assert reasons & started, (name, started)


def sync_by_fsync(name):
    write(name, bytes(4 * PAGE), sync=True)


def sync_by_fdatasync(name):
    fd = os.open(f"{mnt}/{name}", os.O_RDWR | os.O_CREAT, 0o644)
    os.write(fd, bytes(4 * PAGE))
    os.fdatasync(fd)
    os.close(fd)


def sync_by_o_dsync(name):
    fd = os.open(f"{mnt}/{name}", os.O_RDWR | os.O_CREAT | os.O_DSYNC, 0o644)
    os.write(fd, bytes(4 * PAGE))
    os.close(fd)


def sync_by_msync(name):
    """Of a mapping of the kernel's."""
    fd = os.open(f"{mnt}/{name}", os.O_RDWR | os.O_CREAT, 0o644)
    os.ftruncate(fd, 4 * PAGE)
    with mmap.mmap(fd, 4 * PAGE) as m:
        for i in range(4):
            m[i * PAGE] = 1
        m.flush()
    os.close(fd)


def sync_by_scanned_msync(name):
    sync_by_client_msync(name, "--direct")


def sync_by_client_msync(name, *options):
    write(name, bytes(4 * PAGE), sync=True)
    del trace.events[:]
    trace.drain()
    del trace.events[:]
    subprocess.run([sys.argv[4], *options, sys.executable, "-c", """
import mmap, sys
with open(sys.argv[1], "r+b") as f:
    m = mmap.mmap(f.fileno(), 0)
    for i in range(4):
        m[i * 4096] = 1
    m.flush()
""", f"{mnt}/{name}"], check=True, timeout=60)


def sync_by_rename(name):
    write(name, b"old", sync=True)
    trace.drain()
    del trace.events[:]
    write("new", bytes(4 * PAGE))
    os.rename(f"{mnt}/new", f"{mnt}/{name}")


def test_sync():
    global trace
    clean()
    trace = Reader()
    ways = [sync_by_fsync, sync_by_fdatasync, sync_by_o_dsync, sync_by_msync,
            sync_by_rename]
    if sys.argv[4] != "-":
        ways += [sync_by_client_msync, sync_by_scanned_msync]
    for way in ways:
        way(way.__name__)
        mapped = way in (sync_by_client_msync, sync_by_scanned_msync)
        until(lambda: vmstat("nr_dirty") == 0 or mapped, 1,
              way.__name__ + " leaves something dirty")
        sync_file(way.__name__)
        events = trace.drain()
        names = {e.get("file") for e in of(events, "writeback_pages")}
        assert names <= {way.__name__, "new"}, names
        for e in of(events, "writeback_pages"):
            assert e["reason"] == "sync", e
            e["file"] = way.__name__
        for e in of(events, "writeback_dirty_page"):
            e["file"] = way.__name__
        check_once(events)
        nr = sum(e["nr"] for e in of(events, "writeback_pages"))
        # What clients stored to less than a second ago may be written again
        # when they are gone.
        assert nr == 4 or (nr == 8 and mapped), events
        print(way.__name__)
        del trace.events[:]
    trace.close()


def test_background():
    clean()
    vm(dirty_bytes=48 << 20, dirty_background_bytes=1 << 20)
    trace = Drainer()
    for i in range(6):
        write("background", bytes(1 << 20), i << 20)
        time.sleep(0.1)             # far below the limit: nobody is paced
    until(lambda: vmstat("nr_dirty") <= 256, 10, "flushers do not start")
    time.sleep(0.3)
    events = trace.finish()
    assert not of(events, "balance_dirty_pages")
    writes = of(events, "writeback_pages", "background")
    assert {e["reason"] for e in writes} == {"background"}, writes[:3]
    assert sum(e["nr"] for e in writes) >= 5 * 256 - 256
    # What the threshold leaves is written later, for another reason, once.
    trace = Reader()
    sync_file("background")
    rest = of(trace.drain(), "writeback_pages", "background")
    assert {e["reason"] for e in rest} <= {"sync"}
    check_once([e for e in events + rest if e.get("file") == "background"])
    trace.close()


def test_periodic():
    clean()
    trace = Reader()
    write("periodic", bytes(5 * PAGE))
    vm(dirty_expire_centisecs=100, dirty_writeback_centisecs=20)
    events = trace.until(lambda e: of(e, "writeback_pages"), 10)
    time.sleep(0.1)
    check_reason(trace.drain(), "periodic", {"periodic"}, 5)
    event = of(events, "writeback_pages")[0]
    assert 1000 <= event["age_ms"] <= 1000 + 200 + 500, event
    trace.close()


def test_throttled():
    clean()
    vm(dirty_bytes=256 << 10, dirty_background_bytes=128 << 10)
    trace = Drainer()
    threads = [threading.Thread(
        target=lambda i=i: [write(f"throttled{i}", bytes(1 << 18), j << 18)
                            for j in range(32)]) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i in range(4):
        sync_file(f"throttled{i}")
    events = trace.finish()
    check_once(events)
    writes = of(events, "writeback_pages")
    nr = sum(e["nr"] for e in writes)
    assert nr == 4 * 32 * 64, (nr, [(k, v) for k, v in times(events)[1].items() if v > 1][:9])
    reasons = {e["reason"] for e in writes}
    assert reasons <= {"throttled", "background", "sync"}, reasons
    pauses = [(e["ts"], e["ts"] + e["pause_ms"] * 1000)
              for e in of(events, "balance_dirty_pages")]
    assert pauses and max(b - a for a, b in pauses) <= 200000
    throttled = [e for e in writes if e["reason"] == "throttled"]
    assert throttled, reasons
    for e in throttled:             # somebody waited when it was begun
        began = e["ts"] - e["device_us"] - e["queue_us"]
        assert any(a - 10000 <= began <= b + 300000 for a, b in pauses), e


def test_reclaim():
    """16 MiB of memory, half of it dirty, and a much larger file to read."""
    with open(f"{back}/large", "wb") as f:
        f.truncate(1 << 30)
    clean()
    vm(dirty_bytes=16 << 20, dirty_background_bytes=12 << 20)
    trace = Drainer()
    for i in range(8):
        write("reclaim", os.urandom(1 << 20), i << 20)
    with open(f"{mnt}/large", "rb", buffering=0) as f:
        while f.read(1 << 20) and not vmstat("wb_reclaim"):
            pass
    time.sleep(0.2)
    written = vmstat("wb_reclaim")
    sync_file("reclaim")
    events = trace.finish()
    check_once([e for e in events if e.get("file") == "reclaim"])
    writes = of(events, "writeback_pages", "reclaim")
    reasons = {e["reason"] for e in writes}
    assert "reclaim" in reasons and reasons <= {"reclaim", "sync"}, writes[:3]
    assert sum(e["nr"] for e in writes if e["reason"] == "reclaim") == written
    scans = of(events, "mm_vmscan_scan")
    assert scans and sum(e["scanned"] for e in scans) > 0, scans[:3]
    assert {e["who"] for e in scans} <= {"kswapd", "direct"}


def test_laptop():
    clean()
    vm(laptop_mode=1, dirty_expire_centisecs=10, dirty_writeback_centisecs=10)
    time.sleep(1.5)                 # the disk has been awake
    until(lambda: vmstat("nr_dirty") == 0, 5, "pages stay dirty")
    trace = Reader()
    for i in range(3):
        write(f"laptop{i}", bytes(3 * PAGE))
    time.sleep(1)
    assert not of(trace.drain(), "writeback_pages"), trace.events
    write("wakes", b"x", sync=True)
    trace.until(lambda e: sum(w["nr"] for w in of(e, "writeback_pages")) >= 10, 5)
    events = trace.events
    check_reason(events, "wakes", {"sync"}, 1)
    for i in range(3):
        check_reason(events, f"laptop{i}", {"laptop"}, 3)
    # A second after the disk was used, and all at once.
    at = [e["ts"] for e in of(events, "writeback_pages")
          if e["reason"] == "laptop"]
    woken = of(events, "writeback_pages", "wakes")[0]["ts"]
    assert 0.9e6 < min(at) - woken < 2e6, (at, woken)
    assert max(at) - min(at) < 0.5e6, at
    trace.close()
    vm(laptop_mode=0)


# ---- time ----

def test_latency():
    """A device of so many writes a second, and its own count of their ends."""
    disk, iops = sys.argv[4], int(sys.argv[5])
    pages = 110
    fd = os.open(f"{mnt}/timed", os.O_RDWR)     # allocated by account.sh
    for i in range(pages):
        os.pwrite(fd, os.urandom(PAGE), 2 * i * PAGE)
    ends, done = [], threading.Event()

    def observe():
        with open(f"/sys/block/{disk}/stat", "rb", buffering=0) as f:
            first = int(f.read(400).split()[4])
            while not done.is_set():
                f.seek(0)
                nr = int(f.read(400).split()[4]) - first
                now = time.monotonic()
                ends.extend([now] * (nr - len(ends)))
                time.sleep(0.005)

    trace = Reader("event=writeback_pages,writeback_start")
    observer = threading.Thread(target=observe)
    observer.start()
    time.sleep(0.1)
    began = time.monotonic()
    os.fdatasync(fd)
    done.set()
    observer.join()
    events = trace.drain()
    trace.close()
    os.close(fd)
    start = of(events, "writeback_start")[0]["ts"]
    writes = sorted(of(events, "writeback_pages"), key=lambda e: e["ts"])
    assert len(writes) == pages and len(ends) >= pages, (len(writes), len(ends))
    # The kernel may have written something else to the device meanwhile.
    others, worst = len(ends) - pages, 0
    for i, e in enumerate(writes):
        real = (ends[i] - began) * 1e6          # since the sync began
        later = (ends[i + others] - began) * 1e6
        worst = max(worst, real - (e["ts"] - start), e["ts"] - start - later)
        begun = e["ts"] - e["device_us"] - e["queue_us"] - start
        assert -1000 <= begun, e
        # Pages come one after the other to who submits them.
        if e["index"] < 2 * 16:
            assert begun < 100e3 and e["queue_us"] < 100e3, e
            assert real - 150e3 < e["device_us"] < later + 150e3, (e, real)
    taken = (ends[pages - 1] - began) * 1e6
    assert others < 10, "the device is somebody else's, too"
    print(f"{pages} writes took {taken / 1e3:.0f} ms; the trace's times of their "
          f"ends differ by {worst / 1e3:.0f} ms from the device's")
    assert taken > 0.7e6 * pages / iops, "the device is not slow"
    assert worst < 150e3, worst
    # More than a ring takes: those wait before the device has them.
    late = [e for e in writes if e["index"] >= 2 * 70]
    queued = sum(e["queue_us"] for e in late) / len(late) * iops / 1e6
    assert 0.7 < queued < 1.3, (queued, late[:9])
    # The device works on as many at a time as a ring takes, 64, and no more.
    busy = sum(e["device_us"] for e in writes) / taken
    assert 25 < busy < 66, busy


globals()["test_" + sys.argv[1]]()
