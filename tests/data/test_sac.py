"""The behaviour agents: gradients written by hand agree with automatic differentiation, agents stay apart."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmark.data.networks import BatchedMLP
from benchmark.data.sac import BatchedSac, SacConfig
from benchmark.data.snapshots import LOG_STD_CENTRE, LOG_STD_SPAN, Snapshots

CONFIG = SacConfig(actor_hidden_size=16, critic_hidden_size=16, batch_size=8, random_steps=5)
SHARED = replace(CONFIG, shared=True)
BOTH = pytest.mark.parametrize("config", [CONFIG, SHARED], ids=["apart", "shared"])
AGENTS, OBSERVATIONS, ACTIONS = 3, 5, 2


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def agents(
    product_type: torch.dtype = torch.float32, seed: int = 0, config: SacConfig = CONFIG
) -> BatchedSac:
    scale = np.linspace(0.5, 1.5, OBSERVATIONS)
    sac = BatchedSac(AGENTS, scale, ACTIONS, 50, config, generator(seed), product_type)
    sac.replay.rows.normal_(generator=generator(9))
    sac.replay.rows[..., -1] = 0.99 * (sac.replay.rows[..., -1] < 1)
    sac.replay.stored = 50
    return sac


def forward(weights: list[Tensor], inputs: Tensor) -> Tensor:
    w1, b1, w2, b2, w3, b3 = (each.repeat_interleave(len(inputs) // len(each), 0) for each in weights)
    hidden = torch.relu(torch.baddbmm(b1, inputs, w1))
    return torch.baddbmm(b3, torch.relu(torch.baddbmm(b2, hidden, w2)), w3)


def leaves(network: BatchedMLP) -> list[Tensor]:
    return [tensor.clone().requires_grad_() for tensor in network.masters]


def assert_gradient(network: BatchedMLP, expected: list[Tensor]) -> None:
    found = network._views(network.adam.gradient)
    for mine, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-6)


def sampled(weights: list[Tensor], inputs: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """Actions and log-probabilities of the squashed Gaussian, by the textbook formula."""
    mean, raw = forward(weights, inputs).chunk(2, -1)
    log_std = LOG_STD_CENTRE + LOG_STD_SPAN * torch.tanh(raw)
    actions = torch.tanh(mean + log_std.exp() * noise)
    gaussian = -0.5 * noise**2 - log_std - 0.5 * math.log(2 * math.pi)
    return actions, (gaussian - torch.log(1 - actions**2 + 1e-6)).sum(-1, keepdim=True)


@pytest.mark.parametrize("tasks", [1, AGENTS])
def test_network_gradients(tasks: int) -> None:
    sizes = (OBSERVATIONS, 16, 16, 3)
    network = BatchedMLP(AGENTS // tasks, sizes, torch.float32, generator(), tasks=tasks)
    network.prepare_training(1e-3)
    inputs = torch.randn(AGENTS, 8, OBSERVATIONS, generator=generator(1)).requires_grad_()
    upstream = torch.randn(AGENTS, 8, 3, generator=generator(2))
    weights = leaves(network)
    output = forward(weights, inputs)
    expected = torch.autograd.grad((output * upstream).sum(), [*weights, inputs])
    found, saved = network.forward(inputs.detach())
    torch.testing.assert_close(found, output.detach())
    network.backward(upstream, saved)
    assert_gradient(network, list(expected[:-1]))
    torch.testing.assert_close(network.input_gradient(upstream, saved, 2), expected[-1][..., 2:])


def test_agents_that_share_are_one_network_told_the_task() -> None:
    network = BatchedMLP(1, (OBSERVATIONS, 16, 16, 3), torch.float32, generator(), tasks=AGENTS)
    w1, b1, *rest = network.masters
    inputs = torch.randn(AGENTS, 8, OBSERVATIONS, generator=generator(1))
    told = torch.cat([inputs, torch.eye(AGENTS)[:, None].expand(-1, 8, -1)], -1)
    one = [torch.cat([w1, b1.view(1, AGENTS, 16)], 1), torch.zeros(1, 1, 16), *rest]
    torch.testing.assert_close(network.forward(inputs)[0], forward(one, told))


@BOTH
@torch.no_grad()
def test_critic_update_descends_the_bellman_error(config: SacConfig) -> None:
    sac, reference = agents(config=config), agents(config=config)
    critics, actor = leaves(reference.critics), [tensor.clone() for tensor in reference.actor.masters]
    sac.update()
    random = reference.random
    first = torch.arange(AGENTS)[:, None] * 50
    rows = torch.randint(0, 50, (AGENTS, 8), generator=random) + first
    batch = reference.replay.rows.view(-1, reference.replay.rows.shape[2])[rows]
    split = OBSERVATIONS + ACTIONS
    noise = torch.randn((AGENTS, 8, ACTIONS), generator=random)
    actions, log_probs = sampled(actor, batch[..., split:-2], noise)
    pairs = torch.cat([batch[..., split:-2], actions], -1).repeat(2, 1, 1)
    values = forward(reference.targets.masters, pairs).view(2, AGENTS, 8, 1).amin(0)
    target = batch[..., -2:-1] + batch[..., -1:] * (values - 0.2 * log_probs)
    with torch.enable_grad():
        error = forward(critics, batch[..., :split].repeat(2, 1, 1)) - target.repeat(2, 1, 1)
        expected = torch.autograd.grad(error.square().mean(1).sum(), critics)
    assert_gradient(sac.critics, list(expected))


@BOTH
@torch.no_grad()
def test_actor_update_ascends_value_and_entropy(config: SacConfig) -> None:
    sac = agents(config=config)
    inputs = torch.randn(AGENTS, 8, OBSERVATIONS, generator=generator(4))
    actor, critics = leaves(sac.actor), [tensor.clone() for tensor in sac.critics.masters]
    copy = torch.Generator()
    copy.set_state(sac.random.get_state())
    with torch.enable_grad():
        actions, log_probs = sampled(actor, inputs, torch.randn((AGENTS, 8, ACTIONS), generator=copy))
        pairs = torch.cat([inputs, actions], -1).repeat(2, 1, 1)
        values = forward(critics, pairs).view(2, AGENTS, 8, 1).amin(0)
        expected = torch.autograd.grad((0.2 * log_probs - values).mean(1).sum(), actor)
    sac._update_actor(inputs)
    assert_gradient(sac.actor, list(expected))
    wanted = -(log_probs.mean(1, keepdim=True) - ACTIONS) * 0.2
    torch.testing.assert_close(sac.temperature.gradient, wanted.detach(), rtol=1e-4, atol=1e-6)


@torch.no_grad()
def test_agents_learn_from_their_own_experience_only() -> None:
    one, other = agents(), agents()
    other.replay.rows[1].normal_(generator=generator(5))
    for _ in range(4):
        one.update()
        other.update()
    for mine, theirs in zip(one.actor_weights(), other.actor_weights(), strict=True):
        assert torch.equal(mine[0], theirs[0])
        assert torch.equal(mine[2], theirs[2])
    assert not torch.equal(one.actor_weights()[0][1], other.actor_weights()[0][1])


@torch.no_grad()
def test_step_size_falls_to_zero_at_the_end_of_life() -> None:
    sac = agents(config=replace(CONFIG, decay=0.4))
    for stored, fraction in ((20, 1.0), (30, 1.0), (40, 0.5), (50, 0.0)):
        sac.replay.stored = stored
        before = sac.actor.parameters.clone(), sac.critics.parameters.clone()
        sac.update()
        sac.update()
        assert sac.critics.adam.learning_rate == pytest.approx(1e-3 * fraction)
        moved = not torch.equal(before[0], sac.actor.parameters)
        assert moved == (not torch.equal(before[1], sac.critics.parameters)) == (fraction > 0)


@torch.no_grad()
def test_bfloat16_products_stay_near_float32() -> None:
    exact, rough = agents(), agents(torch.bfloat16)
    exact.update()
    rough.update()
    gradients = [sac.critics.adam.gradient for sac in (exact, rough)]
    assert torch.nn.functional.cosine_similarity(*gradients, dim=0) > 0.99
    assert rough.critics.parameters.dtype == torch.float32


@BOTH
@pytest.mark.parametrize("product_type", [torch.float32, torch.bfloat16])
@torch.no_grad()
def test_resuming_is_exact(product_type: torch.dtype, config: SacConfig) -> None:
    whole, second = agents(product_type, config=config), agents(product_type, seed=1, config=config)
    for _ in range(3):
        whole.update()
    second.load_state(whole.state())
    for sac in (whole, second):
        for _ in range(3):
            sac.update()
    for mine, theirs in zip(whole.actor_weights(), second.actor_weights(), strict=True):
        assert torch.equal(mine, theirs)


@BOTH
@torch.no_grad()
def test_snapshots_act_like_the_agents_on_raw_observations(config: SacConfig) -> None:
    sac = agents(config=config)
    sac.actor.masters[1].normal_(generator=generator(8))  # agents that share differ in these biases alone
    weights = [[[tensor[agent] for tensor in sac.actor_weights()]] for agent in range(AGENTS)]
    shipped = Snapshots.from_weights("made-up-v1", (10,), 5, weights)
    observations = torch.randn(AGENTS, 4, OBSERVATIONS, generator=generator(6))
    tasks = np.arange(AGENTS)
    mean, std = shipped.policy(tasks, np.zeros_like(tasks)).distribution(observations.numpy())
    output = forward(sac.actor.masters, observations * sac.scale)
    expected_mean, raw = output.chunk(2, -1)
    np.testing.assert_allclose(mean, expected_mean.numpy(), atol=2e-3)
    np.testing.assert_allclose(std, (LOG_STD_CENTRE + LOG_STD_SPAN * raw.tanh()).exp().numpy(), rtol=2e-2)
