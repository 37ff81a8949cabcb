"""The Gymnasium view of a family: `gymnasium.make("cheetah-vel-v1", task=7)`."""

from typing import Any

import gymnasium
import mujoco
import numpy as np
from numpy.typing import NDArray

from benchmark import families
from benchmark.families.family import BodyFamily, State


class TaskEnvironment(gymnasium.Env[NDArray[np.float32], NDArray[np.float32]]):
    """One task of a family; choose another with `reset(options={"task": 12})`."""

    metadata = {"render_modes": []}

    def __init__(self, family: str, task: int = 0) -> None:
        known = families.family(family)
        assert isinstance(known, BodyFamily)
        self.family = known
        self.task = known.check_task(task)
        size = (self.family.observation_size,)
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, size, np.float32)
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (self.family.action_size,), np.float32)
        self._model = self.family.model(self.task)
        self._data = mujoco.MjData(self._model)
        self._torso = np.zeros(3)

    def _state(self) -> State:
        return State(self._data.qpos.copy(), self._data.qvel.copy(), self._torso.copy())

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Start an episode; `options["task"]` changes the task for this and the following episodes."""
        super().reset(seed=seed)
        if options and "task" in options:
            self.task = self.family.check_task(options["task"])
            self._model = self.family.model(self.task)
            self._data = mujoco.MjData(self._model)
        return self.set_state(*self.family.reset(self.np_random)), {"task": self.task}

    def set_state(self, qpos: NDArray[np.float64], qvel: NDArray[np.float64]) -> NDArray[np.float32]:
        """Put the body into this state, (position,) and (velocity,); returns the observation."""
        mujoco.mj_resetData(self._model, self._data)
        self._data.qpos[:], self._data.qvel[:] = qpos, qvel
        mujoco.mj_forward(self._model, self._data)
        self._torso = self.family.torso_position(self._data.qpos)
        return self.family.observation(self._state()).astype(np.float32)

    def step(
        self, action: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """One control step; the time limit is applied by `gymnasium.make` (TimeLimit wrapper).

        Raises ValueError for an action of another shape, or that is not finite.
        """
        exact = self.family.check_action(action)
        before = self._state()
        self._data.ctrl[:] = exact
        self._data.qacc_warmstart[:] = 0.0
        for _ in range(self.family.frame_skip):
            self._torso = self.family.torso_position(self._data.qpos)
            mujoco.mj_step(self._model, self._data)
        after = self._state()
        reward = float(self.family.reward(self.family.parameters[self.task], before, exact, after))
        observation = self.family.observation(after).astype(np.float32)
        return observation, reward, bool(self.family.terminated(after)), False, {"task": self.task}
