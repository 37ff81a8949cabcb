"""Checks of other people's data, on data of this project's own simulator, which they must find right."""

from pathlib import Path

import numpy as np
import pytest

from benchmark import families
from benchmark.data.exchange import d4rl, intake
from benchmark.data.exchange.checks import common_checks
from benchmark.data.record import Recording, record
from tests.data.exchange.conftest import by_name
from tests.data.exchange.writers import write_hdf5
from tests.data.synthetic import FallingCheetah, random_snapshots


def test_terminal_flags_are_not_held_against_a_state_that_is_not_there(tmp_path: Path) -> None:
    """Without next_observations the state that a fall leads to is not in the file."""
    family = FallingCheetah()
    recorded = record(
        Recording(family, random_snapshots(family), "random", 300), "omrl/cheetah-dir/random-v1"
    )
    columns = d4rl.task_columns(recorded, recorded.episodes_of_task(1))
    rows, falls = len(columns["rewards"]), int(columns["terminals"].sum())
    assert falls > 2
    limits = int(columns["timeouts"].sum())
    names = ("observations", "actions", "rewards", "terminals", "timeouts")
    plain = {name: columns[name] for name in names}
    whole = plain | {"next_observations": columns["next_observations"]}
    for given, compared in ((whole, rows), (plain, rows - falls - limits)):
        files = {1: write_hdf5(tmp_path / "theirs.hdf5", given)}
        checks = [one for portion in d4rl.read_portions(family, files) for one in portion.checks]
        found = by_name(checks)["terminal flags"]
        assert (found.checked, found.disagree) == (compared, 0)


@pytest.mark.parametrize("name", ["point-robot", "ant-goal"])
def test_rewards_of_goals_are_held_against_the_place_that_is_observed(name: str) -> None:
    family, random = families.family(name), np.random.default_rng(3)
    starts = [np.stack(part) for part in zip(*(family.reset(random) for _ in range(4)), strict=True)]
    steps = []
    with family.simulation([2] * 4) as simulation:
        seen = [simulation.reset(*starts)]
        for _ in range(family.horizon):
            actions = random.uniform(-1, 1, (4, family.action_size))
            steps.append((actions, simulation.step(actions)))
            seen.append(steps[-1][1].observations)
    lanes = [np.stack([one[lane] for one in seen]) for lane in range(4)]
    ready = intake.columns_of(
        2, np.concatenate(lanes), np.concatenate([[a[lane] for a, _ in steps] for lane in range(4)]),
        np.concatenate([[one.rewards[lane] for _, one in steps] for lane in range(4)]),
        np.full(4, family.horizon), np.zeros(4, bool),
    )  # fmt: skip
    for shift, disagree in ((0.0, 0), (0.1, 4 * family.horizon)):
        data = intake.as_dataset("theirs", ready | {"rewards": ready["rewards"] + shift})
        found = by_name(common_checks(family, data, np.zeros(data.rows, bool)))
        assert (found["rewards"].checked, found["rewards"].disagree) == (4 * family.horizon, disagree)
        assert (found["terminal flags"].checked, found["terminal flags"].disagree) == (4 * family.horizon, 0)
