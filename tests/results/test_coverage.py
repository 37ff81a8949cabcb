"""Nominal 95 % intervals hold the truth as often as `benchmark/results/intervals.py` and README say they do."""

import pytest

from benchmark.results import intervals
from benchmark.results.statistics import Statistic, interquartile_mean, mean, median, optimality_gap
from tests.results.coverage import (
    World,
    collapsing,
    coverage,
    coverage_of_difference,
    coverage_of_improvement,
    independent,
    shared,
    skewed,
)

EXPERIMENTS = 400
"""Simulated in each test; the standard error of a coverage of 95 % is then one point."""
DEFAULT, PUBLISHED = "whole seeds, Student's t", "each task's seeds apart"


@pytest.fixture(autouse=True)
def fewer_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intervals, "RESAMPLES", 300)


@pytest.mark.parametrize("world", [independent, shared])
@pytest.mark.parametrize("seeds", [3, 4, 10])
@pytest.mark.parametrize("statistic", [interquartile_mean, mean])
def test_the_default_covers_with_few_seeds_and_many(statistic: Statistic, seeds: int, world: World) -> None:
    assert coverage(DEFAULT, world, statistic, seeds, EXPERIMENTS) >= 93


@pytest.mark.parametrize("statistic", [median, optimality_gap])
def test_the_default_covers_for_the_other_statistics(statistic: Statistic) -> None:
    assert coverage(DEFAULT, shared, statistic, 10, EXPERIMENTS) >= 93


def test_seeds_that_fail_as_a_whole_are_covered_once_there_are_ten() -> None:
    assert coverage(DEFAULT, collapsing, interquartile_mean, 10, EXPERIMENTS) >= 93
    assert coverage(DEFAULT, collapsing, interquartile_mean, 3, EXPERIMENTS) < 75
    assert coverage(DEFAULT, skewed, interquartile_mean, 10, EXPERIMENTS) >= 89


def test_the_published_interval_covers_independent_tasks_only() -> None:
    assert 90 <= coverage(PUBLISHED, independent, mean, 10, EXPERIMENTS) <= 96
    assert coverage(PUBLISHED, independent, mean, 4, EXPERIMENTS) < 93
    assert coverage(PUBLISHED, shared, mean, 10, EXPERIMENTS) < 80


@pytest.mark.parametrize("method", ["whole seeds, percentile", "whole seeds, BCa"])
def test_percentiles_of_whole_seeds_fall_short_with_few(method: str) -> None:
    assert coverage(method, shared, mean, 4, EXPERIMENTS) < 100 * 7 / 8


@pytest.mark.parametrize(
    ("world", "seeds"),
    [(independent, 3), (shared, 3), (shared, 4), (shared, 10), (skewed, 4), (collapsing, 4)],
)
def test_of_equal_methods_few_are_called_better_or_worse(world: World, seeds: int) -> None:
    assert coverage_of_difference([(world, world)], (seeds, seeds), EXPERIMENTS) >= 93


def test_the_difference_is_covered_over_families_and_unequal_methods() -> None:
    families = [(independent, shared), (skewed, shared)]
    assert coverage_of_difference(families, (4, 4), EXPERIMENTS) >= 93
    assert coverage_of_difference(families, (3, 10), EXPERIMENTS) >= 92


@pytest.mark.parametrize("world", [independent, shared])
@pytest.mark.parametrize("ahead", [0.0, 8.0, 20.0])
@pytest.mark.parametrize("seeds", [3, 4, 10])
def test_the_probability_of_improvement_is_covered(world: World, ahead: float, seeds: int) -> None:
    assert coverage_of_improvement(world, ahead, seeds, EXPERIMENTS)[0] >= 93
