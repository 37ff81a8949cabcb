"""The point family `point-robot`: go to a goal on a half circle. The smallest family: its pipeline takes seconds.

A disc of 1 kg slides on a plane without friction, pushed by two velocity servos: an action of 1 asks for 1 m/s,
which it nears with a time constant of 0.05 s. Time step 0.02 s, five sub-steps per control step.
"""

from functools import cache, cached_property

import mujoco
import numpy as np

from benchmark.families.family import Array, BodyFamily, Split, State, holding_out, require_mujoco

BODY = """
<mujoco model="point">
  <option timestep="0.02" integrator="implicitfast" gravity="0 0 0"/>
  <worldbody>
    <body name="torso">
      <joint name="x" type="slide" axis="1 0 0"/>
      <joint name="y" type="slide" axis="0 1 0"/>
      <geom type="cylinder" size="0.05 0.02" mass="1" contype="0" conaffinity="0"/>
    </body>
  </worldbody>
  <actuator>
    <velocity joint="x" kv="20" ctrllimited="true" ctrlrange="-1 1"/>
    <velocity joint="y" kv="20" ctrllimited="true" ctrlrange="-1 1"/>
  </actuator>
</mujoco>
"""
ANGLES = (
    0.168, 0.408, 0.473, 0.654, 0.855, 1.270, 1.284, 1.298, 1.589, 1.593,
    1.603, 1.893, 1.986, 2.300, 2.490, 2.522, 2.592, 2.645, 2.977, 3.054,
)  # fmt: skip
"""Where the goals lie on the half circle, in radians, drawn once, uniformly from (0, pi)."""


@cache
def _model() -> mujoco.MjModel:
    require_mujoco()
    return mujoco.MjModel.from_xml_string(BODY)


class PointRobot(BodyFamily):
    """Go to a goal at 1 m and stay there: r = -distance in metres."""

    name = "point-robot"
    parameter = "goal (x, y) in metres"
    horizon = 20
    frame_skip = 5
    observation_size = 4
    action_size = 2
    ends_early = False
    meta_steps = 3_000

    @cached_property
    def parameters(self) -> Array:
        """(task, 2)"""
        return np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=-1)

    def more_splits(self) -> dict[str, Split]:
        """`extrapolation` tests an end of the half circle, none of whose goals it trains on."""
        standard = holding_out(range(20), (1, 6, 12, 15, 18))
        return {
            "standard": standard,
            "extrapolation": holding_out(range(20), range(14, 20)),
            "tuning": holding_out(standard.train, (3, 10, 16)),
        }

    def model(self, task: int) -> mujoco.MjModel:
        """One model for all tasks."""
        return _model()

    @property
    def observation_scale(self) -> Array:
        """All of order one already."""
        return np.ones(4)

    def reset(self, random: np.random.Generator) -> tuple[Array, Array]:
        """qpos = U(-0.1, 0.1), at rest."""
        return random.uniform(-0.1, 0.1, 2), np.zeros(2)

    def torso_position(self, qpos: Array) -> Array:
        """(x, y, 0)"""
        return np.concatenate([qpos, np.zeros_like(qpos[..., :1])], axis=-1)

    def observation(self, state: State) -> Array:
        """qpos (2), qvel (2)."""
        return np.concatenate([state.qpos, state.qvel], axis=-1)

    def reward(self, parameters: Array, before: State, actions: Array, after: State) -> Array:
        """-|position - goal|"""
        return np.asarray(-np.linalg.norm(after.qpos - parameters, axis=-1))
