"""Multi-task AWR with fine-tuning: one policy that is told the train task, and gradient steps at test.

The baseline "Offline MT + FT" of Mitchell et al., "Offline Meta-Reinforcement Learning with Advantage
Weighting", ICML 2021. Policy and V read the observation and a one-hot identity over the train tasks' slots,
which is all zeros for a task that is not known; plain layers with a learned bias transform.

    value     mean (V(s) - R)^2
    policy    L_AWR = - mean w log N(a; mu(s), 0.2^2 I),   w from A = R + gamma^k V(s_end) - V(s)

The losses are summed over the sampled tasks and divided by the number of train tasks. At test, each task
fine-tunes a copy of both networks on its context: alternating Adam steps, V first.
"""

from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from benchmark.algorithm import (
    Algorithm,
    AlgorithmConfig,
    FamilyDescription,
    Metrics,
    Policy,
    TrainingData,
    Transitions,
)
from macaw import losses
from macaw.networks import Network, layer_sizes, new_network, policy_means, values
from macaw.optimizer import Adam
from macaw.policies import deterministic_policy, exploring_policy
from macaw.state import restore, saved
from macaw.validation import check_count, check_positive, check_range


@dataclass(frozen=True)
class MultitaskAWRConfig(AlgorithmConfig):
    """Hyper-parameters, by default the published ones."""

    tasks_per_step: int = 5
    """Train tasks per step."""
    batch: int = 256
    """Transitions per task."""
    policy_lr: float = 1e-4
    """Adam's learning rate for the policy in training."""
    value_lr: float = 1e-5
    """Adam's learning rate for the value network in training."""
    adaptation_steps: int = 20
    """Alternating fine-tuning steps on the context of a test task; 0 for none."""
    adaptation_policy_lr: float = 1e-3
    """Adam's learning rate for the policy in fine-tuning."""
    adaptation_value_lr: float = 1e-5
    """Adam's learning rate for the value network in fine-tuning."""
    hidden_size: int = 100
    """Units of a hidden layer."""
    hidden_layers: int = 3
    """Hidden layers of each network."""
    action_std: float = 0.2
    """Standard deviation of the policy in its likelihood."""
    exploration_std: float = 0.2
    """Standard deviation of the noise with which `explore` acts."""
    weight_limit: float = 20.0
    """Largest advantage weight."""

    def __post_init__(self) -> None:
        """ValueError where a value is out of range."""
        check_count(self, 1, "tasks_per_step", "batch", "hidden_size", "hidden_layers")
        check_count(self, 0, "adaptation_steps")
        check_positive(self, "policy_lr", "value_lr", "adaptation_policy_lr", "adaptation_value_lr")
        check_positive(self, "action_std", "weight_limit")
        check_range(self, 0.0, 1.0, "discount", "exploration_std")


@dataclass(frozen=True)
class TrainStep:
    """What one training step computes before the optimizers move anything."""

    losses: dict[str, Float[Tensor, " task"]]
    """Losses of the sampled tasks, by name."""
    value: list[Tensor]
    """Gradients (of the sum over tasks / train tasks) of the value network's tensors."""
    policy: list[Tensor]
    """Gradients of the policy's tensors."""


class MultitaskAWR(Algorithm):
    """Multi-task AWR with fine-tuning; see the text at the top of this file."""

    name, version = "multitask-awr", 1
    Config = MultitaskAWRConfig

    def __init__(
        self,
        config: MultitaskAWRConfig,
        family: FamilyDescription,
        device: torch.device,
        random: torch.Generator,
    ) -> None:
        """Build both networks, drawn from `random`, and their optimizers on `device`."""
        self.config, self.family, self._random = config, family, random
        inputs, hidden = family.observation_size + family.train_tasks, config.hidden_size
        value = layer_sizes(inputs, hidden, config.hidden_layers, 1)
        policy = layer_sizes(inputs, hidden, config.hidden_layers, family.action_size)
        self._value = new_network(value, None, random)
        self._policy = new_network(policy, None, random)
        self._value_adam = Adam(self._value.tensors(), config.value_lr)
        self._policy_adam = Adam(self._policy.tensors(), config.policy_lr)
        self._identities = torch.eye(family.train_tasks, device=device)

    def update(self, data: TrainingData) -> Metrics:
        """One step: draw tasks, a batch of each, and move both networks."""
        tasks = data.sample_tasks(self.config.tasks_per_step)
        step = self.train_step(data.transitions(tasks, self.config.batch), tasks)
        self._value_adam.step(step.value)
        self._policy_adam.step(step.policy)
        metrics = {name: loss.mean() for name, loss in step.losses.items()}
        return {"loss": metrics["value_loss"] + metrics["policy_loss"], **metrics}

    def train_step(self, batch: Transitions, tasks: Int[Tensor, " task"]) -> TrainStep:
        """Losses and gradients of a batch of the tasks in the given slots; nothing is changed."""
        batch = _identified(batch, self._identities[tasks])
        value, policy = self._value.map(_leaf), self._policy.map(_leaf)
        value_losses = self._value_losses(value, batch)
        policy_losses = self._policy_losses(policy, value, batch)
        return TrainStep(
            losses={"value_loss": value_losses.detach(), "policy_loss": policy_losses.detach()},
            value=_gradients(value_losses.sum() / self.family.train_tasks, value),
            policy=_gradients(policy_losses.sum() / self.family.train_tasks, policy),
        )

    def adapt(self, context: Transitions) -> Policy:
        """Fine-tune copies of both networks; where the context is empty, the policy of an unknown task."""
        nobody = self._identities.new_zeros(context.tasks, self.family.train_tasks)
        policy = self._fine_tuned(_identified(context, nobody)) if context.size else self._policy
        act = deterministic_policy(policy.repeated(context.tasks))
        return lambda observations: act(_with_identity(observations, nobody))

    def explore(self, context: Transitions) -> Policy:
        """The adapted policy with Gaussian noise."""
        return exploring_policy(self.adapt(context), self.config.exploration_std, self._random)

    def state(self) -> dict[str, Any]:
        """Learned tensors and the optimizers' moments."""
        return saved(self._state())

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore what `state` gave; ValueError where it is of another configuration or incomplete."""
        restore(self._state(), state)

    def _state(self) -> dict[str, Any]:
        return {
            "value": self._value.tensors(),
            "policy": self._policy.tensors(),
            "value_adam": self._value_adam.state(),
            "policy_adam": self._policy_adam.state(),
        }

    def _fine_tuned(self, context: Transitions) -> Network:
        """The policy after the fine-tuning steps, with a task dimension in every tensor."""

        def copies(tensor: Tensor) -> Tensor:
            return _leaf(tensor.expand(context.tasks, *tensor.shape).clone())

        value, policy = self._value.map(copies), self._policy.map(copies)
        value_adam = Adam(value.tensors(), self.config.adaptation_value_lr)
        policy_adam = Adam(policy.tensors(), self.config.adaptation_policy_lr)
        with torch.enable_grad():
            for _ in range(self.config.adaptation_steps):
                value_adam.step(_gradients(self._value_losses(value, context).sum(), value))
                policy_adam.step(_gradients(self._policy_losses(policy, value, context).sum(), policy))
        return policy

    def _value_losses(self, value: Network, batch: Transitions) -> Float[Tensor, " task"]:
        return losses.value_loss(values(value.repeated(batch.tasks), batch.observations), batch.returns)

    def _policy_losses(self, policy: Network, value: Network, batch: Transitions) -> Float[Tensor, " task"]:
        with torch.no_grad():
            layers = value.repeated(batch.tasks)
            targets = losses.bootstrapped_returns(
                batch.returns, batch.final_discounts, values(layers, batch.final_observations)
            )
            advantages = targets - values(layers, batch.observations)
            weights = losses.advantage_weights(advantages, self.config.weight_limit)
        means = policy_means(policy.repeated(batch.tasks), batch.observations)
        return losses.advantage_weighted_loss(means, batch.actions, weights, self.config.action_std)


def _identified(batch: Transitions, identities: Float[Tensor, "task slot"]) -> Transitions:
    """The batch with its tasks' identities behind the observations that are read."""
    return replace(
        batch,
        observations=_with_identity(batch.observations, identities),
        final_observations=_with_identity(batch.final_observations, identities),
    )


def _with_identity(
    observations: Float[Tensor, "task batch observation"], identities: Float[Tensor, "task slot"]
) -> Float[Tensor, "task batch input"]:
    """[observation, one-hot identity]."""
    repeated = identities.unsqueeze(1).expand(-1, observations.shape[1], -1)
    return torch.cat((observations, repeated), -1)


def _leaf(tensor: Tensor) -> Tensor:
    """The same memory, as a leaf that gradients can be taken of."""
    return tensor.detach().requires_grad_()


def _gradients(loss: Float[Tensor, ""], network: Network) -> list[Tensor]:
    return list(torch.autograd.grad(loss, network.tensors()))
