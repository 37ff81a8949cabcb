"""Soft actor-critic agents, many of them as one batch.

Haarnoja et al., "Soft Actor-Critic Algorithms and Applications" (2018): twin critics, automatic temperature. Agent
i of the batch acts in task i alone and learns from its own replay with its own temperature. Its networks are its own
as well, or, with `shared`, one actor and one pair of critics that all agents train together and in which only the
first layer's biases are an agent's own. Or, with `turned`, the batch is one agent that acts in many tasks, which seen
in their frames are one (`frames.py`). The gradients are written by hand, see `networks.py`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmark.data.networks import Adam, BatchedMLP, native_bfloat16
from benchmark.data.replay import Replay
from benchmark.data.snapshots import LOG_STD_CENTRE, LOG_STD_SPAN
from benchmark.errors import ConfigError

RANGES: tuple[tuple[tuple[str, ...], Callable[[float], bool], str], ...] = (
    (
        ("actor_hidden_size", "critic_hidden_size", "environments", "batch_size", "n_step", "actor_every"),
        lambda value: isinstance(value, int) and value >= 1,
        "a whole number of at least 1",
    ),
    (
        ("random_steps",),
        lambda value: isinstance(value, int) and value >= 0,
        "a whole number of at least 0",
    ),
    (
        ("learning_rate", "reward_scale", "initial_temperature"),
        lambda value: 0 < value < math.inf,
        "a finite number above 0",
    ),
    (("decay", "discount"), lambda value: 0 <= value <= 1, "a number from 0 to 1"),
    (("target_rate",), lambda value: 0 < value <= 1, "a number above 0 and at most 1"),
)
"""Settings, what must hold of each, and what to choose."""


@dataclass(frozen=True)
class SacConfig:
    """Hyper-parameters of the behaviour agents; ConfigError for a value out of its range."""

    actor_hidden_size: int = 128
    """Width of the actor's two hidden layers; what is shipped are actors."""
    critic_hidden_size: int = 128
    """Width of the critics' two hidden layers."""
    environments: int = 1
    """Copies of each task's environment that are acted in at once; there is one critic update per step of all."""
    batch_size: int = 128
    """Transitions per agent and update."""
    learning_rate: float = 1e-3
    """Adam step size of critics, actor and temperature."""
    decay: float = 0.0
    """Share of the training life, at its end, over which the step size falls linearly to zero."""
    discount: float = 0.99
    """Discount factor."""
    n_step: int = 1
    """Rewards that a critic's target adds up before it looks at the target critics."""
    reward_scale: float = 1.0
    """Factor of the rewards that agents learn from: values of hundreds take small networks long to reach."""
    target_rate: float = 0.005
    """Step of the target critics towards the critics after every update."""
    initial_temperature: float = 0.2
    """Entropy temperature at the start; the target entropy is minus the number of actions."""
    actor_every: int = 2
    """Critic updates per actor and temperature update."""
    random_steps: int = 1000
    """Environment steps, in each task, of uniformly random actions before learning begins."""
    shared: bool = False
    """Whether the agents of a share train one actor and one pair of critics together, see the module's text."""
    turned: bool = False
    """Whether one agent acts in all tasks of a share at once, each seen in its frame, in which all are one task."""

    def __post_init__(self) -> None:
        for names, holds, allowed in RANGES:
            for name in names:
                value = getattr(self, name)
                if not holds(value):
                    raise ConfigError(f"collect: {name} is {value}; choose {allowed}.")


class BatchedSac:
    """`agents` soft actor-critic agents; see the module's text."""

    def __init__(
        self, agents: int, observation_scale: NDArray[np.float64], actions: int, capacity: int,
        config: SacConfig, random: torch.Generator, product_type: torch.dtype | None = None,
    ) -> None:  # fmt: skip
        """`capacity`: transitions of replay per agent. `product_type`: default bfloat16 where native."""
        if product_type is None:
            product_type = torch.bfloat16 if native_bfloat16() else torch.float32
        self.agents, self.actions, self.config, self.random = agents, actions, config, random
        self.observations = len(observation_scale)
        self.product_type = product_type
        self.scale = torch.as_tensor(observation_scale, dtype=torch.float32)
        narrow, wide = config.actor_hidden_size, config.critic_hidden_size
        actor_sizes = (self.observations, narrow, narrow, 2 * actions)
        critic_sizes = (self.observations + actions, wide, wide, 1)
        networks, tasks = (1, agents) if config.shared else (agents, 1)
        self.actor = BatchedMLP(networks, actor_sizes, product_type, random, 0.1, tasks)
        self.critics = BatchedMLP(2 * networks, critic_sizes, product_type, random, tasks=tasks)
        self.targets = BatchedMLP(2 * networks, critic_sizes, product_type, random, tasks=tasks)
        self.targets.parameters.copy_(self.critics.parameters)
        self.targets.refresh()
        log_temperature = torch.full((agents, 1, 1), math.log(config.initial_temperature))
        self.temperature = Adam(log_temperature, config.learning_rate)
        self.optimizers = {
            "actor": self.actor.prepare_training(config.learning_rate),
            "critics": self.critics.prepare_training(config.learning_rate),
            "temperature": self.temperature,
        }
        self.replay = Replay(agents, capacity, self.observations, actions, config.n_step, config.discount)
        self.updates = 0

    def remember(
        self, observations: Tensor, actions: Tensor, next_observations: Tensor, rewards: Tensor,
        terminated: Tensor, ages: Tensor,
    ) -> None:  # fmt: skip
        """Append a step of every environment to the replay, see `Replay.append`; observations are raw."""
        self.replay.append(
            observations * self.scale, actions, next_observations * self.scale,
            rewards * self.config.reward_scale, terminated, ages,
        )  # fmt: skip

    def act(self, observations: Tensor) -> Tensor:
        """Stochastic actions: (agent, environment, observation) to (agent, environment, action)."""
        return self._sample((observations * self.scale).to(self.product_type))[0]

    def _sample(self, inputs: Tensor) -> tuple[Tensor, Tensor, tuple[Any, ...]]:
        """Actions, their log-probabilities (agent, batch, 1), and what the actor's gradient needs."""
        output, saved = self.actor.forward(inputs)
        mean, raw = output[..., : self.actions], output[..., self.actions :]
        squashed = torch.tanh(raw)
        log_std = squashed * LOG_STD_SPAN + LOG_STD_CENTRE
        std = log_std.exp()
        noise = torch.randn(mean.shape, generator=self.random)
        actions = torch.tanh(torch.addcmul(mean, std, noise))
        slope = 1 - actions * actions
        terms = (noise * noise).mul_(-0.5).sub_(log_std).sub_((slope + 1e-6).log_())
        log_probs = terms.sum(-1, keepdim=True) - 0.5 * math.log(2 * math.pi) * self.actions
        return actions, log_probs, (saved, squashed, std, noise, slope)

    def update(self) -> None:
        """One critic update, and every `actor_every`-th time one of actor and temperature."""
        self._set_step_size()
        size, split = self.config.batch_size, self.observations + self.actions
        batch = self.replay.sample(size, self.random)
        inputs = batch[..., :-2].to(self.product_type)
        rewards, bootstrap = batch[..., -2:-1], batch[..., -1:]
        next_observations = inputs[..., split:].contiguous()
        next_actions, next_log_probs, _ = self._sample(next_observations)
        pairs = torch.cat([next_observations, next_actions.to(self.product_type)], -1).repeat(2, 1, 1)
        values = self.targets.forward(pairs)[0].view(2, self.agents, size, 1).amin(0)
        values -= self.temperature.parameters.exp() * next_log_probs
        target = torch.addcmul(rewards, bootstrap, values)
        predicted, saved = self.critics.forward(inputs[..., :split].repeat(2, 1, 1))
        error = (predicted.view(2, self.agents, size, 1) - target).view(2 * self.agents, size, 1)
        self.critics.backward(error * (2.0 / size), saved)
        self.critics.update()
        self.updates += 1
        if self.updates % self.config.actor_every == 0:
            self._update_actor(inputs[..., : self.observations].contiguous())
        self.targets.parameters.lerp_(self.critics.parameters, self.config.target_rate)
        self.targets.refresh()

    def _set_step_size(self) -> None:
        decay = self.config.decay
        if decay:
            fraction = min(1.0, (1 - self.replay.life) / decay)
            for optimizer in self.optimizers.values():
                optimizer.learning_rate = fraction * self.config.learning_rate

    def _update_actor(self, observations: Tensor) -> None:
        """Descend mean(temperature * log pi - min Q), then move the temperature to the target entropy."""
        size = observations.shape[1]
        actions, log_probs, (saved, squashed, std, noise, slope) = self._sample(observations)
        pairs = torch.cat([observations, actions.to(self.product_type)], -1).repeat(2, 1, 1)
        values, critic_saved = self.critics.forward(pairs)
        first_smaller = (values[: self.agents] <= values[self.agents :]).float()
        chosen = torch.cat([first_smaller, 1 - first_smaller]) * (-1.0 / size)
        both = self.critics.input_gradient(chosen, critic_saved, self.observations)
        action_gradient = both[: self.agents] + both[self.agents :]
        temperature = self.temperature.parameters.exp()
        # d log pi / d u = 2 a through the tanh; d log pi / d log std = -1 besides its path through u
        mean_gradient = action_gradient * slope + 2 * (temperature / size) * actions
        log_std_gradient = mean_gradient * std * noise - temperature / size
        raw_gradient = log_std_gradient * LOG_STD_SPAN * (1 - squashed * squashed)
        self.actor.backward(torch.cat([mean_gradient, raw_gradient], -1), saved)
        self.actor.update()
        entropy_gap = log_probs.mean(1, keepdim=True) - self.actions
        self.temperature.gradient.copy_(-entropy_gap * temperature)
        self.temperature.step()

    def actor_weights(self) -> list[Tensor]:
        """The agents' w1, b1, w2, b2, w3, b3, for observations that are *not* scaled; float32 copies."""
        w1, *rest = self.actor.masters
        each = [w1 * self.scale[:, None], *rest]
        return [weight.expand(self.agents, -1, -1).clone() for weight in each]

    def state(self) -> dict[str, Any]:
        """Everything resuming needs."""
        return {
            "optimizers": {name: adam.tensors() for name, adam in self.optimizers.items()},
            "targets": self.targets.parameters,
            "replay": self.replay.rows[:, : self.replay.stored].clone(),
            "updates": self.updates,
            "random": self.random.get_state(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken."""
        for name, adam in self.optimizers.items():
            for key, tensor in adam.tensors().items():
                tensor.copy_(state["optimizers"][name][key])
        self.targets.parameters.copy_(state["targets"])
        for network in (self.actor, self.critics, self.targets):
            network.refresh()
        self.replay.restore(state["replay"])
        self.updates = state["updates"]
        self.random.set_state(state["random"])
