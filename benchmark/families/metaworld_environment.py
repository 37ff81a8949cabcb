"""The Gymnasium view of `ml45`: `gymnasium.make("ml45-v1", task=45)`."""

from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from benchmark import families
from benchmark.families.family import Array
from benchmark.families.ml45 import CLASSES, MetaWorld45


class MetaWorldEnvironment(gymnasium.Env[NDArray[np.float32], NDArray[np.float32]]):
    """One task of the family, a random goal in each episode.

    `reset(options={"task": 46, "goal": 3})` chooses another task, for this and the following episodes, and the goal of
    this one. `info` holds `task`, `goal` and, after a step, `success`.
    """

    metadata = {"render_modes": []}

    def __init__(self, family: str, task: int = 0) -> None:
        """Raises SimulatorVersionError without `metaworld`, UnknownNameError for a task that there is not."""
        known = families.family(family)
        assert isinstance(known, MetaWorld45)
        known.require_simulator()
        self.family, self.goal = known, 0
        size = (known.observation_size,)
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, size, np.float32)
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (known.action_size,), np.float32)
        self._choose(task)

    def _choose(self, task: int) -> None:
        from benchmark.families.metaworld_arena import Arena, Model

        self.task = self.family.check_task(task)
        self._arena = Arena(Model(CLASSES[self.task]))

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Start an episode."""
        super().reset(seed=seed)
        chosen = options or {}
        if chosen.get("task", self.task) != self.task:
            self._choose(chosen["task"])
        start = self.family.reset(self.np_random)
        observation = self.set_state(*(self.family.at_goal(chosen["goal"]) if "goal" in chosen else start))
        return observation, {"task": self.task, "goal": self.goal}

    def set_state(self, qpos: Array, qvel: Array) -> NDArray[np.float32]:
        """Start an episode from this initial state of the family, ([goal], []); returns the observation."""
        goal = int(qpos[0])
        observation = self._arena.start(self.family.goal_vector(self.task, goal))
        self.goal = goal
        return observation

    def step(
        self, action: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """One control step; the time limit is applied by `gymnasium.make` (TimeLimit wrapper).

        Raises ValueError for an action of another shape, or that is not finite.
        """
        observation, reward, success = self._arena.step(self.family.check_action(action))
        info = {"task": self.task, "goal": self.goal, "success": success}
        return observation, reward, False, False, info
