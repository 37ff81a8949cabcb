"""Advantage-weighted regression of whole networks: losses of each task, and learning on in test tasks.

    value     mean (V(s) - R)^2
    policy    - mean w log N(a; mu(s), std^2 I),   w from A = R + gamma^k V(s_end) - V(s)

Peng, Kumar, Zhang, Levine: "Advantage-Weighted Regression", 2019; with the weights of Mitchell et al., "Offline
Meta-Reinforcement Learning with Advantage Weighting", ICML 2021, whose inner and outer steps (`macaw.algorithm`) use
the same returns, advantages and policy loss. Networks here have learned tensors of all tasks alike, or a copy for each
task (a leading task dimension).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from benchmark.algorithm import Policy, TrainingData, Transitions
from macaw import losses
from macaw.adaptation import InnerLoss, leaves, theta_gradients
from macaw.networks import Layer, Network, policy_means, values
from macaw.optimizer import Adam
from macaw.policies import deterministic_policy, exploring_policy

ONLINE_VALUE_STEPS, ONLINE_POLICY_STEPS = 100, 200
"""Adam steps between two rounds of online fine-tuning, and what they are made with; published."""
ONLINE_LR = 1e-5
ONLINE_BATCH = 256


@dataclass(frozen=True)
class AWR:
    """Losses of value networks and policies, with their fixed numbers."""

    action_std: float
    """Standard deviation of the policy in its likelihood."""
    weight_limit: float
    """Largest advantage weight."""
    signed_logarithms: bool = False
    """Whether V and advantages are of signed logarithms of returns."""

    def returns(self, batch: Transitions) -> Float[Tensor, "task batch"]:
        """What V learns: Monte-Carlo returns, or their signed logarithms."""
        return losses.signed_logarithm(batch.returns) if self.signed_logarithms else batch.returns

    def bootstrapped(self, layers: Sequence[Layer], batch: Transitions) -> Float[Tensor, "task batch"]:
        """R + gamma^k V(s_end), or its signed logarithm, of a value network's layers of each task."""
        final = values(layers, batch.final_observations)
        return losses.bootstrapped_returns(
            batch.returns, batch.final_discounts, final, self.signed_logarithms
        )

    def advantages(
        self, layers: Sequence[Layer], batch: Transitions, predicted: Tensor | None = None
    ) -> Float[Tensor, "task batch"]:
        """A, through which no gradient flows; `predicted` (task, batch) is V(s) where it is known already."""
        with torch.no_grad():
            here = values(layers, batch.observations) if predicted is None else predicted
            return self.bootstrapped(layers, batch) - here

    def policy_loss(
        self, means: Float[Tensor, "task batch action"], batch: Transitions, advantages: Tensor
    ) -> Float[Tensor, " task"]:
        """L_AWR of each task, of mu(s) and A (task, batch)."""
        weights = losses.advantage_weights(advantages, self.weight_limit)
        return losses.advantage_weighted_loss(means, batch.actions, weights, self.action_std)

    def value_losses(self, value: Network, batch: Transitions) -> Float[Tensor, " task"]:
        """mean (V(s) - R)^2 of each task."""
        return losses.value_loss(values(value.repeated(batch.tasks), batch.observations), self.returns(batch))

    def policy_losses(self, policy: Network, value: Network, batch: Transitions) -> Float[Tensor, " task"]:
        """L_AWR of each task."""
        advantages = self.advantages(value.repeated(batch.tasks), batch)
        return self.policy_loss(
            policy_means(policy.repeated(batch.tasks), batch.observations), batch, advantages
        )

    def both_losses(
        self, value: Network, policy: Network, batch: Transitions
    ) -> tuple[Float[Tensor, " task"], Float[Tensor, " task"]]:
        """`value_losses` and `policy_losses`, for which V(s) is computed once."""
        layers = value.repeated(batch.tasks)
        predicted = values(layers, batch.observations)
        advantages = self.advantages(layers, batch, predicted)
        means = policy_means(policy.repeated(batch.tasks), batch.observations)
        value_losses = losses.value_loss(predicted, self.returns(batch))
        return value_losses, self.policy_loss(means, batch, advantages)


class OnlineAWR:
    """V and policy of each of several test tasks, learning on from what they gather: a `FineTuner`."""

    def __init__(
        self, awr: AWR, value: Network, policy: Network, exploration_std: float, random: torch.Generator,
        as_input: Callable[[Transitions], Transitions] = lambda batch: batch,
        as_policy: Callable[[Policy], Policy] = lambda policy: policy,
    ) -> None:  # fmt: skip
        """Networks with a task dimension in every tensor; they are the learner's own from now on.

        `as_input` makes of a batch what the networks read, and `as_policy` of a policy on that one on observations.
        """
        self._awr, self._std, self._random = awr, exploration_std, random
        self._as_input, self._as_policy = as_input, as_policy
        self._value, self._policy = value, policy
        self._value_adam = Adam(self._value.tensors(), ONLINE_LR)
        self._policy_adam = Adam(self._policy.tensors(), ONLINE_LR)

    def explore(self) -> Policy:
        """The deterministic policy with Gaussian noise."""
        return exploring_policy(self.policy(), self._std, self._random)

    @torch.no_grad()
    def learn(self, data: TrainingData) -> None:
        """100 Adam steps of V, then 200 of the policy, each on 256 transitions per task."""
        tasks = torch.arange(data.tasks, device=self._random.device)
        for _ in range(ONLINE_VALUE_STEPS):
            self._learn_value(self._as_input(data.transitions(tasks, ONLINE_BATCH)))
        value = self._value.repeated(data.tasks)
        for _ in range(ONLINE_POLICY_STEPS):
            self._learn_policy(self._as_input(data.transitions(tasks, ONLINE_BATCH)), value)

    def policy(self) -> Policy:
        """The deterministic policy as it is now."""
        return self._as_policy(deterministic_policy(self._policy.layers(self._policy.theta())))

    def _learn_value(self, batch: Transitions) -> None:
        returns = self._awr.returns(batch)

        def loss(layers: list[Layer]) -> Float[Tensor, " task"]:
            return losses.value_loss(values(layers, batch.observations), returns)

        _step(self._value, self._value_adam, loss)

    def _learn_policy(self, batch: Transitions, value: list[Layer]) -> None:
        advantages = self._awr.advantages(value, batch)

        def loss(layers: list[Layer]) -> Float[Tensor, " task"]:
            return self._awr.policy_loss(policy_means(layers, batch.observations), batch, advantages)

        _step(self._policy, self._policy_adam, loss)


def _step(network: Network, adam: Adam, loss: InnerLoss) -> None:
    """One Adam step, for which automatic differentiation sees nothing larger than theta."""
    theta = leaves(network.theta())
    with torch.enable_grad():
        found = torch.autograd.grad(loss(network.layers(theta)).sum(), theta)
    adam.step(theta_gradients(network, found))


def leaf(tensor: Tensor) -> Tensor:
    """The same memory, as a leaf that gradients can be taken of."""
    return tensor.detach().requires_grad_()


def copies(network: Network, tasks: int) -> Network:
    """A copy of the network for each task, as leaves."""
    return network.map(lambda tensor: leaf(tensor.expand(tasks, *tensor.shape).clone()))


def gradients(loss: Float[Tensor, ""], network: Network) -> list[Tensor]:
    """Of the loss, for every learned tensor of the network."""
    return list(torch.autograd.grad(loss, network.tensors()))
