"""Learning curves as inline SVG: places are computed here, colours come from the page's style sheet."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchmark.results.board import Board
from benchmark.results.figures.own import learning_curves
from benchmark.results.style import Look, looks

WIDTH, HEIGHT = 360, 220
LEFT, RIGHT, TOP, BOTTOM = 46, 10, 10, 30


@dataclass(frozen=True)
class Stroke:
    """A series in the units of the picture."""

    label: str
    algorithm: str
    seeds: int
    line: str
    """`points` of a polyline."""
    band: str
    """`points` of a polygon; empty without an interval."""
    un_adapted: str
    """`points` of a polyline."""
    look: Look
    last: float
    """The return at the end."""


@dataclass(frozen=True)
class Plot:
    """The learning curves of one family."""

    family: str
    strokes: list[Stroke]
    references: list[tuple[str, float]]
    """Name and height."""
    x_ticks: list[tuple[str, float]]
    y_ticks: list[tuple[str, float]]


def plots(board: Board, colours: Mapping[str, str]) -> list[Plot]:
    """The curves that the figure `learning-curves` shows, one plot per family that has any."""
    table = learning_curves(board)
    return [
        _plot(str(panel), part, colours)
        for panel, part in table.groupby("panel", sort=True)
        if (part["kind"] == "line").any()
    ]


def _plot(family: str, part: pd.DataFrame, colours: Mapping[str, str]) -> Plot:
    curves = part[part["kind"] == "line"]
    steps = curves["x"].astype(float)
    heights = part[["y", "low", "high"]].to_numpy(dtype=float)
    x_range = (0.0, float(steps.max()))
    lowest = float(np.nanmin(heights))
    y_range = (lowest, max(float(np.nanmax(heights)), lowest + 1))
    x_ticks, y_ticks = _ticks(*x_range), _ticks(*y_range)

    def across(step: float) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * (step - x_range[0]) / (x_range[1] - x_range[0]), 1)

    def up(value: float) -> float:
        return round(
            HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (value - y_range[0]) / (y_range[1] - y_range[0]), 1
        )

    def joined(rows: pd.DataFrame, column: str = "y") -> list[str]:
        return [f"{across(float(x))},{up(y)}" for x, y in zip(rows["x"], rows[column], strict=True)]

    look = looks(dict(zip(curves["series"], curves["algorithm"], strict=True)), colours)
    strokes = []
    for label, rows in curves.groupby("series", sort=False):
        faint = part[(part["kind"] == "un-adapted") & (part["series"] == label)]
        band = [] if rows["low"].isna().any() else [*joined(rows, "low"), *joined(rows, "high")[::-1]]
        strokes.append(
            Stroke(
                str(label), str(rows["algorithm"].iloc[0]), int(rows["seeds"].iloc[0]), " ".join(joined(rows)),
                " ".join(band), " ".join(joined(faint)), look[str(label)], float(rows["y"].iloc[-1]),
            )
        )  # fmt: skip
    references = [(row["series"], up(row["y"])) for _, row in part[part["kind"] == "reference"].iterrows()]
    return Plot(
        family, strokes, references,
        [(f"{value / 1000:g}k" if value >= 1000 else f"{value:g}", across(value)) for value in x_ticks],
        [(f"{value:,g}".replace("-", "\N{MINUS SIGN}"), up(value)) for value in y_ticks],
    )  # fmt: skip


def _ticks(low: float, high: float) -> Sequence[float]:
    """About four round numbers within the range."""
    raw = (high - low) / 4
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= raw)
    return [float(value) * step for value in range(math.ceil(low / step), math.floor(high / step) + 1)]
