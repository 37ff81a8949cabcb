"""Rolling policies out in the batch simulation: every (task, lane) is one episode, all start together."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmark.families.family import Array, Family
from benchmark.families.simulation import BatchSimulation
from benchmark.randomness import numpy_stream

EVALUATION_SEED = 20_210_718
"""Root of the reset seeds of every evaluation; training and contexts use other streams."""

Act = Callable[[NDArray[np.float32]], NDArray[np.floating]]
"""Observations (task, lane, observation) to actions (task, lane, action)."""


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

    Lane k is the same whatever else is asked for.
    """
    names = stream or ("evaluation",)
    states = [family.reset(numpy_stream(EVALUATION_SEED, *names, family.id, lane)) for lane in range(lanes)]
    qpos, qvel = np.stack([state[0] for state in states]), np.stack([state[1] for state in states])
    return np.tile(qpos, (tasks, 1)), np.tile(qvel, (tasks, 1))


def episode_returns(
    family: Family, tasks: Sequence[int], act: Act, lanes: int = 20, threads: int | None = None
) -> Array:
    """Undiscounted returns (task, lane) of one episode per lane from the evaluation's fixed initial states."""
    returns = np.zeros((len(tasks), lanes))

    def add(
        step: int, alive: NDArray[np.int64], actions: NDArray[np.float32], rewards: Array, *_: object
    ) -> None:
        returns.reshape(-1)[alive] += rewards

    _run(family, tasks, act, lanes, initial_states(family, len(tasks), lanes), threads, add)
    return returns


def record_episodes(
    family: Family, tasks: Sequence[int], act: Act, lanes: int, stream: tuple[str | int, ...]
) -> Episodes:
    """One complete episode per lane, from initial states of the named stream."""
    shape = (len(tasks) * lanes, family.horizon)
    observations = np.zeros((shape[0], shape[1] + 1, family.observation_size), np.float32)
    all_actions = np.zeros((*shape, family.action_size), np.float32)
    all_rewards = np.zeros(shape, np.float32)
    lengths, terminated = np.zeros(shape[0], np.int64), np.zeros(shape[0], np.bool_)

    def store(
        step: int, alive: NDArray[np.int64], actions: NDArray[np.float32], rewards: Array,
        after: NDArray[np.float32], ended: NDArray[np.bool_],
    ) -> None:  # fmt: skip
        all_actions[alive, step], all_rewards[alive, step] = actions, rewards
        observations[alive, step + 1] = after
        lengths[alive] += 1
        terminated[alive] = ended

    states = initial_states(family, len(tasks), lanes, *stream)
    observations[:, 0] = _run(family, tasks, act, lanes, states, None, store)
    grid = (len(tasks), lanes)
    return Episodes(
        observations.reshape(*grid, *observations.shape[1:]),
        all_actions.reshape(*grid, *all_actions.shape[1:]),
        all_rewards.reshape(*grid, family.horizon),
        lengths.reshape(grid),
        terminated.reshape(grid),
    )


def _run(
    family: Family, tasks: Sequence[int], act: Act, lanes: int, states: tuple[Array, Array],
    threads: int | None, each_step: Callable[..., None],
) -> NDArray[np.float32]:  # fmt: skip
    """Step all episodes to their ends, dropping lanes that have terminated; returns the first observations."""
    with BatchSimulation(family, np.repeat(np.asarray(tasks, np.int64), lanes), threads) as simulation:
        first = observations = simulation.reset(*states)
        shape = (len(tasks), lanes, -1)
        alive = np.arange(len(observations))
        for step in range(family.horizon):
            actions = np.asarray(act(observations.reshape(shape)), np.float32).reshape(len(observations), -1)
            after = simulation.step(actions[alive])
            each_step(step, alive, actions[alive], after.rewards, after.observations, after.terminated)
            observations = observations.copy()
            observations[alive] = after.observations
            if after.terminated.any():
                going_on = np.flatnonzero(~after.terminated)
                alive = alive[going_on]
                if not len(alive):
                    break
                simulation.keep(going_on)
        return first
