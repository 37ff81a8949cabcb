"""The speed table: measures every subject on this machine and writes leaderboard/speed.csv. Run on an idle machine.

python -m tests.speed.table
"""

import csv
import io
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import torch
from rich.console import Console
from rich.table import Table

from benchmark.families.simulation import cores
from benchmark.files import LEADERBOARD, write_text
from tests.speed import subjects

REPEATS = 7


def rate(subject: subjects.Subject, seconds: float = 2.0) -> float:
    """Units per second: the median of several measurements that take about `seconds` together."""
    subject.call()
    start = time.perf_counter()
    subject.call()
    calls = max(1, round(seconds / REPEATS / (time.perf_counter() - start)))
    measured = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        for _ in range(calls):
            subject.call()
        measured.append(calls * subject.work / (time.perf_counter() - start))
    return statistics.median(measured)


def help_seconds() -> float:
    """Wall-clock of `python -m benchmark --help`, the median of several processes."""
    measured = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "benchmark", "--help"], capture_output=True, check=True)
        measured.append(time.perf_counter() - start)
    return statistics.median(measured)


def measure() -> list[dict[str, str]]:
    """Rows of the table: what, value, unit, target, and whether it is met."""
    rows: list[dict[str, str]] = []

    def row(what: str, value: float, unit: str, target: float | None, least: bool = True) -> None:
        met = "" if target is None else "yes" if (value >= target if least else value <= target) else "no"
        shown = "" if target is None else f"{'>=' if least else '<='} {target:g}"
        rows.append({"what": what, "value": f"{value:.4g}", "unit": unit, "target": shown, "met": met})

    def one(make: Callable[[], subjects.Subject]) -> float:
        return rate(make())

    raw = one(subjects.raw_physics) * cores()
    row("raw mj_step, half-cheetah, all cores (one core times their number)", raw, "env steps/s", None)
    row("evaluation with MACAW's policy, 200 lanes", one(subjects.evaluation) / raw, "of raw mj_step", 0.6)
    row("recording", one(subjects.recording) / raw, "of raw mj_step", 0.6)
    row("sampling 5 tasks x 512", 1000 / one(subjects.sampling), "ms", 0.3, least=False)
    five, twenty = one(lambda: subjects.meta_step(5)), one(lambda: subjects.meta_step(20))
    row("MACAW meta-step, 5 tasks x (256 + 256)", five, "steps/s", None)
    row("MACAW meta-step, 20 tasks x (256 + 256)", twenty, "steps/s", None)
    row("MACAW meta-step against the naive form, 5 tasks", five / one(subjects.naive_meta_step), "times", 2.0)
    row(
        "behaviour, 20 agents, float32", one(subjects.SUITE["behaviour float32"]), "agent updates/s/core", 600
    )
    row(
        "behaviour, 20 agents, bfloat16",
        one(subjects.SUITE["behaviour bfloat16"]),
        "agent updates/s/core",
        1500,
    )
    row("python -m benchmark --help", help_seconds(), "s", 0.3, least=False)
    return rows


def main() -> None:
    """Measure, print, write the CSV."""
    rows = measure()
    processor = torch.backends.cpu.get_cpu_capability()
    machine = f"{platform.machine()}, {cores()} cores, {processor}, torch {torch.__version__}"
    table = Table(title=f"speed on {machine}")
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, [*rows[0], "machine"], lineterminator="\n")
    writer.writeheader()
    for heading in rows[0]:
        table.add_column(heading)
    for row in rows:
        table.add_row(*row.values())
        writer.writerow({**row, "machine": machine})
    write_text(LEADERBOARD / "speed.csv", buffer.getvalue())
    Console().print(table)


if __name__ == "__main__":
    main()
