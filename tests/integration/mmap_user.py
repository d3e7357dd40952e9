# SPDX-License-Identifier: BSD-2-Clause
#
# tests/integration/mmap_user.py - what a Python program does with a mapping
#
#   mmap_user.py FILE MB
#
# Random and sequential writes, slices, find, move, flush, resize (mremap), a
# second read-only mapping, a child, and read(2) and write(2) in between; prints
# checksums, which depend on nothing but MB.
import mmap
import os
import random
import sys
import zlib

PAGE = 4096
path, size = sys.argv[1], int(sys.argv[2]) << 20
random.seed(7)


def say(what, value):
    print("%-28s %s" % (what, value), flush=True)


def fill(m):
    for at in range(0, size, PAGE):
        m[at:at + 16] = b"%016d" % at
    say("filled", zlib.crc32(m))


def scatter(m, fd):
    for n in range(size // PAGE // 2):
        at = random.randrange(size - 100)
        m[at:at + 8] = n.to_bytes(8, "little")
        if n % 64 == 0:
            got = os.pread(fd, 8, at)
            assert got == n.to_bytes(8, "little"), (at, got, n)
        if n % 64 == 32:
            os.pwrite(fd, b"written!", at)
            assert m[at:at + 8] == b"written!", at
    m.flush()
    say("scattered", zlib.crc32(m))


def search(m):
    at = size * 3 // 4 + 1234
    m[at:at + 6] = b"needle"
    say("found", m.find(b"needle"))
    m.move(100, at, 1000)
    say("moved", zlib.crc32(m[100:1100]))
    m.seek(4090)
    m.write(b"across a page's end")
    m.seek(4090)
    say("read", m.read(19))


def in_child(m, fd):
    pid = os.fork()
    if pid == 0:
        ok = m[4090:4109] == b"across a page's end"
        m[5000:5005] = b"child"
        m[size - 5:size] = b"child"
        os._exit(0 if ok else 1)
    say("child's status", os.waitpid(pid, 0)[1])
    say("child's words", (m[5000:5005], os.pread(fd, 5, size - 5)))


def readers(fd):
    with mmap.mmap(fd, 0, prot=mmap.PROT_READ) as m:
        say("read-only mapping", zlib.crc32(m))
    with open(path, "rb") as f, \
            mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ) as m:
        say("of a read-only descriptor", zlib.crc32(m))
    with mmap.mmap(fd, PAGE * 4, offset=mmap.ALLOCATIONGRANULARITY * 3,
                   access=mmap.ACCESS_COPY) as m:
        m[0:4] = b"mine"
        say("private copy", zlib.crc32(m))


def resize(m):
    m.resize(size + 10 * PAGE)
    m[size + PAGE:size + PAGE + 4] = b"tail"
    say("grown", (len(m), zlib.crc32(m)))
    m.resize(size - 3 * PAGE - 1)
    say("shrunk", (len(m), zlib.crc32(m)))
    m.resize(size)
    say("grown again", (len(m), m[-3 * PAGE - 2:] == b"\0" * (3 * PAGE + 2)))


fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
os.ftruncate(fd, size)
m = mmap.mmap(fd, size)
fill(m)
scatter(m, fd)
search(m)
in_child(m, fd)
readers(fd)
resize(m)
m.flush()
m.close()
say("file", os.fstat(fd).st_size)
