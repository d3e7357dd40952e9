# SPDX-License-Identifier: BSD-2-Clause
"""What a comparison found: a table, and pictures.

Results are lines of JSON, one a figure: {"row", "system", "x", "value", "round"}.
A cell of the table is the median of the rounds, with its spread: half of what lies
between the least and the greatest, in percent of the median.
"""
import json
import shutil
import statistics
import subprocess
from collections import defaultdict

from .workloads import ROWS

# row, x, system, reference, least ratio (of speeds: above 1 is better)
TARGETS = (
    ("ycsb_C", 4, "pagefs-map", "kernel", 1.3),
    ("ycsb_C", 4, "pagefs-map", "kernel-random", 1.0),
    ("create", None, "pagefs-mount", "passthrough", 1.0),
    ("stat", None, "pagefs-mount", "passthrough", 1.0),
    ("open_read", None, "pagefs-mount", "passthrough", 1.0),
    ("unlink", None, "pagefs-mount", "passthrough", 1.0),
)
HOT, METADATA = 0.9, 96


class Results:
    def __init__(self, lines, labels):
        self.labels = labels
        self.values = defaultdict(list)
        self.meta = {}
        for line in lines:
            figure = json.loads(line)
            if "command" in figure:
                self.meta = figure
            else:
                key = (figure["row"], figure["x"], figure["system"])
                self.values[key].append(figure["value"])
        self.systems = [s for s in labels
                        if any(key[2] == s for key in self.values)]

    def median(self, row, x, system):
        values = self.values.get((row, x, system))
        return statistics.median(values) if values else None

    def spread(self, row, x, system):
        values = self.values[row, x, system]
        middle = statistics.median(values)
        return (max(values) - min(values)) / 2 / middle * 100 if middle else 0

    def lines(self):
        """(row, x) of all there are, in the order of ROWS."""
        return [(row, x) for row in ROWS
                for x in sorted({k[1] for k in self.values if k[0] == row},
                                key=lambda x: (x is not None, x or 0))]

    def speed(self, row, x, system, reference):
        """How many times as fast as the reference; None: not known."""
        ours, theirs = (self.median(row, x, s) for s in (system, reference))
        if not ours or not theirs:
            return None
        return ours / theirs if ROWS[row].more_is_better else theirs / ours


def number(value):
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def table(results):
    heads = ["", "unit", *(results.labels[s] for s in results.systems)]
    out = ["| " + " | ".join(heads) + " |",
           "|---|---" + "|---:" * len(results.systems) + "|"]
    for row, x in results.lines():
        cells = []
        best = [results.median(row, x, s) for s in results.systems]
        best = [b for b in best if b is not None]
        top = max(best) if ROWS[row].more_is_better else min(best)
        for system in results.systems:
            value = results.median(row, x, system)
            if value is None:
                cells.append("")
                continue
            text = f"{number(value)} ±{results.spread(row, x, system):.0f}%"
            cells.append(f"**{text}**" if value == top and len(best) > 1 else text)
        title = ROWS[row].title + ("" if x is None else f" ({x:g})")
        out.append(f"| {title} | {ROWS[row].unit} | " + " | ".join(cells) + " |")
    return "\n".join(out)


def targets(results):
    """Return: lines that say what is met, and how many are not."""
    out, missed = [], 0

    def judge(what, met):
        nonlocal missed
        missed += not met
        out.append(f"{'met   ' if met else 'missed'} {what}")

    for row, x, system, reference, least in TARGETS:
        speed = results.speed(row, x, system, reference)
        if speed is not None:
            judge(f"{ROWS[row].title}: {speed:.2f} of {results.labels[reference]}, "
                  f"wanted {least}", speed >= least)
    for system in ("pagefs-map", "pagefs-mount"):
        share = results.median("hot_resident", None, system)
        kernels = results.median("hot_resident", None, "kernel")
        if share is not None and kernels is not None:
            wanted = HOT if kernels < 0.5 else kernels
            judge(f"hot set in memory, {results.labels[system]}: {share:.2f}, wanted "
                  f"{wanted:.2f} (the kernel's: {kernels:.2f})", share >= wanted - 0.005)
    for row, x in results.lines():
        if row == "metadata":
            size = results.median(row, x, "pagefs-mount")
            judge(f"metadata for a page, memory of {x} MiB: {size:.0f} bytes, "
                  f"wanted {METADATA}", size <= METADATA)
    return out, missed


# name, rows, what x is, logarithmic in x
PLOTS = (
    ("ycsb-c", "ycsb_C", "size of the data, times the memory", "YCSB C, zipfian"),
    ("ycsb-a", "ycsb_A", "size of the data, times the memory", "YCSB A, zipfian"),
    ("files", "files_us", "files", None),
    ("size", "size_read", "size of the file, MiB", None),
    ("clients", "clients_read", "clients", None),
    ("budget", "budget_read", "memory, MiB", None),
)


def plot(results, where, name, row, xlabel, title):
    xs = [x for r, x in results.lines() if r == row]
    shown = [s for s in results.systems
             if any(results.median(row, x, s) is not None for x in xs)]
    if len(xs) < 2 or not shown:
        return False
    script = [
        "set terminal svg noenhanced size 720,400 font 'sans,12' background '#ffffff'",
        f"set output '{where}/{name}.svg'",
        f"set title '{title or ROWS[row].title}'", f"set xlabel '{xlabel}'",
        f"set ylabel '{ROWS[row].unit}'", "set logscale x 2", "set logscale y",
        "set xtics (" + ", ".join(f"'{x:g}' {x}" for x in xs) + ")",
        "set key outside bottom horizontal", "set grid ytics",
    ]
    curves = []
    for nr, system in enumerate(shown):
        script.append(f"$d{nr} << END")
        for x in xs:
            values = results.values.get((row, x, system))
            if values:
                script.append(f"{x} {statistics.median(values)} {min(values)} {max(values)}")
        script.append("END")
        curves.append(f"$d{nr} using 1:2:3:4 with yerrorlines linewidth 2 "
                      f"title '{results.labels[system]}'")
    script.append("plot " + ", ".join(curves))
    subprocess.run(["gnuplot"], input="\n".join(script) + "\n", text=True,
                   check=True)
    return True


def plots(results, where):
    """Return: the names of those that were drawn; None: there is no gnuplot."""
    if not shutil.which("gnuplot"):
        return None
    return [name for name, *what in PLOTS if plot(results, where, name, *what)]
