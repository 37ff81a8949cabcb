"""What a figure is: a table of what is drawn, made from the board, and how its panels look."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from benchmark.results.board import Board


@dataclass(frozen=True)
class Figure:
    """A picture of panels that share their axes' meaning."""

    name: str
    """Stem of its files."""
    x_label: str
    y_label: str
    table: Callable[[Board], pd.DataFrame]
    """The rows that are drawn (`drawn.COLUMNS`)."""
    conditions: str
    """Which rows are drawn, in words."""
    x_scale: Literal["linear", "log", "category"] = "linear"
    categories: tuple[str, ...] = ()
    """All places on an axis of names, in order; none where each panel shows those it has."""
    joined: bool = True
    """Whether the points of a series are joined by a line."""
    y_limits: tuple[float, float] | None = None
