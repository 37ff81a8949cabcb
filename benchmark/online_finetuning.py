"""The protocol `online-finetune` (Mitchell et al., 2021, Table 1): a method goes on learning in each test task.

    context of random actions --adapt--> policy --20 episodes--> return at 0 environment steps
    again and again:  a round of exploring episodes in each task,  then (from 5,000 steps on) the method learns
    at 10,000 and 20,000 environment steps:  the deterministic policy --20 episodes--> return

A round is one episode in each task, or, where episodes end early, so many that the task has as many steps in all as if
they had not: families and tasks that fall learn as often as others, from as much. The paper measures with 3 episodes,
this suite with its 20.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmark import calls
from benchmark.algorithm import Algorithm, FineTuner, LifePart, Transitions
from benchmark.errors import AlgorithmError
from benchmark.evaluation import Evaluation, Evaluator, as_act
from benchmark.protocol import ContextChoice, episodes_as_transitions
from benchmark.rollouts import Act, record_episodes

MEASURED_AT = (0, 10_000, 20_000)
"""Environment steps per test task after which the policy is tested."""
BURN_IN_STEPS = 5_000
"""Environment steps per task that are gathered before the method learns for the first time: the paper's 25 episodes."""
CONTEXT = ContextChoice("random")
"""What the method is adapted to before it has taken a step."""


class Gathered:
    """All transitions that were gathered in some tasks, growing; fulfils `TrainingData`, slot k being the k-th task."""

    def __init__(self, tasks: int, capacity: int, random: torch.Generator) -> None:
        """`capacity`: transitions per task, never exceeded. Draws come from `random`, on its device."""
        self.tasks, self._capacity, self._random = tasks, capacity, random
        self._counts = torch.zeros(tasks, dtype=torch.int64, device=random.device)
        self._all: Transitions | None = None

    @property
    def counts(self) -> list[int]:
        """Transitions of each task so far."""
        return [int(count) for count in self._counts]

    def add(self, task: int, new: Transitions) -> None:
        """Append transitions (1, size) of one task."""
        if self._all is None:
            shape = (self.tasks, self._capacity)
            self._all = new.map(lambda tensor: tensor.new_zeros((*shape, *tensor.shape[2:])))
        start = int(self._counts[task])
        for name in Transitions.__dataclass_fields__:
            getattr(self._all, name)[task, start : start + new.size] = getattr(new, name)[0]
        self._counts[task] += new.size

    def sample_tasks(self, count: int) -> Tensor:
        """`count` different slots (all where there are fewer), drawn uniformly."""
        order = torch.randperm(self.tasks, generator=self._random, device=self._random.device)
        return order[:count]

    def transitions(self, tasks: Tensor, size: int) -> Transitions:
        """`size` transitions per task drawn uniformly with replacement."""
        count = self._counts.index_select(0, tasks)[:, None]
        return self._pick(tasks, self._draw((len(tasks), size)) % count)

    def contiguous(self, tasks: Tensor, size: int, part: LifePart = "all") -> Transitions:
        """`size` consecutive transitions per task; raises AlgorithmError for a part of a training life."""
        if part != "all" or size > min(self.counts):
            raise AlgorithmError(
                f"{size} consecutive transitions of part '{part}' were asked for, but online data have no parts, "
                f"and {min(self.counts)} transitions so far."
            )
        count = self._counts.index_select(0, tasks)[:, None]
        first = self._draw((len(tasks), 1)) % (count - size + 1)
        return self._pick(tasks, first + torch.arange(size, device=self._random.device))

    def _pick(self, tasks: Tensor, rows: Tensor) -> Transitions:
        assert self._all is not None, "something must be gathered first"
        return self._all.map(lambda tensor: tensor[tasks[:, None], rows])

    def _draw(self, shape: tuple[int, int]) -> Tensor:
        return torch.randint(2**62, shape, generator=self._random, device=self._random.device)


def new_fine_tuner(algorithm: Algorithm, evaluator: Evaluator) -> FineTuner:
    """The method adapted to random actions in all test tasks; raises AlgorithmError where it does not learn online."""
    learner = calls.fine_tuner(algorithm, evaluator.context(CONTEXT))
    if learner is None:
        raise AlgorithmError(
            f"{algorithm.name} does not learn online: its fine_tuner gives None. Run it by the standard protocol."
        )
    return learner


def check_learns_online(algorithm: Algorithm, evaluator: Evaluator) -> None:
    """Raises AlgorithmError where the method has no fine-tuner; the algorithm is left as it was."""
    with evaluator.own_randomness("online-finetune"):
        new_fine_tuner(algorithm, evaluator)


def fine_tuned_evaluations(
    algorithm: Algorithm, evaluator: Evaluator, measured_at: Sequence[int] = MEASURED_AT,
    burn_in_steps: int = BURN_IN_STEPS, pause: Callable[[], None] = lambda: None,
) -> list[Evaluation]:  # fmt: skip
    """One evaluation per number of environment steps in `measured_at`, rising; the algorithm is left as it was.

    `pause` is called before every round, and ends it all by an error of its own. Raises AlgorithmError where the method
    does not learn online.
    """
    with evaluator.own_randomness("online-finetune"):
        learner = new_fine_tuner(algorithm, evaluator)
        family = evaluator.family
        last = math.ceil(measured_at[-1] / family.horizon)
        gathered = Gathered(len(evaluator.tasks), (last + 1) * family.horizon, evaluator.random)
        found, rounds = [], 0
        for steps in measured_at:
            while rounds * family.horizon < steps:
                pause()
                rounds += 1
                _gather_round(evaluator, algorithm, learner, gathered, rounds)
                if rounds * family.horizon >= burn_in_steps:
                    calls.learn(algorithm, learner, gathered)
            if steps == 0:  # the row that the standard protocol has for this context
                found.append(evaluator.evaluate(algorithm, CONTEXT))
                continue
            policy = calls.learned(algorithm, learner)
            found.append(evaluator.evaluate_policy(algorithm, policy, CONTEXT, steps))
        return found


def _gather_round(
    evaluator: Evaluator, algorithm: Algorithm, learner: FineTuner, gathered: Gathered, number: int
) -> None:
    """Whole episodes in each task, until it has a horizon of steps for each of the rounds so far (`number`, from 1)."""
    family, episode = evaluator.family, 0
    while missing := [slot for slot, steps in enumerate(gathered.counts) if steps < number * family.horizon]:
        tasks = [evaluator.tasks[slot] for slot in missing]
        stream = ("online-finetune", number, episode)
        act = as_act(algorithm, calls.exploring(algorithm, learner), family, evaluator.device)
        episodes = record_episodes(family, tasks, _of_some(act, missing, gathered.tasks), 1, stream)
        for slot, part in zip(missing, episodes_as_transitions(episodes, evaluator.discount), strict=True):
            gathered.add(slot, evaluator.as_seen(part))
        episode += 1


def _of_some(act: Act, slots: Sequence[int], tasks: int) -> Act:
    """The policies of `tasks` tasks, asked for these slots' actions alone."""

    def act_in_some(observations: NDArray[np.float32]) -> NDArray[np.floating]:
        everywhere = np.zeros((tasks, *observations.shape[1:]), np.float32)
        everywhere[list(slots)] = observations
        return act(everywhere)[list(slots)]

    return act_in_some
