"""Collect behaviour: one soft actor-critic agent per task, trained from scratch, snapshots of its whole life.

The tasks are dealt to shares (see `share.py`), and a few processes train one share after another:

    parent -- share 0: tasks 0, 4, 8 ... --> process -- checkpoints --> OUT/share-0.pt -- snapshots -.
           |- share 1: tasks 1, 5, 9 ... --> process -- checkpoints --> OUT/share-1.pt -- snapshots --+--> snapshot file
           `- ...

Killed at any moment, the same command goes on from the last checkpoints. On SIGINT, SIGTERM or a process's failure the
parent asks all to stop. A process that is asked, or whose parent is gone, ends its step, saves and exits.
"""

import multiprocessing
import signal
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import connection, resource_tracker
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

import torch

from benchmark import families
from benchmark.data.recipe import Recipe
from benchmark.data.share import Share, done_path, log_path, read_done
from benchmark.data.snapshots import Snapshots
from benchmark.errors import BenchmarkError, CheckpointError, ConfigError, RunError
from benchmark.families.stepping import cores
from benchmark.files import write_text
from benchmark.interruption import Interrupted, noticed_signals


def _train(recipe: Recipe, number: int, out: Path, parent: "connection.Connection[Any, Any]") -> None:
    """A process: train one share, then tell the parent the step that was reached, or the error."""
    torch.set_num_threads(1)
    outcome: int | BenchmarkError
    try:
        share = Share(recipe, number, out)
        share.load()
        share.run(asked_to_stop=parent.poll)  # true for a word from the parent and for its end
        outcome = share.step
    except BenchmarkError as error:
        outcome = error
    with suppress(OSError):  # the parent is gone: nobody to tell
        parent.send(outcome)
    if isinstance(outcome, BenchmarkError):
        raise SystemExit(1)


class Processes:
    """The processes at work, as the parent sees them; not more than `limit` at once."""

    def __init__(self, recipe: Recipe, out: Path, limit: int) -> None:
        self.recipe, self.out, self.limit = recipe, out, limit
        numbers = range(recipe.shares)
        self.waiting = [number for number in numbers if read_done(recipe, number, out) is None]
        self.at_work: dict[int, tuple[SpawnProcess, connection.Connection[Any, Any]]] = {}
        self.failures: list[BenchmarkError] = []

    def _start(self, number: int) -> None:
        context = multiprocessing.get_context("spawn")
        # A child inherits the blocked signals: Ctrl-C in a terminal reaches it too, but it shall listen to the
        # parent alone. The tracker, if it started within the block, would unblock them.
        resource_tracker.ensure_running()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        try:
            mine, theirs = context.Pipe()
            process = context.Process(target=_train, args=(self.recipe, number, self.out, theirs))
            process.start()
            theirs.close()  # so that the end of either process is the end of the connection
            self.at_work[number] = (process, mine)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def go_well(self) -> bool:
        """After a second, or as soon as a process ends: whether some are at work and none has failed."""
        while self.waiting and len(self.at_work) < self.limit:
            self._start(self.waiting.pop(0))
        connection.wait([process.sentinel for process, _ in self.at_work.values()], timeout=1.0)
        for number, (process, _) in list(self.at_work.items()):
            if not process.is_alive():
                self._collect(number)
        return bool(self.at_work or self.waiting) and not self.failures

    def end(self) -> None:
        """Ask those at work to save and exit, and wait for them; raises the errors of those that failed."""
        for _, mine in self.at_work.values():
            with suppress(OSError):  # it has ended already
                mine.send("stop")
        for number in list(self.at_work):
            self._collect(number)
        if self.failures:
            raise type(self.failures[0])(" ".join(str(failure) for failure in self.failures))

    def _collect(self, number: int) -> None:
        """Wait for a process, and keep its failure if it has failed."""
        process, mine = self.at_work.pop(number)
        outcome: int | BenchmarkError | None = None
        with suppress(EOFError, OSError):  # it has ended without a word
            outcome = mine.recv()
        process.join()
        if isinstance(outcome, BenchmarkError):
            self.failures.append(outcome)
        if outcome is None:
            status = process.exitcode or 0
            how = (
                f"was killed by {signal.Signals(-status).name}"
                if status < 0
                else f"ended with status {status}"
            )
            self.failures.append(
                RunError(
                    f"the process of share {number} {how} before it was done (is there enough memory?). The last "
                    f"checkpoints in {self.out} stay; the same command goes on."
                )
            )


def collect(
    recipe: Recipe,
    out: Path,
    processes: int | None = None,
    progress: Callable[[int], None] = lambda step: None,
) -> Snapshots:
    """Train all agents, resuming what lies in `out`, and return their snapshots in 16-bit weights.

    `processes` (default: one per core) train at once. `progress` is called about every second with the number of
    steps that all shares together have done. Raises Interrupted after SIGINT or SIGTERM, and the error of a process
    that fails; the others are stopped and save. ConfigError for fewer than one process.
    """
    if processes is not None and processes < 1:
        raise ConfigError(f"collect: processes is {processes}; at least 1 is needed.")
    _claim(out)
    with noticed_signals() as received:
        workers = Processes(recipe, out, processes or cores())
        try:
            while not received and workers.go_well():
                progress(steps_done(recipe, out))
        finally:
            workers.end()
        if received:
            raise Interrupted(received[0], steps_done(recipe, out), out, "The same command goes on.")
    return gather(recipe, out)


def _claim(out: Path) -> None:
    """Make the folder; raises RunError if it cannot be written, before hours of training are lost."""
    probe = out / "writable"
    try:
        write_text(probe, "")
        probe.unlink()
    except OSError as error:
        raise RunError(f"the folder {out} cannot be written: {error}. Choose another --out.") from error


def steps_done(recipe: Recipe, out: Path) -> int:
    """Steps per task that the logs tell of, summed over shares."""
    return sum(_logged_step(recipe, number, out) for number in range(recipe.shares))


def _logged_step(recipe: Recipe, number: int, out: Path) -> int:
    path = log_path(out, number)
    if done_path(out, number).exists():
        return recipe.steps
    if not path.exists():
        return 0
    last = path.read_text().splitlines()[-1].split(",")[0]
    return int(last) if last.isdigit() else 0


def gather(recipe: Recipe, out: Path) -> Snapshots:
    """Put the snapshots of all shares together, tasks in order; raises CheckpointError if one is not done."""
    family = families.family(recipe.family)
    by_task: dict[int, list[list[torch.Tensor]]] = {}
    for number in range(recipe.shares):
        weights = read_done(recipe, number, out)
        if weights is None:
            raise CheckpointError(f"share {number} in {out} is not done; run collect again.")
        for lane, task in enumerate(recipe.tasks_of_share(number)):
            by_task[task] = [[weight[lane] for weight in snapshot] for snapshot in weights]
    return Snapshots.from_weights(
        family.id,
        recipe.snapshot_steps,
        recipe.sac.random_steps,
        [by_task[task] for task in recipe.task_numbers],
    )
