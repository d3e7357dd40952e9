# SPDX-License-Identifier: BSD-2-Clause
"""A client of scanned.sh: scanned.py WHAT FILE PAGES [BACKING]

Stores the page's number into each page of a mapping, twice, with the pages clean
in between; then does WHAT, and looks where it should have got to.
"""
import ctypes
import mmap
import os
import signal
import struct
import sys
import time

PAGE = 4096
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
SYS_munmap, SYS_mremap = 11, 25


def word(i, generation):
    return (i * 2654435761 + generation) & 0xFFFFFFFFFFFFFFFF


def map_file(name, pages):
    fd = os.open(name, os.O_RDWR | os.O_CREAT | os.O_DIRECT, 0o644)
    os.ftruncate(fd, pages * PAGE)
    return fd, mmap.mmap(fd, pages * PAGE)


def store(m, pages, generation):
    for i in range(pages):
        struct.pack_into("Q", m, i * PAGE + 8 * (i % 512), word(i, generation))


def verify(name, pages, generation=2):
    with open(name, "rb") as f:
        data = f.read()
    assert len(data) == pages * PAGE, len(data)
    for i in range(pages):
        got = struct.unpack_from("Q", data, i * PAGE + 8 * (i % 512))[0]
        assert got == word(i, generation), (name, i, got, word(i, generation))


def is_stored(name, pages, generation=2):
    try:
        verify(name, pages, generation)
        return True
    except AssertionError:
        return False


def wait_for(what, seconds=20):
    end = time.time() + seconds
    while not what():
        assert time.time() < end, "not before long"
        time.sleep(0.05)


def address(m):
    return ctypes.addressof(ctypes.c_char.from_buffer(m))


def prepare(name, pages):
    """Pages that were stored to, synced, and stored to again."""
    fd, m = map_file(name, pages)
    store(m, pages, 1)
    m.flush()
    store(m, pages, 2)
    return fd, m


def in_child(fn):
    pid = os.fork()
    if not pid:
        try:
            fn()
        finally:
            os._exit(1)
    return os.waitpid(pid, 0)[1]


def behind(name, pages, moved):
    """munmap(2) or mremap(2) past every library, then the end."""
    _, m = prepare(name, pages)
    where = address(m)
    if not moved:
        assert not libc.syscall(SYS_munmap, ctypes.c_ulong(where),
                                ctypes.c_ulong(pages * PAGE))
    else:
        new = libc.syscall(SYS_mremap, ctypes.c_ulong(where),
                           ctypes.c_ulong(pages * PAGE),
                           ctypes.c_ulong(pages * PAGE), 1 | 2,
                           ctypes.c_ulong(0x100000000000))
        assert new == 0x100000000000, ctypes.get_errno()
        for i in range(0, pages, 2):
            ctypes.c_uint64.from_address(new + i * PAGE + 8 * (i % 512)).value \
                = word(i, 2)
    os._exit(0)


def main():
    what, name, pages = sys.argv[1], sys.argv[2], int(sys.argv[3])
    backing = sys.argv[4] if len(sys.argv) > 4 else None
    if what == "verify":
        return verify(name, pages)
    if what in ("killed", "behind", "moved", "exit"):
        if what == "exit":
            prepare(name, pages)
            os._exit(0)
        if what == "killed":
            def die():
                prepare(name, pages)
                os.kill(os.getpid(), signal.SIGKILL)
            assert in_child(die) == signal.SIGKILL
        else:
            assert in_child(lambda: behind(name, pages, what == "moved")) == 0
        fd = os.open(name, os.O_RDONLY)
        wait_for(lambda: os.fsync(fd) or is_stored(backing, pages))
        return None
    fd, m = prepare(name, pages)
    if what == "store":
        verify(name, pages)
    elif what == "msync":
        m.flush()
        verify(backing, pages)
    elif what == "munmap":
        m.close()
        os.fsync(fd)
        verify(backing, pages)
    elif what == "fsync":
        other = os.open(name, os.O_RDONLY)
        os.fsync(other)
        verify(backing, pages)
    elif what == "periodic":
        wait_for(lambda: is_stored(backing, pages))
    elif what == "coherent":
        for i in range(pages):
            struct.pack_into("Q", m, i * PAGE, i + 77)
            assert os.pread(fd, 8, i * PAGE) == struct.pack("Q", i + 77)
            os.pwrite(fd, struct.pack("Q", i + 99), i * PAGE + 16)
            assert struct.unpack_from("Q", m, i * PAGE + 16)[0] == i + 99
    elif what == "kernel":
        # Python that is not under pagefs-run maps it by the kernel's mmap
        env = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD"}
        code = ("import mmap,os,sys,time,struct\n"
                "fd=os.open(sys.argv[1],os.O_RDWR)\n"
                "m=mmap.mmap(fd,0,prot=mmap.PROT_READ,flags=mmap.MAP_SHARED)\n"
                "sys.stdout.write('%d\\n'%m[40]);sys.stdout.flush()\n"
                "end=time.time()+20\n"
                "while m[40]!=123 and time.time()<end: time.sleep(.05)\n"
                "sys.exit(m[40]!=123)\n")
        r, w = os.pipe()
        pid = os.fork()
        if not pid:
            os.dup2(w, 1)
            os.execve(sys.executable, [sys.executable, "-c", code, name], env)
        os.read(r, 1)
        m[40] = 123
        assert os.waitpid(pid, 0)[1] == 0, "the kernel's copy stayed old"
    elif what == "mtime":
        os.fsync(fd)
        before = os.stat(name).st_mtime_ns
        time.sleep(0.1)
        m[5] = 9
        m.flush()
        wait_for(lambda: os.stat(name).st_mtime_ns > before)
    elif what == "child":
        def child():
            store(m, pages, 3)
            os._exit(0)
        assert in_child(child) == 0
        wait_for(lambda: os.fsync(fd) or is_stored(backing, pages, 3))
    elif what == "pinned":
        source = os.open(name + ".src", os.O_RDWR | os.O_CREAT, 0o644)
        for i in range(pages):
            os.pwrite(source, struct.pack("Q", word(i, 2)), i * PAGE + 8 * (i % 512))
        os.fsync(source)
        for i in range(pages):
            os.preadv(source, [memoryview(m)[i * PAGE:(i + 1) * PAGE]], i * PAGE)
            if i % 10 == 0:
                m.flush()
        m.flush()
        wait_for(lambda: os.fsync(fd) or is_stored(backing, pages))
    elif what == "wait":
        print("stored", flush=True)
        time.sleep(60)
    return None


if __name__ == "__main__":
    main()
