"""Relabelling in tests: what is taken in, and what the simulator says its rewards would have been."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from benchmark.data.dataset import Dataset
from benchmark.data.exchange import intake
from benchmark.data.exchange.checks import Check
from benchmark.data.exchange.minari_source import open_source
from benchmark.data.exchange.relabel import check_fits, relabelled
from benchmark.families.family import Family, State
from tests.data.exchange.conftest import by_name
from tests.data.exchange.writers import Recorded


def taken(
    identity: str, family: Family, tasks: list[int], transitions: int = 10**9, name: str = "relabelled"
) -> tuple[Dataset, dict[str, Check]]:
    source = open_source(identity)
    check_fits(source, family, tasks)
    data, checks = intake.take_in(family, name, relabelled(source, family, tasks, transitions), {})
    return data, by_name(checks)


def true_rewards(family: Family, seen: Recorded, task: int) -> np.ndarray:
    """(episode, step), from the states themselves."""
    before = State(*(array[:, :-1] for array in (seen.qpos, seen.qvel, seen.torso)))
    after = State(*(array[:, 1:] for array in (seen.qpos, seen.qvel, seen.torso)))
    return family.reward(family.parameters[task], before, seen.actions.astype(float), after)


def changed(buffers: list[Any], **columns: Callable[[Any], Any]) -> list[Any]:
    return [
        replace(one, **{name: change(getattr(one, name)) for name, change in columns.items()})
        for one in buffers
    ]
