"""Recording: roll the behaviour out into episodes, reproducible bit for bit.

    tier     behaviour of each task
    random   uniformly random actions
    medium   the one snapshot whose return (success rate) is nearest to half way between random and expert
    expert   the last snapshot
    mixed    the whole training life: every snapshot for its share, episodes in the order of training age

Where behaviour is scripted, levels take the place of snapshots. A family with goals goes through them in turn: the
first episode of a snapshot has the goal that lies as far in the list of goals as the snapshot in the life.

An episode's random numbers depend on (family, tier, task, snapshot, number of the episode) and on nothing
else, so neither lanes nor threads matter, and the small data set's episodes are among those of the full one.
What is left of the machine is how the C library rounds the sines that the simulator takes from it: in one way on
all processors with AVX2 and FMA.
"""

import math
import multiprocessing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from benchmark import files
from benchmark.data.behaviour import (
    Behaviour,
    TiledPolicies,
    grid_actions,
    on_grid,
    squashed_gaussian_log_probs,
    uniform_log_prob,
)
from benchmark.data.dataset import COLUMNS, TIERS, Dataset, Progress, no_progress
from benchmark.data.snapshots import UNIFORM
from benchmark.data.spool import Columns, spooled
from benchmark.errors import DataError, RunError, UnknownNameError
from benchmark.families.family import Array, Family
from benchmark.families.stepping import cores
from benchmark.interruption import ignoring_sigint
from benchmark.randomness import numpy_stream


@dataclass(frozen=True, order=True)
class Job:
    """One episode to record."""

    task: int
    snapshot: int
    episode: int
    """Counts the episodes of this task and snapshot."""


@dataclass(frozen=True)
class Recording:
    """Which data set is recorded from which behaviour."""

    family: Family
    behaviour: Behaviour
    tier: str
    transitions: int
    """Transitions per task; reached exactly where the episodes' lengths allow, else to half a horizon."""
    medium: Sequence[int] = ()
    """Per task, the snapshot that tier `medium` is made of."""

    def __post_init__(self) -> None:
        if self.tier not in TIERS:
            raise UnknownNameError("tier", self.tier, TIERS)
        if self.behaviour.family_id != self.family.id or self.behaviour.tasks != self.family.tasks:
            raise DataError(
                f"the behaviour snapshots are of {self.behaviour.family_id} ({self.behaviour.tasks} tasks), "
                f"not of {self.family.id} ({self.family.tasks} tasks); git checkout -- datasets/snapshots"
            )
        if self.tier == "medium" and len(self.medium) != self.family.tasks:
            raise DataError(
                f"tier medium of {self.family.id}: its snapshots are known for {len(self.medium)} tasks only."
            )

    def shares(self, task: int) -> Mapping[int, float]:
        """Share of the transitions of each snapshot, young to old."""
        if self.tier == "mixed":
            return self.behaviour.life_shares
        if self.tier == "medium":
            return {self.medium[task]: 1.0}
        return {UNIFORM if self.tier == "random" else self.behaviour.last: 1.0}

    def number(self, job: "Job") -> int:
        """Number of the episode among its task's, as `Family.episode_start` counts them.

        A data set of one episode per goal would begin each snapshot with the goal after the last of the one before.
        """
        before = 0.0
        for snapshot, share in self.shares(job.task).items():
            if snapshot == job.snapshot:
                break
            before += share
        # rounded as `episode_counts` rounds: halves down, whatever the last bits of the sum
        return math.ceil(round(before * self.family.goals - 0.5, 6)) + job.episode


def record(
    recording: Recording, identity: str, tasks: Sequence[int] | None = None, lanes: int | None = None,
    threads: int | None = None, progress: Progress = no_progress,
) -> Dataset:  # fmt: skip
    """Record all tasks (or these, rising) into a data set of that identity; `progress` counts tasks.

    At most `lanes` episodes (default: the family's) are simulated at once, by `threads` (default: one per core)
    threads, or processes where the family's steps are computed in Python.
    """
    tasks = range(recording.family.tasks) if tasks is None else tasks
    lanes, threads = lanes or recording.family.recording_lanes, threads or cores()
    together = max(1, lanes * recording.family.horizon // recording.transitions)

    def portions() -> Iterator[Columns]:
        with _workers(recording.family, threads) as pool:
            for start in range(0, len(tasks), together):
                progress(start, len(tasks))
                yield _record_tasks(recording, tasks[start : start + together], lanes, threads, pool)
        progress(len(tasks), len(tasks))

    return spooled(identity, portions())


def _workers(family: Family, threads: int) -> Executor:
    """Where pieces of a recording are simulated."""
    if not family.steps_in_python or threads == 1:
        return ThreadPoolExecutor(threads)
    spawn = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(threads, mp_context=spawn, initializer=ignoring_sigint)


def episode_counts(
    shares: Mapping[int, float], transitions: int, horizon: int, known: Mapping[int, Sequence[int]]
) -> dict[int, int]:
    """Number of episodes of each snapshot, given the lengths of its first episodes as far as `known`.

    The running total of transitions follows the running total of the shares to within half a horizon, so that
    rounding errors do not add up; every snapshot gets one episode at least. Episodes not known yet are taken to last
    as long as the snapshot's known ones on average, or to the horizon where none is known. What is counted once all
    are known does not depend on that.
    """
    counts, total, target = {}, 0.0, 0.0
    for snapshot, share in shares.items():
        target += share * transitions
        lengths, count = known.get(snapshot, ()), 0
        typical = sum(lengths) / len(lengths) if lengths else horizon
        while count == 0 or total < target - horizon / 2:
            total += lengths[count] if count < len(lengths) else typical
            count += 1
        counts[snapshot] = count
    return counts


def _record_tasks(
    recording: Recording, tasks: Sequence[int], lanes: int, threads: int, pool: Executor
) -> Columns:
    """Columns of a data set of these tasks: wave after wave until no episode is missing.

    Where the next episodes are longer than those known, a few are recorded that are not needed; they are left out.
    """
    waves: list[Columns] = []
    known: dict[int, dict[int, list[int]]] = {task: {} for task in tasks}
    place: dict[Job, int] = {}
    while True:
        wanted = _jobs(recording, known)
        missing = [job for job in wanted if job not in place]
        if not missing:
            break
        size = min(-(-len(missing) // threads), max(1, lanes // threads))
        pieces = [missing[start : start + size] for start in range(0, len(missing), size)]
        waves += _simulated(pool, recording, pieces)
        lengths = np.concatenate([wave["lengths"] for wave in waves])
        for job in missing:
            known[job.task].setdefault(job.snapshot, []).append(int(lengths[len(place)]))
            place[job] = len(place)
    together = {name: np.concatenate([wave[name] for wave in waves]) for name in COLUMNS}
    return _flat(together, np.array([place[job] for job in wanted]))


def _simulated(pool: Executor, recording: Recording, pieces: Iterable[Sequence[Job]]) -> list[Columns]:
    """The pieces' episodes; raises RunError where a process that simulates them has ended unasked."""
    try:
        return list(pool.map(partial(simulate, recording), pieces))
    except BrokenProcessPool as error:
        raise RunError(
            f"a process that records {recording.family.id} has ended unasked (is there enough memory?). Nothing was "
            "kept; the same command begins again."
        ) from error
    except BaseException:
        pool.shutdown(cancel_futures=True)  # Ctrl-C does not wait for the pieces that are not begun
        raise


def _jobs(recording: Recording, known: Mapping[int, Mapping[int, Sequence[int]]]) -> list[Job]:
    """The episodes of a data set in their order, as far as is known before they are recorded."""
    size, horizon = recording.transitions, recording.family.horizon
    return [
        Job(task, snapshot, episode)
        for task, lengths in known.items()
        for snapshot, count in episode_counts(recording.shares(task), size, horizon, lengths).items()
        for episode in range(count)
    ]


def _flat(episodes: Columns, order: NDArray[np.int64]) -> Columns:
    """Chosen episodes (lane, step, ...) as flat arrays, what lies beyond an episode's end left out."""
    lengths = episodes["lengths"][order]
    steps = np.arange(episodes["rewards"].shape[1] + 1)
    inside, observed = steps[:-1] < lengths[:, None], steps <= lengths[:, None]
    flat = {name: episodes[name][order] for name in COLUMNS}
    for name in ("actions", "rewards", "log_probs"):
        flat[name] = flat[name][inside]
    return flat | {"observations": flat["observations"][observed]}


class _Lanes:
    """The behaviour of all lanes: what each does next, and how likely that was."""

    def __init__(self, recording: Recording, jobs: Sequence[Job]) -> None:
        family = recording.family
        streams = [
            numpy_stream(0, "record", family.id, recording.tier, job.task, job.snapshot, job.episode)
            for job in jobs
        ]
        states = [
            family.episode_start(random, recording.number(job))
            for random, job in zip(streams, jobs, strict=True)
        ]
        self.qpos, self.qvel = (np.stack(part) for part in zip(*states, strict=True))
        tasks, numbers = (np.array([getattr(job, name) for job in jobs]) for name in ("task", "snapshot"))
        uniform = numbers == UNIFORM
        self._acting = np.flatnonzero(~uniform)
        self._tiles = TiledPolicies(recording.behaviour, tasks[self._acting], numbers[self._acting])
        shape = (family.horizon, family.action_size)
        self._random = np.stack(
            [
                random.uniform(-1, 1, shape) if at_random else random.standard_normal(shape)
                for random, at_random in zip(streams, uniform, strict=True)
            ]
        )
        self._uniform_log_prob = uniform_log_prob(family.action_size)

    def act(self, step: int, observations: NDArray[np.float32], hidden: Array) -> tuple[Array, Array]:
        """Actions (lane, action) and log-densities (lane,), both on the grid."""
        actions = self._random[:, step].copy()
        log_probs = np.full(len(actions), self._uniform_log_prob)
        if not len(self._acting):
            return grid_actions(actions), on_grid(log_probs)
        mean, std = self._tiles.distribution(observations[self._acting], hidden[self._acting])
        actions[self._acting] = np.tanh(mean + std * actions[self._acting])
        actions = grid_actions(actions)
        log_probs[self._acting] = squashed_gaussian_log_probs(actions[self._acting], mean, std)
        return actions, on_grid(log_probs)


def simulate(recording: Recording, jobs: Sequence[Job]) -> Columns:
    """The episodes of these jobs (equal task and snapshot side by side), as arrays (lane, step, ...).

    It computes in the calling thread; simulator and matrix products let other threads run meanwhile. Raises DataError
    where anything is not finite.
    """
    family, lanes, arrays = recording.family, _Lanes(recording, jobs), _empty(recording.family, jobs)
    observations, alive = arrays["observations"], np.arange(len(jobs))
    with family.simulation(arrays["tasks"], threads=0) as simulation:
        observations[:, 0] = simulation.reset(lanes.qpos, lanes.qvel)
        hidden = simulation.hidden
        for step in range(family.horizon):
            actions, log_probs = lanes.act(step, observations[:, step], hidden)
            after = simulation.step(actions[alive])
            observations[alive, step + 1] = after.observations
            arrays["actions"][alive, step], arrays["log_probs"][alive, step] = (
                actions[alive],
                log_probs[alive],
            )
            arrays["rewards"][alive, step] = after.rewards
            arrays["lengths"][alive] += 1
            arrays["terminated"][alive] = after.terminated
            if after.terminated.any():
                going_on = np.flatnonzero(~after.terminated)
                alive = alive[going_on]
                if not len(alive):
                    break
                simulation.keep(going_on)
    _check_finite(family, jobs, arrays)
    return arrays


def _empty(family: Family, jobs: Sequence[Job]) -> Columns:
    """Room for the episodes of these jobs, zeros."""
    count = len(jobs)
    return {
        "observations": np.zeros((count, family.horizon + 1, family.observation_size), np.float32),
        "actions": np.zeros((count, family.horizon, family.action_size), np.float32),
        "rewards": np.zeros((count, family.horizon), np.float32),
        "log_probs": np.zeros((count, family.horizon), np.float32),
        "tasks": np.array([job.task for job in jobs]),
        "snapshots": np.array([job.snapshot for job in jobs]),
        "lengths": np.zeros(count, np.int64),
        "terminated": np.zeros(count, np.bool_),
    }


def _check_finite(family: Family, jobs: Sequence[Job], episodes: Columns) -> None:
    for name in ("observations", "actions", "rewards", "log_probs"):
        finite = np.isfinite(episodes[name])
        if not finite.all():
            job = jobs[int(np.argwhere(~finite)[0, 0])]
            raise DataError(
                f"{family.id} cannot be recorded: the {name} of task {job.task}, snapshot {job.snapshot}, episode "
                f"{job.episode} are not all finite. Its behaviour is damaged: restore it (git checkout -- "
                f"{files.DATASETS / 'snapshots'}), or train it anew: python -m benchmark data collect."
            )
