"""The losses of MACAW as pure functions: a leading task dimension, a mean over the batch, a number per task.

R is the discounted Monte-Carlo return, k the number of steps to the end of the episode, s_end its last
observation.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor


def log_likelihood(
    means: Float[Tensor, "task batch action"], actions: Float[Tensor, "task batch action"], std: float
) -> Float[Tensor, "task batch"]:
    """log N(a; mu(s), std^2 I), in nats, summed over the action's components."""
    constant = actions.shape[-1] * (math.log(std) + 0.5 * math.log(2 * math.pi))
    return (actions - means).square().sum(-1) * (-0.5 / std**2) - constant


def bootstrapped_returns(
    returns: Float[Tensor, "task batch"],
    final_discounts: Float[Tensor, "task batch"],
    final_values: Float[Tensor, "task batch"],
    signed_logarithms: bool = False,
) -> Float[Tensor, "task batch"]:
    """R + gamma^k V(s_end), the return continued beyond a time limit; gamma^k is zero where it terminated.

    With `signed_logarithms` V is of signed logarithms of returns, and the signed logarithm of the sum is given.
    """
    if signed_logarithms:
        return signed_logarithm(returns + final_discounts * _signed_exponential(final_values))
    return returns + final_discounts * final_values


def signed_logarithm(returns: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """sign(R) log(1 + |R|)"""
    return returns.sign() * returns.abs().log1p()


def _signed_exponential(values: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """What `values` are signed logarithms of, at most e^20."""
    return values.sign() * values.abs().clamp(max=20.0).expm1()


def advantage_weights(advantages: Float[Tensor, "task batch"], limit: float) -> Float[Tensor, "task batch"]:
    """w = min(exp((A - mean A) / std A), limit), mean and unbiased std over each task's batch.

    Where the std is zero or undefined (equal advantages, a batch of one) no action is better than another and
    every weight is 1.
    """
    centred = advantages - advantages.mean(1, keepdim=True)
    variance = centred.square().sum(1, keepdim=True) / max(advantages.shape[1] - 1, 1)
    standardised = torch.where(variance > 0, centred / variance.sqrt(), 0.0)
    return standardised.exp().clamp(max=limit)


def value_loss(
    values: Float[Tensor, "task batch"], targets: Float[Tensor, "task batch"]
) -> Float[Tensor, " task"]:
    """L_V = mean (V(s) - y)^2, with y = R in the inner loop and a bootstrapped return in the outer one."""
    return (values - targets).square().mean(1)


def imitation_loss(
    means: Float[Tensor, "task batch action"], actions: Float[Tensor, "task batch action"], std: float
) -> Float[Tensor, " task"]:
    """L_BC = - mean log N(a; mu(s), std^2 I)."""
    return -log_likelihood(means, actions, std).mean(1)


def advantage_weighted_loss(
    means: Float[Tensor, "task batch action"],
    actions: Float[Tensor, "task batch action"],
    weights: Float[Tensor, "task batch"],
    std: float,
) -> Float[Tensor, " task"]:
    """L_AWR = - mean w log N(a; mu(s), std^2 I)."""
    return -(weights * log_likelihood(means, actions, std)).mean(1)


def advantage_loss(
    predictions: Float[Tensor, "task batch"], advantages: Float[Tensor, "task batch"]
) -> Float[Tensor, " task"]:
    """L_ADV = mean (A_head(s, a) - A)^2."""
    return (predictions - advantages).square().mean(1)
