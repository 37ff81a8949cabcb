"""Rolling policies out in a family's simulation: every (task, lane) is one episode, all start together."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmark.families.family import Array, Family
from benchmark.families.stepping import Step
from benchmark.randomness import numpy_stream

EVALUATION_SEED = 20_210_718
"""Root of the reset seeds of every evaluation; training and contexts use other streams."""

Act = Callable[[NDArray[np.float32]], NDArray[np.floating]]
"""Observations (task, lane, observation) to actions (task, lane, action)."""
InformedAct = Callable[[NDArray[np.float32], Array], NDArray[np.floating]]
"""The same of observations and what they hide, (task, lane, hidden), which only behaviour may know."""


@dataclass(frozen=True)
class Outcomes:
    """What came of episodes."""

    returns: Array
    """(task, lane), undiscounted."""
    successes: NDArray[np.bool_] | None
    """(task, lane), whether the task was solved at any step; None where the family does not know success."""
    lengths: NDArray[np.int64]
    """(task, lane), number of steps."""


@dataclass(frozen=True)
class Episodes:
    """Complete episodes; what lies beyond an episode's length is zero."""

    observations: NDArray[np.float32]
    """(task, lane, horizon + 1, observation)"""
    actions: NDArray[np.float32]
    """(task, lane, horizon, action)"""
    rewards: NDArray[np.float32]
    """(task, lane, horizon)"""
    lengths: NDArray[np.int64]
    """(task, lane), number of steps."""
    terminated: NDArray[np.bool_]
    """(task, lane), whether the episode ended in a true terminal state rather than at the time limit."""


def initial_states(family: Family, tasks: int, lanes: int, *stream: str | int) -> tuple[Array, Array]:
    """Initial (qpos, qvel), each (task * lane, ...), the same for every task: a first observation tells nothing.

    Lane k is the same whatever else is asked for. Without a stream they are the evaluation's, whose episodes are
    counted: a family with goals goes through them in turn.
    """
    names = stream or ("evaluation",)
    streams = [numpy_stream(EVALUATION_SEED, *names, family.id, lane) for lane in range(lanes)]
    states = [
        family.reset(random) if stream else family.episode_start(random, lane)
        for lane, random in enumerate(streams)
    ]
    qpos, qvel = np.stack([state[0] for state in states]), np.stack([state[1] for state in states])
    return np.tile(qpos, (tasks, 1)), np.tile(qvel, (tasks, 1))


def episode_outcomes(
    family: Family, tasks: Sequence[int], act: Act, lanes: int = 20, threads: int | None = None
) -> Outcomes:
    """Outcomes of one episode per lane from the evaluation's fixed initial states."""
    return informed_outcomes(family, tasks, lambda seen, hidden: act(seen), lanes, threads)


def informed_outcomes(
    family: Family, tasks: Sequence[int], act: InformedAct, lanes: int = 20, threads: int | None = None
) -> Outcomes:
    """The same of behaviour that knows what observations hide."""
    shape = (len(tasks), lanes)
    returns, solved, lengths = np.zeros(shape), np.zeros(shape, np.bool_), np.zeros(shape, np.int64)

    def add(step: int, alive: NDArray[np.int64], actions: NDArray[np.float32], after: Step) -> None:
        returns.reshape(-1)[alive] += after.rewards
        lengths.reshape(-1)[alive] += 1
        if after.successes is not None:
            solved.reshape(-1)[alive] |= after.successes

    _run(family, tasks, act, lanes, initial_states(family, len(tasks), lanes), threads, add)
    return Outcomes(returns, solved if family.has_success else None, lengths)


def record_episodes(
    family: Family, tasks: Sequence[int], act: Act, lanes: int, stream: tuple[str | int, ...]
) -> Episodes:
    """One complete episode per lane, from initial states of the named stream."""
    shape = (len(tasks) * lanes, family.horizon)
    observations = np.zeros((shape[0], shape[1] + 1, family.observation_size), np.float32)
    all_actions = np.zeros((*shape, family.action_size), np.float32)
    all_rewards = np.zeros(shape, np.float32)
    lengths, terminated = np.zeros(shape[0], np.int64), np.zeros(shape[0], np.bool_)

    def store(step: int, alive: NDArray[np.int64], actions: NDArray[np.float32], after: Step) -> None:
        all_actions[alive, step], all_rewards[alive, step] = actions, after.rewards
        observations[alive, step + 1] = after.observations
        lengths[alive] += 1
        terminated[alive] = after.terminated

    states = initial_states(family, len(tasks), lanes, *stream)
    observations[:, 0] = _run(family, tasks, lambda seen, hidden: act(seen), lanes, states, None, store)
    grid = (len(tasks), lanes)
    return Episodes(
        observations.reshape(*grid, *observations.shape[1:]),
        all_actions.reshape(*grid, *all_actions.shape[1:]),
        all_rewards.reshape(*grid, family.horizon),
        lengths.reshape(grid),
        terminated.reshape(grid),
    )


def _run(
    family: Family, tasks: Sequence[int], act: InformedAct, lanes: int, states: tuple[Array, Array],
    threads: int | None, each_step: Callable[[int, NDArray[np.int64], NDArray[np.float32], Step], None],
) -> NDArray[np.float32]:  # fmt: skip
    """Step all episodes to their ends, dropping lanes that have terminated; returns the first observations."""
    with family.simulation(np.repeat(np.asarray(tasks, np.int64), lanes), threads) as simulation:
        first = observations = simulation.reset(*states)
        shape = (len(tasks), lanes, -1)
        hidden = simulation.hidden.reshape(*shape[:2], simulation.hidden.shape[1])
        alive = np.arange(len(observations))
        for step in range(family.horizon):
            answer = act(observations.reshape(shape), hidden)
            actions = np.asarray(answer, np.float32).reshape(len(observations), -1)
            after = simulation.step(actions[alive])
            each_step(step, alive, actions[alive], after)
            observations = observations.copy()
            observations[alive] = after.observations
            if after.terminated.any():
                going_on = np.flatnonzero(~after.terminated)
                alive = alive[going_on]
                if not len(alive):
                    break
                simulation.keep(going_on)
        return first
