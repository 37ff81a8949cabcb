"""What the page says: the leaderboard's lines as a template takes them, and each method's mean over families."""

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from benchmark.results.figures.rows import STANDARD, chosen, named
from benchmark.results.intervals import Estimate, average
from benchmark.results.rows import USUAL_DATA, data_label, to_show
from benchmark.results.tables import context_label

PROJECT_MARK = "project"
MARKS = {
    PROJECT_MARK: ("✓✓✓", "run by this project"),
    "rerun-verified": (
        "✓✓✓",
        "a built-in method, trained again by this project from the submitted configuration",
    ),
    "policies-verified": ("✓✓", "submitted policies were rolled out again by this project"),
    "self-reported": ("✓", "numbers as submitted; nobody has checked them"),
}
"""Marks of trust: symbol and meaning."""
SHOWN_IF_DIFFERENT = ("data", "data_hash", "protocol", "mujoco", "algorithm_version", "online_steps")
OF_A_METHOD = ("algorithm", "algorithm_version", "protocol", "mujoco", "trust")
"""What families must have in common to be averaged."""


@dataclass(frozen=True)
class Score:
    """An interquartile mean with its interval, as a number and as places on an axis from 0 to 100 (%)."""

    value: float
    low: float
    high: float
    """NaN, like `low`, where there are too few seeds."""
    scale: tuple[float, float]
    """Scores at the ends of the axis, the same for all rows of the page."""

    @property
    def has_interval(self) -> bool:
        return not math.isnan(self.low)

    def place(self, score: float) -> float:
        """Where a score lies on the axis."""
        left, right = self.scale
        return round(100 * (score - left) / (right - left), 2)


@dataclass(frozen=True)
class Line:
    """One key of the leaderboard."""

    algorithm: str
    notes: list[str]
    """Settings, and what else of the key a reader must see."""
    split: str
    context: str
    trust: str
    values: Mapping[str, Any]
    """All columns."""
    score: Score


@dataclass(frozen=True)
class Overall:
    """A method's mean over the families it was run on, each counted once."""

    algorithm: str
    trust: str
    families: int
    missing: list[str]
    """Families of the page that it has no such runs on."""
    score: Score


def with_trust(frame: pd.DataFrame) -> pd.DataFrame:
    """The leaderboard with a mark of trust in every line: what has none was run by the project."""
    marks = frame["trust"] if "trust" in frame else pd.Series(PROJECT_MARK, index=frame.index)
    return frame.assign(trust=marks.replace("", None).fillna(PROJECT_MARK))


def score_scale(frame: pd.DataFrame) -> tuple[float, float]:
    """Ends of the axis of scores: 0 to 100, and further where a score or an interval is."""
    values = frame[["score_interquartile_mean", "score_low", "score_high"]].to_numpy(dtype=float)
    return min(0.0, float(np.nanmin(values))), max(100.0, float(np.nanmax(values)))


def families(frame: pd.DataFrame, scale: tuple[float, float]) -> dict[str, list[Line]]:
    """The lines by family: the standard split and the usual context first, then the best score first."""
    shown = to_show(frame, [name for name in SHOWN_IF_DIFFERENT if name in frame])

    def order(line: Line) -> tuple[object, ...]:
        source, size = line.values["context"], line.values["context_size"]
        return line.split != "standard", line.split, line.context != "mixed", source, size, -line.score.value

    return {
        str(family): sorted((_line(row, shown, scale) for row in part.to_dict("records")), key=order)
        for family, part in frame.groupby("family", sort=True)
    }


def _line(row: Mapping[Hashable, Any], shown: list[str], scale: tuple[float, float]) -> Line:
    notes = row["settings"].split(";") if row["settings"] else []
    usual = ("data", USUAL_DATA)
    pairs = [(name, _short(name, str(row[name]))) for name in shown]
    notes += [f"{name.replace('_', ' ')} {value}" for name, value in pairs if (name, value) != usual]
    return Line(
        algorithm=row["algorithm"],
        notes=notes,
        split=row["split"],
        context=context_label(row["context"], row["context_size"]),
        trust=row["trust"],
        values={str(name): value for name, value in row.items()},
        score=Score(row["score_interquartile_mean"], row["score_low"], row["score_high"], scale),
    )


def _short(name: str, value: str) -> str:
    return data_label(value) if name == "data" else value[:40]


def overall(frame: pd.DataFrame, scale: tuple[float, float]) -> list[Overall]:
    """Each method's mean over families under standard conditions, most families first, then the best.

    A family counts with its key of the most meta-training steps. Where that leaves several keys (other data hashes),
    none is picked: the family is left out, and named as missing.
    """
    frame = chosen(named([frame], []), **STANDARD)
    names = sorted(set(frame["family"]))
    found = []
    for _, part in frame.groupby(list(OF_A_METHOD)):
        longest = part[part["steps"] == part.groupby("family")["steps"].transform("max")]
        single = longest[~longest.duplicated("family", keep=False)]
        if single.empty:
            continue
        columns = ["score_interquartile_mean", "score_high", "seeds"]
        mean = average([Estimate.of_interval(*row) for row in single[columns].itertuples(index=False)])
        low, high = mean.interval()
        first = single.iloc[0]
        found.append(
            Overall(
                first["algorithm"],
                first["trust"],
                len(single),
                [name for name in names if name not in set(single["family"])],
                Score(float(mean.value), float(low), float(high), scale),
            )
        )
    return sorted(found, key=lambda one: (-one.families, -one.score.value))
