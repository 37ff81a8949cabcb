"""Behaviour cloning on everything, told nothing of the task: a reference, not a meta-learner.

    loss     - mean log N(a; mu(s), 0.2^2 I) over transitions of all train tasks

The context is not looked at, so the adapted policy is the un-adapted one. What a meta-learner gains over it, it gains
by adapting.
"""

from dataclasses import dataclass
from typing import Any

import torch

from benchmark.algorithm import (
    Algorithm,
    AlgorithmConfig,
    FamilyDescription,
    Metrics,
    Policy,
    TrainingData,
    Transitions,
)
from macaw.awr import gradients, leaf
from macaw.losses import imitation_loss
from macaw.networks import layer_sizes, new_network, policy_means
from macaw.optimizer import Adam
from macaw.policies import deterministic_policy
from macaw.state import Stateful
from macaw.validation import check_count, check_positive


@dataclass(frozen=True)
class BehaviourCloningConfig(AlgorithmConfig):
    """Hyper-parameters; sizes are those of the methods that it stands beside."""

    tasks_per_step: int = 5
    """Train tasks per step."""
    batch: int = 256
    """Transitions per task."""
    learning_rate: float = 1e-3
    """Adam's learning rate."""
    hidden_size: int = 100
    """Units of a hidden layer."""
    hidden_layers: int = 3
    """Hidden layers."""
    action_std: float = 0.2
    """Standard deviation of the policy in its likelihood."""

    def __post_init__(self) -> None:
        """ValueError where a value is out of range."""
        check_count(self, 1, "tasks_per_step", "batch", "hidden_size", "hidden_layers")
        check_positive(self, "learning_rate", "action_std")


class BehaviourCloning(Stateful, Algorithm):
    """Behaviour cloning; see the text at the top of this file."""

    name, version = "behaviour-cloning", 1
    Config = BehaviourCloningConfig
    fixed_steps = True

    def __init__(
        self,
        config: BehaviourCloningConfig,
        family: FamilyDescription,
        device: torch.device,
        random: torch.Generator,
    ) -> None:
        """Build the policy, drawn from `random` on `device`, and its optimizer."""
        self.config, self.family = config, family
        sizes = (family.observation_size, config.hidden_size, config.hidden_layers, family.action_size)
        self._policy = new_network(layer_sizes(*sizes), None, random)
        self._adam = Adam(self._policy.tensors(), config.learning_rate)

    def update(self, data: TrainingData) -> Metrics:
        """One step on a batch of some train tasks."""
        batch = data.transitions(data.sample_tasks(self.config.tasks_per_step), self.config.batch)
        policy = self._policy.map(leaf)
        means = policy_means(policy.repeated(batch.tasks), batch.observations)
        loss = imitation_loss(means, batch.actions, self.config.action_std).mean()
        self._adam.step(gradients(loss, policy))
        return {"loss": loss.detach()}

    def adapt(self, context: Transitions) -> Policy:
        """The same policy for every task, whatever the context."""
        self.family.check_context(context)
        return deterministic_policy(self._policy.repeated(context.tasks))

    def _state(self) -> dict[str, Any]:
        return {"policy": self._policy.tensors(), "adam": self._adam.state()}
