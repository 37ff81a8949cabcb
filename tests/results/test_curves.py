"""Learning curves on their way to the leaderboard: wall-clock comes along where a run was timed."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from benchmark.errors import ResultError
from benchmark.results.board import read_board
from tests.results.helpers import ROW, add, run


def seconds(folder: Path) -> list[float]:
    (curves,) = read_board(folder / "board").curves.values()
    return curves["seconds"].tolist() if "seconds" in curves else []


def write_timing(folder: Path, text: str = "step,seconds,peak_memory_mib\n5,1.5,100\n10,3.25,100\n") -> Path:
    (folder / "timing.csv").write_text(text)
    return folder


def test_curves_have_the_seconds_of_timed_runs_and_none_of_the_others(tmp_path: Path) -> None:
    add(tmp_path / "board", run(tmp_path / "untimed", ROW))
    assert seconds(tmp_path) == []
    add(tmp_path / "board", write_timing(run(tmp_path / "timed", replace(ROW, seed=1))))
    assert pd.Series(seconds(tmp_path)).isna().tolist() == [True, True, False, False]
    assert seconds(tmp_path)[2:] == [1.5, 3.25]
    add(tmp_path / "board", run(tmp_path / "later", replace(ROW, seed=2)))
    assert seconds(tmp_path)[2:4] == [1.5, 3.25]


def test_curves_have_peak_memory_and_the_device_too(tmp_path: Path) -> None:
    first = write_timing(run(tmp_path / "first", ROW))
    (first / "config.toml").write_text('device = "cuda"\n')
    add(tmp_path / "board", first, write_timing(run(tmp_path / "second", replace(ROW, seed=1))))
    (curves,) = read_board(tmp_path / "board").curves.values()
    assert curves["device"].tolist() == ["cuda", "cuda", "cpu", "cpu"]
    assert curves["peak_memory_mib"].tolist() == [100] * 4
    (first / "config.toml").write_text("device =\n")
    with pytest.raises(ResultError, match="config.toml cannot be read"):
        add(tmp_path / "board", first)


def test_a_last_step_between_two_evaluations_has_no_seconds(tmp_path: Path) -> None:
    add(
        tmp_path / "board",
        write_timing(run(tmp_path / "run", ROW), "step,seconds,peak_memory_mib\n5,1.5,100\n"),
    )
    assert seconds(tmp_path)[0] == 1.5
    assert pd.isna(seconds(tmp_path)[1])


def test_a_run_shorter_than_its_first_evaluation_has_none(tmp_path: Path) -> None:
    add(tmp_path / "board", write_timing(run(tmp_path / "run", ROW), "\n"))
    assert seconds(tmp_path) == []


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path: path.write_text("what\n1\n"), r"timing\.csv cannot be read as the run's timing"),
        (
            lambda path: path.write_text("step,seconds,peak_memory_mib\n5,soon,100\n"),
            "seconds holds something that is not a number",
        ),
        (lambda path: path.mkdir(), r"timing\.csv cannot be read"),
    ],
)
def test_a_damaged_timing_is_named_and_nothing_is_added(
    tmp_path: Path, spoil: Callable[[Path], object], message: str
) -> None:
    folder = run(tmp_path / "run", ROW)
    spoil(folder / "timing.csv")
    with pytest.raises(ResultError, match=message):
        add(tmp_path / "board", folder)
    assert not (tmp_path / "board").exists()
