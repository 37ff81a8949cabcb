"""Figures 3 and 5 of the paper and its ML45, with its values as marks.

Data, simulator and seeds are others: compare the orderings.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from benchmark.families import family
from benchmark.results.board import Board
from benchmark.results.figures.drawn import curve, mark, missing, point, points, remark, table_of
from benchmark.results.figures.figure import Figure
from benchmark.results.figures.rows import (
    STANDARD,
    Series,
    along,
    chosen,
    curve_rows,
    of_common_seeds,
    result_rows,
    series_of,
    standard,
)
from benchmark.results.intervals import mean_over_seeds
from benchmark.results.rows import score_matrix

FAMILIES = ("cheetah-dir", "cheetah-vel", "walker-params", "ant-dir")
METHODS = ("macaw", "pearl", "multitask-awr", "meta-bc")
ABLATED = "cheetah-vel"
"""The family of figure 5."""
LIFE = ("late", "middle", "early")
"""Good, medium and bad adaptation data: thirds of the behaviour's training life."""
SPLITS = ("standard", "half", "quarter", "eighth", "sixteenth")
SPARSE_METHODS = ("macaw", "pearl", "multitask-awr")
SUCCESS_METHODS = ("macaw", "multitask-awr", "meta-bc")
EVERY_TASK = "all"
WITHOUT_TRANSFORM = {
    "weight transform": "",
    "plain layers": "weight_transform=False",
    "plain, as many parameters": "weight_transform=False;hidden_size=725",
}


@cache
def published() -> pd.DataFrame:
    """The paper's numbers: those of the authors' plotting scripts are exact, of the others an older run is known."""
    return pd.read_csv(Path(__file__).with_name("published.csv"))


def figure_3(board: Board) -> pd.DataFrame:
    """Return over meta-training, four methods on four families."""
    curves = standard(curve_rows(board))
    curves = curves[curves["algorithm"].isin(METHODS)]
    parts = []
    for name in FAMILIES:
        here = curves[curves["name"] == name]
        parts += [curve(name, one, "adapted_return") for one in series_of(here)]
        numbers = published()[(published()["figure"] == "figure-3") & (published()["family"] == name)]
        parts += [_mark(name, row) for _, row in numbers.iterrows()]
        parts += missing(name, here, METHODS)
    return table_of(parts)


def _mark(panel: str, row: pd.Series, x: object = "") -> pd.DataFrame:
    kind = "published" if row["exact"] == "yes" else "older run"
    return mark(panel, kind, f"{row['algorithm']}, {kind}", row["return"], x, row["algorithm"], row["what"])


def figure_5_left(board: Board) -> pd.DataFrame:
    """Return on adaptation data of each third of the behaviour's life, with and without the advantage head."""
    rows, parts = result_rows(board), []
    for label, more in (("advantage head", ""), ("no advantage head", ";advantage_head=False")):
        settings = {life: f"inner_data={life}{more}" for life in LIFE}
        here = {
            life: standard(rows, name=ABLATED, algorithm="macaw", context=life, settings=settings[life])
            for life in LIFE
        }
        for one in series_of(pd.concat(here.values()), ("context", "settings"), label):
            parts += _points(one, "context", {life: life for life in LIFE})
        parts += [
            remark(ABLATED, f"no runs with {settings[life]}, context {life}")
            for life in LIFE if here[life].empty
        ]  # fmt: skip
    return table_of(parts)


def _points(series: Series, column: str, xs: Mapping[str, object]) -> list[pd.DataFrame]:
    """A point for each of the column's values that the series has, at its place."""
    one, others = of_common_seeds(series, column)
    parts = dict(list(one.rows.groupby(column)))
    return [
        *(remark(ABLATED, text) for text in others),
        *(
            point(ABLATED, Series(one.label, one.algorithm, parts[value]), x)
            for value, x in xs.items() if value in parts
        ),
    ]  # fmt: skip


def figure_5_middle(board: Board) -> pd.DataFrame:
    """Return over meta-training with the weight transform and with plain layers, of the same width and wider."""
    curves, parts = curve_rows(board), []
    for label, settings in WITHOUT_TRANSFORM.items():
        here = standard(curves, name=ABLATED, algorithm="macaw", settings=settings)
        found = series_of(here, (), label)
        parts += [curve(ABLATED, one, "adapted_return") for one in found]
        if not found:
            parts.append(remark(ABLATED, f"no runs with {settings or 'default settings'}"))
    return table_of(parts)


def figure_5_right(board: Board) -> pd.DataFrame:
    """Return with fewer and fewer train tasks. The test tasks are all the others, so columns do not compare."""
    rows, parts = result_rows(board), []
    numbers = published()[published()["figure"] == "figure-5-right"]
    tasks = {split: len(family(ABLATED).split(split).train) for split in SPLITS}
    here = along(rows, [{"name": ABLATED, "split": split} for split in SPLITS])
    here = here[here["algorithm"].isin(SPARSE_METHODS)]
    for one in series_of(here, ("split",)):
        parts += _points(one, "split", tasks)
    parts += [_mark(ABLATED, row, tasks[row["split"]]) for _, row in numbers.iterrows()]
    for split in SPLITS:
        parts += missing(ABLATED, here[here["split"] == split], SPARSE_METHODS, f" on split {split}")
    return table_of(parts)


def ml45(board: Board) -> pd.DataFrame:
    """Success rate in percent on each test task of ML45 and over all, with whatever settings."""
    conditions = {name: value for name, value in STANDARD.items() if name != "settings"}
    rows, parts = chosen(result_rows(board), name="ml45", **conditions), []
    for one in series_of(rows):
        rates = score_matrix(one.rows)
        xs = [*sorted(one.rows["task"].unique()), EVERY_TASK]
        found = mean_over_seeds(np.column_stack([rates, rates.mean(axis=1)]))
        parts.append(points("ml45", "line", one, xs, found, len(rates)))
    numbers = published()[published()["figure"] == "ml45"]
    parts += [_mark("ml45", row, EVERY_TASK) for _, row in numbers.iterrows()]
    return table_of([*parts, *missing("ml45", rows, SUCCESS_METHODS)])


STEPS, RETURN = "meta-training steps", "return, mean over test tasks"
ORDINARY = "split standard, context mixed:256, default settings"


def panels(rows: pd.DataFrame) -> list[str]:
    """The paper's families, and all others that have rows."""
    return [*FAMILIES, *sorted(set(rows["name"]) - set(FAMILIES))]


FIGURES = (
    Figure("figure-3", STEPS, RETURN, figure_3, ORDINARY, "log"),
    Figure(
        "figure-5-left", "adaptation data: late (good), middle or early (bad) third of life", RETURN, figure_5_left,
        "macaw, split standard", "category", LIFE,
    ),
    Figure(
        "figure-5-middle", STEPS, RETURN, figure_5_middle, "macaw, split standard, context mixed:256", "log"
    ),
    Figure(
        "figure-5-right", "train tasks (all others are test tasks)", RETURN, figure_5_right,
        "context mixed:256, default settings", "category", ("35", "20", "10", "5", "3"),
    ),
    Figure(
        "ml45", "test task, and all of them", "success rate in %", ml45, "split standard, context mixed:256",
        "category", ("45", "46", "47", "48", "49", EVERY_TASK), joined=False, y_limits=(0.0, 100.0),
    ),
)  # fmt: skip
