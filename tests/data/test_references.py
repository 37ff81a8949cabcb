"""References: measured on the evaluation's episodes, chosen by their definitions."""

from pathlib import Path

import numpy as np
import pytest

from benchmark import families
from benchmark.data import catalog
from benchmark.data.dataset import TIERS
from benchmark.data.open import record_standard
from benchmark.data.references import (
    SnapshotReturns,
    best_train_expert,
    deterministic_returns,
    medium_snapshots,
    read_snapshot_returns,
    returns_path,
    still_returns,
    stochastic_returns,
    write_snapshot_returns,
)
from benchmark.data.shipped import fingerprint, is_shipped, shipped_behaviour
from benchmark.data.snapshots import UNIFORM, Snapshots, shipped_path
from benchmark.errors import DataError
from benchmark.families.environment import TaskEnvironment
from benchmark.families.family import MUJOCO_VERSION, Family, Split
from benchmark.rollouts import initial_states


def _rows(returns: list[float]) -> list[SnapshotReturns]:
    return [SnapshotReturns(0, number - 1, number, value, None) for number, value in enumerate(returns)]


def test_medium_is_nearest_to_half_way_between_random_and_expert() -> None:
    assert medium_snapshots(_rows([0.0, 10.0, 45.0, 80.0, 100.0])) == (1,)
    assert medium_snapshots(_rows([-300.0, -290.0, -20.0, -180.0, 0.0])) == (2,)
    assert medium_snapshots(_rows([49.0, 0.0, 100.0])) == (1,)  # never the uniform behaviour


def test_blind_is_the_best_train_expert_on_the_test_tasks() -> None:
    matrix = np.array([[9.0, -20.0, 12.0], [0.0, 9.0, 4.0], [0.0, 8.0, 9.0]])
    split = Split((0, 1), (2, 1))
    assert best_train_expert(split, matrix, matrix) == 1
    assert best_train_expert(Split((0,), (1, 2)), matrix, matrix) == 0
    solved = np.array([[1.0, 0.5, 1.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    assert best_train_expert(split, matrix, solved) == 0  # success decides, where there is any
    assert best_train_expert(split, matrix, np.zeros((3, 3))) == 1  # and the return among equals


def test_references_are_returns_in_the_gymnasium_environment(cheetah: Family, snapshots: Snapshots) -> None:
    expert = deterministic_returns(cheetah, snapshots, 1, episodes=2, agent=0).returns
    policy = snapshots.policy(np.array([0]), np.array([1]))
    environment = TaskEnvironment("cheetah-dir", task=1)
    totals = np.zeros((2, 2))
    for lane, (qpos, qvel) in enumerate(zip(*initial_states(cheetah, 1, 2), strict=True)):
        for kind in range(2):
            environment.reset(seed=0)
            observation = environment.set_state(qpos, qvel)
            for _ in range(cheetah.horizon):
                mean = np.tanh(policy.distribution(observation[None, None])[0][0, 0])
                action = (mean if kind else np.zeros(6)).astype(np.float32)
                observation, reward, *_ = environment.step(action)
                totals[kind, lane] += reward
    assert still_returns(cheetah, 2).returns[1] == pytest.approx(totals[0].mean(), rel=1e-9)
    assert expert[1] == pytest.approx(totals[1].mean(), rel=1e-6)


def test_measuring_again_gives_the_same(cheetah: Family, snapshots: Snapshots) -> None:
    for number in (UNIFORM, 2):
        first, again = (stochastic_returns(cheetah, snapshots, number, 2).returns for _ in range(2))
        assert np.array_equal(first, again)
        assert not np.array_equal(first, deterministic_returns(cheetah, snapshots, 2, 2).returns)


def test_the_table_of_returns_survives_a_round_trip(tmp_path: Path) -> None:
    rows = [SnapshotReturns(0, -1, 0, -1.5, None), SnapshotReturns(0, 0, 3000, 2.25, 3.125)]
    path = tmp_path / "returns.csv"
    write_snapshot_returns(path, rows)
    assert read_snapshot_returns(path) == rows
    for damage in (
        "task,snapshot\n0,1\n",
        "task,snapshot,step,stochastic_return,deterministic_return\n0,x,1,2,3\n",
    ):
        path.write_text(damage)
        with pytest.raises(DataError, match="returns.csv"):
            read_snapshot_returns(path)


@pytest.mark.parametrize("name", families.FAMILIES)
def test_what_is_shipped_fits_together(name: str) -> None:
    family = families.family(name)
    if not is_shipped(family):
        pytest.skip(f"the behaviour of {name} is not shipped yet")
    entry = catalog.entry(family)
    assert entry.mujoco == MUJOCO_VERSION
    assert entry.snapshots == fingerprint(family)
    catalog.check_returns(family)
    assert set(entry.hashes["small"]) == set(TIERS)
    known = entry.references
    assert len(known.random) == len(known.expert) == len(known.still) == family.tasks
    assert set(known.blind) == set(family.splits)
    for split_name, blind in known.blind.items():
        assert blind.expert in family.split(split_name).train
        assert len(blind.returns) == len(family.split(split_name).test)
    rows = read_snapshot_returns(returns_path(name))
    behaviour = shipped_behaviour(family)
    assert [(row.task, row.snapshot) for row in rows] == [
        (task, number) for task in range(family.tasks) for number in (UNIFORM, *behaviour.numbers)
    ]
    for task in range(family.tasks):
        own = [row for row in rows if row.task == task]
        assert own[0].stochastic_return == known.random[task]
        assert own[-1].deterministic_return == known.expert[task]


def test_the_shipped_references_are_what_is_measured_now(cheetah: Family) -> None:
    """Initial states, streams and rewards have not moved since the catalog was made."""
    known = catalog.references("cheetah-dir")
    snapshots = Snapshots.load(shipped_path("cheetah-dir"))
    assert still_returns(cheetah).returns == pytest.approx(known.still, abs=0.002)
    assert stochastic_returns(cheetah, snapshots, UNIFORM).returns == pytest.approx(known.random, abs=0.002)
    # no grid rounds an expert's mean actions: another processor may leave the same path in the end
    assert deterministic_returns(cheetah, snapshots, snapshots.last).returns == pytest.approx(
        known.expert, rel=0.03
    )


def test_the_shipped_behaviour_records_the_standards_content(cheetah: Family) -> None:
    """The promise of bit-for-bit reproduction, on the machine that runs this."""
    for tier in ("mixed", "expert"):
        data = record_standard(cheetah, tier, "small")
        assert data.content_hash == catalog.expected_hash(cheetah, tier, "small")
