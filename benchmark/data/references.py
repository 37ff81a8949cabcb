"""References: returns of random actions, experts, standing still, the blind expert, and every snapshot.

All are means of the evaluation's 20 episodes from its fixed initial states (`benchmark.rollouts`), and are
measured once, when a family's behaviour is shipped: `catalog.py` keeps them. Where a family knows success, the success
rates of the same episodes stand beside the returns. "Snapshots" are levels where behaviour is scripted.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark import files
from benchmark.data.behaviour import Behaviour, grid_actions
from benchmark.data.dataset import Progress, no_progress
from benchmark.data.snapshots import UNIFORM
from benchmark.errors import DataError
from benchmark.families.family import Array, Family, Split
from benchmark.randomness import numpy_stream
from benchmark.rollouts import InformedAct, informed_outcomes

EPISODES = 20
"""Episodes per task, as in the evaluation."""
DECIMALS = 3
"""Digits after the point that are kept: far below the spread between episodes."""
COLUMNS = ("task", "snapshot", "step", "stochastic_return", "deterministic_return")
TRIAL_EPISODES = 4
"""Episodes in which the blind expert is looked for where steps are computed in Python."""
SUCCESS_COLUMNS = ("stochastic_success", "deterministic_success")
"""Columns that are there only where the family knows success."""


@dataclass(frozen=True)
class Blind:
    """The best single train expert of a split, on the split's test tasks: one behaviour for all, the best there is."""

    expert: int
    """Whose expert it is: argmax over train tasks i of the mean over test tasks j of R(i, j)."""
    returns: tuple[float, ...]
    """Its return on each test task, in the split's order."""


@dataclass(frozen=True)
class Successes:
    """Success rates, from 0 to 1, of the same episodes as `References`."""

    random: tuple[float, ...]
    expert: tuple[float, ...]
    still: tuple[float, ...]
    blind: Mapping[str, tuple[float, ...]]
    """By split, on each test task."""


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
    successes: Successes | None = None
    """None where the family does not know success."""
    expert_steps: tuple[float, ...] | None = None
    """(task,), mean length of the expert's episodes; None where none can end before the horizon."""


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
    stochastic_success: float | None = None
    """Success rate, from 0 to 1; None where the family does not know success."""
    deterministic_success: float | None = None

    @property
    def stochastic_score(self) -> float:
        """What tells how good it is: the success rate where there is one, else the return."""
        return self.stochastic_return if self.stochastic_success is None else self.stochastic_success


@dataclass(frozen=True)
class Means:
    """Means (task,) over the evaluation's episodes."""

    returns: Array
    successes: Array | None
    lengths: Array
    """Steps."""


def stochastic_returns(family: Family, behaviour: Behaviour, number: int, episodes: int = EPISODES) -> Means:
    """Of the stochastic policies of one snapshot number (UNIFORM: of random actions)."""
    noise, step = _noise(family, number, episodes), iter(range(family.horizon))
    everyone = range(family.tasks)
    if number == UNIFORM:
        return _means(family, everyone, lambda seen, hidden: grid_actions(noise[:, :, next(step)]), episodes)
    policies = behaviour.policy(np.arange(family.tasks), np.full(family.tasks, number))

    def act(observations: NDArray[np.float32], hidden: Array) -> Array:
        mean, std = policies.distribution(observations, hidden)
        return grid_actions(np.tanh(mean + std * noise[:, :, next(step)]))

    return _means(family, everyone, act, episodes)


def deterministic_returns(
    family: Family, behaviour: Behaviour, number: int, episodes: int = EPISODES, agent: int | None = None,
    tasks: Sequence[int] | None = None,
) -> Means:  # fmt: skip
    """Of the mean actions of one snapshot number, of each task's own agent, in all tasks or in these.

    With `agent` the agent of that task acts in all of them, blind to what observations hide.
    """
    tasks = range(family.tasks) if tasks is None else tasks
    agents = np.array(tasks) if agent is None else np.full(len(tasks), agent)
    policies = behaviour.policy(agents, np.full(len(tasks), number))

    def act(observations: NDArray[np.float32], hidden: Array) -> Array:
        known = hidden if agent is None else np.zeros_like(hidden)
        return np.tanh(policies.distribution(observations, known)[0])

    return _means(family, tasks, act, episodes)


def still_returns(family: Family, episodes: int = EPISODES) -> Means:
    """Of standing still."""
    nothing = np.zeros((family.tasks, episodes, family.action_size))
    return _means(family, range(family.tasks), lambda seen, hidden: nothing, episodes)


def _means(family: Family, tasks: Sequence[int], act: InformedAct, episodes: int) -> Means:
    found = informed_outcomes(family, tasks, act, episodes)
    solved = found.successes
    return Means(found.returns.mean(1), None if solved is None else solved.mean(1), found.lengths.mean(1))


def _noise(family: Family, number: int, episodes: int) -> Array:
    """(task, lane, step, action): normal, or uniform in [-1, 1] for the uniform behaviour."""
    shape = (episodes, family.horizon, family.action_size)
    streams = [numpy_stream(0, "references", family.id, task, number) for task in range(family.tasks)]
    return np.stack(
        [r.uniform(-1, 1, shape) if number == UNIFORM else r.standard_normal(shape) for r in streams]
    )


def measure_references(
    family: Family, behaviour: Behaviour, rows: Sequence[SnapshotReturns], episodes: int = EPISODES,
    progress: Progress = no_progress,
) -> References:  # fmt: skip
    """All references of a family whose snapshots have these returns.

    Every train expert is tried on the test tasks of all splits, which takes minutes.
    """
    random = [row for row in rows if row.snapshot == UNIFORM]
    expert = [row for row in rows if row.snapshot == behaviour.last]
    still = still_returns(family, episodes)
    blind = measure_blind(family, behaviour, episodes, progress)
    known = None
    if still.successes is not None:
        known = Successes(
            random=tuple(row.stochastic_success or 0.0 for row in random),
            expert=tuple(row.deterministic_success or 0.0 for row in expert),
            still=_rounded(still.successes),
            blind={name: rates for name, (_, rates) in blind.items() if rates is not None},
        )
    return References(
        random=tuple(row.stochastic_return for row in random),
        expert=tuple(row.deterministic_return for row in expert if row.deterministic_return is not None),
        still=_rounded(still.returns),
        blind={name: one for name, (one, _) in blind.items()},
        successes=known,
        expert_steps=_expert_steps(family, behaviour, episodes),
    )


def _expert_steps(family: Family, behaviour: Behaviour, episodes: int) -> tuple[float, ...] | None:
    if not family.ends_early:
        return None
    return _rounded(deterministic_returns(family, behaviour, behaviour.last, episodes).lengths)


def measure_blind(
    family: Family, behaviour: Behaviour, episodes: int = EPISODES, progress: Progress = no_progress
) -> dict[str, tuple[Blind, tuple[float, ...] | None]]:
    """Per split the blind reference and, where the family knows success, its success rate on each test task.

    The best is found in all episodes, or in a few of them where every step takes a while, and measured in all.
    """
    matrix = np.full((2, family.tasks, family.tasks), np.nan)
    trial = min(episodes, TRIAL_EPISODES) if family.steps_in_python else episodes
    for expert in range(family.tasks):
        progress(expert, family.tasks)
        tasks = _tried(family, expert)
        if tasks:
            found = deterministic_returns(family, behaviour, behaviour.last, trial, expert, tasks)
            matrix[0, expert, tasks] = found.returns
            matrix[1, expert, tasks] = found.returns if found.successes is None else found.successes
    progress(family.tasks, family.tasks)
    blind = {}
    for name, split in family.splits.items():
        best = best_train_expert(split, *matrix)
        found = deterministic_returns(family, behaviour, behaviour.last, episodes, best, split.test)
        rates = None if found.successes is None else _rounded(found.successes)
        blind[name] = (Blind(best, _rounded(found.returns)), rates)
    return blind


def _tried(family: Family, expert: int) -> list[int]:
    """The test tasks of all splits that train on the expert's task."""
    return sorted({task for split in family.splits.values() if expert in split.train for task in split.test})


def best_train_expert(split: Split, returns: Array, scores: Array) -> int:
    """The train task whose expert is best on average over a split's test tasks, given (expert, task) of all.

    The best by score, which is the success rate where there is one and else the return; among equals by return.
    """
    chosen = np.ix_(split.train, split.test)
    return split.train[int(np.lexsort((-returns[chosen].mean(1), -scores[chosen].mean(1)))[0])]


def _decimals(value: float) -> float:
    return round(float(value), DECIMALS)


def _at(values: Array | None, task: int) -> float | None:
    return None if values is None else _decimals(values[task])


def _rounded(values: Array) -> tuple[float, ...]:
    return tuple(_decimals(value) for value in values)


def measure_snapshots(
    family: Family, behaviour: Behaviour, episodes: int = EPISODES, progress: Progress = no_progress
) -> list[SnapshotReturns]:
    """Returns of every snapshot of every task, and of random actions, by task and age."""
    rows, numbers = [], [UNIFORM, *behaviour.numbers]
    for done, number in enumerate(numbers):
        progress(done, len(numbers))
        noisy = stochastic_returns(family, behaviour, number, episodes)
        exact: Means | None = None
        if number in behaviour.measured_means:
            exact = deterministic_returns(family, behaviour, number, episodes)
        age = 0 if number == UNIFORM else behaviour.age(number)
        rows += [
            SnapshotReturns(
                task,
                number,
                age,
                _decimals(noisy.returns[task]),
                _at(None if exact is None else exact.returns, task),
                _at(noisy.successes, task),
                _at(None if exact is None else exact.successes, task),
            )
            for task in range(family.tasks)
        ]
    progress(len(numbers), len(numbers))
    return sorted(rows, key=lambda row: (row.task, row.snapshot))


def medium_snapshots(rows: Sequence[SnapshotReturns]) -> tuple[int, ...]:
    """Per task, the snapshot whose stochastic return (success rate) is nearest to half way from random to expert."""
    chosen = []
    for task in range(max(row.task for row in rows) + 1):
        own = sorted((row for row in rows if row.task == task), key=lambda row: row.snapshot)
        middle = (own[0].stochastic_score + own[-1].stochastic_score) / 2
        chosen.append(min(own[1:], key=lambda row: abs(row.stochastic_score - middle)).snapshot)
    return tuple(chosen)


def returns_path(family_name: str) -> Path:
    """Where the returns of a family's snapshots are kept."""
    return files.DATASETS / "snapshots" / f"{family_name}.csv"


def write_snapshot_returns(path: Path, rows: Sequence[SnapshotReturns]) -> None:
    """Write the table in one step; columns of success only where there is any."""
    known = any(row.stochastic_success is not None for row in rows)
    names = COLUMNS + (SUCCESS_COLUMNS if known else ())
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(names)
    for row in rows:
        values = [getattr(row, name) for name in names]
        writer.writerow(["" if value is None else value for value in values])
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
                *(
                    float(line[name]) if line.get(name, "") else None
                    for name in ("deterministic_return", *SUCCESS_COLUMNS)
                ),
            )
            for line in lines
        ]
    except (OSError, KeyError, ValueError, TypeError, csv.Error) as error:
        raise DataError(
            f"the snapshot returns {path} are missing or damaged ({error}). They ship with the project: "
            f"git checkout -- {path}"
        ) from error
