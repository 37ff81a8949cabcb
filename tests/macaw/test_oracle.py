"""The meta-step equals the naive form: same losses, same meta-gradients, over sizes, variants and tasks."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from macaw.algorithm import Macaw, MacawConfig
from tests.macaw import naive
from tests.macaw.data import family, transitions

TOLERANCE = 1e-11


@pytest.fixture(autouse=True, scope="module")
def double_precision() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    weight_transform=st.booleans(),
    advantage_head=st.booleans(),
    tasks=st.integers(1, 5),
    hidden_layers=st.integers(1, 3),
    hidden_size=st.integers(1, 9),
    latent_size=st.integers(1, 12),
    sizes=st.tuples(st.integers(1, 4), st.integers(1, 3)),
    batches=st.tuples(st.integers(2, 20), st.integers(2, 20)),
    terminating=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_meta_step_equals_the_naive_form(
    weight_transform: bool,
    advantage_head: bool,
    tasks: int,
    hidden_layers: int,
    hidden_size: int,
    latent_size: int,
    sizes: tuple[int, int],
    batches: tuple[int, int],
    terminating: bool,
    seed: int,
) -> None:
    config = MacawConfig(
        weight_transform=weight_transform,
        advantage_head=advantage_head,
        hidden_layers=hidden_layers,
        hidden_size=hidden_size,
        latent_size=latent_size,
        advantage_hidden_size=5,
        policy_inner_lr=0.03,
        value_inner_lr=0.05,
        advantage_coefficient=0.2,
    )
    described = family(7, *sizes)
    macaw = Macaw(config, described, torch.device("cpu"), torch.Generator().manual_seed(seed))
    inner = transitions(described, tasks, batches[0], seed, terminating)
    outer = transitions(described, tasks, batches[1], seed + 1, terminating)
    assert_equal_to_naive(macaw, inner, outer)


def test_a_target_rate_between_parameters_is_not_one_between_theta() -> None:
    config = MacawConfig(hidden_size=6, latent_size=4, value_inner_lr=0.5, target_rate=0.4)
    macaw = Macaw(config, family(), torch.device("cpu"), torch.Generator().manual_seed(0))
    assert_equal_to_naive(macaw, transitions(family(), 3, 16, 1), transitions(family(), 3, 16, 2))


def test_a_terminated_episode_is_not_bootstrapped() -> None:
    macaw = Macaw(MacawConfig(), family(), torch.device("cpu"), torch.Generator().manual_seed(0))
    inner, outer = transitions(family(), 2, 8, 1, terminating=True), transitions(family(), 2, 8, 2)
    outer = replace(outer, final_discounts=torch.zeros(2, 8))
    elsewhere = replace(outer, final_observations=outer.final_observations + 100)
    one, other = macaw.meta_step(inner, outer), macaw.meta_step(inner, elsewhere)
    assert torch.equal(one.losses["value_loss"], other.losses["value_loss"])
    assert torch.equal(one.losses["policy_loss"], other.losses["policy_loss"])


def assert_equal_to_naive(macaw: Macaw, inner, outer) -> None:
    step = macaw.meta_step(inner, outer)
    expected = naive.meta_step(macaw.config, macaw.family.train_tasks, macaw.state(), inner, outer)
    for name, loss in expected["losses"].items():
        torch.testing.assert_close(step.losses[name], loss, rtol=TOLERANCE, atol=TOLERANCE)
    for part in ("value", "policy", "hyper"):
        gradients = getattr(step, part)
        scale = max(float(tensor.abs().max()) for tensor in expected[part])
        for gradient, oracle in zip(gradients, expected[part], strict=True):
            torch.testing.assert_close(gradient, oracle, rtol=TOLERANCE, atol=TOLERANCE * scale)
