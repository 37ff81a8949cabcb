"""Ants' data relabelled into headings, against what the simulator says the rewards would have been."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from benchmark import families
from benchmark.data import store
from benchmark.data.exchange.minari_source import open_source
from benchmark.data.exchange.motion import terminal_states
from benchmark.data.exchange.relabel import check_fits
from benchmark.errors import DataError
from benchmark.families.family import State
from tests.data.exchange.relabelling import changed, taken, true_rewards
from tests.data.exchange.writers import Recorded, act_out, ant_buffers, as_data, write_gymnasium


@pytest.fixture(scope="session")
def ants() -> Recorded:
    return act_out(families.family("ant-dir"), list(range(40)), 200, seed=2)


@pytest.mark.parametrize("forces", [0, 78, 84])
def test_gymnasiums_ant_becomes_headings_exactly_where_infos_hold_its_speed(
    ants: Recorded, forces: int
) -> None:
    family = families.family("ant-dir")
    write_gymnasium("mujoco/ant/made-up-v0", "Ant-v5", ant_buffers(ants, True, forces))
    data, checks = taken("mujoco/ant/made-up-v0", family, [7])
    assert "velocities from speeds in the infos" in checks
    inside = np.arange(200) < ants.lengths[:, None]
    assert np.abs(data.rewards - true_rewards(family, ants, 7)[inside]).max() < 1e-6
    assert np.array_equal(data.observations, as_data(ants).observations)
    assert np.array_equal(data.terminated, ants.terminated)


def test_ants_that_went_on_after_a_fall_are_cut_there(ants: Recorded) -> None:
    """Gymnasium's ant with terminate_when_unhealthy=False: nothing of it is terminated."""
    family = families.family("ant-dir")
    on = replace(ants, lengths=np.full(40, 200), terminated=np.zeros(40, bool))
    spec = {"terminate_when_unhealthy": False}
    write_gymnasium("mujoco/ant/made-up-v0", "Ant-v5", ant_buffers(on, True), spec)
    data, checks = taken("mujoco/ant/made-up-v0", family, [7])
    over = family.terminated(State(on.qpos, on.qvel, on.torso))
    assert (checks["terminal flags"].checked, checks["terminal flags"].disagree) == (8000, over[:, 1:].sum())
    first = data.row_starts[:-1] + np.arange(data.episodes)
    rows = np.delete(np.arange(len(data.observations)), first[1:] - 1)[:-1]
    assert not terminal_states(family, data.observations[rows]).any()
    ends = data.row_starts[1:] + np.arange(data.episodes)
    assert np.array_equal(data.terminated, terminal_states(family, data.observations[ends]))
    assert 30 < data.terminated.sum() < data.episodes
    going = ~over[:, :-1]
    assert 0 < going.sum() == data.rows < 8000
    assert np.abs(data.rewards - true_rewards(family, on, 7)[going]).max() < 1e-6


def test_ants_that_only_fell_are_refused(ants: Recorded) -> None:
    fallen = replace(ants, qpos=ants.qpos - 5.0)
    write_gymnasium("mujoco/ant/made-up-v0", "Ant-v5", ant_buffers(fallen, True))
    with pytest.raises(DataError, match="has no step that is taken in a state in which ant-dir-v1 goes on"):
        taken("mujoco/ant/made-up-v0", families.family("ant-dir"), [7])


def test_without_infos_the_ants_speed_is_approximate_and_said_to_be(ants: Recorded) -> None:
    family = families.family("ant-dir")
    write_gymnasium("mujoco/ant/made-up-v0", "Ant-v5", ant_buffers(ants, False))
    data, checks = taken("mujoco/ant/made-up-v0", family, [7])
    assert checks["velocities from velocities observed (approximate)"].checked == 0
    assert (checks["recorded rewards"].checked, checks["recorded rewards"].disagree) == (data.rows, 0)
    inside = np.arange(200) < ants.lengths[:, None]
    off = np.abs(data.rewards - true_rewards(family, ants, 7)[inside])
    assert np.median(off) < 0.1
    assert off.max() < 1.5
    odd = changed(ant_buffers(ants, False), rewards=lambda value: value + 4.0)
    write_gymnasium("mujoco/ant/odd-v0", "Ant-v5", odd)
    _, checks = taken("mujoco/ant/odd-v0", family, [8], name="odd")
    assert (checks["recorded rewards"].disagree, checks["recorded rewards"].largest > 2) == (data.rows, True)
    write_gymnasium("mujoco/ant/generous-v0", "Ant-v5", odd, {"healthy_reward": 5.0})
    _, checks = taken("mujoco/ant/generous-v0", family, [9], name="generous")
    assert checks["recorded rewards"].disagree == 0


@pytest.mark.parametrize("component", ["x_velocity", "y_velocity"])
def test_an_ants_speed_in_the_infos_is_held_against_the_observed_in_both_directions(
    ants: Recorded, component: str
) -> None:
    def wrong(infos: dict[str, Any]) -> dict[str, Any]:
        return {**infos, component: infos[component] + 50.0}

    bent = ant_buffers(ants, True)
    write_gymnasium("mujoco/ant/bent-v0", "Ant-v5", changed(bent[:1], infos=wrong) + bent[1:])
    _, checks = taken("mujoco/ant/bent-v0", families.family("ant-dir"), [7], name="bent")
    found = checks["velocities from speeds in the infos"]
    assert found.disagree >= ants.lengths[0]
    assert found.largest == pytest.approx(50, abs=2)
    write_gymnasium("mujoco/ant/wrong-v0", "Ant-v5", changed(bent, infos=wrong))
    with pytest.raises(DataError, match=r"are (49|50)\.\d\d m/s off those observed"):
        taken("mujoco/ant/wrong-v0", families.family("ant-dir"), [7], name="wrong")


def test_ants_that_walked_to_a_goal_become_headings_nearly_exactly() -> None:
    goal, family = families.family("ant-goal"), families.family("ant-dir")
    seen = act_out(goal, list(range(20)), 200, seed=3)
    store.write(goal, as_data(seen, "omrl/ant-goal/made-up-v1"), {"family": goal.id})
    data, checks = taken("omrl/ant-goal/made-up-v1", family, [7, 30])
    assert checks["velocities from places in the observations"].checked == data.rows / 2
    assert "recorded rewards" not in checks
    going = ~family.terminated(State(seen.qpos, seen.qvel, seen.torso))[:, :-1]
    for task in (7, 30):
        off = np.abs(data.rewards[data.rows_of_task(task)] - true_rewards(family, seen, task)[going])
        assert np.median(off) < 0.02
        assert off.max() < 0.3
    assert data.observations.shape[1] == family.observation_size
    source = open_source("omrl/ant-goal/made-up-v1")
    with pytest.raises(DataError, match="but cheetah-vel-v1 has the body half-cheetah"):
        check_fits(source, families.family("cheetah-vel"), [0])


def test_this_projects_ants_are_exact_along_their_own_heading(ants: Recorded) -> None:
    family = families.family("ant-dir")
    only = replace(ants, tasks=np.zeros(40, int), rewards=true_rewards(family, ants, 0))
    store.write(family, as_data(only, "omrl/ant-dir/made-up-v1"), {"family": family.id})
    data, _ = taken("omrl/ant-dir/made-up-v1", family, [0, 7])
    inside = np.arange(200) < ants.lengths[:, None]
    off = [
        np.abs(data.rewards[data.rows_of_task(task)] - true_rewards(family, ants, task)[inside])
        for task in (0, 7)
    ]
    assert off[0].max() < 1e-6
    assert 1e-3 < np.median(off[1]) < 0.1
