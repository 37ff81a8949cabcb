"""The manipulation family `ml45`: the 50 tasks of Meta-World's ML45, simulated by the package `metaworld` itself.

A task is a class of Meta-World (bin-picking, door-lock, ...); its 50 goals, which change the objects' places and
where they must go, differ from episode to episode. Observations hide the goal: their last three numbers are zero.
Rewards and the success flag are Meta-World's own. Episodes never terminate; they last 500 steps of 0.0125 s.

An episode's initial state is its goal's number: qpos = [number], qvel = []. Meta-World's reset adds nothing random.

The goals are those of `metaworld.ML45(seed=0)`; they ship as a file (`ml45_goals.safetensors`, per class one row per
goal), as drawing them takes half a minute of simulation.
"""

import hashlib
from collections.abc import Sequence
from functools import cache, cached_property
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load

from benchmark.errors import SimulatorVersionError, UnknownNameError
from benchmark.families.family import Array, Family, Split, holding_out, require_mujoco

if TYPE_CHECKING:
    from benchmark.families.metaworld_arena import Script
    from benchmark.families.stepping import Simulation

METAWORLD_VERSION = "3.1.1"
"""The version of this version of the standard: another one may reward otherwise."""
GOAL_SEED = 0
"""The goals are those of `metaworld.ML45` with this seed."""
GOALS = 50
"""Goals per task."""
GOALS_SHA256 = "608f15f19d675dc66945c7ea16e12bddaf720befe11c8f2ff912dffe80369431"

TRAIN = (
    "assembly-v3", "basketball-v3", "button-press-topdown-v3", "button-press-topdown-wall-v3", "button-press-v3",
    "button-press-wall-v3", "coffee-button-v3", "coffee-pull-v3", "coffee-push-v3", "dial-turn-v3",
    "disassemble-v3", "door-close-v3", "door-open-v3", "drawer-close-v3", "drawer-open-v3",
    "faucet-open-v3", "faucet-close-v3", "hammer-v3", "handle-press-side-v3", "handle-press-v3",
    "handle-pull-side-v3", "handle-pull-v3", "lever-pull-v3", "pick-place-wall-v3", "pick-out-of-hole-v3",
    "push-back-v3", "pick-place-v3", "plate-slide-v3", "plate-slide-side-v3", "plate-slide-back-v3",
    "plate-slide-back-side-v3", "peg-insert-side-v3", "peg-unplug-side-v3", "soccer-v3", "stick-push-v3",
    "stick-pull-v3", "push-wall-v3", "push-v3", "reach-wall-v3", "reach-v3",
    "shelf-place-v3", "sweep-into-v3", "sweep-v3", "window-open-v3", "window-close-v3",
)  # fmt: skip
TEST = ("bin-picking-v3", "box-close-v3", "hand-insert-v3", "door-lock-v3", "door-unlock-v3")
CLASSES = TRAIN + TEST
"""Meta-World's names of the tasks, in the order of the standard: ML45's train classes, then its test classes."""


def require_metaworld() -> None:
    """Raise SimulatorVersionError unless the Meta-World of the standard is installed."""
    how = (
        f"Install it with: pip install metaworld=={METAWORLD_VERSION}, "
        "or pip install -e '.[metaworld]' -c constraints.txt"
    )
    try:
        found = metadata.version("metaworld")
    except metadata.PackageNotFoundError as error:
        raise SimulatorVersionError(
            f"ml45 needs the package metaworld, which is not installed. {how}"
        ) from error
    if found != METAWORLD_VERSION:
        raise SimulatorVersionError(
            f"metaworld {found} is installed, but ml45 is defined on {METAWORLD_VERSION}: another version may "
            f"give other rewards. {how}"
        )


@cache
def goal_vectors() -> dict[str, Array]:
    """Per class (goal, 3 or 6): what Meta-World calls a task's `rand_vec`, places of objects and goal in metres.

    Raises SimulatorVersionError where the file is not the standard's.
    """
    path = Path(__file__).with_name("ml45_goals.safetensors")
    content = path.read_bytes() if path.exists() else b""
    if hashlib.sha256(content).hexdigest() != GOALS_SHA256:
        raise SimulatorVersionError(
            f"the goals {path} are missing or damaged. They ship with the project: git checkout -- {path}"
        )
    return dict(load(content))


class MetaWorld45(Family):
    """Learn a new manipulation task: meta-train on 45, meta-test on five."""

    name = "ml45"
    parameter = "manipulation task of Meta-World"
    environment = "benchmark.families.metaworld_environment:MetaWorldEnvironment"
    horizon = 500
    observation_size = 39
    action_size = 4
    dynamics_differ = True
    has_success = True
    ends_early = False
    steps_in_python = True
    recording_lanes = 256
    further_requirements = (f"metaworld=={METAWORLD_VERSION}",)
    goals = GOALS
    meta_steps = 10_000

    @cached_property
    def parameters(self) -> Array:
        """(task,), each task's own number; `task_text` gives its name."""
        return np.arange(len(CLASSES), dtype=np.float64)

    def task_text(self, task: int) -> str:
        """Meta-World's name without its version, such as `door-lock`."""
        return CLASSES[task].removesuffix("-v3")

    def more_splits(self) -> dict[str, Split]:
        """`standard` is ML45; `tuning` holds out five of its train classes."""
        numbers, train = range(len(CLASSES)), len(TRAIN)
        return {
            "standard": holding_out(numbers, range(train, len(CLASSES))),
            "tuning": holding_out(range(train), (7, 12, 22, 31, 41)),
        }

    def require_simulator(self) -> None:
        """Raise SimulatorVersionError unless MuJoCo and Meta-World of the standard are installed."""
        require_metaworld()
        require_mujoco()

    @property
    def control_step(self) -> float:
        """Five sub-steps of 0.0025 s."""
        return 0.0125

    @property
    def observation_scale(self) -> Array:
        """All of order one already: positions in metres, quaternions, the gripper's opening."""
        return np.ones(39)

    def reset(self, random: np.random.Generator) -> tuple[Array, Array]:
        """A random goal's number, ([goal], [])."""
        return self.at_goal(int(random.integers(GOALS)))

    def episode_start(self, random: np.random.Generator, number: int) -> tuple[Array, Array]:
        """Goals in turn: episode `number` has goal `number` modulo 50."""
        return self.at_goal(number % GOALS)

    def at_goal(self, goal: int) -> tuple[Array, Array]:
        """The initial state of episodes with this goal; raises UnknownNameError where there is no such goal."""
        self._check_goal(goal)
        return np.array([float(goal)]), np.zeros(0)

    def _check_goal(self, goal: int) -> None:
        if goal not in range(GOALS):
            raise UnknownNameError(f"goal of {self.name}", str(goal), [f"0 to {GOALS - 1}"])

    def goal_vector(self, task: int, goal: int) -> Array:
        """What Meta-World calls the `rand_vec`, (3,) or (6,); raises UnknownNameError where there is no such goal."""
        self._check_goal(goal)
        vector: Array = goal_vectors()[CLASSES[task]][goal]
        return vector

    def simulation(
        self, tasks: Sequence[int] | NDArray[np.int64], threads: int | None = None
    ) -> "Simulation":
        """Meta-World's environments, stepped by `threads` processes (0: in the calling thread)."""
        self.require_simulator()
        from benchmark.families.metaworld_simulation import MetaWorldSimulation

        return MetaWorldSimulation(self, tasks, threads)

    def script(self, task: int) -> "Script":
        """The expert that Meta-World ships for the task: observation with the goal shown (39,) to action (4,)."""
        self.require_simulator()
        from benchmark.families.metaworld_arena import script

        return script(CLASSES[task])
