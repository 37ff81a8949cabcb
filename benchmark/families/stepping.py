"""What every simulation of a family gives and can do, whatever steps it: MuJoCo alone, or Meta-World."""

import os
from types import TracebackType
from typing import NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Step(NamedTuple):
    """What one control step of all lanes gives."""

    observations: NDArray[np.float32]
    """(lane, observation), of the state after the step."""
    rewards: Array
    """(lane,)"""
    terminated: NDArray[np.bool_]
    """(lane,), true terminal states only; the time limit is the caller's."""
    successes: NDArray[np.bool_] | None = None
    """(lane,), whether the task is solved in that state; None where a family does not know success."""


class Simulation(Protocol):
    """Many (task, episode) lanes of one family, stepped at once; independent of one another and of threads.

    An initial state is (qpos, qvel), as the family's `reset` gives it; what the numbers mean is the family's own.
    """

    @property
    def lanes(self) -> int:
        """Number of lanes."""
        ...

    @property
    def hidden(self) -> Array:
        """(lane, hidden), what behaviour may know of each lane's episode and observations do not tell."""
        ...

    def reset(self, qpos: Array, qvel: Array) -> NDArray[np.float32]:
        """Put all lanes into these states, (lane, position) and (lane, velocity); returns observations."""
        ...

    def restart(self, lanes: NDArray[np.int64], qpos: Array, qvel: Array) -> NDArray[np.float32]:
        """Put only these lanes into these states; returns the observations of all lanes."""
        ...

    def step(self, actions: NDArray[np.floating]) -> Step:
        """One control step of all lanes with actions (lane, action) in [-1, 1]."""
        ...

    def keep(self, lanes: NDArray[np.int64]) -> None:
        """Drop all lanes but these, in this order."""
        ...

    def close(self) -> None:
        """End the worker threads or processes."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def cores() -> int:
    """Number of processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
