"""What a user of the baselines that share MACAW's parts relies on."""

import io
from typing import Any

import pytest
import torch

from baselines.meta_bc import MetaBC, MetaBCConfig
from baselines.multitask_awr import MultitaskAWR, MultitaskAWRConfig
from tests.macaw.data import FixedData, InMemoryData, assert_same, family, transitions

Method = MetaBC | MultitaskAWR


def meta_bc(seed: int = 0, **fields: Any) -> MetaBC:
    small = {"hidden_size": 8, "latent_size": 6, "inner_batch": 16, "outer_batch": 12, "inner_lr": 0.05}
    config = MetaBCConfig(**(small | fields))
    return MetaBC(config, family(), torch.device("cpu"), torch.Generator().manual_seed(seed))


def multitask_awr(seed: int = 0, **fields: Any) -> MultitaskAWR:
    config = MultitaskAWRConfig(**({"hidden_size": 8, "batch": 12} | fields))
    return MultitaskAWR(config, family(), torch.device("cpu"), torch.Generator().manual_seed(seed))


@pytest.fixture(params=[meta_bc, multitask_awr])
def build(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.mark.parametrize("size", [1, 2, 500])
def test_adaptation_is_finite_and_changes_the_policy(build: Any, size: int) -> None:
    method, observations = build(), torch.randn(3, 5, 3, generator=torch.Generator().manual_seed(1))
    unadapted = method.adapt(transitions(family(), 3, 0))(observations)
    with torch.no_grad():
        adapted = method.adapt(transitions(family(), 3, size))(observations)
    assert adapted.shape == (3, 5, 2)
    assert adapted.isfinite().all()
    assert not adapted.requires_grad
    assert (adapted - unadapted).abs().amax((1, 2)).min() > 1e-5


def test_a_task_adapts_alike_in_any_company(build: Any) -> None:
    method, context = build(), transitions(family(), 4, 50)
    observations = torch.randn(4, 5, 3, generator=torch.Generator().manual_seed(1))
    together = method.adapt(context)(observations)
    order = torch.tensor([2, 0, 3, 1])
    permuted = method.adapt(context.map(lambda tensor: tensor[order]))(observations[order])
    torch.testing.assert_close(permuted, together[order])
    alone = method.adapt(context.map(lambda tensor: tensor[1:2]))(observations[1:2])
    torch.testing.assert_close(alone, together[1:2])


def test_adaptation_leaves_the_method_as_it_was(build: Any) -> None:
    method = build()
    method.update(InMemoryData(family()))
    before = method.state()
    policy = method.adapt(transitions(family(), 2, 30))
    unadapted = method.adapt(transitions(family(), 2, 0))
    assert_same(method.state(), before)
    observations = torch.ones(2, 1, 3)
    actions = policy(observations), unadapted(observations)
    method.update(InMemoryData(family()))
    assert torch.equal(policy(observations), actions[0]), "training changed a policy in use"
    assert torch.equal(unadapted(observations), actions[1]), "training changed a policy in use"


def test_a_saved_method_goes_on_bit_for_bit(build: Any) -> None:
    method, resumed = build(), build(seed=1)
    method.update(InMemoryData(family()))
    file = io.BytesIO()
    torch.save(method.state(), file)
    file.seek(0)
    resumed.load_state(torch.load(file, weights_only=True))
    fixed = FixedData(transitions(family(), 3, 16, 1), transitions(family(), 3, 12, 2))
    method.update(fixed)
    resumed.update(fixed)
    assert_same(resumed.state(), method.state())
    with pytest.raises(ValueError, match="missing.*policy"):
        resumed.load_state({})


def test_the_loss_of_a_fixed_batch_falls() -> None:
    fixed = FixedData(transitions(family(), 4, 64, 1), transitions(family(), 4, 64, 2))
    learners: list[Method] = [
        meta_bc(outer_lr=3e-3, inner_lr=1e-3),
        multitask_awr(policy_lr=3e-3, value_lr=3e-3),
    ]
    for method in learners:
        losses = [method.update(fixed)["loss"] for _ in range(60)]
        assert losses[-1] < losses[0], method.name


def test_fine_tuning_is_adam_on_one_task_after_the_other() -> None:
    """Against a plain loop over the tasks with PyTorch's optimizer and modules' worth of tensors."""
    method = multitask_awr(adaptation_steps=3, adaptation_value_lr=0.01, adaptation_policy_lr=0.02)
    context, observations = transitions(family(), 2, 20), torch.ones(2, 4, 3)
    actions = method.adapt(context)(observations)
    for task in range(2):
        state = method.state()
        tensors = {name: [t.requires_grad_() for t in state[name]] for name in ("value", "policy")}
        optimizers = {
            "value": torch.optim.Adam(tensors["value"], lr=0.01),
            "policy": torch.optim.Adam(tensors["policy"], lr=0.02),
        }
        batch = context.map(lambda tensor, task=task: tensor[task])  # type: ignore[misc]
        for _ in range(3):
            for name, optimizer in optimizers.items():
                optimizer.zero_grad()
                naive_awr_loss(name, tensors, batch).backward()
                optimizer.step()
        expected = naive_output(tensors["policy"], observations[task]).tanh()
        torch.testing.assert_close(actions[task], expected, rtol=1e-4, atol=1e-5)


def naive_awr_loss(name: str, tensors: dict[str, list[torch.Tensor]], batch: Any) -> torch.Tensor:
    values = naive_output(tensors["value"], batch.observations).squeeze(-1)
    if name == "value":
        return (values - batch.returns).square().mean()
    final = naive_output(tensors["value"], batch.final_observations).squeeze(-1)
    advantages = (batch.returns + batch.final_discounts * final - values).detach()
    weights = ((advantages - advantages.mean()) / advantages.std()).exp().clamp(max=20)
    normal = torch.distributions.Normal(naive_output(tensors["policy"], batch.observations).tanh(), 0.2)
    return -(weights * normal.log_prob(batch.actions).sum(-1)).mean()


def naive_output(tensors: list[torch.Tensor], observations: torch.Tensor) -> torch.Tensor:
    """The network, told that the task is none of the four train tasks."""
    outputs = torch.cat((observations, torch.zeros(len(observations), 4)), -1)
    for start in range(0, len(tensors), 4):
        kernel, beta, transform, bias = tensors[start : start + 4]
        outputs = outputs.relu() if start else outputs
        outputs = outputs @ kernel.reshape(outputs.shape[-1], -1) + bias + transform @ beta
    return outputs


def test_the_identity_of_a_train_task_reaches_the_networks() -> None:
    method, batch = multitask_awr(), transitions(family(), 2, 12)
    one = method.train_step(batch, torch.tensor([0, 1]))
    other = method.train_step(batch, torch.tensor([0, 2]))
    assert one.losses["policy_loss"][0] == other.losses["policy_loss"][0]
    assert one.losses["policy_loss"][1] != other.losses["policy_loss"][1]


@pytest.mark.parametrize(
    ("config", "field", "value"),
    [
        (MetaBCConfig, "inner_lr", 0.0),
        (MetaBCConfig, "outer_batch", 0),
        (MultitaskAWRConfig, "adaptation_steps", -1),
        (MultitaskAWRConfig, "value_lr", float("nan")),
    ],
)
def test_a_configuration_out_of_range_is_refused_by_name(config: Any, field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"{field} is .*{value}.*must be"):
        config(**{field: value})


def test_with_a_stride_meta_bcs_inner_batch_is_every_so_manieth_of_a_run_of_transitions() -> None:
    run, outer = transitions(family(), 4, 7 * 16), transitions(family(), 4, 12, seed=1)
    strided, usual = meta_bc(inner_stride=7), meta_bc()
    strided.update(FixedData(run, outer))
    usual.update(FixedData(run.map(lambda tensor: tensor[:, ::7]), outer))
    assert_same(strided.state(), usual.state())
