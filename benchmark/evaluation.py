"""Meta-test of one algorithm on the test tasks of a split, as `protocol.py` says."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from benchmark.algorithm import Algorithm, Policy, Transitions
from benchmark.calls import adapt, call, explore
from benchmark.errors import AlgorithmError
from benchmark.families.family import Array, Family
from benchmark.families.stepping import cores
from benchmark.protocol import (
    EPISODES,
    ContextChoice,
    OpenData,
    concatenate,
    empty_context,
    offline_context,
    online_context,
)
from benchmark.randomness import torch_seed
from benchmark.rollouts import Act, Outcomes, episode_outcomes

ACTING_IN_TEST_TASKS = ("online", "online-finetune")
"""Streams that a method draws from where it gathers data in the test tasks."""


def observation_scale(family: Family, device: torch.device) -> torch.Tensor:
    """The family's factors (observation,) of what algorithms see."""
    return torch.as_tensor(family.observation_scale, dtype=torch.float32, device=device)


def as_act(algorithm: Algorithm, policy: Policy, family: Family, device: torch.device) -> Act:
    """The policy as a function on raw observations whose answers are checked and clipped to [-1, 1].

    Raises AlgorithmError for actions that are not finite, of the wrong shape, or not a tensor.
    """

    scale = observation_scale(family, device)

    def act(observations: NDArray[np.float32]) -> NDArray[np.floating]:
        expected = (*observations.shape[:2], family.action_size)
        with torch.no_grad():
            actions = call(
                f"the policy of {algorithm.name}",
                lambda: policy(torch.from_numpy(observations).to(device) * scale),
            )
        if not isinstance(actions, torch.Tensor) or tuple(actions.shape) != expected:
            found = tuple(actions.shape) if isinstance(actions, torch.Tensor) else type(actions).__name__
            raise AlgorithmError(
                f"the policy of {algorithm.name} gave {found} for observations {observations.shape}; "
                f"it must give actions of shape (task, lane, action) = {expected}."
            )
        values: NDArray[np.floating] = actions.detach().float().cpu().numpy()
        if not np.isfinite(values).all():
            raise AlgorithmError(f"the policy of {algorithm.name} gave actions that are not finite.")
        return np.asarray(np.clip(values, -1.0, 1.0))

    return act


@dataclass(frozen=True)
class Evaluation:
    """Returns at meta-test with one context choice."""

    choice: ContextChoice
    adapted: Array
    """(task, episode) returns of the adapted policies."""
    unadapted: Array
    """(task, episode) returns of the policy adapted to nothing."""
    adapted_successes: NDArray[np.bool_] | None = None
    """(task, episode), whether the adapted policies solved the task; None where the family does not know success."""
    unadapted_successes: NDArray[np.bool_] | None = None
    """The same of the policy adapted to nothing."""
    online_steps: int = 0
    """Environment steps of online fine-tuning in each task before this test."""


def combined(choice: ContextChoice, adapted: Sequence[Outcomes], unadapted: Outcomes) -> Evaluation:
    """The evaluation whose groups of tasks, in order, came to these outcomes."""
    returns = np.concatenate([one.returns for one in adapted])
    solved = [one.successes for one in adapted if one.successes is not None]
    successes = np.concatenate(solved) if solved else None
    return Evaluation(choice, returns, unadapted.returns, successes, unadapted.successes)


@dataclass(frozen=True)
class Policies:
    """What a method adapts to at meta-test with one context choice."""

    adapted: Sequence[tuple[tuple[int, ...], Policy]]
    """Test tasks that were adapted to together, and the policy for them; all tasks, in order."""
    unadapted: Policy
    """For all test tasks."""


class Evaluator:
    """Evaluates algorithms of one run: contexts are drawn once, random numbers are the evaluation's own."""

    def __init__(
        self, family: Family, tasks: Sequence[int], open_data: OpenData, discount: float, device: torch.device,
        random: torch.Generator, seed: int = 0,
    ) -> None:  # fmt: skip
        """`random`: the algorithm's generator, which evaluation seeds anew and puts back as it was.

        What the algorithm draws in the test tasks themselves is another in every training `seed`.
        """
        self.family, self.tasks, self.open_data, self.discount = family, tuple(tasks), open_data, discount
        self.device, self.random, self.seed = device, random, seed
        self._scale = observation_scale(family, device)
        self._contexts: dict[ContextChoice, Transitions] = {}

    def context(self, choice: ContextChoice) -> Transitions:
        """The recorded context (task, size) of all test tasks."""
        if choice not in self._contexts:
            parts = [
                offline_context(self.family, task, choice, self.open_data, self.discount)
                for task in self.tasks
            ]
            self._contexts[choice] = self.as_seen(concatenate(parts, dim=0))
        return self._contexts[choice]

    def as_seen(self, raw: Transitions) -> Transitions:
        """Transitions as algorithms see them: on the device, observations multiplied by the family's factors."""
        return raw.map(lambda tensor: tensor.to(self.device)).with_scaled_observations(self._scale)

    def evaluate(self, algorithm: Algorithm, choice: ContextChoice) -> Evaluation:
        """Adapted and un-adapted returns over the protocol's episodes; the algorithm is left as it was."""
        with self.own_randomness(choice.source, choice.size):
            return self._evaluate(algorithm, choice, self._policies(algorithm, choice))

    def policies(self, algorithm: Algorithm, choice: ContextChoice) -> Policies:
        """The policies that `evaluate` rolls out, new ones at every call; the algorithm is left as it was."""
        with self.own_randomness(choice.source, choice.size):
            return self._policies(algorithm, choice)

    def evaluate_policy(
        self, algorithm: Algorithm, policy: Policy, choice: ContextChoice, online_steps: int
    ) -> Evaluation:
        """The same of a policy for all test tasks that began with this context and learned on for so many steps."""
        found = Policies([(self.tasks, policy)], self._unadapted(algorithm))
        return replace(self._evaluate(algorithm, choice, found), online_steps=online_steps)

    @contextmanager
    def own_randomness(self, *stream: str | int) -> Iterator[None]:
        """Within the block the algorithm draws from the evaluation's stream; afterwards it is as it was."""
        saved, threads = self.random.get_state(), torch.get_num_threads()
        seed = self.seed if stream[0] in ACTING_IN_TEST_TASKS else 0
        self.random.manual_seed(torch_seed(seed, "evaluation", *stream))
        try:
            yield
        finally:
            torch.set_num_threads(threads)
            self.random.set_state(saved)

    def _unadapted(self, algorithm: Algorithm) -> Policy:
        return adapt(algorithm, empty_context(self.family, len(self.tasks), self.device))

    def _policies(self, algorithm: Algorithm, choice: ContextChoice) -> Policies:
        if choice.source == "online":
            contexts = [self._gather(algorithm, task, choice) for task in self.tasks]
            groups: list[tuple[tuple[int, ...], Policy]] = [
                ((task,), adapt(algorithm, context))
                for task, context in zip(self.tasks, contexts, strict=True)
            ]
        else:
            groups = [(self.tasks, adapt(algorithm, self.context(choice)))]
        return Policies(groups, self._unadapted(algorithm))

    def _evaluate(self, algorithm: Algorithm, choice: ContextChoice, found: Policies) -> Evaluation:
        *adapted, unadapted = self._outcomes(algorithm, [*found.adapted, (self.tasks, found.unadapted)])
        return combined(choice, adapted, unadapted)

    def _gather(self, algorithm: Algorithm, task: int, choice: ContextChoice) -> Transitions:
        def exploring(context: Transitions) -> Policy:
            return explore(algorithm, context.with_scaled_observations(self._scale))

        def act(policy: Policy) -> Act:
            return as_act(algorithm, policy, self.family, self.device)

        raw = online_context(self.family, task, choice, exploring, act, self.discount, self.device)
        return raw.with_scaled_observations(self._scale)

    def _outcomes(
        self, algorithm: Algorithm, groups: Sequence[tuple[tuple[int, ...], Policy]]
    ) -> list[Outcomes]:
        """Outcomes (task, episode) of each group of tasks under its policy.

        Groups run side by side, each with its share of the cores, so that one's policy does not wait for another's
        physics; torch gets one thread in each, as policies are small. Raises AlgorithmError where a policy draws
        numbers: who draws first would be chance.
        """
        drawn = self.random.get_state()
        workers = min(len(groups), cores())
        threads = cores() // workers if cores() > workers else int(self.family.steps_in_python)
        with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            running = [
                pool.submit(
                    episode_outcomes,
                    self.family,
                    tasks,
                    as_act(algorithm, policy, self.family, self.device),
                    EPISODES,
                    threads,
                )
                for tasks, policy in groups
            ]
            outcomes = [future.result() for future in running]
        if not torch.equal(self.random.get_state(), drawn):
            raise AlgorithmError(
                f"a policy of {algorithm.name} drew from `random` while it acted, so that its return is of chance. "
                "Draw in adapt; what acts at random is explore's."
            )
        return outcomes
