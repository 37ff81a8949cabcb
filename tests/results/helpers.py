"""A result row to vary, folders of runs, and boards made of them."""

from dataclasses import replace
from pathlib import Path

import pandas as pd

from benchmark.results.board import add_runs, find_runs, read_board, write_changes
from benchmark.results.leaderboard import leaderboard
from benchmark.results.rows import ResultRow, as_frame, write_table

ROW = ResultRow(
    family="cheetah-vel-v1", split="standard", data="omrl/cheetah-vel/mixed-v1", data_hash="ab", context="mixed",
    context_size=256, protocol=1, mujoco="3.3.0", algorithm="macaw", algorithm_version=1, settings="", steps=10,
    online_steps=0,
    seed=0, task=2, unadapted_return=-200.0, adapted_return=-100.0, score=50.0, random_return=-300.0,
    blind_return=-150.0, expert_return=-20.0,
)  # fmt: skip
SOLVED = replace(
    ROW, family="ml45-v1", data="omrl/ml45/mixed-v1", data_hash="ef", task=45, score=75.0, unadapted_return=100.0,
    adapted_return=900.0, random_return=30.0, blind_return=200.0, expert_return=3000.0, unadapted_success=0.0,
    adapted_success=0.75, random_success=0.0, blind_success=0.1, expert_success=1.0,
)  # fmt: skip
"""A row of a family that knows success."""
SEEDS = [replace(ROW, seed=seed, adapted_return=-100.0 + 10 * seed) for seed in range(3)]
REACH = 4.302653 * 10 / 3**0.5
"""Student's reach of a 95 % interval of three values ten apart."""


def written(row: ResultRow) -> dict[str, object]:
    """What a table holds of the row."""
    return {name: value for name, value in vars(row).items() if value is not None}


def run(folder: Path, *rows: ResultRow) -> Path:
    """A finished run's folder: these rows, and a curve up to their step."""
    write_table(folder / "result.csv", as_frame(rows))
    write_metrics(folder, rows[0].steps // 2, rows[0].steps)
    (folder / "config.toml").touch()
    return folder


def write_metrics(folder: Path, *steps: int) -> None:
    metrics = {"step": steps, "unadapted_return": -200.0, "adapted_return": -100.0, "score": 50.0}
    write_table(folder / "metrics.csv", pd.DataFrame(metrics))


def unfinished(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.toml").touch()
    return folder


def add(board: Path, *places: Path) -> list[Path]:
    """Add finished runs to a leaderboard folder; returns the files that were written."""
    before = read_board(board)
    return write_changes(before, add_runs(before, find_runs(places)[0]))


def averaged(folder: Path, *rows: ResultRow) -> pd.DataFrame:
    """The leaderboard of these rows, each of a run of its own."""
    add(folder / "board", *(run(folder / f"run-{number}", row) for number, row in enumerate(rows)))
    return leaderboard(read_board(folder / "board"))


def two_lines(folder: Path, **change: object) -> pd.DataFrame:
    """The leaderboard of one seed of `ROW` and of another that differs from it by this."""
    return averaged(folder, ROW, replace(ROW, seed=1, **change))  # type: ignore[arg-type]


def board(folder: Path, *rows: ResultRow) -> Path:
    """A leaderboard folder with a run for each of the rows."""
    add(folder / "board", *(run(folder / f"run-{number}", row) for number, row in enumerate(rows)))
    return folder / "board"


def drawn(table: pd.DataFrame, kind: str = "line", panel: str = "cheetah-vel") -> pd.DataFrame:
    """The rows of this kind in a panel of a figure's table."""
    return table[(table["kind"] == kind) & (table["panel"] == panel)]


def remarks(table: pd.DataFrame, panel: str = "cheetah-vel") -> list[str]:
    """What a panel says is missing."""
    return drawn(table, "missing", panel)["series"].tolist()
