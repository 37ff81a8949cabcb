"""Scores over all families, each counted once, beside those of each: four statistics, and performance profiles."""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from benchmark.results.board import Board
from benchmark.results.figures.drawn import missing, points, profile, remark, table_of
from benchmark.results.figures.figure import Figure
from benchmark.results.figures.paper import METHODS, ORDINARY, panels
from benchmark.results.figures.rows import Series, result_rows, series_of, standard
from benchmark.results.intervals import Estimate, average, estimate
from benchmark.results.rows import score_matrix
from benchmark.results.statistics import (
    Scores,
    Statistic,
    interquartile_mean,
    mean,
    median,
    optimality_gap,
    performance_profile,
)

EVERYWHERE = "all families"
THRESHOLDS = np.arange(-20.0, 121.0, 2.0)
STATISTICS: Mapping[str, Callable[[Scores], Scores]] = {
    "interquartile mean": interquartile_mean,
    "mean": mean,
    "median": median,
    "optimality gap": optimality_gap,
}
"""Of Agarwal et al. (2021); of the optimality gap less is better."""


def _by_method(rows: pd.DataFrame) -> dict[str, dict[str, Series]]:
    """By method and family the one series there; a method with several keys on a family is left out there."""
    found: dict[str, dict[str, Series]] = {}
    for name, here in rows.groupby("name"):
        for algorithm, own in here.groupby("algorithm"):
            series = series_of(own)
            if len(series) == 1:
                found.setdefault(str(algorithm), {})[str(name)] = series[0]
    return found


def _everywhere(
    panel: str, methods: Mapping[str, Mapping[str, Series]], families: list[str], xs: list[object],
    statistic: Statistic,
) -> list[pd.DataFrame]:  # fmt: skip
    """The mean over families of the methods that have one result on each, and a remark on the others."""
    parts, others = [], []
    for algorithm, by_family in methods.items():
        if not by_family.keys() >= set(families):
            others.append(algorithm)
            continue
        matrices = [score_matrix(by_family[name].rows) for name in families]
        found = average([estimate(matrix, statistic) for matrix in matrices])
        rows = pd.concat([by_family[name].rows for name in families])
        parts.append(
            points(
                panel, "line", Series(algorithm, algorithm, rows), xs, _row(found), min(map(len, matrices))
            )
        )
    if others:
        parts.append(remark(panel, f"not one result on each family: {', '.join(others)}"))
    return parts


def _row(found: Estimate) -> Estimate:
    """An estimate of one number as that of a row of one."""
    return Estimate(*(np.atleast_1d(part) for part in (found.value, found.error, found.freedom)))


def aggregate_scores(board: Board) -> pd.DataFrame:
    """Interquartile mean, mean, median and optimality gap of the scores, by family and over all."""
    rows = standard(result_rows(board))
    methods, families = _by_method(rows), sorted(set(rows["name"]))
    stand_ins = [
        f"{algorithm} on {name}: {settings}"
        for algorithm, by_family in methods.items()
        for name, one in by_family.items()
        if (settings := one.rows["settings"].iloc[0])
    ]
    parts = []
    for panel, statistic in STATISTICS.items():
        parts += [remark(panel, one) for one in stand_ins]
        for algorithm, by_family in methods.items():
            for name, one in by_family.items():
                matrix = score_matrix(one.rows)
                series = Series(algorithm, algorithm, one.rows)
                parts.append(
                    points(panel, "line", series, [name], _row(estimate(matrix, statistic)), len(matrix))
                )
        parts += _everywhere(panel, methods, families, [EVERYWHERE], statistic)
        parts += missing(panel, rows, METHODS)
    return table_of(parts)


def performance_profiles(board: Board) -> pd.DataFrame:
    """Fraction of (seed, task) runs above each score, by family and over all."""

    def above(scores: Scores) -> Scores:
        return performance_profile(scores, THRESHOLDS)

    rows = standard(result_rows(board))
    families, parts = sorted(set(rows["name"])), []
    for name in panels(rows):
        here = rows[rows["name"] == name]
        parts += [profile(name, one, list(THRESHOLDS), above) for one in series_of(here)]
        parts += missing(name, here, METHODS)
    parts += _everywhere(EVERYWHERE, _by_method(rows), families, list(THRESHOLDS), above)
    parts += missing(EVERYWHERE, rows, METHODS)
    return table_of(parts)


FIGURES = (
    Figure(
        "aggregate-scores", "family", "score", aggregate_scores, ORDINARY, "category", joined=False,
    ),
    Figure(
        "performance-profiles", "score", "fraction of (seed, task) runs above", performance_profiles, ORDINARY,
        y_limits=(0.0, 1.0),
    ),
)  # fmt: skip
