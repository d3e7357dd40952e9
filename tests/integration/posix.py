# SPDX-License-Identifier: BSD-2-Clause
"""File operations on a mount, one function each; run by posix.sh.

usage: posix.py MOUNT BACKING CACHE
"""
import ctypes
import errno
import fcntl
import mmap
import multiprocessing
import os
import signal
import socket
import stat
import struct
import sys
import threading
import time

MNT, BACK, CACHE = sys.argv[1:]
libc = ctypes.CDLL(None, use_errno=True)
libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
KEEP_SIZE, PUNCH_HOLE, COLLAPSE, ZERO_RANGE = 1, 2, 8, 16
NOREPLACE, EXCHANGE = 1, 2
TMPFS_MAGIC = 0x01021994


def p(name):
    return os.path.join(MNT, name)


def put(name, data=b"", mode=0o644):
    fd = os.open(p(name), os.O_CREAT | os.O_TRUNC | os.O_WRONLY, mode)
    os.write(fd, data)
    os.close(fd)


def get(name):
    with open(p(name), "rb") as f:
        return f.read()


def fails(err, fn, *args, **kw):
    try:
        fn(*args, **kw)
    except OSError as e:
        # POSIX allows both; XFS says the other one.
        if err == errno.ENOTEMPTY and e.errno == errno.EEXIST:
            return
        assert e.errno == err, "%s, not %s" % (e, os.strerror(err))
    else:
        raise AssertionError("%s%r succeeded" % (fn.__name__, args))


def fallocate(fd, mode, pos, length):
    if libc.fallocate(fd, mode, pos, length):
        e = ctypes.get_errno()
        raise OSError(e, os.strerror(e))


def statfs_type(path):
    buf = (ctypes.c_long * 64)()    # struct statfs begins with f_type
    if libc.statfs(path.encode(), buf):
        raise OSError(ctypes.get_errno(), path)
    return buf[0]


def renameat2(a, b, flags):
    if libc.renameat2(-100, p(a).encode(), -100, p(b).encode(), flags):
        e = ctypes.get_errno()
        raise OSError(e, os.strerror(e))


def t_names():
    os.mkdir(p("d"))
    fails(errno.EEXIST, os.mkdir, p("d"))
    put("d/f", b"x")
    fails(errno.ENOTEMPTY, os.rmdir, p("d"))
    fails(errno.ENOENT, os.stat, p("d/none"))
    fails(errno.ENOTDIR, os.stat, p("d/f/g"))
    fails(errno.ENAMETOOLONG, os.stat, p("n" * 256))
    put("n" * 255)
    put("d/ä\u4e16 \n\t'\"", b"odd")
    assert sorted(os.listdir(p("d"))) == sorted(["f", "ä\u4e16 \n\t'\""])
    os.symlink("../d/f", p("d/s"))
    assert os.readlink(p("d/s")) == "../d/f" and get("d/s") == b"x"
    os.symlink("t" * 1000, p("d/long"))      # XFS takes no more than 1024
    assert len(os.readlink(p("d/long"))) == 1000
    os.link(p("d/f"), p("d/hard"))
    assert os.stat(p("d/f")).st_nlink == 2
    assert os.stat(p("d/f")).st_ino == os.stat(p("d/hard")).st_ino
    os.unlink(p("d/f"))
    assert os.stat(p("d/hard")).st_nlink == 1 and get("d/hard") == b"x"
    os.mkfifo(p("d/fifo"))
    assert stat.S_ISFIFO(os.stat(p("d/fifo")).st_mode)
    s = socket.socket(socket.AF_UNIX)
    os.chdir(p("d"))
    s.bind("sock")
    os.chdir("/")
    assert stat.S_ISSOCK(os.stat(p("d/sock")).st_mode)
    if os.getuid() == 0:
        os.mknod(p("d/null"), stat.S_IFCHR | 0o666, os.makedev(1, 3))
        st = os.stat(p("d/null"))
        assert stat.S_ISCHR(st.st_mode) and st.st_rdev == os.makedev(1, 3)
    fails(errno.EPERM, os.link, p("d"), p("dirlink"))
    fails(errno.ENOTDIR, os.rmdir, p("d/hard"))
    fails(errno.EISDIR, os.unlink, p("d"))


def t_rename():
    put("a", b"a")
    put("b", b"b")
    ino = os.stat(p("a")).st_ino
    fails(errno.EEXIST, renameat2, "a", "b", NOREPLACE)
    renameat2("a", "b", EXCHANGE)
    assert get("a") == b"b" and get("b") == b"a" and os.stat(p("b")).st_ino == ino
    fails(errno.ENOENT, renameat2, "a", "none", EXCHANGE)
    renameat2("b", "c", NOREPLACE)
    fd = os.open(p("a"), os.O_RDWR)
    os.rename(p("c"), p("a"))       # over an open file
    assert os.pread(fd, 9, 0) == b"b" and os.fstat(fd).st_nlink == 0
    os.pwrite(fd, b"still here", 0)
    assert os.pread(fd, 99, 0) == b"still here" and get("a") == b"a"
    os.fsync(fd)
    os.close(fd)
    os.makedirs(p("x/y/z"))
    put("x/y/z/f", b"deep")
    fails(errno.EINVAL, os.rename, p("x"), p("x/y/w"))
    os.rename(p("x/y"), p("moved"))
    assert get("moved/z/f") == b"deep"
    put("moved/z/g", b"new")
    assert open(os.path.join(BACK, "moved/z/f")) is not None
    os.mkdir(p("empty"))
    os.rename(p("moved"), p("empty"))
    fails(errno.ENOTEMPTY, os.rename, p("x"), p("empty"))
    put("file")
    fails(errno.ENOTDIR, os.rename, p("x"), p("file"))
    fails(errno.EISDIR, os.rename, p("file"), p("x"))


def t_unlinked():
    fd = os.open(p("u"), os.O_CREAT | os.O_RDWR, 0o600)
    os.write(fd, b"z" * 100000)
    os.unlink(p("u"))
    assert os.fstat(fd).st_nlink == 0 and os.fstat(fd).st_size == 100000
    put("u", b"another")
    assert os.pread(fd, 5, 99995) == b"zzzzz"
    os.ftruncate(fd, 10)
    os.pwrite(fd, b"tail", 200000)
    os.fsync(fd)
    assert os.pread(fd, 4, 200000) == b"tail" and os.pread(fd, 2, 100) == b"\0\0"
    again = os.open("/proc/self/fd/%d" % fd, os.O_RDONLY)
    assert os.pread(again, 4, 200000) == b"tail"
    os.fchmod(fd, 0o640)
    assert stat.S_IMODE(os.fstat(fd).st_mode) == 0o640
    os.close(fd)
    os.close(again)
    assert get("u") == b"another"
    os.mkdir(p("gone"))
    d = os.open(p("gone"), os.O_RDONLY)
    os.rmdir(p("gone"))
    assert os.listdir(d) == []
    fails(errno.ENOENT, os.open, "f", os.O_CREAT | os.O_RDWR, dir_fd=d)
    os.close(d)


def t_attributes():
    put("at", b"12345")
    os.chmod(p("at"), 0o4751)
    assert stat.S_IMODE(os.stat(p("at")).st_mode) == 0o4751
    os.utime(p("at"), ns=(1111111111_123456789, 1222222222_987654321))
    st = os.stat(p("at"))
    assert (st.st_atime_ns, st.st_mtime_ns) == (1111111111_123456789, 1222222222_987654321)
    with open(p("at"), "ab") as f:
        f.write(b"6")
    st2 = os.stat(p("at"))
    assert st2.st_size == 6 and st2.st_mtime > 1.5e9 and st2.st_ctime >= st.st_ctime
    mtime = st2.st_mtime_ns
    os.sync()
    time.sleep(0.05)
    assert os.stat(p("at")).st_mtime_ns == mtime, "writeback changed mtime"
    os.truncate(p("at"), 3)
    assert get("at") == b"123"
    os.truncate(p("at"), 10000)
    assert get("at") == b"123" + b"\0" * 9997
    fails(errno.EISDIR, os.truncate, p("d"), 0) if os.path.isdir(p("d")) else None
    before = os.stat(MNT).st_mtime_ns
    put("changes-the-directory")
    assert os.stat(MNT).st_mtime_ns >= before
    v = os.statvfs(MNT)
    w = os.statvfs(BACK)
    assert v.f_blocks * v.f_frsize == w.f_blocks * w.f_frsize and v.f_namemax == 255
    assert os.access(p("at"), os.R_OK | os.W_OK)


def t_xattr():
    put("xa")
    os.setxattr(p("xa"), "user.one", b"1")
    os.setxattr(p("xa"), "user.two", b"2" * 1000)
    fails(errno.EEXIST, os.setxattr, p("xa"), "user.one", b"", os.XATTR_CREATE)
    fails(errno.ENODATA, os.setxattr, p("xa"), "user.no", b"", os.XATTR_REPLACE)
    assert os.getxattr(p("xa"), "user.two") == b"2" * 1000
    assert set(os.listxattr(p("xa"))) >= {"user.one", "user.two"}
    os.removexattr(p("xa"), "user.one")
    fails(errno.ENODATA, os.getxattr, p("xa"), "user.one")
    fd = os.open(p("xa"), os.O_RDWR)
    os.unlink(p("xa"))
    assert os.getxattr(fd, "user.two") == b"2" * 1000
    os.close(fd)


def t_append_and_sync_flags():
    fds = [os.open(p("log"), os.O_CREAT | os.O_WRONLY | os.O_APPEND) for _ in range(2)]
    for i in range(100):
        os.write(fds[i % 2], b"%03d\n" % i)
    assert get("log") == b"".join(b"%03d\n" % i for i in range(100))
    [os.close(f) for f in fds]
    fd = os.open(p("dsync"), os.O_CREAT | os.O_RDWR | os.O_DSYNC)
    os.write(fd, b"there at once" * 1000)
    with open(os.path.join(BACK, "dsync"), "rb") as f:
        assert f.read() == b"there at once" * 1000
    os.close(fd)
    put("trunc", b"long content")
    os.close(os.open(p("trunc"), os.O_WRONLY | os.O_TRUNC))
    assert get("trunc") == b""
    fails(errno.EEXIST, os.open, p("trunc"), os.O_CREAT | os.O_EXCL)
    fails(errno.ELOOP, os.open, make_link(), os.O_NOFOLLOW)


def make_link():
    os.symlink("trunc", p("tolink"))
    return p("tolink")


def t_direct_and_odd_sizes():
    fd = os.open(p("odd"), os.O_CREAT | os.O_RDWR)
    model = bytearray()
    for pos, n in [(0, 1), (4095, 2), (8191, 4098), (100000, 1), (50000, 33333), (3, 4090)]:
        data = bytes([(pos + i) % 255 + 1 for i in range(n)])
        os.pwrite(fd, data, pos)
        model.extend(b"\0" * (pos + n - len(model)))
        model[pos:pos + n] = data
    assert os.pread(fd, 200000, 0) == bytes(model)
    os.fsync(fd)
    with open(os.path.join(BACK, "odd"), "rb") as f:
        assert f.read() == bytes(model)
    os.close(fd)
    assert os.stat(os.path.join(BACK, "odd")).st_size == len(model)


def t_fallocate_and_seek():
    fd = os.open(p("sparse"), os.O_CREAT | os.O_RDWR)
    fallocate(fd, KEEP_SIZE, 0, 100000)
    assert os.fstat(fd).st_size == 0
    fallocate(fd, 0, 0, 100000)
    assert os.fstat(fd).st_size == 100000
    os.pwrite(fd, b"d" * 100000, 0)
    fallocate(fd, PUNCH_HOLE | KEEP_SIZE, 4000, 50000)
    data = os.pread(fd, 100000, 0)
    assert data == b"d" * 4000 + b"\0" * 50000 + b"d" * 46000
    if statfs_type(BACK) == TMPFS_MAGIC:     # knows no ZERO_RANGE
        fails(errno.EOPNOTSUPP, fallocate, fd, ZERO_RANGE, 99000, 5000)
        os.pwrite(fd, b"\0" * 5000, 99000)
    else:
        fallocate(fd, ZERO_RANGE, 99000, 5000)
    assert os.pread(fd, 9999, 98999) == b"d" + b"\0" * 5000
    fails(errno.EOPNOTSUPP, fallocate, fd, COLLAPSE, 0, 4096)
    os.ftruncate(fd, 0)
    os.pwrite(fd, b"x", 10 << 20)
    if CACHE == "writeback":        # the kernel has dirt we know nothing of
        assert os.lseek(fd, 0, os.SEEK_DATA) == 0
    else:
        assert os.lseek(fd, 0, os.SEEK_DATA) == 10 << 20
        assert os.lseek(fd, 0, os.SEEK_HOLE) == 0
    assert os.lseek(fd, 10 << 20, os.SEEK_HOLE) == (10 << 20) + 1
    fails(errno.ENXIO, os.lseek, fd, 11 << 20, os.SEEK_DATA)
    assert os.fstat(fd).st_blocks < 1000
    os.close(fd)


def t_copy_file_range():
    data = os.urandom(300001)
    put("from", data)
    src = os.open(p("from"), os.O_RDWR)
    dst = os.open(p("to"), os.O_CREAT | os.O_RDWR)
    os.pwrite(src, b"dirty", 1000)
    os.pwrite(dst, b"old" * 1000, 0)
    done = 0
    while done < 300001:
        n = os.copy_file_range(src, dst, 300001 - done, done, done + 77)
        assert n > 0
        done += n
    data = data[:1000] + b"dirty" + data[1005:]
    assert get("to") == (b"old" * 26)[:77] + data
    assert os.copy_file_range(src, dst, 100, 300001, 0) == 0
    os.close(src)
    os.close(dst)


def t_mmap():
    put("map", os.urandom(100000))
    with open(p("map"), "r+b") as f:
        m = mmap.mmap(f.fileno(), 0)
        assert m[:] == get("map")
        m[50000:50005] = b"MAPPD"
        m.flush()
        assert get("map")[50000:50005] == b"MAPPD"
        os.fsync(f.fileno())
        with open(os.path.join(BACK, "map"), "rb") as b:
            assert b.read()[50000:50005] == b"MAPPD"
        os.pwrite(f.fileno(), b"WRITE", 60000)
        assert m[60000:60005] == b"WRITE"
        m.close()
        ro = mmap.mmap(f.fileno(), 0, mmap.MAP_PRIVATE)
        ro[0:1] = b"\0"
        ro.close()
    # a store past the end of the file, in its last page, never reaches it
    put("short", b"abc")
    with open(p("short"), "r+b") as f:
        m = mmap.mmap(f.fileno(), 3)
        m[0:3] = b"ABC"
        m.close()
        os.ftruncate(f.fileno(), 8)
    assert get("short") == b"ABC" + b"\0" * 5


def hold_lock(path, ready, done):
    with open(path, "r+b") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        ready.set()
        done.wait()


def t_locks():
    put("lock")
    ready, done = multiprocessing.Event(), multiprocessing.Event()
    child = multiprocessing.Process(target=hold_lock, args=(p("lock"), ready, done))
    child.start()
    ready.wait()
    with open(p("lock"), "r+b") as f:
        fails(errno.EAGAIN, fcntl.flock, f, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # a waiter that is killed goes away
        waiter = os.fork()
        if not waiter:
            fcntl.flock(open(p("lock"), "r+b"), fcntl.LOCK_EX)
            os._exit(1)
        time.sleep(0.1)
        os.kill(waiter, signal.SIGKILL)
        os.waitpid(waiter, 0)
        done.set()
        child.join()
        fcntl.flock(f, fcntl.LOCK_EX)
        fcntl.flock(f, fcntl.LOCK_UN)
        # POSIX locks: ranges, and a conflict seen from another process
        fcntl.lockf(f, fcntl.LOCK_EX, 100, 50)
        pid = os.fork()
        if not pid:
            g = open(p("lock"), "r+b")
            fcntl.lockf(g, fcntl.LOCK_EX | fcntl.LOCK_NB, 50, 0)
            try:
                fcntl.lockf(g, fcntl.LOCK_EX | fcntl.LOCK_NB, 10, 60)
            except OSError as e:
                os._exit(0 if e.errno in (errno.EAGAIN, errno.EACCES) else 2)
            os._exit(3)
        assert os.waitpid(pid, 0)[1] == 0


def t_directories():
    os.mkdir(p("many"))
    names = {"file-%05d" % i for i in range(3000)}
    for n in names:
        put("many/" + n)
    assert set(os.listdir(p("many"))) == names
    with os.scandir(p("many")) as it:
        inos = {e.name: e.inode() for e in it}
    for n in list(names)[:100]:
        assert os.stat(p("many/" + n)).st_ino == inos[n]
    seen = set()
    with os.scandir(p("many")) as it:       # deleting while reading
        for e in it:
            seen.add(e.name)
            os.unlink(e.path)
    assert seen == names and os.listdir(p("many")) == []
    fd = os.open(p("many"), os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)
    deep = p("deep")
    for i in range(100):
        deep += "/%d" % i
    os.makedirs(deep)
    open(deep + "/f", "w").write("bottom")
    assert open(deep + "/f").read() == "bottom"


def t_control_files():
    assert ".pagefs" not in os.listdir(MNT)
    mem = dict(l.split(":") for l in open(p(".pagefs/meminfo")).read().splitlines())
    assert mem["MemTotal"].split() == ["32768", "kB"], mem["MemTotal"]
    assert int(mem["MemFree"].split()[0]) <= 32768
    for f in ("vmstat", "buddyinfo", "slabinfo", "zoneinfo"):
        assert open(p(".pagefs/" + f)).read()
    assert set(os.listdir(p(".pagefs"))) >= {"meminfo", "vmstat", "buddyinfo"}
    for err in (errno.EACCES, errno.EPERM, errno.EROFS):
        try:
            os.open(p(".pagefs/meminfo"), os.O_WRONLY)
        except OSError as e:
            if e.errno == err:
                break
    else:
        raise AssertionError("meminfo opens for writing")
    for fn in (lambda: os.mkdir(p(".pagefs")), lambda: os.unlink(p(".pagefs/vmstat")),
               lambda: os.rename(p(".pagefs"), p("other")),
               lambda: os.mkdir(p(".pagefs/sub"))):
        try:
            fn()
        except OSError:
            continue
        raise AssertionError("a control file was changed")


def t_threads():
    """Writers to disjoint parts of one file, readers all over it."""
    n, size = 8, 1 << 20
    put("shared", b"\0" * n * size)
    errors = []

    def work(k):
        try:
            fd = os.open(p("shared"), os.O_RDWR)
            for i in range(60):
                pos = k * size + (i * 7919 * 13) % (size - 5000)
                data = bytes([k + 1]) * 5000
                os.pwrite(fd, data, pos)
                assert os.pread(fd, 5000, pos) == data
                other = os.pread(fd, 100, (pos + size) % (n * size))
                assert set(other) <= {0, (k + 1) % n + 1, k + 1, (k + 2) % n + 1}, other
            os.fsync(fd)
            os.close(fd)
        except Exception as e:
            errors.append(repr(e))
    threads = [threading.Thread(target=work, args=(k,)) for k in range(n)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert not errors, errors


for name, fn in list(globals().items()):
    if not name.startswith("t_"):
        continue
    try:
        fn()
    except Exception as e:
        print("not ok - %s: %r" % (name[2:], e))
        raise
    print("ok - %s" % name[2:].replace("_", " "))
