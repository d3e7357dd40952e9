# SPDX-License-Identifier: BSD-2-Clause
#
# tests/integration/ctl.py - what programs do with .pagefs, for ctl.sh
#
#   ctl.py formats | garbage | crowd SECONDS | many N
#
# MNT is the mount; formats are compared with those of this machine's /proc.
import errno
import mmap
import os
import random
import re
import sys
import threading
import time

MNT = os.environ["MNT"]
CTL = MNT + "/.pagefs/"
random.seed(11)


def get(name):
    with open(CTL + name) as f:
        return f.read()


def proc(name):
    with open("/proc/" + name) as f:
        return f.read()


def match(name, pattern, lines):
    for line in lines:
        assert re.fullmatch(pattern, line), "%s: %r" % (name, line)
    assert lines, name + " is empty"


# ---- formats ----

def meminfo():
    pattern = r"[A-Z][A-Za-z()_]*: +\d+ kB"
    ours = get("meminfo").splitlines()
    match("meminfo", pattern, ours)
    names = [line.split(":")[0] for line in ours]
    assert len(set(names)) == len(names)
    theirs = [line.split(":")[0] for line in proc("meminfo").splitlines()]
    # What not all kernels have.
    unknown = set(names) - set(theirs) - {"KReclaimable", "Balloon", "WritebackTmp"}
    assert not unknown, unknown
    both = [n for n in names if n in theirs]
    assert both == [n for n in theirs if n in names], "not in Linux's order"
    for line, real in ((o, t) for o in ours for t in proc("meminfo").splitlines()
                       if o.split(":")[0] == t.split(":")[0]):
        assert line.index(":") == real.index(":") and line[-3:] == real[-3:]
    value = {n: int(l.split()[1]) for n, l in zip(names, ours)}
    assert value["MemTotal"] == 65536
    assert value["MemFree"] + value["Cached"] <= value["MemTotal"]
    assert 0 < value["MemAvailable"] <= value["MemTotal"]
    assert value["Slab"] == value["SReclaimable"] + value["SUnreclaim"]
    for n in ("SwapTotal", "SwapFree", "WritebackTmp", "AnonPages", "Shmem"):
        assert value[n] == 0


def vmstat():
    ours = get("vmstat").splitlines()
    match("vmstat", r"[a-z_0-9]+ \d+", ours)
    names = {line.split()[0] for line in ours}
    theirs = {line.split()[0] for line in proc("vmstat").splitlines()}
    need = {"nr_free_pages", "nr_file_pages", "nr_dirty", "nr_writeback",
            "nr_mapped", "nr_dirtied", "nr_written", "pgpgin", "pgpgout",
            "pswpin", "pswpout", "pgfault", "pgmajfault", "pgfree",
            "nr_dirty_threshold", "nr_dirty_background_threshold",
            "pgscan_kswapd", "pgsteal_kswapd", "drop_pagecache", "drop_slab"}
    assert need <= theirs, need - theirs
    assert need <= names, need - names
    assert len(names) == len(ours)


def zones():
    shape = r"Node \d+, zone +\w+ ( +\d+)+ +"
    match("buddyinfo", shape, get("buddyinfo").splitlines())
    match("/proc/buddyinfo", shape, proc("buddyinfo").splitlines())
    info = get("zoneinfo")
    match("zoneinfo", r"Node \d+, zone +\w+",
          [l for l in info.splitlines() if l.startswith("Node")])
    for field in ("pages free ", "      min ", "      low ", "      high ",
                  "spanned ", "present ", "managed ", "protection: ("):
        assert field in info and field in proc("zoneinfo"), field
    assert get("swaps") == proc("swaps").splitlines(True)[0]


def slabinfo():
    ours = get("slabinfo").splitlines()
    assert ours[0] == "slabinfo - version: 2.1"
    assert ours[:2] == proc("slabinfo").splitlines()[:2]
    match("slabinfo", r"\S+ +\d+ +\d+ +\d+ +\d+ +\d+ : tunables +\d+ +\d+ +\d+"
          r" : slabdata +\d+ +\d+ +\d+", ours[2:])


def diskstats():
    ours = get("diskstats").splitlines()
    assert len(ours) == 1
    match("diskstats", r" *\d+ +\d+ \S+( \d+){17}", ours)
    dev = os.stat(os.environ["BACK"]).st_dev
    assert [int(x) for x in ours[0].split()[:2]] == [os.major(dev), os.minor(dev)]
    written = int(ours[0].split()[9]) * 512
    fd = os.open(MNT + "/written", os.O_RDWR | os.O_CREAT)
    os.write(fd, b"w" * (1 << 20))
    os.fsync(fd)
    os.close(fd)
    assert int(get("diskstats").split()[9]) * 512 - written == 1 << 20


def smaps_lines(text):
    return [l.split(":")[0] for l in text.splitlines() if re.match(r"[A-Z]", l)]


MAP = r"[0-9a-f]{8,}-[0-9a-f]{8,} [r-][w-][x-][sp] [0-9a-f]{8,} " \
      r"[0-9a-f]{2,}:[0-9a-f]{2,} \d+ +/.*"
KB = r"[A-Z][A-Za-z_]+: +\d+ kB|THPeligible: +\d+|VmFlags:( [a-z]{2})+ "


def maps():
    """Under pagefs-run."""
    path = MNT + "/a file\n"
    with open(path, "wb") as f:
        f.write(b"x" * 65536)
    f = open(path, "r+b")
    m = mmap.mmap(f.fileno(), 65536)
    m[4096:4100] = b"new!"
    pid = str(os.getpid())
    assert pid in os.listdir(CTL + "maps") and pid in os.listdir(CTL + "smaps")
    lines = get("maps/" + pid).splitlines()
    match("maps", MAP, lines)
    match("/proc/self/maps", MAP, [l for l in proc("self/maps").splitlines() if "/lib" in l])
    st = os.stat(path)
    mine = [l for l in lines if l.endswith("/a file\\012")]
    assert len(mine) == 1, lines
    start, end = (int(x, 16) for x in mine[0].split()[0].split("-"))
    assert end - start == 65536
    fields = mine[0].split(None, 5)
    assert fields[1:3] == ["rw-s", "00000000"]
    assert fields[3] == "%02x:%02x" % (os.major(st.st_dev), os.minor(st.st_dev))
    assert int(fields[4]) == st.st_ino and fields[5] == path.replace("\n", "\\012")
    real = [l for l in proc("self/maps").splitlines()
            if int(l.split("-")[0], 16) <= start < int(l.split()[0].split("-")[1], 16)]
    assert len(real) == 1, "not where the kernel has it"
    small = get("smaps/" + pid)
    match("smaps", MAP + "|" + KB, small.splitlines())
    assert small.splitlines()[0] == lines[0]
    theirs = smaps_lines(proc("self/smaps"))
    theirs = theirs[:theirs.index("VmFlags") + 1]
    ours = smaps_lines(small)
    ours = ours[:ours.index("VmFlags") + 1]
    # Pss_Dirty came with Linux 6.0, KSM with 6.6.
    assert [n for n in theirs if n not in ("KSM", "ProtectionKey")] == \
        [n for n in ours if n in theirs or n != "Pss_Dirty"], (ours, theirs)
    value = {l.split(":")[0]: l.split()[1] for l in small.splitlines() if " kB" in l}
    assert value["Size"] == "64" and int(value["Rss"]) >= 4
    assert value["Private_Dirty"] == "4" and value["Pss_Dirty"] == "4"
    m.close()
    f.close()
    gone = time.monotonic() + 5
    while "a file" in get("maps/" + pid):
        assert time.monotonic() < gone
    os.unlink(path)


# ---- writing ----

def refused(name, data, flags=os.O_WRONLY, pos=0):
    fd = os.open(CTL + name, flags)
    try:
        os.pwrite(fd, data, pos)
    except OSError as e:
        return e.errno
    finally:
        os.close(fd)
    return 0


def garbage():
    names = [n for n in os.listdir(CTL + "vm") if n != "drop_caches"]
    before = {n: get("vm/" + n) for n in names}
    bad = [b"-1", b"+1", b"x", b"1x", b"1 2", b"0x", b"1.5", b"\0", b"5\0", b"\n", b" ",
           b"9" * 30, b"1" + b" " * 80, b"9" * 100000, "5٠".encode(), b"\xff\xfe",
           b"18446744073709551616"]
    bad += [random.randbytes(random.randrange(1, 40)) + b"!" for _ in range(200)]
    for n in names + ["drop_caches"]:
        for data in bad:
            err = refused("vm/" + n, data)
            assert err == errno.EINVAL, (n, data, err)
        assert refused("vm/" + n, b"5", pos=1) == errno.EINVAL
    for data in (b"0", b"4", b"8", b"1\n2"):
        assert refused("vm/drop_caches", data) == errno.EINVAL, data
    for n in ("dirty_ratio", "dirty_background_ratio"):
        assert refused("vm/" + n, b"101") == errno.EINVAL
    for what in ("dirty", "dirty_background"):
        share, size = "vm/" + what + "_ratio", "vm/" + what + "_bytes"
        was = get(share)
        assert refused(size, b"1000000") == 0
        assert (get(share), get(size)) == ("0\n", "1000000\n")
        assert refused(share, was.encode()) == 0
        assert (get(share), get(size)) == (was, "0\n")
    for n in names:
        assert get("vm/" + n) == before[n], n
        value = before[n].strip().encode()
        # bytes are 0 while the ratio rules, and cannot be set to that
        unset = value == b"0" and n.endswith("_bytes")
        assert refused("vm/" + n, value) == (errno.EINVAL if unset else 0), n
        fd = os.open(CTL + "vm/" + n, os.O_RDWR | os.O_TRUNC)
        assert os.pread(fd, 100, 0) == value + b"\n"
        os.close(fd)


def crowd(seconds):
    """Readers of everything, writers, garbage, and files that come and go."""
    until = time.monotonic() + seconds
    errors, rounds = [], [0]

    def forever(fn):
        def run():
            try:
                while time.monotonic() < until:
                    fn()
                    rounds[0] += 1
            except BaseException as e:
                errors.append(repr(e))
        t = threading.Thread(target=run)
        t.start()
        return t

    # A stream: what there is of it now.
    def read_trace():
        fd = os.open(CTL + "trace", os.O_RDONLY | os.O_NONBLOCK)
        try:
            for _ in range(10):
                os.read(fd, 65536)
        except BlockingIOError:
            pass
        finally:
            os.close(fd)

    def read_all():
        for top, _, files in os.walk(CTL):
            for name in files:
                path = os.path.join(top, name)
                if path == CTL + "trace":
                    read_trace()
                    continue
                try:
                    with open(path, "rb") as f:
                        while f.read(random.choice((1, 100, 1 << 20)) + 50):
                            pass
                except PermissionError:
                    assert name in ("drop_caches", "sync"), path    # for writing only
                except FileNotFoundError:
                    assert "maps" in path, path

    def write_legal():
        value = b"%d\n" % random.randrange(10, 60)
        assert refused("vm/dirty_ratio", value) == 0
        assert 10 <= int(get("vm/dirty_ratio")) < 60

    def write_garbage():
        assert refused("vm/dirty_ratio", b"%d" % random.randrange(101, 999)) == errno.EINVAL
        assert refused("vm/dirty_ratio", random.randbytes(20) + b"!") == errno.EINVAL
        assert 10 <= int(get("vm/dirty_ratio")) < 60

    def drop():
        assert refused("vm/drop_caches", random.choice((b"1", b"2", b"3\n"))) == 0
        time.sleep(0.01)

    def make_files():
        path = MNT + "/crowd-%d" % threading.get_ident()
        with open(path, "wb") as f:
            f.write(random.randbytes(100000))
        os.rename(path, path + " b")
        with open(path + " b", "rb") as f:
            assert len(f.read()) == 100000
        os.unlink(path + " b")

    def lines_are_whole():
        for line in get("files").splitlines()[1:]:
            assert re.fullmatch(r"(\d+ ){6}(-|/\S*)", line), line

    def map_and_unmap():
        path = MNT + "/mapped"
        with open(path, "a+b") as f:
            f.truncate(1 << 20)
            m = mmap.mmap(f.fileno(), 1 << 20)
            for i in range(0, 1 << 20, 65536):
                m[i] = 1
            m.close()

    refused("vm/dirty_ratio", b"20")
    threads = [forever(fn) for fn in
               [read_all] * 4 + [write_legal] * 2 + [write_garbage] * 2 +
               [drop, make_files, make_files, lines_are_whole, map_and_unmap]]
    for t in threads:
        t.join()
    assert not errors, errors
    assert refused("vm/dirty_ratio", b"20") == 0
    print(rounds[0], "rounds")


def many(n):
    """Under pagefs-run: every mapping has its line, in order."""
    f = open(MNT + "/many", "w+b")
    f.truncate(4096)
    # Of one page again and again, so that none can be joined to its neighbour.
    held = [mmap.mmap(f.fileno(), 4096, prot=mmap.PROT_READ) for _ in range(n)]
    for name in ("maps", "smaps"):
        with open("%s%s/%d" % (CTL, name, os.getpid())) as text:
            starts = [int(l.split("-")[0], 16) for l in text if l.endswith("/many\n")]
        assert len(starts) == n, (name, len(starts))
        assert starts == sorted(set(starts)), name
    assert held


def reread():
    """As top(1) does: one descriptor, again and again from 0."""
    fd = os.open(CTL + "vmstat", os.O_RDONLY)
    seen = []
    for i in range(3):
        text = os.pread(fd, 1 << 16, 0).decode()
        seen.append(int(re.search(r"^pgalloc (\d+)$", text, re.M)[1]))
        with open(MNT + "/grow%d" % i, "wb") as f:
            f.write(b"g" * 100000)
    assert seen[0] < seen[1] < seen[2], seen


what = sys.argv[1]
if what == "formats":
    for fn in (meminfo, vmstat, zones, slabinfo, diskstats, reread):
        fn()
elif what == "crowd":
    crowd(float(sys.argv[2]))
elif what == "many":
    many(int(sys.argv[2]))
else:
    {"garbage": garbage, "maps": maps}[what]()
