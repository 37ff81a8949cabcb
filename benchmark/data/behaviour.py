"""What behaviour is and does: squashed Gaussians of several ages, exact actions, and their log-densities.

Behaviour is a family's trained snapshots (`snapshots.py`) or scripted experts at several levels (`scripts.py`); both
are numbered from young to old, and number `UNIFORM` (-1) means uniformly random actions.

Actions lie on a grid of 2^-12 and log-densities are rounded to it, so that differences in the last bits of a
matrix product (another processor, another number of lanes) do not reach the recorded data.
"""

import math
from collections.abc import Mapping
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from benchmark.families.stepping import Array

GRID = 2.0**-12


class Policies(Protocol):
    """Tanh-Gaussian policies of several (task, number) pairs, computed in float64."""

    def distribution(self, observations: NDArray[np.floating], hidden: Array) -> tuple[Array, Array]:
        """Mean and std before the tanh, (group, lane, action).

        Of observations (group, lane, observation) and what they hide (group, lane, hidden).
        """
        ...


class Behaviour(Protocol):
    """Policies of every task of a family at several ages."""

    tile: ClassVar[int]
    """Lanes of a pair that are computed together in recording, always as many."""

    @property
    def family_id(self) -> str:
        """Identity of the family, such as `cheetah-vel-v1`."""
        ...

    @property
    def tasks(self) -> int:
        """Number of tasks."""
        ...

    @property
    def numbers(self) -> range:
        """Numbers of the policies of a task, young to old; without UNIFORM."""
        ...

    @property
    def last(self) -> int:
        """Number of the expert."""
        ...

    @property
    def measured_means(self) -> range:
        """Numbers of which the mean action is measured too; the expert's is among them."""
        ...

    @property
    def life_shares(self) -> Mapping[int, float]:
        """Share of the whole life that each number stands for, UNIFORM included, young to old."""
        ...

    def age(self, number: int) -> int:
        """Rises with the number; environment steps of training, where there was any."""
        ...

    def policy(self, tasks: NDArray[np.int64], numbers: NDArray[np.int64], /) -> Policies:
        """The policies of these (task, number) pairs."""
        ...


def on_grid(values: Array) -> Array:
    """Values rounded to multiples of 2^-12."""
    return np.round(values / GRID) * GRID


def grid_actions(values: Array) -> Array:
    """Actions on the grid, one cell or more inside (-1, 1), where a squashed Gaussian's density is finite."""
    return np.clip(on_grid(values), GRID - 1, 1 - GRID)


def squashed_gaussian_log_probs(actions: Array, mean: Array, std: Array) -> Array:
    """Log-density (...) of actions (..., action) = tanh(u), u ~ N(mean, std^2), by change of variables.

    log p(a) = sum_k log N(artanh a_k; mean_k, std_k) - log(1 - a_k^2)
    """
    noise = (np.arctanh(actions) - mean) / std
    terms = -0.5 * np.square(noise) - np.log(std) - np.log1p(-np.square(actions))
    log_probs: Array = terms.sum(-1) - 0.5 * math.log(2 * math.pi) * actions.shape[-1]
    return log_probs


def uniform_log_prob(action_size: int) -> float:
    """Log-density of uniformly random actions in [-1, 1]."""
    return -action_size * math.log(2)


class TiledPolicies:
    """Stochastic policies of many lanes, lanes of one (task, number) pair side by side.

    lanes    a a a a a b b b ...      sorted by pair
    tiles    [a a a a a . . .] [b b b ...]    `tile` lanes each, the last of a pair padded with zeros
    """

    def __init__(self, behaviour: Behaviour, tasks: NDArray[np.int64], numbers: NDArray[np.int64]) -> None:
        """`tasks` and `numbers` (lane,): the pair of each lane; equal pairs must be neighbours."""
        first = np.flatnonzero((np.diff(tasks, prepend=-1) != 0) | (np.diff(numbers, prepend=-2) != 0))
        sizes = np.diff(np.append(first, len(tasks)))
        self._tile = behaviour.tile
        tiles = -(-sizes // self._tile)
        inside = np.arange(len(tasks)) - np.repeat(first, sizes)
        before = np.cumsum(tiles) - tiles
        self._slots = np.repeat(before, sizes) * self._tile + inside
        self._policies = behaviour.policy(np.repeat(tasks[first], tiles), np.repeat(numbers[first], tiles))
        self._tiles = int(tiles.sum())

    def distribution(self, observations: NDArray[np.float32], hidden: Array) -> tuple[Array, Array]:
        """Mean and std before the tanh, (lane, action), of observations (lane, observation) and (lane, hidden)."""
        mean, std = self._policies.distribution(self._tiled(observations), self._tiled(hidden))
        return mean.reshape(-1, mean.shape[-1])[self._slots], std.reshape(-1, std.shape[-1])[self._slots]

    def _tiled(self, values: NDArray[np.floating]) -> Array:
        """Values (lane, ...) as (tile, lane of it, ...)."""
        tiled = np.zeros((self._tiles * self._tile, values.shape[-1]))
        tiled[self._slots] = values
        return tiled.reshape(self._tiles, self._tile, -1)
