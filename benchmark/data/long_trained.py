"""What well-trained agents of one task reach: some tasks of a family, trained for long (`datasets/recipes/long/`).

The shipped experts are held against them on the data card: a family whose experts are poor would be a poor standard.
"""

import csv
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmark import files
from benchmark.data.references import DECIMALS, EPISODES
from benchmark.data.snapshots import GaussianPolicies, Snapshots
from benchmark.errors import DataError
from benchmark.families.family import Family
from benchmark.rollouts import Act, episode_outcomes

COLUMNS = ("task", "step", "deterministic_return")


@dataclass(frozen=True)
class LongReturn:
    """Mean return of one agent at one age."""

    task: int
    step: int
    """Environment steps of training."""
    deterministic_return: float
    """Of the mean action, over the evaluation's episodes."""


def measure_long(
    family: Family, agents: Snapshots, tasks: list[int], episodes: int = EPISODES
) -> list[LongReturn]:
    """Returns of all snapshots of agents of these tasks, in this order."""
    found = []
    for number, step in enumerate(agents.steps):
        policies = agents.policy(np.arange(len(tasks)), np.full(len(tasks), number))
        returns = episode_outcomes(family, tasks, _mean_action(policies), episodes).returns.mean(1)
        found += [
            LongReturn(task, step, round(float(value), DECIMALS))
            for task, value in zip(tasks, returns, strict=True)
        ]
    return sorted(found, key=lambda one: (one.task, one.step))


def _mean_action(policies: GaussianPolicies) -> Act:
    return lambda observations: np.tanh(policies.distribution(observations)[0])


def long_path(family_name: str) -> Path:
    """Where a family's returns are kept."""
    return files.DATASETS / "snapshots" / f"{family_name}-long.csv"


def write_long(path: Path, rows: list[LongReturn]) -> None:
    """Write the table in one step."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([row.task, row.step, row.deterministic_return] for row in rows)
    files.write_text(path, buffer.getvalue())


def read_long(path: Path) -> list[LongReturn]:
    """The table; raises DataError where it is missing or damaged."""
    try:
        lines = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines(), strict=True))
        return [LongReturn(int(one["task"]), int(one["step"]), float(one[COLUMNS[2]])) for one in lines]
    except (OSError, KeyError, ValueError, TypeError, csv.Error) as error:
        raise DataError(
            f"{path} is missing or damaged ({error}). It ships with the project: git checkout -- {path}"
        ) from error


def last_returns(rows: list[LongReturn]) -> dict[int, LongReturn]:
    """By task, the oldest agent."""
    return {row.task: row for row in sorted(rows, key=lambda one: one.step)}
