"""Policies as the contract wants them, from the adapted layers of a policy network."""

from collections.abc import Sequence

import torch
from torch import Tensor

from benchmark.algorithm import Policy
from macaw.networks import Layer, policy_means


def deterministic_policy(layers: Sequence[Layer]) -> Policy:
    """The policy that acts with mu(s); it keeps copies, so that training on does not change it."""
    kept = [(kernel.detach().clone(), bias.detach().clone()) for kernel, bias in layers]

    @torch.no_grad()
    def act(observations: Tensor) -> Tensor:
        return policy_means(kept, observations)

    return act


def exploring_policy(policy: Policy, std: float, random: torch.Generator) -> Policy:
    """The same policy with Gaussian noise on its actions, clipped to [-1, 1]."""

    def act(observations: Tensor) -> Tensor:
        means = policy(observations)
        noise = torch.empty_like(means).normal_(0, std, generator=random)
        return (means + noise).clamp_(-1, 1)

    return act
