"""Multi-task AWR with fine-tuning: one policy that is told the train task, and gradient steps at test.

The baseline "Offline MT + FT" of Mitchell et al., "Offline Meta-Reinforcement Learning with Advantage
Weighting", ICML 2021. Policy and V read the observation and a one-hot identity over the train tasks' slots,
which is all zeros for a task that is not known; plain layers with a learned bias transform.

Deviations from the paper's program: the identity has a slot for each train task, not for every task of the family;
a value is bootstrapped only where the episode was cut by a time limit; and the suite multiplies observations by fixed
factors (`benchmark.algorithm`).

The losses, mean (V(s) - R)^2 and L_AWR (`macaw.awr`), are summed over the sampled tasks and divided by the number
of train tasks. At test, each task fine-tunes a copy of both networks on its context: alternating Adam steps, V first.
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
from macaw.awr import AWR, OnlineAWR, copies, gradients, leaf
from macaw.networks import Network, layer_sizes, new_network
from macaw.optimizer import Adam
from macaw.policies import deterministic_policy, exploring_policy
from macaw.state import Stateful
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
    signed_log_returns: bool = False
    """Whether V and advantages are of sign(R) log(1 + |R|), as published for ML45, in place of returns R."""

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


class MultitaskAWR(Stateful, Algorithm):
    """Multi-task AWR with fine-tuning; see the text at the top of this file."""

    name, version = "multitask-awr", 1
    Config = MultitaskAWRConfig
    fixed_steps = True
    further_tests = ({"adaptation_steps": 1}, {"adaptation_steps": 5})

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
        self._awr = AWR(config.action_std, config.weight_limit, config.signed_log_returns)
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
        value, policy = self._value.map(leaf), self._policy.map(leaf)
        value_losses, policy_losses = self._awr.both_losses(value, policy, batch)
        return TrainStep(
            losses={"value_loss": value_losses.detach(), "policy_loss": policy_losses.detach()},
            value=gradients(value_losses.sum() / self.family.train_tasks, value),
            policy=gradients(policy_losses.sum() / self.family.train_tasks, policy),
        )

    def adapt(self, context: Transitions) -> Policy:
        """Fine-tune copies of both networks; where the context is empty, the policy of an unknown task."""
        self.family.check_context(context)
        nobody = self._nobody(context.tasks)
        if context.size == 0:
            return _identified_policy(deterministic_policy(self._policy.repeated(context.tasks)), nobody)
        _, policy = self._fine_tuned(_identified(context, nobody))
        return _identified_policy(deterministic_policy(policy.repeated(context.tasks)), nobody)

    def informed(self, slots: Int[Tensor, " task"]) -> Policy:
        """The policies of train tasks that are told by their identity."""
        known = deterministic_policy(self._policy.repeated(len(slots)))
        return _identified_policy(known, self._identities[slots])

    def fine_tuner(self, context: Transitions) -> OnlineAWR:
        """Both networks after fine-tuning on the context, ready to learn on."""
        self.family.check_context(context)
        nobody = self._nobody(context.tasks)
        value, policy = self._fine_tuned(_identified(context, nobody))
        return OnlineAWR(
            self._awr, value, policy, self.config.exploration_std, self._random,
            lambda batch: _identified(batch, nobody), lambda act: _identified_policy(act, nobody),
        )  # fmt: skip

    def explore(self, context: Transitions) -> Policy:
        """The adapted policy with Gaussian noise."""
        return exploring_policy(self.adapt(context), self.config.exploration_std, self._random)

    def _nobody(self, tasks: int) -> Float[Tensor, "task slot"]:
        """The identities of tasks that are not known."""
        return self._identities.new_zeros(tasks, self.family.train_tasks)

    def _state(self) -> dict[str, Any]:
        return {
            "value": self._value.tensors(),
            "policy": self._policy.tensors(),
            "value_adam": self._value_adam.state(),
            "policy_adam": self._policy_adam.state(),
        }

    def _fine_tuned(self, context: Transitions) -> tuple[Network, Network]:
        """Value network and policy after the fine-tuning steps, with a task dimension in every tensor."""
        value, policy = copies(self._value, context.tasks), copies(self._policy, context.tasks)
        value_adam = Adam(value.tensors(), self.config.adaptation_value_lr)
        policy_adam = Adam(policy.tensors(), self.config.adaptation_policy_lr)
        with torch.enable_grad():
            for _ in range(self.config.adaptation_steps if context.size else 0):
                value_adam.step(gradients(self._awr.value_losses(value, context).sum(), value))
                policy_adam.step(gradients(self._awr.policy_losses(policy, value, context).sum(), policy))
        return value, policy


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


def _identified_policy(policy: Policy, identities: Float[Tensor, "task slot"]) -> Policy:
    """The policy on observations alone, of tasks with these identities."""
    return lambda observations: policy(_with_identity(observations, identities))
