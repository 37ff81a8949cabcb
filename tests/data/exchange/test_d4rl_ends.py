"""Where episodes of D4RL's layout end, and how: true terminal states, time limits, and what files leave out."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmark.data.dataset import Dataset
from benchmark.data.exchange import d4rl
from benchmark.errors import DataError
from benchmark.families.family import Family
from tests.data.exchange.d4rl_files import REFERENCES, loaded, taken
from tests.data.exchange.writers import write_hdf5


@pytest.fixture
def path(tmp_path: Path, cheetah: Family, cheetah_data: Dataset) -> Path:
    d4rl.write_task(cheetah, cheetah_data, 1, REFERENCES, tmp_path / "one" / "task-1.hdf5")
    return tmp_path / "one" / "task-1.hdf5"


def test_true_terminations_survive_both_ways(tmp_path: Path, falling: Family, falling_data: Dataset) -> None:
    for task in (0, 1):
        d4rl.write_task(falling, falling_data, task, REFERENCES, tmp_path / f"{task}.hdf5")
    columns = loaded(tmp_path / "0.hdf5")
    assert columns["terminals"].sum() + columns["timeouts"].sum() == len(falling_data.episodes_of_task(0))
    data, _ = taken(falling, {task: tmp_path / f"{task}.hdf5" for task in (0, 1)})
    assert np.array_equal(data.terminated, falling_data.terminated)
    assert np.array_equal(data.observations, falling_data.observations)


def test_without_next_observations_what_cannot_be_known_is_left_out(
    tmp_path: Path, falling: Family, falling_data: Dataset
) -> None:
    d4rl.write_task(falling, falling_data, 0, REFERENCES, tmp_path / "0.hdf5")
    columns = loaded(tmp_path / "0.hdf5")
    del columns["next_observations"]
    columns["rewards"] = columns["rewards"][:, None]
    data, _ = taken(falling, {0: write_hdf5(tmp_path / "without.hdf5", columns)})
    episodes = falling_data.episodes_of_task(0)
    terminated = falling_data.terminated[: episodes.stop]
    wanted = falling_data.lengths[: episodes.stop] - ~terminated
    assert 0 < terminated.sum() < len(terminated)
    assert np.array_equal(data.lengths, wanted[wanted > 0])
    assert np.array_equal(data.terminated, terminated[wanted > 0])
    kept = ~columns["timeouts"]
    assert np.array_equal(data.rewards, columns["rewards"][kept, 0])
    ends = data.row_starts[1:] + np.arange(data.episodes)
    assert np.array_equal(
        data.observations[ends][data.terminated], data.observations[ends - 1][data.terminated]
    )
    cut = ~data.terminated
    assert not np.isin(data.observations[ends][cut], data.observations[ends - 1][cut]).all()


@pytest.mark.parametrize("following", [True, False])
@pytest.mark.parametrize("timeouts", [True, False])
def test_time_limits_stored_as_terminal_states_are_truncations(
    path: Path, tmp_path: Path, cheetah: Family, following: bool, timeouts: bool
) -> None:
    columns = loaded(path)
    columns["terminals"] = columns["timeouts"].copy()
    columns["timeouts"][:] &= timeouts
    if not following:
        del columns["next_observations"]
    data, checks = taken(cheetah, {1: write_hdf5(tmp_path / "limits.hdf5", columns)})
    assert not data.terminated.any()
    assert data.lengths.tolist() == [200 if following else 199] * 8
    assert checks["rewards"].disagree == 0
    if following:
        assert checks["terminal flags"].disagree == 8
    else:
        at_ends = checks["terminal flags at the ends"]
        assert (at_ends.checked, at_ends.disagree) == (8, 8)


def test_falls_at_the_time_limit_are_terminal_where_the_state_says_so(
    tmp_path: Path, falling: Family, falling_data: Dataset
) -> None:
    d4rl.write_task(falling, falling_data, 0, REFERENCES, tmp_path / "0.hdf5")
    columns = loaded(tmp_path / "0.hdf5")
    terminals = columns["terminals"].copy()
    columns["timeouts"] |= terminals
    columns["terminals"] |= columns["timeouts"]
    data, _ = taken(falling, {0: write_hdf5(tmp_path / "both.hdf5", columns)}, "both")
    assert data.terminated.sum() == terminals.sum() > 0
    del columns["next_observations"]
    data, checks = taken(falling, {0: write_hdf5(tmp_path / "unknown.hdf5", columns)}, "unknown")
    assert not data.terminated.any()
    assert checks["terminal flags at the ends"].disagree == columns["terminals"].sum()


def test_rewards_are_not_held_against_states_that_were_made_up(
    tmp_path: Path, falling: Family, falling_data: Dataset
) -> None:
    d4rl.write_task(falling, falling_data, 0, REFERENCES, tmp_path / "0.hdf5")
    columns = loaded(tmp_path / "0.hdf5")
    whole = taken(falling, {0: tmp_path / "0.hdf5"}, "whole")[1]["rewards"]
    del columns["next_observations"]
    rewards = taken(falling, {0: write_hdf5(tmp_path / "without.hdf5", columns)}, "without")[1]["rewards"]
    assert whole.disagree == rewards.disagree == 0
    assert whole.checked - rewards.checked == columns["terminals"].sum() + columns["timeouts"].sum()


def test_without_timeouts_episodes_end_where_observations_do_not_go_on(
    path: Path, tmp_path: Path, cheetah: Family, cheetah_data: Dataset
) -> None:
    columns = loaded(path)
    del columns["timeouts"]
    data, _ = taken(cheetah, {1: write_hdf5(tmp_path / "without.hdf5", columns)})
    assert data.lengths.tolist() == [200] * 8
    assert np.array_equal(data.rewards, cheetah_data.rewards[cheetah_data.rows_of_task(1)])


def test_rows_that_do_not_go_on_are_no_episode(
    path: Path, tmp_path: Path, cheetah: Family, cheetah_data: Dataset
) -> None:
    """A file of which one row was left out, and one whose rows were shuffled."""
    columns = loaded(path)
    assert taken(cheetah, {1: path}, "whole")[1]["next observations"].disagree == 0
    less = {name: np.delete(values, 250, 0) for name, values in columns.items()}
    data, checks = taken(cheetah, {1: write_hdf5(tmp_path / "less.hdf5", less)}, "less")
    assert data.lengths.tolist() == [200, 50, 149, *[200] * 6]
    assert (checks["next observations"].checked, checks["next observations"].disagree) == (1599, 1)
    assert checks["episode lengths"].disagree == 2
    assert np.array_equal(data.episode(1)["observations"][-1], columns["next_observations"][249])
    assert checks["rewards"].disagree == 0
    order = np.random.default_rng(0).permutation(1600)
    mixed = {name: values[order] for name, values in columns.items()}
    data, checks = taken(cheetah, {1: write_hdf5(tmp_path / "mixed.hdf5", mixed)}, "mixed")
    assert checks["next observations"].disagree > 1500
    assert checks["next observations"].largest > 1
    after = data.row_starts[1:] + np.arange(data.episodes)
    last = data.row_starts[1:] - 1
    assert np.array_equal(data.observations[after], mixed["next_observations"][last])


def test_timeouts_that_are_never_set_do_not_glue_episodes(
    path: Path, tmp_path: Path, cheetah: Family, nothing_kept: Callable[[], None]
) -> None:
    columns = loaded(path)
    columns["timeouts"][:] = False
    data, checks = taken(cheetah, {1: write_hdf5(tmp_path / "cut.hdf5", columns)}, "cut")
    assert data.lengths.tolist() == [200] * 8
    assert checks["next observations"].disagree == 7
    del columns["next_observations"]
    with pytest.raises(
        DataError, match="an episode of 1,599 steps, and those of cheetah-dir-v1 have 200 at most"
    ):
        taken(cheetah, {1: write_hdf5(tmp_path / "glued.hdf5", columns)})
