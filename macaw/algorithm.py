"""The method MACAW: the meta-step, and the adaptation to test tasks.

Mitchell, Rafailov, Peng, Levine, Finn: "Offline Meta-Reinforcement Learning with Advantage Weighting",
ICML 2021.

    inner step, one batch of a task        value:   L_V = mean (V(s) - R)^2
                                           policy:  L_AWR + lambda L_ADV, with the adapted V
    outer step, another batch of it        value:   mean (V'(s) - y)^2, y = R + gamma^k V_target(s_end)
                                           policy:  L_AWR of the adapted policy, with the adapted V

The outer losses are summed over the sampled tasks and divided by the number of train tasks. Adam learns both
networks, lambda, and an inner learning rate per tensor. Deviation from the authors' program: a value is
bootstrapped only where the episode was cut by a time limit, not where it truly terminated. The advantage head
takes no inner step: what it would become is used nowhere. The suite multiplies observations by fixed factors
(`benchmark.algorithm`), where the authors' program has raw ones. And their program keeps every seventh recorded step,
so that its consecutive transitions are seven steps apart: `inner_stride=7` here.
"""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import softplus

from benchmark.algorithm import (
    Algorithm,
    AlgorithmConfig,
    FamilyDescription,
    LifePart,
    Metrics,
    Policy,
    TrainingData,
    Transitions,
)
from macaw import losses
from macaw.adaptation import InnerStep, leaves, raw_positive, theta_gradients
from macaw.awr import AWR, OnlineAWR, copies
from macaw.memory import keep_freed_memory
from macaw.networks import (
    Layer,
    layer_sizes,
    new_network,
    policy_means,
    policy_means_and_advantages,
    values,
)
from macaw.optimizer import Adam
from macaw.policies import deterministic_policy, exploring_policy
from macaw.state import Stateful
from macaw.validation import check_choice, check_count, check_positive, check_range


@dataclass(frozen=True)
class MacawConfig(AlgorithmConfig):
    """Hyper-parameters, by default the published ones for MuJoCo families, and switches of the ablations."""

    tasks_per_step: int = 5
    """Train tasks per meta-step."""
    inner_batch: int = 256
    """Transitions per task for the inner step, from one place in the training life."""
    inner_stride: int = 1
    """Recorded steps from one of them to the next; 1 is consecutive, 7 what the authors' program reads."""
    outer_batch: int = 256
    """Transitions per task, drawn from all its data, for the outer step."""
    inner_data: LifePart = "all"
    """Ablation: the part of the behaviour's training life that the inner batch comes from."""
    policy_outer_lr: float = 1e-4
    """Adam's learning rate for the policy network and its advantage head."""
    value_outer_lr: float = 1e-5
    """Adam's learning rate for the value network."""
    policy_inner_lr: float = 1e-3
    """Initial inner learning rate of the policy's tensors (before softplus, as its logarithm)."""
    value_inner_lr: float = 1e-3
    """Initial inner learning rate of the value network's tensors (before softplus, as its logarithm)."""
    advantage_coefficient: float = 1e-2
    """Initial lambda, the weight of L_ADV in the inner loss (before softplus, as its logarithm)."""
    hyper_lr: float = 1e-3
    """Adam's learning rate for the inner learning rates and lambda."""
    advantage_head: bool = True
    """Ablation: whether the policy predicts advantages in the inner step (the enriched policy update)."""
    weight_transform: bool = True
    """Ablation: weight-transform layers, or plain layers with a learned bias transform."""
    latent_size: int = 100
    """Length of the latent z of a weight-transform layer."""
    hidden_size: int = 100
    """Units of a hidden layer; 725 without weight transform has as many parameters as 100 with it."""
    hidden_layers: int = 3
    """Hidden layers of each network."""
    advantage_hidden_size: int = 32
    """Units of the advantage head's hidden layer."""
    action_std: float = 0.2
    """Standard deviation of the policy in its likelihood."""
    exploration_std: float = 0.2
    """Standard deviation of the noise with which `explore` acts."""
    weight_limit: float = 20.0
    """Largest advantage weight."""
    target_rate: float = 0.1
    """Share of the adapted parameters in V_target; the rest are the meta-parameters."""
    signed_log_returns: bool = False
    """Whether V and advantages are of sign(R) log(1 + |R|), as published for ML45, in place of returns R."""

    def __post_init__(self) -> None:
        """ValueError where a value is out of range."""
        check_count(self, 1, "tasks_per_step", "inner_batch", "inner_stride", "outer_batch", "latent_size")
        check_count(self, 1, "hidden_size", "hidden_layers", "advantage_hidden_size")
        check_positive(self, "policy_outer_lr", "value_outer_lr", "policy_inner_lr", "value_inner_lr")
        check_positive(self, "hyper_lr", "advantage_coefficient", "action_std")
        check_range(self, 0.0, 1.0, "discount", "target_rate", "exploration_std")
        check_positive(self, "weight_limit")
        check_choice(self, "inner_data", LifePart)


@dataclass(frozen=True)
class MetaStep:
    """What one meta-step computes before the optimizers move anything."""

    losses: dict[str, Float[Tensor, " task"]]
    """Losses of the sampled tasks, by name."""
    value: list[Tensor]
    """Meta-gradients (of the sum over tasks / train tasks) of the value network's tensors."""
    policy: list[Tensor]
    """Meta-gradients of the policy's tensors, then of the advantage head's."""
    hyper: list[Tensor]
    """Meta-gradients of the raw inner learning rates of value network and policy, and of raw lambda."""


class Macaw(Stateful, Algorithm):
    """MACAW; see the text at the top of this file."""

    name, version = "macaw", 1
    Config = MacawConfig
    fixed_steps = True
    online_settings = {"inner_data": "random"}

    def __init__(
        self, config: MacawConfig, family: FamilyDescription, device: torch.device, random: torch.Generator
    ) -> None:
        """Build the networks, drawn from `random`, and their optimizers on `device`."""
        self.config, self.family, self._random = config, family, random
        keep_freed_memory(device)
        self._awr = AWR(config.action_std, config.weight_limit, config.signed_log_returns)
        hidden, layers = config.hidden_size, config.hidden_layers
        latent = config.latent_size if config.weight_transform else None
        self._value = new_network(layer_sizes(family.observation_size, hidden, layers, 1), latent, random)
        policy = layer_sizes(family.observation_size, hidden, layers, family.action_size)
        self._policy = new_network(policy, latent, random)
        head = layer_sizes(hidden + family.action_size, config.advantage_hidden_size, 1, 1)
        self._head = new_network(head if config.advantage_head else [], latent, random)

        self._value_lr = raw_positive(config.value_inner_lr, len(self._value.tensors()), device)
        self._policy_lr = raw_positive(config.policy_inner_lr, len(self._policy.tensors()), device)
        self._coefficient = raw_positive(config.advantage_coefficient, 1, device)
        self._value_adam = Adam(self._value.tensors(), config.value_outer_lr)
        self._policy_adam = Adam(self._policy.tensors() + self._head.tensors(), config.policy_outer_lr)
        self._hyper_adam = Adam([self._value_lr, self._policy_lr, self._coefficient], config.hyper_lr)

    def update(self, data: TrainingData) -> Metrics:
        """One meta-step: draw tasks, an inner and an outer batch of each, and move everything learned."""
        config = self.config
        tasks = data.sample_tasks(config.tasks_per_step)
        run = data.contiguous(tasks, config.inner_batch * config.inner_stride, config.inner_data)
        inner, outer = run.every(config.inner_stride), data.transitions(tasks, config.outer_batch)
        step = self.meta_step(inner, outer)
        self._value_adam.step(step.value)
        self._policy_adam.step(step.policy)
        self._hyper_adam.step(step.hyper)
        metrics = {name: loss.mean() for name, loss in step.losses.items()}
        return {"loss": metrics["value_loss"] + metrics["policy_loss"], **metrics}

    def meta_step(self, inner: Transitions, outer: Transitions) -> MetaStep:
        """Losses and meta-gradients of an inner and an outer batch of the same tasks; nothing is changed."""
        config = self.config
        value_step = self._value_step(inner)
        outer_values = values(value_step.layers, outer.observations)
        with torch.no_grad():
            targets = self._awr.bootstrapped(value_step.interpolated(config.target_rate), outer)
        outer_advantages = self._awr.advantages(value_step.layers, outer, outer_values)
        value_losses = losses.value_loss(outer_values, targets)
        value = value_step.backward(value_losses.sum() / self.family.train_tasks)

        head, coefficient = leaves(self._head.theta()), leaves([self._coefficient])
        policy_step = self._policy_step(inner, value_step.layers, head, coefficient[0])
        means = policy_means(policy_step.layers, outer.observations)
        policy_losses = self._awr.policy_loss(means, outer, outer_advantages)
        policy = policy_step.backward(policy_losses.sum() / self.family.train_tasks, head + coefficient)

        head_gradients = theta_gradients(self._head, policy.others[: len(head)])
        return MetaStep(
            losses={
                "value_loss": value_losses.detach(),
                "policy_loss": policy_losses.detach(),
                "inner_value_loss": value_step.losses,
                "inner_policy_loss": policy_step.losses,
            },
            value=value.tensors,
            policy=policy.tensors + head_gradients,
            hyper=[value.raw_inner_lr, policy.raw_inner_lr, policy.others[-1]],
        )

    def adapt(self, context: Transitions) -> Policy:
        """One inner step on the whole context of each task; the un-adapted policy where it is empty."""
        self.family.check_context(context)
        if context.size == 0:
            return deterministic_policy(self._policy.repeated(context.tasks))
        return deterministic_policy(self._adapted(context)[1].layers)

    def fine_tuner(self, context: Transitions) -> OnlineAWR:
        """Both networks after the inner step, ready to learn on, without the advantage head."""
        self.family.check_context(context)
        config = self.config
        if context.size:
            value, policy = (step.network() for step in self._adapted(context))
        else:
            value, policy = copies(self._value, context.tasks), copies(self._policy, context.tasks)
        return OnlineAWR(self._awr, value, policy, config.exploration_std, self._random)

    def explore(self, context: Transitions) -> Policy:
        """The adapted policy with Gaussian noise."""
        return exploring_policy(self.adapt(context), self.config.exploration_std, self._random)

    def _state(self) -> dict[str, Any]:
        return {
            "value": self._value.tensors(),
            "policy": self._policy.tensors(),
            "head": self._head.tensors(),
            "value_raw_inner_lr": self._value_lr,
            "policy_raw_inner_lr": self._policy_lr,
            "raw_advantage_coefficient": self._coefficient,
            "value_adam": self._value_adam.state(),
            "policy_adam": self._policy_adam.state(),
            "hyper_adam": self._hyper_adam.state(),
        }

    def _adapted(self, context: Transitions) -> tuple[InnerStep, InnerStep]:
        """The inner steps of value network and policy on the whole context."""
        value_step = self._value_step(context, differentiable=False)
        head, coefficient = self._head.theta(), self._coefficient
        return value_step, self._policy_step(
            context, value_step.layers, head, coefficient, differentiable=False
        )

    def _value_step(self, inner: Transitions, differentiable: bool = True) -> InnerStep:
        """The inner step on L_V."""
        returns = self._awr.returns(inner)

        def loss(layers: list[Layer]) -> Float[Tensor, " task"]:
            return losses.value_loss(values(layers, inner.observations), returns)

        return InnerStep(self._value, self._value_lr, loss, inner.tasks, differentiable)

    def _policy_step(
        self,
        inner: Transitions,
        value_layers: list[Layer],
        head: list[Tensor],
        coefficient: Tensor,
        differentiable: bool = True,
    ) -> InnerStep:
        """The inner step on L_AWR + lambda L_ADV, with the adapted V; `head` is theta of the head."""
        advantages = self._awr.advantages(value_layers, inner)

        def loss(layers: list[Layer]) -> Float[Tensor, " task"]:
            if not self.config.advantage_head:
                means = policy_means(layers, inner.observations)
                return self._awr.policy_loss(means, inner, advantages)
            head_layers = self._head.layers([theta.expand(inner.tasks, -1) for theta in head])
            means, predictions = policy_means_and_advantages(
                layers, head_layers, inner.observations, inner.actions
            )
            weighted = self._awr.policy_loss(means, inner, advantages)
            return weighted + softplus(coefficient) * losses.advantage_loss(predictions, advantages)

        return InnerStep(self._policy, self._policy_lr, loss, inner.tasks, differentiable)
