# SPDX-License-Identifier: BSD-2-Clause
"""The parts of a comparison, as cells: what is run, by which system, at which size.

A part yields cells; run one by one, in turns of the systems, each gives figures:
    (row, x, value)     x: what grows, or None
"""
import itertools
import json
import os
import shutil
import time
from collections import namedtuple

from . import systems
from .systems import MIB

# more_is_better, and how a value is printed, are of the row.
Row = namedtuple("Row", "name unit more_is_better title")
Cell = namedtuple("Cell", "part system title run")

MAPPED = ("pagefs-map", "pagefs-mount", "kernel", "kernel-random", "passthrough")
WITHOUT_ADVICE = tuple(name for name in MAPPED if name != "kernel-random")
THROUGH = ("pagefs-mount", "kernel", "passthrough")


def rows_of(*names_and_titles):
    return {name: Row(name, unit, more, title)
            for name, unit, more, title in names_and_titles}


ROWS = rows_of(
    ("map_rand_read", "1/s", True, "mapped: random reads"),
    ("map_rand_read_8", "1/s", True, "mapped: random reads, 8 threads"),
    ("map_seq_read", "MB/s", True, "mapped: sequential read"),
    ("map_rand_write", "1/s", True, "mapped: random writes, then msync"),
    ("read_rand", "1/s", True, "read(2): random"),
    ("read_seq", "MB/s", True, "read(2): sequential, cold"),
    ("write_rand", "1/s", True, "write(2): random, then fsync"),
    ("write_seq", "MB/s", True, "write(2): sequential, then fsync"),
    ("create", "1/s", True, "create a file"),
    ("stat", "1/s", True, "stat of a file, cold"),
    ("open_read", "1/s", True, "open, read and close a file"),
    ("unlink", "1/s", True, "unlink a file"),
    *((f"ycsb_{mix}", "1/s", True, f"YCSB {mix}") for mix in "ABCDEF"),
    ("hot_resident", "share", True, "hot set in memory during a scan"),
    ("hot_touches", "1/s", True, "touches of the hot set during a scan"),
    ("fsync_p50", "us", False, "fsync of 4 KiB beside a writer, median"),
    ("fsync_p99", "us", False, "fsync of 4 KiB beside a writer, 99 %"),
    ("files_us", "us", False, "create, stat and unlink of one among many"),
    ("size_read", "1/s", True, "random reads of a mapped sparse file"),
    ("clients_read", "1/s", True, "random reads of a mapped file by many"),
    ("budget_read", "1/s", True, "random reads of a mapped sparse file, twice the memory"),
    ("metadata", "bytes", False, "metadata for a cached page of 4 KiB; memory in MiB"),
)


def shifted(names, by):
    by %= len(names) or 1
    return names[by:] + names[:by]


class Workloads:
    """All of them, over one Bench: its options, its files, its programs."""

    def __init__(self, bench):
        self.bench = bench

    # ---- the files ----

    def setup(self):
        """Once; they stay for all systems and rounds."""
        bench, parts = self.bench, self.bench.parts
        size = 4 * bench.memory
        if {"faults", "scan", "fsync", "growth"} & set(parts):
            bench.say(f"a file of {size // MIB} MiB")
            self._random_file("data", size)
        if "scan" in parts:
            self._random_file("hot", bench.memory // 2)
        if "kv" in parts:
            for times in bench.sets:
                self._load(times)
        if "growth" in parts:
            for size in bench.sparse_sizes + [2 * m for m in bench.budgets]:
                self._sparse_file(size)

    def _random_file(self, name, size):
        """Nothing between here and the disk may take its bytes for zeros."""
        with open(f"{self.bench.files}/{name}", "wb") as f:
            for _ in range(size // MIB):
                f.write(os.urandom(MIB))
            f.flush()
            os.fsync(f.fileno())

    def _sparse_file(self, size):
        with open(self._sparse_name(size), "wb") as f:
            f.truncate(size)

    def _sparse_name(self, size):
        return f"{self.bench.files}/sparse-{size // MIB}"

    def _load(self, times):
        """LMDB has three records of 1,000 bytes in a page."""
        bench = self.bench
        records = int(times * bench.memory) // 4096 * 3
        bench.say(f"a store of {times:g} times the memory, {records} records")
        where = f"{bench.files}/kv-{times:g}"
        bench.check_call([bench.kv, "load", "--quiet", f"--records={records}",
                          "--map-size=64G", where])

    # ---- running others' programs ----

    def _fio(self, system, name, *options):
        bench = self.bench
        out = system.run([
            "fio", f"--name={name}", "--output-format=json",
            f"--runtime={bench.seconds}", "--group_reporting", "--thread",
            "--allow_file_create=0", "--randrepeat=0", "--norandommap",
            f"--fadvise_hint={int(not system.read_ahead)}", *options])
        return json.loads(out[out.index("{"):])["jobs"]

    def _readers(self, system, name, *options):
        """Return: pages a second."""
        advice = [] if system.read_ahead or "--sequential" in options else ["--random"]
        out = system.run([self.bench.readers, f"--file={system.dir}/{name}",
                          f"--seconds={self.bench.seconds}", *advice, *options])
        return json.loads(out)["reads"]

    def _mount_bench(self, system, rows, *options):
        """Return: {row: value}."""
        bench = self.bench
        out = system.run([bench.mount_bench, f"--dir={system.dir}",
                          "--rows=" + ",".join(rows),
                          f"--seconds={bench.seconds}", *options])
        for name in os.listdir(bench.files):
            if name.startswith("files-"):
                shutil.rmtree(f"{bench.files}/{name}")
        return {fields[0]: float(fields[1])
                for fields in (line.split("\t") for line in out.splitlines())}

    # ---- parts ----

    def cells(self, round_nr):
        for nr, part in enumerate(self.bench.parts):
            yield from getattr(self, part)(round_nr + nr)

    def _each(self, part, names, what, turn, run):
        """A cell of each system that is wanted, the first one another each time."""
        wanted = [n for n in names if n in self.bench.systems]
        for name in shifted(wanted, turn):
            system = self.bench.systems[name]
            yield Cell(part, system, what, lambda s=system: run(s))

    def faults(self, turn):
        """One file of four times the memory, cold."""
        size = f"--size={4 * self.bench.memory // MIB}"

        def readers(row, *options):
            def run(system):
                with system.up():
                    reads = self._readers(system, "data", *options)
                return [(row, None, reads * 4096 / 1e6 if ROWS[row].unit == "MB/s"
                         else reads)]
            return run

        def fio(row, kind, *options):
            def run(system):
                with system.up():
                    job = self._fio(system, row, "--filename=" + system.dir + "/data",
                                    "--ioengine=psync", *options)[0][kind]
                return [(row, None, job["bw_bytes"] / 1e6 if ROWS[row].unit == "MB/s"
                         else job["iops"])]
            return run

        def stores(system):
            with system.up():
                figures = self._mount_bench(system, ["mmap_write_msync"], size)
            return [("map_rand_write", None, figures["mmap_write_msync"])]

        for row, names, run in (
                ("map_rand_read", MAPPED,
                 readers("map_rand_read")),
                ("map_rand_read_8", MAPPED,
                 readers("map_rand_read_8", "--threads=8")),
                ("map_seq_read", WITHOUT_ADVICE,
                 readers("map_seq_read", "--sequential")),
                ("map_rand_write", MAPPED, stores),
                ("read_rand", THROUGH,
                 fio("read_rand", "read", "--time_based", "--rw=randread")),
                ("read_seq", THROUGH,
                 fio("read_seq", "read", "--rw=read", "--bs=128k")),
                ("write_rand", THROUGH,
                 fio("write_rand", "write", "--rw=randwrite", "--end_fsync=1")),
                ("write_seq", THROUGH,
                 fio("write_seq", "write", "--rw=write", "--bs=128k",
                     "--end_fsync=1"))):
            yield from self._each("faults", names, row, turn, run)

    def files(self, turn):
        names = {"create": "create", "stat_cold": "stat", "open_read": "open_read",
                 "unlink": "unlink"}

        def run(system):
            with system.up():
                figures = self._mount_bench(
                    system, ["create", "unlink", "create_write", "stat_cold", "open_read"],
                    "--files=2000")
            return [(names[row], None, value) for row, value in figures.items()
                    if row in names]
        yield from self._each("files", THROUGH, "small files", turn, run)

    def kv(self, turn):
        """D and E insert, so they come last, as YCSB wants it."""
        for times, mix in itertools.product(self.bench.sets, "ABCFDE"):
            def run(system, times=times, mix=mix):
                with system.up():
                    out = system.run(
                        [self.bench.kv, "bench", "--quiet", "--json",
                         f"--workload={mix}", f"--seconds={self.bench.seconds}",
                         *(["--readahead"] if system.read_ahead else []),
                         f"{system.dir}/kv-{times:g}"])
                result = json.loads(out)
                if result["wrong"] or result["missing"]:
                    raise systems.CompareError(f"{system.name}: wrong values")
                return [(f"ycsb_{mix}", times, result["ops_per_second"])]
            yield from self._each("kv", MAPPED, f"YCSB {mix}, {times:g} x", turn, run)

    def scan(self, turn):
        def run(system):
            with system.up():
                out = system.run([self.bench.hotset, f"--hot={system.dir}/hot",
                                  f"--scan={system.dir}/data",
                                  *([] if system.read_ahead else ["--random"])])
            result = json.loads(out)
            return [("hot_resident", None, result["during"]),
                    ("hot_touches", None, result["touches_during"])]
        yield from self._each("scan", MAPPED, "a scan beside a hot set", turn, run)

    def fsync(self, turn):
        """One syncs each block; another writes as fast as it may, half the disk's."""
        def run(system):
            with system.up():
                jobs = self._fio(
                    system, "writer", "--ioengine=psync", "--time_based", "--rw=write", "--bs=128k",
                    f"--filename={system.dir}/data", "--rate=32m",
                    "--new_group", "--name=syncer", "--ioengine=psync", "--time_based",
                    f"--runtime={self.bench.seconds}", "--rw=randwrite", "--bs=4k",
                    "--thread", "--fsync=1", "--rate=0", "--size=64m", "--norandommap",
                    "--allow_file_create=1", f"--filename={system.dir}/synced")
            times = jobs[1]["sync"]["lat_ns"]["percentile"]
            return [("fsync_p50", None, times["50.000000"] / 1e3),
                    ("fsync_p99", None, times["99.000000"] / 1e3)]
        yield from self._each("fsync", THROUGH, "fsync beside a writer", turn, run)

    # ---- what more work costs ----

    def growth(self, turn):
        yield from self._many_files(turn)
        yield from self._large_files(turn)
        yield from self._many_clients(turn)
        yield from self._budgets(turn)
        yield from self._metadata(turn)

    def _many_files(self, turn):
        for nr in self.bench.file_numbers:
            def run(system, nr=nr):
                with system.up():
                    figures = self._mount_bench(
                        system, ["create", "stat_cold", "unlink"], f"--files={nr}")
                return [("files_us", nr, sum(1e6 / v for v in figures.values()))]
            yield from self._each("growth", THROUGH, f"{nr} files", turn, run)

    def _large_files(self, turn):
        """Page tables are the program's: a page of them for each 2 MiB."""
        for size in self.bench.sparse_sizes:
            def run(system, size=size):
                path = os.path.basename(self._sparse_name(size))
                with system.up(beside=size // 512):
                    return [("size_read", size // MIB,
                             self._readers(system, path))]
            yield from self._each("growth", ("pagefs-map", "kernel-random"),
                                  f"a file of {size >> 30} GiB", turn, run)

    def _many_clients(self, turn):
        """Processes, each with a mapping of its own of the same file."""
        for nr in self.bench.clients:
            def run(system, nr=nr):
                with system.up(beside=nr * MIB):
                    return [("clients_read", nr,
                             self._readers(system, "data", f"--procs={nr}"))]
            yield from self._each("growth", ("pagefs-map", "kernel-random"),
                                  f"{nr} clients", turn, run)

    def _budgets(self, turn):
        for memory in self.bench.budgets:
            def run(system, memory=memory):
                path = os.path.basename(self._sparse_name(2 * memory))
                with system.up(memory, beside=memory // 256):
                    return [("budget_read", memory // MIB,
                             self._readers(system, path))]
            yield from self._each("growth", ("pagefs-map", "kernel-random"),
                                  f"memory of {memory // MIB} MiB", turn, run)

    def _metadata(self, turn):
        """Memory of the mount that is not pages, when it is as full of them as it gets."""
        for memory in (self.bench.memory, 4 * self.bench.memory):
            def run(system, memory=memory):
                with system.up(memory):
                    info = self._fullest(system, [
                        "timeout", str(self.bench.limit), "dd", "bs=1M",
                        f"if={system.dir}/data", "of=/dev/null", "status=none"])
                used = info["MemTotal"] - info["MemFree"] - info["Cached"]
                return [("metadata", memory // MIB,
                         used * 1024 / (info["Cached"] / 4))]
            yield from self._each("growth", ("pagefs-mount",), "metadata", turn, run)

    def _fullest(self, system, argv):
        """Return: meminfo of when most was cached while argv ran."""
        infos = []
        with system.popen(argv) as reader:
            while reader.poll() is None:
                infos.append(self._meminfo(system))
                time.sleep(0.01)
        if reader.returncode:
            raise systems.CompareError(f"{system.name}: exit {reader.returncode}: "
                                       + " ".join(argv))
        return max(infos, key=lambda info: info["Cached"])

    @staticmethod
    def _meminfo(system):
        with open(system.dir + "/.pagefs/meminfo", encoding="ascii") as f:
            return {name: int(rest.split()[0]) for name, rest in
                    (line.split(":", 1) for line in f if ":" in line)}
