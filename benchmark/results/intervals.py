"""95 % intervals of statistics of scores. What varies is the seed: a trained network, with all of its tasks.

Test tasks and families are fixed: an interval says what other seeds would give, not what other tasks would.

Scores of several tasks come from one network per seed, so they rise and fall together. The published interval
(`stratified_interval`) resamples every task's seeds apart, as if they were independent. It is here to compare with
other publications; nothing in the suite is concluded from it. The default (`estimate`) resamples whole seeds, and
reaches as far as Student's t says for so few of them. Percentiles of whole seeds, bias-corrected (BCa) or not, end at
the best and the worst seed at the latest. Of four seeds all are on one side of the median in one case of eight: there
such intervals cannot cover more than 87.5 %, whatever the level asked for.

Coverage in per cent of nominal 95 % intervals of the interquartile mean, five tasks, 2000 simulated experiments each:

                                 tasks             seeds good or      one seed in
                                 independent       bad as a whole     four collapses     skewed seeds
    seeds                         3    4   10        3    4   10        3    4   10        3    4   10
    each task's seeds apart      85   90   93       60   67   72       42   53   60       56   63   69
    whole seeds, percentile      74   82   92       75   80   90       57   65   92       70   76   86
    whole seeds, BCa             71   82   90       72   81   90       57   66   93       68   76   87
    whole seeds, Student's t     95   96   96       95   96   95       62   69   93       91   92   90

No interval can know of collapses that did not happen: of three seeds, none does in two cases of five.

Differences of two methods (Welch) cover better than each alone: if both are of the same of these kinds, 96 to 98 at
three and four seeds, 94 to 96 at ten, 92 to 94 at three against ten, and over several families 96. The exception is
a method whose seeds collapse against one whose do not: 86 at three and four seeds, 91 at ten.
The probability of improvement: 93 to 99, and 100 where tasks are independent, with three, four and ten seeds.
`python -m tests.results.coverage` measures all of it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, stats

from benchmark.errors import ResultError
from benchmark.randomness import numpy_stream
from benchmark.results.statistics import Statistic, as_scores

LEVEL = 0.95
MINIMUM_SEEDS = 3
"""With fewer there is no interval: two seeds say next to nothing of how much seeds differ."""
RESAMPLES = 9999
BOOTSTRAP_SEED = 0
BATCH = 1000
"""Resamples that are in memory at once; another number draws others."""


@dataclass(frozen=True)
class Estimate:
    """A statistic with its standard error over seeds; arrays of the statistic's shape, () or (threshold,)."""

    value: NDArray[np.float64]
    error: NDArray[np.float64]
    """NaN if there were fewer than `MINIMUM_SEEDS` seeds."""
    freedom: NDArray[np.float64]
    """Degrees of freedom of the error: seeds - 1, or fewer than their sum if several estimates are combined."""

    @classmethod
    def of_interval(cls, value: float, high: float, seeds: int, level: float = LEVEL) -> "Estimate":
        """The estimate of one number from so many seeds whose `interval` ends there; NaN where it has none."""
        freedom = np.asarray(seeds - 1.0 if seeds >= MINIMUM_SEEDS else np.nan)
        return cls(
            np.asarray(value), np.asarray(high - value) / stats.t.ppf(0.5 + level / 2, freedom), freedom
        )

    def interval(self, level: float = LEVEL) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Lower and upper end: value -+ error * quantile of Student's t; of width 0 where no seed differs.

        They are not cut at the ends of the scale: that of a profile may reach beyond 0 or 1.
        """
        reach = self.error * stats.t.ppf(0.5 + level / 2, self.freedom)
        return np.asarray(self.value - reach), np.asarray(self.value + reach)


def estimate(scores: ArrayLike, statistic: Statistic, seed: int = BOOTSTRAP_SEED) -> Estimate:
    """A statistic of one method's scores (seed, task) on one family, with its bootstrap standard error.

    Whole seeds are resampled. The variance of the resamples is raised by n / (n - 1), as drawing n of n seeds shows
    the spread about the mean of the sample, not of the population: for the mean, `interval` is Student's own.
    The same scores and seed give the same numbers, bit for bit. Raises ResultError for scores that are none.
    """
    scores = as_scores(scores)
    value = np.asarray(statistic(scores))
    seeds = len(scores)
    if seeds < MINIMUM_SEEDS:
        return Estimate(value, np.full_like(value, np.nan), np.full_like(value, np.nan))

    def of_resamples(numbers: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
        assert axis == -1
        return np.moveaxis(statistic(scores[numbers.astype(np.intp)]), 0, -1) if numbers.ndim > 1 else value

    found = stats.bootstrap(
        (np.arange(seeds),), of_resamples, axis=-1, vectorized=True, n_resamples=RESAMPLES, batch=BATCH,
        method="percentile", rng=numpy_stream(seed, "bootstrap"),
    )  # fmt: skip
    drawn = found.bootstrap_distribution
    error = np.where(np.ptp(drawn, axis=-1) == 0, 0.0, found.standard_error)
    return Estimate(value, error * math.sqrt(seeds / (seeds - 1)), np.full_like(value, seeds - 1.0))


def mean_over_seeds(values: ArrayLike) -> Estimate:
    """The mean over seeds of each column of (seed, column): tasks, or steps of a curve; an estimate of (column,).

    The error is what `estimate` has in the limit of endless resamples, in closed form. Raises ResultError for values
    that are none.
    """
    values = as_scores(values)
    seeds = len(values)
    value = values.mean(axis=0)
    if seeds < MINIMUM_SEEDS:
        return Estimate(value, np.full_like(value, np.nan), np.full_like(value, np.nan))
    error = np.where(np.ptp(values, axis=0) == 0, 0.0, values.std(axis=0, ddof=1) / math.sqrt(seeds))
    return Estimate(value, error, np.full_like(value, seeds - 1.0))


def combine(estimates: Sequence[Estimate], weights: Sequence[float]) -> Estimate:
    """The weighted sum of estimates from different training runs, which are independent: errors add up in squares.

    The degrees of freedom are Welch and Satterthwaite's. Methods share contexts and initial states, which are fixed.
    Those that draw alike share batches too where their seeds have the same number; that is left out: what they learn
    from them differs, and pairs would need the same seeds on both sides.
    """
    parts = [(weight * one.error) ** 2 for one, weight in zip(estimates, weights, strict=True)]
    variance = np.sum(parts, axis=0)
    value = np.sum([weight * one.value for one, weight in zip(estimates, weights, strict=True)], axis=0)
    spent = np.sum([part**2 / one.freedom for one, part in zip(estimates, parts, strict=True)], axis=0)
    fewest = np.min([one.freedom for one in estimates], axis=0)
    freedom = np.divide(variance**2, spent, out=np.array(fewest, dtype=np.float64), where=spent > 0)
    return Estimate(value, np.sqrt(variance), freedom)


def average(estimates: Sequence[Estimate]) -> Estimate:
    """The mean over families, each counted once."""
    return combine(estimates, [1 / len(estimates)] * len(estimates))


def difference(first: Estimate, second: Estimate) -> Estimate:
    """The first method's estimate minus the second's."""
    return combine([first, second], [1.0, -1.0])


def stratified_interval(
    scores: ArrayLike, statistic: Statistic, seed: int = BOOTSTRAP_SEED, level: float = LEVEL
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The published interval: percentiles of a bootstrap that resamples the seeds of each task apart.

    Scores are (seed, task); ends have the statistic's shape. Agarwal et al. 2021, section 4.1. It takes the tasks of
    a network for independent: see the module's text for what that costs. Raises ResultError for fewer than two seeds.
    """
    scores = as_scores(scores)
    if len(scores) < 2:
        raise ResultError("one seed cannot be resampled: run more seeds.")

    def of_resamples(*tasks: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
        assert axis == -1
        resampled = statistic(np.stack(np.broadcast_arrays(*tasks), axis=-1))
        return np.moveaxis(resampled, 0, -1) if tasks[0].ndim > 1 else resampled

    found = stats.bootstrap(
        tuple(scores.T), of_resamples, axis=-1, vectorized=True, n_resamples=RESAMPLES, batch=BATCH,
        confidence_level=level, method="percentile", rng=numpy_stream(seed, "bootstrap"),
    )  # fmt: skip
    ends = found.confidence_interval
    return np.asarray(ends.low), np.asarray(ends.high)


def improvement_interval(
    probability: float, seeds: int, other_seeds: int, level: float = LEVEL
) -> tuple[float, float]:
    """The score interval of a probability of improvement between so many seeds; NaN for fewer than `MINIMUM_SEEDS`.

    Newcombe, Statistics in Medicine 25 (2006), 559-573, method 5: all probabilities that differ from the estimate by
    no more than the normal quantile times *their* standard error. No resampling can do this: where all runs of one
    method are above all of the other, every resample says 1, even of three seeds. Tasks of one seed are counted as
    one observation, so it is right where they rise and fall together, and too wide where they do not.
    """
    if min(seeds, other_seeds) < MINIMUM_SEEDS:
        return math.nan, math.nan
    squared = float(stats.norm.ppf(0.5 + level / 2)) ** 2

    def beyond(candidate: float) -> float:
        return (probability - candidate) ** 2 - squared * _improvement_variance(candidate, seeds, other_seeds)

    edge = 1e-9  # at the estimates 0 and 1 themselves the equation has a second root, which is not meant
    low = float(optimize.brentq(beyond, 0, min(probability, 1 - edge))) if probability > 0 else 0.0
    high = float(optimize.brentq(beyond, max(probability, edge), 1)) if probability < 1 else 1.0
    return low, high


def _improvement_variance(probability: float, seeds: int, other_seeds: int) -> float:
    """Hanley and McNeil's variance of the Mann-Whitney estimate, with Newcombe's symmetric count of seeds."""
    count = (seeds + other_seeds) / 2 - 1
    shared = count * ((1 - probability) / (2 - probability) + probability / (1 + probability))
    return probability * (1 - probability) * (1 + shared) / (seeds * other_seeds)


def average_interval(
    values: Sequence[float], intervals: Sequence[tuple[float, float]]
) -> tuple[float, float]:
    """The interval of a mean of independent quantities from their own, asymmetric ones.

    Zou and Donner, Statistics in Medicine 27 (2008), 1693-1702: each side adds up in squares.
    """
    below = math.hypot(*(value - low for value, (low, _) in zip(values, intervals, strict=True)))
    above = math.hypot(*(high - value for value, (_, high) in zip(values, intervals, strict=True)))
    middle = sum(values) / len(values)
    return middle - below / len(values), middle + above / len(values)
