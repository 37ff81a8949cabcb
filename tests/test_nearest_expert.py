"""The reference that looks up experts: it finds whose actions a context holds, and never a test task's expert."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark import families
from benchmark.algorithm import Algorithm, AlgorithmConfig, FamilyDescription, Transitions
from benchmark.cli import main
from benchmark.contract import checks
from benchmark.contract.subject import Subject
from benchmark.data.dataset import Dataset
from benchmark.data.open import record_standard
from benchmark.data.shipped import shipped_behaviour
from benchmark.errors import AlgorithmError, ConfigError
from benchmark.nearest_expert import NearestExpert
from benchmark.protocol import ContextChoice, concatenate, empty_context, offline_context
from benchmark.run_config import RunConfig
from benchmark.training import Run

FAMILY = families.family("point-robot")
SPLIT = FAMILY.split("standard")
CPU = torch.device("cpu")


def description(family: families.Family) -> FamilyDescription:
    return FamilyDescription(
        family.id, family.observation_size, family.action_size, 20, 3, dynamics_differ=False
    )


def method() -> NearestExpert:
    found = NearestExpert(AlgorithmConfig(), description(FAMILY), CPU, torch.Generator())
    found.load_state({"tasks": list(SPLIT.train)})
    return found


@pytest.fixture(scope="module")
def experts() -> Dataset:
    return record_standard(FAMILY, "expert", "small")


def context(task: int, data: Dataset) -> Transitions:
    scale = torch.as_tensor(FAMILY.observation_scale, dtype=torch.float32)
    raw = offline_context(FAMILY, task, ContextChoice("expert", 200), lambda tier: data, 0.99)
    return raw.with_scaled_observations(scale)


def test_a_train_task_is_recognised_and_its_expert_acts(experts: Dataset) -> None:
    nearest = method()
    for task in SPLIT.train[::5]:
        own = context(task, experts)
        assert nearest.likeliest(own) == [task]
        behaviour = shipped_behaviour(FAMILY)
        policy = behaviour.policy(np.array([task]), np.array([behaviour.last]))
        scale = np.asarray(FAMILY.observation_scale)
        raw = own.observations.numpy() / scale
        mean, _ = policy.distribution(raw, np.zeros((1, 200, 0)))
        torch.testing.assert_close(
            nearest.adapt(own)(own.observations).double(), torch.as_tensor(np.tanh(mean)), rtol=0, atol=1e-5
        )


def test_an_expert_of_a_test_task_is_never_looked_up(experts: Dataset) -> None:
    for task in SPLIT.test:
        assert set(method().likeliest(context(task, experts))) <= set(SPLIT.train)


def test_without_a_context_experts_are_averaged() -> None:
    observations = torch.randn(2, 5, FAMILY.observation_size, generator=torch.Generator().manual_seed(0))
    actions = method().adapt(empty_context(FAMILY, 2, CPU))(observations)
    one = method()
    each = []
    for task in SPLIT.train:
        one.load_state({"tasks": [task]})
        each.append(one.adapt(empty_context(FAMILY, 2, CPU))(observations))
    torch.testing.assert_close(actions, torch.stack(each).mean(0))


@dataclass(frozen=True)
class LookedUp(Subject):
    """The reference as the contract's checks take a method, with contexts of as many experts as there are tasks."""

    recorded: Dataset | None = None

    def trained(self, steps: int = 2, random: torch.Generator | None = None) -> Algorithm:
        return method()

    def context(self, tasks: int, size: int, seed: int = 5) -> Transitions:
        assert self.recorded is not None
        each = [context(task, self.recorded) for task in SPLIT.train[:tasks]]
        return concatenate(each, 0).map(lambda tensor: tensor[:, :size])


@pytest.mark.parametrize(
    "check",
    [
        checks.adapts_to_any_context,
        checks.explores_from_any_context,
        checks.an_empty_context_tells_nothing,
        checks.acts_alike_twice,
        checks.permuting_tasks_permutes_results,
        checks.company_does_not_matter,
    ],
)
def test_it_keeps_the_contracts_promises_of_adapting(
    check: Callable[[Subject], None], experts: Dataset
) -> None:
    subject = LookedUp(NearestExpert, AlgorithmConfig(), description(FAMILY), recorded=experts)
    assert len(set(method().likeliest(subject.context(4, 60)))) == 4
    check(subject)


def test_without_a_context_company_does_not_matter() -> None:
    observations = torch.randn(3, 5, FAMILY.observation_size, generator=torch.Generator().manual_seed(0))
    together = method().adapt(empty_context(FAMILY, 3, CPU))(observations)
    for task in range(3):
        one = slice(task, task + 1)
        alone = method().adapt(empty_context(FAMILY, 1, CPU))(observations[one])
        torch.testing.assert_close(alone, together[one])


def test_it_runs_like_a_method(experts: Dataset, tmp_path: Path) -> None:
    config = RunConfig(
        "nearest-expert", family="point-robot", steps=1, threads=1, contexts=(ContextChoice("expert"),)
    )
    run = Run(config, tmp_path, lambda tier: experts)
    run.prepare(resume=False)
    rows = run.train()
    assert rows["adapted_return"].mean() > rows["unadapted_return"].mean() + 1


def test_scripts_and_made_up_data_are_refused() -> None:
    ml45 = families.family("ml45")
    with pytest.raises(ConfigError, match="ml45-v1 are scripts"):
        NearestExpert(AlgorithmConfig(), description(ml45), CPU, torch.Generator())
    with pytest.raises(AlgorithmError, match="not to be had without one"):
        method().update(None)  # type: ignore[arg-type]


def test_it_is_no_subject_of_the_contract(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "nearest-expert"]) == 2
    said = capsys.readouterr()
    assert "is a reference of the suite and no method" in said.err
    assert "BROKEN" not in said.out
