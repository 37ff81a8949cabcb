"""The walker family `walker-params`: run forward with a body of another mass, inertia, friction and damping.

The body is Gymnasium's `walker2d.xml` at the original time step of 0.004 s (the file says 0.002 s), four sub-steps
per control step. Tasks are those of Mitchell et al. (ICML 2021): absolute values of four fields of the compiled
model, drawn there as the base body's times 1.5^U(-3, 3), damping 1.3^U(-3, 3). Constants that MuJoCo derives from
them at compilation are not recomputed, as in the original.
"""

from functools import cache, cached_property

import mujoco
import numpy as np
from numpy.typing import NDArray

from benchmark.families.family import Array, Split, State, holding_out, published_tasks, read_body
from benchmark.families.planar import PlanarRunner

TIME_STEP = 0.004
FIELDS = ("body_mass", "body_inertia", "dof_damping", "geom_friction")
"""Fields of the model that a task sets, in the order of its parameters."""


@cache
def _model(task: int) -> mujoco.MjModel:
    sha256 = "ac13373c7ac9003a5311c4704b314ed11149b3dd7600bbc02770487300f9ad2d"
    model = mujoco.MjModel.from_xml_string(read_body("walker2d.xml", sha256))
    model.opt.timestep = TIME_STEP
    for field, value in published_tasks()["walker-params"]["tasks"][task].items():
        array = getattr(model, field)
        array[:] = np.reshape(value, array.shape)
    return model


class WalkerParameters(PlanarRunner):
    """Run forward as fast as possible without falling: r = v + 1 - 0.001 |a|^2."""

    name = "walker-params"
    parameter = (
        "mass (8), inertia (8 x 3), damping (9) and friction (8 x 3) of the model's bodies, joints and geoms"
    )
    observation_size = 17
    action_size = 6
    meta_steps = 15_000

    @cached_property
    def parameters(self) -> Array:
        """(task, 65): the four fields one after another, bodies in model order, the world first."""
        tasks = published_tasks()[self.name]["tasks"]
        return np.array([np.concatenate([np.ravel(task[field]) for field in FIELDS]) for task in tasks])

    def task_text(self, task: int) -> str:
        """Total mass, which can be compared between tasks."""
        return f"{self.parameters[task, :8].sum():.4g} kg in all"

    def more_splits(self) -> dict[str, Split]:
        """`tuning` holds out standard train tasks."""
        return {"tuning": holding_out(self.published_splits["standard"].train, (5, 18, 24, 33, 47))}

    def model(self, task: int) -> mujoco.MjModel:
        """A model for each task."""
        return _model(task)

    @property
    def observation_scale(self) -> Array:
        """Velocities of the root 0.3, of the joints 0.1, all else 1."""
        return np.concatenate([np.ones(8), np.full(3, 0.3), np.full(6, 0.1)])

    def terminated(self, after: State) -> NDArray[np.bool_]:
        """Height out of (0.8, 2.0) m, or the torso tilted by one radian or more."""
        height, angle = after.qpos[..., 1], after.qpos[..., 2]
        healthy = (height > 0.8) & (height < 2.0) & (np.abs(angle) < 1.0)
        return np.asarray(super().terminated(after) | ~healthy)
