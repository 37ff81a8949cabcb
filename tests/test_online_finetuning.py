"""Learning on in test tasks: what is gathered, when it is learned from, and that the method stays as it was."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from baselines.multitask_awr import MultitaskAWR
from baselines.pearl import Pearl
from benchmark import families
from benchmark.algorithm import Algorithm, FamilyDescription, TrainingData, Transitions
from benchmark.contract.data import transitions
from benchmark.data.dataset import Dataset
from benchmark.errors import AlgorithmError, UnknownNameError
from benchmark.evaluation import Evaluator
from benchmark.online_finetuning import (
    BURN_IN_STEPS,
    CONTEXT,
    MEASURED_AT,
    Gathered,
    fine_tuned_evaluations,
)
from benchmark.results.figures import table_1
from benchmark.results.rows import read_rows
from benchmark.run_config import RunConfig
from benchmark.training import Run
from macaw.algorithm import Macaw
from macaw.awr import ONLINE_BATCH, ONLINE_LR, ONLINE_POLICY_STEPS, ONLINE_VALUE_STEPS
from macaw.networks import Network

Open = Callable[[str], Dataset]
CPU = torch.device("cpu")


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Walks:
    """A fine-tuner that walks in a direction of its own per task, and turns to the best it has seen when it learns."""

    def __init__(self, tasks: int, action_size: int) -> None:
        self.actions = torch.zeros(tasks, 1, action_size)
        self.random, self.sizes = generator(), []

    def explore(self) -> Any:
        actions = torch.empty_like(self.actions).uniform_(-1, 1, generator=self.random)
        return lambda observations: actions.expand(-1, observations.shape[1], -1)

    def learn(self, data: TrainingData) -> None:
        assert isinstance(data, Gathered)
        self.sizes.append(data.counts)
        batch = data.transitions(torch.arange(data.tasks), 500)
        best = batch.returns.argmax(1)
        self.actions = batch.actions[torch.arange(data.tasks), best].unsqueeze(1)

    def policy(self) -> Any:
        actions = self.actions.clone()
        return lambda observations: actions.expand(-1, observations.shape[1], -1)


class Walker(Algorithm):
    """Adapts to nothing; learns online."""

    name = "walker"

    def __init__(self, family: families.Family, random: torch.Generator) -> None:
        self.size, self.random = family.action_size, random

    def adapt(self, context: Transitions) -> Any:
        return lambda observations: observations.new_zeros(*observations.shape[:2], self.size)

    def fine_tuner(self, context: Transitions) -> Walks:
        torch.rand(3, generator=self.random)
        self.context, self.learner = context, Walks(context.tasks, self.size)
        return self.learner


class Made(Evaluator):
    """An evaluator whose contexts are made up."""

    def context(self, choice: Any) -> Transitions:
        described = FamilyDescription(
            self.family.id, self.family.observation_size, self.family.action_size, 1, 1, False
        )
        return transitions(described, len(self.tasks), choice.size)


def evaluator(family_name: str, tasks: tuple[int, ...]) -> tuple[Evaluator, Walker]:
    family, random = families.family(family_name), generator(3)
    return Made(family, tasks, lambda tier: pytest.fail("no data"), 0.99, CPU, random), Walker(family, random)


def test_what_is_learned_online_pays() -> None:
    tested, method = evaluator("point-robot", (3, 11, 16))
    horizon, before = tested.family.horizon, tested.random.get_state()
    found = fine_tuned_evaluations(method, tested, (0, 3 * horizon, 40 * horizon), burn_in_steps=5 * horizon)
    assert [one.online_steps for one in found] == [0, 3 * horizon, 40 * horizon]
    assert all(one.choice == CONTEXT and one.adapted.shape == (3, 20) for one in found)
    assert np.array_equal(found[0].adapted, found[1].adapted), "nothing is learned before the burn-in is over"
    assert (found[2].adapted.mean(1) > found[0].adapted.mean(1) + 1).all()
    assert all(np.array_equal(one.unadapted, found[0].unadapted) for one in found)
    assert method.learner.sizes[0] == [5 * horizon] * 3
    assert len(method.learner.sizes) == 36
    standard = tested.evaluate(method, CONTEXT)
    assert np.array_equal(found[0].adapted, standard.adapted), "their rows have one key"
    assert torch.equal(tested.random.get_state(), before), "training goes on with its own random numbers"


def test_tasks_that_fall_have_as_many_steps_in_every_round() -> None:
    tested, method = evaluator("walker-params", (2, 12, 15))
    horizon = tested.family.horizon
    fine_tuned_evaluations(method, tested, (0, 12 * horizon), burn_in_steps=horizon)
    assert len(method.learner.sizes) == 12
    assert len({tuple(counts) for counts in zip(*method.learner.sizes, strict=True)}) == 3, "they fall apart"
    for number, counts in enumerate(method.learner.sizes, 1):
        assert all(number * horizon <= count < (number + 1) * horizon for count in counts)


def test_gathered_transitions_are_drawn_from_what_is_there() -> None:
    described = FamilyDescription("made-up-v1", 3, 2, 50, 2, dynamics_differ=False)
    gathered = Gathered(2, 60, generator())
    first, second = transitions(described, 1, 10, 1), transitions(described, 1, 30, 2)
    gathered.add(0, first)
    gathered.add(1, second)
    gathered.add(0, second)
    assert gathered.counts == [40, 30]
    drawn = gathered.transitions(torch.tensor([1, 0]), 2000)
    assert set(drawn.rewards[0].tolist()) == set(second.rewards[0].tolist())
    assert set(drawn.rewards[1].tolist()) == set(first.rewards[0].tolist()) | set(second.rewards[0].tolist())
    run = gathered.contiguous(torch.tensor([1]), 30)
    assert torch.equal(run.observations, second.observations)
    with pytest.raises(AlgorithmError, match="online data have no parts"):
        gathered.contiguous(torch.tensor([0]), 5, "early")


FAMILY = FamilyDescription("made-up-v1", 4, 2, 50, 3, dynamics_differ=False)


def built(kind: Any, **settings: Any) -> Any:
    sizes = {"hidden_size": 12, "hidden_layers": 2, **settings}
    return kind(kind.Config(**sizes), FAMILY, CPU, generator())


def gathered_of(batch: Transitions) -> Gathered:
    data = Gathered(batch.tasks, batch.size, generator(8))
    for task in range(batch.tasks):
        data.add(task, batch.map(lambda tensor, task=task: tensor[task : task + 1]))
    return data


@pytest.mark.parametrize("kind", [Macaw, MultitaskAWR])
def test_awr_goes_on_from_the_adapted_networks_and_learns(kind: Any) -> None:
    method, batch = built(kind), transitions(FAMILY, 2, 400)
    learner = method.fine_tuner(transitions(FAMILY, 2, 60, 5))
    as_read = learner._as_input(batch)

    def losses() -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            value = learner._awr.value_losses(learner._value, as_read)
            return value, learner._awr.policy_losses(learner._policy, learner._value, as_read)

    before, acting = losses(), learner.policy()
    actions = acting(batch.observations)
    learner.learn(gathered_of(batch))
    after = losses()
    assert bool((after[0] < before[0]).all())
    assert bool((after[1] < before[1]).all())
    assert torch.equal(acting(batch.observations), actions), "a policy that was given out does not change"
    assert not torch.equal(learner.policy()(batch.observations), actions)


@pytest.mark.parametrize(
    "kind, settings", [(Macaw, {}), (Macaw, {"weight_transform": False}), (MultitaskAWR, {})]
)
def test_learning_on_is_adam_on_every_learned_tensor(kind: Any, settings: dict[str, Any]) -> None:
    """Against automatic differentiation of everything, V computed anew for every step."""
    learner = built(kind, **settings).fine_tuner(transitions(FAMILY, 2, 60, 5))
    value, policy = (copy_of(network) for network in (learner._value, learner._policy))
    batch, tasks = transitions(FAMILY, 2, 400), torch.arange(2)
    data = gathered_of(batch)
    for network, steps in ((value, ONLINE_VALUE_STEPS), (policy, ONLINE_POLICY_STEPS)):
        adam = torch.optim.Adam(network.tensors(), ONLINE_LR)
        for _ in range(steps):
            drawn = learner._as_input(data.transitions(tasks, ONLINE_BATCH))
            about_policy = learner._awr.policy_losses(policy, value, drawn)
            loss = about_policy if network is policy else learner._awr.value_losses(value, drawn)
            adam.zero_grad()
            loss.sum().backward()
            adam.step()
    learner.learn(gathered_of(batch))
    for mine, naive in ((learner._value, value), (learner._policy, policy)):
        for found, expected in zip(mine.tensors(), naive.tensors(), strict=True):
            torch.testing.assert_close(found, expected.detach(), rtol=0, atol=ONLINE_LR)


def copy_of(network: Network) -> Network:
    return network.map(lambda tensor: tensor.detach().clone().requires_grad_())


def test_the_adapted_network_has_the_adapted_layers() -> None:
    """z', W' and c' written out give the theta' of the rank-one form."""
    for settings in ({"latent_size": 5}, {"weight_transform": False}):
        method = built(Macaw, **settings)
        for step in method._adapted(transitions(FAMILY, 2, 60, 5)):
            theta = step.network().theta()
            for mine, theirs in zip(theta, step._after, strict=True):
                torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-6)


def test_pearl_learns_on_in_copies() -> None:
    method = built(Pearl, batch=32)
    saved = method.state()
    learner = method.fine_tuner(transitions(FAMILY, 2, 60, 5))
    observations = torch.randn(2, 7, 4, generator=generator(1))
    before = learner.policy()(observations)
    learner.learn(gathered_of(transitions(FAMILY, 2, 400)))
    after = learner.policy()(observations)
    assert bool((before - after).abs().amax((1, 2)).gt(1e-3).all()), "every task's copy has learned"
    torch.testing.assert_close(method.adapt(transitions(FAMILY, 2, 60, 5))(observations), before)
    for name, tensors in method.state().items():
        for mine, theirs in zip(_flat(tensors), _flat(saved[name]), strict=True):
            assert torch.equal(mine, theirs)
    assert not torch.equal(learner.explore()(observations), learner.explore()(observations))


def _flat(part: Any) -> list[Tensor]:
    if isinstance(part, Tensor):
        return [part]
    return [tensor for one in (part.values() if isinstance(part, dict) else part) for tensor in _flat(one)]


SMALL = {"hidden_size": 8, "hidden_layers": 2, "latent_size": 4, "inner_batch": 16, "outer_batch": 16}


def test_a_run_has_rows_for_each_number_of_steps(
    tmp_path: Path, tiny_data: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmark.final_test.fine_tuned_evaluations", shortened)
    config = RunConfig(
        "macaw", steps=2, threads=1, protocol="online-finetune", settings={**SMALL, "inner_data": "random"}
    )
    run = Run(config, tmp_path / "run", tiny_data)
    run.prepare(resume=False)
    run.train()
    rows = read_rows(tmp_path / "run" / "result.csv")
    tests = rows[["context", "context_size", "online_steps"]].drop_duplicates().values.tolist()
    assert tests == [["mixed", 256, 0], ["random", 256, 0], ["random", 256, 400]]
    assert set(rows["settings"]) == {";".join(f"{k}={v}" for k, v in ordered(config.settings).items())}


def test_the_protocols_numbers_are_the_papers() -> None:
    assert (*MEASURED_AT, BURN_IN_STEPS) == (0, 10_000, 20_000, 25 * 200)
    assert table_1.ONLINE_STEPS == MEASURED_AT
    assert (ONLINE_VALUE_STEPS, ONLINE_POLICY_STEPS, ONLINE_LR, ONLINE_BATCH) == (100, 200, 1e-5, 256)


def shortened(algorithm: Algorithm, evaluator: Evaluator, **options: Any) -> Any:
    return fine_tuned_evaluations(algorithm, evaluator, (0, 400), burn_in_steps=400, **options)


def ordered(settings: Any) -> dict[str, Any]:
    return {name: settings[name] for name in Macaw.Config.__dataclass_fields__ if name in settings}


def test_a_method_that_cannot_learn_online_is_refused_before_training(
    tmp_path: Path, tiny_data: Open
) -> None:
    with pytest.raises(AlgorithmError, match="meta-bc does not learn online"):
        Run(RunConfig("meta-bc", protocol="online-finetune"), tmp_path, tiny_data)


def test_an_unknown_protocol_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'online-finetune'"):
        RunConfig("macaw", protocol="online-finetuning")  # type: ignore[arg-type]
