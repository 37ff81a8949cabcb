"""The figure of scores over wall-clock: of timed runs, and of each device apart."""

from dataclasses import replace
from pathlib import Path

import pandas as pd

from benchmark.results.board import read_board
from benchmark.results.figures import own
from benchmark.results.rows import ResultRow
from tests.results.helpers import SEEDS, add, drawn, remarks, run


def timed(folder: Path, row: ResultRow, *seconds: float) -> Path:
    run(folder, row)
    pd.DataFrame({"step": [5, 10], "seconds": seconds, "peak_memory_mib": 1}).to_csv(folder / "timing.csv")
    return folder


def test_wall_clock_is_drawn_of_timed_runs_alone(tmp_path: Path) -> None:
    untimed = [run(tmp_path / f"u{row.seed}", replace(row, algorithm="pearl")) for row in SEEDS]
    add(
        tmp_path / "board",
        *(timed(tmp_path / f"t{row.seed}", row, 4.0 + row.seed, 8.0) for row in SEEDS),
        *untimed,
    )
    table = own.score_over_time(read_board(tmp_path / "board"))
    assert drawn(table)[["series", "x", "y"]].to_numpy().tolist() == [
        ["macaw", "5", 50.0],
        ["macaw", "8", 50.0],
    ]
    assert remarks(table) == ["pearl: no timing", "no runs of multitask-awr, meta-bc"]


def test_wall_clock_of_different_devices_is_never_one_line(tmp_path: Path) -> None:
    folders = [timed(tmp_path / f"t{row.seed}", row, 4.0 - row.seed, 8.0) for row in SEEDS]
    (folders[2] / "config.toml").write_text('device = "cuda"\n')
    add(tmp_path / "board", *folders)
    lines = drawn(own.score_over_time(read_board(tmp_path / "board")))
    assert lines[["series", "x", "seeds"]].to_numpy().tolist() == [
        ["macaw", "3.5", 2], ["macaw", "8", 2], ["macaw, cuda", "2", 1], ["macaw, cuda", "8", 1],
    ]  # fmt: skip
