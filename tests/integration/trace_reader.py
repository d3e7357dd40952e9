# SPDX-License-Identifier: BSD-2-Clause
#
# trace_reader.py - readers of .pagefs/trace, and what their events add up to:
# for trace.py and account.py, whose arguments are TEST MNT BACK [ARGUMENT...].

import json
import mmap
import os
import sys
import time

PAGE = 4096
mnt, back = sys.argv[2], sys.argv[3]
TRACE = mnt + "/.pagefs/trace"


class Reader:
    """An open trace; what it has brought is in events."""

    def __init__(self, rule=None):
        self.fd = os.open(TRACE, os.O_RDWR | os.O_NONBLOCK)
        self.rest = b""
        self.events = []
        if rule is not None:
            self.rule(rule)

    def rule(self, text):
        os.write(self.fd, text.encode())

    def drain(self):
        while True:
            try:
                data = os.read(self.fd, 65536)
            except BlockingIOError:
                return self.events
            assert data, "end of file"
            lines = (self.rest + data).split(b"\n")
            self.rest = lines.pop()
            self.events += [json.loads(line) for line in lines]

    def until(self, condition, seconds):
        end = time.monotonic() + seconds
        while not condition(self.drain()):
            assert time.monotonic() < end, self.events[-5:]
            time.sleep(0.05)
        return self.events

    def close(self):
        os.close(self.fd)


def of(events, name, file=None):
    return [e for e in events if e["event"] == name and
            (file is None or e.get("file") == file)]


def write(name, data, pos=0, sync=False):
    fd = os.open(f"{mnt}/{name}", os.O_WRONLY | os.O_CREAT, 0o644)
    if data:
        # From whole pages: of others, the kernel may send a page in two
        # requests, and it may be written back in between.
        with mmap.mmap(-1, len(data)) as buf, memoryview(buf) as view:
            view[:len(data)] = data
            assert os.pwrite(fd, view[:len(data)], pos) == len(data)
    if sync:
        os.fsync(fd)
    os.close(fd)


def times(events):
    """How often each page of each file was made dirty, and written."""
    dirtied, written = {}, {}
    for e in of(events, "writeback_dirty_page"):
        key = e["ino"], e["index"]
        dirtied[key] = dirtied.get(key, 0) + 1
    for e in of(events, "writeback_pages"):
        assert e["err"] == 0, e
        for i in range(e["index"], e["index"] + e["nr"]):
            written[e["ino"], i] = written.get((e["ino"], i), 0) + 1
    return dirtied, written


def check_once(events):
    assert not of(events, "lost"), "lost events"
    dirtied, written = times(events)
    assert dirtied, "nothing was dirtied"
    assert dirtied == written, (
        [(k, dirtied.get(k), written.get(k))
         for k in set(dirtied) | set(written)
         if dirtied.get(k) != written.get(k)][:5])


def written_bytes(events, file):
    return sum(e["bytes"] for e in of(events, "writeback_pages", file))
