"""What the behaviour snapshots do: exact actions, their log-densities, and measured returns.

Actions lie on a grid of 2^-12 and log-densities are rounded to it, so that differences in the last bits of a
matrix product (another processor, another number of lanes) do not reach the recorded data.
"""

import math

import numpy as np
from numpy.typing import NDArray

from benchmark.data.snapshots import Snapshots
from benchmark.families.family import Array

GRID = 2.0**-12
TILE = 8
"""Lanes per matrix product. Every product has this one shape, so that a lane's result does not depend on how
many lanes there are, and is too small for the linear algebra library to start threads of its own."""


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
    """Stochastic policies of many lanes, lanes of one (task, snapshot) pair side by side.

    lanes    a a a a a b b b ...      sorted by pair
    tiles    [a a a a a . . .] [b b b ...]    TILE lanes each, the last of a pair padded with zeros
    """

    def __init__(self, snapshots: Snapshots, tasks: NDArray[np.int64], numbers: NDArray[np.int64]) -> None:
        """`tasks` and `numbers` (lane,): the pair of each lane; equal pairs must be neighbours."""
        first = np.flatnonzero((np.diff(tasks, prepend=-1) != 0) | (np.diff(numbers, prepend=-2) != 0))
        sizes = np.diff(np.append(first, len(tasks)))
        tiles = -(-sizes // TILE)
        inside = np.arange(len(tasks)) - np.repeat(first, sizes)
        before = np.cumsum(tiles) - tiles
        self._slots = np.repeat(before, sizes) * TILE + inside
        self._policies = snapshots.policy(np.repeat(tasks[first], tiles), np.repeat(numbers[first], tiles))
        self._inputs = np.zeros((int(tiles.sum()), TILE, snapshots.weights["w1"].shape[2]))

    def distribution(self, observations: NDArray[np.float32]) -> tuple[Array, Array]:
        """Mean and std before the tanh, (lane, action), of observations (lane, observation)."""
        self._inputs.reshape(-1, self._inputs.shape[-1])[self._slots] = observations
        mean, std = self._policies.distribution(self._inputs)
        return mean.reshape(-1, mean.shape[-1])[self._slots], std.reshape(-1, std.shape[-1])[self._slots]
