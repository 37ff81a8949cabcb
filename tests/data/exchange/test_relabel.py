"""Relabelled rewards and observations against what the simulator says they would have been."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import h5py
import numpy as np
import pytest

from benchmark import families
from benchmark.data import store
from benchmark.data.exchange.minari_source import open_source
from benchmark.data.exchange.relabel import check_fits
from benchmark.errors import ConfigError, DataError, UnknownNameError
from tests.data.exchange.relabelling import changed, taken, true_rewards
from tests.data.exchange.writers import (
    Recorded,
    act_out,
    as_data,
    cheetah_buffers,
    write_gymnasium,
)

GYMNASIUM = "mujoco/halfcheetah/made-up-v0"


@pytest.fixture(scope="session")
def run() -> Recorded:
    """Six half-cheetahs for a thousand steps each, as Gymnasium's episodes last."""
    return act_out(families.family("cheetah-vel"), [5] * 6, 1000)


@pytest.mark.parametrize(
    ("infos", "route"),
    [
        (("qpos", "qvel"), "places in the infos"),
        (("x_position", "x_velocity"), "places in the infos"),
        (("x_velocity",), "speeds in the infos"),
        ((), "rewards"),
    ],
)
@pytest.mark.parametrize("name", ["cheetah-dir", "cheetah-vel"])
def test_gymnasiums_half_cheetah_becomes_tasks_exactly(
    run: Recorded, infos: tuple[str, ...], route: str, name: str
) -> None:
    family = families.family(name)
    write_gymnasium(GYMNASIUM, "HalfCheetah-v5", cheetah_buffers(run, infos))
    data, checks = taken(GYMNASIUM, family, [0, 1])
    assert f"velocities from {route}" in checks
    assert data.id == f"imported/{name}/relabelled-v0"
    assert data.lengths.tolist() == [200] * 60
    assert not data.terminated.any()
    for task in (0, 1):
        found = data.rewards[data.rows_of_task(task)].reshape(6, 1000)
        assert np.abs(found - true_rewards(family, run, task)).max() < 1e-6  # of float32, at rewards up to 4


def test_observations_get_the_torsos_place_with_its_lag(run: Recorded) -> None:
    family = families.family("cheetah-vel")
    write_gymnasium(GYMNASIUM, "HalfCheetah-v5", cheetah_buffers(run, ("x_position",)))
    data, _ = taken(GYMNASIUM, family, [0])
    found = data.observations.reshape(6, 5, 201, 20)
    wanted = np.stack([run.observations[:, start : start + 201] for start in range(0, 1000, 200)], 1)
    assert np.abs(found[:, 0] - wanted[:, 0]).max() < 1e-6
    starts = np.stack([run.qpos[:, start, 0] for start in range(0, 1000, 200)], 1)[:, 1:, None]
    moved = wanted[:, 1:].copy()
    moved[..., 17] = wanted[:, 1:, :, 17] - starts
    assert np.abs(found[:, 1:] - moved).max() < 2e-6


def test_without_a_place_in_the_infos_a_run_begins_at_zero(run: Recorded) -> None:
    write_gymnasium(GYMNASIUM, "HalfCheetah-v5", cheetah_buffers(run))
    data, _ = taken(GYMNASIUM, families.family("cheetah-vel"), [0])
    found = data.observations.reshape(6, 5, 201, 20)[:, 0]
    assert not found[:, 0, 17].any()
    drift = (found - run.observations[:, :201])[..., 17]
    assert np.abs(drift - drift[:, :1]).max() < 2e-6


@pytest.mark.parametrize("origin", ["cheetah-vel", "cheetah-dir"])
@pytest.mark.parametrize("target", ["cheetah-vel", "cheetah-dir"])
def test_this_projects_half_cheetahs_become_other_tasks_nearly_exactly(origin: str, target: str) -> None:
    one, other = families.family(origin), families.family(target)
    seen = act_out(one, list(range(one.tasks))[:8], 200, seed=1)
    store.write(one, as_data(seen, f"omrl/{origin}/made-up-v1"), {"family": one.id})
    data, checks = taken(f"omrl/{origin}/made-up-v1", other, [0, 1])
    assert "velocities from places in the observations and rewards" in checks
    for task in (0, 1):
        found = data.rewards[data.rows_of_task(task)].reshape(-1, 200)
        assert np.abs(found - true_rewards(other, seen, task)).max() < 1e-6
    assert np.array_equal(data.observations[: len(seen.tasks) * 201], seen.observations.reshape(-1, 20))


@pytest.mark.parametrize("name", ["cheetah-vel", "ant-dir"])
def test_recorded_rewards_of_something_else_bend_no_speed(name: str) -> None:
    """The places observed count then, and the report says how many rewards they are at odds with."""
    family = families.family(name)
    seen = act_out(family, [3, 4], 200, seed=1)
    honest = as_data(seen, f"omrl/{name}/made-up-v1")
    store.write(family, honest, {"family": family.id})
    wrong = replace(honest, id=f"omrl/{name}/odd-v1", rewards=honest.rewards + 2.0)
    store.write(family, wrong, {"family": family.id})
    data, checks = taken(f"omrl/{name}/odd-v1", family, [0], name="odd")
    unbent, fine = taken(f"omrl/{name}/made-up-v1", family, [0], name="fine")
    assert fine["recorded rewards"].disagree == 0
    assert (checks["recorded rewards"].checked, checks["recorded rewards"].disagree) == (data.rows, data.rows)
    assert checks["recorded rewards"].largest >= (2 if name == "cheetah-vel" else 1.5)
    tolerance = 1e-4 if name == "cheetah-vel" else 1.5
    assert np.abs(data.rewards - unbent.rewards).max() < tolerance


def test_what_was_relabelled_can_be_relabelled_again(run: Recorded) -> None:
    """Its pieces do not begin with a reset, which their observations tell."""
    family = families.family("cheetah-vel")
    write_gymnasium(GYMNASIUM, "HalfCheetah-v5", cheetah_buffers(run))
    taken(GYMNASIUM, family, [3], name="once")
    data, _ = taken("imported/cheetah-vel/once-v0", family, [30], name="twice")
    assert np.abs(data.rewards.reshape(6, 1000) - true_rewards(family, run, 30)).max() < 1e-4


def test_what_a_source_holds_several_times_is_taken_once(run: Recorded) -> None:
    """Relabelled data hold a trajectory once for each of their tasks."""
    write_gymnasium(GYMNASIUM, "HalfCheetah-v5", cheetah_buffers(run))
    taken(GYMNASIUM, families.family("cheetah-dir"), [0, 1], name="both")
    family = families.family("cheetah-vel")
    data, checks = taken("imported/cheetah-dir/both-v0", family, [30], name="once")
    assert checks["trajectories"].against == "30 of 60 are repeated, and were taken once"
    assert np.abs(data.rewards.reshape(6, 1000) - true_rewards(family, run, 30)).max() < 1e-4


def test_transitions_bound_what_a_task_gets_spread_over_the_source(run: Recorded) -> None:
    write_gymnasium(GYMNASIUM, "HalfCheetah-v5", cheetah_buffers(run))
    data, _ = taken(GYMNASIUM, families.family("cheetah-vel"), [4, 2], 2000)
    assert data.lengths.tolist() == [200] * 20
    assert sorted(set(data.tasks.tolist())) == [2, 4]
    rewards = true_rewards(families.family("cheetah-vel"), run, 2).reshape(30, 200)[::3]
    assert np.allclose(data.rewards[:2000].reshape(10, 200), rewards, atol=1e-6)


def test_weights_of_the_original_reward_are_taken_from_its_environment(run: Recorded) -> None:
    family = families.family("cheetah-dir")
    buffers = cheetah_buffers(run, control_cost=0.4)
    write_gymnasium(GYMNASIUM, "HalfCheetah-v5", buffers, {"ctrl_cost_weight": 0.4})
    data, _ = taken(GYMNASIUM, family, [0])
    assert np.abs(data.rewards.reshape(6, 1000) - true_rewards(family, run, 0)).max() < 1e-6


@pytest.mark.parametrize(
    ("environment", "spec", "columns", "message"),
    [
        ("Walker2d-v5", {}, {}, "of the environment 'Walker2d-v5'"),
        ("HalfCheetah-v5", {"frame_skip": 1}, {}, "another frame_skip"),
        ("Ant-v5", {}, {}, "is data of the ant, but cheetah-vel-v1 has the body half-cheetah"),
        ("HalfCheetah-v5", {}, {"observations": lambda value: value[:, :16]}, r"observations \(1001, 16\)"),
        ("HalfCheetah-v5", {}, {"observations": lambda value: value[:-1]}, "one observation more"),
        ("HalfCheetah-v5", {}, {"rewards": lambda value: value * np.nan}, "not finite"),
        ("HalfCheetah-v5", {}, {"actions": lambda value: value * 30}, r"must be in \(-1, 1\).*other units"),
        ("HalfCheetah-v5", {}, {"rewards": lambda value: 100 * value + 40}, "are not those of Gymnasium"),
    ],
)
def test_sources_that_do_not_fit_are_one_message_and_leave_nothing(
    run: Recorded, nothing_kept: Callable[[], None], environment: str, spec: dict[str, Any],
    columns: dict[str, Callable[[Any], Any]], message: str,
) -> None:  # fmt: skip
    write_gymnasium(GYMNASIUM, environment, changed(cheetah_buffers(run), **columns), spec)
    with pytest.raises(DataError, match=message):
        taken(GYMNASIUM, families.family("cheetah-vel"), [0])
    nothing_kept()


ODD_WEIGHT = '{"id": "HalfCheetah-v5", "kwargs": {"ctrl_cost_weight": null}}'


def test_damaged_and_missing_sources(run: Recorded, nothing_kept: Callable[[], None]) -> None:
    for identity, advice in {
        GYMNASIUM: f"minari download {GYMNASIUM}",
        "omrl/ant-dir/expert-full-v1": "data record --family ant-dir --tier expert --size full",
        "omrl/cheetah-dir/mixed-v1": "data record --family cheetah-dir --tier mixed$",
        "imported/ant-dir/mine-v0": "data list",
    }.items():
        with pytest.raises(DataError, match=advice):
            open_source(identity)
    with pytest.raises(DataError, match="What is relabelled is a Minari data set, by its name"):
        open_source(__file__)
    folder = write_gymnasium(GYMNASIUM, "HalfCheetah-v5", cheetah_buffers(run))
    content, described = (folder / "main_data.hdf5").read_bytes(), (folder / "metadata.json").read_text()
    for kept in (0.0, 0.5, 0.9):
        (folder / "main_data.hdf5").write_bytes(content[: int(kept * len(content))])
        with pytest.raises(DataError, match="damaged"):
            taken(GYMNASIUM, families.family("cheetah-vel"), [0])
    for spec in ("[1]", '{"id": "HalfCheetah-v5", "kwargs": [1]}', ODD_WEIGHT):
        metadata = {**json.loads(described), "env_spec": spec}
        (folder / "metadata.json").write_text(json.dumps(metadata))
        with pytest.raises(DataError, match="damaged"):
            open_source(GYMNASIUM)
    (folder / "metadata.json").write_text("{")
    with pytest.raises(DataError, match="damaged"):
        open_source(GYMNASIUM)
    nothing_kept()


def test_data_under_the_standards_name_must_be_the_standards() -> None:
    family, identity = families.family("cheetah-dir"), "omrl/cheetah-dir/mixed-v1"
    data = as_data(act_out(family, [0, 1], 200), identity)
    store.write(family, data, store.describe(family, "mixed", data.content_hash))
    with pytest.raises(
        DataError, match="is not the standard's.*data record --family cheetah-dir --tier mixed"
    ):
        open_source(identity)


@pytest.mark.parametrize(
    ("emptied", "message"),
    [
        (("observations", "actions", "rewards"), r"episode 1: observations \(0, 17\).*one observation more"),
        (("terminations",), "is damaged"),
    ],
)
def test_episodes_without_rows(run: Recorded, emptied: tuple[str, ...], message: str) -> None:
    folder = write_gymnasium(GYMNASIUM, "HalfCheetah-v5", cheetah_buffers(run))
    with h5py.File(folder / "main_data.hdf5", "r+") as file:
        for name in emptied:
            shape = (0, *file["episode_1"][name].shape[1:])
            del file["episode_1"][name]
            file["episode_1"][name] = np.zeros(shape)
    with pytest.raises(DataError, match=message):
        taken(GYMNASIUM, families.family("cheetah-vel"), [0])


def test_families_and_tasks_that_are_not_there(run: Recorded) -> None:
    write_gymnasium(GYMNASIUM, "HalfCheetah-v5", cheetah_buffers(run))
    source = open_source(GYMNASIUM)
    with pytest.raises(UnknownNameError, match="can be relabelled into 'walker-params'"):
        check_fits(source, families.family("walker-params"), [0])
    for tasks in ([], [40], [1, 1], [-1]):
        with pytest.raises(ConfigError, match="different tasks of cheetah-vel-v1"):
            check_fits(source, families.family("cheetah-vel"), tasks)
    with pytest.raises(ConfigError, match="--transitions 0 is too small"):
        taken(GYMNASIUM, families.family("cheetah-vel"), [0], 0)
