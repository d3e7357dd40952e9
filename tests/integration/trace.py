#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
#
# trace.py - what .pagefs/trace says, against what is known to have happened
#
#   trace.py TEST MNT BACK [ARGUMENT...]
#
# Run by trace.sh, one test a call; fails with an exception.

import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time

from trace_reader import (PAGE, TRACE, Reader, back, check_once, mnt, of, write,
                          written_bytes)


# What fsync writes: all of it, once, for the reason "sync".
def test_fsync():
    reader = Reader()
    sizes = {"empty": 0, "one": 1, "page": PAGE, "tail": 3 * PAGE + 100,
             "run": 300 * PAGE, "a b\"c\\d\né": 2 * PAGE + 1}
    for name, size in sizes.items():
        write(name, os.urandom(size), sync=True)
    # Twice before it is written: dirty once.
    write("twice", bytes(5 * PAGE))
    write("twice", b"x" * PAGE, PAGE)
    write("twice", b"", sync=True)
    sizes["twice"] = 5 * PAGE
    events = reader.drain()
    check_once(events)
    for name, size in sizes.items():
        st = os.stat(f"{back}/{name}")
        assert st.st_size == size
        assert written_bytes(events, name) == size, name
        assert len(of(events, "writeback_dirty_page", name)) == -(-size // PAGE)
        for e in of(events, "writeback_pages", name):
            assert e["reason"] == "sync" and e["ino"] == st.st_ino, e
            assert e["age_ms"] < 60000 and e["device_us"] > 0, e
            assert e["queue_us"] < 10e6 and e["tid"] > 0, e
    assert all(e["reason"] == "sync" for e in of(events, "writeback_start"))
    stamps = [e["ts"] for e in events if e["tid"] == events[0]["tid"]]
    assert stamps == sorted(stamps)
    # Once more dirty, once more written, and no other page with it.
    del reader.events[:]
    write("run", b"again", 7 * PAGE + 5, sync=True)
    events = reader.drain()
    check_once(events)
    assert [(e["index"], e["nr"]) for e in of(events, "writeback_pages")] == \
        [(7, 1)]
    reader.close()


def test_age():
    reader = Reader("event=writeback_pages file=aged")  # "old" is of age soon
    write("aged", b"x")
    time.sleep(1)
    write("aged", b"y", PAGE, sync=True)
    event, = reader.drain()
    assert 990 <= event["age_ms"] <= 5000, event    # the older of two
    reader.close()


# More than a tenth of 64 MiB is dirty: flushers begin. Every page once.
def test_background():
    reader, starts = Reader("file=big"), Reader("event=writeback_start")
    for i in range(24):
        write("big", os.urandom(1 << 20), i << 20)
        reader.drain()
        starts.drain()
    reader.until(lambda events: of(events, "writeback_pages", "big"), 10)
    write("big", b"", sync=True)
    events = reader.drain()
    check_once(events)
    assert written_bytes(events, "big") == 24 << 20
    reasons = {e["reason"] for e in of(events, "writeback_pages", "big")}
    assert "background" in reasons, reasons
    assert reasons <= {"background", "sync", "throttled", "reclaim"}, reasons
    assert "background" in {
        e["reason"] for e in of(starts.drain(), "writeback_start")}
    reader.close()
    starts.close()


# Dirtied before by somebody else: written when it is EXPIRE seconds old.
def test_periodic():
    expire = float(sys.argv[4])
    reader = Reader("event=writeback_pages file=old")
    event = reader.until(lambda events: events, expire + 20)[0]
    assert event["reason"] == "periodic", event
    assert event["age_ms"] >= expire * 1000 - 20, event
    assert event["age_ms"] <= expire * 1000 + 15000, event
    reader.close()


# Reads until the mount goes: all that is dirty is written before the end. More
# than one reply holds, and read at leisure.
def test_umount():
    pages = 1500
    fd = os.open(TRACE, os.O_RDWR)
    os.write(fd, b"event=writeback_pages file=last")
    out = os.open(f"{mnt}/last", os.O_WRONLY | os.O_CREAT, 0o644)
    for i in range(pages):
        os.pwrite(out, b"x" * PAGE, 2 * i * PAGE)
    os.close(out)
    print("ready", flush=True)
    data = b""
    while piece := os.read(fd, 65536):
        data += piece
        time.sleep(0.04)
    os.close(fd)
    assert len(data) > 2 * 65536, len(data)
    events = [json.loads(line) for line in data.splitlines()]
    assert not of(events, "lost")
    assert sorted((e["index"], e["nr"], e["reason"]) for e in events) == [
        (2 * i, 1, "sync") for i in range(pages)], events[-3:]


# Has the trace open, and does not read it, or only now and then: the end of the
# mount does not wait for long. Without a reader it takes 0.1 s here.
def test_idle():
    fd = os.open(TRACE, os.O_RDONLY)
    slow = os.open(TRACE, os.O_RDONLY)
    write("last", bytes(10 * PAGE))
    print("ready", flush=True)
    began = time.monotonic()
    try:
        while time.monotonic() < began + 10 and os.read(slow, 7):
            time.sleep(0.05)
    except OSError as e:
        assert e.errno in (errno.ENOTCONN, errno.ECONNABORTED), e
    try:                            # never a wait without end
        os.read(fd, 10)
    except OSError as e:
        assert e.errno in (errno.ENOTCONN, errno.ECONNABORTED), e
    os.close(fd)
    os.close(slow)


def test_filter():
    write("x", b"1", sync=True)
    some = Reader("event=writeback_pages file=with\\040blank\n")
    names = Reader("file=/x event=writeback_dirty_page,writeback_pages")
    for name in "x", "with blank", "y":
        write(name, b"2", sync=True)
    event, = some.drain()
    assert event["event"] == "writeback_pages", event
    assert event["file"] == "with blank", event
    assert [e["event"] for e in names.drain()] == [
        "writeback_dirty_page", "writeback_pages"]
    for bad in "event=", "event=no_such", "file=", "x=1", "event=mm_fault,", \
            "file=a file=b", "event=mm_fault nonsense", "a\0b":
        try:
            names.rule(bad)
        except OSError as e:
            assert e.errno == errno.EINVAL
        else:
            raise AssertionError(bad)
    write("x", b"3", sync=True)                     # still the old one
    assert len(names.drain()) == 4
    names.rule("\n")                                # all
    write("y", b"4", sync=True)
    assert of(names.drain(), "writeback_start")
    # A file without a name is a number.
    fd = os.open(f"{mnt}/gone", os.O_WRONLY | os.O_CREAT, 0o644)
    ino = os.fstat(fd).st_ino
    os.unlink(f"{mnt}/gone")
    os.write(fd, b"x")
    os.fsync(fd)
    os.close(fd)
    found = [e for e in names.drain() if e.get("ino") == ino]
    assert found and not any("file" in e for e in found), found
    some.close()
    names.close()


# Small reads get pieces of lines, nothing is doubled or missing.
def test_small_reads():
    small, whole = Reader(), Reader()
    write("pieces", bytes(50 * PAGE), sync=True)
    data = b""
    while True:
        try:
            data += os.read(small.fd, 7)
        except BlockingIOError:
            break
    assert [json.loads(line) for line in data.splitlines()] == whole.drain()
    small.close()
    whole.close()


def test_blocking():
    fd = os.open(TRACE, os.O_RDWR)
    os.write(fd, b"event=writeback_dirty_page")
    # read(2) waits, and goes on when there is something.
    got = []
    thread = threading.Thread(target=lambda: got.append(os.read(fd, 65536)))
    thread.start()
    thread.join(0.3)
    assert thread.is_alive(), got
    write("wakes", b"x")
    thread.join(5)
    assert not thread.is_alive() and b'"wakes"' in got[0], got

    # A signal ends the wait.
    class Alarm(Exception):
        pass

    def on_alarm(*_):
        raise Alarm
    signal.signal(signal.SIGALRM, on_alarm)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    began = time.monotonic()
    try:
        os.read(fd, 65536)
    except Alarm:
        pass
    assert 0.1 < time.monotonic() - began < 2
    os.close(fd)


# Twenty at once, each with what it wants, and whole.
def test_twenty():
    rules = ["", "event=writeback_pages", "file=all0",
             "event=writeback_dirty_page file=all1"]
    readers = [Reader(rules[i % 4]) for i in range(20)]
    for i in range(40):
        write(f"all{i % 4}", os.urandom(3 * PAGE), sync=True)
    first = [reader.drain() for reader in readers[:4]]
    check_once(first[0])
    assert first[1] == of(first[0], "writeback_pages") and first[1]
    assert first[2] == [e for e in first[0] if e.get("file") == "all0"]
    assert first[3] == of(first[0], "writeback_dirty_page", "all1")
    assert len(first[3]) == 30
    for i, reader in enumerate(readers):
        assert reader.drain() == first[i % 4], i
        reader.close()


# As many as may be, all waiting: the mount serves, one more is refused, and
# killed they are gone.
def test_many():
    cats = [subprocess.Popen(["cat", TRACE], stdout=subprocess.DEVNULL)
            for _ in range(64)]
    time.sleep(0.5)
    try:
        Reader()
    except OSError as e:
        assert e.errno == errno.EUSERS, e
    else:
        raise AssertionError("65 readers")
    for i in range(100):
        write(f"many{i}", b"x")
    assert len([n for n in os.listdir(mnt) if n.startswith("many")]) == 100
    for cat in cats:
        assert cat.poll() is None, "cat has ended"
        cat.kill()
    began = time.monotonic()
    for cat in cats:
        cat.wait(5)
    assert time.monotonic() - began < 2
    end = time.monotonic() + 5
    while True:
        try:
            Reader().close()
            break
        except OSError:
            assert time.monotonic() < end, "readers stay"
            time.sleep(0.05)


def overwrite(nr):
    fd = os.open(f"{mnt}/over", os.O_WRONLY | os.O_CREAT, 0o644)
    data = os.urandom(PAGE)
    began = time.monotonic()
    for i in range(nr):
        os.pwrite(fd, data, i % 512 * PAGE)
        if i % 512 == 511:
            os.ftruncate(fd, 0)
    os.close(fd)
    return time.monotonic() - began


# One that does not read is told so later, and holds up nobody.
def test_slow():
    nr = 40 * 512
    overwrite(nr)
    without, with_it = [], []
    for _ in range(5):              # in turns: the machine may be busy
        without.append(overwrite(nr))
        slow = Reader("event=writeback_dirty_page")
        with_it.append(overwrite(nr))
        slow.close()
    without, with_it = min(without), min(with_it)
    slow = Reader("event=writeback_dirty_page")
    for _ in range(3):
        overwrite(nr)
    events = slow.drain()
    lost = of(events, "lost")
    assert lost and "nr" in lost[0], events[:3]
    assert events[0]["event"] == "lost", events[0]
    total = sum(e["nr"] for e in lost) + len(events) - len(lost)
    assert total == 3 * nr, (total, 3 * nr)
    print(f"{nr} writes: {without:.2f} s, with a reader that sleeps "
          f"{with_it:.2f} s")
    # Half as much again, if nothing is said.
    slack = float(sys.argv[4])
    assert with_it < without * slack + 0.05, (with_it, without)
    slow.close()


def test_rights():
    pid = os.fork()
    if not pid:
        os.setresuid(65534, 65534, 65534)
        try:
            os.open(TRACE, os.O_RDONLY)
        except PermissionError:
            os._exit(0)
        os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0
    try:
        os.open(TRACE, os.O_WRONLY)
    except OSError as e:
        assert e.errno == errno.EINVAL
    else:
        raise AssertionError("write-only")


# Faults of a program that maps a file by pagefs-run.
def test_faults():
    write("mapped", os.urandom(64 * PAGE), sync=True)
    reader = Reader("file=mapped")
    program = subprocess.Popen(
        [sys.argv[4], sys.executable, "-c", """
import mmap, sys
with open(sys.argv[1], "r+b") as f:
    m = mmap.mmap(f.fileno(), 0)
    m[0], m[9 * 4096]
    m[9 * 4096] = 1
    m[33 * 4096] = 2
    m.flush()
""", f"{mnt}/mapped"])
    assert program.wait(60) == 0
    # Written back within a second of the store, they are dirtied once more.
    write("mapped", b"", sync=True)
    events = reader.drain()
    faults = of(events, "mm_fault", "mapped")
    assert faults, "no faults"
    for e in faults:
        assert e["pid"] == program.pid and e["addr"] % PAGE == 0, e
        assert e["us"] < 10e6 and "failed" not in e, e
        assert e["kind"] in ("minor", "major", "soft", "wp"), e
    assert {"wp"} <= {e["kind"] for e in faults if e["index"] == 9}, faults
    assert {e["index"] for e in of(events, "writeback_dirty_page")} == {9, 33}
    check_once(events)
    reader.close()


globals()["test_" + sys.argv[1]]()
