"""The speed table: measures every subject on this machine and writes leaderboard/speed.csv. Run on an idle machine.

python -m tests.speed.table          everything on the processor
python -m tests.speed.table --gpu    training steps on a GPU, into leaderboard/speed-gpu.csv
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

from benchmark.families.stepping import cores
from benchmark.files import LEADERBOARD, write_text
from tests.speed import subjects
from tests.speed.operations import FEWEST

REPEATS = 7


def once(subject: subjects.Subject) -> float:
    """Units per second of one measurement that takes about a third of a second."""
    start, calls = time.perf_counter(), 0
    while calls == 0 or time.perf_counter() - start < 0.3:
        subject.call()
        calls += 1
    return calls * subject.work / (time.perf_counter() - start)


def rate(make: Callable[[], subjects.Subject]) -> float:
    """Units per second, the median of several measurements."""
    subject = make()
    subject.call()
    return statistics.median(once(subject) for _ in range(REPEATS))


def ratio(make: Callable[[], subjects.Subject], make_other: Callable[[], subjects.Subject]) -> float:
    """Units per second of the one over those of the other, measured in turn; the median."""
    one, other = make(), make_other()
    for subject in (one, other):
        subject.call()
    return statistics.median(once(one) / once(other) for _ in range(REPEATS))


def help_seconds() -> float:
    """Wall-clock of `python -m benchmark --help`, the median of several processes."""
    measured = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "benchmark", "--help"], capture_output=True, check=True)
        measured.append(time.perf_counter() - start)
    return statistics.median(measured)


Rows = list[dict[str, str]]
"""Of the table: what, value, unit, target, and whether it is met."""


def adder(rows: Rows) -> Callable[..., None]:
    """A function that adds a row."""

    def row(what: str, value: float, unit: str, target: float | None, least: bool = True) -> None:
        met = "" if target is None else "yes" if (value >= target if least else value <= target) else "no"
        shown = "" if target is None else f"{'>=' if least else '<='} {target:g}"
        rows.append({"what": what, "value": f"{value:.4g}", "unit": unit, "target": shown, "met": met})

    return row


def measure_gpu() -> Rows:
    """Training steps on a GPU."""
    rows: Rows = []
    row = adder(rows)
    for name in FEWEST:
        recorded = rate(lambda name=name: subjects.gpu_steps(name, True))  # type: ignore[misc]
        row(f"{name}, steps at the published sizes", recorded, "steps/s", 900 if name == "macaw" else None)
        written = rate(lambda name=name: subjects.gpu_steps(name, False))  # type: ignore[misc]
        row(f"{name}, the same one operation at a time", written, "steps/s", None)
    return rows


def measure() -> Rows:
    """Everything on the processor."""
    rows: Rows = []
    row = adder(rows)
    raw = subjects.raw_physics
    row("raw mj_step, half-cheetah, all cores", rate(raw), "env steps/s", None)
    row("evaluation with MACAW's policy, 200 lanes", ratio(subjects.evaluation, raw), "of raw mj_step", 0.6)
    row("recording", ratio(subjects.recording, raw), "of raw mj_step", 0.6)
    row("sampling 5 tasks x 512", 1000 / rate(subjects.sampling), "ms", 0.3, least=False)
    row("MACAW meta-step, 5 tasks x (256 + 256)", rate(lambda: subjects.meta_step(5)), "steps/s", None)
    row("MACAW meta-step, 20 tasks x (256 + 256)", rate(lambda: subjects.meta_step(20)), "steps/s", None)
    naive = ratio(lambda: subjects.meta_step(5), subjects.naive_meta_step)
    row("MACAW meta-step against the naive form, 5 tasks", naive, "times", 2.0)
    products = rate(subjects.matrix_product)
    row("matrix products, 1024 x 1024, float32, all cores", products, "GFLOP/s", None)
    for name, fewest in FEWEST.items():
        steps, needed = rate(lambda name=name: subjects.step(name)), fewest() / 1e9  # type: ignore[misc]
        row(f"{name}, a step at the published sizes, all cores", 1000 / steps, "ms", None)
        row(f"{name}, the fewest operations of a step", needed, "GFLOP", None)
        row(f"{name}, reached of the matrix products' rate", 100 * steps * needed / products, "%", None)
    low = rate(lambda: subjects.step("pearl", products="bfloat16"))
    row("pearl with bfloat16 products, a step, all cores", 1000 / low, "ms", None)
    for product, target in (("float32", 600), ("bfloat16", 1500)):
        updates = rate(subjects.SUITE[f"behaviour {product}"])
        row(f"behaviour, 20 agents, {product}", updates, "agent updates/s/core", target)
    row("python -m benchmark --help", help_seconds(), "s", 0.3, least=False)
    return rows


def machine(gpu: bool) -> str:
    """What it was measured on."""
    if gpu:
        return f"{torch.cuda.get_device_name()}, torch {torch.__version__}"
    processor = torch.backends.cpu.get_cpu_capability()
    return f"{platform.machine()}, {cores()} cores, {processor}, torch {torch.__version__}"


def main() -> None:
    """Measure, print, write the CSV."""
    gpu = "--gpu" in sys.argv[1:]
    if gpu and not torch.cuda.is_available():
        sys.exit("there is no CUDA device here")
    rows = measure_gpu() if gpu else measure()
    table = Table(title=f"speed on {machine(gpu)}")
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, [*rows[0], "machine"], lineterminator="\n")
    writer.writeheader()
    for heading in rows[0]:
        table.add_column(heading)
    for row in rows:
        table.add_row(*row.values())
        writer.writerow({**row, "machine": machine(gpu)})
    write_text(LEADERBOARD / ("speed-gpu.csv" if gpu else "speed.csv"), buffer.getvalue())
    Console().print(table)


if __name__ == "__main__":
    main()
