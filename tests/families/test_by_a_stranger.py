"""Every body recomputed by a stranger: from MuJoCo's own data and the published formulas alone (ml45: test_ml45.py)."""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import gymnasium
import mujoco
import numpy as np
import pytest

from benchmark import families
from benchmark.families.environment import TaskEnvironment
from benchmark.families.family import BodyFamily, State

TASK = 1
STEPS = 100
PUBLISHED = json.loads((Path(families.__file__).parent / "published_tasks.json").read_text())

Seen = tuple[np.ndarray, float, bool]
"""Observation, reward, terminated."""


@dataclass
class Body:
    """A stranger's own simulation."""

    model: mujoco.MjModel
    qpos: np.ndarray
    qvel: np.ndarray
    torso: np.ndarray
    """Where the torso's frame is, one sub-step before `qpos`."""

    def after(self, action: np.ndarray, sub_steps: int) -> "Body":
        data = mujoco.MjData(self.model)
        data.qpos[:], data.qvel[:], data.ctrl[:] = self.qpos, self.qvel, action
        for _ in range(sub_steps):
            mujoco.mj_kinematics(self.model, data)
            torso = data.body(1).xpos.copy()
            mujoco.mj_step(self.model, data)
        return Body(self.model, data.qpos.copy(), data.qvel.copy(), torso)


def effort(action: np.ndarray) -> float:
    return float((action.astype(np.float64) ** 2).sum())


def heading(angle: float) -> np.ndarray:
    return np.array([math.cos(angle), math.sin(angle)])


def cheetah(now: Body, before: Body, action: np.ndarray, speed_reward: float) -> Seen:
    observation = [now.qpos[1:], now.qvel, now.torso]
    return np.concatenate(observation), speed_reward - 0.05 * effort(action), False


def cheetah_dir(now: Body, before: Body, action: np.ndarray) -> Seen:
    return cheetah(now, before, action, -(now.qpos[0] - before.qpos[0]) / 0.05)


def cheetah_vel(now: Body, before: Body, action: np.ndarray) -> Seen:
    return cheetah(now, before, action, -abs((now.qpos[0] - before.qpos[0]) / 0.05 - 0.15))


def ant_dir(now: Body, before: Body, action: np.ndarray) -> Seen:
    velocity = (now.torso - before.torso)[:2] / 0.05
    reward = velocity @ heading(PUBLISHED["ant-dir"]["tasks"][TASK]) - 0.5 * effort(action) + 1
    fallen = not 0.2 <= now.qpos[2] <= 1.0
    return np.concatenate([now.qpos[2:], now.qvel]), reward, fallen


def ant_goal(now: Body, before: Body, action: np.ndarray) -> Seen:
    distance = np.linalg.norm(now.torso[:2] - (0.056, 2.678))
    return np.concatenate([now.qpos, now.qvel]), 1 - distance / 3 - 0.05 * effort(action), False


def walker_params(now: Body, before: Body, action: np.ndarray) -> Seen:
    reward = (now.qpos[0] - before.qpos[0]) / 0.016 + 1 - 0.001 * effort(action)
    fallen = not (0.8 < now.qpos[1] < 2.0 and abs(now.qpos[2]) < 1.0)
    return np.concatenate([now.qpos[1:], now.qvel.clip(-10, 10)]), reward, fallen


def hopper_params(now: Body, before: Body, action: np.ndarray) -> Seen:
    reward = (now.qpos[0] - before.qpos[0]) / 0.008 + 1 - 0.001 * effort(action)
    fallen = not (now.qpos[1] > 0.7 and abs(now.qpos[2]) < 0.2)
    return np.concatenate([now.qpos[1:], now.qvel.clip(-10, 10)]), reward, fallen


def humanoid_dir(now: Body, before: Body, action: np.ndarray) -> Seen:
    velocity = (now.qpos - before.qpos)[:2] / 0.015
    reward = velocity @ heading(0.742) + 2 - 0.1 * effort(action)
    return np.concatenate([now.qpos[2:], now.qvel]), reward, not 1.0 <= now.qpos[2] <= 2.0


def point_robot(now: Body, before: Body, action: np.ndarray) -> Seen:
    return np.concatenate([now.qpos, now.qvel]), -math.dist(now.qpos, heading(0.408)), False


STRANGERS = {
    "cheetah-dir": cheetah_dir,
    "cheetah-vel": cheetah_vel,
    "ant-dir": ant_dir,
    "ant-goal": ant_goal,
    "walker-params": walker_params,
    "hopper-params": hopper_params,
    "humanoid-dir": humanoid_dir,
    "point-robot": point_robot,
}


def test_no_family_is_left_out() -> None:
    assert {*STRANGERS, "ml45"} == set(families.FAMILIES)


SUB_STEPS = {"walker-params": 4, "hopper-params": 4}


def at_reset(environment: TaskEnvironment, seed: int | None = None) -> Body:
    environment.reset(seed=seed)
    data = environment._data
    torso = data.body(1).xpos.copy()
    return Body(environment._model, data.qpos.copy(), data.qvel.copy(), torso)


@pytest.mark.parametrize("name", STRANGERS)
def test_a_stranger_sees_the_same(name: str) -> None:
    """Over several episodes of random actions, falls included."""
    environment = gymnasium.make(families.family(name).id, task=TASK).unwrapped
    assert isinstance(environment, TaskEnvironment)
    family, random, ends = environment.family, np.random.default_rng(4), 0
    body = at_reset(environment, seed=3)
    for _ in range(STEPS):
        before, action = body, random.uniform(-1, 1, family.action_size).astype(np.float32)
        observation, reward, terminated, truncated, _ = environment.step(action)
        body = before.after(action, SUB_STEPS.get(name, 5))
        expected, expected_reward, ended = STRANGERS[name](body, before, action)
        np.testing.assert_allclose(observation, expected, rtol=1e-6, atol=1e-6)
        assert reward == pytest.approx(expected_reward, abs=1e-9)
        assert terminated == ended
        assert not truncated
        if ended:
            ends += 1
            body = at_reset(environment)
    if name in ("walker-params", "hopper-params", "humanoid-dir"):
        assert ends, "random actions never made it fall: its end was not seen"


@pytest.mark.parametrize(
    ("name", "place", "healthy", "fallen"),
    [
        ("ant-dir", 2, (0.2, 0.5, 1.0), (0.19, 1.01)),
        ("walker-params", 1, (0.81, 1.99), (0.8, 2.0)),
        ("walker-params", 2, (-0.99, 0.99), (-1.0, 1.0)),
        ("hopper-params", 1, (0.71, 3.0), (0.7,)),
        ("hopper-params", 2, (-0.19, 0.19), (-0.2, 0.2)),
        ("humanoid-dir", 2, (1.0, 1.4, 2.0), (0.99, 2.01)),
    ],
)
def test_where_falling_begins(
    name: str, place: int, healthy: tuple[float, ...], fallen: tuple[float, ...]
) -> None:
    family = families.family(name)
    assert isinstance(family, BodyFamily)
    qpos, qvel = family.reset(np.random.default_rng(0))
    for value in healthy + fallen:
        qpos[place] = value
        ended = family.terminated(State(qpos, qvel, family.torso_position(qpos)))
        assert bool(ended) == (value in fallen)


def test_walker_tasks_are_the_published_bodies() -> None:
    """All fields of all tasks, and a base body of another file stays as it is."""
    base = mujoco.MjModel.from_xml_path(
        str(Path(gymnasium.__file__).parent / "envs" / "mujoco" / "assets" / "walker2d.xml")
    )
    family = families.family("walker-params")
    assert isinstance(family, BodyFamily)
    for task, fields in enumerate(PUBLISHED["walker-params"]["tasks"]):
        model = family.model(task)
        for field, values in fields.items():
            np.testing.assert_array_equal(getattr(model, field).ravel(), np.ravel(values))
        np.testing.assert_array_equal(model.body_subtreemass, base.body_subtreemass)
    assert family.control_step == pytest.approx(0.016)
