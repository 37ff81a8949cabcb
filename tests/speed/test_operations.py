"""The count of the fewest operations, held against what PyTorch counts in a real step."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmark.algorithm import FamilyDescription
from benchmark.contract.data import RandomData
from benchmark.registry import METHODS, find_algorithm
from tests.speed.operations import FEWEST

FAMILY = FamilyDescription("cheetah-vel-v1", 20, 6, 200, 35, dynamics_differ=False)


def test_everything_that_learns_is_counted() -> None:
    assert set(FEWEST) == set(METHODS) | {"behaviour-cloning"}


@pytest.mark.parametrize("name", FEWEST)
def test_a_step_makes_little_more_than_the_fewest_operations(name: str) -> None:
    kind = find_algorithm(name)
    method = kind(kind.Config(), FAMILY, torch.device("cpu"), torch.Generator().manual_seed(0))
    data = RandomData(FAMILY, per_task=400)
    with FlopCounterMode(display=False) as counter:
        method.update(data)
    # the counter leaves out products with a vector, which are less than a hundredth
    assert 0.99 < counter.get_total_flops() / FEWEST[name]() < 1.4
