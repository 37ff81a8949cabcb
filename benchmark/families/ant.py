"""Ant families: `ant-dir` (run in a direction of the plane) and `ant-goal` (walk to a place in the plane).

The body is Gymnasium's `ant.xml`: time step 0.01 s, five sub-steps per control step. Tasks and standard split of
`ant-dir` are those of Mitchell et al. (ICML 2021); `ant-goal` was drawn once for this benchmark.
"""

from functools import cache, cached_property

import mujoco
import numpy as np
from numpy.typing import NDArray

from benchmark.families.family import Array, BodyFamily, Split, State, holding_out, read_body
from benchmark.families.turning import headings, plane_turn, torso_turn, unit

INITIAL_POSITION = (0.0, 0.0, 0.75, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, -1.0, 0.0, -1.0, 0.0, 1.0)
"""Torso position (3) and orientation (4), then hip and ankle of each leg (8): `init_qpos` of the body's file,
at the height that the torso has there."""
HEALTHY_HEIGHT = (0.2, 1.0)


@cache
def _model() -> mujoco.MjModel:
    sha256 = "cd5f83ef0ea35b0969e65d360c5bacd5b74ccaef6b27e4433b5168c605e3e2be"
    return mujoco.MjModel.from_xml_string(read_body("ant.xml", sha256))


class Ant(BodyFamily):
    """What both ant families share: the body, its reset, and velocities of its torso."""

    frame_skip = 5
    action_size = 8

    def model(self, task: int) -> mujoco.MjModel:
        """One model for all tasks."""
        return _model()

    def reset(self, random: np.random.Generator) -> tuple[Array, Array]:
        """qpos = init + U(-0.1, 0.1), its quaternion of length one again; qvel = 0.1 N(0, 1)."""
        model = _model()
        qpos = np.array(INITIAL_POSITION) + random.uniform(-0.1, 0.1, model.nq)
        qpos[3:7] = unit(qpos[3:7])
        return qpos, 0.1 * random.standard_normal(model.nv)

    def torso_position(self, qpos: Array) -> Array:
        """The free joint of the torso says where it is."""
        return np.asarray(qpos[..., :3].copy())


class AntDirection(Ant):
    """Run in a direction: r = torso velocity . heading - 0.5 |a|^2 + 1; over when the torso leaves its heights."""

    name = "ant-dir"
    parameter = "heading in radians"
    observation_size = 27
    meta_steps = 15_000

    @property
    def observation_scale(self) -> Array:
        """Velocities of the torso 0.3, of the joints 0.1, all else 1."""
        return np.concatenate([np.ones(13), np.full(6, 0.3), np.full(8, 0.1)])

    def more_splits(self) -> dict[str, Split]:
        """`tuning` holds out standard train tasks; `interpolation` tests headings between trained ones."""
        return {
            "tuning": holding_out(self.published_splits["standard"].train, (3, 12, 20, 34, 46)),
            "interpolation": holding_out(range(50), (0, 2, 8, 10, 15, 20, 25, 26, 36, 48)),
        }

    def observation(self, state: State) -> Array:
        """qpos without the place in the plane (13), qvel (14)."""
        return np.concatenate([state.qpos[..., 2:], state.qvel], axis=-1)

    def task_frame(self, task: int) -> tuple[Array, Array]:
        """The world turned so that the heading is the x axis."""
        size = self.observation_size
        return torso_turn(float(self.parameters[task]), size, orientation=1, velocity=13), np.zeros(size)

    def reward(self, parameters: Array, before: State, actions: Array, after: State) -> Array:
        """Speed along the heading, from torso positions, minus 0.5 |a|^2, plus 1 for not having fallen."""
        velocity = (after.torso[..., :2] - before.torso[..., :2]) / self.control_step
        effort = np.square(actions).sum(-1)
        return np.asarray((velocity * headings(parameters)).sum(-1) - 0.5 * effort + 1.0)

    def terminated(self, after: State) -> NDArray[np.bool_]:
        """The torso's height has left [0.2, 1.0] m."""
        low, high = HEALTHY_HEIGHT
        height = after.qpos[..., 2]
        return np.asarray(super().terminated(after) | ~((height >= low) & (height <= high)))


GOALS = (
    (2.273, -0.244), (0.056, 2.678), (-1.239, -0.463), (-0.568, -0.879), (0.530, -1.774), (-1.035, -1.655),
    (-0.877, -2.576), (-0.173, -2.068), (-1.479, 0.270), (-2.003, 1.889), (0.979, 1.003), (2.308, -1.559),
    (-1.277, 1.335), (-1.373, -0.074), (0.285, 0.284), (-1.784, 0.736), (1.450, -2.405), (-1.740, 1.882),
    (-1.340, 0.723), (-0.583, -1.502), (-0.729, 1.949), (-2.725, 1.065), (0.168, 2.918), (1.436, -1.145),
    (0.251, 1.934), (-2.395, 0.504), (-2.147, 1.884), (2.136, 1.172), (1.007, 0.766), (0.947, 0.148),
)  # fmt: skip
"""Goals of `ant-goal` in metres, drawn once, uniformly over a disc of radius 3."""


class AntGoal(Ant):
    """Walk to a goal and stay there: r = 1 - distance / 3 m - 0.05 |a|^2; an episode lasts to the horizon."""

    name = "ant-goal"
    parameter = "goal (x, y) in metres"
    observation_size = 29
    ends_early = False
    meta_steps = 15_000

    @cached_property
    def parameters(self) -> Array:
        """(task, 2)"""
        return np.array(GOALS)

    @property
    def observation_scale(self) -> Array:
        """Place in the plane 0.3, velocities of the torso 0.3, of the joints 0.1, all else 1."""
        return np.concatenate([np.full(2, 0.3), np.ones(13), np.full(6, 0.3), np.full(8, 0.1)])

    def more_splits(self) -> dict[str, Split]:
        """`extrapolation` tests all goals that are farther away than those it trains on."""
        standard = holding_out(range(30), (6, 9, 15, 18, 24, 25))
        return {
            "standard": standard,
            "extrapolation": holding_out(range(30), (1, 6, 9, 11, 16, 21, 22, 26)),
            "tuning": holding_out(standard.train, (3, 12, 19, 28)),
        }

    def observation(self, state: State) -> Array:
        """qpos (15), qvel (14): where it is in the plane belongs to the state of this task."""
        return np.concatenate([state.qpos, state.qvel], axis=-1)

    def task_frame(self, task: int) -> tuple[Array, Array]:
        """The world turned so that the goal lies in the direction of the x axis, and moved so that it is the origin."""
        x, y = self.parameters[task]
        angle = float(np.arctan2(y, x))
        matrix = torso_turn(angle, self.observation_size, orientation=3, velocity=15)
        matrix[:2, :2] = plane_turn(angle)
        offset = np.zeros(self.observation_size)
        offset[0] = -np.hypot(x, y)
        return matrix, offset

    def reward(self, parameters: Array, before: State, actions: Array, after: State) -> Array:
        """1 - |torso - goal| / 3 - 0.05 |a|^2."""
        distance = np.linalg.norm(after.torso[..., :2] - parameters, axis=-1)
        return np.asarray(1.0 - distance / 3.0 - 0.05 * np.square(actions).sum(-1))
