# SPDX-License-Identifier: BSD-2-Clause
#
# tests/integration/pagefsctl.py - what pagefsctl says is so, for pagefsctl.sh
#
#   pagefsctl.py NAME     one of the functions below
#
# MNT is the mount, of 64 MiB and cache=none, BACK its backing directory, PAGEFSCTL
# the program. What is said is compared with the control files.
import json
import mmap
import os
import re
import signal
import subprocess
import sys
import time

MNT = os.environ["MNT"]
BACK = os.environ["BACK"]
PROGRAM = os.environ["PAGEFSCTL"]
# What pagefs-run preloads is not for the program, which may have sanitizers.
os.environ.pop("LD_PRELOAD", None)
CTL = MNT + "/.pagefs/"
PAGE = 4096
MB = 1 << 20


def get(name):
    with open(CTL + name, errors="surrogateescape") as f:
        return f.read()


def vmstat(name):
    return int(re.search(r"^%s (\d+)$" % name, get("vmstat"), re.M)[1])


def command(*args):
    return [PROGRAM, "-m", MNT] + [os.fsencode(a) if isinstance(a, str) else a for a in args]


def ctl(*args, rc=0, err=""):
    p = subprocess.run(command(*args), capture_output=True, timeout=60, stdin=subprocess.DEVNULL)
    assert p.returncode == rc, (args, p)
    assert p.stderr.decode() == err, (args, p)
    return p.stdout.decode(errors="surrogateescape")


def js(*args):
    text = ctl("-j", *args)
    assert text.count("\n") == 1 and text.endswith("\n"), "one line: %r" % text
    text.encode()       # is UTF-8, whatever names are
    return json.loads(text)


def keys(obj, *names):
    assert list(obj) == list(names), list(obj)


def write(name, data, sync=False):
    with open(os.path.join(MNT, name), "wb", 0) as f:
        f.write(data)
        if sync:
            os.fsync(f)


def until(condition, seconds=5):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "in vain"
        time.sleep(0.02)


# ---- status, stat, files ----

def status():
    s = js("status")
    keys(s, "mount", "source", "uptime_s", "socket", "clients", "memory", "writeback",
         "written_by_reason_kb", "throttled", "reads", "faults", "disk")
    keys(s["memory"], "total_kb", "free_kb", "available_kb", "cached_kb", "active_kb",
         "inactive_kb", "mapped_kb", "slab_kb", "page_tables_kb", "swap_total_kb",
         "swap_free_kb")
    keys(s["writeback"], "dirty_kb", "writeback_kb", "background_limit_kb", "limit_kb",
         "dirtied_kb", "written_kb", "failed_kb", "flushers")
    keys(s["written_by_reason_kb"], "background", "periodic", "sync", "reclaim", "throttled",
         "laptop")
    keys(s["throttled"], "pauses", "total_ms", "longest_ms", "longest_write_ms")
    keys(s["reads"], "hits", "misses", "readahead_kb")
    keys(s["faults"], "total", "major", "soft", "failed")
    keys(s["disk"], "name", "read_kb", "written_kb")
    assert (s["mount"], s["source"]) == (MNT, BACK)
    assert 0 < s["uptime_s"] < 600 and s["clients"] == 0
    assert s["socket"] == get("socket").strip()
    assert s["memory"]["total_kb"] == 65536
    assert s["memory"]["cached_kb"] == int(re.search(r"^Cached: +(\d+)", get("meminfo"), re.M)[1])
    # It goes with the frames that are free, of which some come and go.
    assert abs(s["writeback"]["limit_kb"] - 4 * vmstat("nr_dirty_threshold")) < 200
    assert s["writeback"]["dirtied_kb"] == 4 * vmstat("nr_dirtied")
    assert s["disk"]["name"] == get("diskstats").split()[2]
    before = s["written_by_reason_kb"]["sync"], s["disk"]["written_kb"]
    write("status", b"s" * MB, sync=True)
    s = js("status")
    assert s["written_by_reason_kb"]["sync"] >= before[0] + 1024
    assert s["disk"]["written_kb"] >= before[1] + 1024
    text = ctl("status")
    for name in ("mount", "memory", "lists", "dirty", "writeback", "throttled", "reads", "disk",
                 "clients", "faults"):
        assert re.search("^%s +" % name, text, re.M), text
    assert "memory      64.0M:" in text and re.search("by reason .*sync ", text), text


def stat():
    text = ctl("stat").splitlines()
    assert len(text) == 3 and "memory kB" in text[0], text
    titles, values = text[1].split(), text[2].split()
    assert titles == ["free", "cached", "dirty", "wback", "mapped", "in", "out", "dirtied", "hit",
                      "miss", "flt", "maj", "scan", "steal", "pause"]
    assert len(values) == len(titles) and all(v.isdigit() for v in values)
    began = time.monotonic()
    assert len(ctl("stat", "0.2", "4").splitlines()) == 6
    assert 0.55 < time.monotonic() - began < 5
    # The header comes again.
    assert ctl("stat", "0.1", "21").count("memory kB") == 2
    p = subprocess.Popen(command("-j", "stat", "0.5", "3"), stdout=subprocess.PIPE)
    first = json.loads(p.stdout.readline())
    write("stat", b"s" * 8 * MB, sync=True)
    second = json.loads(p.stdout.readline())
    third = json.loads(p.stdout.readline())
    assert p.wait() == 0
    keys(first, "time", "interval_s", "free_kb", "cached_kb", "dirty_kb", "writeback_kb",
         "mapped_kb", "in_kb_s", "out_kb_s", "dirtied_kb_s", "hits_s", "misses_s", "faults_s",
         "major_faults_s", "scanned_s", "reclaimed_s", "pauses_s")
    assert abs(first["time"] - time.time()) < 10
    # Since the mount was made; then since the line before.
    assert first["interval_s"] > 1 > second["interval_s"] > 0.45
    wrote = (second["out_kb_s"] * second["interval_s"] + third["out_kb_s"] * third["interval_s"])
    assert abs(wrote - 8192) < 100, (second, third)


def files():
    s = js("files")
    keys(s, "mount", "files")
    theirs = {}
    for line in get("files").splitlines()[1:]:
        f = line.split(" ")
        path = re.sub(r"\\(\d{3})", lambda m: chr(int(m[1], 8)), f[6])
        theirs[path] = [int(x) for x in f[:6]]
    assert len(theirs) == len(s["files"]) >= 4
    for f in s["files"]:
        keys(f, "ino", "cached_kb", "dirty_kb", "writeback_kb", "mapped_kb", "oldest_ms", "policy",
             "path")
        # What is no UTF-8 is as Python has it.
        st = os.stat(MNT + f["path"])
        assert st.st_ino == f["ino"] == theirs[f["path"]][0]
        assert f["cached_kb"] == theirs[f["path"]][1] == (st.st_size + 4095) // 4096 * 4
    paths = [f["path"] for f in s["files"]]
    assert "/new\nline \\ \t\x1b[31m" in paths and "/ünï" in paths and "/bad\udcff\udcc3" in paths
    cached = [f["cached_kb"] for f in s["files"]]
    assert cached == sorted(cached, reverse=True)
    by_path = [os.fsencode(f["path"]) for f in js("files", "-s", "path")["files"]]
    assert by_path == sorted(by_path) and len(by_path) == len(paths)
    assert [f["ino"] for f in js("files", "--sort=ino")["files"]] == \
        sorted(f["ino"] for f in s["files"])
    assert len(js("files", "-n", "2")["files"]) == 2
    text = ctl("files")
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", text), text
    assert len(text.splitlines()) == len(paths) + 1
    assert "/new\\012line \\134 \\011\\033[31m\n" in text and "/bad\\377\\303\n" in text
    assert " /ünï\n" in text
    # What has no name.
    fd = os.open(MNT + "/gone", os.O_RDWR | os.O_CREAT)
    os.write(fd, b"x" * 9000)
    os.unlink(MNT + "/gone")
    assert [f for f in js("files")["files"] if f["path"] is None and f["cached_kb"] == 12]
    os.close(fd)
    # Only what is dirty, and how old.
    ctl("sync")
    assert js("files", "--dirty")["files"] == []
    ctl("sysctl", "dirty_writeback_centisecs=0")
    write("old", b"x")
    time.sleep(0.3)
    write("older", b"x" * 5000)
    found = js("files", "-d", "-s", "age")["files"]
    assert [f["path"] for f in found] == ["/old", "/older"], found
    assert [f["path"] for f in js("files", "-d", "-s", "dirty")["files"]] == ["/older", "/old"]
    assert 290 <= found[0]["oldest_ms"] < 10000 and found[0]["dirty_kb"] == 4
    ctl("sysctl", "dirty_writeback_centisecs=500")


# ---- sysctl, sync, drop-caches ----

def sysctl():
    names = sorted(n for n in os.listdir(CTL + "vm") if n != "drop_caches")
    values = {n: int(get("vm/" + n)) for n in names}
    assert js("sysctl") == js("sysctl", "-a") == values
    lines = "".join("vm.%s = %d\n" % (n, values[n]) for n in names)
    assert ctl("sysctl") == ctl("sysctl", "--all") == lines
    assert ctl("sysctl", "dirty_ratio=31", "vm.laptop_mode", "vm/dirty_ratio") == \
        "vm.dirty_ratio = 31\nvm.laptop_mode = 0\nvm.dirty_ratio = 31\n"
    assert get("vm/dirty_ratio") == "31\n"
    assert js("sysctl", "vm.dirty_ratio=20", "drop_caches=1") == \
        {"dirty_ratio": 20, "drop_caches": 1}
    assert get("vm/dirty_ratio") == "20\n"


def store(name):
    try:
        with open(os.path.join(BACK, name), "rb") as f:
            return f.read()
    except FileNotFoundError:
        return None


def sync_file():
    write("s1", b"1" * 5000)
    write("s2", b"2" * 5000)
    assert store("s1") == store("s2") == b""
    assert ctl("sync", MNT + "/s1") == ""
    assert store("s1") == b"1" * 5000 and store("s2") == b""
    # All of them are done, also behind one that fails.
    ctl("sync", MNT + "/nothing", MNT + "/s2", rc=1,
        err="pagefsctl: %s/nothing: No such file or directory\n" % MNT)
    assert store("s2") == b"2" * 5000


def sync_all():
    for i in range(20):
        write("all%d" % i, b"%d" % i * 3000)
    assert vmstat("nr_dirty") >= 20
    assert ctl("sync") == ""
    assert vmstat("nr_dirty") == vmstat("nr_writeback") == 0
    for i in range(20):
        assert store("all%d" % i) == b"%d" % i * 3000


def sync_crowd():
    """All wait for their turn, and others read on."""
    write("crowd", b"c" * MB)
    ps = [subprocess.Popen(command("sync")) for _ in range(40)]
    for _ in range(20):
        with open(MNT + "/crowd", "r+b", 0) as f:
            assert f.read(10) == b"c" * 10
    assert [p.wait(60) for p in ps] == [0] * 40
    assert store("crowd") == b"c" * MB


def cached(name):
    for f in js("files")["files"]:
        if f["path"] == "/" + name:
            return f["cached_kb"]
    return 0


def drop_caches():
    write("drop", b"d" * 4 * MB, sync=True)
    assert cached("drop") == 4096
    before = vmstat("drop_slab"), vmstat("drop_pagecache")
    s = js("drop-caches", "1")
    keys(s, "dropped_kb", "dropped_slab_kb", "cached_kb")
    assert s["dropped_kb"] >= 4096 and s["cached_kb"] < 1024 and cached("drop") == 0
    assert (vmstat("drop_slab"), vmstat("drop_pagecache")) == (before[0], before[1] + 1)
    ctl("drop-caches", "2")
    assert (vmstat("drop_slab"), vmstat("drop_pagecache")) == (before[0] + 1, before[1] + 1)
    assert re.fullmatch(r"dropped \S+ of pages and \S+ of objects; \S+ stay cached\n",
                        ctl("drop-caches"))
    assert (vmstat("drop_slab"), vmstat("drop_pagecache")) == (before[0] + 2, before[1] + 2)


# ---- advise ----

def advise_file(name, policy=None):
    return js("advise", MNT + "/" + name, *([policy] if policy else []))


def counted(name, fn):
    before = vmstat(name)
    fn()
    return vmstat(name) - before


def read_at(fd, index, nr=1):
    assert len(os.pread(fd, nr * PAGE, index * PAGE)) == nr * PAGE


def advise():
    size = 16 * MB
    write("adv ise", os.urandom(size), sync=True)
    fd = os.open(MNT + "/adv ise", os.O_RDONLY)
    a = advise_file("adv ise")
    assert a == {"file": MNT + "/adv ise", "policy": "normal"}
    assert ctl("advise", MNT + "/adv ise") == MNT + "/adv ise: normal\n"

    def fresh(policy):
        advise_file("adv ise", "normal")
        assert advise_file("adv ise", policy)["policy"] == policy
        advise_file("adv ise", "dontneed")
        assert cached("adv ise") == 0

    def one_by_one():
        for i in range(1000):
            read_at(fd, i)

    # Windows of read-ahead, and pages they brought.
    fresh("random")
    assert counted("pgreadahead", one_by_one) == 0
    assert cached("adv ise") == 4000
    fresh("random")
    assert counted("ra_sync", one_by_one) == 0
    fresh("normal")
    assert counted("pgreadahead", one_by_one) > 900
    # The limit is a 64th of memory that is not taken at the start, and twice that.
    fresh("normal")
    read_at(fd, 2000)
    assert cached("adv ise") == 4
    fresh("sequential")
    read_at(fd, 3000)
    until(lambda: 2 * 65536 // 64 * 0.95 < cached("adv ise") <= 2 * 65536 // 64)
    # Read twice, or written twice, pages become active; or not.
    for policy, expected in (("noreuse", 0), ("normal", 100)):
        fresh(policy)
        read_at(fd, 0, 100)
        got = counted("pgactivate", lambda: [read_at(fd, 0, 100) for _ in range(3)])
        assert got == expected, (policy, got)
    # Now.
    a = advise_file("adv ise", "willneed")
    assert a["cached_kb"] == size // 1024 and a["policy"] == "normal", a
    until(lambda: cached("adv ise") == size // 1024)
    assert counted("pgcache_miss", lambda: [read_at(fd, i, 64) for i in range(0, 4096, 64)]) == 0
    assert ctl("advise", MNT + "/adv ise", "dontneed") == MNT + "/adv ise: 16.0M dropped\n"
    assert cached("adv ise") == 0
    # No more than half of memory; what is dirty stays.
    os.truncate(MNT + "/adv ise", 200 * MB)
    assert advise_file("adv ise", "willneed")["cached_kb"] <= 32768
    os.truncate(MNT + "/adv ise", size)
    ctl("sysctl", "dirty_writeback_centisecs=0")
    with open(MNT + "/adv ise", "r+b", 0) as f:
        f.write(b"dirty")
    advise_file("adv ise", "dontneed")
    assert cached("adv ise") == 4
    ctl("sysctl", "dirty_writeback_centisecs=500")
    # They exclude each other, or join, and are seen.
    for policy, then in (("random", "random"), ("sequential", "sequential"),
                         ("noreuse", "sequential,noreuse"), ("random", "random,noreuse")):
        assert advise_file("adv ise", policy)["policy"] == then
        assert [f["policy"] for f in js("files")["files"] if f["path"] == "/adv ise"] == [then]
    assert get("advice") == "ino policy path\n%d random,noreuse /adv\\040ise\n" % \
        os.fstat(fd).st_ino
    assert re.search(r"random,noreuse +/adv ise$", ctl("files"), re.M)
    ctl("drop-caches", "1")
    assert advise_file("adv ise")["policy"] == "random,noreuse"
    os.rename(MNT + "/adv ise", MNT + "/renamed")
    assert advise_file("renamed")["policy"] == "random,noreuse"
    advise_file("renamed", "normal")
    assert get("advice") == "ino policy path\n"
    # A file that can only be written to.
    write("secret", b"x")
    os.chmod(MNT + "/secret", 0o200)
    assert advise_file("secret", "noreuse")["policy"] == "noreuse"
    os.close(fd)


def kernel_copies():
    """With cache=through: what is not needed goes from the kernel's cache, too."""
    size = 8 * MB
    write("copies", b"k" * size, sync=True)

    def read():
        with open(MNT + "/copies", "rb", 0) as f:
            while f.read(MB):
                pass
    # What the kernel holds of a mapping of its own is synced; its program is
    # another, or starting ours would hand it in.
    holder = subprocess.Popen([sys.executable, "-c", """if True:
        import mmap, sys
        f = open(sys.argv[1], "r+b")
        m = mmap.mmap(f.fileno(), 8192)
        m[100:105] = b"hello"
        print("stored", flush=True)
        sys.stdin.read()""", MNT + "/copies"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout.readline() == b"stored\n"
    assert b"hello" not in store("copies")
    ctl("sync")
    assert store("copies")[99:106] == b"khellok"
    holder.communicate()
    read()
    assert counted("pgpgin", read) == 0
    assert advise_file("copies", "dontneed")["dropped_kb"] == size // 1024
    assert counted("pgpgin", read) >= size // 1024


# ---- maps: under pagefs-run ----

def maps():
    size = 8 * MB
    write("map ped", os.urandom(size), sync=True)
    f = open(MNT + "/map ped", "r+b")
    m = mmap.mmap(f.fileno(), size)
    # In the order of the file one fault brings many pages; said to be random, one.
    def faults():
        return [m[i] for i in range(0, 400 * PAGE, PAGE)]
    advise_file("map ped", "random")
    assert counted("pgfaultaround", faults) == 0
    advise_file("map ped", "normal")
    m2 = mmap.mmap(f.fileno(), size, prot=mmap.PROT_READ)
    m[0:4] = b"new!"
    pid = os.getpid()
    s = js("maps", str(pid))
    keys(s, "mount", "pid", "mappings")
    assert s["pid"] == pid and len(s["mappings"]) == 2
    for v in s["mappings"]:
        keys(v, "start", "end", "mode", "pos", "ino", "size_kb", "rss_kb", "pss_kb", "dirty_kb",
             "locked_kb", "path")
        assert v["end"] - v["start"] == size and v["size_kb"] == size // 1024
        assert v["ino"] == os.fstat(f.fileno()).st_ino and v["path"] == MNT + "/map ped"
    writable = [v for v in s["mappings"] if v["mode"] == "rw-s"]
    assert len(writable) == 1 and writable[0]["rss_kb"] >= 1600 and writable[0]["dirty_kb"] == 4
    text = ctl("maps", str(pid))
    assert re.search(r"^[0-9a-f]{16} +8\.0M .* rw-s +0 %s$" % re.escape(MNT + "/map ped"), text,
                     re.M), text
    c = js("maps")
    keys(c, "mount", "clients")
    me = [x for x in c["clients"] if x["pid"] == pid]
    assert len(me) == len(c["clients"]) == 1 == js("status")["clients"]
    keys(me[0], "pid", "user", "command", "size_kb", "rss_kb", "pss_kb", "dirty_kb")
    assert me[0]["user"] == "root" and me[0]["command"].startswith("python3")
    assert me[0]["size_kb"] == 2 * size // 1024 and me[0]["rss_kb"] >= 1600
    assert re.search(r"^ *%d root .* python3" % pid, ctl("maps"), re.M)
    assert [x["mapped_kb"] for x in js("files")["files"] if x["path"] == "/map ped"][0] >= 1600
    # Another user sees that it is there, and no more.
    p = subprocess.run(["setpriv", "--reuid=12345", "--clear-groups", "--", "sh", "-c",
                        "[ -r '%s' ]" % PROGRAM])
    if p.returncode == 0:
        user = ["setpriv", "--reuid=12345", "--clear-groups", "--"]
        out = subprocess.run(user + command("-j", "maps"), capture_output=True, text=True)
        assert json.loads(out.stdout)["clients"] == \
            [{k: me[0][k] for k in ("pid", "user", "command")}], out
        out = subprocess.run(user + command("maps", str(pid)), capture_output=True, text=True)
        assert (out.returncode, out.stderr) == \
            (1, "pagefsctl: process %d is another user's\n" % pid), out
    m.close()
    m2.close()


# ---- trace, writeback ----

def start(*args):
    """A command that listens to the trace, when it does."""
    p = subprocess.Popen(command(*args), stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def listens():
        assert p.poll() is None, p.communicate()
        fds = "/proc/%d/fd/" % p.pid
        try:
            return any(os.readlink(fds + n) == CTL + "trace" for n in os.listdir(fds))
        except FileNotFoundError:
            return False    # closed meanwhile
    until(listens)
    time.sleep(0.1)     # its filter
    return p


def finish(p, rc=0):
    out, err = p.communicate(timeout=30)
    assert p.returncode == rc, (p.returncode, err)
    return out.decode(errors="surrogateescape")


def trace():
    for name in ("tr ace\n", "bad\udcff"):
        p = start("trace", "-j", "-f", MNT + "/" + name, "-n", "2")
        write("other", b"x", sync=True)
        write(name, b"t" * 9000, sync=True)
        # Three pages became dirty before the first was written.
        events = [json.loads(l) for l in finish(p).splitlines()]
        assert len(events) == 2
        for e in events:
            assert e["event"] == "writeback_dirty_page" and e["file"] == name, e
    p = start("trace", "-e", "writeback_pages", "-e", "writeback_start", "-f", MNT + "/bad\udcff",
              "-n", "1")
    write("bad\udcff", b"t" * 9000, sync=True)
    line = finish(p)
    m = re.fullmatch(r" +\d+\.\d{6} +\d+ writeback_pages +ino=(\d+) index=0 nr=3 bytes=9000 "
                     r"reason=sync .*err=0 file=/bad\\377\n", line)
    assert m and int(m[1]) == os.stat(MNT + "/bad\udcff").st_ino, line
    p = start("trace", "--event=writeback_start,writeback_pages", "-t", "1", "--raw")
    began = time.monotonic()
    write("tr", b"t" * 9000, sync=True)
    events = [json.loads(l) for l in finish(p).splitlines()]
    assert 0.4 < time.monotonic() - began < 5
    assert {e["event"] for e in events} == {"writeback_start", "writeback_pages"}
    # A file that is not there yet.
    p = start("trace", "-f", MNT + "/d/later", "-n", "1")
    write("d/later", b"x")
    assert "writeback_dirty_page" in finish(p)
    # ^C, and a reader that goes away.
    p = start("trace")
    p.send_signal(signal.SIGINT)
    assert p.wait(10) == -signal.SIGINT
    p.communicate()
    p = start("trace")
    p.stdout.close()
    write("tr", b"t" * 9000, sync=True)
    assert p.wait(10) == -signal.SIGPIPE
    p.stderr.close()


def readers():
    ps = []
    try:
        while len(ps) < 1000:
            ps.append(start("trace"))
    except AssertionError:
        pass
    assert len(ps) >= 16
    ctl("trace", rc=1, err="pagefsctl: %s: there are too many readers of the trace\n" % MNT)
    for p in ps:
        p.kill()
        p.communicate()
    until(lambda: subprocess.run(command("trace", "-t", "0.1"), capture_output=True)
          .returncode == 0)


HISTOGRAM = ["count", "mean", "p50", "p90", "p99", "max", "buckets"]


def check_histogram(h, count):
    keys(h, *HISTOGRAM)
    assert h["count"] == count == sum(b["count"] for b in h["buckets"]), h
    last = 0
    for b in h["buckets"]:
        keys(b, "from", "to", "count")
        assert b["to"] > b["from"] >= last and b["count"] > 0
        last = b["to"]
    assert h["buckets"][-1]["from"] <= h["max"] < last
    assert h["p50"] <= h["p90"] <= h["p99"] <= h["max"] and h["mean"] <= h["max"]


def writeback():
    ctl("sync")
    ctl("sysctl", "dirty_writeback_centisecs=0")
    p = start("writeback", "-j")
    write("wb1", b"w" * 3 * MB)
    time.sleep(0.5)
    ctl("sync", MNT + "/wb1")
    ctl("sysctl", "dirty_expire_centisecs=20", "dirty_writeback_centisecs=10")
    write("wb2", b"w" * 100000)
    until(lambda: vmstat("nr_dirty") == 0)
    time.sleep(0.2)
    p.send_signal(signal.SIGINT)
    text = finish(p)
    s = json.loads(text)
    keys(s, "mount", "seconds", "lost", "reasons")
    assert s["mount"] == MNT and s["lost"] == 0 and 0.5 < s["seconds"] < 60
    keys(s["reasons"], "periodic", "sync")
    for name, size in (("sync", 3 * MB), ("periodic", 100000)):
        r = s["reasons"][name]
        keys(r, "writes", "pages", "bytes", "errors", "age_ms", "queue_us", "device_us")
        assert r["bytes"] == size and r["pages"] == (size + 4095) // 4096 and r["errors"] == 0
        check_histogram(r["age_ms"], r["pages"])
        check_histogram(r["queue_us"], r["writes"])
        check_histogram(r["device_us"], r["writes"])
    assert 400 <= s["reasons"]["sync"]["age_ms"]["p50"] < 10000
    assert 190 <= s["reasons"]["periodic"]["age_ms"]["max"] < 10000
    ctl("sysctl", "dirty_expire_centisecs=3000", "dirty_writeback_centisecs=500")
    # For people; SIGTERM ends it as well.
    p = start("writeback")
    write("wb1", b"w" * 3 * MB, sync=True)
    time.sleep(0.2)
    p.terminate()
    text = finish(p)
    assert text.startswith(MNT + ": writeback in 0:00:0"), text
    assert re.search(r"^sync: 3\.0M in \d+ writes; ", text, re.M), text
    assert "age of the data" in text and "|################|" in text
    assert ctl("writeback", "-t", "0.2").endswith("nothing was written\n")
    # Following: all so far, again and again.
    p = start("writeback", "-j", "-i", "0.2", "-t", "1.5")
    write("wb1", b"w" * MB, sync=True)
    lines = [json.loads(l) for l in finish(p).splitlines()]
    assert 4 <= len(lines) <= 9, len(lines)
    sums = [l["reasons"]["sync"]["bytes"] if l["reasons"] else 0 for l in lines]
    assert sums == sorted(sums) and sums[-1] == MB, sums
    text = ctl("writeback", "--follow", "-t", "2.5")
    assert text.count(": writeback in ") == 3 and "\x1b" not in text, text


TESTS = (status, stat, files, sysctl, sync_file, sync_all, sync_crowd, drop_caches, advise,
         kernel_copies, maps, trace, readers, writeback)
{f.__name__: f for f in TESTS}[sys.argv[1]]()
