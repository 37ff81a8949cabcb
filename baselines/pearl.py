"""Offline PEARL: soft actor-critic on recorded data, told the task by a latent that an encoder infers from context.

Rakelly et al., "Efficient Off-Policy Meta-Reinforcement Learning via Probabilistic Context Variables", ICML 2019,
trained from the fixed data as in Mitchell et al., ICML 2021, who did not release theirs. Per sampled task:

    context (s, a, r[, s'])_n --encoder--> (m_n, v_n) --product of Gaussians--> q(z | context) --> z
    y      = scale r + gamma (1 - terminated) V_target(s', z)
    L_Q    = MSE(Q1(s, a, z), y) + MSE(Q2(s, a, z), y)            encoder: L_Q + 0.1 KL(q || N(0, I))
    L_V    = MSE(V(s, z), min Q(s, a~) - log pi(a~ | s, z)),      a~ ~ pi
    L_pi   = mean(log pi - min Q) + 1e-3 mean(mu^2) + 1e-3 mean(log_std^2)

The KL is summed over the sampled tasks, as the authors' program does; all else is a mean. z is detached for V and pi.
With `behaviour_weight` w > 0 the first term of L_pi becomes mean(log pi - min Q) / mean|min Q| + w MSE(tanh mu, a)
(Fujimoto and Gu, "A Minimalist Approach to Offline Reinforcement Learning", 2021): plain offline PEARL over-estimates
the values of actions that are not in the data. At test the policy is deterministic and z is the posterior's mean; the
`online` context is gathered with z from the prior first, then from the posterior. Deviations: weights are drawn
uniformly within 1 / sqrt(inputs), and the suite multiplies observations by fixed factors (`benchmark.algorithm`).
"""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import mse_loss, softplus

from baselines.gaussians import kl_to_prior, product_of_gaussians, squashed_log_density
from baselines.pearl_online import OnlinePearl
from baselines.perceptrons import Layers, new_layers, perceptron, repeated, tensors
from benchmark.algorithm import (
    Algorithm,
    AlgorithmConfig,
    FamilyDescription,
    Metrics,
    Policy,
    TrainingData,
    Transitions,
)
from macaw.networks import layer_sizes
from macaw.optimizer import Adam
from macaw.state import Stateful
from macaw.validation import check_choice, check_count, check_positive, check_range

Products = Literal["float32", "bfloat16"]

PUBLISHED_SIZES = {
    "cheetah-vel": (16, 100),
    "cheetah-dir": (4, 256),
    "ant-dir": (4, 256),
    "walker-params": (10, 100),
}
"""Tasks per step and transitions of context, where they are published."""
OTHER_SIZES = (16, 100)
LOG_STD_RANGE = (-20.0, 2.0)


@dataclass(frozen=True)
class PearlConfig(AlgorithmConfig):
    """Hyper-parameters, by default the published ones."""

    tasks_per_step: int = 0
    """Train tasks per step; 0 for the family's published number, or 16."""
    context_size: int = 0
    """Transitions of context per task in training; 0 for the family's published number, or 100."""
    batch: int = 256
    """Transitions per task for the actor-critic losses."""
    latent_size: int = 5
    """Length of z."""
    encoder_hidden_size: int = 200
    """Units of the encoder's hidden layers."""
    hidden_size: int = 300
    """Units of the hidden layers of Q, V and policy."""
    hidden_layers: int = 3
    """Hidden layers of each network."""
    learning_rate: float = 3e-4
    """Adam's learning rate for every network."""
    target_rate: float = 0.005
    """Step of the target V towards V."""
    reward_scale: float = 5.0
    """Factor of the rewards in the Bellman target."""
    kl_weight: float = 0.1
    """Weight of KL(q || prior)."""
    regularisation: float = 1e-3
    """Weight of mean(mu^2) and of mean(log_std^2)."""
    behaviour_weight: float = 0.0
    """Weight w of the behaviour-cloning term; 0 for plain PEARL."""
    products: Products = "float32"
    """Type of the matrix products, but for the last layers; bfloat16 is faster where the processor has it."""

    def __post_init__(self) -> None:
        """ValueError where a value is out of range."""
        check_count(self, 0, "tasks_per_step", "context_size")
        check_count(self, 1, "batch", "latent_size", "encoder_hidden_size", "hidden_size", "hidden_layers")
        check_positive(self, "learning_rate", "reward_scale")
        check_range(self, 0.0, 1.0, "target_rate", "discount")
        check_choice(self, "products", Products)
        check_range(self, 0.0, 1e6, "kl_weight", "regularisation", "behaviour_weight")


class Pearl(Stateful, Algorithm):
    """Offline PEARL; see the text at the top of this file."""

    name, version = "pearl", 1
    Config = PearlConfig
    fixed_steps = True

    def __init__(
        self, config: PearlConfig, family: FamilyDescription, device: torch.device, random: torch.Generator,
        agents: int = 1,
    ) -> None:  # fmt: skip
        """Build encoder, critics, V, its target and the policy, drawn from `random` on `device`; of each, `agents`."""
        self.config, self.family, self._random, self._agents = config, family, random, agents
        self._products = torch.bfloat16 if config.products == "bfloat16" else torch.float32
        tasks, context = PUBLISHED_SIZES.get(family.name.rpartition("-v")[0], OTHER_SIZES)
        self.tasks_per_step = config.tasks_per_step or tasks
        self.context_size = config.context_size or context
        observation, action, latent = family.observation_size, family.action_size, config.latent_size
        seen = observation + action + 1 + (observation if family.dynamics_differ else 0)
        hidden, depth = config.hidden_size, config.hidden_layers
        encoder = layer_sizes(seen, config.encoder_hidden_size, depth, 2 * latent)
        value = layer_sizes(observation + latent, hidden, depth, 1)
        self._encoder = new_layers(encoder, agents, random)
        critics = layer_sizes(observation + action + latent, hidden, depth, 1)
        self._critics = new_layers(critics, 2 * agents, random, last_bound=3e-3)
        self._value = new_layers(value, agents, random, last_bound=3e-3)
        self._target = [(kernel.detach().clone(), bias.detach().clone()) for kernel, bias in self._value]
        policy = layer_sizes(observation + latent, hidden, depth, 2 * action)
        self._policy = new_layers(policy, agents, random, last_bound=1e-3)
        parts = {
            "encoder": self._encoder,
            "critics": self._critics,
            "value": self._value,
            "policy": self._policy,
        }
        self._adams = {name: Adam(tensors(part), config.learning_rate) for name, part in parts.items()}

    def update(self, data: TrainingData) -> Metrics:
        """One step on every network, for a batch of tasks."""
        tasks = data.sample_tasks(self.tasks_per_step)
        context, batch = (
            data.transitions(tasks, self.context_size),
            data.transitions(tasks, self.config.batch),
        )
        mean, variance = self.posterior(context)
        latent = mean + variance.sqrt() * self._normal(mean)
        critic_loss = self._critic_loss(batch, latent)
        divergence = kl_to_prior(mean, variance)
        self._step(critic_loss + self.config.kl_weight * divergence.sum(), "critics", "encoder")
        metrics = {
            "critic_loss": critic_loss,
            "kl": divergence.mean(),
            **self._act_better(batch, latent.detach()),
        }
        return {"loss": critic_loss.detach(), **{name: value.detach() for name, value in metrics.items()}}

    def actor_critic_step(self, batch: Transitions, latent: Float[Tensor, "task latent"]) -> None:
        """One step on critics, V and policy, with a z that is given; the encoder rests. Agents have as many tasks."""
        self._step(self._agents * self._critic_loss(batch, latent), "critics")
        self._act_better(batch, latent)

    def _act_better(
        self, batch: Transitions, latent: Float[Tensor, "task latent"]
    ) -> dict[str, Float[Tensor, ""]]:
        """One step on V, its target and the policy."""
        actor_loss, soft_values = self._actor_loss(batch, latent)
        predicted = self._outputs(self._value, _rows(batch.observations, latent)).flatten()
        value_loss = mse_loss(predicted, soft_values)
        self._step(self._agents * value_loss, "value")
        with torch.no_grad():
            for target, live in zip(tensors(self._target), tensors(self._value), strict=True):
                target.lerp_(live, self.config.target_rate)
        self._step(self._agents * actor_loss, "policy")
        return {"value_loss": value_loss, "actor_loss": actor_loss, "value": predicted.mean()}

    def posterior(
        self, context: Transitions
    ) -> tuple[Float[Tensor, "task latent"], Float[Tensor, "task latent"]]:
        """Mean and variance of q(z | context); the prior's where the context is empty."""
        if context.size == 0:
            prior = context.rewards.new_zeros(context.tasks, self.config.latent_size)
            return prior, torch.ones_like(prior)
        parts = [context.observations, context.actions, context.rewards.unsqueeze(-1)]
        if self.family.dynamics_differ:
            parts.append(context.next_observations)
        factors = self._outputs(self._encoder, torch.cat(parts, -1).flatten(0, 1))
        means, raw = factors.view(context.tasks, context.size, -1).chunk(2, -1)
        return product_of_gaussians(means, softplus(raw))

    def adapt(self, context: Transitions) -> Policy:
        """The deterministic policy given the posterior's mean; the prior's where the context is empty."""
        self.family.check_context(context)
        with torch.no_grad():
            mean, _ = self.posterior(context)
        return self.acting(mean)

    def explore(self, context: Transitions) -> Policy:
        """The deterministic policy given a sample of the posterior, or of the prior where the context is empty."""
        with torch.no_grad():
            mean, variance = self.posterior(context)
            return self.acting(mean + variance.sqrt() * self._normal(mean))

    def fine_tuner(self, context: Transitions) -> OnlinePearl:
        """A copy of the actor-critic for each task, which goes on learning with z as inferred from the context."""
        return OnlinePearl(self, context)

    def _state(self) -> dict[str, Any]:
        parts = {name: adam.tensors for name, adam in self._adams.items()}
        adams = {f"{name}_adam": adam.state() for name, adam in self._adams.items()}
        return {**parts, "target": tensors(self._target), **adams}

    def _critic_loss(self, batch: Transitions, latent: Float[Tensor, "task latent"]) -> Tensor:
        """L_Q, the sum over both critics and the mean over agents."""
        config = self.config
        with torch.no_grad():
            following = self._outputs(self._target, _rows(batch.next_observations, latent)).view_as(
                batch.rewards
            )
            continued = config.discount * (1 - batch.terminated) * following
            targets = config.reward_scale * batch.rewards + continued
        predicted = self._outputs(self._critics, _rows(batch.observations, latent, batch.actions)).squeeze(-1)
        return 2 * mse_loss(predicted, targets.view(self._agents, 1, -1).expand_as(predicted))

    def _actor_loss(
        self, batch: Transitions, latent: Float[Tensor, "task latent"]
    ) -> tuple[Tensor, Float[Tensor, " row"]]:
        """L_pi, the mean over agents, and the target min Q - log pi of V."""
        config = self.config
        mean, log_std = self._distribution(batch.observations, latent)
        unsquashed = mean + log_std.exp() * self._normal(mean)
        log_density = squashed_log_density(unsquashed, mean, log_std).flatten()
        critics = [(kernel.detach(), bias.detach()) for kernel, bias in self._critics]
        rows = _rows(batch.observations, latent, unsquashed.tanh())
        values = self._outputs(critics, rows).squeeze(-1).amin(1).flatten()
        loss = (log_density - values).view(self._agents, -1).mean(1)
        if config.behaviour_weight:
            loss = loss / values.detach().view(self._agents, -1).abs().mean(1)
        loss = loss.mean()
        if config.behaviour_weight:
            loss = loss + config.behaviour_weight * mse_loss(mean.tanh(), batch.actions)
        loss = loss + config.regularisation * (mean.square().mean() + log_std.square().mean())
        return loss, (values - log_density).detach()

    def _distribution(
        self, observations: Float[Tensor, "task lane observation"], latent: Float[Tensor, "task latent"]
    ) -> tuple[Float[Tensor, "task lane action"], Float[Tensor, "task lane action"]]:
        """Mean and log std of the policy before the tanh."""
        outputs = self._outputs(self._policy, _rows(observations, latent))
        mean, log_std = outputs.view(*observations.shape[:2], -1).chunk(2, -1)
        return mean, log_std.clamp(*LOG_STD_RANGE)

    def acting(self, latent: Float[Tensor, "task latent"]) -> Policy:
        """tanh of the mean, by copies of the network, so that training on does not change it."""
        kept = [(kernel.detach().clone(), bias.detach().clone()) for kernel, bias in self._policy]

        @torch.no_grad()
        def act(observations: Tensor) -> Tensor:
            outputs = perceptron(kept, self._by_agent(_rows(observations, latent)))
            outputs = outputs.view(*observations.shape[:2], -1)
            return outputs.chunk(2, -1)[0].tanh()

        return act

    def stochastic(self, latent: Float[Tensor, "task latent"]) -> Policy:
        """Actions drawn from the policy as it is when it acts."""

        @torch.no_grad()
        def act(observations: Tensor) -> Tensor:
            mean, log_std = self._distribution(observations, latent)
            return (mean + log_std.exp() * self._normal(mean)).tanh()

        return act

    def copies(self, agents: int) -> "Pearl":
        """So many copies in one batch, each of which learns apart; random numbers come from the same stream."""
        unused = torch.Generator(self._random.device)
        found = Pearl(self.config, self.family, self._random.device, unused, agents)
        found.load_state(repeated(self.state(), agents))
        found._random = self._random
        return found

    def _step(self, loss: Tensor, *parts: str) -> None:
        """One Adam step of these networks along the gradient of the loss."""
        optimizers = [self._adams[part] for part in parts]
        gradients = list(torch.autograd.grad(loss, [tensor for one in optimizers for tensor in one.tensors]))
        for one in optimizers:
            one.step(gradients[: len(one.tensors)])
            del gradients[: len(one.tensors)]

    def _outputs(
        self, layers: Layers, inputs: Float[Tensor, "row input"]
    ) -> Float[Tensor, "agent network own output"]:
        return perceptron(layers, self._by_agent(inputs), self._products)

    def _by_agent(self, rows: Float[Tensor, "row input"]) -> Float[Tensor, "agent own input"]:
        return rows.view(self._agents, -1, rows.shape[-1])

    def _normal(self, like: Tensor) -> Tensor:
        return torch.empty_like(like).normal_(generator=self._random)


def _rows(
    observations: Float[Tensor, "task lane observation"], latent: Float[Tensor, "task latent"],
    actions: Float[Tensor, "task lane action"] | None = None,
) -> Float[Tensor, "row input"]:  # fmt: skip
    """[s, (a,) z] of every transition, one per row."""
    parts = [observations] if actions is None else [observations, actions]
    expanded = latent.unsqueeze(1).expand(-1, observations.shape[1], -1)
    return torch.cat([*parts, expanded], -1).flatten(0, 1)
