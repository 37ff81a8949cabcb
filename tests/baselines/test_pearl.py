"""Offline PEARL: every formula against its definition, and what its inference promises."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from baselines import gaussians, pearl
from baselines.pearl import Pearl, PearlConfig
from benchmark.algorithm import FamilyDescription, Transitions
from benchmark.contract.data import FixedData, transitions

FAMILY = FamilyDescription("made-up-v1", 3, 2, 50, 4, dynamics_differ=False)


def build(family: FamilyDescription = FAMILY, **fields: Any) -> Pearl:
    small = {
        "hidden_size": 16,
        "encoder_hidden_size": 16,
        "batch": 24,
        "context_size": 12,
        "tasks_per_step": 3,
    }
    config = PearlConfig(**(small | fields))
    return Pearl(config, family, torch.device("cpu"), torch.Generator().manual_seed(0))


def test_the_product_of_gaussians_is_their_normalised_product() -> None:
    """Against direct integration of the product of the densities on a fine grid."""
    random = torch.Generator().manual_seed(0)
    means = torch.randn(1, 5, 2, generator=random, dtype=torch.float64)
    variances = torch.rand(1, 5, 2, generator=random, dtype=torch.float64) + 0.2
    mean, variance = gaussians.product_of_gaussians(means, variances)
    grid = torch.linspace(-8, 8, 20_001, dtype=torch.float64)
    for dimension in range(2):
        factors = torch.distributions.Normal(means[0, :, dimension], variances[0, :, dimension].sqrt())
        weights = factors.log_prob(grid[:, None]).sum(1).exp()
        weights /= weights.sum()
        expected = (weights * grid).sum()
        torch.testing.assert_close(mean[0, dimension], expected)
        torch.testing.assert_close(variance[0, dimension], (weights * (grid - expected).square()).sum())


def test_variances_are_floored() -> None:
    mean, variance = gaussians.product_of_gaussians(torch.ones(1, 2, 1), torch.zeros(1, 2, 1))
    torch.testing.assert_close(variance, torch.full((1, 1), 0.5e-7))
    torch.testing.assert_close(mean, torch.ones(1, 1))


def test_the_divergence_is_that_of_torch_distributions() -> None:
    random = torch.Generator().manual_seed(1)
    mean, variance = torch.randn(4, 5, generator=random), torch.rand(4, 5, generator=random) * 3
    posterior = torch.distributions.Normal(mean, variance.sqrt())
    prior = torch.distributions.Normal(torch.zeros(4, 5), torch.ones(4, 5))
    expected = torch.distributions.kl_divergence(posterior, prior).sum(1)
    torch.testing.assert_close(gaussians.kl_to_prior(mean, variance), expected)


@pytest.mark.parametrize(("mean", "log_std"), [(0.3, -0.5), (-1.5, 0.2), (4.0, -2.0)])
def test_the_density_of_a_squashed_gaussian_integrates(mean: float, log_std: float) -> None:
    """Its integral over (-1, c) is the Gaussian's distribution function at artanh c, for several c."""
    normal = torch.distributions.Normal(
        torch.tensor(mean, dtype=torch.float64), torch.tensor(math.exp(log_std), dtype=torch.float64)
    )
    reach = 9 * math.exp(log_std)
    unsquashed = torch.linspace(mean - reach, mean + reach, 400_001, dtype=torch.float64)
    parameters = (torch.full_like(unsquashed, value)[:, None] for value in (mean, log_std))
    density = gaussians.squashed_log_density(unsquashed[:, None], *parameters).exp()
    integral = torch.cumulative_trapezoid(density, unsquashed.tanh())
    for share in (0.05, 0.3, 0.5, 0.9, 1 - 1e-9):
        place = int(torch.searchsorted(unsquashed, normal.icdf(torch.tensor(share, dtype=torch.float64))))
        expected = normal.cdf(unsquashed[place + 1])
        torch.testing.assert_close(integral[place], expected, atol=2e-4, rtol=1e-3)


def test_the_density_far_out_is_finite() -> None:
    far = torch.tensor([[50.0, -50.0]])
    density = gaussians.squashed_log_density(far, far, torch.zeros_like(far))
    expected = 2 * (100 - 2 * math.log(2) - 0.5 * math.log(2 * math.pi))
    torch.testing.assert_close(density, torch.tensor([expected]))


def test_the_order_of_the_context_does_not_matter() -> None:
    method, context = build(), transitions(FAMILY, 2, 40)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(0))
    mean, variance = method.posterior(context)
    shuffled, shuffled_variance = method.posterior(context.map(lambda tensor: tensor[:, order]))
    torch.testing.assert_close(shuffled, mean)
    torch.testing.assert_close(shuffled_variance, variance)


def test_more_context_makes_the_posterior_narrower() -> None:
    method, context = build(), transitions(FAMILY, 1, 400)
    narrow, wide = (method.posterior(context.map(lambda t, n=n: t[:, :n]))[1] for n in (400, 20))  # type: ignore[misc]
    assert (narrow < wide).all()


@pytest.mark.parametrize("differ", [False, True])
def test_the_next_state_is_seen_where_dynamics_differ(differ: bool) -> None:
    family = FamilyDescription("made-up-v1", 3, 2, 50, 4, dynamics_differ=differ)
    method, context = build(family), transitions(family, 1, 10)
    values = vars(context) | {"next_observations": context.next_observations + 1}
    changed = not torch.equal(method.posterior(Transitions(**values))[0], method.posterior(context)[0])
    assert changed == differ


def plain(layers: pearl.Layers, number: int, *inputs: Tensor) -> Tensor:
    """Outputs of one network of a part, written out."""
    outputs = torch.cat(inputs, -1)
    for index, (kernel, bias) in enumerate(layers):
        outputs = (outputs.relu() if index else outputs) @ kernel[number] + bias[number, 0]
    return outputs


def critic_loss(method: Pearl, critics: pearl.Layers, batch: Transitions, latent: Tensor) -> Tensor:
    """L_Q by its formula, with the target as it is now."""
    z = latent[:, None].expand(-1, batch.size, -1)
    following = plain(method._target, 0, batch.next_observations, z).squeeze(-1).detach()
    targets = 5 * batch.rewards + 0.99 * (1 - batch.terminated) * following
    errors = [plain(critics, k, batch.observations, batch.actions, z).squeeze(-1) - targets for k in (0, 1)]
    return errors[0].square().mean() + errors[1].square().mean()


def actor_loss(
    layers: pearl.Layers,
    critics: pearl.Layers,
    batch: Transitions,
    latent: Tensor,
    noise: Tensor,
    weight: float,
) -> tuple[Tensor, Tensor]:
    """L_pi by its formula, and the target of V."""
    z = latent[:, None].expand(-1, batch.size, -1)
    mean, log_std = plain(layers, 0, batch.observations, z).chunk(2, -1)
    normal = torch.distributions.Normal(mean, log_std.clamp(-20, 2).exp())
    unsquashed = mean + normal.stddev * noise
    actions = unsquashed.tanh()
    density = (normal.log_prob(unsquashed) - (1 - actions.square()).log()).sum(-1)
    smaller = torch.minimum(*(plain(critics, k, batch.observations, actions, z).squeeze(-1) for k in (0, 1)))
    loss = (density - smaller).mean()
    if weight:
        cloning = (mean.tanh() - batch.actions).square().mean()
        loss = loss / smaller.abs().mean().detach() + weight * cloning
    regularised = 1e-3 * (mean.square().mean() + log_std.square().mean())
    return loss + regularised, (smaller - density).detach()


@pytest.mark.parametrize("weight", [0.0, 2.5])
def test_a_step_moves_every_part_along_the_gradient_of_its_formula(weight: float) -> None:
    """Gradients are read off the moments of Adam's first step; PyTorch differentiates formulas of plain networks."""
    method, batch = build(behaviour_weight=weight), transitions(FAMILY, 3, 24, terminating=True)
    for tensor in pearl.tensors(method._target):
        tensor.mul_(1.5)  # apart from V
    random = torch.Generator().manual_seed(0)
    random.set_state(method._random.get_state())
    encoder, critics, value, policy = (
        [
            (kernel.detach().clone().requires_grad_(), bias.detach().clone().requires_grad_())
            for kernel, bias in part
        ]
        for part in (method._encoder, method._critics, method._value, method._policy)
    )
    context = batch.map(lambda tensor: tensor[:, :12])
    seen = (context.observations, context.actions, context.rewards[..., None])
    means, raw = plain(encoder, 0, *seen).chunk(2, -1)
    precisions = 1 / torch.nn.functional.softplus(raw).clamp(min=1e-7)
    variance = 1 / precisions.sum(1)
    posterior = torch.distributions.Normal(variance * (precisions * means).sum(1), variance.sqrt())
    latent = posterior.loc + posterior.scale * torch.empty_like(variance).normal_(generator=random)
    prior = torch.distributions.Normal(torch.zeros_like(variance), torch.ones_like(variance))
    divergence = torch.distributions.kl_divergence(posterior, prior).sum()
    first = critic_loss(method, critics, batch, latent) + 0.1 * divergence
    noise = torch.empty_like(batch.actions).normal_(generator=random)
    target = [tensor.clone() for tensor in pearl.tensors(method._target)]

    method.update(FixedData(FAMILY, batch, batch))

    moved = [(kernel.detach(), bias.detach()) for kernel, bias in method._critics]
    latent = latent.detach()
    third, soft_values = actor_loss(policy, moved, batch, latent, noise, weight)
    z = latent[:, None].expand(-1, 24, -1)
    second = (plain(value, 0, batch.observations, z).squeeze(-1) - soft_values).square().mean()
    for loss, parts in ((first, {"critics": critics, "encoder": encoder}), (second, {"value": value}),
                        (third, {"policy": policy})):  # fmt: skip
        for name, layers in parts.items():
            expected = torch.autograd.grad(loss, pearl.tensors(layers), retain_graph=True)
            for wanted, moment in zip(expected, method.state()[f"{name}_adam"]["means"], strict=True):
                torch.testing.assert_close(moment, 0.1 * wanted, rtol=1e-3, atol=1e-6, msg=name)
    after = zip(target, pearl.tensors(method._value), pearl.tensors(method._target), strict=True)
    for before, live, now in after:
        torch.testing.assert_close(now, 0.995 * before + 0.005 * live)


def test_bfloat16_products_stay_near_float32() -> None:
    batch = transitions(FAMILY, 4, 64)
    data = FixedData(FAMILY, batch, batch)
    exact, rough = build(), build(products="bfloat16")
    losses = [float(method.update(data)["loss"]) for method in (exact, rough)]
    assert losses[0] != losses[1]
    assert losses[1] == pytest.approx(losses[0], rel=0.01)
    pairs = zip(exact._critics, rough._critics, strict=True)
    assert all(
        one.dtype == other.dtype == torch.float32 for pair in pairs for one, other in zip(*pair, strict=True)
    )


def test_the_behaviour_term_pulls_the_policy_to_the_data() -> None:
    batch = transitions(FAMILY, 4, 64)
    data = FixedData(FAMILY, batch, batch)
    distances = []
    for weight in (0.0, 100.0):
        method = build(behaviour_weight=weight, learning_rate=3e-3)
        for _ in range(150):
            method.update(data)
        actions = method.adapt(batch)(batch.observations)
        distances.append(float((actions - batch.actions).square().mean()))
    assert distances[1] < 0.5 * distances[0]


@pytest.mark.parametrize("behaviour_weight", [0.0, 2.5])
def test_agents_in_one_batch_learn_as_each_alone(
    monkeypatch: pytest.MonkeyPatch, behaviour_weight: float
) -> None:
    monkeypatch.setattr(Pearl, "_normal", lambda self, like: torch.zeros_like(like))
    method = build(behaviour_weight=behaviour_weight)
    batches = [transitions(FAMILY, 3, 24, seed) for seed in range(4)]
    latents = torch.randn(3, method.config.latent_size, generator=torch.Generator().manual_seed(1))
    method.actor_critic_step(batches[0], latents)  # moments that are not zero
    together, alone = method.copies(3), [method.copies(1) for _ in range(3)]
    for batch in batches:
        together.actor_critic_step(batch, latents)
        for task, agent in enumerate(alone):
            agent.actor_critic_step(
                batch.map(lambda tensor, task=task: tensor[task : task + 1]), latents[task : task + 1]
            )
    for part in ("critics", "value", "policy", "target"):
        for index, found in enumerate(together.state()[part]):
            expected = torch.cat([agent.state()[part][index] for agent in alone])
            assert torch.allclose(found, expected, atol=1e-6), (part, index)
            assert not torch.allclose(found, method.copies(3).state()[part][index], atol=1e-6)


def test_exploring_samples_the_prior_first_and_then_the_posterior() -> None:
    method, observations = build(), torch.ones(1, 1, 3)
    for _ in range(20):
        method.update(FixedData(FAMILY, transitions(FAMILY, 3, 24), transitions(FAMILY, 3, 24)))
    empty, context = transitions(FAMILY, 1, 0), transitions(FAMILY, 1, 4000)
    prior = torch.stack([method.explore(empty)(observations) for _ in range(40)])
    posterior = torch.stack([method.explore(context)(observations) for _ in range(40)])
    assert prior.std(0).min() > 5 * posterior.std(0).max()
    assert torch.equal(method.adapt(empty)(observations), method.adapt(empty)(observations))


def test_published_numbers_of_tasks_and_context() -> None:
    for name, sizes in (
        ("cheetah-vel-v1", (16, 100)),
        ("cheetah-dir-v1", (4, 256)),
        ("point-robot-v1", (16, 100)),
    ):
        family = FamilyDescription(name, 3, 2, 50, 4, dynamics_differ=False)
        method = Pearl(PearlConfig(), family, torch.device("cpu"), torch.Generator())
        assert (method.tasks_per_step, method.context_size) == sizes


@pytest.mark.parametrize(
    ("field", "value"), [("tasks_per_step", -1), ("learning_rate", 0.0), ("target_rate", 2.0)]
)
def test_a_configuration_out_of_range_is_refused_by_name(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"{field} is .*{value}.*must be"):
        PearlConfig(**{field: value})
