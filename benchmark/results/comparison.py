"""Two methods on the families both were run on: what differs, by how much, and whether the seeds suffice to tell."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from benchmark.errors import ResultError
from benchmark.results.board import Board
from benchmark.results.intervals import (
    Estimate,
    average,
    average_interval,
    difference,
    estimate,
    improvement_interval,
)
from benchmark.results.selection import Choice, Pair, pairs
from benchmark.results.statistics import Statistic, interquartile_mean, mean, probability_of_improvement

Verdict = Literal["better", "worse", "undecided", "too few seeds"]


@dataclass(frozen=True)
class Interval:
    """A number and the ends of its 95 % interval, which are NaN where there are too few seeds."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Difference:
    """A statistic of either method, and the first's minus the second's."""

    first: Estimate
    second: Estimate

    @property
    def interval(self) -> Interval:
        """The difference with Welch's interval over whole seeds."""
        found = difference(self.first, self.second)
        low, high = found.interval()
        return Interval(float(found.value), float(low), float(high))

    @property
    def verdict(self) -> Verdict:
        """On the first method: `undecided` where the interval of the difference holds 0."""
        found = self.interval
        if math.isnan(found.low):
            return "too few seeds"
        return "better" if found.low > 0 else "worse" if found.high < 0 else "undecided"


@dataclass(frozen=True)
class Line:
    """Two methods on one family, or in the mean of several."""

    name: str
    tasks: int
    """Test tasks, of all families together."""
    seeds: tuple[int, int]
    """Of either method; the fewest where there are several families."""
    steps: tuple[int, int] | None
    """Meta-training steps of either method; None for several families."""
    interquartile_mean: Difference
    """What the verdict is about: chosen once for all comparisons, not by which of the numbers is the clearest."""
    mean: Difference
    last_tests: Difference | None
    """The mean over each seed's last tests in training too; None where one of them has too few."""
    improvement: Interval
    """Probability that a run of the first method is above a run of the second on a task."""


@dataclass(frozen=True)
class Comparison:
    """Two methods under the same conditions."""

    shared: tuple[tuple[str, str], ...]
    """Names and values of the conditions that all families have in common."""
    families: list[Line]
    over_families: Line | None
    """The mean over families, each counted once; None where there is but one."""


def compare(board: Board, first: str, second: str, choice: Choice) -> list[Comparison]:
    """Compare two results, one comparison per set of conditions that both have; names and errors are those of `pairs`.

    Each verdict is at the 95 % level on its own. Raises ResultError also where a family is there twice, in two
    versions or with two data hashes: it would count twice.
    """
    found = sorted(pairs(board, first, second, choice), key=lambda pair: pair.shared)
    return [
        _comparison(shared, list(group)) for shared, group in groupby(found, key=lambda pair: pair.shared)
    ]


def _comparison(shared: tuple[tuple[str, str], ...], group: list[Pair]) -> Comparison:
    names = [pair.family.rpartition("-v")[0] for pair in group]
    for name in names:
        if names.count(name) > 1:
            twice = sorted({pair.family for pair in group if pair.family.startswith(f"{name}-v")})
            raise ResultError(
                f"{name} is there more than once under the same conditions ({', '.join(twice)}): choose one by "
                "--family, or take rows of data that are out of date off the leaderboard."
            )
    lines = [_line(pair) for pair in group]
    return Comparison(shared, lines, _over_families(lines) if len(lines) > 1 else None)


def _line(pair: Pair) -> Line:
    first, second = pair.scores
    seeds = len(first), len(second)
    probability = float(probability_of_improvement(first, second))
    return Line(
        pair.family,
        first.shape[1],
        seeds,
        pair.steps,
        _difference(pair, interquartile_mean),
        _difference(pair, mean),
        _of_last_tests(pair),
        Interval(probability, *improvement_interval(probability, *seeds)),
    )


def _difference(pair: Pair, statistic: Statistic) -> Difference:
    first, second = pair.scores
    return Difference(estimate(first, statistic), estimate(second, statistic))


def _of_last_tests(pair: Pair) -> Difference | None:
    first, second = pair.last_scores
    if first is None or second is None:
        return None
    return Difference(estimate(first[:, None], mean), estimate(second[:, None], mean))


def _over_families(lines: Sequence[Line]) -> Line:
    probabilities = [line.improvement for line in lines]
    last_tests = [line.last_tests for line in lines if line.last_tests]
    ends = average_interval(
        [one.value for one in probabilities], [(one.low, one.high) for one in probabilities]
    )
    return Line(
        f"mean over {len(lines)} families",
        sum(line.tasks for line in lines),
        (min(line.seeds[0] for line in lines), min(line.seeds[1] for line in lines)),
        None,
        _average([line.interquartile_mean for line in lines]),
        _average([line.mean for line in lines]),
        _average(last_tests) if len(last_tests) == len(lines) else None,
        Interval(sum(one.value for one in probabilities) / len(lines), *ends),
    )


def _average(differences: Sequence[Difference]) -> Difference:
    return Difference(
        average([one.first for one in differences]), average([one.second for one in differences])
    )
