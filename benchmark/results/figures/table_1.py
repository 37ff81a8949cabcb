"""Table 1 of the paper: online fine-tuning after offline meta-training, by steps in the environment."""

import math
from collections.abc import Hashable, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.files import write_text
from benchmark.results.board import Board
from benchmark.results.figures.rows import ROUNDED, Series, chosen, key_text, result_rows, series_of
from benchmark.results.intervals import mean_over_seeds
from benchmark.results.rows import score_matrix, table_text

NAME = "table-1"
FAMILIES = ("cheetah-vel", "walker-params", "ant-dir")
METHODS = ("macaw", "multitask-awr", "pearl")
SETTINGS = {"macaw": "inner_data=random"}
"""What the protocol changes in a method's settings, as its rows say it (`Algorithm.online_settings`)."""
ONLINE_STEPS = (0, 10_000, 20_000)
HEADINGS = [f"{steps:,} steps" for steps in ONLINE_STEPS]
AXIS = ("online_steps",)
COLUMNS = ["family", "data", "context", "method", "online_steps", "return", "low", "high", "seeds", "key"]
TITLE = (
    "Online fine-tuning: return after so many environment steps, split standard, with 95 % intervals over seeds, "
    "where there are three"
)
MISSING = "no runs"


def table(board: Board) -> pd.DataFrame:
    """One line per method and number of steps, of what was fine-tuned; a method that was not has one without numbers.

    Rows are those of the protocol's usual settings: MACAW's inner steps in meta-training are taken on random actions'
    data, as in the paper. The column `data` says what all else was trained on.
    """
    rows = chosen(result_rows(board), split="standard")
    lines: list[dict[str, object]] = []
    for family in FAMILIES:
        for method in METHODS:
            own = chosen(rows, name=family, algorithm=method)
            usual = chosen(own, settings=SETTINGS.get(method, ""))
            found = _fine_tuned(usual) or _fine_tuned(chosen(own, settings=ROUNDED))
            for one in found:
                same = {
                    "family": family, "data": one.rows["tier"].iloc[0], "method": one.label,
                    "context": f"{one.rows['context'].iloc[0]}:{one.rows['context_size'].iloc[0]}",
                }  # fmt: skip
                parts = dict(list(one.rows.groupby("online_steps")))
                lines += [{**same, **_numbers(steps, parts)} for steps in ONLINE_STEPS]
            if not found:
                lines.append(
                    {"family": family, "data": "-", "context": "-", "method": method, "key": MISSING}
                )
    return pd.DataFrame(lines, columns=COLUMNS)


def _fine_tuned(rows: pd.DataFrame) -> list[Series]:
    """The series that have rows with steps in the environment, of the seeds that have."""
    all_rows = [one.rows for one in series_of(rows, AXIS)]
    found = [one[one["seed"].isin(one.loc[one["online_steps"] > 0, "seed"])] for one in all_rows]
    return series_of(pd.concat(found), AXIS) if found else []


def _numbers(steps: int, parts: Mapping[Any, pd.DataFrame]) -> dict[str, object]:
    if steps not in parts:
        return {"online_steps": steps}
    matrix = score_matrix(parts[steps], "adapted_return")
    found = mean_over_seeds(matrix.mean(axis=1, keepdims=True))
    low, high = found.interval()
    return {
        "online_steps": steps, "return": found.value[0], "low": low[0], "high": high[0],
        "seeds": len(matrix), "key": key_text(parts[steps]),
    }  # fmt: skip


def _lines(frame: pd.DataFrame) -> list[list[str]]:
    """For readers, a line per method: family, data, context, method, seeds, the return after each number of steps."""
    names = ["family", "data", "context", "method"]
    lines = []
    for key, part in frame.groupby(names, sort=False):
        by_steps = {row["online_steps"]: row for row in part.to_dict("records")}
        seeds = part["seeds"].max()
        numbers = (_cell(by_steps.get(steps)) for steps in ONLINE_STEPS)
        lines.append([*map(str, key), "-" if pd.isna(seeds) else str(int(seeds)), *numbers])
    return lines


def cells(frame: pd.DataFrame) -> list[list[str]]:
    """The table as it is drawn: a subheading per family, data and context, and under it the methods.

    A family's methods without runs follow its others, under a subheading of their own where there are no others.
    """
    found = [["", "seeds", *HEADINGS]]
    for family, of_family in groupby(_lines(frame), key=lambda line: line[0]):
        lines = sorted(of_family, key=lambda line: line[1] == "-")
        for number, ((data, context), group) in enumerate(groupby(lines, key=lambda line: line[1:3])):
            if data != "-":
                found.append([f"{family} (data {data}, context {context})"])
            elif number == 0:
                found.append([family])
            found += [line[3:] for line in group]
    return found


def markdown(frame: pd.DataFrame) -> str:
    """The table in Markdown, with its title."""
    lines = [["family", "data", "context", "method", "seeds", *HEADINGS], *_lines(frame)]
    heading, *others = ["| " + " | ".join(line) + " |" for line in lines]
    return "\n".join([TITLE, "", heading, "|" + " --- |" * len(lines[0]), *others, ""])


def _cell(row: Mapping[Hashable, Any] | None) -> str:
    if row is None or math.isnan(row["return"]):
        return MISSING
    ends = "" if math.isnan(row["low"]) else f" [{row['low']:.0f}, {row['high']:.0f}]"
    return f"{row['return']:.1f}{ends}"


def write(board: Board, folder: Path) -> Path:
    """Write the table as CSV, Markdown, SVG and PNG."""
    from benchmark.results.figures.drawing import draw_cells, save, style

    frame = table(board)
    with style():
        save(draw_cells(cells(frame), TITLE), folder, NAME)
    write_text(folder / f"{NAME}.md", markdown(frame))
    write_text(folder / f"{NAME}.csv", table_text(frame))
    return folder / f"{NAME}.csv"
