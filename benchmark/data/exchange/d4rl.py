"""D4RL's HDF5 layout, one task per file, read and written with h5py alone.

    row                   0  1  ...  199 | 200 201 ...      episodes one after another, in the order of time
    observations (row, observation), actions (row, action), rewards (row,)
    terminals (row,)      the step ended in a true terminal state
    timeouts (row,)       the episode was cut off after the step
    next_observations     optional: what the step led to; an episode is cut where the next row does not go on from it

Without next_observations the last step of an episode that was cut off has no observation after it and is left out;
a terminal step gets its own observation for it, because the value of a terminal state is zero whatever it is. A flag in
terminals is no true terminal state where timeouts is set too or the horizon is reached, unless the next observation is
of one.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from benchmark.data.dataset import Dataset, Progress, no_progress
from benchmark.data.exchange.checks import Check, common_checks, compared, frames_of_rows
from benchmark.data.exchange.hdf5 import action_column, check_lengths, column, flags, opened, row_count
from benchmark.data.exchange.intake import Portion, as_dataset, assigned, columns_of
from benchmark.data.exchange.motion import terminal_states
from benchmark.data.references import References
from benchmark.errors import ConfigError, DataError
from benchmark.families.family import Family
from benchmark.files import write_atomically

KEYS = ("observations", "actions", "rewards", "terminals")


def find_tasks(family: Family, paths: Sequence[Path], tasks: Sequence[int] | None) -> dict[int, Path]:
    """The file of each task, in order of tasks.

    The task of a file is the one of `tasks` in its place; or the one that the file itself says, as those of
    `write_task` do. Raises ConfigError where neither says it or both say different ones, DataError for files that
    cannot be read or say that they are of another family.
    """
    said = [_task_said(family, path) for path in paths]
    if tasks is None:
        known = [task for task in said if task is not None]
        if len(known) < len(paths):
            raise ConfigError(
                f"{paths[said.index(None)]} does not say of which task it is. Say --tasks, in the order of the files."
            )
        return assigned(family, paths, known)
    files = assigned(family, paths, tasks)
    for path, own, task in zip(paths, said, tasks, strict=True):
        if own not in (None, task):
            raise ConfigError(
                f"{path} says that it is of task {own}, and --tasks that it is of task {task}. Leave --tasks out, or "
                "put it in the order of the files."
            )
    return files


def _task_said(family: Family, path: Path) -> int | None:
    """The task that the attributes of a file say it is of; None where they do not."""
    with opened(path, KEYS) as file:
        made_for, task = file.attrs.get("family"), file.attrs.get("task")
    if not isinstance(made_for, str):  # a task of something else than our families
        return None
    if made_for != family.id:
        raise DataError(
            f"{path} says that it is data of {made_for}, not of {family.id}; give --family accordingly."
        )
    return int(task) if isinstance(task, np.integer) else None


def read_portions(
    family: Family, files: Mapping[int, Path], progress: Progress = no_progress
) -> Iterator[Portion]:
    """The portions of these tasks, one file in memory at a time; raises DataError for files that do not fit."""
    for done, (task, path) in enumerate(files.items()):
        progress(done, len(files))
        with opened(path, KEYS) as file:
            columns = _read(family, file)
        yield _portion(family, task, path, columns)
    progress(len(files), len(files))


@dataclass(frozen=True)
class _Columns:
    """A file's columns, (row, ...); None for those that it lacks."""

    observations: NDArray[np.float32]
    actions: NDArray[np.float32]
    rewards: NDArray[np.float32]
    terminals: NDArray[np.bool_]
    timeouts: NDArray[np.bool_] | None
    following: NDArray[np.float32] | None
    """`next_observations`."""


def _read(family: Family, file: h5py.File) -> _Columns:
    rows, following = row_count(file, "observations"), None
    observations = column(file, "observations", rows, family.observation_size)
    actions = action_column(file, rows, family.action_size)
    rewards, terminals = column(file, "rewards", rows), flags(file, "terminals", rows)
    if "next_observations" in file:
        following = column(file, "next_observations", rows, family.observation_size)
    timeouts = flags(file, "timeouts", rows) if "timeouts" in file else None
    return _Columns(observations, actions, rewards, terminals, timeouts, following)


def _portion(family: Family, task: int, path: Path, columns: _Columns) -> Portion:
    observations, following = columns.observations, columns.following
    ends, checks = _ends(path, columns)
    terminals, limits = _true_terminals(family, columns, ends)
    kept = np.ones(len(terminals), np.bool_)
    if following is None:
        checks = checks + limits
        kept[ends & ~terminals] = False
        if not kept.any():
            raise DataError(f"{path}: no episode has more than one step; nothing can be taken in.")
    lengths, finals = _episodes(ends, kept, observations, following)
    advice = "Put 1 into timeouts at the last step of every episode; longer ones are cut so."
    check_lengths(path, family, lengths, advice)
    first = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    frames = np.arange(kept.sum()) + np.repeat(np.arange(len(lengths)), lengths)
    together = np.empty((len(frames) + len(lengths), family.observation_size), np.float32)
    together[frames] = observations[kept]
    together[frames[first + lengths - 1] + 1] = finals
    terminated = terminals[kept][first + lengths - 1]
    actions, rewards = columns.actions[kept], columns.rewards[kept]
    ready = columns_of(task, together, actions, rewards, lengths, terminated)
    data, known = as_dataset(f"task {task}", ready), None if following is not None else ~terminals[kept]
    return Portion(ready, [*common_checks(family, data, columns.terminals[kept], known), *checks])


def _true_terminals(
    family: Family, columns: _Columns, ends: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], list[Check]]:
    """The terminal flags (row,) without those of time limits, and a check of how many those are."""
    last = np.flatnonzero(ends)
    limited = np.diff(last, prepend=-1) >= family.horizon
    if columns.timeouts is not None:
        limited |= columns.timeouts[last]
    if columns.following is not None:
        terminal = terminal_states(family, columns.following[last])
        limited &= True if terminal is None else ~terminal
    limited &= columns.terminals[last]
    found = columns.terminals.copy()
    found[last[limited]] = False
    flagged = limited[columns.terminals[last]].astype(np.float64)
    against = "time limits, which are taken as truncations"
    return found, [compared("terminal flags at the ends", against, flagged)] if len(flagged) else []


def _ends(path: Path, columns: _Columns) -> tuple[NDArray[np.bool_], list[Check]]:
    """Whether an episode ends with a row: flags say so, or that the next observation is not the next row's.

    Where both are there, also the check of one by the other.
    """
    timeouts, following, ends = columns.timeouts, columns.following, columns.terminals.copy()
    if timeouts is not None:
        ends |= timeouts
    elif following is None:
        raise DataError(
            f"{path} has neither timeouts nor next_observations, so where episodes end is not known. "
            "Add timeouts: 1 at the last step of every episode that did not end in a terminal state."
        )
    ends[-1] = True
    if following is None:
        return ends, []
    breaks = np.zeros(len(ends))
    breaks[:-1] = np.abs(following[:-1].astype(np.float64) - columns.observations[1:]).max(1)
    breaks[ends] = 0.0
    against = "the next row's observation, within an episode (cut there)"
    checks = [compared("next observations", against, breaks)] if timeouts is not None else []
    return ends | (breaks > 0), checks


def _episodes(
    ends: NDArray[np.bool_], kept: NDArray[np.bool_], observations: NDArray[np.float32],
    following: NDArray[np.float32] | None,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:  # fmt: skip
    """Lengths and final observations of the episodes that keep a row at least."""
    last = np.flatnonzero(ends)
    before = np.concatenate([[0], np.cumsum(kept)])
    lengths = before[last + 1] - before[np.concatenate([[0], last[:-1] + 1])]
    finals = observations[last] if following is None else following[last]
    return lengths[lengths > 0], finals[lengths > 0]


def check_absent(path: Path) -> None:
    """Raises DataError where there is a file already, or there can be none of this name."""
    try:
        there = path.exists()
    except OSError as error:
        raise DataError(f"{path} cannot be a file: {error}. Choose another --to.") from error
    if there:
        raise DataError(f"{path} is there already; choose another --to, or delete it first.")


def write_task(family: Family, dataset: Dataset, task: int, references: References, path: Path) -> None:
    """Write one task's data as a D4RL file; what they are is in the attributes of the file.

    Raises DataError where the file is there already, where the task has no data, or the disk does not take it.
    """
    check_absent(path)
    episodes = dataset.episodes_of_task(task)
    columns = task_columns(dataset, episodes)
    attributes = {
        "data": dataset.id,
        "content_hash": dataset.content_hash,
        "family": family.id,
        "task": task,
        "task_parameter": family.parameters[task],
        "ref_min_score": references.random[task],
        "ref_max_score": references.expert[task],
    }

    def write(temporary: Path) -> None:
        # of one task, so small enough for memory; written piece by piece, HDF5 crashes where the disk becomes full
        with h5py.File(temporary, "w", driver="core") as file:
            file.attrs.update(attributes)
            for name, values in columns.items():
                file.create_dataset(name, data=values, compression="gzip", compression_opts=4)

    try:
        write_atomically(path, write)
    except (OSError, RuntimeError) as error:
        raise DataError(
            f"{path} cannot be written: {error}. Free some space, or choose another --to."
        ) from error


def task_columns(dataset: Dataset, episodes: range) -> dict[str, NDArray[Any]]:
    """D4RL's columns of these episodes of one task, by name."""
    rows = slice(int(dataset.row_starts[episodes.start]), int(dataset.row_starts[episodes.stop]))
    frames = frames_of_rows(dataset)[rows]
    last = dataset.row_starts[episodes.start + 1 : episodes.stop + 1] - 1 - rows.start
    terminated = np.asarray(dataset.terminated[episodes.start : episodes.stop])
    terminals, timeouts = np.zeros(len(frames), np.bool_), np.zeros(len(frames), np.bool_)
    terminals[last], timeouts[last] = terminated, ~terminated
    lengths = dataset.lengths[episodes.start : episodes.stop]
    return {
        "observations": dataset.observations[frames],
        "actions": np.asarray(dataset.actions[rows]),
        "rewards": np.asarray(dataset.rewards[rows]),
        "next_observations": dataset.observations[frames + 1],
        "terminals": terminals,
        "timeouts": timeouts,
        "infos/action_log_probs": np.asarray(dataset.log_probs[rows]),
        "infos/snapshot": np.repeat(dataset.snapshots[episodes.start : episodes.stop], lengths),
    }
