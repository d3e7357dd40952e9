# SPDX-License-Identifier: BSD-2-Clause
"""
clients.py MNT NAME - one client of a mount that maps files, good or bad

A client written from the wire header alone, so that it can lie. clients.sh
runs each of CASES in a process of its own and "honest" after each: what one
client does must cost the others nothing. sigbus.sh and stuck.sh run others.
"""
import ctypes
import fcntl
import mmap
import os
import select
import signal
import socket
import struct
import sys
import threading
import time

PAGE = 4096
MSG = struct.Struct("=IHHIi8Q")
MAGIC, VERSION = 0x53464750, 3
(HELLO, UFFD, MMAP, COMMIT, MUNMAP, MPROTECT, MREMAP, MADVISE, MSYNC, MLOCK,
 MUNLOCK, MINCORE, STATS, MMAP_ANON, FORK, ADOPT, INHERIT, MMAP_SHM,
 SHM_UNLINK) = range(1, 20)
HAVE_UFFD, USE_DEV, WANT_ASYNC = 1, 2, 4
UFFD_SYNC, UFFD_ASYNC = 0, 1
FIXED, NOREPLACE, PRIVATE, MAYMOVE = 1, 2, 0x10, 0x20
COW, SHARED_ANON = 0x40, 0x80
SHM_CREATE, SHM_EXCL = 1, 2
INFO = struct.Struct("=IIQ112s")
IOC_INFO = 2 << 30 | INFO.size << 16 | ord("P") << 8 | 0x50
OFFER = struct.Struct("=3Q")
IOC_OFFER = 3 << 30 | OFFER.size << 16 | ord("P") << 8 | 0x51
OFFERS_MAX = 64
USERFAULTFD_IOC_NEW = 0xAA00
NR_USERFAULTFD = 323
READ, WRITE = 1, 2
SHARED, MPRIVATE, MFIXED, ANON, NORESERVE = 1, 2, 0x10, 0x20, 0x4000
TASK_SIZE = 0x7ffffffff000
REGION = 1 << 30
WPFLT = 3
EPERM, EBADF, ENOMEM, EACCES, EFAULT, EEXIST = 1, 9, 12, 13, 14, 17
EPROTO = 71
EINVAL, ENOTTY = 22, 25
ENOENT, EBUSY, ENODATA = 2, 16, 61

libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + \
    [ctypes.c_int] * 3 + [ctypes.c_long]
libc.mremap.restype = ctypes.c_void_p
libc.mremap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t,
                        ctypes.c_int, ctypes.c_void_p]
for name in "munmap", "mprotect", "madvise":
    getattr(libc, name).argtypes = [ctypes.c_void_p, ctypes.c_size_t,
                                    ctypes.c_int]


def sys_mmap(addr, size, prot, flags, fd=-1, pos=0):
    got = libc.mmap(addr, size, prot, flags, fd, pos)
    if got in (None, ctypes.c_void_p(-1).value):
        raise OSError(ctypes.get_errno(), "mmap")
    return got


def ok(ret, what):
    if ret:
        raise OSError(ctypes.get_errno(), what)


class Closed(Exception):
    """the daemon has closed the connection"""


def socket_path(mnt):
    fd = os.open(mnt, os.O_RDONLY)
    try:
        raw = fcntl.ioctl(fd, IOC_INFO, bytes(INFO.size))
    finally:
        os.close(fd)
    return INFO.unpack(raw)[3].split(b"\0")[0].decode()


def connect(mnt):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.settimeout(20)
    s.connect(socket_path(mnt))
    return s


def offer(fd, cookie):
    """the number of the offer"""
    return OFFER.unpack(fcntl.ioctl(fd, IOC_OFFER, OFFER.pack(*cookie, 0)))[2]


def offer_err(fd, cookie):
    try:
        offer(fd, cookie)
        return 0
    except OSError as e:
        return e.errno


def pack(kind, *args, magic=MAGIC, version=VERSION):
    return MSG.pack(magic, version, kind, 7, 0, *args, *[0] * (8 - len(args)))


class Client:
    def __init__(self, mnt, hello=True, uffd=True):
        self.mnt = mnt
        self.sock = connect(mnt)
        self.uffd = None
        self.region = sys_mmap(0, REGION, 0, MPRIVATE | ANON | NORESERVE)
        if hello:
            self.hello()
        if uffd:
            self.give_uffd()

    def send(self, data, fds=()):
        if fds:
            socket.send_fds(self.sock, [data], list(fds))
        else:
            self.sock.send(data)

    def receive(self):
        """(err, args, fds, what follows)"""
        try:
            data, fds, _, _ = socket.recv_fds(self.sock, MSG.size + 65536, 4)
        except ConnectionResetError:
            raise Closed()
        if not data:
            raise Closed()
        m = MSG.unpack(data[:MSG.size])
        assert m[0] == MAGIC and m[1] == VERSION and m[3] == 7, m
        return m[4], m[5:], fds, data[MSG.size:]

    def ask(self, kind, *args, fds=()):
        self.send(pack(kind, *args), fds)
        return self.receive()

    def err(self, kind, *args, fds=()):
        err, _, got, _ = self.ask(kind, *args, fds=fds)
        for fd in got:
            os.close(fd)
        return err

    def hello(self):
        err, args, fds, _ = self.ask(HELLO, self.region, REGION)
        assert err == 0, err
        self.flags = args[0]
        self.cookie = args[1:3]
        self.dev = fds[0] if fds else None

    def make_uffd(self):
        if self.flags & USE_DEV:
            return fcntl.ioctl(self.dev, USERFAULTFD_IOC_NEW, os.O_CLOEXEC)
        fd = libc.syscall(NR_USERFAULTFD, os.O_CLOEXEC)
        ok(fd < 0, "userfaultfd")
        return fd

    def give_uffd(self):
        self.uffd = self.make_uffd()
        err = self.err(UFFD, UFFD_SYNC, fds=[self.uffd])
        assert err == 0, err
        if self.flags & WANT_ASYNC:
            self.async_uffd = self.make_uffd()
            err = self.err(UFFD, UFFD_ASYNC, fds=[self.async_uffd])
            assert err == 0, err

    def ask_map(self, fd, size, prot=READ | WRITE, flags=0, pgoff=0, addr=0):
        number = offer(fd, self.cookie)
        return self.ask(MMAP, addr, size, prot, flags, pgoff, number)

    def place(self, addr, size, prot, kind, window, pgoff):
        """what MMAP and MREMAP leave to do; returns COMMIT's error"""
        sys_mmap(addr, size, 0, (MPRIVATE if kind else SHARED) | MFIXED,
                 window, pgoff * PAGE)
        os.close(window)
        err = self.err(COMMIT, addr, size)
        if not err:
            ok(libc.mprotect(addr, size, prot), "mprotect")
        return err

    def map(self, fd, size, prot=READ | WRITE, flags=0, pgoff=0, addr=0):
        err, args, fds, _ = self.ask_map(fd, size, prot, flags, pgoff, addr)
        if err:
            raise OSError(-err, "MMAP")
        err = self.place(args[0], size, prot, args[1], fds[0], pgoff)
        if err:
            raise OSError(-err, "COMMIT")
        return args[0]

    def map_anon(self, size, flags=0, prot=READ | WRITE):
        err, args, fds, _ = self.ask(MMAP_ANON, 0, size, prot, flags)
        if err:
            raise OSError(-err, "MMAP_ANON")
        err = self.place(args[0], size, prot, args[1], fds[0], args[2])
        if err:
            raise OSError(-err, "COMMIT")
        return args[0]

    def another(self):
        """one more connection of this process"""
        c = Client.__new__(Client)
        c.mnt, c.uffd, c.region = self.mnt, None, self.region
        c.sock = connect(self.mnt)
        c.hello()
        return c

    def unmap(self, addr, size):
        ok(libc.mprotect(addr, size, 0), "mprotect")
        err = self.err(MUNMAP, addr, size)
        assert err == 0, err
        sys_mmap(addr, size, 0, MPRIVATE | ANON | NORESERVE | MFIXED)


def peek(addr, size=16):
    return ctypes.string_at(addr, size)


def poke(addr, data):
    ctypes.memmove(addr, data, len(data))


def page_of(i):
    """what clients.sh's file has in page @i"""
    return (b"page %10d " % i) * 256


def data_file(mnt, flags=os.O_RDWR):
    if os.environ.get("PAGEFS_TEST_DIRECT"):
        flags |= os.O_DIRECT        # stores are scanned for
    return os.open(mnt + "/data", flags)


def in_child(fn, *args, killed=None):
    """runs fn in a child; it must end well, or by signal @killed"""
    pid = os.fork()
    if not pid:
        code = 1
        try:
            fn(*args)
            code = 0
        except BaseException as e:
            print("child:", type(e).__name__, e, file=sys.stderr)
        finally:
            os._exit(code)
    status = os.waitpid(pid, 0)[1]
    if killed is None:
        assert status == 0, "child ended with %#x" % status
    else:
        assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == killed, \
            "child ended with %#x" % status


def closed(fn):
    try:
        fn()
    except (Closed, BrokenPipeError, ConnectionResetError):
        return True
    return False


# ---- the one the others are measured by ----

def honest(mnt):
    """maps, reads, writes, syncs, unmaps; all agrees with the mount"""
    c = Client(mnt)
    fd = data_file(mnt)
    pages = os.fstat(fd).st_size // PAGE
    addr = c.map(fd, pages * PAGE)
    for i in range(0, pages, 7):
        assert peek(addr + i * PAGE, 16) == page_of(i)[:16], i
    out = os.open(mnt + "/out", os.O_RDWR | os.O_CREAT, 0o644)
    os.ftruncate(out, 32 * PAGE)
    there = c.map(out, 32 * PAGE)
    stamp = b"%d.%d" % (os.getpid(), time.monotonic_ns())
    for i in range(0, 32, 3):
        poke(there + i * PAGE + 100, stamp)
    for i in range(0, 32, 3):
        assert os.pread(out, len(stamp), i * PAGE + 100) == stamp, i
    os.pwrite(out, b"by the mount", 5 * PAGE)
    assert peek(there + 5 * PAGE, 12) == b"by the mount"
    assert c.err(MSYNC, there, 32 * PAGE, 4) == 0
    err, _, _, vec = c.ask(MINCORE, there, 32 * PAGE)
    assert err == 0 and len(vec) == 32, (err, len(vec))
    err, stats, _, _ = c.ask(STATS)
    assert err == 0 and stats[4] == pages + 32, stats
    c.unmap(there, 32 * PAGE)
    c.unmap(addr, pages * PAGE)
    assert c.ask(STATS)[1][4] == 0


# ---- messages that are none ----

def bad_message(mnt, data, fds=()):
    c = Client(mnt)
    fd = data_file(mnt)
    addr = c.map(fd, PAGE)
    c.send(data, fds)
    assert closed(c.receive), "still connected"
    # what it has mapped is served all the same
    assert peek(addr) == page_of(0)[:16]


def garbage(mnt):
    for size in 1, 7, 16, MSG.size, MSG.size + 1, 4096, 100000:
        in_child(bad_message, mnt, os.urandom(size))


def half_message(mnt):
    whole = pack(STATS)
    for size in 1, 4, 8, MSG.size - 1:
        in_child(bad_message, mnt, whole[:size])
    in_child(bad_message, mnt, whole + b"x")


def empty_packet(mnt):
    bad_message(mnt, b"")


def wrong_version(mnt):
    in_child(bad_message, mnt, pack(STATS, version=1))
    in_child(bad_message, mnt, pack(STATS, version=0))
    in_child(bad_message, mnt, pack(STATS, magic=0x12345678))


def unknown_type(mnt):
    for kind in 0, 20, 100, 65535:
        in_child(bad_message, mnt, pack(kind))


def wrong_descriptors(mnt):
    fd = data_file(mnt)
    in_child(bad_message, mnt, pack(MMAP, 0, PAGE, READ), [fd])
    in_child(bad_message, mnt, pack(MMAP, 0, PAGE, READ), [fd, fd])
    in_child(bad_message, mnt, pack(STATS), [fd])
    in_child(bad_message, mnt, pack(STATS), [fd] * 100)
    in_child(bad_message, mnt, b"", [fd])
    in_child(bad_message, mnt, pack(UFFD))
    in_child(bad_message, mnt, pack(UFFD), [fd])	# has given one

    def before_it(kind, fds, hello):
        c = Client(mnt, hello=hello, uffd=False)
        c.send(pack(kind, c.region, REGION), fds)
        assert closed(c.receive), (kind, fds, hello)
    for fds in (), [fd, fd], [fd] * 100:
        in_child(before_it, UFFD, fds, True)
    for fds in [fd], [fd, fd]:
        in_child(before_it, HELLO, fds, False)
        in_child(before_it, STATS, fds, True)


def without_hello(mnt):
    for kind in range(UFFD, STATS + 1):
        c = Client(mnt, hello=False, uffd=False)
        fds = [data_file(mnt)] if kind == UFFD else ()
        assert closed(lambda: c.ask(kind, 0, PAGE, READ, fds=fds)), kind


def without_uffd(mnt):
    c = Client(mnt, uffd=False)
    assert c.ask_map(data_file(mnt), PAGE)[0] < 0
    for kind in COMMIT, MUNMAP, MPROTECT, MADVISE, MSYNC:
        assert c.err(kind, c.region, PAGE) < 0, kind


# ---- descriptors ----

def not_a_uffd(mnt):
    c = Client(mnt, uffd=False)
    for fd in data_file(mnt), os.pipe()[0], c.sock.fileno(), \
            os.open("/dev/null", os.O_RDWR), os.open("/", os.O_RDONLY):
        assert c.err(UFFD, fds=[fd]) == -EINVAL, fd
        if c.flags & WANT_ASYNC:
            assert c.err(UFFD, UFFD_ASYNC, fds=[fd]) == -EPROTO, fd
        assert c.err(UFFD, 2, fds=[fd]) == -EINVAL, fd
    c.give_uffd()
    # one more is a descriptor that nobody expects
    e = Client(mnt, uffd=False)
    assert e.flags & HAVE_UFFD
    assert closed(lambda: e.ask(UFFD, fds=[e.make_uffd()]))
    # one that somebody has in use
    d = Client(mnt, uffd=False)
    assert d.flags & HAVE_UFFD
    def other():
        e = Client(mnt, uffd=False)
        assert e.err(UFFD, fds=[c.uffd]) == -EINVAL
    in_child(other)


def not_a_second_uffd(mnt):
    c = Client(mnt, uffd=False)
    if not c.flags & WANT_ASYNC:
        return
    first = c.make_uffd()
    assert c.err(UFFD, UFFD_SYNC, fds=[first]) == 0
    assert c.err(UFFD, UFFD_SYNC, fds=[c.make_uffd()]) == -EEXIST
    for fd in data_file(mnt), os.pipe()[0], os.open("/dev/null", os.O_RDWR):
        assert c.err(UFFD, UFFD_ASYNC, fds=[fd]) == -EINVAL, fd
    assert c.err(UFFD, UFFD_ASYNC, fds=[first]) == -EINVAL
    # without one it is served, by faults
    fd = os.open(mnt + "/unscanned", os.O_RDWR | os.O_CREAT | os.O_DIRECT)
    os.ftruncate(fd, 4 * PAGE)
    addr = c.map(fd, 4 * PAGE)
    ctypes.c_char.from_address(addr).value = b"x"
    assert os.pread(fd, 1, 0) == b"x"


def wrong_files(mnt):
    c = Client(mnt)
    cases = [
        (os.open("/etc/passwd", os.O_RDONLY), ENOTTY),
        (os.open("/dev/zero", os.O_RDWR), ENOTTY),
        (os.pipe()[0], ENOTTY),
        (c.sock.fileno(), ENOTTY),
        (os.open(mnt, os.O_RDONLY), ENOTTY),
        (os.open(mnt + "/.pagefs", os.O_RDONLY), ENOTTY),
        (os.open(mnt + "/.pagefs/vmstat", os.O_RDONLY), ENOTTY),
        (data_file(mnt, os.O_PATH), EBADF),
        (data_file(mnt, os.O_WRONLY), EBADF),
        (data_file(mnt, 3), EBADF),		# for ioctl(2) alone
        (data_file(mnt, os.O_RDONLY), 0),
    ]
    for fd, want in cases:
        err = offer_err(fd, c.cookie)
        assert err == want, (os.readlink("/proc/self/fd/%d" % fd), err, want)


# ---- offers ----

def wrong_cookies(mnt):
    c = Client(mnt)
    fd = data_file(mnt)
    client, secret = c.cookie
    assert client and secret
    for cookie in ((0, 0), (client, 0), (client, secret ^ 1), (0, secret),
                   (client, secret ^ 1 << 63), (client + 1, secret),
                   (client + 1024, secret), ((1 << 64) - 1, secret),
                   (secret, client)):
        assert offer_err(fd, cookie) == EPERM, cookie
    # all connections of a process have the same one, and another its own
    d = Client(mnt, uffd=False)
    assert d.cookie == c.cookie
    r, w = os.pipe()

    def other():
        os.write(w, struct.pack("=QQ", *Client(mnt).cookie))
    in_child(other)
    theirs = struct.unpack("=QQ", os.read(r, 16))
    assert theirs[0] != client and theirs[1] != secret
    until(20, lambda: offer_err(fd, theirs) == EPERM)	# it has ended
    assert offer_err(fd, c.cookie) == 0


def ask_number(c, number, size=PAGE, prot=READ, flags=0, addr=0):
    return c.err(MMAP, addr, size, prot, flags, 0, number)


def numbers_used_twice(mnt):
    """one MMAP uses an offer up, also one that fails"""
    c = Client(mnt)
    fd = data_file(mnt)
    for number in 0, 1 << 63, (1 << 64) - 1:
        assert ask_number(c, number) == -EBADF, number
    number = offer(fd, c.cookie)
    assert ask_number(c, number) == 0
    assert ask_number(c, number) == -EBADF
    number = offer(fd, c.cookie)
    assert ask_number(c, number, prot=8) == -EINVAL
    assert ask_number(c, number) == -EBADF
    # not the order they come in, and two of one file are two
    numbers = [offer(fd, c.cookie) for _ in range(5)]
    assert len(set(numbers)) == 5
    for i in 3, 0, 4, 1, 2:
        assert ask_number(c, numbers[i]) == 0
        assert ask_number(c, numbers[i]) == -EBADF


def numbers_of_others(mnt):
    c = Client(mnt)
    fd = data_file(mnt)
    (r, w), (r2, w2) = os.pipe(), os.pipe()

    def other():
        d = Client(mnt)
        number = offer(fd, d.cookie)
        os.write(w, b"%d" % number)
        os.read(r2, 1)
        assert ask_number(d, number) == 0, "it is still this client's"
    pid = os.fork()
    if not pid:
        in_child(other)
        os._exit(0)
    number = int(os.read(r, 100))
    mine = offer(fd, c.cookie)
    assert ask_number(c, number) == -EBADF
    os.write(w2, b"x")
    assert os.waitpid(pid, 0)[1] == 0
    assert ask_number(c, mine) == 0


def too_many_offers(mnt):
    """the oldest go"""
    c = Client(mnt)
    fd = data_file(mnt)
    numbers = [offer(fd, c.cookie) for _ in range(OFFERS_MAX + 10)]
    for i, number in enumerate(numbers):
        want = 0 if i >= 10 else -EBADF
        assert ask_number(c, number) == want, i
    for _ in range(2000):
        number = offer(fd, c.cookie)
    assert ask_number(c, number) == 0


def deleted_files(c):
    """how many the daemon has open"""
    pid = struct.unpack("3i", c.sock.getsockopt(
        socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
    found = set()
    for fd in os.listdir("/proc/%d/fd" % pid):
        try:
            link = os.readlink("/proc/%d/fd/%s" % (pid, fd))
        except FileNotFoundError:
            continue
        if "/back/" in link and link.endswith("(deleted)"):
            found.add(link)
    return len(found)


def killed_with_offers(mnt):
    """what it has offered and deleted stays, and goes with it"""
    def child():
        c = Client(mnt)
        for i in range(20):
            name = mnt + "/deleted.%d" % i
            fd = os.open(name, os.O_RDWR | os.O_CREAT, 0o644)
            os.pwrite(fd, page_of(i), 0)
            os.fsync(fd)
            number = offer(fd, c.cookie)
            os.unlink(name)
            os.close(fd)
        assert deleted_files(c) == 20
        # neither descriptor nor name is needed any more
        err, args, fds, _ = c.ask(MMAP, 0, PAGE, READ | WRITE, 0, 0, number)
        assert err == 0, err
        assert c.place(args[0], PAGE, READ | WRITE, 0, fds[0], 0) == 0
        assert peek(args[0]) == page_of(19)[:16]
        die()
    c = Client(mnt, uffd=False)
    until(20, lambda: deleted_files(c) == 0)
    in_child(child, killed=signal.SIGKILL)
    until(20, lambda: deleted_files(c) == 0)


def read_only(mnt):
    """what was opened for reading is never writable"""
    c = Client(mnt)
    fd = os.open(mnt + "/read_only", os.O_RDONLY)
    assert c.ask_map(fd, PAGE, READ | WRITE)[0] == -EACCES
    assert c.ask_map(fd, PAGE, READ | WRITE, PRIVATE)[0] == -EACCES
    err, args, fds, _ = c.ask_map(fd, 8 * PAGE, READ)
    assert err == 0 and args[1] == 1, (err, args)
    window = fds[0]
    for how in SHARED, MPRIVATE:
        try:
            sys_mmap(0, PAGE, READ | WRITE, how, window)
            assert how == MPRIVATE, "the window can be mapped writable"
        except PermissionError:
            pass
    for fn in (lambda: os.pwrite(window, b"x", 0),
               lambda: os.ftruncate(window, 0)):
        try:
            fn()
            raise AssertionError("the window can be written")
        except OSError:
            pass
    if os.getuid():
        try:
            os.open("/proc/self/fd/%d" % window, os.O_RDWR)
            raise AssertionError("the window can be opened for writing")
        except PermissionError:
            pass
    assert c.place(args[0], 8 * PAGE, READ, 1, window, 0) == 0
    for i in range(8):
        assert peek(args[0] + i * PAGE) == page_of(i)[:16], i
    assert c.err(MPROTECT, args[0], 8 * PAGE, READ | WRITE) == -EACCES
    # MAP_PRIVATE of its own making: its writes are its own
    ok(libc.mprotect(args[0], PAGE, READ | WRITE), "mprotect")
    poke(args[0], b"mine")
    assert os.pread(fd, 4, 0) == b"page"


def strangers_file(mnt):
    """mapping what he only may read, he could still have it read as zeros"""
    c = Client(mnt)
    fd = data_file(mnt, os.O_RDONLY)
    assert c.ask_map(fd, PAGE, READ)[0] == -EACCES
    assert c.ask_map(fd, PAGE, READ, PRIVATE)[0] == -EACCES


def gets_device(mnt):
    c = Client(mnt)
    fd = data_file(mnt)
    addr = c.map(fd, 256 * PAGE)
    if c.flags & USE_DEV:
        # only one that was not made for user mode serves system calls
        assert write_from(addr + 77 * PAGE) == 0
        assert read_to(addr + 78 * PAGE, page_of(78)[:16]) == 0


# ---- numbers ----

def absurd_numbers(mnt):
    c = Client(mnt)
    fd = data_file(mnt)
    big = [0, 1, PAGE - 1, PAGE, TASK_SIZE - PAGE, TASK_SIZE, TASK_SIZE + 1,
           1 << 47, (1 << 47) - PAGE, 1 << 52, 1 << 63, (1 << 64) - PAGE,
           (1 << 64) - 1]
    c.map(fd, 16 * PAGE)
    for kind in (COMMIT, MUNMAP, MPROTECT, MADVISE, MSYNC, MLOCK, MUNLOCK,
                 MINCORE):
        for addr in big:
            for size in big:
                c.err(kind, addr, size, 1, 2, 3)
    for value in big:
        for size in big:
            for flags in 0, FIXED, NOREPLACE, FIXED | NOREPLACE, 1 << 63:
                if size == PAGE and not flags & 3:
                    continue
                number = offer(fd, c.cookie)
                c.err(MMAP, value, size, READ, flags, value, number)
            for flags in 0, FIXED, MAYMOVE, FIXED | MAYMOVE, 1 << 63:
                c.err(MREMAP, value, PAGE, size, flags, value)
                c.err(MREMAP, value, size, PAGE, flags, value)
    for prot in 8, 1 << 32, (1 << 64) - 1:
        assert c.ask_map(fd, PAGE, prot)[0] == -EINVAL
    for region in ((1, PAGE), (PAGE, 1), (0, PAGE), (TASK_SIZE, PAGE),
                   (PAGE, 1 << 63), ((1 << 64) - PAGE, 2 * PAGE)):
        def strange(region=region):
            d = Client(mnt, hello=False, uffd=False)
            assert d.err(HELLO, *region) == -EINVAL
        in_child(strange)
    # some of these were good: it is not asked to read what it has unmapped
    assert c.ask(STATS)[0] == 0


def commit_nothing(mnt):
    """COMMIT of what is not mapped, or something else is mapped"""
    c = Client(mnt)
    fd = data_file(mnt)
    assert c.err(COMMIT, c.region, PAGE) == -EINVAL
    err, args, fds, _ = c.ask_map(fd, 4 * PAGE)
    assert c.err(COMMIT, args[0], 8 * PAGE) == -EINVAL
    # nothing but the reserved region is there: it may be registered, and is
    # then served for what it is
    c.err(COMMIT, args[0], 4 * PAGE)
    c.unmap(args[0], 4 * PAGE)
    # anonymous memory in the window's place: its own affair
    err, args, fds, _ = c.ask_map(fd, 4 * PAGE)
    sys_mmap(args[0], 4 * PAGE, READ | WRITE, MPRIVATE | ANON | MFIXED)
    c.err(COMMIT, args[0], 4 * PAGE)
    # a part of the file that is not the one
    err, args, fds, _ = c.ask_map(fd, 4 * PAGE)
    sys_mmap(args[0], 4 * PAGE, READ | WRITE, SHARED | MFIXED, fds[0], 64 * PAGE)
    c.err(COMMIT, args[0], 4 * PAGE)


def registers_by_itself(mnt):
    """a range the daemon has never heard of, on its userfaultfd"""
    c = Client(mnt)
    mem = sys_mmap(0, 4 * PAGE, READ | WRITE, MPRIVATE | ANON)
    reg = struct.pack("=QQQQ", mem, 4 * PAGE, 1, 0)
    fcntl.ioctl(c.uffd, 0xC020AA00, bytearray(reg))
    peek(mem)	# SIGBUS


# ---- memory without a file ----

def inherit(c, addr, size):
    """attaches what ADOPT has brought there; its first byte"""
    while size:
        err, args, fds, _ = c.ask(INHERIT, addr, size)
        assert err == 0, err
        assert args[0] == addr and 0 < args[3] <= size
        assert c.place(addr, args[3], READ | WRITE, args[1], fds[0],
                       args[2]) == 0
        addr += args[3]
        size -= args[3]


def honest_memory(mnt):
    """private and shared memory, and what a child inherits of them"""
    c = Client(mnt)
    mine, ours = c.map_anon(8 * PAGE), c.map_anon(8 * PAGE, SHARED_ANON)
    assert peek(mine, 8 * PAGE) == bytes(8 * PAGE)
    poke(mine, b"mine"), poke(ours, b"ours")
    kept = c.another()
    err, token, _, _ = kept.ask(FORK)
    assert err == 0, err
    poke(mine, b"more")

    def child():
        d = Client(mnt)
        assert d.err(ADOPT, *token[:2]) == 0
        inherit(d, mine, 8 * PAGE), inherit(d, ours, 8 * PAGE)
        assert peek(mine, 4) == b"mine" and peek(ours, 4) == b"ours"
        poke(mine, b"its "), poke(ours, b"both")
    in_child(child)
    assert peek(mine, 4) == b"more" and peek(ours, 4) == b"both"
    c.unmap(mine, 8 * PAGE), c.unmap(ours, 8 * PAGE)


def absurd_memory(mnt):
    c = Client(mnt)
    fd = data_file(mnt)
    big = [0, 1, PAGE - 1, PAGE, TASK_SIZE - PAGE, TASK_SIZE, TASK_SIZE + 1,
           1 << 47, 1 << 52, 1 << 63, (1 << 64) - PAGE, (1 << 64) - 1]
    kept = c.map_anon(16 * PAGE)
    poke(kept, b"kept")
    for addr in big:
        for size in big:
            over = addr <= kept < addr + size
            for flags in (0, FIXED, NOREPLACE, SHARED_ANON, FIXED | SHARED_ANON,
                          COW, PRIVATE, 1 << 63):
                if over and flags & FIXED:
                    continue    # it would be replaced
                c.err(MMAP_ANON, addr, size, READ, flags)
                c.err(MMAP_SHM, addr, size, READ, flags, addr, 0, 1)
            c.err(INHERIT, addr, size)
            c.err(ADOPT, addr, size)
            for advice in 4, 8, 9, 1 << 63:     # DONTNEED, FREE, REMOVE
                if not over:
                    c.err(MADVISE, addr, size, advice)
            c.err(MMAP, addr, size, READ, COW | PRIVATE, size,
                  offer(fd, c.cookie))
    number = offer(fd, c.cookie)
    assert c.err(MMAP, 0, PAGE, READ, COW, 0, number) == -EINVAL
    assert c.err(MMAP_ANON, 0, PAGE, 8, 0) == -EINVAL
    assert c.err(MADVISE, kept, PAGE, 9) == -EINVAL
    assert c.err(MMAP_SHM, 0, PAGE, READ, 0, 0o600, 4, 1) == -EINVAL
    # no name; something behind its end
    assert c.err(MMAP_SHM, 0, PAGE, READ, 0, 0o600, SHM_CREATE) == -EINVAL
    assert c.err(MMAP_SHM, 0, PAGE, READ, 0, 0o600, SHM_CREATE, 97,
                 98) == -EINVAL
    assert c.err(SHM_UNLINK, 0, 0, 0, 0, 0, 0, 98) == -ENOENT
    assert peek(kept, 4) == b"kept"


def tokens(mnt):
    """of a copy: one that is none, one used twice, by the parent, too late"""
    c = Client(mnt)
    a, b, twice = c.another(), c.another(), c.another()
    assert a.err(FORK) == -ENODATA
    addr = c.map_anon(PAGE)
    poke(addr, b"mine")
    token = a.ask(FORK)[1]
    # a connection that has one is for nothing else
    assert twice.err(FORK) == 0 and closed(lambda: twice.err(FORK))
    late = b.ask(FORK)[1]
    b.sock.close()
    assert c.err(ADOPT, token[0], token[1] ^ 1) == -ENOENT
    assert c.err(ADOPT, 0, 0) == -ENOENT
    until(10, lambda: c.err(ADOPT, *late[:2]) == -ENOENT)

    def child():
        d = Client(mnt)
        assert d.err(INHERIT, addr, PAGE) == -EINVAL
        assert d.err(ADOPT, *token[:2]) == 0
        assert d.err(ADOPT, *token[:2]) == -ENOENT
        inherit(d, addr, PAGE)
        assert peek(addr, 4) == b"mine"
    in_child(child)
    # who has memory adopts nothing
    again = c.another().ask(FORK)[1]
    assert c.err(ADOPT, *again[:2]) in (-EBUSY, -ENOENT)
    assert peek(addr, 4) == b"mine"


def too_many_copies(mnt):
    """nobody comes for them"""
    c = Client(mnt)
    c.map_anon(PAGE)
    conns, refused = [], 0
    for _ in range(100):
        try:
            conns.append(c.another())
            refused += conns[-1].err(FORK) != 0
        except (Closed, ConnectionError):
            refused += 1
    assert 0 < refused < 100, refused


# ---- dying ----

def die():
    os.kill(os.getpid(), signal.SIGKILL)


def killed_at_every_step(mnt):
    fd = data_file(mnt)

    def steps(n):
        s = connect(mnt)
        s.close()
        if n == 0:
            die()
        c = Client(mnt, hello=False, uffd=False)
        if n == 1:
            die()
        c.send(pack(HELLO, c.region, REGION))
        if n == 2:
            die()
        cookie = c.receive()[1][1:3]
        if n == 3:
            die()
        uffd = libc.syscall(NR_USERFAULTFD, os.O_CLOEXEC)
        c.send(pack(UFFD), [uffd])
        if n == 4:
            die()
        assert c.receive()[0] == 0
        if n == 5:
            die()
        number = offer(fd, cookie)
        if n == 17:
            die()
        c.send(pack(MMAP, 0, 64 * PAGE, READ | WRITE, 0, 0, number))
        if n == 6:
            die()
        _, args, fds, _ = c.receive()
        if n == 7:
            die()
        addr = args[0]
        sys_mmap(addr, 64 * PAGE, 0, SHARED | MFIXED, fds[0])
        if n == 8:
            die()
        c.send(pack(COMMIT, addr, 64 * PAGE))
        if n == 9:
            die()
        c.receive()
        ok(libc.mprotect(addr, 64 * PAGE, READ | WRITE), "mprotect")
        if n == 10:
            die()
        if n == 11:		# in a fault, or about to be
            threading.Thread(target=lambda: peek(addr + 60 * PAGE)).start()
            die()
        poke(addr + PAGE - 8, b"dirty")
        if n == 12:
            die()
        c.send(pack(MSYNC, addr, 64 * PAGE, 4))
        if n == 13:
            die()
        c.receive()
        c.send(pack(MADVISE, addr, 64 * PAGE, 23))
        if n == 14:
            die()
        c.receive()
        c.send(pack(MREMAP, addr, 64 * PAGE, 128 * PAGE, MAYMOVE))
        if n == 15:
            die()
        c.receive()
        c.send(pack(MUNMAP, addr, 64 * PAGE))
        die()

    for n in range(18):
        in_child(steps, n, killed=signal.SIGKILL)


def exits_with_requests(mnt):
    def many():
        c = Client(mnt)
        fd = data_file(mnt)
        addr = c.map(fd, 256 * PAGE)
        socks = [c]
        for i in range(20):
            d = Client.__new__(Client)
            d.mnt, d.sock, d.region = mnt, connect(mnt), c.region
            d.hello()
            socks.append(d)
        for d in socks:
            d.send(pack(MADVISE, addr, 256 * PAGE, 22))
        die()
    for _ in range(5):
        in_child(many, killed=signal.SIGKILL)


def execs(mnt):
    """another program in the same process starts anew"""
    def first():
        c = Client(mnt)
        peek(c.map(data_file(mnt), 16 * PAGE))
        os.execv(sys.executable, [sys.executable, __file__, mnt, "honest"])
    in_child(first)


def execs_keeping_descriptors(mnt):
    def first():
        c = Client(mnt)
        peek(c.map(data_file(mnt), 16 * PAGE))
        os.set_inheritable(c.sock.fileno(), True)
        os.set_inheritable(c.uffd, True)
        os.execv(sys.executable, [sys.executable, __file__, mnt, "honest"])
    in_child(first)


def closes_all(mnt):
    """mapped, and not a descriptor left: still served, never zeros"""
    c = Client(mnt)
    fd = data_file(mnt)
    addr = c.map(fd, 256 * PAGE)
    peek(addr)
    c.sock.close()
    os.close(c.uffd)
    os.close(fd)
    if c.dev is not None:
        os.close(c.dev)
    time.sleep(0.3)
    for i in range(256):
        assert peek(addr + i * PAGE) == page_of(i)[:16], i
    d = Client(mnt, uffd=False)
    assert d.flags & HAVE_UFFD, "it was taken for another"
    assert d.ask(STATS)[1][4] == 256
    d.unmap(addr, 256 * PAGE)


# ---- behind our back ----

def unmaps_behind_our_back(mnt):
    c = Client(mnt)
    fd = data_file(mnt)
    addr = c.map(fd, 256 * PAGE)
    for i in range(0, 256, 3):
        peek(addr + i * PAGE)
    ok(libc.munmap(addr + 64 * PAGE, 64 * PAGE, 0), "munmap")
    for i in [*range(64), *range(128, 256)]:
        assert peek(addr + i * PAGE) == page_of(i)[:16], i
    assert c.ask(STATS)[1][4] == 192
    # the range is free for another mapping at once: the event comes first
    for _ in range(100):
        ok(libc.munmap(addr, 8 * PAGE, 0), "munmap")
        got = c.map(fd, 8 * PAGE, flags=FIXED, addr=addr, pgoff=100)
        assert got == addr
        assert peek(addr + 7 * PAGE) == page_of(107)[:16]
    c.unmap(addr, 64 * PAGE)
    c.unmap(addr + 128 * PAGE, 128 * PAGE)
    assert c.ask(STATS)[1][4] == 0


def maps_over(mnt):
    c = Client(mnt)
    fd = data_file(mnt)
    addr = c.map(fd, 64 * PAGE)
    peek(addr + 20 * PAGE)
    sys_mmap(addr + 16 * PAGE, 16 * PAGE, READ | WRITE,
             MPRIVATE | ANON | MFIXED)
    assert peek(addr + 20 * PAGE) == bytes(16)
    poke(addr + 20 * PAGE, b"anonymous")
    for i in [*range(16), *range(32, 64)]:
        assert peek(addr + i * PAGE) == page_of(i)[:16], i
    assert peek(addr + 20 * PAGE, 9) == b"anonymous"
    assert os.pread(fd, 4, 20 * PAGE) == b"page"
    assert c.ask(STATS)[1][4] == 48


def remaps_behind_our_back(mnt):
    c = Client(mnt)
    fd = data_file(mnt)
    addr = c.map(fd, 64 * PAGE)
    for i in range(0, 64, 2):
        peek(addr + i * PAGE)
    poke(addr + 4 * PAGE, page_of(4)[:100])
    there = libc.mremap(addr, 64 * PAGE, 64 * PAGE, 3, addr + 512 * PAGE)
    assert there == addr + 512 * PAGE
    for i in range(64):
        assert peek(there + i * PAGE) == page_of(i)[:16], i
    poke(there + 9 * PAGE, page_of(9)[:100])
    assert c.err(MSYNC, there, 64 * PAGE, 4) == 0
    assert os.pread(fd, 100, 9 * PAGE) == page_of(9)[:100]
    c.unmap(there, 64 * PAGE)
    assert c.ask(STATS)[1][4] == 0


def fill_up_mappings():
    """as many as the kernel allows, nearly; returns what to unmap"""
    with open("/proc/sys/vm/max_map_count") as f:
        pages = int(f.read()) + 16
    addr = sys_mmap(0, pages * PAGE, READ, MPRIVATE | ANON | NORESERVE)
    for i in range(1, pages, 2):
        if libc.mprotect(addr + i * PAGE, PAGE, 0):
            return addr, pages * PAGE
    raise AssertionError("no limit met")


def may_write_in_the_end(mnt):
    """MPROTECT that had no room at first: stores are noticed all the same"""
    fd = os.open(mnt + "/protected", os.O_RDWR | os.O_CREAT, 0o644)
    os.pwrite(fd, b"".join(page_of(i) for i in range(16)), 0)
    c = Client(mnt)
    addr = c.map(fd, 16 * PAGE, prot=READ)
    for i in range(16):
        assert peek(addr + i * PAGE) == page_of(i)[:16], i
    filler = fill_up_mappings()
    err = c.err(MPROTECT, addr + 5 * PAGE, PAGE, READ | WRITE)
    ok(libc.munmap(*filler, 0), "munmap")
    assert err == -ENOMEM, err
    assert c.err(MPROTECT, addr + 5 * PAGE, PAGE, READ | WRITE) == 0
    ok(libc.mprotect(addr + 5 * PAGE, PAGE, READ | WRITE), "mprotect")
    before = c.ask(STATS)[1][WPFLT]
    poke(addr + 5 * PAGE, b"stored")
    # it is counted when the thread has been woken already
    end = time.monotonic() + 10
    while c.ask(STATS)[1][WPFLT] == before and time.monotonic() < end:
        time.sleep(0.01)
    assert c.ask(STATS)[1][WPFLT] == before + 1, "nobody has noticed"
    assert c.err(MSYNC, addr, 16 * PAGE, 4) == 0


def read_past_kernel(path, page):
    """what the daemon has; the kernel may keep copies of what is punched"""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECT)
    buf = mmap.mmap(-1, PAGE)
    try:
        assert os.preadv(fd, [buf], page * PAGE) == PAGE
        return bytes(buf)
    finally:
        os.close(fd)


def remove_behind_our_back(mnt):
    """MADV_DONTNEED loses nothing; MADV_REMOVE punches, as it says"""
    fd = os.open(mnt + "/punched", os.O_RDWR | os.O_CREAT, 0o644)
    os.pwrite(fd, b"".join(page_of(i) for i in range(32)), 0)
    c = Client(mnt)
    addr = c.map(fd, 32 * PAGE)
    for i in range(32):
        poke(addr + i * PAGE + 50, b"stored")
    ok(libc.madvise(addr, 32 * PAGE, 4), "MADV_DONTNEED")
    for i in range(32):
        assert peek(addr + i * PAGE + 50, 6) == b"stored", i
        assert read_past_kernel(mnt + "/punched", i)[50:56] == b"stored", i
    ok(libc.madvise(addr + 8 * PAGE, 8 * PAGE, 9), "MADV_REMOVE")
    for i in range(32):
        want = bytes(6) if 8 <= i < 16 else b"stored"
        assert peek(addr + i * PAGE + 50, 6) == want, i
        assert read_past_kernel(mnt + "/punched", i)[50:56] == want, i


# ---- too much of it ----

def floods_requests(mnt):
    """without ever taking a reply"""
    def flood():
        c = Client(mnt)
        fd = data_file(mnt)
        addr = c.map(fd, 64 * PAGE)
        c.sock.settimeout(5)
        for _ in range(100000):
            c.send(pack(MINCORE, addr, 64 * PAGE))
    for _ in range(2):
        in_child(lambda: closed(flood) or None)


def floods_from_many_connections(mnt):
    def flood():
        c = Client(mnt)
        addr = c.map(data_file(mnt), 256 * PAGE)
        conns = [c]
        for _ in range(25):
            d = Client.__new__(Client)
            d.mnt, d.sock, d.region = mnt, connect(mnt), c.region
            d.hello()
            conns.append(d)
        end = time.monotonic() + 2
        while time.monotonic() < end:
            for d in conns:
                d.send(pack(MSYNC, addr, 256 * PAGE, 4))
            in_time(lambda: [d.receive() for d in conns])
    pid = os.fork()
    if not pid:
        flood()
        os._exit(0)
    time.sleep(0.3)
    start = time.monotonic()
    in_child(honest, mnt)
    took = time.monotonic() - start
    os.waitpid(pid, 0)
    assert took < 5, "an honest client took %.1f s beside it" % took


def in_time(fn):
    fn()


def floods_events(mnt):
    """MADV_DONTNEED without end: it is served or killed, the others go on"""
    def flood():
        c = Client(mnt)
        addr = c.map(data_file(mnt), 256 * PAGE)

        def again():
            while True:
                libc.madvise(addr, 256 * PAGE, 4)
        for _ in range(8):
            threading.Thread(target=again, daemon=True).start()
        while True:
            for i in range(256):
                poke(addr + i * PAGE, page_of(i)[:16])
    pid = os.fork()
    if not pid:
        flood()
        os._exit(0)
    time.sleep(0.5)
    start = time.monotonic()
    for _ in range(3):
        in_child(honest, mnt)
    took = time.monotonic() - start
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert took < 20, "honest clients took %.1f s beside it" % took


def floods_faults(mnt):
    """a range of its own, faulting without end on a page that cannot be had"""
    def flood():
        c = Client(mnt)
        addr = c.map(data_file(mnt), 256 * PAGE)

        def again():
            while True:
                for i in range(256):
                    peek(addr + i * PAGE, 8)
                libc.madvise(addr, 256 * PAGE, 4)
        for _ in range(4):
            threading.Thread(target=again, daemon=True).start()
        time.sleep(60)
    pid = os.fork()
    if not pid:
        flood()
        os._exit(0)
    time.sleep(0.3)
    start = time.monotonic()
    in_child(honest, mnt)
    took = time.monotonic() - start
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert took < 10, "an honest client took %.1f s beside it" % took


def blocking_uffd(mnt):
    """O_NONBLOCK taken away again and again from under the daemon"""
    c = Client(mnt)
    addr = c.map(data_file(mnt), 256 * PAGE)
    stop = threading.Event()

    def toggle():
        while not stop.is_set():
            fcntl.fcntl(c.uffd, fcntl.F_SETFL, 0)
            fcntl.fcntl(c.uffd, fcntl.F_SETFL, os.O_NONBLOCK)
        fcntl.fcntl(c.uffd, fcntl.F_SETFL, 0)
    t = threading.Thread(target=toggle)
    t.start()
    for _ in range(20):
        for i in range(256):
            assert peek(addr + i * PAGE) == page_of(i)[:16], i
        libc.madvise(addr, 256 * PAGE, 4)
    stop.set()
    t.join()
    in_child(honest, mnt)


def connects_and_does_nothing(mnt):
    path = socket_path(mnt)
    socks = []
    refused = 0
    for _ in range(500):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        s.connect(path)
        socks.append(s)
    time.sleep(0.3)
    for s in socks:
        if select.select([s], [], [], 0)[0]:
            assert s.recv(1) == b""
            refused += 1
    assert 400 < refused < 500, "%d of 500 were refused" % refused
    in_child(honest, mnt)


def faults(mnt):
    """without end, reading and writing; says when it has begun"""
    c = Client(mnt)
    fd = data_file(mnt)
    addr = c.map(fd, 256 * PAGE)
    os.close(fd)

    def again():
        while True:
            for i in range(256):
                poke(addr + i * PAGE, page_of(i)[:16])
            libc.madvise(addr, 256 * PAGE, 4)
            c.err(MSYNC, addr, 256 * PAGE, 1)
    threading.Timer(0.2, lambda: tell("faulting")).start()
    try:
        again()
    except (Closed, OSError):
        time.sleep(1000)


# ---- for sigbus.sh and stuck.sh, which break the disk under these ----

def write_from(addr):
    """write(2) from a mapped page: errno or 0"""
    r, w = os.pipe()
    try:
        return 0 if libc.write(w, ctypes.c_void_p(addr), 8) == 8 \
            else ctypes.get_errno()
    finally:
        os.close(r)
        os.close(w)


def read_to(addr, data):
    """read(2) into a mapped page: errno or 0"""
    r, w = os.pipe()
    os.write(w, data)
    try:
        return 0 if libc.read(r, ctypes.c_void_p(addr), len(data)) > 0 \
            else ctypes.get_errno()
    finally:
        os.close(r)
        os.close(w)


def until(seconds, fn):
    end = time.monotonic() + seconds
    while not fn():
        assert time.monotonic() < end, "not within %d s" % seconds
        time.sleep(0.05)


def tell(word):
    print(word, flush=True)


def wait_for(word):
    assert sys.stdin.readline().strip() == word


def broken_disk(mnt):
    """the last quarter of the file cannot be read; then it can"""
    c = Client(mnt)
    fd = data_file(mnt)
    ro = data_file(mnt, os.O_RDONLY)
    pages = os.fstat(fd).st_size // PAGE
    bad = pages - 8
    for f, prot in (fd, READ | WRITE), (ro, READ):
        addr = c.map(f, pages * PAGE, prot)
        assert c.err(MADVISE, addr, pages * PAGE, 1) == 0
        assert peek(addr + 3 * PAGE) == page_of(3)[:16]
        assert write_from(addr + bad * PAGE) == EFAULT
        # the same again, now that the kernel knows by itself
        assert write_from(addr + bad * PAGE) == EFAULT
        assert peek(addr + 4 * PAGE) == page_of(4)[:16]
        if prot & WRITE:
            shared = addr
            assert read_to(addr + (bad + 1) * PAGE, b"x") == EFAULT

    def touch():
        d = Client(mnt)
        there = d.map(fd, pages * PAGE)
        peek(there + (bad + 2) * PAGE)
    in_child(touch, killed=signal.SIGBUS)
    tell("broken")
    wait_for("mended")
    for there in shared, addr:
        until(20, lambda: write_from(there + bad * PAGE) == 0)
        for i in range(bad, pages):
            if (there, i) != (shared, bad + 1):
                assert peek(there + i * PAGE) == page_of(i)[:16], i
    until(20, lambda: read_to(shared + (bad + 1) * PAGE, b"stored") == 0)
    assert peek(shared + (bad + 1) * PAGE, 6) == b"stored"
    assert os.pread(fd, 6, (bad + 1) * PAGE) == b"stored"
    assert c.err(MSYNC, shared, pages * PAGE, 4) == 0
    os.close(fd)


def full_disk(mnt):
    """stores into holes have no room; then they have"""
    c = Client(mnt)
    fd = os.open(mnt + "/holes", os.O_RDWR | os.O_CREAT, 0o644)
    os.ftruncate(fd, 64 * PAGE)
    addr = c.map(fd, 64 * PAGE)
    for i in range(64):
        assert peek(addr + i * PAGE) == bytes(16)

    def store(i):
        d = Client(mnt)
        there = d.map(fd, 64 * PAGE)
        if i & 1:
            peek(there + i * PAGE)
        poke(there + i * PAGE, b"x")
    # to a page it can read; to one it does not have
    in_child(store, 5, killed=signal.SIGBUS)
    in_child(store, 6, killed=signal.SIGBUS)
    # signals do not end a system call's wait: it is to fail
    signal.signal(signal.SIGBUS, lambda *_: None)
    assert read_to(addr + 9 * PAGE, b"x") == EFAULT
    assert write_from(addr + 10 * PAGE) == 0, "reading is possible"
    tell("broken")
    wait_for("mended")
    until(20, lambda: read_to(addr + 9 * PAGE, b"stored") == 0)
    poke(addr + 11 * PAGE, b"stored")
    assert os.pread(fd, 6, 9 * PAGE) == b"stored"
    assert os.pread(fd, 6, 11 * PAGE) == b"stored"
    assert c.err(MSYNC, addr, 64 * PAGE, 4) == 0


def read_for_ever(mnt, seen):
    """faults at random; counts its pages in the word at @seen"""
    c = Client(mnt)
    fd = os.open(mnt + "/large", os.O_RDONLY)
    pages = os.fstat(fd).st_size // PAGE
    addr = c.map(fd, pages * PAGE, prot=READ)
    i = os.getpid()
    while True:
        i = (i * 1103515245 + 12345) % (1 << 31)
        peek(addr + i // 7 % pages * PAGE)
        seen.value += 1


def store_to(mnt, i):
    c = Client(mnt)
    fd = os.open(mnt + "/holes", os.O_RDWR)
    poke(c.map(fd, 64 * PAGE) + i * PAGE, b"stored")


def start_child(children, fn, *args):
    """it ends with us, however that may be"""
    pid = os.fork()
    if not pid:
        libc.prctl(1, signal.SIGKILL)
        try:
            fn(*args)
        finally:
            os._exit(1)
    children.append(pid)


def has_ended(pid):
    how = os.WEXITED | os.WNOHANG | os.WNOWAIT
    return os.waitid(os.P_PID, pid, how) is not None


def frozen_disk(mnt):
    """stores wait for the disk's file system; reads do not wait for them"""
    shared = mmap.mmap(-1, PAGE)
    seen = (ctypes.c_ulong * 8).from_buffer(shared)
    children = []
    os.close(os.open(mnt + "/holes", os.O_RDWR | os.O_CREAT, 0o644))
    os.truncate(mnt + "/holes", 64 * PAGE)
    try:
        for i in range(8):
            start_child(children, read_for_ever, mnt,
                        ctypes.c_ulong.from_buffer(shared, 8 * i))
        until(20, lambda: min(seen) > 100)
        tell("broken")
        wait_for("frozen")
        for i in range(4):
            start_child(children, store_to, mnt, 7 * i)
            time.sleep(0.3)
        before = list(seen)
        time.sleep(3)
        went_on = [b - a for a, b in zip(before, seen)]
        assert min(went_on) > 0, "readers wait: %s" % went_on
        assert not any(has_ended(pid) for pid in children), \
            "not even the stores have waited"
    finally:
        for pid in children:
            os.kill(pid, signal.SIGKILL)
        for pid in children:
            os.waitpid(pid, 0)


def touch_for_ever(addr, pages, i):
    r = i * 7919 + 1
    while True:
        r = (r * 1103515245 + 12345) % (1 << 31)
        where = addr + r // 7 % pages * PAGE
        libc.memcmp(ctypes.c_void_p(where), b"", 1)


def read_with_many(mnt, threads):
    c = Client(mnt)
    fd = os.open(mnt + "/large", os.O_RDONLY)
    pages = os.fstat(fd).st_size // PAGE
    addr = c.map(fd, pages * PAGE, prot=READ)
    for i in range(threads):
        threading.Thread(target=touch_for_ever, args=(addr, pages, i),
                         daemon=True).start()
    time.sleep(1000)


def keep_in_memory(fd, pages, seconds):
    buf = mmap.mmap(-1, pages * PAGE)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        os.preadv(fd, [buf], 0)
        time.sleep(0.01)


def stuck_disk(mnt):
    """a client all of whose faults wait leaves threads for others'"""
    children = []
    start_child(children, read_with_many, mnt, 900)
    c = Client(mnt)
    fd = os.open(mnt + "/small", os.O_RDONLY | os.O_DIRECT)
    addr = c.map(fd, 64 * PAGE, prot=READ)
    try:
        keep_in_memory(fd, 64, 3)
        tell("broken")
        keep_in_memory(fd, 64, 4)
        signal.alarm(10)  # who waits for a page hears no more than that
        for i in range(64):
            peek(addr + i * PAGE)
        signal.alarm(0)
    finally:
        for pid in children:
            os.kill(pid, signal.SIGKILL)


CASES = [f for f in (
    garbage, half_message, empty_packet, wrong_version, unknown_type,
    wrong_descriptors, without_hello, without_uffd, not_a_uffd, not_a_second_uffd,
    wrong_files,
    wrong_cookies, numbers_used_twice, numbers_of_others, too_many_offers,
    killed_with_offers, read_only, absurd_numbers, commit_nothing,
    honest_memory, absurd_memory, tokens, too_many_copies, killed_at_every_step,
    exits_with_requests, execs, execs_keeping_descriptors, closes_all,
    unmaps_behind_our_back, maps_over, remaps_behind_our_back,
    may_write_in_the_end, remove_behind_our_back, floods_requests, floods_from_many_connections,
    floods_events, floods_faults, blocking_uffd, connects_and_does_nothing)]


def dies_by_sigbus(mnt):
    in_child(registers_by_itself, mnt, killed=signal.SIGBUS)


CASES.append(dies_by_sigbus)


def main():
    mnt, name = sys.argv[1:]
    if name == "list":
        print(*[f.__name__ for f in CASES])
        return
    if name == "data":
        for file in "data", "read_only":
            with open(mnt + "/" + file, "wb") as f:
                for i in range(512):
                    f.write(page_of(i))
        return
    fn = globals()[name]
    fn(mnt)


main()
