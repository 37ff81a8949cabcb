"""Batches of transitions from flat arrays: what `TrainingData` promises, by index arithmetic on the device.

    slot  ->  first row and number of rows of its task  ->  random rows  ->  index_select from a table

The table holds the data of the tasks that a sampler is given, and of no others, in memory: 128 bytes per transition
of a half-cheetah.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmark.algorithm import LifePart, Transitions
from benchmark.data.dataset import PARTS, Dataset
from benchmark.errors import ConfigError

LINE = 16
"""Numbers of 32 bits in a line of the processor's cache."""


def outlook(dataset: Dataset, episodes: range, discount: float) -> NDArray[np.float32]:
    """What became of each row of these episodes: (row, 4) of reward, terminated, return, final discount.

    return = r_0 + gamma r_1 + ... to the end of the episode; final discount = gamma^(steps to the end), and
    zero where the episode ended in a true terminal state. Summed in 64 bits.
    """
    starts = dataset.row_starts[episodes.start : episodes.stop + 1]
    lengths, ended = np.diff(starts), np.asarray(dataset.terminated[episodes.start : episodes.stop])
    ends = starts[1:] - starts[0]
    rewards = np.asarray(dataset.rewards[starts[0] : starts[-1]], np.float64)
    returns, discounts = np.zeros(len(rewards) + 1), np.zeros(len(rewards))
    for back in range(1, int(lengths.max()) + 1):
        long_enough = lengths >= back
        rows = ends[long_enough] - back
        returns[rows] = rewards[rows] + (discount * returns[rows + 1] if back > 1 else 0.0)
        discounts[rows] = np.where(ended[long_enough], 0.0, discount**back)
    terminated = np.zeros(len(rewards))
    terminated[ends - 1] = ended
    return np.stack([rewards, terminated, returns[:-1], discounts], axis=1).astype(np.float32)


@dataclass(frozen=True)
class _Frames:
    """A data set as tensors on one device, one frame per observation, all that belongs to it side by side.

        frame    o0 a0 future0 | o1 a1 future1 | ... | o200 - - |     the final observation has no action
        pair     |<----------- one row ------->|

    A random row costs a wait for memory per place it is looked up in, so a pair of frames, which is one place, holds
    all of a transition but the final observation; those are few and lie together.
    """

    pairs: Tensor
    """(frame - 1, 2 frame size): each frame and the one after it, a view of the same memory.

    A frame is the observation, the action, the four numbers of `outlook`, and the number of the episode (exact in
    float32), filled up with zeros to whole lines of the processor's cache; all zero for tasks that may not be read.
    """
    frame_of_row: Tensor
    """(row,), number of the row's frame."""
    finals: Tensor
    """(episode, observation), final observations."""
    actions: int
    """Size of an action."""

    def pick(self, rows: Tensor) -> Transitions:
        """The transitions of rows (task, batch); large ones are views, as copies would double the time."""
        shape, size = rows.shape, self.finals.shape[1]
        future = size + self.actions
        found = self.pairs.index_select(0, self.frame_of_row.index_select(0, rows.reshape(-1)))
        first, second = found.view(*shape, 2, -1).unbind(-2)
        rewards, terminated, returns, discounts = (
            first[..., future : future + 4].permute(2, 0, 1).contiguous()
        )
        episodes = first[..., future + 4].int().view(-1)
        return Transitions(
            observations=first[..., :size],
            actions=first[..., size:future],
            rewards=rewards,
            next_observations=second[..., :size],
            terminated=terminated,
            returns=returns,
            final_observations=self.finals.index_select(0, episodes).view(*shape, size),
            final_discounts=discounts,
        )


def _frames(
    dataset: Dataset, tasks: Sequence[int], discount: float, scale: NDArray[np.float32], device: torch.device
) -> _Frames:
    assert dataset.episodes < 2**24, "episode numbers must be exact in float32"
    size, actions = dataset.observations.shape[1], dataset.actions.shape[1]
    frame_of_row = np.arange(dataset.rows, dtype=np.int32)
    frame_of_row += np.repeat(np.arange(dataset.episodes, dtype=np.int32), dataset.lengths)
    future = size + actions
    frames = _zeros_in_whole_lines(dataset.rows + dataset.episodes, future + 5)
    finals = np.zeros((dataset.episodes, size), np.float32)
    for task in tasks:
        episodes, rows = dataset.episodes_of_task(task), dataset.rows_of_task(task)
        inside = slice(rows[0], rows[-1] + 1)
        own = slice(rows[0] + episodes.start, rows[-1] + 1 + episodes.stop)
        frames[own, :size] = dataset.observations[own] * scale
        with_action = frame_of_row[inside]
        frames[with_action, size:future] = dataset.actions[inside]
        frames[with_action, future : future + 4] = outlook(dataset, episodes, discount)
        frames[with_action, future + 4] = with_action - rows
        ends = dataset.row_starts[episodes.start + 1 : episodes.stop + 1] + np.asarray(episodes)
        finals[episodes.start : episodes.stop] = frames[ends, :size]
    table = torch.from_numpy(frames).to(device)
    count, width = table.shape
    pairs = torch.as_strided(table, (count - 1, 2 * width), (width, 1))
    return _Frames(
        pairs, torch.from_numpy(frame_of_row).to(device), torch.from_numpy(finals).to(device), actions
    )


def _zeros_in_whole_lines(rows: int, columns: int) -> NDArray[np.float32]:
    """Zeros (row, at least column), every row of which begins and ends with a line of the processor's cache."""
    width = -(-columns // LINE) * LINE
    flat = np.zeros(rows * width + LINE, np.float32)
    start = -(flat.ctypes.data // flat.itemsize) % LINE
    return flat[start : start + rows * width].reshape(rows, width)


class Sampler:
    """The data of some tasks of a data set; slot k is the k-th of them. Fulfils `TrainingData`."""

    def __init__(
        self,
        dataset: Dataset,
        tasks: Sequence[int],
        discount: float,
        device: torch.device,
        random: torch.Generator,
        observation_scale: NDArray[np.float64] | None = None,
        open_random: Callable[[], Dataset] | None = None,
    ) -> None:
        """Draws come from `random`, on `device`, alone: its state is the sampler's.

        `observation_scale` (observation,) multiplies all observations; raw ones are given where it is None.
        `open_random` gives the data of uniformly random actions, and is called when they are first asked for.
        """
        self._of_random = _later(tasks, discount, device, random, observation_scale, open_random)
        scale = np.ones(dataset.observations.shape[1]) if observation_scale is None else observation_scale
        self.tasks, self.task_numbers = len(tasks), tuple(tasks)
        self._device, self._random, self._id = device, random, dataset.id
        self._frames = _frames(dataset, tasks, discount, scale.astype(np.float32), device)
        self._counts: dict[str, int] = {}
        self._ranges: dict[str, tuple[Tensor, Tensor]] = {}
        for part in ("all", *PARTS):
            rows = [dataset.rows_of_task(task, part) for task in tasks]
            self._counts[part] = min(map(len, rows))
            edges = torch.tensor([[int(own[0]) if len(own) else 0, len(own)] for own in rows])
            self._ranges[part] = (edges[:, 0].to(device), edges[:, 1].to(device))

    def sample_tasks(self, count: int) -> Tensor:
        """`count` different slots (all slots where there are fewer), int64 (task,), drawn uniformly."""
        return torch.randperm(self.tasks, generator=self._random, device=self._device)[:count]

    def transitions(self, tasks: Tensor, size: int) -> Transitions:
        """`size` transitions per task drawn uniformly with replacement from all of the task's data."""
        first, count = (edge.index_select(0, tasks)[:, None] for edge in self._ranges["all"])
        return self._frames.pick(first + self._draw((len(tasks), size)) % count)

    def contiguous(self, tasks: Tensor, size: int, part: LifePart = "all") -> Transitions:
        """`size` consecutive transitions per task, from one random place in that part of the training life.

        They may run over the end of an episode into the next. Raises ConfigError where a task has fewer, and where
        data of random actions are asked for that cannot be had.
        """
        if part == "random":
            return self._of_random().contiguous(tasks, size)
        if size > self._counts[part]:
            raise ConfigError(
                f"{size} consecutive transitions of {self._id} were asked for, but a task has only "
                f"{self._counts[part]} in part '{part}'; ask for fewer, or take a larger data set."
            )
        first, count = (edge.index_select(0, tasks)[:, None] for edge in self._ranges[part])
        place = first + self._draw((len(tasks), 1)) % (count - size + 1)
        return self._frames.pick(place + torch.arange(size, device=self._device))

    def _draw(self, shape: tuple[int, int]) -> Tensor:
        """Integers so large that their remainders are as good as uniform."""
        return torch.randint(2**62, shape, generator=self._random, device=self._device)


def _later(
    tasks: Sequence[int], discount: float, device: torch.device, random: torch.Generator,
    observation_scale: NDArray[np.float64] | None, open_random: Callable[[], Dataset] | None,
) -> Callable[[], Sampler]:  # fmt: skip
    """A function that gives the sampler of the same tasks' data of random actions, opened by its first call."""

    @cache
    def build() -> Sampler:
        if open_random is None:
            raise ConfigError("data of random actions were asked for, but there are none beside these data.")
        return Sampler(open_random(), tasks, discount, device, random, observation_scale)

    return build


def transitions_of(dataset: Dataset, task: int, rows: NDArray[np.int64], discount: float) -> Transitions:
    """These rows of one task, in this order, as transitions (1, row) on the processor."""
    episodes = dataset.episodes_of_task(task)
    own = dataset.row_starts[episodes.start]
    numbers = dataset.episode_of_rows(rows)
    first = rows + numbers
    future = outlook(dataset, episodes, discount)[rows - own]
    arrays = (
        dataset.observations[first],
        dataset.actions[rows],
        future[:, 0],
        dataset.observations[first + 1],
        future[:, 1],
        future[:, 2],
        dataset.observations[dataset.row_starts[numbers + 1] + numbers],
        future[:, 3],
    )
    return Transitions(*(torch.from_numpy(np.array(array)[None]) for array in arrays))
