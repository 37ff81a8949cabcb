"""The evaluation protocol, version 1: what the agent may see at meta-test, and how it is scored.

    for each test task:   context --adapt--> policy --20 deterministic episodes, fixed initial states--> return
                          nothing --adapt--> un-adapted policy --the same episodes-------------------> return

A context is drawn from recorded data of the test task (sources `mixed`, `expert`, `medium`, `random`; `early`,
`middle` and `late` thirds of the mixed data; `other`: another task's mixed data) without replacement, or gathered
by the agent itself (`online`), whose draws are of the run's seed. A recorded one depends on family, data, source and
task alone, never on the seed of training: every algorithm sees the very same one.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from benchmark.algorithm import Policy, Transitions
from benchmark.data.dataset import PARTS, TIERS, Dataset
from benchmark.data.sampler import transitions_of
from benchmark.errors import ConfigError, UnknownNameError
from benchmark.families.family import Family
from benchmark.randomness import numpy_stream
from benchmark.rollouts import Episodes, record_episodes

PROTOCOL_VERSION = 1
CONTEXT_SEED = 20_210_719
"""Root of the draws of contexts; evaluation and training use other streams."""
EPISODES = 20
"""Episodes per test task."""
CONTEXT_SIZE = 256
"""Transitions of context per test task, unless said otherwise."""

SOURCES = (*TIERS, *PARTS, "other", "online")

OpenData = Callable[[str], Dataset]
"""Gives the family's data set of a tier."""


@dataclass(frozen=True)
class ContextChoice:
    """Where a context comes from, and how long it is."""

    source: str = "mixed"
    """One of SOURCES."""
    size: int = CONTEXT_SIZE
    """Transitions per task; `online` rounds up to whole episodes."""

    def __post_init__(self) -> None:
        if self.source not in SOURCES:
            raise UnknownNameError("context source", self.source, SOURCES)
        if self.size < 1:
            raise ConfigError(f"a context of {self.size} transitions is not possible; at least 1 is needed.")

    def __str__(self) -> str:
        return f"{self.source}:{self.size}"

    @classmethod
    def parse(cls, text: str) -> "ContextChoice":
        """The choice that SOURCE or SOURCE:SIZE stands for."""
        source, _, size = text.partition(":")
        if size and not (size.isascii() and size.isdecimal() and len(size) < 20):
            raise ConfigError(f"a context is SOURCE or SOURCE:SIZE such as mixed:64, not '{text[:40]}'.")
        return cls(source, int(size) if size else CONTEXT_SIZE)

    def in_episodes(self, horizon: int) -> "ContextChoice":
        """The same choice; where the agent gathers the context, its size in whole episodes of that many steps."""
        if self.source != "online":
            return self
        return ContextChoice(self.source, -(-self.size // horizon) * horizon)


def other_task(family: Family, task: int) -> int:
    """The task whose data stand in for `task` where the source is `other`: one draw, fixed for ever."""
    others = [number for number in range(family.tasks) if number != task]
    return int(numpy_stream(CONTEXT_SEED, "other", family.id, task).choice(others))


def offline_context(
    family: Family, task: int, choice: ContextChoice, open_data: OpenData, discount: float
) -> Transitions:
    """The context (1, size) of one task from recorded data.

    A smaller context of the same source is a part of a larger one. Raises ConfigError where the task has fewer
    transitions than asked for.
    """
    tier = choice.source if choice.source in TIERS else "mixed"
    dataset = open_data(tier)
    source_task = other_task(family, task) if choice.source == "other" else task
    rows = dataset.rows_of_task(source_task, choice.source if choice.source in PARTS else "all")
    if choice.size > len(rows):
        raise ConfigError(
            f"context of {choice.size} transitions: task {source_task} of {dataset.id} has {len(rows)} "
            f"in '{choice.source}'."
        )
    order = numpy_stream(CONTEXT_SEED, "context", family.id, choice.source, task).permutation(rows)
    return transitions_of(dataset, source_task, order[: choice.size], discount)


def episodes_as_transitions(episodes: Episodes, discount: float) -> list[Transitions]:
    """Per task one (1, steps) batch of the transitions of all its lanes' episodes, in order."""
    return [_task_transitions(episodes, task, discount) for task in range(len(episodes.lengths))]


def _task_transitions(episodes: Episodes, task: int, discount: float) -> Transitions:
    parts = []
    for lane, length in enumerate(episodes.lengths[task]):
        observations = episodes.observations[task, lane, : length + 1]
        rewards = episodes.rewards[task, lane, :length]
        ended = bool(episodes.terminated[task, lane])
        returns = np.zeros(length + 1)
        for step in reversed(range(length)):
            returns[step] = rewards[step] + discount * returns[step + 1]
        parts.append(
            (
                observations[:-1],
                episodes.actions[task, lane, :length],
                rewards,
                observations[1:],
                np.arange(length) == (length - 1 if ended else -1),
                returns[:-1],
                np.repeat(observations[-1:], length, axis=0),
                np.zeros(length) if ended else discount ** np.arange(length, 0, -1),
            )
        )
    columns = [np.concatenate(column).astype(np.float32)[None] for column in zip(*parts, strict=True)]
    return Transitions(*(torch.from_numpy(column) for column in columns))


def empty_context(family: Family, tasks: int, device: torch.device) -> Transitions:
    """A context (tasks, 0): what an agent knows before it has seen anything."""
    vectors = {"observations", "next_observations", "final_observations"}
    sizes = dict.fromkeys(vectors, family.observation_size) | {"actions": family.action_size}
    names = Transitions.__dataclass_fields__
    return Transitions(
        **{
            name: torch.zeros((tasks, 0, sizes[name]) if name in sizes else (tasks, 0), device=device)
            for name in names
        }
    )


def concatenate(contexts: Sequence[Transitions], dim: int) -> Transitions:
    """Contexts joined along tasks (0) or along transitions (1)."""
    names = Transitions.__dataclass_fields__
    return Transitions(**{name: torch.cat([getattr(c, name) for c in contexts], dim=dim) for name in names})


Explore = Callable[[Transitions], Policy]


def online_context(
    family: Family, task: int, choice: ContextChoice, explore: Explore, act: Callable[[Policy], object],
    discount: float, device: torch.device,
) -> Transitions:  # fmt: skip
    """The context that an agent gathers itself in one task: whole episodes, exploring anew after each.

    `explore` gives the policy of the next episode from the context so far; `act` makes it one for rollouts.
    """
    context = empty_context(family, 1, device)
    for episode in range(math.ceil(choice.size / family.horizon)):
        policy = act(explore(context))
        gathered = record_episodes(family, [task], policy, 1, ("online", episode))  # type: ignore[arg-type]
        new = episodes_as_transitions(gathered, discount)[0].map(lambda tensor: tensor.to(device))
        context = concatenate([context, new], dim=1)
    return context
