# SPDX-License-Identifier: BSD-2-Clause
#
# writeback-story.py - the chapters of scripts/writeback-story
#
#   writeback-story.py MOUNTPOINT      fails with an exception

import json
import os
import sys
import time

mnt = sys.argv[1]
CTL = mnt + "/.pagefs/"

WAKE = 0.5              # s between two looks for old data
SLOW = 0.3              # s a busy machine may take besides
ZERO = time.monotonic()


def say(text=""):
    print(f"\n== {text}", flush=True)


def tell(text):
    print(f"  {time.monotonic() - ZERO:5.1f} s  {text}", flush=True)


def must(condition, text):
    if not condition:
        raise SystemExit(f"  NOT SO: {text}")


def vm(**values):
    for name, value in values.items():
        with open(CTL + "vm/" + name, "w") as f:
            f.write(str(value))
        print(f"           # echo {value} > .pagefs/vm/{name}", flush=True)


def vmstat(name):
    with open(CTL + "vmstat") as f:
        return int(dict(line.split() for line in f)[name])


def write(name, kib, sync=False):
    fd = os.open(f"{mnt}/{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    for _ in range(0, kib, 4):
        os.write(fd, os.urandom(4096))
    if sync:
        os.fsync(fd)
    os.close(fd)
    tell(f"{name}: {kib} KiB written{', and fsync' if sync else ''}")


def ages():
    """Of dirty files, ms, from .pagefs/files."""
    with open(CTL + "files") as f:
        field = f.readline().split()
        rows = [dict(zip(field, line.split())) for line in f]
    return {row["path"].lstrip("/"): int(row["oldest_ms"]) for row in rows
            if int(row["dirty_kb"])}


def show_ages():
    now = ages()
    tell("dirty for, ms:  " + "   ".join(f"{n} {age}" for n, age in now.items()))
    return now


class Trace:
    """What .pagefs/trace says of writes from now on."""

    def __init__(self):
        self.fd = os.open(CTL + "trace", os.O_RDWR | os.O_NONBLOCK)
        os.write(self.fd, b"event=writeback_pages")
        self.events = []

    def look(self):
        try:
            while True:
                lines = os.read(self.fd, 1 << 20).splitlines()
                self.events += [json.loads(line) for line in lines]
        except BlockingIOError:
            return self.events

    def of(self, name):
        return [e for e in self.look() if e.get("file") == name]

    def wait(self, name, seconds):
        """The first write of a file, told."""
        end = time.monotonic() + seconds
        while not self.of(name):
            must(time.monotonic() < end, f"{name} is written")
            time.sleep(0.02)
        time.sleep(0.05)
        events = self.of(name)
        first = events[0]
        tell(f"{name}: {sum(e['nr'] for e in events)} pages go to the disk, because "
             f"{first['reason']}; dirty for {first['age_ms']} ms, and "
             f"{first['device_us']} us on the device")
        return first


def wait_clean(seconds):
    end = time.monotonic() + seconds
    while vmstat("nr_dirty"):
        must(time.monotonic() < end, "all is written")
        time.sleep(0.02)


def expired(event, seconds, text):
    age = event["age_ms"] / 1000
    must(event["reason"] == "periodic", f"the reason is periodic: {event}")
    must(seconds - 0.02 <= age <= seconds + WAKE + SLOW,
         f"{text}: {seconds} s, {WAKE} s later at most; {age} s")


def chapter_ages():
    say("What is written to a file becomes dirty, and older")
    vm(dirty_writeback_centisecs=int(WAKE * 100), dirty_expire_centisecs=250)
    trace = Trace()
    before = {}
    for name in "apple", "pear", "plum":
        write(name, 256)
        time.sleep(0.4)
        now = show_ages()
        must(set(before) < set(now), f"{name} is among the dirty files")
        must(all(now[n] > before[n] for n in before), "ages grow")
        before = now
    must(before["apple"] > before["pear"] > before["plum"], "the first is oldest")
    say(f"After 2.5 s it has expired; flushers look every {WAKE} s")
    for name in "apple", "pear", "plum":
        expired(trace.wait(name, 5), 2.5, f"{name} has expired")
    wait_clean(2)


def chapter_expiry():
    say("A new expiry counts at once, for what is dirty already")
    vm(dirty_expire_centisecs=60000)
    trace = Trace()
    write("cherry", 256)
    time.sleep(1.5)
    must(show_ages()["cherry"] >= 1000 and not trace.look(), "cherry waits")
    vm(dirty_expire_centisecs=200)
    expired(trace.wait("cherry", 5), 2, "cherry")
    vm(dirty_expire_centisecs=50)
    write("lemon", 256)
    expired(trace.wait("lemon", 5), 0.5, "lemon")


def chapter_background():
    say("More dirty than the background threshold: age does not matter any more")
    vm(dirty_expire_centisecs=60000, dirty_background_bytes=4 << 20)
    trace = Trace()
    write("melon", 3072)
    time.sleep(2 * WAKE)
    tell(f"dirty: {vmstat('nr_dirty') * 4} KiB, of 4096; written: none")
    must(not trace.look(), "below the threshold nothing is written")
    must(vmstat("nr_dirty") >= 768, "melon is dirty")
    write("grape", 3072)
    end = time.monotonic() + 5
    while vmstat("nr_dirty") > 1024:
        must(time.monotonic() < end, "it is written until below the threshold")
        time.sleep(0.02)
    time.sleep(0.1)
    events = trace.look()
    tell(f"{sum(e['nr'] for e in events)} pages go to the disk, because "
         f"{', '.join({e['reason'] for e in events})}")
    tell(f"dirty: {vmstat('nr_dirty') * 4} KiB")
    must({e["reason"] for e in events} == {"background"}, "the reason is background")
    vm(dirty_background_ratio=10, dirty_expire_centisecs=1)
    wait_clean(5)


def bursts(events):
    """How often the disk was woken: pauses of 0.15 s are rests."""
    at = sorted(e["ts"] for e in events)
    return len(at[:1]) + sum(b - a > 150000 for a, b in zip(at, at[1:]))


def small_files(what):
    for i in range(6):
        write(f"{what}{i}", 16)
        time.sleep(0.4)


def chapter_laptop():
    say("Laptop mode: one burst in place of many")
    vm(dirty_expire_centisecs=10, dirty_writeback_centisecs=10)
    trace = Trace()
    small_files("work")
    wait_clean(5)
    many = bursts(trace.look())
    tell(f"without it the disk was woken {many} times")
    must(many >= 4, "each file wakes the disk")
    vm(laptop_mode=1)
    time.sleep(1.5)
    trace = Trace()
    small_files("night")
    must(not trace.look() and vmstat("nr_dirty") >= 24, "the disk sleeps")
    tell(f"nothing is written; dirty: {vmstat('nr_dirty') * 4} KiB")
    write("wakes", 4, sync=True)
    wait_clean(5)
    time.sleep(0.1)
    events = [e for e in trace.look() if e["file"] != "wakes"]
    once = bursts(events)
    tell(f"the disk is awake: {len(events)} files follow a second later, in {once} "
         f"burst, because {', '.join({e['reason'] for e in events})}")
    must(once == 1 and len({e["file"] for e in events}) == 6,
         "all follow in one burst")
    must({e["reason"] for e in events} == {"laptop"}, "the reason is laptop")
    vm(laptop_mode=0)


chapter_ages()
chapter_expiry()
chapter_background()
chapter_laptop()
say(f"That was it, in {time.monotonic() - ZERO:.0f} s")
