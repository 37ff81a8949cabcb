"""Result rows: averaged within a key, never across keys, never overwritten by other numbers."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from benchmark.errors import ResultError
from benchmark.results.leaderboard import add_runs, find_results, leaderboard
from benchmark.results.rows import ResultRow, as_frame, normalised_score, read_rows, write_table

ROW = ResultRow(
    family="cheetah-vel-v1", split="standard", data="omrl/cheetah-vel/mixed-v1", data_hash="ab", context="mixed",
    context_size=256, protocol=1, mujoco="3.3.0", algorithm="macaw", algorithm_version=1, settings="", steps=10,
    seed=0, task=2, unadapted_return=-200.0, adapted_return=-100.0, score=50.0, random_return=-300.0,
    blind_return=-150.0, expert_return=-20.0,
)  # fmt: skip


def run(folder: Path, *rows: ResultRow) -> Path:
    write_table(folder / "result.csv", as_frame(rows))
    return folder


def test_normalised_score() -> None:
    assert normalised_score(-300.0, -300.0, -20.0) == 0.0
    assert normalised_score(-20.0, -300.0, -20.0) == 100.0
    assert normalised_score(-160.0, -300.0, -20.0) == pytest.approx(50.0)


def test_rows_survive_a_round_trip(tmp_path: Path) -> None:
    write_table(tmp_path / "rows.csv", as_frame([ROW, replace(ROW, seed=1, settings="advantage_head=False")]))
    rows = read_rows(tmp_path / "rows.csv")
    assert rows.to_dict("records")[0] == vars(ROW)
    assert rows["settings"].tolist() == ["", "advantage_head=False"]


def test_seeds_are_averaged_after_tasks(tmp_path: Path) -> None:
    rows = [replace(ROW, seed=seed, task=task, adapted_return=value) for seed, task, value in
            [(0, 2, -100.0), (0, 7, -50.0), (1, 2, -80.0), (1, 7, -50.0)]]  # fmt: skip
    add_runs(tmp_path / "results", [run(tmp_path / "run", *rows)])
    (line,) = leaderboard(tmp_path / "results").to_dict("records")
    assert (line["seeds"], line["tasks"]) == (2, 2)
    assert line["adapted_return"] == pytest.approx(-70.0)
    assert line["adapted_standard_error"] == pytest.approx(5.0)
    assert line["gain"] == pytest.approx(130.0)


@pytest.mark.parametrize(
    "change",
    [{"data_hash": "cd"}, {"context": "expert"}, {"context_size": 64}, {"split": "half"}, {"settings": "x=1"},
     {"steps": 20}, {"mujoco": "4.0.0"}, {"protocol": 2}, {"algorithm_version": 2}],
)  # fmt: skip
def test_rows_of_different_keys_are_never_averaged(tmp_path: Path, change: dict[str, object]) -> None:
    rows = [ROW, replace(ROW, seed=1, **change)]  # type: ignore[arg-type]
    add_runs(tmp_path / "results", [run(tmp_path / "run", *rows)])
    assert leaderboard(tmp_path / "results")["seeds"].tolist() == [1, 1]


def test_adding_a_run_twice_changes_nothing(tmp_path: Path) -> None:
    source = run(tmp_path / "run", ROW)
    (path,) = add_runs(tmp_path / "results", [source])
    before = path.read_bytes()
    add_runs(tmp_path / "results", [source])
    assert path == tmp_path / "results" / "cheetah-vel" / "macaw.csv"
    assert path.read_bytes() == before


def test_the_same_row_with_other_numbers_is_refused_and_nothing_is_lost(tmp_path: Path) -> None:
    (path,) = add_runs(tmp_path / "results", [run(tmp_path / "a", ROW)])
    before = path.read_bytes()
    with pytest.raises(ResultError, match="1 rows|2 rows"):
        add_runs(tmp_path / "results", [run(tmp_path / "b", replace(ROW, adapted_return=-1.0))])
    assert path.read_bytes() == before


def test_seeds_tested_on_different_tasks_are_refused(tmp_path: Path) -> None:
    rows = [ROW, replace(ROW, seed=1, task=7)]
    add_runs(tmp_path / "results", [run(tmp_path / "run", *rows)])
    with pytest.raises(ResultError, match="tested on different tasks"):
        leaderboard(tmp_path / "results")


def test_a_run_without_results_is_named(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match="holds no result.csv"):
        find_results([tmp_path])
    with pytest.raises(ResultError, match="holds no results yet"):
        leaderboard(tmp_path)


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text.replace("seed", "sead"),
        lambda text: text.replace("-100.000", "fast"),
        lambda text: "",
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, damage: object) -> None:
    assert callable(damage)
    path = run(tmp_path, ROW) / "result.csv"
    path.write_text(damage(path.read_text()))
    with pytest.raises(ResultError, match=r"result\.csv"):
        read_rows(path)


def test_leaderboard_file_is_the_same_every_time(tmp_path: Path) -> None:
    add_runs(tmp_path / "results", [run(tmp_path / "run", ROW, replace(ROW, seed=1))])
    for name in ("a.csv", "b.csv"):
        write_table(tmp_path / name, leaderboard(tmp_path / "results"))
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    assert len(pd.read_csv(tmp_path / "a.csv")) == 1
