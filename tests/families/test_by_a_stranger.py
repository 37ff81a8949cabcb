"""Every body recomputed by a stranger: from Gymnasium's files, MuJoCo and published formulas (ml45: test_ml45.py)."""

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
ASSETS = Path(gymnasium.__file__).parent / "envs" / "mujoco" / "assets"

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


def plain(file_name: str) -> mujoco.MjModel:
    """A body as Gymnasium ships it."""
    return mujoco.MjModel.from_xml_path(str(ASSETS / file_name))


def walker(task: int) -> mujoco.MjModel:
    """At the original time step, with the published fields."""
    model = plain("walker2d.xml")
    model.opt.timestep = 0.004
    for field, values in PUBLISHED["walker-params"]["tasks"][task].items():
        getattr(model, field).flat[:] = np.ravel(values)
    return model


def hopper(task: int) -> mujoco.MjModel:
    """With the task's multiples of its own mass and inertia, friction and damping."""
    model = plain("hopper.xml")
    mass, friction, damping = families.family("hopper-params").parameters[task]
    for array, multiple in (
        (model.body_mass, mass), (model.body_inertia, mass), (model.geom_friction, friction),
        (model.dof_damping, damping),
    ):  # fmt: skip
        array *= multiple
    return model


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


BODIES = {
    "cheetah-dir": plain("half_cheetah.xml"),
    "cheetah-vel": plain("half_cheetah.xml"),
    "ant-dir": plain("ant.xml"),
    "ant-goal": plain("ant.xml"),
    "walker-params": walker(TASK),
    "hopper-params": hopper(TASK),
    "humanoid-dir": plain("humanoid.xml"),
}
"""The stranger's own; only the family itself says what a point is, see `test_the_point_follows_its_servos`."""
SUB_STEPS = {"walker-params": 4, "hopper-params": 4}
CONTROLS = {"humanoid-dir": 0.4}
"""What the motors are told at an action of 1, where that is not 1."""


def at_reset(environment: TaskEnvironment, seed: int | None = None) -> Body:
    environment.reset(seed=seed)
    data, model = environment._data, BODIES.get(environment.family.name, environment._model)
    torso = data.body(1).xpos.copy()
    return Body(model, data.qpos.copy(), data.qvel.copy(), torso)


@pytest.mark.parametrize("name", STRANGERS)
def test_a_stranger_sees_the_same(name: str) -> None:
    """Over several episodes of random actions, falls included."""
    environment = gymnasium.make(families.family(name).id, task=TASK).unwrapped
    assert isinstance(environment, TaskEnvironment)
    family, random, ends = environment.family, np.random.default_rng(7), 0
    body = at_reset(environment, seed=3)
    for _ in range(STEPS):
        before, action = body, random.uniform(-1, 1, family.action_size).astype(np.float32)
        observation, reward, terminated, truncated, _ = environment.step(action)
        body = before.after(CONTROLS.get(name, 1.0) * action.astype(np.float64), SUB_STEPS.get(name, 5))
        expected, expected_reward, ended = STRANGERS[name](body, before, action)
        np.testing.assert_allclose(observation, expected, rtol=1e-6, atol=1e-6)
        assert reward == pytest.approx(expected_reward, abs=1e-9)
        assert terminated == ended
        assert not truncated
        if ended:
            ends += 1
            body = at_reset(environment)
    assert bool(ends) == family.ends_early, (
        "a family that can end must be seen to: choose other random actions"
    )


def test_the_point_follows_its_servos() -> None:
    """Its speed nears the action's by backward Euler steps of 0.02 s, at a rate of 20 per second."""
    environment, random = TaskEnvironment("point-robot", task=TASK), np.random.default_rng(4)
    seen, _ = environment.reset(seed=3)
    place, speed = seen[:2].astype(np.float64), np.zeros(2)
    for _ in range(20):
        action = random.uniform(-1, 1, 2).astype(np.float32)
        for _ in range(5):
            speed = (speed + 0.02 * 20 * action) / (1 + 0.02 * 20)
            place = place + 0.02 * speed
        observation, *_ = environment.step(action)
        np.testing.assert_allclose(observation, [*place, *speed], atol=1e-6)


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
    base, family = plain("walker2d.xml"), families.family("walker-params")
    assert isinstance(family, BodyFamily)
    for task, fields in enumerate(PUBLISHED["walker-params"]["tasks"]):
        model = family.model(task)
        for field, values in fields.items():
            np.testing.assert_array_equal(getattr(model, field).ravel(), np.ravel(values))
        np.testing.assert_array_equal(model.body_subtreemass, base.body_subtreemass)
    assert family.control_step == pytest.approx(0.016)


def test_hopper_tasks_are_multiples_of_the_plain_body() -> None:
    """All four fields of all tasks, and a base body stays as it is."""
    base, family = plain("hopper.xml"), families.family("hopper-params")
    assert isinstance(family, BodyFamily)
    assert family.tasks == 30
    for task, (mass, friction, damping) in enumerate(family.parameters):
        model = family.model(task)
        np.testing.assert_array_equal(model.body_mass, mass * base.body_mass)
        np.testing.assert_array_equal(model.body_inertia, mass * base.body_inertia)
        np.testing.assert_array_equal(model.geom_friction, friction * base.geom_friction)
        np.testing.assert_array_equal(model.dof_damping, damping * base.dof_damping)
        np.testing.assert_array_equal(model.body_subtreemass, base.body_subtreemass)
    assert family.control_step == pytest.approx(0.008)
