"""Figures of our own: learning curves, what adaptation gains, contexts of all sizes and sources, and wall-clock."""

from typing import Any

import pandas as pd

from benchmark.results.board import Board
from benchmark.results.curves import DEVICE, PROCESSOR, REFERENCES, SECONDS
from benchmark.results.figures.drawn import curve, gaps, mark, missing, point, points, remark, table_of
from benchmark.results.figures.figure import Figure
from benchmark.results.figures.paper import METHODS, ORDINARY, RETURN, STEPS, panels
from benchmark.results.figures.rows import (
    STANDARD,
    Series,
    along,
    chosen,
    curve_rows,
    key_text,
    of_common_seeds,
    result_rows,
    series_of,
    standard,
)
from benchmark.results.intervals import mean_over_seeds
from benchmark.results.rows import score_matrix

CONTEXT_SIZES = (64, 128, 256, 512, 1000)
CONTEXT_SOURCES = ("mixed", "expert", "medium", "random", "other", "online")


def _references(panel: str, rows: pd.DataFrame) -> list[pd.DataFrame]:
    """The values of random actions, the blind expert and the experts; those of another family version beside them."""
    versions = rows[["family", "task", *REFERENCES]] if "task" in rows else rows[["family", *REFERENCES]]
    means = versions.drop_duplicates().groupby("family")[REFERENCES].mean()
    return [
        mark(panel, "reference", column.removesuffix("_return"), value)
        for column in REFERENCES
        for value in means[column].unique()
    ]


def learning_curves(board: Board) -> pd.DataFrame:
    """Adapted and un-adapted return over meta-training of every method, on the families that have curves.

    What makes one step, as nothing is learned in it, is a level across the panel.
    """
    curves, parts = curve_rows(board), []
    for name in sorted(set(curves["name"])):
        here = standard(curves, name=name)
        for one in series_of(here):
            if one.rows["step"].max() == 1:  # it does not learn: a level, not a curve
                level = one.rows["adapted_return"].mean()
                parts.append(mark(name, "reference", one.label, level, "", one.algorithm, key_text(one.rows)))
                continue
            parts.append(curve(name, one, "adapted_return"))
            parts.append(curve(name, one, "unadapted_return", "un-adapted"))
        ordinary = " under these conditions"
        parts += _references(name, here) if len(here) else missing(name, here, ["any method"], ordinary)
    return table_of(parts or [remark("all families", "no learning curves on this leaderboard")])


def adaptation_gain(board: Board) -> pd.DataFrame:
    """Return with the context minus return without, on every test task."""
    rows, parts = standard(result_rows(board)), []
    for name in panels(rows):
        here = rows[rows["name"] == name]
        for one in series_of(here):
            gains = score_matrix(one.rows, "adapted_return") - score_matrix(one.rows, "unadapted_return")
            tasks = sorted(one.rows["task"].unique())
            parts.append(points(name, "line", one, tasks, mean_over_seeds(gains), len(gains)))
        parts += missing(name, here, METHODS)
    return table_of(parts)


def context_size(board: Board) -> pd.DataFrame:
    """Return against the number of transitions of context."""
    rows, parts = result_rows(board), []
    rows = along(rows, [{"context_size": size} for size in CONTEXT_SIZES])
    for name in panels(rows):
        here, lacking = rows[rows["name"] == name], {}
        for whole in series_of(here, ("context_size",)):
            one, others = of_common_seeds(whole, "context_size")
            parts += [remark(name, text) for text in others]
            sizes = one.rows.groupby("context_size")
            parts += [point(name, Series(one.label, one.algorithm, part), size) for size, part in sizes]
            absent = [str(size) for size in CONTEXT_SIZES if size not in sizes.groups]
            if absent:
                lacking[one.label] = f"{', '.join(absent)} transitions"
        parts += gaps(name, lacking)
        parts += _references(name, here) if len(here) else []
        parts += missing(name, here, METHODS)
    return table_of(parts)


def context_source(board: Board) -> pd.DataFrame:
    """Score with contexts of the usual size from every source; what an agent gathers itself is whole episodes."""
    rows, parts = result_rows(board), []
    for name in panels(rows):
        here, lacking = along(rows, [_from_source(rows, name, source) for source in CONTEXT_SOURCES]), {}
        for whole in series_of(here, ("context", "context_size")):
            one, others = of_common_seeds(whole, "context")
            parts += [remark(name, text) for text in others]
            sources = dict(list(one.rows.groupby("context")))
            for source in filter(sources.__contains__, CONTEXT_SOURCES):
                series = Series(one.label, one.algorithm, sources[source])
                parts.append(point(name, series, source, "score"))
            absent = [source for source in CONTEXT_SOURCES if source not in sources]
            if absent:
                lacking[one.label] = f"context {', '.join(absent)}"
        parts += gaps(name, lacking)
        parts += missing(name, here, METHODS)
    return table_of(parts)


def _from_source(rows: pd.DataFrame, name: str, source: str) -> dict[str, Any]:
    """Contexts of the usual size; of what an agent gathers itself, the fewest episodes that have it."""
    size = STANDARD["context_size"]
    if source == "online":
        gathered = chosen(rows, name=name, context=source)["context_size"]
        size = gathered[gathered >= size].min()
    return {"name": name, "context": source, "context_size": size}


def score_over_time(board: Board) -> pd.DataFrame:
    """Score over the wall-clock of the runs that were timed; labels say of what was not trained on the processor."""
    curves, parts = standard(curve_rows(board)), []
    curves = curves if SECONDS in curves else curves.assign(**{SECONDS: float("nan")})
    curves = curves if DEVICE in curves else curves.assign(**{DEVICE: PROCESSOR})
    devices = curves[DEVICE].fillna("").replace("", PROCESSOR)
    for name in panels(curves):
        here = curves[curves["name"] == name]
        for device, rows in here.groupby(devices):
            for one in series_of(rows):
                label = one.label if device == PROCESSOR else f"{one.label}, {device}"
                parts.append(curve(name, Series(label, one.algorithm, one.rows), "score", x=SECONDS))
        parts += missing(name, here, METHODS)
    return table_of(parts)


FIGURES = (
    Figure("learning-curves", STEPS, RETURN, learning_curves, ORDINARY, "log"),
    Figure(
        "adaptation-gain", "test task", "adapted minus un-adapted return", adaptation_gain, ORDINARY,
        "category", joined=False,
    ),
    Figure(
        "context-size", "transitions of context", RETURN, context_size,
        "split standard, context mixed, default settings", "category", tuple(map(str, CONTEXT_SIZES)),
    ),
    Figure(
        "context-source", "source of the context", "score", context_source,
        "split standard, 256 transitions (online: episodes), default settings", "category",
        CONTEXT_SOURCES, joined=False,
    ),
    Figure(
        "score-over-time", "seconds on each run's own machine, with evaluations", "score", score_over_time, ORDINARY
    ),
)  # fmt: skip
