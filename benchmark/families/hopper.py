"""The hopper family `hopper-params`: hop forward with a body of another mass, friction and damping.

The body is Gymnasium's `hopper.xml`: time step 0.002 s, four sub-steps per control step. Tasks are multiples of the
base body's values, drawn once for this benchmark: mass and inertia 1.5^U(-3, 3), friction 1.5^U(-3, 3), damping
1.3^U(-3, 3). Constants that MuJoCo derives from them at compilation are not recomputed, as in `walker-params`.
"""

from functools import cache, cached_property

import mujoco
import numpy as np
from numpy.typing import NDArray

from benchmark.families.family import Array, Split, State, holding_out, read_body
from benchmark.families.planar import PlanarRunner

MULTIPLES = (
    (0.453, 1.977, 1.373), (2.021, 2.901, 1.650), (0.352, 0.601, 2.101), (1.975, 0.315, 0.574),
    (1.927, 0.775, 0.648), (2.429, 0.385, 0.469), (3.097, 0.436, 2.133), (3.092, 2.601, 1.342),
    (0.602, 0.772, 0.551), (0.639, 1.417, 0.846), (2.025, 0.505, 0.536), (1.131, 1.734, 1.106),
    (0.622, 1.986, 0.898), (0.879, 0.485, 0.686), (1.426, 1.165, 1.636), (1.153, 0.371, 0.857),
    (0.753, 0.371, 0.520), (0.429, 0.990, 1.908), (0.467, 2.530, 1.112), (0.487, 2.146, 0.463),
    (0.614, 0.399, 0.650), (1.174, 2.741, 1.509), (0.393, 1.458, 0.562), (0.663, 0.858, 1.173),
    (1.054, 1.055, 0.509), (0.649, 0.424, 1.830), (0.422, 0.734, 1.207), (0.379, 0.353, 1.613),
    (0.494, 0.374, 0.663), (2.945, 0.323, 2.121),
)  # fmt: skip
"""Per task: mass and inertia, friction, damping."""


@cache
def _model(task: int) -> mujoco.MjModel:
    sha256 = "3ce93a055ffdcd83c0c701d2400768e40d2cbb9532f3c4ae33377c27f8b39f9e"
    model = mujoco.MjModel.from_xml_string(read_body("hopper.xml", sha256))
    mass, friction, damping = MULTIPLES[task]
    model.body_mass[:] *= mass
    model.body_inertia[:] *= mass
    model.geom_friction[:] *= friction
    model.dof_damping[:] *= damping
    return model


class HopperParameters(PlanarRunner):
    """Hop forward as fast as possible without falling: r = v + 1 - 0.001 |a|^2."""

    name = "hopper-params"
    parameter = "mass and inertia, friction, damping as multiples of the base body's"
    observation_size = 11
    action_size = 3
    meta_steps = 15_000

    @cached_property
    def parameters(self) -> Array:
        """(task, 3)"""
        return np.array(MULTIPLES)

    def more_splits(self) -> dict[str, Split]:
        """`extrapolation` tests the lightest and the heaviest bodies, outside the masses that it trains on."""
        standard = holding_out(range(30), (3, 9, 15, 17, 22, 26))
        return {
            "standard": standard,
            "extrapolation": holding_out(range(30), (2, 6, 7, 22, 27, 29)),
            "tuning": holding_out(standard.train, (14, 16, 23, 25)),
        }

    def model(self, task: int) -> mujoco.MjModel:
        """A model for each task."""
        return _model(task)

    @property
    def observation_scale(self) -> Array:
        """Velocities of the root 0.3, of the joints 0.1, all else 1."""
        return np.concatenate([np.ones(5), np.full(3, 0.3), np.full(3, 0.1)])

    def terminated(self, after: State) -> NDArray[np.bool_]:
        """Height of 0.7 m or less, or the torso tilted by 0.2 radians or more."""
        healthy = (after.qpos[..., 1] > 0.7) & (np.abs(after.qpos[..., 2]) < 0.2)
        return np.asarray(super().terminated(after) | ~healthy)
