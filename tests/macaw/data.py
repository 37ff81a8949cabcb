"""Random training data in memory, for tests: what the suite's sampler gives, but of any size."""

from typing import Any

import torch
from torch import Tensor

from benchmark.algorithm import FamilyDescription, LifePart, Transitions


def family(tasks: int = 4, observation_size: int = 3, action_size: int = 2) -> FamilyDescription:
    return FamilyDescription("made-up-v1", observation_size, action_size, 50, tasks, dynamics_differ=False)


def transitions(
    described: FamilyDescription, tasks: int, size: int, seed: int = 0, terminating: bool = False
) -> Transitions:
    """Random transitions; each task has a way of its own to turn observations into good actions."""
    random = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(tasks, size, *shape, generator=random)

    observations = draw(described.observation_size)
    final_discounts = torch.rand(tasks, size, generator=random)
    if terminating:
        final_discounts *= torch.rand(tasks, size, generator=random) < 0.5
    actions = (observations[..., :1] + 0.3 * draw(described.action_size)).tanh()
    return Transitions(
        observations=observations,
        actions=actions,
        rewards=draw(),
        next_observations=draw(described.observation_size),
        terminated=(final_discounts == 0).to(observations.dtype),
        returns=5 * observations[..., 0] + 3 * draw() - 2,
        final_observations=draw(described.observation_size),
        final_discounts=final_discounts,
    )


class InMemoryData:
    """`benchmark.algorithm.TrainingData` over random transitions."""

    def __init__(self, described: FamilyDescription, per_task: int = 90, seed: int = 0) -> None:
        self.tasks = described.train_tasks
        self._all = transitions(described, self.tasks, per_task, seed)
        self._random = torch.Generator().manual_seed(seed)
        self.parts_asked: list[LifePart] = []

    def sample_tasks(self, count: int) -> Tensor:
        return torch.randperm(self.tasks, generator=self._random)[:count]

    def transitions(self, tasks: Tensor, size: int) -> Transitions:
        rows = torch.randint(self._all.size, (len(tasks), size), generator=self._random)
        return self._all.map(lambda tensor: tensor[tasks.unsqueeze(1), rows])

    def contiguous(self, tasks: Tensor, size: int, part: LifePart = "all") -> Transitions:
        self.parts_asked.append(part)
        start = int(torch.randint(self._all.size - size + 1, (), generator=self._random))
        return self._all.map(lambda tensor: tensor[tasks, start : start + size])


class FixedData(InMemoryData):
    """The same batches in every step."""

    def __init__(self, inner: Transitions, outer: Transitions) -> None:
        super().__init__(family())
        self._inner, self._outer = inner, outer

    def sample_tasks(self, count: int) -> Tensor:
        return torch.arange(self._outer.tasks)

    def contiguous(self, tasks: Tensor, size: int, part: LifePart = "all") -> Transitions:
        return self._inner

    def transitions(self, tasks: Tensor, size: int) -> Transitions:
        return self._outer


def assert_same(one: Any, other: Any) -> None:
    """Two states are bit-identical."""
    if isinstance(one, Tensor):
        assert torch.equal(one, other)
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        for name in one:
            assert_same(one[name], other[name])
    else:
        assert len(one) == len(other)
        for part, other_part in zip(one, other, strict=True):
            assert_same(part, other_part)
