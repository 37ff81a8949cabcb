"""Meta-BC: MACAW's policy network and bi-level loop, with imitation as the inner and the outer loss.

The baseline of that name in Mitchell et al., "Offline Meta-Reinforcement Learning with Advantage Weighting",
ICML 2021: no value network, no advantage head, the same learned inner learning rates, data and context.

    inner and outer loss     L_BC = - mean log N(a; mu(s), 0.2^2 I)

The outer losses are summed over the sampled tasks and divided by the number of train tasks. Deviations: the suite
multiplies observations by fixed factors (`benchmark.algorithm`), and transitions of the inner batch are consecutive,
not seven steps apart as in the authors' program (`inner_stride`).
"""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

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
from macaw.adaptation import InnerStep, MetaGradient, raw_positive
from macaw.losses import imitation_loss
from macaw.memory import keep_freed_memory
from macaw.networks import Layer, layer_sizes, new_network, policy_means
from macaw.optimizer import Adam
from macaw.policies import deterministic_policy, exploring_policy
from macaw.state import Stateful
from macaw.validation import check_choice, check_count, check_positive, check_range


@dataclass(frozen=True)
class MetaBCConfig(AlgorithmConfig):
    """Hyper-parameters; the defaults are MACAW's."""

    tasks_per_step: int = 5
    """Train tasks per meta-step."""
    inner_batch: int = 256
    """Transitions per task for the inner step, from one place in the training life."""
    inner_stride: int = 1
    """Recorded steps from one of them to the next; 1 is consecutive, 7 what the authors' program reads."""
    outer_batch: int = 256
    """Transitions per task, drawn from all its data, for the outer step."""
    inner_data: LifePart = "all"
    """The part of the behaviour's training life that the inner batch comes from."""
    outer_lr: float = 1e-4
    """Adam's learning rate for the policy network."""
    inner_lr: float = 1e-3
    """Initial inner learning rate of every tensor (before softplus, as its logarithm)."""
    hyper_lr: float = 1e-3
    """Adam's learning rate for the inner learning rates."""
    latent_size: int = 100
    """Length of the latent z of a weight-transform layer."""
    hidden_size: int = 100
    """Units of a hidden layer."""
    hidden_layers: int = 3
    """Hidden layers."""
    action_std: float = 0.2
    """Standard deviation of the policy in its likelihood."""
    exploration_std: float = 0.2
    """Standard deviation of the noise with which `explore` acts."""

    def __post_init__(self) -> None:
        """ValueError where a value is out of range."""
        check_count(self, 1, "tasks_per_step", "inner_batch", "inner_stride", "outer_batch")
        check_count(self, 1, "latent_size", "hidden_size", "hidden_layers")
        check_positive(self, "outer_lr", "inner_lr", "hyper_lr", "action_std")
        check_range(self, 0.0, 1.0, "discount", "exploration_std")
        check_choice(self, "inner_data", LifePart)


@dataclass(frozen=True)
class MetaBCStep:
    """What one meta-step computes before the optimizers move anything."""

    losses: dict[str, Float[Tensor, " task"]]
    """Losses of the sampled tasks, by name."""
    gradient: MetaGradient
    """Meta-gradients (of the sum over tasks / train tasks)."""


class MetaBC(Stateful, Algorithm):
    """Meta-BC; see the text at the top of this file."""

    name, version = "meta-bc", 1
    Config = MetaBCConfig
    fixed_steps = True

    def __init__(
        self, config: MetaBCConfig, family: FamilyDescription, device: torch.device, random: torch.Generator
    ) -> None:
        """Build the policy network, drawn from `random`, and its optimizers on `device`."""
        self.config, self.family, self._random = config, family, random
        keep_freed_memory(device)
        sizes = layer_sizes(
            family.observation_size, config.hidden_size, config.hidden_layers, family.action_size
        )
        self._policy = new_network(sizes, config.latent_size, random)
        self._inner_lr = raw_positive(config.inner_lr, len(self._policy.tensors()), device)
        self._policy_adam = Adam(self._policy.tensors(), config.outer_lr)
        self._hyper_adam = Adam([self._inner_lr], config.hyper_lr)

    def update(self, data: TrainingData) -> Metrics:
        """One meta-step: draw tasks, an inner and an outer batch of each, and move everything learned."""
        config = self.config
        tasks = data.sample_tasks(config.tasks_per_step)
        run = data.contiguous(tasks, config.inner_batch * config.inner_stride, config.inner_data)
        inner, outer = run.every(config.inner_stride), data.transitions(tasks, config.outer_batch)
        step = self.meta_step(inner, outer)
        self._policy_adam.step(step.gradient.tensors)
        self._hyper_adam.step([step.gradient.raw_inner_lr])
        metrics = {name: loss.mean() for name, loss in step.losses.items()}
        return {"loss": metrics["policy_loss"], **metrics}

    def meta_step(self, inner: Transitions, outer: Transitions) -> MetaBCStep:
        """Losses and meta-gradients of an inner and an outer batch of the same tasks; nothing is changed."""
        step = self._inner_step(inner)
        losses = self._loss(step.layers, outer)
        gradient = step.backward(losses.sum() / self.family.train_tasks)
        return MetaBCStep({"policy_loss": losses.detach(), "inner_policy_loss": step.losses}, gradient)

    def adapt(self, context: Transitions) -> Policy:
        """One inner step on the whole context of each task; the un-adapted policy where it is empty."""
        self.family.check_context(context)
        if context.size == 0:
            return deterministic_policy(self._policy.repeated(context.tasks))
        return deterministic_policy(self._inner_step(context, differentiable=False).layers)

    def explore(self, context: Transitions) -> Policy:
        """The adapted policy with Gaussian noise."""
        return exploring_policy(self.adapt(context), self.config.exploration_std, self._random)

    def _state(self) -> dict[str, Any]:
        return {
            "policy": self._policy.tensors(),
            "raw_inner_lr": self._inner_lr,
            "policy_adam": self._policy_adam.state(),
            "hyper_adam": self._hyper_adam.state(),
        }

    def _inner_step(self, inner: Transitions, differentiable: bool = True) -> InnerStep:
        def loss(layers: list[Layer]) -> Float[Tensor, " task"]:
            return self._loss(layers, inner)

        return InnerStep(self._policy, self._inner_lr, loss, inner.tasks, differentiable)

    def _loss(self, layers: list[Layer], batch: Transitions) -> Float[Tensor, " task"]:
        means = policy_means(layers, batch.observations)
        return imitation_loss(means, batch.actions, self.config.action_std)
