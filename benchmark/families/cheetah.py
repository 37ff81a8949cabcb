"""Half-cheetah families: `cheetah-dir` (run forward or backward) and `cheetah-vel` (run at a target velocity).

The body is Gymnasium's `half_cheetah.xml`: time step 0.01 s, five sub-steps per control step. Tasks and splits
are those of Mitchell et al. (ICML 2021).
"""

from abc import abstractmethod
from functools import cache

import mujoco
import numpy as np

from benchmark.families.family import Array, BodyFamily, Split, State, holding_out, read_body

CONTROL_COST = 0.05
TORSO_HEIGHT = 0.7
"""Height of the torso frame in metres where the root's vertical joint is at zero."""


@cache
def _model() -> mujoco.MjModel:
    sha256 = "11797a5d69e8ac955e89ca6fdd3a0087f1c990094fda401ac51420de1b6c5494"
    return mujoco.MjModel.from_xml_string(read_body("half_cheetah.xml", sha256))


class HalfCheetah(BodyFamily):
    """What both cheetah families share: everything but the speed term of the reward."""

    frame_skip = 5
    observation_size = 20
    action_size = 6
    ends_early = False

    def model(self, task: int) -> mujoco.MjModel:
        """One model for all tasks."""
        return _model()

    @property
    def observation_scale(self) -> Array:
        """Root velocities 0.3, joint velocities 0.1, the torso's unbounded x 0.05, all else 1."""
        scale = np.ones(20)
        scale[8:11], scale[11:17], scale[17] = 0.3, 0.1, 0.05
        return scale

    def reset(self, random: np.random.Generator) -> tuple[Array, Array]:
        """qpos = init + U(-0.1, 0.1), qvel = 0.1 N(0, 1)."""
        model = _model()
        qpos = np.asarray(model.qpos0) + random.uniform(-0.1, 0.1, model.nq)
        return qpos, 0.1 * random.standard_normal(model.nv)

    def torso_position(self, qpos: Array) -> Array:
        """The root slides along x and z from (0, 0, TORSO_HEIGHT)."""
        return np.stack([qpos[..., 0], np.zeros_like(qpos[..., 0]), qpos[..., 1] + TORSO_HEIGHT], axis=-1)

    def observation(self, state: State) -> Array:
        """qpos without x (8), qvel (9), torso position (3)."""
        return np.concatenate([state.qpos[..., 1:], state.qvel, state.torso], axis=-1)

    def reward(self, parameters: Array, before: State, actions: Array, after: State) -> Array:
        """Speed term minus 0.05 |a|^2."""
        velocity = (after.qpos[..., 0] - before.qpos[..., 0]) / self.control_step
        effort: Array = np.square(actions).sum(-1)
        return self.speed_reward(parameters, velocity) - CONTROL_COST * effort

    @abstractmethod
    def speed_reward(self, parameters: Array, velocity: Array) -> Array:
        """The part of the reward that depends on the task and on the forward velocity in m/s."""


class CheetahDirection(HalfCheetah):
    """Run forward (+1) or backward (-1) as fast as possible: r = direction * v - 0.05 |a|^2."""

    name = "cheetah-dir"
    parameter = "running direction, +1 or -1"
    meta_steps = 5_000

    def more_splits(self) -> dict[str, Split]:
        """`tuning` is `standard` again: this family meta-tests on its only two tasks, its train tasks."""
        return {"tuning": Split((0, 1), (0, 1))}

    def speed_reward(self, parameters: Array, velocity: Array) -> Array:
        """direction * v"""
        return parameters * velocity


class CheetahVelocity(HalfCheetah):
    """Run at the target velocity: r = -|v - v*| - 0.05 |a|^2."""

    name = "cheetah-vel"
    parameter = "target velocity in m/s"
    meta_steps = 15_000

    def more_splits(self) -> dict[str, Split]:
        """`tuning` holds out standard train tasks; `interpolation` tests velocities between trained ones."""
        return {
            "tuning": holding_out(self.published_splits["standard"].train, (4, 12, 20, 28, 36)),
            "interpolation": holding_out(range(40), (3, 6, 8, 11, 17, 27, 33, 36)),
        }

    def speed_reward(self, parameters: Array, velocity: Array) -> Array:
        """-|v - v*|"""
        return -np.abs(velocity - parameters)
