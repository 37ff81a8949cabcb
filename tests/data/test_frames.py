"""Frames: in them all tasks are one task, and an actor that was trained in them acts on raw observations."""

import math

import numpy as np
import pytest
import torch

from benchmark import families
from benchmark.data.frames import TaskFrames
from benchmark.families.family import Array, BodyFamily

WITH_FRAMES = ("ant-dir", "ant-goal", "humanoid-dir")


def framed(name: str) -> BodyFamily:
    family = families.family(name)
    assert isinstance(family, BodyFamily)
    return family


def about_the_vertical(angle: float, qpos: Array, qvel: Array) -> tuple[Array, Array]:
    """A state turned about the origin, by complex numbers."""
    qpos, qvel = qpos.copy(), qvel.copy()
    for plane in (qpos[:2], qvel[:2]):
        turned = complex(*plane) * np.exp(1j * angle)
        plane[:] = turned.real, turned.imag
    w, x, y, z = qpos[3:7]
    upright, tilted = complex(w, z) * np.exp(0.5j * angle), complex(x, y) * np.exp(0.5j * angle)
    qpos[3:7] = upright.real, tilted.real, tilted.imag, upright.imag
    return qpos, qvel


def seen_from(parameter: Array, qpos: Array, qvel: Array) -> tuple[Array, Array]:
    """The state that lies to the task of this parameter as the given one does to a heading, or goal, of zero."""
    if parameter.ndim == 0:
        return about_the_vertical(math.remainder(float(parameter), 2 * math.pi), qpos, qvel)
    qpos, qvel = about_the_vertical(math.atan2(parameter[1], parameter[0]), qpos, qvel)
    qpos[:2] += parameter
    return qpos, qvel


@pytest.mark.parametrize("name", WITH_FRAMES)
def test_tasks_seen_in_their_frames_are_one(name: str) -> None:
    """The same fall in every task: same observations in their frames, same rewards, same terminations.

    The humanoid's lasts until its feet touch the floor, where friction breaks the symmetry; the ants lie on theirs.
    """
    family, random = framed(name), np.random.default_rng(0)
    tasks = list(range(family.tasks))
    qpos, qvel = family.reset(random)
    starts = [seen_from(one, qpos, 3 * qvel) for one in family.parameters]
    simulation, frames = family.simulation(tasks, threads=0), TaskFrames(family, tasks)
    raw = simulation.reset(np.stack([one for one, _ in starts]), np.stack([one for _, one in starts]))
    for _ in range(10 if name == "humanoid-dir" else 40):
        seen = frames.seen(raw)
        np.testing.assert_allclose(seen, np.tile(seen[0], (len(tasks), 1)), atol=1e-6)
        assert np.abs(raw - raw[0]).max() > 0.5
        after = simulation.step(np.tile(random.uniform(-1, 1, family.action_size), (len(tasks), 1)))
        np.testing.assert_allclose(after.rewards, after.rewards[0], atol=1e-6)
        assert (after.terminated == after.terminated[0]).all()
        raw = after.observations


@pytest.mark.parametrize("name", WITH_FRAMES)
def test_no_episode_begins_with_a_quaternion_of_the_opposite_sign(name: str) -> None:
    """Which would be the same orientation with other numbers: w is no less than 0, up to the reset's noise."""
    family = framed(name)
    start = np.asarray(family.reset(np.random.default_rng(0))[0])[3:7]
    column = 1 if name != "ant-goal" else 3
    observation = np.zeros((family.tasks, family.observation_size))
    observation[:, column : column + 4] = start
    seen = TaskFrames(family, range(family.tasks)).seen(observation)
    assert (seen[:, column] > -0.2).all()


def test_an_actor_of_the_frames_is_one_of_raw_observations() -> None:
    family, generator = framed("ant-goal"), torch.Generator().manual_seed(0)
    sizes = ((29, 6), (1, 6), (6, 6), (1, 6), (6, 16), (1, 16))
    actor = [torch.randn(1, *size, generator=generator) for size in sizes]
    frames = TaskFrames(family, range(family.tasks))
    raw = np.random.default_rng(0).standard_normal((family.tasks, 29))

    def outputs(weights: list[torch.Tensor], inputs: Array) -> torch.Tensor:
        w1, b1, w2, b2, w3, b3 = weights
        rows = torch.from_numpy(inputs.astype(np.float32))[:, None]
        return torch.relu(torch.relu(rows @ w1 + b1) @ w2 + b2) @ w3 + b3

    each = frames.actors(actor)
    assert [tuple(weight.shape) for weight in each] == [(30, *size) for size in sizes]
    torch.testing.assert_close(outputs(each, raw), outputs(actor, frames.seen(raw)), rtol=1e-4, atol=1e-3)
