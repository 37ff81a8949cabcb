"""Gaussians in closed form: what PEARL's posterior and its squashed policy are made of.

Rakelly et al. (2019), "Efficient Off-Policy Meta-Reinforcement Learning via Probabilistic Context Variables", section 4
(the product and its floor); Haarnoja et al. (2018), "Soft Actor-Critic", appendix C (the density behind tanh).
"""

import math

from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import softplus

VARIANCE_FLOOR = 1e-7


def product_of_gaussians(
    means: Float[Tensor, "task batch latent"], variances: Float[Tensor, "task batch latent"]
) -> tuple[Float[Tensor, "task latent"], Float[Tensor, "task latent"]]:
    """Mean and variance of the normalised product of the batch's Gaussian factors; variances floored at 1e-7."""
    precisions = 1 / variances.clamp(min=VARIANCE_FLOOR)
    variance = 1 / precisions.sum(1)
    return variance * (means * precisions).sum(1), variance


def kl_to_prior(
    mean: Float[Tensor, "task latent"], variance: Float[Tensor, "task latent"]
) -> Float[Tensor, " task"]:
    """KL(N(mean, variance) || N(0, I)) in nats."""
    return 0.5 * (variance + mean.square() - 1 - variance.log()).sum(-1)


def squashed_log_density(
    unsquashed: Float[Tensor, "*batch action"],
    mean: Float[Tensor, "*batch action"],
    log_std: Float[Tensor, "*batch action"],
) -> Float[Tensor, "*batch"]:
    """log density of tanh(u), u ~ N(mean, exp(log_std)^2), at u = `unsquashed`, in nats, without rounding to zero.

    log N(u; mean, std) - log(1 - tanh(u)^2), the latter as 2 (log 2 - u - softplus(-2 u)).
    """
    standard = (unsquashed - mean) * (-log_std).exp()
    gaussian = -0.5 * standard.square() - log_std - 0.5 * math.log(2 * math.pi)
    return (gaussian - 2 * (math.log(2) - unsquashed - softplus(-2 * unsquashed))).sum(-1)
