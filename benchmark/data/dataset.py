"""A data set: flat arrays of whole episodes, tasks in order, behaviour from young to old within a task.

    episode        |<------- episode 0 ------->|<- episode 1 ->| ...
    observations   o0   o1   ...   o199   o200 | o0   ...         one more than actions: the final one is kept
    actions        a0   a1   ...   a199        | a0   ...
    rewards        r0   r1   ...   r199        | r0   ...

A *row* is one transition. Row r of episode e has its observation at index r + e, the next one at r + e + 1.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.errors import DataError, UnknownNameError
from benchmark.families.family import Family

TIERS = ("mixed", "random", "medium", "expert")
SIZES = {"small": 20_000, "full": 200_000}
"""Transitions per task of each size."""

PARTS = ("early", "middle", "late")
"""Thirds of a task's rows; they are in the order of the behaviour's training age."""

COLUMNS: dict[str, str] = {
    "observations": "<f4",
    "actions": "<f4",
    "rewards": "<f4",
    "log_probs": "<f4",
    "tasks": "<i4",
    "snapshots": "<i4",
    "lengths": "<i4",
    "terminated": "|b1",
}
"""Names and types of the arrays, in the order in which they are hashed."""

Progress = Callable[[int, int], None]
"""Called with (done, total) while something long goes on."""


def no_progress(done: int, total: int) -> None:
    """The callback that shows nothing."""


def dataset_id(family: Family, tier: str, size: str = "small") -> str:
    """Identity such as `omrl/cheetah-vel/mixed-v1`; raises UnknownNameError for an unknown tier or size."""
    if tier not in TIERS:
        raise UnknownNameError("tier", tier, TIERS)
    if size not in SIZES:
        raise UnknownNameError("size", size, SIZES)
    suffix = "" if size == "small" else f"-{size}"
    return f"omrl/{family.name}/{tier}{suffix}-v{family.version}"


@dataclass(frozen=True)
class Dataset:
    """Recorded episodes of all tasks of a family; see the module's text for the layout."""

    id: str
    """Identity with version, such as `omrl/cheetah-vel/mixed-v1`."""
    observations: NDArray[np.float32]
    """(row + episode, observation)"""
    actions: NDArray[np.float32]
    """(row, action), on the grid of 2^-12 inside (-1, 1)."""
    rewards: NDArray[np.float32]
    """(row,)"""
    log_probs: NDArray[np.float32]
    """(row,), log-density of the action under the snapshot that took it; NaN in imported data: not known."""
    tasks: NDArray[np.int32]
    """(episode,), rising."""
    snapshots: NDArray[np.int32]
    """(episode,), number of the snapshot that acted; -1: uniformly random actions, -2: not known (imported data)."""
    lengths: NDArray[np.int32]
    """(episode,), transitions of each episode."""
    terminated: NDArray[np.bool_]
    """(episode,), whether the episode ended in a true terminal state; the others were truncated."""

    @property
    def columns(self) -> dict[str, NDArray[Any]]:
        """The arrays by name, in canonical order."""
        return {name: getattr(self, name) for name in COLUMNS}

    @property
    def rows(self) -> int:
        """Number of transitions."""
        return len(self.rewards)

    @property
    def episodes(self) -> int:
        """Number of episodes."""
        return len(self.lengths)

    @cached_property
    def row_starts(self) -> NDArray[np.int64]:
        """(episode + 1,), first row of every episode and, at the end, the number of rows."""
        return np.concatenate([[0], np.cumsum(self.lengths, dtype=np.int64)])

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 over names, types, shapes and bytes of all arrays."""
        return content_hash(self.columns)

    def episodes_of_task(self, task: int) -> range:
        """Numbers of the task's episodes; raises DataError where there are none."""
        first, last = np.searchsorted(self.tasks, [task, task + 1])
        if first == last:
            there = ", ".join(map(str, np.unique(self.tasks)))
            raise DataError(
                f"{self.id} has no episodes of task {task}, only of {there}. Choose a --split whose train and test "
                "tasks it has, or data that have them all."
            )
        return range(int(first), int(last))

    def rows_of_task(self, task: int, part: str = "all") -> NDArray[np.int64]:
        """Row numbers of a task or a part of its training life; raises UnknownNameError, DataError."""
        episodes = self.episodes_of_task(task)
        rows = np.arange(self.row_starts[episodes.start], self.row_starts[episodes.stop])
        if part == "all":
            return rows
        if part not in PARTS:
            raise UnknownNameError("part of the training life", part, ("all", *PARTS))
        return np.array_split(rows, len(PARTS))[PARTS.index(part)]

    def episode_of_rows(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Numbers of the episodes to which these rows belong."""
        return np.searchsorted(self.row_starts, rows, side="right") - 1

    def episode_returns(self) -> NDArray[np.float64]:
        """(episode,), undiscounted return of every episode."""
        return np.add.reduceat(self.rewards, self.row_starts[:-1], dtype=np.float64)

    def episode(self, number: int) -> dict[str, NDArray[np.float32]]:
        """Observations (length + 1, observation), actions, rewards and log_probs of one episode, as views."""
        start, stop = int(self.row_starts[number]), int(self.row_starts[number + 1])
        inside = {name: getattr(self, name)[start:stop] for name in ("actions", "rewards", "log_probs")}
        return {"observations": self.observations[start + number : stop + number + 1], **inside}


def content_hash(columns: dict[str, NDArray[Any]]) -> str:
    """SHA-256 over the names, types, shapes and bytes of the arrays, in the order of COLUMNS."""
    digest = hashlib.sha256()
    for name, dtype in COLUMNS.items():
        digest.update(json.dumps([name, dtype, columns[name].shape]).encode())
        digest.update(raw_bytes(columns[name], dtype))
    return digest.hexdigest()


def raw_bytes(array: NDArray[Any], dtype: str) -> memoryview:
    """The bytes of the array in C order and this type; a view where it is so already."""
    return np.ascontiguousarray(array, dtype=dtype).reshape(-1).view(np.uint8).data


def check_consistent(dataset: Dataset) -> None:
    """Raise ValueError unless the arrays hold whole episodes in the order of tasks."""
    rows, episodes = int(dataset.row_starts[-1]), dataset.episodes
    expected = {"observations": rows + episodes, "actions": rows, "rewards": rows, "log_probs": rows}
    expected |= dict.fromkeys(("tasks", "snapshots", "lengths", "terminated"), episodes)
    wrong = [name for name, length in expected.items() if len(getattr(dataset, name)) != length]
    if wrong or (np.diff(dataset.tasks) < 0).any() or (dataset.lengths < 1).any():
        raise ValueError(
            f"its episodes are not whole, or not in task order (see: {', '.join(wrong) or 'tasks'})"
        )
