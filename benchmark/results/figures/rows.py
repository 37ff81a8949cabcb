"""Result rows and curves as figures choose them, and series of one key each: no two keys are ever averaged."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from benchmark.results.board import Board
from benchmark.results.curves import CURVE_KEY
from benchmark.results.rows import KEY, data_label, differing

STANDARD: Mapping[str, Any] = {
    "tier": "mixed", "split": "standard", "context": "mixed", "context_size": 256, "settings": "", "online_steps": 0,
}  # fmt: skip
"""Conditions of a row that is on the leaderboard without a qualification."""
ROUNDED = "products=bfloat16"
"""Settings of the same method, rounded otherwise: such rows stand in where a method has none with default settings."""


@dataclass(frozen=True)
class Series:
    """Rows that are drawn as one line, or one point of a line."""

    label: str
    """The method, and what of its key differs from the other series'."""
    algorithm: str
    rows: pd.DataFrame


def result_rows(board: Board) -> pd.DataFrame:
    """All result rows of the board."""
    return named(board.results.values(), [*KEY, "seed", "task"])


def curve_rows(board: Board) -> pd.DataFrame:
    """All curves of the board."""
    return named(board.curves.values(), [*CURVE_KEY, "seed", "step"])


def named(tables: Iterable[pd.DataFrame], columns: list[str]) -> pd.DataFrame:
    """All tables in one, with the columns `name` (family without version), `tier` and `online_steps`."""
    there = list(tables)
    rows = pd.concat(there, ignore_index=True) if there else pd.DataFrame(columns=columns)
    names = [str(family).rpartition("-v")[0] for family in rows["family"]]
    tiers = [data_label(str(data)) for data in rows["data"]]
    offline = {} if "online_steps" in rows else {"online_steps": 0}
    return rows.assign(name=names, tier=tiers, **offline)


def chosen(rows: pd.DataFrame, **conditions: Any) -> pd.DataFrame:
    """The rows that have these values; the order of settings is of no account."""
    kept = pd.Series(True, index=rows.index)
    for name, value in conditions.items():
        if name == "settings":
            kept &= rows[name].map(_settings) == _settings(value)
        else:
            kept &= rows[name] == value
    return rows[kept]


def _settings(text: str) -> str:
    return ";".join(sorted(text.split(";")))


def standard(rows: pd.DataFrame, **conditions: Any) -> pd.DataFrame:
    """The rows under standard conditions but for these, of the longest training of each version of a method.

    Of a method that has none with default settings on a family, those that are `ROUNDED`.
    """
    wanted = {**STANDARD, **conditions}
    found = chosen(rows, **wanted)
    if not wanted["settings"]:
        rounded = chosen(rows, **{**wanted, "settings": ROUNDED})
        there = set(zip(found["family"], found["algorithm"], strict=True))
        absent = [one not in there for one in zip(rounded["family"], rounded["algorithm"], strict=True)]
        found = pd.concat([found, rounded[absent]])
    if "steps" not in found or found.empty:
        return found
    versions = found.groupby(["family", "algorithm", "algorithm_version"])
    return found[found["steps"] == versions["steps"].transform("max")]


def along(rows: pd.DataFrame, points: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """The rows under standard conditions but for each of these in turn: those of a line and its points.

    Where a method's `ROUNDED` rows stand in at one point, they are taken at every point, if each has them: points of
    one line shall not differ by that too.
    """
    there = list(points)
    usual = pd.concat([standard(rows, **point) for point in there])
    rounded = pd.concat([standard(rows, **{**point, "settings": ROUNDED}) for point in there])
    columns = sorted({name for point in there for name in point})
    parts = []
    for (family, algorithm), own in usual.groupby(["family", "algorithm"], sort=False):
        alike = chosen(rounded, family=family, algorithm=algorithm)
        covered = {tuple(point) for point in alike[columns].to_numpy()}
        needed = {tuple(point) for point in own[columns].to_numpy()}
        parts.append(alike if own["settings"].nunique() > 1 and needed <= covered else own)
    return pd.concat(parts) if parts else usual


def key_columns(rows: pd.DataFrame) -> list[str]:
    """The columns of the key these rows have."""
    return [name for name in KEY if name in rows]


def series_of(rows: pd.DataFrame, x: Collection[str] = (), label: str | None = None) -> list[Series]:
    """The rows by key, `x` left out of it: the columns that make the horizontal axis.

    Labels are the method's name, or `label`, and what the series of a method differ in: of settings, those that
    others of them have not; and always, that it is rounded otherwise. A method's plainest series is its first. A point
    of a series is one key.
    """
    if rows.empty:
        return []
    columns = [name for name in key_columns(rows) if name not in x]
    found = []
    for _, part in rows.groupby(columns, sort=True):
        algorithm = str(part["algorithm"].iloc[0])
        of_method = rows[rows["algorithm"] == algorithm]
        shown = differing(of_method, [name for name in columns if name != "algorithm"])
        if "settings" in columns and "settings" not in shown:
            shown.append("settings")
        values = [_shown(name, part[name].iloc[0], of_method) for name in shown]
        found.append(Series(", ".join([label or algorithm, *filter(None, values)]), algorithm, part))
    return sorted(found, key=lambda one: (one.algorithm, one.label))


def of_common_seeds(series: Series, column: str) -> tuple[Series, list[str]]:
    """The series with only those seeds that have all its values of a column, and a remark where others are left out.

    Points of different seeds would differ by these too, not only by what is drawn. Where no seed has all, it stays.
    """
    values = series.rows.groupby("seed")[column].nunique()
    kept = values.index[values == series.rows[column].nunique()]
    if len(kept) in (0, len(values)):
        return series, []
    common = Series(series.label, series.algorithm, series.rows[series.rows["seed"].isin(kept)])
    return common, [f"{series.label}: of seed {', '.join(map(str, kept))} alone"]


def _shown(column: str, value: object, of_method: pd.DataFrame) -> str:
    """A value of the key as a label says it; nothing for settings that all series of the method have."""
    if column != "settings":
        return f"{column.replace('_', ' ')} {value or 'default'}"
    common = set.intersection(*(set(str(text).split(";")) for text in of_method["settings"])) - {ROUNDED}
    return ", ".join(text for text in str(value).split(";") if text not in common)


def key_text(rows: pd.DataFrame) -> str:
    """The key of rows, for a reader who wants to find them: `family=...; split=...`; every value where keys differ."""
    values = {name: [str(value) for value in rows[name].unique()] for name in key_columns(rows)}
    return "; ".join(f"{name}={', '.join(found)}" for name, found in values.items() if any(found))
