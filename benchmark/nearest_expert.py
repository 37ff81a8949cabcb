"""Nearest expert: the train task's expert whose actions are likeliest on the context. A reference, not a meta-learner.

    context (s, a)_n --log-density under the last snapshot of each train task--> the likeliest one acts

It looks up the shipped behaviour policies, which no method is given, so it stands in the suite. It learns nothing, and
without a context it acts as all experts do on average. Any meta-learner should beat it.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmark import families
from benchmark.algorithm import (
    Algorithm,
    AlgorithmConfig,
    FamilyDescription,
    Metrics,
    Policy,
    TrainingData,
    Transitions,
)
from benchmark.data.behaviour import GRID, Policies, squashed_gaussian_log_probs
from benchmark.data.sampler import Sampler
from benchmark.data.shipped import is_in_a_file, shipped_behaviour
from benchmark.errors import AlgorithmError, ConfigError
from benchmark.families.stepping import Array


class NearestExpert(Algorithm):
    """Nearest expert; see the text at the top of this file."""

    name, version = "nearest-expert", 1

    def __init__(
        self,
        config: AlgorithmConfig,
        family: FamilyDescription,
        device: torch.device,
        random: torch.Generator,
    ) -> None:
        """Raises ConfigError where the family's behaviour is scripted: scripts know the goal, a policy may not."""
        self._family = families.family(family.name.rpartition("-v")[0])
        if not is_in_a_file(self._family):
            raise ConfigError(
                f"the experts of {family.name} are scripts that are told the goal, so none is looked up."
            )
        self._device = device
        self.tasks: list[int] = []

    def update(self, data: TrainingData) -> Metrics:
        """Note which tasks may be looked up: those of the training data."""
        if not isinstance(data, Sampler):
            raise AlgorithmError(
                f"{self.name} looks up the train tasks of a run, so it is not to be had without one."
            )
        self.tasks = list(data.task_numbers)
        return {"loss": torch.zeros(())}

    def likeliest(self, context: Transitions) -> list[int]:
        """The number of the train task, for each task of the context, whose expert is likeliest to have acted so."""
        experts = self._experts(self.tasks)
        scale = torch.as_tensor(self._family.observation_scale, dtype=torch.float32, device=self._device)
        found = []  # task after task: all at once takes as long or longer, and more memory
        for observations, actions in zip(context.observations / scale, context.actions, strict=True):
            seen = np.broadcast_to(_array(observations), (len(self.tasks), *observations.shape))
            mean, std = experts.distribution(seen, np.zeros((*seen.shape[:2], 0)))
            inside = np.clip(_array(actions).astype(np.float64), GRID - 1, 1 - GRID)
            found.append(self.tasks[int(squashed_gaussian_log_probs(inside, mean, std).sum(1).argmax())])
        return found

    def adapt(self, context: Transitions) -> Policy:
        """The likeliest expert's mean action; the average over all experts where the context is empty."""
        if context.size == 0:
            return self._average(self.tasks)
        return self._each_by_its_own(self.likeliest(context))

    def state(self) -> dict[str, Any]:
        """The train tasks."""
        return {"tasks": list(self.tasks)}

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore what `state` gave."""
        self.tasks = list(state["tasks"])

    def _experts(self, tasks: Sequence[int]) -> Policies:
        behaviour = shipped_behaviour(self._family)
        return behaviour.policy(np.array(tasks), np.full(len(tasks), behaviour.last))

    def _each_by_its_own(self, tasks: Sequence[int]) -> Policy:
        """For the k-th task the mean action of the expert of `tasks[k]`."""
        experts = self._experts(tasks)
        return self._policy(lambda raw: _mean_actions(experts, raw))

    def _average(self, tasks: Sequence[int]) -> Policy:
        """For every task the average of these tasks' experts, each of which acts in all tasks' lanes at once."""
        experts = self._experts(tasks)

        def act(raw: NDArray[np.float32]) -> Array:
            rows = raw.reshape(1, -1, raw.shape[-1])
            actions = _mean_actions(experts, np.broadcast_to(rows, (len(tasks), *rows.shape[1:])))
            average: Array = actions.mean(0).reshape(*raw.shape[:2], -1)
            return average

        return self._policy(act)

    def _policy(self, act: Callable[[NDArray[np.float32]], Array]) -> Policy:
        """What acts so on raw observations, as a policy on those that methods see."""
        scale = torch.as_tensor(self._family.observation_scale, dtype=torch.float32, device=self._device)
        return lambda observations: torch.as_tensor(
            act(_array(observations / scale)), dtype=torch.float32, device=self._device
        )


def _mean_actions(experts: Policies, raw: NDArray[np.float32]) -> Array:
    """Mean actions (group, lane, action) on raw observations (group, lane, observation)."""
    mean, _ = experts.distribution(raw, np.zeros((*raw.shape[:2], 0)))
    actions: Array = np.tanh(mean)
    return actions


def _array(tensor: Tensor) -> NDArray[np.float32]:
    found: NDArray[np.float32] = tensor.detach().cpu().numpy()
    return found
