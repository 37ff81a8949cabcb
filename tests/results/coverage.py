"""How often a nominal 95 % interval holds the truth: simulated experiments whose truth is known.

`python -m tests.results.coverage` prints the tables of `benchmark/results/intervals.py` anew (minutes).
"""

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from benchmark.randomness import numpy_stream
from benchmark.results import intervals
from benchmark.results.intervals import (
    Estimate,
    average,
    difference,
    estimate,
    improvement_interval,
    stratified_interval,
)
from benchmark.results.statistics import (
    Scores,
    Statistic,
    interquartile_mean,
    mean,
    median,
    optimality_gap,
    probability_of_improvement,
)

TASK_MEANS = np.array([40.0, 60.0, 75.0, 85.0, 95.0])
World = Callable[[np.random.Generator, int, int], Scores]
"""Draws the scores (experiment, seed, task) of so many experiments of so many seeds."""
Cover = Callable[[Scores, Statistic, float], float]


def independent(random: np.random.Generator, experiments: int, seeds: int) -> Scores:
    """Every task of every network varies for itself."""
    return TASK_MEANS + random.normal(size=(experiments, seeds, len(TASK_MEANS))) * 8


def shared(random: np.random.Generator, experiments: int, seeds: int) -> Scores:
    """Networks are good or bad as a whole: four fifths of the variance is the seed's."""
    own = random.normal(size=(experiments, seeds, len(TASK_MEANS))) * 4
    return TASK_MEANS + random.normal(size=(experiments, seeds, 1)) * 8 + own


def skewed(random: np.random.Generator, experiments: int, seeds: int) -> Scores:
    """Most networks are good, some bad, exponentially so."""
    lost = random.exponential(size=(experiments, seeds, 1)) * 7
    return TASK_MEANS - lost - random.exponential(size=(experiments, seeds, len(TASK_MEANS))) * 4


def collapsing(random: np.random.Generator, experiments: int, seeds: int) -> Scores:
    """One network in four is worse by 40 on every task."""
    lost = 40.0 * (random.uniform(size=(experiments, seeds, 1)) < 0.25)
    return TASK_MEANS - lost + random.normal(size=(experiments, seeds, len(TASK_MEANS))) * 5


WORLDS: tuple[World, ...] = (independent, shared, skewed, collapsing)


@cache
def truth(world: World, statistic: Statistic) -> float:
    """The statistic of two hundred thousand seeds."""
    return float(statistic(world(numpy_stream(0, "truth"), 1, 200_000))[0])


def of_each(statistic: Statistic, experiments: int) -> Statistic:
    """From (..., seed, experiment * task) to (..., experiment): many experiments, resampled in one call."""

    def of(scores: Scores) -> NDArray[np.float64]:
        split = scores.reshape(*scores.shape[:-1], experiments, -1)
        return statistic(np.moveaxis(split, -2, -3))

    return of


def side_by_side(scores: Scores) -> Scores:
    """From (experiment, seed, task) to (seed, experiment * task)."""
    return np.moveaxis(scores, 0, 1).reshape(scores.shape[1], -1)


def covers(ends: tuple[NDArray[np.float64], NDArray[np.float64]], value: float) -> float:
    return float(100 * np.mean((ends[0] <= value) & (value <= ends[1])))


def many_estimates(scores: Scores, statistic: Statistic) -> Estimate:
    """The estimate of every experiment (experiment, seed, task), a hundred at a time."""
    parts = [
        estimate(side_by_side(part), of_each(statistic, len(part)))
        for part in np.array_split(scores, -(-len(scores) // 100))
    ]
    return Estimate(*(np.concatenate([getattr(part, name) for part in parts])
                      for name in ("value", "error", "freedom")))  # fmt: skip


def by_default(scores: Scores, statistic: Statistic, value: float) -> float:
    """Per cent of experiments (experiment, seed, task) whose interval by `estimate` holds the value."""
    return covers(many_estimates(scores, statistic).interval(), value)


def by_tasks_apart(scores: Scores, statistic: Statistic, value: float) -> float:
    ends = np.array([stratified_interval(one, statistic) for one in scores])
    return covers((ends[:, 0], ends[:, 1]), value)


def by_whole_seeds(method: str) -> Cover:
    """Percentiles of resampled whole seeds, or their bias-corrected and accelerated form."""

    def by(scores: Scores, statistic: Statistic, value: float) -> float:
        ends = []
        for one in scores:
            found = stats.bootstrap(
                (np.arange(one.shape[0]),), lambda i, axis, one=one: statistic(one[i.astype(int)]), axis=-1,
                vectorized=True, n_resamples=intervals.RESAMPLES, method=method, rng=numpy_stream(0, "bootstrap"),
            ).confidence_interval  # fmt: skip
            ends.append((found.low, found.high))
        low, high = np.array(ends).T
        return covers((low, high), value)

    return by


METHODS: dict[str, Cover] = {
    "each task's seeds apart": by_tasks_apart,
    "whole seeds, percentile": by_whole_seeds("percentile"),
    "whole seeds, BCa": by_whole_seeds("BCa"),
    "whole seeds, Student's t": by_default,
}


def coverage(method: str, world: World, statistic: Statistic, seeds: int, experiments: int) -> float:
    """Per cent of the experiments whose interval holds the truth."""
    scores = world(numpy_stream(1, "experiments"), experiments, seeds)
    return METHODS[method](scores, statistic, truth(world, statistic))


def coverage_of_difference(
    families: list[tuple[World, World]], seeds: tuple[int, int], experiments: int
) -> float:
    """The same for the difference in interquartile mean of two methods, averaged over families."""
    parts, value = [], 0.0
    for number, worlds in enumerate(families):
        sides = []
        for side, world in enumerate(worlds):
            scores = world(numpy_stream(1, "experiments", number, side), experiments, seeds[side])
            sides.append(many_estimates(scores, interquartile_mean))
        parts.append(difference(*sides))
        value += (truth(worlds[0], interquartile_mean) - truth(worlds[1], interquartile_mean)) / len(families)
    return covers(average(parts).interval(), value)


def coverage_of_improvement(world: World, ahead: float, seeds: int, experiments: int) -> tuple[float, float]:
    """The same for the probability of improvement of a method that is better by `ahead`; and that probability."""
    large = [world(numpy_stream(0, "truth", number), 1, 1500)[0] for number in (0, 1)]
    value = float(probability_of_improvement(large[0] + ahead, large[1]))
    first, second = (world(numpy_stream(1, "experiments", number), experiments, seeds) for number in (0, 1))
    found = probability_of_improvement(first + ahead, second)
    ends = np.array([improvement_interval(float(one), seeds, seeds) for one in found])
    return covers((ends[:, 0], ends[:, 1]), value), value


def main() -> None:
    """Print every table."""
    for statistic in (interquartile_mean, mean, median, optimality_gap):
        for name in METHODS if statistic is interquartile_mean else ("whole seeds, Student's t",):
            for world in WORLDS:
                found = [f"{coverage(name, world, statistic, seeds, 2000):5.1f}" for seeds in (3, 4, 10)]
                print(f"{statistic.__name__:20}{name:28}{world.__name__:12}", *found, flush=True)
    one_family = [[(first, second)] for first, second in zip(WORLDS, WORLDS, strict=True)]
    for families in (*one_family, [(shared, collapsing)], [(independent, shared)],
                     [(independent, shared), (skewed, shared)]):  # fmt: skip
        sizes = ((3, 3), (4, 4), (10, 10), (3, 10))
        found = [f"{coverage_of_difference(families, seeds, 2000):5.1f}" for seeds in sizes]
        names = [f"{first.__name__}-{second.__name__}" for first, second in families]
        print("difference", *names, *found, flush=True)
    for world in WORLDS:
        for ahead in (0.0, 8.0, 20.0):
            pairs = [coverage_of_improvement(world, ahead, seeds, 2000) for seeds in (3, 4, 10)]
            print(
                "improvement",
                world.__name__,
                *(f"{one:5.1f} ({value:.2f})" for one, value in pairs),
                flush=True,
            )


if __name__ == "__main__":
    intervals.RESAMPLES = 1000
    main()
