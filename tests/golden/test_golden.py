"""Replay recordings of the authors' program: losses, meta-gradients, one Adam step; agreement to 1e-9."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from baselines.meta_bc import MetaBC
from baselines.multitask_awr import MultitaskAWR
from macaw.algorithm import Macaw
from tests.golden.recording import (
    RecordedData,
    Recording,
    advantage_hidden_size,
    batch_sizes,
    config_of,
    latent_size,
)

TOLERANCE = 1e-9


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    folder = metafunc.config.getoption("golden")
    paths = sorted(folder.glob("*.npz"))
    if not paths:
        raise pytest.UsageError(f"no recordings (*.npz) in {folder}")
    metafunc.parametrize("path", paths, ids=[path.stem for path in paths])


@pytest.fixture(autouse=True)
def double_precision() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def test_recorded_meta_step_is_reproduced(path: Any) -> None:
    recording = Recording.load(path)
    for start, replay in REPLAYS.items():
        if recording.variant.startswith(start):
            return replay(recording)
    pytest.fail(f"{path}: unknown variant '{recording.variant}'; known: {', '.join(REPLAYS)}")


def replay_macaw(recording: Recording) -> None:
    macaw, data = recorded_macaw(recording), RecordedData(recording)
    tasks = data.sample_tasks(macaw.config.tasks_per_step)
    inner = data.contiguous(tasks, macaw.config.inner_batch)
    step = macaw.meta_step(inner, data.transitions(tasks, macaw.config.outer_batch))
    for name in ("value", "policy"):
        expected = recording.tensor(f"expected/outer_{name}_loss")
        assert_close(step.losses[f"{name}_loss"][-1:], expected, f"{name} loss of the last task")
    gradient = "expected/grad/"
    policy = recording.tensors(gradient, "policy") + recording.tensors(gradient, "policy", "head_seq")
    assert_all_close(step.policy, policy, "policy gradient")
    assert_all_close(step.value, recording.tensors(gradient, "value"), "value gradient")
    value_lr, policy_lr, coefficient = step.hyper
    assert_close(value_lr, torch.stack(recording.tensors(gradient, "value_log_lr")), "value step sizes")
    assert_close(policy_lr, torch.stack(recording.tensors(gradient, "policy_log_lr")), "policy step sizes")
    if macaw.config.advantage_head:
        expected = recording.tensor("expected/grad/advantage_coef_raw").reshape(1)
        assert_close(coefficient, expected, "lambda")
        for recorded in recording.tensors(gradient, "policy_log_lr", "head_seq"):
            assert recorded == 0, "a head's step size moves: the head would have to be adapted"
    macaw.update(data)
    after = macaw.state()
    assert_adam(recording, after["value"], "value", "seq")
    assert_adam(recording, after["policy"], "policy", "seq")
    assert_adam(recording, after["head"], "policy", "head_seq")


def recorded_macaw(recording: Recording) -> Macaw:
    """The method as it was before the recorded step."""
    head = recording.layers("policy", "head_seq")
    config = Macaw.Config(
        **config_of(recording),
        **batch_sizes(recording),
        **latent_size(recording),
        **advantage_hidden_size(recording),
        advantage_head=bool(head),
        weight_transform=not recording.plain(),
    )
    macaw = Macaw(config, recording.family(), torch.device("cpu"), torch.Generator().manual_seed(0))
    state = macaw.state()
    for network in ("value", "policy"):
        state[network] = recording.tensors("", network)
        state[f"{network}_raw_inner_lr"] = torch.stack(recording.tensors("", f"{network}_log_lr"))
    if head:
        state["head"] = recording.tensors("", "policy", "head_seq")
        state["raw_advantage_coefficient"] = recording.tensor("advantage_coef_raw").reshape(1)
    macaw.load_state(state)
    return macaw


def assert_adam(recording: Recording, after: list[Tensor], network: str, sequence: str) -> None:
    """Agreement of the parameters after Adam, and of how far Adam moved them."""
    before = recording.tensors("", network, sequence)
    expected = recording.tensors("expected/after_adam/", network, sequence)
    assert_all_close(after, expected, f"{network}/{sequence} after Adam")
    moved = [new - old for new, old in zip(after, before, strict=True)]
    expected_move = [new - old for new, old in zip(expected, before, strict=True)]
    assert_all_close(moved, expected_move, f"{network}/{sequence} Adam step")


def replay_meta_bc(recording: Recording) -> None:
    config = MetaBC.Config(**config_of(recording), **batch_sizes(recording), **latent_size(recording))
    method = MetaBC(config, recording.family(), torch.device("cpu"), torch.Generator().manual_seed(0))
    raw_inner_lr = torch.stack(recording.tensors("", "policy_log_lr"))
    method.load_state(
        method.state() | {"policy": recording.tensors("", "policy"), "raw_inner_lr": raw_inner_lr}
    )

    data = RecordedData(recording)
    tasks = data.sample_tasks(config.tasks_per_step)
    step = method.meta_step(
        data.contiguous(tasks, config.inner_batch), data.transitions(tasks, config.outer_batch)
    )
    expected = recording.tensor("expected/outer_policy_loss")
    assert_close(step.losses["policy_loss"][-1:], expected, "policy loss of the last task")
    assert_all_close(step.gradient.tensors, recording.tensors("expected/grad/", "policy"), "policy gradient")
    expected = torch.stack(recording.tensors("expected/grad/", "policy_log_lr"))
    assert_close(step.gradient.raw_inner_lr, expected, "policy step sizes")
    method.update(data)
    assert_adam(recording, method.state()["policy"], "policy", "seq")


def replay_multitask_awr(recording: Recording) -> None:
    config = MultitaskAWR.Config(**config_of(recording), batch=recording.batch("outer").size)
    method = MultitaskAWR(config, recording.family(), torch.device("cpu"), torch.Generator().manual_seed(0))
    networks = {network: recording.tensors("", network) for network in ("value", "policy")}
    method.load_state(method.state() | networks)

    data = RecordedData(recording)
    tasks = data.sample_tasks(config.tasks_per_step)
    step = method.train_step(data.transitions(tasks, config.batch), tasks)
    for name, gradients in (("value", step.value), ("policy", step.policy)):
        expected = recording.tensor(f"expected/outer_{name}_loss")
        assert_close(step.losses[f"{name}_loss"][-1:], expected, f"{name} loss of the last task")
        assert_all_close(gradients, recording.tensors("expected/grad/", name), f"{name} gradient")
    method.update(data)
    for network in networks:
        assert_adam(recording, method.state()[network], network, "seq")


def assert_all_close(actual: list[Tensor], expected: list[Tensor], what: str) -> None:
    assert len(actual) == len(expected)
    for index, (one, other) in enumerate(zip(actual, expected, strict=True)):
        assert_close(one, other, f"{what} {index}")


def assert_close(actual: Tensor, expected: Tensor, what: str) -> None:
    """Agreement relative to the largest number of the tensor."""
    assert actual.shape == expected.shape, what
    error = (actual - expected).abs().max() / expected.abs().max().clamp(min=1e-300)
    print(f"{what}: relative error {error:.1e}")
    assert error < TOLERANCE, f"{what}: relative error {error:.1e}"


REPLAYS: dict[str, Callable[[Recording], None]] = {
    "standard": replay_macaw,
    "no_advantage_head": replay_macaw,
    "no_weight_transform": replay_macaw,
    "imitation": replay_meta_bc,
    "multitask": replay_multitask_awr,
}
"""Beginning of a variant's name, and what replays it."""
