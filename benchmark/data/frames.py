"""Observations in the frames of their tasks, see `BodyFamily.task_frame`: there all tasks are one."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmark.families.family import Array, BodyFamily


class TaskFrames:
    """The frames of these tasks, of a family that has them."""

    def __init__(self, family: BodyFamily, tasks: Sequence[int] | NDArray[np.int64]) -> None:
        found = [family.task_frame(int(task)) for task in tasks]
        frames = [one for one in found if one is not None]
        assert len(frames) == len(found), f"{family.name} has no frames"
        self._matrices = np.stack([matrix for matrix, _ in frames])
        self._offsets = np.stack([offset for _, offset in frames])

    def seen(self, observations: NDArray[np.floating]) -> Array:
        """Observations (task, observation), each in its task's frame; what is turned is what environments give."""
        return (observations.astype(np.float32)[:, None] @ self._matrices)[:, 0] + self._offsets

    def actors(self, weights: list[Tensor]) -> list[Tensor]:
        """One actor's w1, b1 ... b3, (1, ...), for each task as one (task, ...) that sees raw observations."""
        w1, b1, *rest = weights
        matrices, offsets = torch.from_numpy(self._matrices), torch.from_numpy(self._offsets)
        first = (matrices @ w1.double()).float()
        biases = (b1 + (offsets[:, None] @ w1.double())).float()
        return [first, biases, *(weight.expand(len(first), -1, -1).clone() for weight in rest)]
