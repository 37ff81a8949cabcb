"""Batch simulation: many (task, episode) lanes of one family stepped at once through `mujoco.rollout`.

Lanes are independent of one another and of the number of threads, bit for bit.
"""

from collections.abc import Sequence
from types import TracebackType

import mujoco
import numpy as np
from mujoco.rollout import Rollout
from numpy.typing import NDArray

from benchmark.families.family import Array, BodyFamily, State
from benchmark.families.stepping import Step, cores


class BatchSimulation:
    """Lanes of one family; lane i simulates task `tasks[i]`."""

    def __init__(
        self, family: BodyFamily, tasks: Sequence[int] | NDArray[np.int64], threads: int | None = None
    ):
        """`threads`: worker threads of the simulator (default: all cores; 0: the calling thread)."""
        self.family = family
        self.tasks = np.asarray(tasks, dtype=np.int64)
        self._threads = cores() if threads is None else threads
        self._rollout = Rollout(nthread=self._threads)
        models = {int(task): family.model(int(task)) for task in np.unique(self.tasks)}
        self._models = [models[int(task)] for task in self.tasks]
        self._data = [mujoco.MjData(self._models[0]) for _ in range(max(1, self._threads))]
        model = self._models[0]
        self._positions, self._velocities = model.nq, model.nv
        self._full = np.zeros((len(self.tasks), 1 + model.nq + model.nv))
        self.state = State(np.empty(0), np.empty(0), np.empty(0))

    @property
    def lanes(self) -> int:
        """Number of lanes."""
        return len(self.tasks)

    @property
    def hidden(self) -> Array:
        """(lane, 0): observations of a body tell all that its behaviour knows."""
        return np.zeros((self.lanes, 0))

    def reset(self, qpos: Array, qvel: Array) -> NDArray[np.float32]:
        """Put all lanes into these states, (lane, position) and (lane, velocity); returns observations."""
        self._full = np.concatenate([np.zeros((self.lanes, 1)), qpos, qvel], axis=1)
        self.state = State(qpos.copy(), qvel.copy(), self.family.torso_position(qpos))
        return self.family.observation(self.state).astype(np.float32)

    def restart(self, lanes: NDArray[np.int64], qpos: Array, qvel: Array) -> NDArray[np.float32]:
        """Put only these lanes into these states; returns the observations of all lanes."""
        self._full[lanes] = np.concatenate([np.zeros((len(lanes), 1)), qpos, qvel], axis=1)
        for array, value in zip(self.state, (qpos, qvel, self.family.torso_position(qpos)), strict=True):
            array[lanes] = value
        return self.family.observation(self.state).astype(np.float32)

    def step(self, actions: NDArray[np.floating]) -> Step:
        """One control step of all lanes with actions (lane, action) in [-1, 1]."""
        family, before = self.family, self.state
        exact: Array = np.asarray(actions, dtype=np.float64)
        trajectory, _ = self._rollout.rollout(
            self._models,
            self._data,
            self._full,
            np.repeat(exact[:, None], family.frame_skip, axis=1),
            skip_checks=True,
            nstep=family.frame_skip,
            state=np.empty((self.lanes, family.frame_skip, self._full.shape[1])),
            sensordata=np.empty((self.lanes, family.frame_skip, 0)),
            control_spec=int(mujoco.mjtState.mjSTATE_CTRL),
        )
        self._full = trajectory[:, -1].copy()
        first = 1 + self._positions
        self.state = State(
            self._full[:, 1:first].copy(),
            self._full[:, first:].copy(),
            family.torso_position(trajectory[:, -2, 1:first]),
        )
        rewards = family.reward(family.parameters[self.tasks], before, exact, self.state)
        return Step(family.observation(self.state).astype(np.float32), rewards, family.terminated(self.state))

    def keep(self, lanes: NDArray[np.int64]) -> None:
        """Drop all lanes but these, in this order."""
        self.tasks = self.tasks[lanes]
        self._models = [self._models[int(lane)] for lane in lanes]
        self._full = self._full[lanes]
        self.state = State(*(array[lanes] for array in self.state))

    def close(self) -> None:
        """End the worker threads."""
        self._rollout.close()

    def __enter__(self) -> "BatchSimulation":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
