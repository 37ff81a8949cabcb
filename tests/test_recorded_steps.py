"""Steps on a GPU that are recorded and replayed, and tests on the processor of a method that is trained elsewhere."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmark import families
from benchmark import tested as for_tests
from benchmark.algorithm import Algorithm, AlgorithmConfig, FamilyDescription
from benchmark.data.dataset import Dataset
from benchmark.data.sampler import Sampler
from benchmark.recorded_steps import FIRST_STEPS, RecordedSteps, step_maker
from benchmark.registry import BUILT_IN, build_config, find_algorithm
from benchmark.tested import PROCESSOR

FIXED = [name for name in BUILT_IN if find_algorithm(name).fixed_steps]
SMALL: dict[str, dict[str, Any]] = {name: {"hidden_size": 8} for name in FIXED}
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")


def build(
    name: str, device: torch.device, random: torch.Generator, settings: AlgorithmConfig | None = None
) -> Algorithm:
    kind = find_algorithm(name)
    family = families.family("cheetah-dir")
    described = FamilyDescription(family.id, family.observation_size, family.action_size, 200, 2, False)
    return kind(settings or build_config(kind, SMALL[name]), described, device, random)


def tensors(part: Any) -> list[Tensor]:
    if isinstance(part, Tensor):
        return [part]
    return [found for each in (part.values() if isinstance(part, dict) else part) for found in tensors(each)]


def test_the_paper_s_methods_have_fixed_steps() -> None:
    assert {"macaw", "pearl", "multitask-awr", "meta-bc"} <= set(FIXED)


def test_steps_on_the_processor_are_made_as_they_are_written(tiny_data: Callable[[str], Dataset]) -> None:
    random = torch.Generator().manual_seed(0)
    method = build("meta-bc", PROCESSOR, random)
    data = Sampler(tiny_data("mixed"), range(2), 0.99, PROCESSOR, random)
    assert not isinstance(step_maker(method, data, [random], PROCESSOR), RecordedSteps)


@needs_cuda
@pytest.mark.parametrize("name", FIXED)
def test_replayed_steps_are_bit_for_bit_the_written_ones(
    name: str, tiny_data: Callable[[str], Dataset]
) -> None:
    device, found = torch.device("cuda"), []
    for recorded in (False, True):
        generators = [torch.Generator(device).manual_seed(seed) for seed in (0, 1)]
        method = build(name, device, generators[0])
        data = Sampler(tiny_data("mixed"), range(2), 0.99, device, generators[1])
        make_step = step_maker(method, data, generators, device)
        assert isinstance(make_step, RecordedSteps)
        metrics = []
        for step in range(FIRST_STEPS + 10):
            values = make_step(step) if recorded else make_step._step(step)
            metrics.append(float(values["loss"]))
        found.append((metrics, tensors(method.state()), [one.get_state() for one in generators]))
    (losses, written, streams), (replayed_losses, replayed, replayed_streams) = found
    assert len(set(losses)) > FIRST_STEPS, "steps that are all alike tell nothing"
    assert losses == replayed_losses
    assert all(torch.equal(one, other) for one, other in zip(written, replayed, strict=True))
    assert all(torch.equal(one, other) for one, other in zip(streams, replayed_streams, strict=True))


@pytest.mark.parametrize("name", FIXED)
def test_what_is_tested_is_a_copy_where_the_method_is_trained_elsewhere(
    name: str, tiny_data: Callable[[str], Dataset]
) -> None:
    """The device is only said to be another one: there is none in this test."""
    random = torch.Generator().manual_seed(0)
    trained = build(name, PROCESSOR, random)
    tested = for_tests.Tested(
        trained,
        build_config(find_algorithm(name), SMALL[name]),
        lambda settings, device, drawn: build(name, device, drawn, settings),
        torch.device("cuda"),
        random,
    )
    data = Sampler(tiny_data("mixed"), range(2), 0.99, PROCESSOR, random)
    for _ in range(2):
        trained.update(data)
        before, copy = random.get_state(), tested.now()
        assert copy is not trained
        own, copied = tensors(trained.state()), tensors(copy.state())
        assert all(torch.equal(one, other) for one, other in zip(own, copied, strict=True))
        assert torch.equal(random.get_state(), before)
    assert tested.random is not random


def test_what_is_tested_is_the_method_itself_on_the_processor() -> None:
    random = torch.Generator().manual_seed(0)
    trained = build("meta-bc", PROCESSOR, random)
    tested = for_tests.Tested(
        trained,
        trained.config,
        lambda settings, device, drawn: build("meta-bc", device, drawn, settings),
        PROCESSOR,
        random,
    )  # fmt: skip
    assert tested.now() is trained
    assert tested.random is random
