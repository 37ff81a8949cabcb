"""What runners in the plane x, z share: walker and hopper. Their root slides along x and z and turns about y."""

import numpy as np

from benchmark.families.family import Array, BodyFamily, State


class PlanarRunner(BodyFamily):
    """Run forward as fast as possible without falling: r = v + 1 - 0.001 |a|^2."""

    frame_skip = 4
    dynamics_differ = True

    def reset(self, random: np.random.Generator) -> tuple[Array, Array]:
        """qpos and qvel = init + U(-0.005, 0.005)."""
        model = self.model(0)
        qpos = np.asarray(model.qpos0) + random.uniform(-0.005, 0.005, model.nq)
        return qpos, random.uniform(-0.005, 0.005, model.nv)

    def torso_position(self, qpos: Array) -> Array:
        """The root's vertical joint counts from the ground."""
        return np.stack([qpos[..., 0], np.zeros_like(qpos[..., 0]), qpos[..., 1]], axis=-1)

    def observation(self, state: State) -> Array:
        """qpos without x, qvel clipped to [-10, 10]."""
        return np.concatenate([state.qpos[..., 1:], np.clip(state.qvel, -10.0, 10.0)], axis=-1)

    def reward(self, parameters: Array, before: State, actions: Array, after: State) -> Array:
        """Forward speed, plus 1 for not having fallen, minus 0.001 |a|^2."""
        velocity = (after.qpos[..., 0] - before.qpos[..., 0]) / self.control_step
        return np.asarray(velocity + 1.0 - 0.001 * np.square(actions).sum(-1))
