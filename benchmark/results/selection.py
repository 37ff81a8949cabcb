"""Which result rows can be compared: the same key but for what describes the method (`OF_A_METHOD`)."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmark.errors import ResultError, UnknownNameError
from benchmark.results.board import Board
from benchmark.results.curves import last_scores
from benchmark.results.rows import KEY, data_label, score_matrix
from benchmark.results.statistics import Scores
from benchmark.results.tables import USUAL_CONTEXT_SIZE, context_label

OF_A_METHOD = ("algorithm", "algorithm_version", "settings", "steps")
"""Columns of the key in which the two sides may differ."""
MOST_LISTED = 8
"""Results that a message names."""
CONDITIONS = [name for name in KEY if name not in OF_A_METHOD]
"""Columns of the key in which they may not."""


@dataclass(frozen=True)
class Choice:
    """What to compare on; see `pairs`."""

    family: str | None = None
    """A family's name, with or without version; None for all that both sides have."""
    split: str = "standard"
    context: str = "mixed"
    """SOURCE, of the usual size (`online` of any), or SOURCE:SIZE."""

    def __str__(self) -> str:
        return ", ".join(
            [*([self.family] if self.family else []), f"split {self.split}", f"context {self.context}"]
        )


@dataclass(frozen=True)
class Pair:
    """Two results on one family under the same conditions."""

    family: str
    shared: tuple[tuple[str, str], ...]
    """Names and values of the conditions that families can have in common: only over these is there a mean."""
    scores: tuple[Scores, Scores]
    """(seed, task) of either side: the same tasks, but not the same seeds."""
    steps: tuple[int, int]
    """Meta-training steps."""
    last_scores: tuple[NDArray[np.float64] | None, NDArray[np.float64] | None]
    """(seed,) means over the last tests in training, of either side; see `curves.last_scores`."""


def pairs(board: Board, first: str, second: str, choice: Choice) -> list[Pair]:
    """All pairs of the two results that the choice leaves, in the order of their keys.

    A result is named by its algorithm, and where that has several by what tells them apart, such as
    `macaw:steps=5000:settings=advantage_head=False`; without `settings` it is the one with the defaults. Raises
    UnknownNameError for a family, split or context that no row has, and ResultError for an algorithm without results,
    where nothing can be compared, or where a name fits several results.
    """
    everything = board.rows()
    all_of = {name: _named(everything, name) for name in (first, second)}
    if len(all_of) == 1:
        raise ResultError(f"{first} cannot be compared with itself: name two results.")
    kept = _chosen(everything, choice)
    groups = [dict(list(rows[kept[rows.index]].groupby(CONDITIONS))) for rows in all_of.values()]
    common = [key for key in groups[0] if key in groups[1]]
    if not common:
        found = {name: rows[kept[rows.index]] for name, rows in all_of.items()}
        raise ResultError(f"nothing to compare ({choice}): {_why_nothing(all_of, found)}")
    curves = pd.concat(board.curves.values(), ignore_index=True) if board.curves else None
    return [_pair(key, (first, groups[0][key]), (second, groups[1][key]), curves) for key in common]


def _named(everything: pd.DataFrame, name: str) -> pd.DataFrame:
    """The rows of the result of this name."""
    algorithm, *parts = name.split(":")
    wanted = {"settings": ""} | {
        column: value for column, _, value in (part.partition("=") for part in parts)
    }
    for column in wanted:
        if column not in OF_A_METHOD[1:]:
            raise UnknownNameError("column", column, OF_A_METHOD[1:])
    rows = everything[everything["algorithm"] == algorithm]
    if rows.empty:
        unknown = UnknownNameError(
            "algorithm among the results", algorithm, sorted(set(everything["algorithm"]))
        )
        raise ResultError(f"{unknown} Runs are added by: python -m benchmark leaderboard --add RUN")
    for column, value in wanted.items():
        known = sorted(rows[column].astype(str).unique())
        rows = rows[rows[column].astype(str) == value]
        if rows.empty:
            raise ResultError(
                f"{algorithm} has no results with {column} '{value}', only with {_listed(map(repr, known))}: name one "
                f"as in {algorithm}:{column}={known[-1]}"
            )
    return rows


def _chosen(rows: pd.DataFrame, choice: Choice) -> "pd.Series[bool]":
    """Which rows the choice leaves; raises UnknownNameError for a family, split or source that no row has."""
    source, _, size = choice.context.partition(":")
    bare = rows["family"].str.rpartition("-v")[0]
    for kind, name, known in (
        ("family with results", choice.family, {*rows["family"], *bare}),
        ("split with results", choice.split, set(rows["split"])),
        ("context with results", source, set(rows["context"])),
    ):
        if name is not None and name not in known:
            raise UnknownNameError(kind, name, sorted(known))
    if size and not size.isdecimal():
        raise ResultError(f"a context is SOURCE or SOURCE:SIZE such as mixed:64, not '{choice.context}'.")
    kept = (rows["split"] == choice.split) & (rows["context"] == source)
    if size or source != "online":
        kept &= rows["context_size"] == int(size or USUAL_CONTEXT_SIZE)
    if choice.family is not None:
        kept &= (rows["family"] == choice.family) | (bare == choice.family)
    return kept


def _why_nothing(all_of: dict[str, pd.DataFrame], found: dict[str, pd.DataFrame]) -> str:
    """Says what is missing, and what to do."""
    for name, rows in found.items():
        if rows.empty:
            return f"{name} has no such results, only {_listed(_labels(all_of[name]))}."
    first, second = found.values()
    both = sorted(set(first["family"]) & set(second["family"]))
    if not both:
        runs = [f"{name} was run on {_listed(rows['family'])}" for name, rows in found.items()]
        return f"{' and '.join(runs)}. Run one of them on a family of the other."
    pair = [rows[rows["family"] == both[0]] for rows in (first, second)]
    apart = [
        f"{column} ({_listed(pair[0][column])} against {_listed(pair[1][column])})"
        for column in CONDITIONS
        if not set(pair[0][column]) & set(pair[1][column])
    ]
    return (
        f"on {both[0]} the two differ in {'; '.join(apart) or 'how their conditions are combined'}. Rows of different "
        "keys are never mixed: run one of them anew under the conditions of the other."
    )


def _labels(rows: pd.DataFrame) -> list[str]:
    """What rows are about, for messages: `cheetah-vel-v1 (split standard, context mixed)`."""
    kinds = rows[["family", "split", "context", "context_size"]].drop_duplicates()
    return [f"{family} (split {split}, context {context_label(source, size)})"
            for family, split, source, size in kinds.itertuples(index=False)]  # fmt: skip


def _listed(values: Iterable[Any]) -> str:
    found = list(dict.fromkeys(map(str, values)))
    more = [f"{len(found) - MOST_LISTED} more"] if len(found) > MOST_LISTED else []
    return ", ".join([*found[:MOST_LISTED], *more])


def _pair(
    key: tuple[Any, ...], first: tuple[str, pd.DataFrame], second: tuple[str, pd.DataFrame],
    curves: pd.DataFrame | None,
) -> Pair:  # fmt: skip
    """Raises ResultError if a name fits several results, or the two were tested on different tasks."""
    values = dict(zip(CONDITIONS, key, strict=True))
    for name, rows in (first, second):
        for column in OF_A_METHOD:
            if rows[column].nunique() > 1:
                raise ResultError(
                    f"{name} has several results on {values['family']}, with {column} {_listed(rows[column])}: name "
                    f"one, as in {name}:{column}={rows[column].iloc[-1]}"
                )
    tasks = [sorted(rows["task"].unique()) for _, rows in (first, second)]
    if tasks[0] != tasks[1]:
        raise ResultError(
            f"on {values['family']} {first[0]} was tested on the tasks {_listed(tasks[0])}, but {second[0]} on "
            f"{_listed(tasks[1])}: there is nothing to compare. Run one of them anew."
        )
    shared = {
        "split": values["split"], "context": context_label(values["context"], values["context_size"]),
        "data": data_label(str(values["data"])),
        "protocol": str(values["protocol"]), "MuJoCo": values["mujoco"],
    }  # fmt: skip
    if values["online_steps"]:
        shared["online steps"] = f"{values['online_steps']:,}"
    last = [None if curves is None else last_scores(curves, rows) for _, rows in (first, second)]
    return Pair(
        str(values["family"]),
        tuple(shared.items()),
        (score_matrix(first[1]), score_matrix(second[1])),
        (int(first[1]["steps"].iloc[0]), int(second[1]["steps"].iloc[0])),
        (last[0], last[1]),
    )
