"""What a run is tested with at its end: further settings of adaptation, and the oracle that is told the task."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from benchmark.data.dataset import Dataset
from benchmark.results.board import add_runs, read_board
from benchmark.results.leaderboard import leaderboard
from benchmark.results.rows import read_rows
from benchmark.run_config import RunConfig
from benchmark.training import Run

Open = Callable[[str], Dataset]
SMALL = {"hidden_size": 8, "hidden_layers": 2, "batch": 16, "policy_lr": 1e-2}


def run(folder: Path, data: Open, **settings: object) -> Run:
    config = RunConfig("multitask-awr", steps=30, threads=1, settings={**SMALL, **settings})
    one = Run(config, folder, data)
    one.prepare(resume=False)
    one.train()
    return one


def test_fine_tuning_is_tested_after_one_and_five_steps_too(tmp_path: Path, tiny_data: Open) -> None:
    rows = read_rows(run(tmp_path / "run", tiny_data).folder / "result.csv")
    steps = rows["settings"].str.extract("adaptation_steps=([0-9]*)")[0].fillna("20")
    assert list(steps) == ["20", "20", "1", "1", "5", "5"], "the headline comes first"
    by_steps = rows.assign(steps=steps).pivot(index="task", columns="steps", values="adapted_return")
    short = run(tmp_path / "short", tiny_data, adaptation_steps=1)
    again = read_rows(short.folder / "result.csv").query("settings.str.contains('adaptation_steps=1')")
    assert list(again["adapted_return"]) == list(by_steps["1"]), (
        "as if the run had been made with that setting"
    )
    assert (by_steps["1"] != by_steps["20"]).any()
    board = add_runs(read_board(tmp_path / "board"), [tmp_path / "run" / "result.csv"])
    assert sorted(leaderboard(board)["settings"].str.contains("adaptation_steps")) == [False, True, True]
    assert {len(curve["settings"].unique()) for curve in board.curves.values()} == {1}


def test_the_oracle_is_told_the_train_task(tmp_path: Path, tiny_data: Open) -> None:
    one = run(tmp_path, tiny_data)
    table = pd.read_csv(one.folder / "informed.csv")
    assert list(table["task"]) == [0, 1]
    unadapted = read_rows(one.folder / "result.csv")["unadapted_return"].iloc[:2]
    assert (table["informed_return"] != unadapted).any(), "a known task acts by its own policy"
    expected = 100 * (table["informed_return"] - table["random_return"])
    expected /= table["expert_return"] - table["random_return"]
    assert (table["score"] - expected).abs().max() < 0.01
