"""The leaderboard's averages: within a key, never across keys."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from benchmark.errors import ResultError
from benchmark.results.board import read_board
from benchmark.results.leaderboard import leaderboard
from benchmark.results.rows import as_frame, normalised_score, read_rows, write_table
from tests.results.helpers import ROW, SOLVED, add, averaged, run, two_lines, written


def test_normalised_score() -> None:
    assert normalised_score(-300.0, -300.0, -20.0) == 0.0
    assert normalised_score(-20.0, -300.0, -20.0) == 100.0
    assert normalised_score(-160.0, -300.0, -20.0) == pytest.approx(50.0)


def test_rows_survive_a_round_trip(tmp_path: Path) -> None:
    write_table(tmp_path / "rows.csv", as_frame([ROW, replace(ROW, seed=1, settings="advantage_head=False")]))
    rows = read_rows(tmp_path / "rows.csv")
    assert rows.to_dict("records")[0] == written(ROW)
    assert rows["settings"].tolist() == ["", "advantage_head=False"]


def test_successes_are_columns_only_where_a_family_knows_them(tmp_path: Path) -> None:
    for name, row in (("without", ROW), ("with", SOLVED)):
        write_table(tmp_path / f"{name}.csv", as_frame([row]))
        (read,) = read_rows(tmp_path / f"{name}.csv").to_dict("records")
        assert read == written(row)
        assert ("adapted_success" in read) == (name == "with")
    incomplete = (tmp_path / "with.csv").read_text().replace(",0.750,", ",,")
    (tmp_path / "with.csv").write_text(incomplete)
    with pytest.raises(ResultError, match="adapted_success holds something that is not a number"):
        read_rows(tmp_path / "with.csv")


def test_families_with_and_without_success_share_a_leaderboard(tmp_path: Path) -> None:
    frame = averaged(tmp_path, ROW, SOLVED, replace(SOLVED, seed=1, adapted_success=0.25, score=25.0))
    plain, solved = frame.sort_values("family").to_dict("records")
    assert (solved["family"], solved["seeds"]) == ("ml45-v1", 2)
    assert (solved["score"], solved["adapted_success"], solved["blind_success"]) == (50.0, 0.5, 0.1)
    assert pd.isna(plain["adapted_success"])
    assert plain["score"] == ROW.score


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text.replace("seed", "sead"),
        lambda text: text.replace("-100.000", "fast"),
        lambda text: text.replace("-100.000", ""),
        lambda text: text.splitlines()[0] + "\n",
        lambda text: "",
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, damage: object) -> None:
    assert callable(damage)
    path = run(tmp_path, ROW) / "result.csv"
    path.write_text(damage(path.read_text()))
    with pytest.raises(ResultError, match=r"result\.csv"):
        read_rows(path)


def test_seeds_are_averaged_after_tasks(tmp_path: Path) -> None:
    for seed, returns in ((0, (-100.0, -50.0)), (1, (-80.0, -50.0))):
        rows = [replace(ROW, seed=seed, task=task, adapted_return=value) for task, value in
                zip((2, 7), returns, strict=True)]  # fmt: skip
        add(tmp_path / "board", run(tmp_path / str(seed), *rows))
    (line,) = leaderboard(read_board(tmp_path / "board")).to_dict("records")
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
    assert two_lines(tmp_path, **change)["seeds"].tolist() == [1, 1]


def test_seeds_tested_on_different_tasks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match="tested on different tasks"):
        two_lines(tmp_path, task=7)


def test_no_results_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match="holds no results yet"):
        leaderboard(read_board(tmp_path))


def test_leaderboard_file_is_the_same_every_time(tmp_path: Path) -> None:
    write_table(tmp_path / "a.csv", averaged(tmp_path, ROW, replace(ROW, seed=1)))
    write_table(tmp_path / "b.csv", leaderboard(read_board(tmp_path / "board")))
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    assert len(pd.read_csv(tmp_path / "a.csv")) == 1
