"""Made-up training data in memory: what the suite's sampler gives, but of any size and in no time."""

import torch
from torch import Tensor

from benchmark.algorithm import FamilyDescription, LifePart, Transitions


def transitions(
    described: FamilyDescription, tasks: int, size: int, seed: int = 0, terminating: bool = False
) -> Transitions:
    """Random transitions (tasks, size); all tasks have one way to turn observations into good actions."""
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


class RandomData:
    """`benchmark.algorithm.TrainingData` over random transitions."""

    def __init__(self, described: FamilyDescription, per_task: int = 500, seed: int = 0) -> None:
        self.tasks = described.train_tasks
        self._all = transitions(described, self.tasks, per_task, seed)
        self._random = torch.Generator().manual_seed(seed)
        self.parts_asked: list[LifePart] = []

    def sample_tasks(self, count: int) -> Tensor:
        """`count` different slots."""
        return torch.randperm(self.tasks, generator=self._random)[:count]

    def transitions(self, tasks: Tensor, size: int) -> Transitions:
        """Random rows."""
        rows = torch.randint(self._all.size, (len(tasks), size), generator=self._random)
        return self._all.map(lambda tensor: tensor[tasks.unsqueeze(1), rows])

    def contiguous(self, tasks: Tensor, size: int, part: LifePart = "all") -> Transitions:
        """Consecutive rows, from the last one on to the first; what was asked for is remembered."""
        self.parts_asked.append(part)
        start = torch.randint(self._all.size, (), generator=self._random)
        rows = (start + torch.arange(size)) % self._all.size
        return self._all.map(lambda tensor: tensor[tasks.unsqueeze(1), rows])


class FixedData(RandomData):
    """The same transitions in every step: of `inner` where consecutive ones are asked for, else of `outer`."""

    def __init__(self, described: FamilyDescription, inner: Transitions, outer: Transitions) -> None:
        super().__init__(described, per_task=1)
        self._inner, self._outer = inner, outer

    def sample_tasks(self, count: int) -> Tensor:
        """The first slots."""
        return torch.arange(min(count, self._outer.tasks))

    def contiguous(self, tasks: Tensor, size: int, part: LifePart = "all") -> Transitions:
        """The first rows of `inner`, again and again where it has fewer."""
        return _first_rows(self._inner, tasks, size)

    def transitions(self, tasks: Tensor, size: int) -> Transitions:
        """The first rows of `outer`, again and again where it has fewer."""
        return _first_rows(self._outer, tasks, size)


def _first_rows(batch: Transitions, tasks: Tensor, size: int) -> Transitions:
    rows = torch.arange(size) % batch.size
    return batch.map(lambda tensor: tensor[tasks.unsqueeze(1), rows])
