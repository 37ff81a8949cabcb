"""What a user of `Macaw` relies on: adaptation per task, exact resuming, learning, configuration errors."""

import io
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmark.algorithm import LifePart, Transitions
from macaw.algorithm import Macaw, MacawConfig
from macaw.losses import signed_logarithm
from macaw.validation import check_choice
from tests.macaw.data import FixedData, InMemoryData, assert_same, family, transitions

SMALL: dict[str, Any] = {"hidden_size": 8, "latent_size": 6, "inner_batch": 16, "outer_batch": 12}
INNER_LR = ("policy_inner_lr", "value_inner_lr")
VARIANTS: list[dict[str, Any]] = [
    {},
    {"advantage_head": False},
    {"weight_transform": False},
    {"weight_transform": False, "advantage_head": False},
]


def build(seed: int = 0, **fields: Any) -> Macaw:
    """A small method with inner steps large enough to see."""
    config = MacawConfig(**(SMALL | dict.fromkeys(INNER_LR, 0.05) | fields))
    return Macaw(config, family(), torch.device("cpu"), torch.Generator().manual_seed(seed))


def act(macaw: Macaw, tasks: int, size: int, seed: int = 3) -> Tensor:
    observations = torch.randn(tasks, 5, 3, generator=torch.Generator().manual_seed(9))
    return macaw.adapt(transitions(family(), tasks, size, seed))(observations)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("size", [1, 2, 3000])
def test_adaptation_is_finite_and_changes_the_policy(variant: dict[str, Any], size: int) -> None:
    macaw = build(**variant)
    unadapted, adapted = act(macaw, 3, 0), act(macaw, 3, size)
    assert adapted.shape == (3, 5, 2)
    assert adapted.isfinite().all()
    assert adapted.abs().max() <= 1
    assert not adapted.requires_grad
    assert (adapted - unadapted).abs().amax((1, 2)).min() > 1e-5


def test_an_empty_context_gives_every_task_the_same_policy() -> None:
    policy = build().adapt(transitions(family(), 3, 0))
    actions = policy(torch.ones(3, 2, 3))
    assert torch.equal(actions, actions[:1, :1].expand(3, 2, 2))


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_task_adapts_alike_in_any_company(variant: dict[str, Any]) -> None:
    macaw, context = build(**variant), transitions(family(), 4, 50)
    observations = torch.randn(4, 5, 3, generator=torch.Generator().manual_seed(9))
    together = macaw.adapt(context)(observations)
    order = torch.tensor([2, 0, 3, 1])
    permuted = macaw.adapt(context.map(lambda tensor: tensor[order]))(observations[order])
    torch.testing.assert_close(permuted, together[order])
    alone = macaw.adapt(context.map(lambda tensor: tensor[1:2]))(observations[1:2])
    torch.testing.assert_close(alone, together[1:2])


def test_adaptation_leaves_the_method_as_it_was_and_works_without_gradients() -> None:
    macaw, other = build(), build()
    data, other_data = InMemoryData(family()), InMemoryData(family())
    for method, source in ((macaw, data), (other, other_data)):
        method.update(source)
    before = macaw.state()
    with torch.no_grad():
        policy = macaw.adapt(transitions(family(), 2, 30))
        unadapted = macaw.adapt(transitions(family(), 1, 0))
    assert_same(macaw.state(), before)
    actions, unadapted_actions = policy(torch.ones(2, 1, 3)), unadapted(torch.ones(1, 1, 3))
    macaw.update(data)
    other.update(other_data)
    assert_same(macaw.state(), other.state())
    assert torch.equal(policy(torch.ones(2, 1, 3)), actions), "training changed a policy in use"
    assert torch.equal(unadapted(torch.ones(1, 1, 3)), unadapted_actions), "training changed a policy in use"


def test_exploring_is_the_adapted_policy_with_noise() -> None:
    macaw, context = build(policy_inner_lr=1e-3), transitions(family(), 2, 40)
    observations = torch.zeros(2, 4000, 3)
    actions = macaw.explore(context)(observations)
    noise = actions - macaw.adapt(context)(observations)
    assert actions.abs().max() <= 1
    assert abs(float(noise.std()) - 0.2) < 0.01
    again = build(policy_inner_lr=1e-3).explore(context)(observations)
    assert torch.equal(actions, again), "the noise is not drawn from the generator given"


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_saved_method_goes_on_bit_for_bit(variant: dict[str, Any]) -> None:
    macaw = build(**variant)
    macaw.update(InMemoryData(family()))
    file = io.BytesIO()
    torch.save(macaw.state(), file)
    file.seek(0)
    resumed = build(seed=1, **variant)
    resumed.load_state(torch.load(file, weights_only=True))
    assert_same(resumed.state(), macaw.state())
    fixed = FixedData(transitions(family(), 3, 16, 1), transitions(family(), 3, 12, 2))
    macaw.update(fixed)
    resumed.update(fixed)
    assert_same(resumed.state(), macaw.state())
    assert torch.equal(act(resumed, 2, 20), act(macaw, 2, 20))


def test_a_state_that_does_not_fit_is_refused_and_changes_nothing() -> None:
    macaw = build()
    before, other = macaw.state(), build(hidden_size=9).state()
    with pytest.raises(ValueError, match=r"state/value/0|shape"):
        macaw.load_state(other)
    incomplete = {name: part for name, part in before.items() if name != "policy_adam"}
    with pytest.raises(ValueError, match="missing.*policy_adam"):
        macaw.load_state(incomplete)
    with pytest.raises(ValueError, match="float64"):
        macaw.load_state(before | {"value_raw_inner_lr": before["value_raw_inner_lr"].double()})
    with pytest.raises(ValueError, match=r"state/policy"):
        macaw.load_state(before | {"policy": before["policy"][:-1]})
    assert_same(macaw.state(), before)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_losses_of_a_fixed_batch_fall(variant: dict[str, Any]) -> None:
    outer, inner = {"policy_outer_lr": 3e-3, "value_outer_lr": 3e-3}, dict.fromkeys(INNER_LR, 1e-3)
    macaw = build(**outer, **inner, **variant)
    data = FixedData(transitions(family(), 4, 64, 1), transitions(family(), 4, 64, 2))
    metrics = [macaw.update(data) for _ in range(60)]
    for name in ("loss", "value_loss", "policy_loss", "inner_value_loss"):
        assert metrics[-1][name] < metrics[0][name], name
    assert all(value.shape == () and not value.requires_grad for value in metrics[0].values())


def test_signed_logarithms_stand_for_returns_where_episodes_terminate() -> None:
    def ended(seed: int, scale: float) -> Transitions:
        batch = transitions(family(), 3, 20, seed)
        return replace(
            batch, returns=scale * batch.returns, final_discounts=torch.zeros_like(batch.final_discounts)
        )

    def logarithms(batch: Transitions) -> Transitions:
        return replace(batch, returns=signed_logarithm(batch.returns))

    batches = ended(1, 300.0), ended(2, 300.0)
    found = build(signed_log_returns=True).meta_step(*batches)
    expected = build().meta_step(*map(logarithms, batches))
    for name, loss in expected.losses.items():
        assert torch.equal(found.losses[name], loss), name
    assert torch.equal(build(signed_log_returns=True).adapt(batches[0])(torch.ones(3, 2, 3)),
                       build().adapt(logarithms(batches[0]))(torch.ones(3, 2, 3)))  # fmt: skip
    assert not torch.equal(found.losses["policy_loss"], build().meta_step(*batches).losses["policy_loss"])


def test_with_a_stride_the_inner_batch_is_every_so_manieth_of_a_run_of_transitions() -> None:
    run, outer = transitions(family(), 4, 7 * 16), transitions(family(), 4, 12, seed=1)
    strided, usual = build(inner_stride=7), build()
    strided.update(FixedData(run, outer))
    usual.update(FixedData(run.map(lambda tensor: tensor[:, ::7]), outer))
    assert_same(strided.state(), usual.state())


def test_the_inner_batch_comes_from_the_part_of_life_asked_for() -> None:
    data = InMemoryData(family())
    part: LifePart
    for part in ("all", "early", "middle", "late"):
        build(inner_data=part).update(data)
    assert data.parts_asked == ["all", "early", "middle", "late"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tasks_per_step", 0),
        ("inner_stride", 0),
        ("hidden_size", -1),
        ("policy_outer_lr", 0.0),
        ("value_inner_lr", float("nan")),
        ("target_rate", 1.5),
        ("discount", 1.01),
        ("action_std", float("inf")),
    ],
)
def test_a_configuration_out_of_range_is_refused_by_name(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"{field} is .*{value}.*must be"):
        MacawConfig(**{field: value})


def test_an_unknown_part_of_life_is_refused_by_name() -> None:
    config = SimpleNamespace(inner_data="first")  # the type checker of the tests stops the real class earlier
    with pytest.raises(ValueError, match="inner_data is 'first'.*one of 'all', 'early'"):
        check_choice(config, "inner_data", LifePart)
