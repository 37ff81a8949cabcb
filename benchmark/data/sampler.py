"""Batches of transitions from flat arrays: what `TrainingData` promises, by index arithmetic on the device.

    slot  ->  first row and number of rows of its task  ->  random rows  ->  index_select from the flat arrays

Only rows of the tasks that a sampler is given are ever drawn. On the processor the arrays stay where they
are, in the memory-mapped cache, so that data larger than memory can be sampled.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmark.algorithm import LifePart, Transitions
from benchmark.data.dataset import PARTS, Dataset
from benchmark.errors import ConfigError


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
class _Flat:
    """The flat arrays of a data set as tensors on one device."""

    observations: Tensor
    """(row + episode, observation), shared with the data set on the processor."""
    pairs: Tensor
    """(row + episode - 1, 2 observation): each observation and the one after it, a view of the same memory."""
    table: Tensor
    """(row, 5 + action): the function `outlook`, the number of the episode (exact in float32), the action.

    Side by side because a random row costs a wait for memory per array it is looked up in. Zero for tasks that
    may not be read.
    """
    final: Tensor
    """(episode,), index of the final observation."""

    def pick(self, rows: Tensor, scale: Tensor) -> Transitions:
        """The transitions of rows (task, batch), observations multiplied by `scale` (observation,)."""
        shape, flat = rows.shape, rows.reshape(-1)
        found = self.table.index_select(0, flat)
        future = found[:, :4].t().contiguous()
        rewards, terminated, returns, discounts = future.view(4, *shape)
        episodes = found[:, 4].long()
        pairs = self.pairs.index_select(0, flat + episodes).view(*shape, 2, -1)
        final = self.observations.index_select(0, self.final.index_select(0, episodes))
        return Transitions(
            observations=pairs[..., 0, :] * scale,
            actions=found[:, 5:].contiguous().view(*shape, -1),
            rewards=rewards,
            next_observations=pairs[..., 1, :] * scale,
            terminated=terminated,
            returns=returns,
            final_observations=final.view(*shape, -1).mul_(scale),
            final_discounts=discounts,
        )


def _tensor(array: NDArray[Any]) -> Tensor:
    """The array's memory as a tensor, also where it is read-only; nobody writes into it here."""
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message="The given NumPy array is not writable", category=UserWarning
        )
        return torch.from_numpy(np.asarray(array))


def _flat(dataset: Dataset, tasks: Sequence[int], discount: float, device: torch.device) -> _Flat:
    assert dataset.episodes < 2**24, "episode numbers must be exact in float32"
    table = np.zeros((dataset.rows, 5 + dataset.actions.shape[1]), np.float32)
    for task in tasks:
        episodes, own = dataset.episodes_of_task(task), dataset.rows_of_task(task)
        inside = slice(own[0], own[-1] + 1)
        table[inside, :4] = outlook(dataset, episodes, discount)
        table[inside, 4] = np.repeat(np.asarray(episodes), dataset.lengths[episodes.start : episodes.stop])
        table[inside, 5:] = dataset.actions[inside]
    final = dataset.row_starts[1:] + np.arange(dataset.episodes)
    observations = _tensor(dataset.observations).to(device)
    count, size = observations.shape
    pairs = torch.as_strided(observations, (count - 1, 2 * size), (size, 1))
    return _Flat(observations, pairs, _tensor(table).to(device), _tensor(final).to(device))


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
    ) -> None:
        """Draws come from `random`, on `device`, alone: its state is the sampler's.

        `observation_scale` (observation,) multiplies all observations; raw ones are given where it is None.
        """
        scale = np.ones(dataset.observations.shape[1]) if observation_scale is None else observation_scale
        self._scale = torch.as_tensor(scale, dtype=torch.float32, device=device)
        self.tasks = len(tasks)
        self._device, self._random, self._id = device, random, dataset.id
        self._flat = _flat(dataset, tasks, discount, device)
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
        return self._pick(first + self._draw((len(tasks), size)) % count)

    def contiguous(self, tasks: Tensor, size: int, part: LifePart = "all") -> Transitions:
        """`size` consecutive transitions per task, from one random place in that part of the training life.

        They may run over the end of an episode into the next. Raises ConfigError where a task has fewer.
        """
        if size > self._counts[part]:
            raise ConfigError(
                f"{size} consecutive transitions of {self._id} were asked for, but a task has only "
                f"{self._counts[part]} in part '{part}'; ask for fewer, or take a larger data set."
            )
        first, count = (edge.index_select(0, tasks)[:, None] for edge in self._ranges[part])
        place = first + self._draw((len(tasks), 1)) % (count - size + 1)
        return self._pick(place + torch.arange(size, device=self._device))

    def _pick(self, rows: Tensor) -> Transitions:
        return self._flat.pick(rows, self._scale)

    def _draw(self, shape: tuple[int, int]) -> Tensor:
        """Integers so large that their remainders are as good as uniform."""
        return torch.randint(2**62, shape, generator=self._random, device=self._device)


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
