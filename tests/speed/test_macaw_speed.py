"""Meta-steps per second at the paper's sizes, beside the naive form: `pytest tests/speed --benchmark-enable`.

Cheetah's sizes (observation 20, action 6), 5 tasks, 256 + 256 transitions, float32, two threads.
"""

from collections.abc import Iterator

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from macaw.algorithm import Macaw, MacawConfig
from macaw.optimizer import Adam
from tests.macaw import naive
from tests.macaw.data import InMemoryData, family

FAMILY = family(tasks=35, observation_size=20, action_size=6)


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def macaw() -> Macaw:
    return Macaw(MacawConfig(), FAMILY, torch.device("cpu"), torch.Generator().manual_seed(0))


@pytest.mark.benchmark(group="meta-step")
@pytest.mark.parametrize("tasks", [5, 20])
def test_meta_step(benchmark: BenchmarkFixture, tasks: int) -> None:
    config = MacawConfig(tasks_per_step=tasks)
    macaw = Macaw(config, FAMILY, torch.device("cpu"), torch.Generator().manual_seed(0))
    data = InMemoryData(FAMILY, per_task=400)
    benchmark.pedantic(macaw.update, (data,), warmup_rounds=3, rounds=20)


@pytest.mark.benchmark(group="meta-step")
def test_meta_step_naive(benchmark: BenchmarkFixture, macaw: Macaw) -> None:
    config, state, data = macaw.config, macaw.state(), InMemoryData(FAMILY, per_task=400)
    optimizers = {
        "value": Adam(state["value"], config.value_outer_lr),
        "policy": Adam(state["policy"] + state["head"], config.policy_outer_lr),
        "hyper": Adam([state[name] for name in naive.RAW], config.hyper_lr),
    }

    def update() -> None:
        tasks = data.sample_tasks(config.tasks_per_step)
        inner, outer = data.contiguous(tasks, 256), data.transitions(tasks, 256)
        step = naive.meta_step(config, FAMILY.train_tasks, state, inner, outer)
        for part, optimizer in optimizers.items():
            optimizer.step(step[part])

    benchmark.pedantic(update, warmup_rounds=1, rounds=5)


@pytest.mark.benchmark(group="act")
def test_act_for_five_tasks_and_twenty_lanes(benchmark: BenchmarkFixture, macaw: Macaw) -> None:
    data = InMemoryData(FAMILY, per_task=400)
    policy = macaw.adapt(data.transitions(torch.arange(5), 256))
    observations = torch.zeros(5, 20, 20)
    benchmark(policy, observations)
