"""Intervals: closed forms, reproducible to the bit, quiet on constant scores, none from too few seeds."""

import math

import numpy as np
import pytest
from scipy import stats

from benchmark.errors import ResultError
from benchmark.randomness import numpy_stream
from benchmark.results.intervals import (
    Estimate,
    average,
    average_interval,
    combine,
    difference,
    estimate,
    improvement_interval,
    stratified_interval,
)
from benchmark.results.statistics import (
    Statistic,
    interquartile_mean,
    mean,
    median,
    optimality_gap,
    performance_profile,
)

SCORES = numpy_stream(0, "test").normal(70, 8, size=(6, 4)) + numpy_stream(1, "test").normal(
    0, 8, size=(6, 1)
)
STATISTICS = (interquartile_mean, mean, median, optimality_gap)


def profile(scores: np.ndarray) -> np.ndarray:
    return performance_profile(scores, [0, 60, 70, 80, 200])


def test_the_mean_has_students_interval_of_the_seeds_means() -> None:
    by_seed = SCORES.mean(axis=1)
    expected = stats.t.interval(0.95, len(by_seed) - 1, by_seed.mean(), stats.sem(by_seed))
    assert estimate(SCORES, mean).interval() == pytest.approx(expected, rel=1e-2)


def test_the_difference_of_means_has_welchs_interval() -> None:
    other = SCORES[:4] * 0.5 + 20
    expected = stats.ttest_ind(SCORES.mean(axis=1), other.mean(axis=1), equal_var=False)
    found = difference(estimate(SCORES, mean), estimate(other, mean))
    assert found.freedom == pytest.approx(expected.df, rel=0.03)
    assert found.interval() == pytest.approx(tuple(expected.confidence_interval()), rel=0.02, abs=0.2)


def test_the_published_interval_takes_tasks_for_independent() -> None:
    """The variance of its resamples is the mean of the tasks' variances over all values."""
    low, high = stratified_interval(SCORES, mean)
    error = math.sqrt(SCORES.var(axis=0).mean() / SCORES.size)
    assert (high - low) / 2 == pytest.approx(1.96 * error, rel=0.03)
    assert high - low < 0.6 * float(np.subtract(*estimate(SCORES, mean).interval()[::-1]))


def test_the_published_interval_recomputed() -> None:
    """Section 4.1 of Agarwal et al. 2021: draw the runs of every task anew, take percentiles of the statistic."""
    random, (runs, tasks) = numpy_stream(2, "test"), SCORES.shape
    drawn = []
    for _ in range(4000):
        columns = [SCORES[random.integers(runs, size=runs), task] for task in range(tasks)]
        ranked = np.sort(np.concatenate(columns))
        drawn.append(ranked[len(ranked) // 4 : -(len(ranked) // 4)].mean())
    expected = np.quantile(drawn, [0.025, 0.975])
    np.testing.assert_allclose(stratified_interval(SCORES, interquartile_mean), expected, atol=0.4)


@pytest.mark.parametrize("statistic", [*STATISTICS, profile])
def test_the_same_scores_give_the_same_interval_to_the_bit(statistic: Statistic) -> None:
    for interval in (
        lambda: estimate(SCORES, statistic).interval(),
        lambda: stratified_interval(SCORES, statistic),
    ):
        assert np.array(interval()).tobytes() == np.array(interval()).tobytes()


def test_another_seed_of_the_bootstrap_gives_nearly_the_same_interval() -> None:
    for interval in (lambda seed: estimate(SCORES, mean, seed).interval(),
                     lambda seed: stratified_interval(SCORES, mean, seed)):  # fmt: skip
        first, other = np.array(interval(0)), np.array(interval(1))
        assert (first != other).all()
        np.testing.assert_allclose(first, other, atol=0.5)


@pytest.mark.parametrize("statistic", [*STATISTICS, profile])
@pytest.mark.parametrize("value", [0.0, 88.123, 0.1])
def test_constant_scores_have_an_interval_of_no_width(statistic: Statistic, value: float) -> None:
    same = np.full((5, 3), value)
    found = estimate(same, statistic)
    for low, high in (
        found.interval(),
        stratified_interval(same, statistic),
        average([found, found]).interval(),
    ):
        assert (low == high).all()
    low, high = difference(found, found).interval()
    assert (low == 0).all() and (high == 0).all()


def test_profiles_have_an_interval_at_every_threshold() -> None:
    low, high = estimate(SCORES, profile).interval()
    assert low.shape == high.shape == (5,)
    assert (low <= high).all() and (low < high)[2] and low[0] == high[0] == 1
    assert [end.shape for end in stratified_interval(SCORES, profile)] == [(5,), (5,)]


@pytest.mark.parametrize("seeds", [1, 2])
def test_too_few_seeds_have_a_value_and_no_interval(seeds: int) -> None:
    few = estimate(SCORES[:seeds], mean)
    assert few.value == pytest.approx(SCORES[:seeds].mean())
    for found in (few, difference(few, estimate(SCORES, mean)), average([estimate(SCORES, mean), few])):
        assert np.isnan(found.interval()).all()
        assert math.isfinite(found.value)
    assert all(map(math.isnan, improvement_interval(0.7, seeds, 10)))
    assert all(map(math.isnan, average_interval([0.7, 0.5], [(math.nan, math.nan), (0.4, 0.6)])))


def test_one_seed_cannot_be_resampled() -> None:
    with pytest.raises(ResultError, match="run more seeds"):
        stratified_interval(SCORES[:1], mean)


def test_errors_of_independent_estimates_add_up_in_squares() -> None:
    one, other = (Estimate(*map(np.array, numbers)) for numbers in ((10.0, 3.0, 4.0), (20.0, 4.0, 9.0)))
    found = combine([one, other], [0.5, 0.5])
    assert (found.value, found.error) == (15, 2.5)
    assert found.freedom == pytest.approx(25**2 / (9**2 / 4 + 16**2 / 9))
    assert difference(one, other).value == -10
    assert difference(one, other).error == 5


def test_every_family_counts_once() -> None:
    small, large = np.full((3, 2), 50.0), np.full((5, 20), 100.0)
    assert average([estimate(small, mean), estimate(large, mean)]).value == 75


def test_the_interval_of_an_improvement_solves_newcombes_equation() -> None:
    """The variance of Hanley and McNeil in their own symbols, with both counts replaced by their mean."""
    low, high = improvement_interval(0.8, 5, 8)
    for end in (low, high):
        q1, q2 = end / (2 - end), 2 * end**2 / (1 + end)
        rest = (5 + 8) / 2 - 1
        variance = (end * (1 - end) + rest * (q1 - end**2) + rest * (q2 - end**2)) / (5 * 8)
        assert abs(0.8 - end) == pytest.approx(1.959964 * math.sqrt(variance), rel=1e-4)
    assert low < 0.8 < high


def test_improvement_is_never_certain_from_a_few_seeds() -> None:
    low, high = improvement_interval(1.0, 3, 3)
    assert high == 1 and 0.4 < low < 0.6
    assert improvement_interval(0.0, 3, 3) == pytest.approx((1 - high, 1 - low), abs=1e-6)
    low, high = improvement_interval(0.5, 10, 10)
    assert low + high == pytest.approx(1)


def test_intervals_of_families_are_averaged_side_by_side() -> None:
    assert average_interval([0.5, 1.0], [(0.2, 0.9), (0.6, 1.0)]) == pytest.approx((0.75 - 0.25, 0.75 + 0.2))
    assert average_interval([0.5], [(0.2, 0.9)]) == pytest.approx((0.2, 0.9))
