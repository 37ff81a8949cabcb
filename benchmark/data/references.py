"""Reference returns: of random actions, experts, standing still, the blind expert, and every snapshot.

All are means of the evaluation's 20 episodes from its fixed initial states (`benchmark.rollouts`), and are
measured once, when a family's behaviour is shipped: `catalog.py` keeps them.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark import files
from benchmark.data.behaviour import grid_actions
from benchmark.data.dataset import Progress, no_progress
from benchmark.data.snapshots import UNIFORM, Snapshots
from benchmark.errors import DataError
from benchmark.families.family import Array, Family, Split
from benchmark.randomness import numpy_stream
from benchmark.rollouts import Act, episode_returns

EPISODES = 20
"""Episodes per task, as in the evaluation."""
DECIMALS = 3
"""Digits after the point that are kept: far below the spread between episodes."""
COLUMNS = ("task", "snapshot", "step", "stochastic_return", "deterministic_return")


@dataclass(frozen=True)
class Blind:
    """The best single train expert of a split, on the split's test tasks: what no adaptation can reach."""

    expert: int
    """Whose expert it is: argmax over train tasks i of the mean over test tasks j of R(i, j)."""
    returns: tuple[float, ...]
    """Its return on each test task, in the split's order."""


@dataclass(frozen=True)
class References:
    """Returns that scores are measured against."""

    random: tuple[float, ...]
    """(task,), uniformly random actions."""
    expert: tuple[float, ...]
    """(task,), the last snapshot's mean action."""
    still: tuple[float, ...]
    """(task,), actions of zero."""
    blind: Mapping[str, Blind]
    """By split."""


@dataclass(frozen=True)
class SnapshotReturns:
    """Mean returns of one task's snapshot."""

    task: int
    snapshot: int
    step: int
    """Environment steps of training; 0 for uniformly random actions."""
    stochastic_return: float
    deterministic_return: float | None
    """None for uniformly random actions, which have no mean to follow."""


def stochastic_returns(family: Family, snapshots: Snapshots, number: int, episodes: int = EPISODES) -> Array:
    """Mean returns (task,) of the stochastic policies of one snapshot number (UNIFORM: of random actions)."""
    noise, step = _noise(family, number, episodes), iter(range(family.horizon))
    if number == UNIFORM:
        return _mean_returns(family, lambda seen: grid_actions(noise[:, :, next(step)]), episodes)
    policies = snapshots.policy(np.arange(family.tasks), np.full(family.tasks, number))

    def act(observations: NDArray[np.float32]) -> Array:
        mean, std = policies.distribution(observations)
        return grid_actions(np.tanh(mean + std * noise[:, :, next(step)]))

    return _mean_returns(family, act, episodes)


def deterministic_returns(
    family: Family, snapshots: Snapshots, number: int, episodes: int = EPISODES, behaviour: int | None = None
) -> Array:
    """Mean returns (task,) of the mean actions of one snapshot number, of each task's own agent.

    With `behaviour` the agent of that task acts in all of them.
    """
    agents = np.arange(family.tasks) if behaviour is None else np.full(family.tasks, behaviour)
    policies = snapshots.policy(agents, np.full(family.tasks, number))
    return _mean_returns(family, lambda seen: np.tanh(policies.distribution(seen)[0]), episodes)


def still_returns(family: Family, episodes: int = EPISODES) -> Array:
    """Mean returns (task,) of standing still."""
    nothing = np.zeros((family.tasks, episodes, family.action_size))
    return _mean_returns(family, lambda seen: nothing, episodes)


def _mean_returns(family: Family, act: Act, episodes: int) -> Array:
    means: Array = episode_returns(family, range(family.tasks), act, episodes).mean(1)
    return means


def _noise(family: Family, number: int, episodes: int) -> Array:
    """(task, lane, step, action): normal, or uniform in [-1, 1] for the uniform behaviour."""
    shape = (episodes, family.horizon, family.action_size)
    streams = [numpy_stream(0, "references", family.id, task, number) for task in range(family.tasks)]
    return np.stack(
        [r.uniform(-1, 1, shape) if number == UNIFORM else r.standard_normal(shape) for r in streams]
    )


def measure_references(
    family: Family, snapshots: Snapshots, episodes: int = EPISODES, progress: Progress = no_progress
) -> References:
    """All reference returns of a family; every train expert is tried on every task, which takes minutes."""
    matrix = np.zeros((family.tasks, family.tasks))
    for expert in range(family.tasks):
        progress(expert, family.tasks)
        matrix[expert] = deterministic_returns(family, snapshots, snapshots.last, episodes, expert)
    progress(family.tasks, family.tasks)
    return References(
        random=_rounded(stochastic_returns(family, snapshots, UNIFORM, episodes)),
        expert=_rounded(np.diagonal(matrix)),
        still=_rounded(still_returns(family, episodes)),
        blind={name: blind_reference(matrix, split) for name, split in family.splits.items()},
    )


def blind_reference(matrix: Array, split: Split) -> Blind:
    """The best train expert on the test tasks of a split, from returns (expert, task)."""
    on_test = matrix[np.ix_(split.train, split.test)]
    best = int(on_test.mean(1).argmax())
    return Blind(split.train[best], _rounded(on_test[best]))


def _rounded(values: Array) -> tuple[float, ...]:
    return tuple(round(float(value), DECIMALS) for value in values)


def measure_snapshots(
    family: Family, snapshots: Snapshots, episodes: int = EPISODES, progress: Progress = no_progress
) -> list[SnapshotReturns]:
    """Returns of every snapshot of every task, and of random actions, by task and age."""
    rows = []
    for done, number in enumerate((UNIFORM, *range(len(snapshots.steps)))):
        progress(done, len(snapshots.steps) + 1)
        step = 0 if number == UNIFORM else snapshots.steps[number]
        noisy = _rounded(stochastic_returns(family, snapshots, number, episodes))
        exact: Sequence[float | None] = [None] * family.tasks
        if number != UNIFORM:
            exact = _rounded(deterministic_returns(family, snapshots, number, episodes))
        rows += [
            SnapshotReturns(task, number, step, noisy[task], exact[task]) for task in range(family.tasks)
        ]
    progress(len(snapshots.steps) + 1, len(snapshots.steps) + 1)
    return sorted(rows, key=lambda row: (row.task, row.snapshot))


def medium_snapshots(rows: Sequence[SnapshotReturns]) -> tuple[int, ...]:
    """Per task, the snapshot whose stochastic return is nearest to half way between random and expert."""
    chosen = []
    for task in range(max(row.task for row in rows) + 1):
        own = sorted((row for row in rows if row.task == task), key=lambda row: row.snapshot)
        middle = (own[0].stochastic_return + own[-1].stochastic_return) / 2
        chosen.append(min(own[1:], key=lambda row: abs(row.stochastic_return - middle)).snapshot)
    return tuple(chosen)


def returns_path(family_name: str) -> Path:
    """Where the returns of a family's snapshots are kept."""
    return files.DATASETS / "snapshots" / f"{family_name}.csv"


def write_snapshot_returns(path: Path, rows: Sequence[SnapshotReturns]) -> None:
    """Write the table in one step."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        exact = "" if row.deterministic_return is None else row.deterministic_return
        writer.writerow((row.task, row.snapshot, row.step, row.stochastic_return, exact))
    files.write_text(path, buffer.getvalue())


def read_snapshot_returns(path: Path) -> list[SnapshotReturns]:
    """The table; raises DataError where it is missing or damaged."""
    try:
        lines = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines(), strict=True))
        return [
            SnapshotReturns(
                int(line["task"]),
                int(line["snapshot"]),
                int(line["step"]),
                float(line["stochastic_return"]),
                float(line["deterministic_return"]) if line["deterministic_return"] else None,
            )
            for line in lines
        ]
    except (OSError, KeyError, ValueError, TypeError, csv.Error) as error:
        raise DataError(
            f"the snapshot returns {path} are missing or damaged ({error}). They ship with the project: "
            f"git checkout -- {path}"
        ) from error
