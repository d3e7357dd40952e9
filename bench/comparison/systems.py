# SPDX-License-Identifier: BSD-2-Clause
"""What is compared: ways to the files of one directory, under one memory limit.

      program -- pagefs-run -- pagefsd --+
      program -- mount ------- pagefsd --+
      program -- mount -- passthrough ---+-- DIR/files, on ext4
      program ---------------------------+

One at a time is mounted, over the same files. M is the limit:
  pagefs       the daemon has --memory of 7/8 M; the program, with what the kernel
               caches for it, a control group of 1/8
  passthrough  the daemon and the program share a control group of M
  kernel       the program has a control group of M
"""
import os
import subprocess
import time

HERE = os.path.dirname(os.path.abspath(__file__))
MIB = 1 << 20
PT_SOURCE = "/usr/share/doc/libfuse3-dev/examples/passthrough_ll.c"


class CompareError(Exception):
    """What goes to stderr as it is; the exit status is 1."""


class Cgroup:
    """A control group that limits memory, made by bench/cgroup.sh."""

    def __init__(self, limit):
        done = subprocess.run(
            ["bash", "-c", '. "$1" && make_cgroup "$2" && echo "$cgroup"', "bash",
             f"{HERE}/../cgroup.sh", str(limit // MIB)],
            capture_output=True, text=True, check=False)
        if done.returncode:
            raise CompareError("no control group for memory to be had: " +
                               done.stderr.strip())
        self.path = done.stdout.strip()

    def enter(self):
        """For a child, between fork and exec."""
        with open(self.path + "/cgroup.procs", "w", encoding="ascii") as f:
            f.write(str(os.getpid()))

    def remove(self):
        """When its processes have ended; they may be a moment in ending."""
        for _ in range(100):
            try:
                os.rmdir(self.path)
                return
            except OSError:
                time.sleep(0.02)
        os.rmdir(self.path)


def is_mounted(where):
    with open("/proc/self/mounts", encoding="utf-8") as mounts:
        return any(line.split()[1] == where for line in mounts)


def drop_caches():
    os.sync()
    with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as f:
        f.write("3")


class System:
    """The kernel's own: no daemon. with system.up(): system.run(argv)."""

    name, label, maps = "kernel", "kernel", True
    read_ahead = True       # as the kernel does unless told that it is random

    def __init__(self, bench):
        self.bench = bench
        self.memory = self.beside = 0
        self.daemon = self.cgroup = None

    # ---- what the kinds differ in ----

    def share(self):
        """Bytes the program's control group may have."""
        return self.memory

    def command(self):
        """Of the daemon, or None."""
        return None

    def daemon_enters(self):
        return None

    wrapper = ()

    # ---- what they share ----

    @property
    def dir(self):
        """Where the program finds the files."""
        return self.bench.mnt if self.command() else self.bench.files

    def up(self, memory=0, beside=0):
        """beside: what programs need for themselves, besides the limit."""
        self.memory = memory or self.bench.memory
        self.beside = beside
        return self

    def __enter__(self):
        self.cgroup = Cgroup(self.share() + self.beside)
        drop_caches()
        argv = self.command()
        if argv:
            self._start(argv)
        return self

    def _start(self, argv):
        with open(self.bench.work + "/daemon.log", "ab") as log:
            self.daemon = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                preexec_fn=self.daemon_enters())
        for _ in range(400):
            if is_mounted(self.bench.mnt):
                return self._settle()
            if self.daemon.poll() is not None:
                break
            time.sleep(0.05)
        self.__exit__()
        raise CompareError(f"{self.name} did not mount: see daemon.log")

    def _settle(self):
        """It may be at work on its memory when its mount is there."""
        before = None
        for _ in range(100):
            with open(f"/proc/{self.daemon.pid}/stat", encoding="utf-8") as f:
                now = f.read().rsplit(")", 1)[1].split()[11:13]
            if now == before:
                return
            before = now
            time.sleep(0.1)

    def __exit__(self, *unused):
        if is_mounted(self.bench.mnt):
            subprocess.run(["umount", self.bench.mnt], check=True)
        if self.daemon:
            try:
                self.daemon.wait(60)
            except subprocess.TimeoutExpired:
                self.daemon.kill()
                self.daemon.wait()
                raise CompareError(f"{self.name} did not end") from None
            finally:
                self.daemon = None
        self.cgroup.remove()

    def popen(self, argv, wrapped=True, **more):
        wrapper = list(self.wrapper) if wrapped else []
        return subprocess.Popen(
            wrapper + argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, cwd=self.bench.work,
            preexec_fn=self.cgroup.enter, **more)

    def run(self, argv, wrapped=True):
        """Return: what the program prints. Raises if it fails."""
        child = self.popen(argv, wrapped)
        try:
            out, err = child.communicate(timeout=self.bench.limit)
        except subprocess.TimeoutExpired:
            child.kill()
            child.communicate()
            raise CompareError(f"{self.name}: not done in {self.bench.limit} s: "
                               + " ".join(argv)) from None
        if child.returncode:
            raise CompareError(f"{self.name}: exit {child.returncode}: "
                               f"{' '.join(argv)}\n{err.strip()[-1000:]}")
        return out


class KernelRandom(System):
    name, label = "kernel-random", "kernel, MADV_RANDOM"
    read_ahead = False


class PagefsMount(System):
    name, label = "pagefs-mount", "pagefs, mount"

    def share(self):
        return max(self.memory // 8, 16 * MIB)

    def command(self):
        return [self.bench.pagefsd, "--foreground", "--log-level=warn",
                f"--memory={self.memory - self.share()}",
                *self.bench.options, self.bench.files, self.bench.mnt]


class PagefsMap(PagefsMount):
    name, label = "pagefs-map", "pagefs, mapped"
    read_ahead = False

    @property
    def wrapper(self):
        return [self.bench.pagefs_run, "--quiet", "--"]


class Passthrough(System):
    name, label = "passthrough", "FUSE pass-through"

    def command(self):
        return [self.bench.passthrough, "-f", "-o",
                f"source={self.bench.files},cache=auto", self.bench.mnt]

    def daemon_enters(self):
        return self.cgroup.enter


ALL = (PagefsMap, PagefsMount, System, KernelRandom, Passthrough)


def build_passthrough(work):
    """libfuse's example. Return: its path, or None where it is not installed."""
    if not os.access(PT_SOURCE, os.R_OK):
        return None
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", "fuse3"],
                           capture_output=True, text=True, check=True).stdout
    out = work + "/passthrough_ll"
    subprocess.run([os.environ.get("CC", "gcc"), "-O2", "-w", "-D_GNU_SOURCE", "-o", out,
                    PT_SOURCE, *flags.split()], check=True)
    return out
