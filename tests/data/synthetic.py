"""Synthetic behaviour and families for the tests of data."""

from dataclasses import replace
from functools import cached_property

import numpy as np

from benchmark.data.dataset import Dataset
from benchmark.data.snapshots import Snapshots
from benchmark.families.cheetah import CheetahDirection
from benchmark.families.family import Family, Split, State
from benchmark.families.ml45 import MetaWorld45


class FallingCheetah(CheetahDirection):
    """Episodes of at most 30 steps that end truly when the torso pitches: lengths vary."""

    horizon = 30
    ends_early = True

    def terminated(self, after: State) -> np.ndarray:
        return np.abs(after.qpos[..., 2]) > 0.25


class BriefMetaWorld(MetaWorld45):
    """Three tasks (the last is tested on), and episodes of 20 steps."""

    horizon = 20

    @cached_property
    def parameters(self) -> np.ndarray:
        return np.arange(3.0)

    def more_splits(self) -> dict[str, Split]:
        return {"standard": Split((0, 1), (2,)), "tuning": Split((0,), (1,))}


def random_snapshots(family: Family, count: int = 3, hidden: int = 16, seed: int = 0) -> Snapshots:
    """Policies of random weights, wild enough to differ and to squash."""
    random = np.random.default_rng(seed)
    sizes = (family.observation_size, hidden, hidden, 2 * family.action_size)
    weights = {}
    for layer, (inputs, outputs) in enumerate(zip(sizes[:-1], sizes[1:], strict=True), start=1):
        scale = 1.5 / np.sqrt(inputs)
        weights[f"w{layer}"] = scale * random.standard_normal((family.tasks, count, inputs, outputs))
        weights[f"b{layer}"] = 0.2 * random.standard_normal((family.tasks, count, 1, outputs))
    halves = {name: weight.astype(np.float16) for name, weight in weights.items()}
    steps = tuple(1000 * (2 + 3 * k) for k in range(count))
    return Snapshots(family.id, steps, 1000, halves)


def nan_outside(data: Dataset, tasks: list[int]) -> Dataset:
    """The data set with everything that does not belong to these tasks made NaN."""
    inside = np.isin(data.tasks, tasks)
    rows = np.repeat(inside, data.lengths)
    frames = np.repeat(inside, data.lengths + 1)
    return replace(
        data,
        observations=np.where(frames[:, None], data.observations, np.nan).astype(np.float32),
        actions=np.where(rows[:, None], data.actions, np.nan).astype(np.float32),
        rewards=np.where(rows, data.rewards, np.nan).astype(np.float32),
    )
