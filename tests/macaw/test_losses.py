"""Losses against closed forms, and where a formula is undefined."""

import math

import pytest
import torch
from torch.distributions import Normal

from macaw import losses


def test_log_likelihood_is_the_normal_density() -> None:
    means, actions = torch.tensor([[[0.1, -0.4]]]), torch.tensor([[[0.3, 0.5]]])
    expected = Normal(means, 0.2).log_prob(actions).sum(-1)
    torch.testing.assert_close(losses.log_likelihood(means, actions, 0.2), expected)


def test_a_return_is_continued_by_the_discounted_final_value() -> None:
    returns = losses.bootstrapped_returns(
        torch.tensor([[1.0, 2.0]]), torch.tensor([[0.5, 0.0]]), torch.tensor([[10.0, 10.0]])
    )
    assert returns.tolist() == [[6.0, 2.0]]


def test_signed_logarithms_of_returns_are_continued_as_returns() -> None:
    found = losses.signed_logarithm(torch.tensor([-9.0, 0.0, 9.0]))
    torch.testing.assert_close(found, torch.tensor([-math.log(10), 0.0, math.log(10)]))
    continued = losses.bootstrapped_returns(
        torch.tensor([[1.0, 2.0, 0.0]]),
        torch.tensor([[0.5, 0.0, 1.0]]),
        losses.signed_logarithm(torch.tensor([[10.0, 10.0, -7.0]])),
        signed_logarithms=True,
    )
    torch.testing.assert_close(continued, losses.signed_logarithm(torch.tensor([[6.0, 2.0, -7.0]])))
    assert losses.bootstrapped_returns(*torch.tensor([[[0.0]], [[1.0]], [[900.0]]]), True).isfinite().all()


def test_weights_use_the_unbiased_std_of_each_task() -> None:
    advantages = torch.tensor([[0.0, 2.0], [5.0, 5.5]])
    spread = math.exp(math.sqrt(0.5))
    expected = torch.tensor([[1 / spread, spread], [1 / spread, spread]])
    torch.testing.assert_close(losses.advantage_weights(advantages, 20.0), expected)


def test_weights_are_limited_even_where_the_exponential_overflows() -> None:
    advantages = torch.zeros(1, 40_000)
    advantages[0, 0] = 1
    weights = losses.advantage_weights(advantages, 20.0)
    assert weights.max() == 20
    assert weights.isfinite().all()


@pytest.mark.parametrize("advantages", [torch.tensor([[3.0]]), torch.full((2, 5), -7.1)])
def test_weights_are_one_where_no_action_is_better(advantages: torch.Tensor) -> None:
    assert torch.equal(losses.advantage_weights(advantages, 20.0), torch.ones_like(advantages))


def test_each_loss_is_a_mean_over_the_batch_and_one_number_per_task() -> None:
    means = torch.zeros(2, 3, 1)
    actions = torch.tensor([[[0.0], [0.0], [0.0]], [[0.2], [0.2], [0.4]]])
    constant = math.log(0.2) + 0.5 * math.log(2 * math.pi)
    imitation = losses.imitation_loss(means, actions, 0.2)
    torch.testing.assert_close(imitation, torch.tensor([constant, constant + (0.5 + 0.5 + 2) / 3]))
    weights = torch.tensor([[1.0, 1.0, 1.0], [0.0, 0.0, 3.0]])
    weighted = losses.advantage_weighted_loss(means, actions, weights, 0.2)
    torch.testing.assert_close(weighted, torch.tensor([constant, constant + 2]))
    numbers, targets = torch.tensor([[1.0, 2.0], [0.0, 4.0]]), torch.tensor([[1.0, 4.0], [1.0, 4.0]])
    assert losses.value_loss(numbers, targets).tolist() == [2.0, 0.5]
    assert losses.advantage_loss(numbers, targets).tolist() == [2.0, 0.5]
