"""The humanoid family `humanoid-dir`: run in a direction of the plane.

The body is Gymnasium's `humanoid.xml`: time step 0.003 s, five sub-steps per control step. Its motors take controls
in [-0.4, 0.4]; here an action of 1 is a control of 0.4. Headings were drawn once for this benchmark.
"""

from functools import cache, cached_property

import mujoco
import numpy as np
from numpy.typing import NDArray

from benchmark.families.family import Array, BodyFamily, Split, State, holding_out, read_body
from benchmark.families.turning import headings, torso_turn, unit

CONTROL_RANGE = 0.4
HEALTHY_HEIGHT = (1.0, 2.0)
HEADINGS = (
    0.369, 0.742, 1.519, 2.136, 2.568, 2.629, 2.638, 3.025, 3.439, 3.819,
    4.563, 4.910, 5.042, 5.277, 5.516, 5.784, 6.000, 6.030, 6.192, 6.199,
)  # fmt: skip
"""Radians, drawn once, uniformly from the circle."""


@cache
def _model() -> mujoco.MjModel:
    sha256 = "85816f372c826d2094b4a598918233bd9c5843b2439119eece2733bdc2e0d073"
    model = mujoco.MjModel.from_xml_string(read_body("humanoid.xml", sha256))
    model.actuator_gear[:] *= CONTROL_RANGE
    model.actuator_ctrlrange[:] /= CONTROL_RANGE
    return model


class HumanoidDirection(BodyFamily):
    """Run in a direction: r = torso velocity . heading + 2 - 0.1 |a|^2; over when the torso leaves its heights."""

    name = "humanoid-dir"
    parameter = "heading in radians"
    frame_skip = 5
    observation_size = 45
    action_size = 17
    frames_alike = False
    meta_steps = 15_000

    @cached_property
    def parameters(self) -> Array:
        """(task,)"""
        return np.array(HEADINGS)

    def more_splits(self) -> dict[str, Split]:
        """`extrapolation` tests an arc of the circle, none of whose headings it trains on."""
        standard = holding_out(range(20), (1, 6, 8, 15))
        return {
            "standard": standard,
            "extrapolation": holding_out(range(20), range(14, 20)),
            "tuning": holding_out(standard.train, (3, 11, 17)),
        }

    def model(self, task: int) -> mujoco.MjModel:
        """One model for all tasks."""
        return _model()

    @property
    def observation_scale(self) -> Array:
        """Velocities of the torso 0.3, of the joints 0.1, all else 1."""
        return np.concatenate([np.ones(22), np.full(6, 0.3), np.full(17, 0.1)])

    def reset(self, random: np.random.Generator) -> tuple[Array, Array]:
        """qpos and qvel = init + U(-0.01, 0.01), the quaternion of length one again."""
        model = _model()
        qpos = np.asarray(model.qpos0) + random.uniform(-0.01, 0.01, model.nq)
        qpos[3:7] = unit(qpos[3:7])
        return qpos, random.uniform(-0.01, 0.01, model.nv)

    def torso_position(self, qpos: Array) -> Array:
        """The free joint of the torso says where it is."""
        return np.asarray(qpos[..., :3].copy())

    def observation(self, state: State) -> Array:
        """qpos without the place in the plane (22), qvel (23)."""
        return np.concatenate([state.qpos[..., 2:], state.qvel], axis=-1)

    def task_frame(self, task: int) -> tuple[Array, Array]:
        """The world turned so that the heading is the x axis; nearly one task, see `turning.py`."""
        size = self.observation_size
        return torso_turn(float(self.parameters[task]), size, orientation=1, velocity=22), np.zeros(size)

    def reward(self, parameters: Array, before: State, actions: Array, after: State) -> Array:
        """Speed of the torso along the heading, plus 2 for not having fallen, minus 0.1 |a|^2."""
        velocity = (after.qpos[..., :2] - before.qpos[..., :2]) / self.control_step
        return np.asarray((velocity * headings(parameters)).sum(-1) + 2.0 - 0.1 * np.square(actions).sum(-1))

    def terminated(self, after: State) -> NDArray[np.bool_]:
        """The torso's height has left [1.0, 2.0] m."""
        low, high = HEALTHY_HEIGHT
        height = after.qpos[..., 2]
        return np.asarray(super().terminated(after) | ~((height >= low) & (height <= high)))
