"""Collect behaviour: soft actor-critic agents, trained from scratch, with snapshots of their whole life in each task.

The tasks are dealt to shares (see `share.py`), and a few workers (see `workers`) train one share after another:

    driver -- share 0: tasks 0, 4, 8 ... --> worker -- checkpoints --> OUT/share-0.pt -- snapshots -.
           |- share 1: tasks 1, 5, 9 ... --> worker -- checkpoints --> OUT/share-1.pt -- snapshots --+--> snapshot file
           `- ...

Killed at any moment, the same command goes on from the last checkpoints. On SIGINT, SIGTERM or a worker's failure the
driver asks all to stop. A worker that is asked, or whose driver is gone, ends its step, saves and exits.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from benchmark import families
from benchmark.data.recipe import Recipe
from benchmark.data.share import Share, done_path, log_path, read_done
from benchmark.data.snapshots import Snapshots
from benchmark.errors import CheckpointError, RunError
from benchmark.files import remove_leftovers, write_text
from benchmark.interruption import Interrupted
from benchmark.locks import claimed
from benchmark.workers import AskedToStop, Job, start_workers, work_off

PATIENCE = 30.0
"""Seconds for which a share waits for the end of another process that trains it."""
CLUSTER_RETRIES = 3
"""How often a share is begun again whose machine has gone; a process killed on this machine ends the training."""


def _train(recipe: Recipe, number: int, out: Path, asked_to_stop: AskedToStop) -> None:
    """A worker's job: train one share, from its checkpoint on, to the end or until it is asked to stop."""
    torch.set_num_threads(1)
    with claimed(out / f".share-{number}", PATIENCE):
        remove_leftovers(out, f".share-{number}.*.part")
        share = Share(recipe, number, out)
        share.load()
        share.run(asked_to_stop=asked_to_stop)


def collect(
    recipe: Recipe,
    out: Path,
    processes: int | None = None,
    progress: Callable[[int], None] = lambda step: None,
    ray: str | None = None,
) -> Snapshots:
    """Train all agents, resuming what lies in `out`, and return their snapshots in 16-bit weights.

    `processes` (default: one per core) train at once, or the workers of the Ray cluster at the address `ray`.
    `progress` is called about every second with the number of steps that all shares together have done. Raises
    Interrupted after SIGINT or SIGTERM, and the error of a worker that fails; the others are stopped and save.
    ConfigError for fewer than one process.
    """
    _claim(out)
    waiting = [number for number in range(recipe.shares) if read_done(recipe, number, out) is None]
    place, retries = out.resolve(), CLUSTER_RETRIES if ray else 0
    jobs = [Job(f"share {number}", partial(_train, recipe, number, place), retries) for number in waiting]
    with start_workers(out, processes, ray) as workers:
        ending = work_off(
            workers, jobs, lambda errors: progress(steps_done(recipe, out)), stop_at_failure=True
        )
    failures = [error for error in ending.errors.values() if error]
    if failures:
        raise type(failures[0])(" ".join(str(failure) for failure in failures))
    if ending.signal:
        done = steps_done(recipe, out)
        raise Interrupted(
            ending.signal, f"at step {done}; {out} holds its checkpoint. The same command goes on."
        )
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
