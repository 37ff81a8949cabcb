"""What scores are summed up in: pure functions on arrays (..., seed, task) of normalised scores.

Definitions are those of Agarwal et al., "Deep Reinforcement Learning at the Edge of the Statistical Precipice",
NeurIPS 2021, sections 4.2 and 4.3. Episodes are averaged before; one number per seed and task remains.

    scores[seed, task]        task 2   task 7   task 15
                     seed 0     71.6     47.2      95.9     one trained network: its tasks rise and fall together
                     seed 1     69.8     44.0      96.3     another, independent one

Over families every statistic is the plain mean of the families' own: each family counts once. How many test tasks a
family has says nothing of its weight, and one pool of all tasks, which is what the paper has for its benchmarks of
many games, would let the interquartile mean cut away whole families as the hardest or the easiest quarter.
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from benchmark.errors import ResultError

Scores: TypeAlias = NDArray[np.float64]
"""(..., seed, task): 0 is a random policy, 100 the task's own expert."""
Statistic: TypeAlias = Callable[[Scores], NDArray[np.float64]]
"""From (..., seed, task) to (...) or, for profiles, (..., threshold)."""
EXPERT_SCORE = 100.0


def as_scores(scores: ArrayLike) -> Scores:
    """The array (..., seed, task) of floats; raises ResultError if it is empty, has no such axes, or is not finite."""
    array = np.asarray(scores, dtype=np.float64)
    if array.ndim < 2 or not array.size:
        raise ResultError(
            f"scores have the shape {array.shape}, but (..., seed, task) is needed, none of them 0."
        )
    if not np.isfinite(array).all():
        raise ResultError(
            "scores hold a value that is not finite: find the run it comes from, and leave it out."
        )
    return array


def interquartile_mean(scores: ArrayLike) -> NDArray[np.float64]:
    """Mean of the middle half of all (seed x task) scores, (..., seed, task) to (...).

    A quarter of the values, rounded down to a whole number of them, is cut at either end (section 4.3).
    """
    scores = as_scores(scores)
    return np.asarray(stats.trim_mean(scores.reshape(*scores.shape[:-2], -1), 0.25, axis=-1))


def mean(scores: ArrayLike) -> NDArray[np.float64]:
    """Mean over tasks and seeds, (..., seed, task) to (...)."""
    return np.asarray(as_scores(scores).mean(axis=(-1, -2)))


def median(scores: ArrayLike) -> NDArray[np.float64]:
    """Median over tasks of the task's mean over seeds, (..., seed, task) to (...)."""
    return np.asarray(np.median(as_scores(scores).mean(axis=-2), axis=-1))


def optimality_gap(scores: ArrayLike, gamma: float = EXPERT_SCORE) -> NDArray[np.float64]:
    """Mean shortfall from `gamma` where a score beyond it counts as `gamma`, (..., seed, task) to (...); 0 is best."""
    return np.asarray(np.maximum(gamma - as_scores(scores), 0.0).mean(axis=(-1, -2)))


def performance_profile(scores: ArrayLike, thresholds: ArrayLike) -> NDArray[np.float64]:
    """Fraction of all (seed x task) scores above each threshold, (..., seed, task) to (..., threshold).

    This is the run-score distribution (section 4.2): it falls from 1 to 0 as the threshold rises.
    """
    above = as_scores(scores)[..., None] > np.asarray(thresholds, dtype=np.float64)
    return np.asarray(above.mean(axis=(-2, -3)))


def probability_of_improvement(scores: ArrayLike, others: ArrayLike) -> NDArray[np.float64]:
    """How likely a run of the first is above a run of the second on a task, mean over tasks; ties count half.

    (..., seed, task) and (..., other seed, task) to (...): per task this is the Mann-Whitney U over the number of
    pairs (section 4.3). Raises ResultError where the two have different numbers of tasks.
    """
    first, second = as_scores(scores), as_scores(others)
    if first.shape[-1] != second.shape[-1]:
        raise ResultError(
            f"improvement is counted task by task, but there are {first.shape[-1]} and {second.shape[-1]} tasks."
        )
    difference = first[..., :, None, :] - second[..., None, :, :]
    return np.asarray((0.5 + 0.5 * np.sign(difference)).mean(axis=(-1, -2, -3)))
