"""Contexts and evaluation: what the agent may see, the same for all, and nothing that tells the task."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from benchmark import families
from benchmark.algorithm import Algorithm, FamilyDescription, Transitions
from benchmark.data.dataset import Dataset
from benchmark.data.sampler import Sampler
from benchmark.errors import AlgorithmError, ConfigError, UnknownNameError
from benchmark.evaluation import Evaluator
from benchmark.protocol import (
    SOURCES,
    ContextChoice,
    concatenate,
    empty_context,
    episodes_as_transitions,
    offline_context,
    online_context,
    other_task,
)
from benchmark.rollouts import Episodes, episode_outcomes, initial_states, record_episodes

Open = Callable[[str], Dataset]
FAMILY = families.family("cheetah-dir")
CPU = torch.device("cpu")


def rows_of(context: Transitions, dataset: Dataset) -> list[int]:
    """Numbers of the data set's rows whose actions these are."""
    by_action = {dataset.actions[row].tobytes(): row for row in range(dataset.rows)}
    return [by_action[action.numpy().tobytes()] for action in context.actions[0]]


def test_a_context_is_drawn_without_replacement_from_the_task(tiny_data: Open) -> None:
    rows = rows_of(offline_context(FAMILY, 1, ContextChoice(), tiny_data, 0.99), tiny_data("mixed"))
    assert len(set(rows)) == 256
    assert set(rows) <= set(range(600, 1200))
    assert rows != sorted(rows)


def test_a_smaller_context_is_part_of_a_larger_one(tiny_data: Open) -> None:
    small = offline_context(FAMILY, 0, ContextChoice("mixed", 64), tiny_data, 0.99)
    large = offline_context(FAMILY, 0, ContextChoice("mixed", 512), tiny_data, 0.99)
    assert torch.equal(small.observations, large.observations[:, :64])


@pytest.mark.parametrize(("source", "first"), [("early", 600), ("middle", 800), ("late", 1000)])
def test_thirds_of_the_training_life(tiny_data: Open, source: str, first: int) -> None:
    rows = rows_of(
        offline_context(FAMILY, 1, ContextChoice(source, 200), tiny_data, 0.99), tiny_data("mixed")
    )
    assert sorted(rows) == list(range(first, first + 200))


def test_other_is_another_tasks_data(tiny_data: Open) -> None:
    rows = rows_of(offline_context(FAMILY, 1, ContextChoice("other"), tiny_data, 0.99), tiny_data("mixed"))
    assert set(rows) <= set(range(600))
    velocity = families.family("cheetah-vel")
    assert all(other_task(velocity, task) != task for task in range(40))
    assert other_task(velocity, 7) == other_task(velocity, 7)


def test_tiers_are_opened_by_name(tiny_data: Open) -> None:
    asked: list[str] = []

    def open_data(tier: str) -> Dataset:
        asked.append(tier)
        return tiny_data(tier)

    for source in SOURCES:
        if source != "online":
            offline_context(FAMILY, 0, ContextChoice(source, 10), open_data, 0.99)
    assert asked == ["mixed", "random", "medium", "expert", "mixed", "mixed", "mixed", "mixed"]


def test_impossible_contexts_are_refused(tiny_data: Open) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'mixed'"):
        ContextChoice("mixd")
    with pytest.raises(ConfigError, match="context of 0"):
        ContextChoice("mixed", 0)
    with pytest.raises(ConfigError, match="context of 601 transitions: task 0 .* has 600"):
        offline_context(FAMILY, 0, ContextChoice("mixed", 601), tiny_data, 0.99)


def made_up_episodes(terminated: bool) -> Episodes:
    random = np.random.default_rng(0)
    return Episodes(
        random.normal(size=(1, 2, 6, 3)).astype(np.float32),
        random.normal(size=(1, 2, 5, 2)).astype(np.float32),
        random.normal(size=(1, 2, 5)).astype(np.float32),
        np.array([[5, 3]]),
        np.array([[False, terminated]]),
    )


@pytest.mark.parametrize("terminated", [False, True])
def test_gathered_episodes_become_transitions(terminated: bool) -> None:
    episodes = made_up_episodes(terminated)
    (batch,) = episodes_as_transitions(episodes, 0.9)
    assert batch.size == 8
    np.testing.assert_array_equal(batch.observations[0, 5:], episodes.observations[0, 1, :3])
    np.testing.assert_array_equal(batch.next_observations[0, 5:], episodes.observations[0, 1, 1:4])
    np.testing.assert_array_equal(batch.final_observations[0, 6], episodes.observations[0, 1, 3])
    rewards = episodes.rewards[0, 1].astype(float)
    expected = rewards[0] + 0.9 * rewards[1] + 0.81 * rewards[2]
    assert float(batch.returns[0, 5]) == pytest.approx(float(expected), rel=1e-6)
    assert batch.terminated[0].tolist() == [0.0] * 7 + [float(terminated)]
    discounts = [0.0] * 3 if terminated else [0.9**3, 0.9**2, 0.9]
    np.testing.assert_allclose(batch.final_discounts[0, 5:], discounts, rtol=1e-6)


def test_evaluation_starts_every_task_and_every_call_from_the_same_states() -> None:
    qpos, qvel = initial_states(FAMILY, 2, 20)
    np.testing.assert_array_equal(qpos[:20], qpos[20:])
    fewer, _ = initial_states(FAMILY, 1, 5)
    np.testing.assert_array_equal(fewer, qpos[:5])
    assert len(np.unique(qvel[:20], axis=0)) == 20
    gathering, _ = initial_states(FAMILY, 1, 5, "online", 0)
    assert not np.array_equal(gathering, fewer)


def test_returns_are_those_of_the_gymnasium_environment() -> None:
    import gymnasium

    def act(observations: np.ndarray) -> np.ndarray:
        return np.clip(observations[..., :6], -1, 1)

    returns = episode_outcomes(FAMILY, [1], act, lanes=2).returns
    qpos, qvel = initial_states(FAMILY, 1, 2)
    environment = gymnasium.make("cheetah-dir-v1", task=1).unwrapped
    environment.reset(seed=0)
    observation, total = environment.set_state(qpos[1], qvel[1]), 0.0  # type: ignore[attr-defined]
    for _ in range(200):
        observation, reward, *_ = environment.step(act(observation))
        total += float(reward)
    assert returns[0, 1] == pytest.approx(total, abs=1e-9)


class Spy(Algorithm):
    """Acts with the mean action of its context and draws random numbers where it can."""

    name = "spy"

    def __init__(
        self, config: Any, family: FamilyDescription, device: torch.device, random: torch.Generator
    ) -> None:
        self.random = random
        self.contexts: list[Transitions] = []

    def adapt(self, context: Transitions) -> Any:
        self.contexts.append(context)
        torch.rand(3, generator=self.random)
        mean = context.actions.mean(1, keepdim=True).nan_to_num()
        return lambda observations: mean.expand(-1, observations.shape[1], -1)


def spied(tiny_data: Open, source: str = "mixed", size: int = 256) -> tuple[Spy, Any]:
    random = torch.Generator().manual_seed(0)
    description = FamilyDescription("cheetah-dir-v1", 20, 6, 200, 2, False)
    spy = Spy(None, description, CPU, random)
    evaluator = Evaluator(FAMILY, (0, 1), tiny_data, 0.99, CPU, random)
    return spy, evaluator.evaluate(spy, ContextChoice(source, size))


def test_evaluation_leaves_the_random_numbers_of_training_alone(tiny_data: Open) -> None:
    spy, _ = spied(tiny_data)
    assert torch.equal(spy.random.get_state(), torch.Generator().manual_seed(0).get_state())


def test_what_is_drawn_in_test_tasks_is_of_the_runs_seed_and_nothing_else_is(tiny_data: Open) -> None:
    def drawn(seed: int, stream: str) -> int:
        random = torch.Generator()
        evaluator = Evaluator(FAMILY, (0, 1), tiny_data, 0.99, CPU, random, seed)
        with evaluator.own_randomness(stream, 200):
            return int(torch.randint(2**62, (), generator=random))

    for stream in ("online", "online-finetune"):
        assert drawn(0, stream) == drawn(0, stream) != drawn(1, stream)
    assert drawn(0, "mixed") == drawn(1, "mixed")


def test_evaluation_repeats_exactly(tiny_data: Open) -> None:
    np.testing.assert_array_equal(spied(tiny_data)[1].adapted, spied(tiny_data)[1].adapted)


def test_a_policy_that_draws_while_it_acts_is_refused(
    tiny_data: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    def adapt(spy: Spy, context: Transitions) -> Any:
        return lambda seen: torch.rand((*seen.shape[:2], 6), generator=spy.random)

    monkeypatch.setattr(Spy, "adapt", adapt)
    with pytest.raises(AlgorithmError, match="drew from `random` while it acted"):
        spied(tiny_data)


def test_equal_contexts_give_equal_policies_whatever_the_task(tiny_data: Open) -> None:
    """With the same data for both tasks, nothing is left that could tell them apart but the reward."""
    dataset = tiny_data("mixed")
    same = replace(
        dataset,
        observations=np.concatenate([dataset.observations[:603]] * 2),
        actions=np.concatenate([dataset.actions[:600]] * 2),
        rewards=np.concatenate([dataset.rewards[:600]] * 2),
    )
    random = torch.Generator().manual_seed(0)
    spy = Spy(None, FamilyDescription("cheetah-dir-v1", 20, 6, 200, 2, False), CPU, random)
    evaluator = Evaluator(FAMILY, (0, 1), lambda tier: same, 0.99, CPU, random)
    context = evaluator.context(ContextChoice("mixed", 600))
    for name in ("observations", "actions", "rewards"):
        first, second = (
            np.sort(getattr(context, name)[task].numpy().reshape(600, -1), axis=0) for task in (0, 1)
        )
        np.testing.assert_array_equal(first, second)
    evaluation = evaluator.evaluate(spy, ContextChoice("mixed", 600))
    # the same bodies, states and actions: only direction * v changes its sign, the effort is paid twice
    effort = 0.05 * 200 * float(context.actions.mean(1)[0].square().sum())
    np.testing.assert_allclose(evaluation.adapted.sum(0), -2 * effort, rtol=1e-3)


def test_online_contexts_are_whole_episodes_and_exploration_sees_what_came_before(tiny_data: Open) -> None:
    spy, _ = spied(tiny_data, "online", 256)
    sizes = [context.size for context in spy.contexts]
    assert sizes == [0, 200, 0, 200, 400, 400, 0]


def test_online_episodes_differ_between_themselves() -> None:
    context = online_context(
        FAMILY, 0, ContextChoice("online", 400), lambda context: None, # type: ignore[arg-type, return-value]
        lambda policy: lambda observations: np.zeros((*observations.shape[:2], 6)), 0.99, CPU,
    )  # fmt: skip
    assert context.size == 400
    assert not torch.equal(context.observations[0, 0], context.observations[0, 200])


def test_empty_context_has_the_shapes_of_the_family() -> None:
    context = empty_context(FAMILY, 3, CPU)
    assert (context.tasks, context.size) == (3, 0)
    assert context.final_observations.shape == (3, 0, 20)
    assert context.actions.shape == (3, 0, 6)
    assert concatenate([context, context], dim=0).tasks == 6


def test_recorded_episodes_agree_with_their_returns() -> None:
    def act(observations: np.ndarray) -> np.ndarray:
        return np.full((*observations.shape[:2], 6), 0.5)

    episodes = record_episodes(FAMILY, [0, 1], act, 2, ("test",))
    assert episodes.lengths.tolist() == [[200, 200], [200, 200]]
    assert (episodes.actions == 0.5).all()
    np.testing.assert_allclose(
        episodes.rewards[0].sum(1) + episodes.rewards[1].sum(1), -2 * 200 * 0.05 * 6 * 0.25, atol=1e-2
    )


def test_algorithms_see_observations_in_the_families_units_everywhere(tiny_data: Open) -> None:
    """Training batches, contexts given and gathered, and observations at test: all scaled, and only once."""
    seen: list[torch.Tensor] = []

    class Watching(Spy):
        def adapt(self, context: Transitions) -> Any:
            policy = super().adapt(context)

            def act(observations: torch.Tensor) -> torch.Tensor:
                seen.append(observations)
                return torch.as_tensor(policy(observations))

            return act

    scale = torch.as_tensor(FAMILY.observation_scale, dtype=torch.float32)
    random = torch.Generator().manual_seed(0)
    spy = Watching(None, FamilyDescription("cheetah-dir-v1", 20, 6, 200, 2, False), CPU, random)
    evaluator = Evaluator(FAMILY, (0, 1), tiny_data, 0.99, CPU, random)
    given = evaluator.context(ContextChoice())
    raw = offline_context(FAMILY, 1, ContextChoice(), tiny_data, 0.99)
    assert torch.equal(given.observations[1], raw.observations[0] * scale)
    assert torch.equal(given.final_observations[1], raw.final_observations[0] * scale)
    evaluator.evaluate(spy, ContextChoice("online", 200))
    first = torch.from_numpy(families.family("cheetah-dir").observation_scale)
    states = initial_states(FAMILY, 1, 1, "online", 0)
    with FAMILY.simulation([0], threads=0) as simulation:
        start = torch.from_numpy(simulation.reset(*states))
    torch.testing.assert_close(seen[0][0, 0].double(), start[0].double() * first, rtol=1e-6, atol=1e-7)
    gathered = next(context for context in spy.contexts if context.size == 200)
    torch.testing.assert_close(gathered.observations[0, 0], seen[0][0, 0])
    sampler = Sampler(tiny_data("mixed"), [0, 1], 0.99, CPU, random, FAMILY.observation_scale)
    plain = Sampler(tiny_data("mixed"), [0, 1], 0.99, CPU, torch.Generator())
    random.manual_seed(3)
    scaled = sampler.transitions(torch.tensor([0, 1]), 5)
    plain._random.manual_seed(3)
    unscaled = plain.transitions(torch.tensor([0, 1]), 5)
    assert torch.equal(scaled.next_observations, unscaled.next_observations * scale)
