"""What a task family is: tasks, splits, simulation; and, for MuJoCo bodies, physics as functions on arrays.

A family of a new body is one subclass of `BodyFamily` in a file of its own. The two views of it, a Gymnasium
environment (`environment.py`) and a batch simulation (`simulation.py`), both call its functions. A family that brings
a simulator of its own, as Meta-World does (`ml45.py`), is a subclass of `Family` and names its two views itself.

    one control step:   state --frame_skip times mj_step--> state'
                        the torso position in state' is the one before the last of those sub-steps

The torso position lags one sub-step behind `qpos`. With Euler's integrator that is how `mj_step` leaves `xpos`; with
the ants' Runge-Kutta it leaves it at the last stage, nearly where `qpos` is, so their rewards are some hundredths a
step, and up to some tenths, from those of Gymnasium's ant. The constraint solver starts cold in every control step, so
the next state is a function of state and action alone, in both views.
"""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import gymnasium
import mujoco
import numpy as np
from numpy.typing import ArrayLike, NDArray

from benchmark.errors import SimulatorVersionError, UnknownNameError

if TYPE_CHECKING:
    from benchmark.families.stepping import Simulation

MUJOCO_VERSION = "3.3.0"
"""The simulator of this version of the standard: another one gives other trajectories."""

Array = NDArray[np.float64]


class State(NamedTuple):
    """Physical state of any number of bodies at once."""

    qpos: Array
    """(..., position)"""
    qvel: Array
    """(..., velocity)"""
    torso: Array
    """(..., 3), position of the torso in metres, one sub-step before `qpos`."""


@dataclass(frozen=True)
class Split:
    """Task numbers to meta-train on and task numbers to meta-test on."""

    train: tuple[int, ...]
    test: tuple[int, ...]


def holding_out(tasks: Iterable[int], test: Iterable[int]) -> Split:
    """These tasks without the test tasks to train on, and the test tasks."""
    held_out = tuple(sorted(test))
    return Split(tuple(task for task in tasks if task not in held_out), held_out)


@cache
def published_tasks() -> dict[str, Any]:
    """Task parameters and splits of the paper's families, as the authors released them."""
    content: dict[str, Any] = json.loads(Path(__file__).with_name("published_tasks.json").read_text())
    return content


def require_mujoco() -> None:
    """Raise SimulatorVersionError unless the MuJoCo of the standard is installed."""
    if mujoco.__version__ != MUJOCO_VERSION:
        raise SimulatorVersionError(
            f"MuJoCo {mujoco.__version__} is installed, but these families are defined on {MUJOCO_VERSION}: "
            f"another version gives other trajectories. Install it with: pip install mujoco=={MUJOCO_VERSION}"
        )


def read_body(file_name: str, sha256: str) -> str:
    """MJCF text of a Gymnasium body; raises SimulatorVersionError where the file is not the standard's."""
    require_mujoco()
    path = Path(gymnasium.__file__).parent / "envs" / "mujoco" / "assets" / file_name
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise SimulatorVersionError(
            f"{path} is not the body that the families are defined on (gymnasium {gymnasium.__version__}). "
            "Install the version in pyproject.toml: pip install gymnasium==1.4.0"
        )
    return content.decode()


class Family(ABC):
    """A family of tasks: what they are, how they are split, and which simulation steps them."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    parameter: ClassVar[str]
    """What a task's parameter means, with its unit."""
    environment: ClassVar[str]
    """`module:Class` of the Gymnasium view."""
    horizon: ClassVar[int] = 200
    """Steps after which an episode is truncated; never a termination."""
    observation_size: ClassVar[int]
    action_size: ClassVar[int]
    dynamics_differ: ClassVar[bool] = False
    has_success: ClassVar[bool] = False
    """Whether episodes succeed or fail; the score is then the success rate, and returns stand beside it."""
    steps_in_python: ClassVar[bool] = False
    """Whether steps are computed in Python, so that only processes, not threads, compute them side by side."""
    ends_early: ClassVar[bool] = True
    """Whether an episode can end before the horizon, in a true terminal state."""
    frames_alike: ClassVar[bool] = True
    """Whether tasks seen in their frames, where there are any, are exactly one task (`turning.py`), not nearly."""
    recording_lanes: ClassVar[int] = 1024
    """Episodes that recording simulates at once, by all threads or processes together."""
    further_requirements: ClassVar[tuple[str, ...]] = ()
    """Packages beside MuJoCo and Gymnasium that its simulation needs, as pip takes them."""
    goals: ClassVar[int] = 0
    """Goals per task that counted episodes go through in turn; 0 where tasks have none."""
    meta_steps: ClassVar[int]
    """Meta-training steps of a run of which nothing else is said."""

    @cached_property
    def parameters(self) -> Array:
        """Task parameters, (task, ...), in the order of the standard; here the published ones."""
        return np.array(published_tasks()[self.name]["tasks"], dtype=np.float64)

    @cached_property
    def splits(self) -> Mapping[str, Split]:
        """Named splits of the tasks: the published ones and those that a subclass adds."""
        return self.published_splits | self.more_splits()

    @cached_property
    def published_splits(self) -> dict[str, Split]:
        """The splits of Mitchell et al.; none for a family that is not theirs."""
        published = published_tasks().get(self.name, {"splits": {}})["splits"]
        return {
            key: Split(tuple(sorted(value["train"])), tuple(sorted(value["test"])))
            for key, value in published.items()
        }

    @abstractmethod
    def more_splits(self) -> dict[str, Split]:
        """Splits beyond the published ones; at least `standard`, and `tuning`, which spares its test tasks."""

    def task_text(self, task: int) -> str:
        """The task's parameter in a few characters, for tables."""
        return " ".join(f"{value:.4g}" for value in self.parameters[task].reshape(-1))

    @property
    def id(self) -> str:
        """Identity with version: of data, of results, and of the Gymnasium environment."""
        return f"{self.name}-v{self.version}"

    @property
    def tasks(self) -> int:
        """Number of tasks."""
        return len(self.parameters)

    def split(self, name: str) -> Split:
        """The split of that name; raises UnknownNameError with a hint otherwise."""
        if name not in self.splits:
            raise UnknownNameError(f"split of {self.name}", name, self.splits)
        return self.splits[name]

    def check_task(self, task: int) -> int:
        """The task's number; raises UnknownNameError where there is no such task."""
        if task not in range(self.tasks):
            raise UnknownNameError(f"task of {self.name}", str(task), [f"0 to {self.tasks - 1}"])
        return int(task)

    def check_action(self, action: ArrayLike) -> Array:
        """The action (action,) in double precision; raises ValueError for one of another shape, or not finite.

        NumPy would broadcast one number to all joints.
        """
        exact = np.asarray(action).astype(np.float64)
        if exact.shape != (self.action_size,) or not np.isfinite(exact).all():
            raise ValueError(
                f"{self.name} takes actions of {self.action_size} finite numbers, not {action!r}."
            )
        return exact

    def require_simulator(self) -> None:
        """Raise SimulatorVersionError unless what simulates this family is installed in the standard's version."""
        require_mujoco()

    @property
    @abstractmethod
    def control_step(self) -> float:
        """Seconds of simulated time per environment step."""

    @property
    @abstractmethod
    def observation_scale(self) -> Array:
        """Fixed factors (observation,) that bring observations to the order of one.

        Behaviour agents and algorithms see observations multiplied by them; data and environments are raw.
        """

    @abstractmethod
    def reset(self, random: np.random.Generator) -> tuple[Array, Array]:
        """A random initial (qpos, qvel) of one episode."""

    def episode_start(self, random: np.random.Generator, number: int) -> tuple[Array, Array]:
        """The initial (qpos, qvel) of episode `number` of a task, where episodes are counted.

        A family whose tasks have goals goes through them in turn.
        """
        return self.reset(random)

    @abstractmethod
    def simulation(
        self, tasks: Sequence[int] | NDArray[np.int64], threads: int | None = None
    ) -> "Simulation":
        """Lanes of which lane i simulates task `tasks[i]`.

        `threads`: worker threads or processes (default: all cores; 0: the calling thread).
        """


class BodyFamily(Family):
    """A MuJoCo body: subclasses say what is simulated, seen and rewarded."""

    environment = "benchmark.families.environment:TaskEnvironment"
    frame_skip: ClassVar[int]

    @property
    def control_step(self) -> float:
        """Seconds of simulated time per environment step."""
        return float(self.model(0).opt.timestep) * self.frame_skip

    @abstractmethod
    def model(self, task: int) -> mujoco.MjModel:
        """The compiled MuJoCo model of a task; the same object for tasks of the same dynamics."""

    @abstractmethod
    def torso_position(self, qpos: Array) -> Array:
        """World position (..., 3) of the torso at `qpos` (..., position), in metres."""

    @abstractmethod
    def observation(self, state: State) -> Array:
        """Observations (..., observation) of a state."""

    @abstractmethod
    def reward(self, parameters: Array, before: State, actions: Array, after: State) -> Array:
        """Rewards (...) of a control step of tasks with these parameters (..., as in `parameters`)."""

    def task_frame(self, task: int) -> tuple[Array, Array] | None:
        """M (observation, observation) and c (observation,): o M + c is observation o in the frame of this task.

        Seen in their frames all tasks are one: same transitions, rewards and terminations, so that one agent can learn
        from all. None where a family gives no frames.
        """
        return None

    def terminated(self, after: State) -> NDArray[np.bool_]:
        """Whether the state is a true terminal state, (...); by default none that stepping leads to.

        One that is not finite would be, but MuJoCo puts such a body back to its initial state itself and goes on.
        """
        finite = np.isfinite(after.qpos).all(-1) & np.isfinite(after.qvel).all(-1)
        return np.asarray(~finite)

    def simulation(
        self, tasks: Sequence[int] | NDArray[np.int64], threads: int | None = None
    ) -> "Simulation":
        """The batch simulation of `mujoco.rollout`."""
        from benchmark.families.simulation import BatchSimulation

        return BatchSimulation(self, tasks, threads)
