"""Many soft actor-critic agents as one batched network, with a hand-written backward pass.

Haarnoja et al., "Soft Actor-Critic Algorithms and Applications" (2018): twin critics, automatic temperature. Agent
i of the batch learns task i alone, from its own replay; nothing is shared. All parameters of a kind lie in one flat
buffer, so that one fused Adam step updates every agent; where the processor multiplies bfloat16, matrix products
use it, except in the last layers, and the master weights stay float32. Written without autograd because the batch
of small networks is bound by the number of operations, not by arithmetic.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmark.data.replay import Replay

LOG_STD_CENTRE, LOG_STD_SPAN = -1.5, 3.5
"""The log standard deviation is centre + span * tanh(raw), so it lies in (-5, 2)."""


@dataclass(frozen=True)
class SacConfig:
    """Hyper-parameters of the behaviour agents."""

    actor_hidden_size: int = 128
    """Width of the actor's two hidden layers; what is shipped are actors."""
    critic_hidden_size: int = 128
    """Width of the critics' two hidden layers."""
    environments: int = 1
    """Copies of its environment that each agent acts in at once; there is one critic update per step of all."""
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
    """Environment steps of uniformly random actions before learning begins."""


def native_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16 matrices itself."""
    capability = torch.backends.cpu.get_cpu_capability()
    return capability.startswith("AVX512") and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


class Adam:
    """One fused Adam over one flat parameter buffer."""

    def __init__(self, parameters: Tensor, learning_rate: float) -> None:
        self.parameters, self.learning_rate = parameters, learning_rate
        self.gradient = torch.zeros_like(parameters)
        self.first = torch.zeros_like(parameters)
        self.second = torch.zeros_like(parameters)
        self.count = torch.zeros(())

    def step(self) -> None:
        """Update the parameters from `gradient`."""
        self.count += 1
        torch._fused_adam_(
            [self.parameters], [self.gradient], [self.first], [self.second], [], [self.count],
            lr=self.learning_rate, beta1=0.9, beta2=0.999, weight_decay=0.0, eps=1e-8,
            amsgrad=False, maximize=False,
        )  # fmt: skip

    def tensors(self) -> dict[str, Tensor]:
        """What resuming needs, by reference."""
        return {
            "parameters": self.parameters,
            "first": self.first,
            "second": self.second,
            "count": self.count,
        }


class BatchedMLP:
    """`networks` perceptrons of two hidden ReLU layers; inputs (network, batch, feature)."""

    def __init__(
        self, networks: int, sizes: tuple[int, int, int, int], product_type: torch.dtype,
        random: torch.Generator, output_scale: float = 1.0,
    ) -> None:  # fmt: skip
        self.shapes = [
            (networks, rows, columns)
            for inputs, outputs in zip(sizes[:-1], sizes[1:], strict=True)
            for rows, columns in ((inputs, outputs), (1, outputs))
        ]
        self.parameters = torch.zeros(sum(math.prod(shape) for shape in self.shapes))
        self.masters = self._views(self.parameters)
        for index, tensor in enumerate(self.masters):
            scale = output_scale if index >= 4 else 1.0
            tensor.uniform_(-1, 1, generator=random).mul_(scale / math.sqrt(sizes[index // 2]))
        self.low = product_type != torch.float32
        self.product_type = product_type
        self._working = self.parameters.to(product_type) if self.low else self.parameters
        self.weights = self._views(self._working)

    def _views(self, flat: Tensor) -> list[Tensor]:
        pieces = torch.split(flat, [math.prod(shape) for shape in self.shapes])
        return [piece.view(shape) for piece, shape in zip(pieces, self.shapes, strict=True)]

    def prepare_training(self, learning_rate: float) -> Adam:
        """The optimizer of these parameters; `backward` writes into its gradient."""
        self.adam = Adam(self.parameters, learning_rate)
        self._gradient = torch.zeros_like(self._working) if self.low else self.adam.gradient
        self._gradients = self._views(self._gradient)
        return self.adam

    def refresh(self) -> None:
        """Bring the working copy up to date after the master weights changed."""
        if self.low:
            self._working.copy_(self.parameters)

    def forward(self, inputs: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
        """Outputs in float32 and what `backward` needs."""
        w1, b1, w2, b2, w3, b3 = self.weights
        hidden1 = torch.baddbmm(b1, inputs, w1).relu_()
        hidden2 = torch.baddbmm(b2, hidden1, w2).relu_()
        if self.low:
            output = torch.baddbmm(self.masters[5], hidden2.float(), self.masters[4])
        else:
            output = torch.baddbmm(b3, hidden2, w3)
        return output, (inputs, hidden1, hidden2)

    def _hidden_gradients(self, output_gradient: Tensor, saved: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        _, hidden1, hidden2 = saved
        second = torch.bmm(output_gradient, self.weights[4].transpose(1, 2))
        second = torch.ops.aten.threshold_backward(second, hidden2, 0)
        first = torch.bmm(second, self.weights[2].transpose(1, 2))
        return torch.ops.aten.threshold_backward(first, hidden1, 0), second

    def backward(self, output_gradient: Tensor, saved: tuple[Tensor, Tensor, Tensor]) -> None:
        """Write the gradient of all parameters into the optimizer."""
        inputs, hidden1, hidden2 = saved
        last = output_gradient.to(self.product_type)
        first, second = self._hidden_gradients(last, saved)
        for index, (layer_input, gradient) in enumerate(
            ((inputs, first), (hidden1, second), (hidden2, last))
        ):
            torch.bmm(layer_input.transpose(1, 2), gradient, out=self._gradients[2 * index])
            torch.sum(gradient, 1, keepdim=True, out=self._gradients[2 * index + 1])
        if self.low:
            self.adam.gradient.copy_(self._gradient)

    def input_gradient(self, output_gradient: Tensor, saved: tuple[Tensor, ...], start: int) -> Tensor:
        """Gradient of the inputs from feature `start` on, in float32."""
        first, _ = self._hidden_gradients(output_gradient.to(self.product_type), saved)
        return torch.bmm(first, self.weights[0][:, start:].transpose(1, 2)).float()

    def update(self) -> None:
        """One Adam step from the gradient that `backward` left."""
        self.adam.step()
        self.refresh()


class BatchedSac:
    """`agents` independent soft actor-critic agents; see the module's text."""

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
        self.actor = BatchedMLP(agents, actor_sizes, product_type, random, output_scale=0.1)
        self.critics = BatchedMLP(2 * agents, critic_sizes, product_type, random)
        self.targets = BatchedMLP(2 * agents, critic_sizes, product_type, random)
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
        """The actors' w1, b1, w2, b2, w3, b3, for observations that are *not* scaled; float32 copies."""
        w1, *rest = self.actor.masters
        return [w1 * self.scale[:, None], *(tensor.clone() for tensor in rest)]

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
