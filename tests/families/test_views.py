"""The two views of every family are equal, step by step, and both are what the standard says."""

import warnings
from typing import Any

import gymnasium
import mujoco
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from benchmark import families
from benchmark.errors import SimulatorVersionError, UnknownNameError
from benchmark.families.environment import TaskEnvironment
from benchmark.families.family import BodyFamily, State, read_body
from benchmark.families.simulation import BatchSimulation

NAMES = list(families.FAMILIES)


def make(name: str, task: int) -> Any:
    return gymnasium.make(families.family(name).id, task=task).unwrapped


def random_states(name: str, lanes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    states = [families.family(name).reset(random) for _ in range(lanes)]
    return np.stack([qpos for qpos, _ in states]), np.stack([qvel for _, qvel in states])


@pytest.mark.parametrize("name", NAMES)
def test_environment_passes_gymnasiums_checker(name: str) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message=".*Box observation space (minimum|maximum) value is .*infinity.*"
        )
        check_env(make(name, 1))


@pytest.mark.parametrize("action", [0.5, [0.5], [[0.5] * 6], [0.5] * 7, [float("nan")] * 6])
def test_an_action_that_does_not_fit_is_refused(action: Any) -> None:
    environment = make("cheetah-vel", 7)
    environment.reset(seed=0)
    with pytest.raises(ValueError, match="cheetah-vel takes actions of 6 finite numbers, not array"):
        environment.step(np.asarray(action, np.float32))


@pytest.mark.parametrize("name", NAMES)
def test_views_are_equal_bit_for_bit(name: str) -> None:
    family = families.family(name)
    tasks = [0, 1, family.tasks - 1]
    qpos, qvel = random_states(name, len(tasks))
    environments = [make(name, task) for task in tasks]
    for environment in environments:
        environment.reset(seed=0)
    random = np.random.default_rng(1)
    with family.simulation(tasks, threads=2) as simulation:
        batch = simulation.reset(qpos, qvel)
        single = [
            environment.set_state(*state)
            for environment, *state in zip(environments, qpos, qvel, strict=True)
        ]
        np.testing.assert_array_equal(batch, np.stack(single))
        for _ in range(family.horizon):
            actions = random.uniform(-1, 1, (len(tasks), family.action_size)).astype(np.float32)
            step = simulation.step(actions)
            results = [
                environment.step(action) for environment, action in zip(environments, actions, strict=True)
            ]
            np.testing.assert_array_equal(step.observations, np.stack([result[0] for result in results]))
            np.testing.assert_array_equal(step.rewards, [result[1] for result in results])
            np.testing.assert_array_equal(step.terminated, [result[2] for result in results])


def body(name: str) -> BodyFamily:
    family = families.family(name)
    assert isinstance(family, BodyFamily)
    return family


def test_lanes_and_threads_do_not_change_a_trajectory() -> None:
    family = body("cheetah-vel")
    qpos, qvel = random_states("cheetah-vel", 64)
    actions = np.round(np.random.default_rng(2).uniform(-1, 1, (50, 64, 6)) * 4096) / 4096
    with BatchSimulation(family, [3] * 64, threads=2) as many, BatchSimulation(family, [3], threads=0) as one:
        many.reset(qpos, qvel)
        one.reset(qpos[17:18], qvel[17:18])
        for action in actions:
            np.testing.assert_array_equal(
                many.step(action).observations[17], one.step(action[17:18]).observations[0]
            )


def test_dropping_and_restarting_lanes_leaves_the_others_alone() -> None:
    family = body("cheetah-dir")
    qpos, qvel = random_states("cheetah-dir", 3)
    action = np.full((3, 6), 0.25)
    with (
        BatchSimulation(family, [0, 1, 0], threads=0) as whole,
        BatchSimulation(family, [0, 1, 0], threads=0) as part,
    ):
        whole.reset(qpos, qvel)
        part.reset(qpos, qvel)
        whole.step(action)
        part.step(action)
        part.keep(np.array([1, 2]))
        part.restart(np.array([1]), qpos[:1], qvel[:1])
        expected, found = whole.step(action), part.step(action[:2])
        np.testing.assert_array_equal(found.observations[0], expected.observations[1])
        assert found.rewards[0] == expected.rewards[1]
        assert not np.array_equal(found.observations[1], expected.observations[2])


def test_the_horizon_truncates_and_does_not_terminate() -> None:
    environment = gymnasium.make("cheetah-vel-v1", task=7)
    environment.reset(seed=0)
    flags = [environment.step(np.zeros(6, np.float32))[2:4] for _ in range(200)]
    assert flags[-1] == (False, True)
    assert not any(terminated or truncated for terminated, truncated in flags[:-1])


def test_a_state_that_is_not_finite_terminates() -> None:
    family = body("cheetah-dir")
    qpos, qvel = random_states("cheetah-dir", 2)
    qvel[1, 0] = np.nan
    state = State(qpos, qvel, family.torso_position(qpos))
    np.testing.assert_array_equal(family.terminated(state), [False, True])


def test_the_task_is_chosen_at_reset_too() -> None:
    environment = gymnasium.make("cheetah-vel-v1", task=7)
    _, info = environment.reset(seed=0, options={"task": 12})
    assert info["task"] == 12
    _, info = environment.reset()
    assert info["task"] == 12


def test_an_unknown_task_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="task of cheetah-vel '40'.*0 to 39"):
        TaskEnvironment("cheetah-vel", 40)


def test_another_mujoco_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mujoco, "__version__", "3.4.0")
    with pytest.raises(SimulatorVersionError, match=r"3\.4\.0 is installed.*pip install mujoco==3\.3\.0"):
        read_body("half_cheetah.xml", "")


def test_another_body_file_is_refused() -> None:
    with pytest.raises(SimulatorVersionError, match=r"half_cheetah\.xml is not the body"):
        read_body("half_cheetah.xml", "0" * 64)
