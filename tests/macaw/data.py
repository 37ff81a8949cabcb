"""Small made-up data for the tests of methods."""

from typing import Any

import torch
from torch import Tensor

from benchmark.algorithm import FamilyDescription, Transitions
from benchmark.contract import data
from benchmark.contract.data import transitions

__all__ = ["FixedData", "InMemoryData", "assert_same", "family", "transitions"]


def family(tasks: int = 4, observation_size: int = 3, action_size: int = 2) -> FamilyDescription:
    return FamilyDescription("made-up-v1", observation_size, action_size, 50, tasks, dynamics_differ=False)


class InMemoryData(data.RandomData):
    """Random transitions, few per task."""

    def __init__(self, described: FamilyDescription, per_task: int = 90) -> None:
        super().__init__(described, per_task)


class FixedData(data.FixedData):
    """The same batches in every step."""

    def __init__(self, inner: Transitions, outer: Transitions) -> None:
        super().__init__(family(), inner, outer)


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
