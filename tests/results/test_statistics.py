"""Statistics of scores: closed forms, properties, and the published definitions recomputed in plain loops."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from benchmark.errors import ResultError
from benchmark.results.statistics import (
    Scores,
    Statistic,
    interquartile_mean,
    mean,
    median,
    optimality_gap,
    performance_profile,
    probability_of_improvement,
)

STATISTICS = (interquartile_mean, mean, median, optimality_gap)
VALUES = st.integers(-500, 500).map(lambda number: number / 4)
SHAPES = st.tuples(st.integers(1, 6), st.integers(1, 5))
SCORES = SHAPES.flatmap(lambda shape: arrays(np.float64, shape, elements=VALUES))
PAIRS = st.tuples(st.integers(1, 5), st.integers(1, 5), st.integers(1, 4)).flatmap(
    lambda sizes: st.tuples(
        arrays(np.float64, (sizes[0], sizes[2]), elements=VALUES),
        arrays(np.float64, (sizes[1], sizes[2]), elements=VALUES),
    )
)


def test_closed_forms() -> None:
    scores = np.array([[0.0, 10.0], [20.0, 30.0], [40.0, 1000.0], [60.0, 110.0]])
    assert interquartile_mean(scores) == np.mean([20, 30, 40, 60])  # two of eight are cut at either end
    assert mean(scores) == 1270 / 8
    assert median(scores) == np.median([30, 287.5])
    assert optimality_gap(scores) == np.mean([100, 90, 80, 70, 60, 0, 40, 0])
    assert optimality_gap(scores, gamma=10.0) == 10 / 8
    assert performance_profile(scores, [-1, 0, 30, 1000]).tolist() == [1, 7 / 8, 4 / 8, 0]


def test_a_quarter_is_rounded_down() -> None:
    assert interquartile_mean([[1.0], [2.0], [6.0]]) == 3
    assert interquartile_mean([[1.0, 2.0, 6.0], [4.0, 90.0, -7.0]]) == (1 + 2 + 6 + 4) / 4


def test_improvement_counts_pairs_and_half_of_the_ties() -> None:
    assert probability_of_improvement([[2.0], [3.0]], [[1.0], [0.0], [1.5]]) == 1
    assert probability_of_improvement([[1.0], [3.0]], [[1.0], [2.0]]) == (0.5 + 0 + 1 + 1) / 4
    assert probability_of_improvement([[1.0, 0.0]], [[0.0, 1.0]]) == 0.5  # tasks are not mixed
    with pytest.raises(ResultError, match="1 and 2 tasks"):
        probability_of_improvement([[1.0]], [[1.0, 2.0]])


@pytest.mark.parametrize("bad", [1.0, [1.0, 2.0], np.zeros((3, 0)), [[np.nan]], [[np.inf, 1.0]]])
@pytest.mark.parametrize("statistic", STATISTICS)
def test_what_are_no_scores_is_refused(statistic: Statistic, bad: Scores) -> None:
    with pytest.raises(ResultError, match=r"\(\.\.\., seed, task\) is needed|not finite"):
        statistic(bad)


@given(SCORES)
def test_published_definitions_recomputed(scores: Scores) -> None:
    """Section 4 of Agarwal et al. 2021, counted out over the (run, task) values."""
    runs, tasks = scores.shape
    ranked = sorted(scores.flatten().tolist())
    cut = len(ranked) // 4
    middle = ranked[cut : len(ranked) - cut]
    assert interquartile_mean(scores) == pytest.approx(sum(middle) / len(middle))
    by_task = [sum(scores[run, task] for run in range(runs)) / runs for task in range(tasks)]
    assert mean(scores) == pytest.approx(sum(by_task) / tasks)
    by_task.sort()
    assert median(scores) == pytest.approx((by_task[(tasks - 1) // 2] + by_task[tasks // 2]) / 2)
    assert optimality_gap(scores) == pytest.approx(
        100 - sum(min(value, 100) for value in ranked) / len(ranked)
    )
    for threshold, fraction in zip((0.0, 50.0), performance_profile(scores, [0.0, 50.0]), strict=True):
        assert fraction == pytest.approx(sum(value > threshold for value in ranked) / len(ranked))


@given(PAIRS)
def test_published_improvement_recomputed(pair: tuple[Scores, Scores]) -> None:
    wins = [
        (one > other) + (one == other) / 2
        for task in range(pair[0].shape[1])
        for one, other in product(pair[0][:, task], pair[1][:, task])
    ]
    assert probability_of_improvement(*pair) == pytest.approx(sum(wins) / len(wins))


@given(PAIRS)
def test_either_is_above_the_other(pair: tuple[Scores, Scores]) -> None:
    first, second = pair
    there, back = probability_of_improvement(first, second), probability_of_improvement(second, first)
    assert there + back == pytest.approx(1)


@given(PAIRS, st.data())
def test_the_order_of_seeds_and_tasks_does_not_matter(
    pair: tuple[Scores, Scores], data: st.DataObject
) -> None:
    scores, others = pair
    runs, tasks = (data.draw(st.permutations(range(size))) for size in scores.shape)
    moved = scores[runs][:, tasks]
    for statistic in (*STATISTICS, lambda values: performance_profile(values, [0, 50])):
        assert statistic(moved) == pytest.approx(statistic(scores))
    found = probability_of_improvement(scores, others)
    assert probability_of_improvement(moved, others[:, tasks]) == pytest.approx(found)


@given(SCORES, VALUES)
def test_a_shift_of_all_scores_shifts_what_is_located(scores: Scores, shift: float) -> None:
    for statistic in (interquartile_mean, mean, median):
        assert statistic(scores + shift) == pytest.approx(statistic(scores) + shift)
    assert optimality_gap(scores + shift, 100 + shift) == pytest.approx(optimality_gap(scores))


@given(SCORES)
def test_profiles_fall_from_one_to_nothing(scores: Scores) -> None:
    profile = performance_profile(scores, [scores.min() - 1, *np.sort(scores, axis=None), scores.max()])
    assert (np.diff(profile) <= 0).all()
    assert profile[0] == 1 and profile[-1] == 0


@given(SCORES)
def test_leading_axes_are_kept(scores: Scores) -> None:
    """Resampling relies on it: a stack of scores gives a stack of statistics."""
    stack = np.stack([scores, scores + 1, scores * 2])[:, None]
    for statistic in (*STATISTICS, lambda values: performance_profile(values, [0, 50, 90])):
        expected = np.stack([[statistic(one)] for one in stack[:, 0]])
        np.testing.assert_allclose(statistic(stack), expected)
    own = probability_of_improvement(stack, stack[::-1])
    assert own.shape == (3, 1) and own[1, 0] == pytest.approx(0.5)
