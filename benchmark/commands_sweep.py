"""What the verb `sweep` does."""

import argparse
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.console import console, progress_bar
from benchmark.errors import BenchmarkError, InUseError, ResultError, RunError

if TYPE_CHECKING:
    from benchmark.sweep.plan import PlannedRun
    from benchmark.sweep.standing import Outcome
    from benchmark.workers import Ending

GRACE = 30.0
"""Seconds for which a sweep waits for other processes that work on its runs, before it leaves those runs to them."""
Errors = Mapping[str, BenchmarkError | None]


def sweep(options: argparse.Namespace) -> None:
    """Do all runs of an experiment file that are not finished; fails in the end if any is not."""
    from benchmark.interruption import Interrupted
    from benchmark.sweep.plan import read_experiment

    file = Path(options.file)
    out = Path(options.out) if options.out else Path("runs") / file.stem
    runs = read_experiment(file, out)
    if options.list:
        _print_standings(out, runs)
        return
    unfinished, errors = _look_through(runs)
    finished = len(runs) - len(unfinished) - len(errors)
    errors |= {
        run.name: InUseError(f"another process works in {run.folder}: it is left alone.")
        for run in _busy(unfinished)
    }
    todo = [run for run in unfinished if run.name not in errors]
    ending = _work(runs, todo, finished, out, options)
    ends = {run.name: _end(run) for run in runs}
    errors = _in_the_end({**errors, **ending.errors}, ends)
    if not ending.signal:
        _print_summary(out, ends)
    failed = [f"{run.name}: {errors[run.name]}" for run in runs if errors.get(run.name)]
    if ending.signal:
        steps = sum(_reached(run) for run in runs)
        stays = f"after {steps} steps of all runs; their checkpoints lie in {out}. The same command goes on."
        stopped = {f"{name}: {error}" for name, error in errors.items() if isinstance(error, Interrupted)}
        raise Interrupted(ending.signal, "\n".join([stays, *(one for one in failed if one not in stopped)]))
    if failed:
        raise RunError(
            f"{len(failed)} of {len(runs)} runs {'is' if len(failed) == 1 else 'are'} not finished"
            + ("; the others are.\n" if len(failed) < len(runs) else ".\n")
            + "\n".join(failed)
            + "\nOnce these reasons are gone, the same command goes on with what is not finished."
        )


def _look_through(runs: "list[PlannedRun]") -> "tuple[list[PlannedRun], dict[str, BenchmarkError | None]]":
    """The runs that are not finished, and those whose results cannot be read, with the reason.

    Raises RunError, which names them all, where something else lies in the folders of runs.
    """
    from benchmark.sweep.standing import standing

    refused: list[str] = []
    unfinished: list[PlannedRun] = []
    unreadable: dict[str, BenchmarkError | None] = {}
    for run in runs:
        try:
            if standing(run).state != "finished":
                unfinished.append(run)
        except ResultError as error:
            unreadable[run.name] = error
        except RunError as error:
            refused.append(f"{run.name}: {error}")
    if refused:
        raise RunError("\n".join(refused))
    return unfinished, unreadable


def _busy(runs: "list[PlannedRun]") -> "list[PlannedRun]":
    """The runs that other processes work on; the workers of a killed sweep get a while to save and end."""
    from benchmark.locks import in_use

    deadline = time.monotonic() + GRACE
    while (busy := [run for run in runs if in_use(run.folder)]) and time.monotonic() < deadline:
        time.sleep(0.5)
    return busy


def _prepare_data(runs: "list[PlannedRun]") -> dict[str, BenchmarkError]:
    """Record what is missing, once, before workers ask for it; the runs whose data cannot be had, and why."""
    from benchmark.commands import standard_opener
    from benchmark.sweep.plan import tiers
    from benchmark.sweep.work import opener

    opened: dict[tuple[str, ...], BenchmarkError | None] = {}
    missing: dict[str, BenchmarkError] = {}
    for run in runs:
        for tier in tiers(run.config):
            key = (run.config.family, run.data or "", run.config.size, tier)
            if key not in opened:
                opened[key] = None
                try:
                    if run.data:
                        opener(run.config, run.data)(tier)
                    else:
                        standard_opener(run.config.family, run.config.size)(tier)
                except BenchmarkError as error:
                    opened[key] = error
            if problem := opened[key]:
                missing[run.name] = problem
    return missing


def _work(
    runs: "list[PlannedRun]", todo: "list[PlannedRun]", finished: int, out: Path, options: argparse.Namespace
) -> "Ending":
    """Do the runs `todo` in workers, as far as their data can be had.

    One progress display is of all runs, of which so many are `finished` already.
    """
    from benchmark.sweep.work import job
    from benchmark.workers import Ending, start_workers, work_off

    if not todo:
        return Ending({}, None)
    told = set[str]()
    with start_workers(out, options.workers, options.ray) as workers:
        without_data: Errors = _prepare_data(todo)

        def look(ended: Errors) -> None:
            errors = {**without_data, **ended}
            for name in errors.keys() - told:
                told.add(name)
                word = "finished" if errors[name] is None else "NOT finished"
                progress.console.print(f"{word}: {name}", highlight=False, soft_wrap=True)
            failed = sum(error is not None for error in errors.values())
            done = finished + len(errors) - failed
            text = f"{done} of {len(runs)} runs" + (f", {failed} failed" if failed else "")
            progress.update(bar, completed=sum(_reached(run) for run in runs), description=text)

        with progress_bar(f"{len(runs)} runs", sum(run.config.steps for run in runs)) as (progress, bar):
            look({})
            ending = work_off(workers, [job(run) for run in todo if run.name not in without_data], look)
        return Ending({**without_data, **ending.errors}, ending.signal)


def _reached(run: "PlannedRun") -> int:
    from benchmark.sweep.standing import reached

    return reached(run)


def _print_standings(out: Path, runs: "list[PlannedRun]") -> None:
    """A line per run; fails in the end where something else lies in a run's folder."""
    from benchmark.sweep.standing import standing

    counts, refused = dict.fromkeys(("finished", "unfinished", "missing"), 0), list[str]()
    for run in runs:
        try:
            one = standing(run)
        except BenchmarkError as error:
            refused.append(f"{run.name}: {error}")
            continue
        counts[one.state] += 1
        console.print(
            f"{one.state:10} {one.step:>8} of {run.config.steps:>8} steps  {run.name}",
            highlight=False, soft_wrap=True,
        )  # fmt: skip
    shown = ", ".join(f"{count} {state}" for state, count in counts.items())
    console.print(f"{len(runs)} runs in {out}: {shown}", highlight=False, soft_wrap=True)
    if refused:
        raise RunError("\n".join(refused))


def _end(run: "PlannedRun") -> "Outcome | BenchmarkError | None":
    """What a finished run reached, the error where its files cannot be read; None where it is not finished."""
    from benchmark.sweep.standing import outcome, standing

    try:
        return outcome(run) if standing(run).state == "finished" else None
    except BenchmarkError as error:
        return error


def _in_the_end(
    errors: Errors, ends: "Mapping[str, Outcome | BenchmarkError | None]"
) -> dict[str, BenchmarkError | None]:
    """The errors of runs, those of unreadable files among them; none where another process finished the run."""
    unreadable = {name: end for name, end in ends.items() if isinstance(end, BenchmarkError)}
    finished = {name for name, end in ends.items() if end} - unreadable.keys()
    told = {
        name: error
        for name, error in errors.items()
        if error and not (name in finished and isinstance(error, InUseError))
    }
    return {**unreadable, **told}


def _print_summary(out: Path, ends: "Mapping[str, Outcome | BenchmarkError | None]") -> None:
    """A line per run; what it took is the time of its training and the peak memory of its process."""
    from benchmark.sweep.standing import Outcome

    console.print(f"{'score':>8}{'adapted':>10}{'minutes':>9}{'MiB':>7}  run in {out}", highlight=False)
    for name, one in ends.items():
        cells = ["-"] * 4
        if isinstance(one, Outcome):
            values = (one.score, one.adapted_return, one.seconds / 60, one.peak_memory_mib)
            cells = [f"{value:.1f}" if math.isfinite(value) else "-" for value in values]
        line = "".join(cell.rjust(width) for cell, width in zip(cells, (8, 10, 9, 7), strict=True))
        console.print(f"{line}  {name}", highlight=False, soft_wrap=True)
    if any(isinstance(one, Outcome) for one in ends.values()):
        console.print(
            f"put what is finished on the leaderboard: python -m benchmark leaderboard --add {out}",
            highlight=False, soft_wrap=True,
        )  # fmt: skip
