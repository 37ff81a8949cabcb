"""`python -m benchmark leaderboard` on folders of its own: what it writes, prints and refuses."""

import time
from argparse import Namespace
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from benchmark import commands_results as commands
from benchmark.errors import InUseError, ResultError, RunError
from benchmark.locks import claimed
from benchmark.results.board import add_runs, find_runs, read_board, write_changes
from tests.results.helpers import ROW, run, unfinished, write_metrics


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, which is the project's too, before a terminal of 80 columns."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(commands, "PROJECT", tmp_path)
    monkeypatch.setattr(commands, "LEADERBOARD", tmp_path / "leaderboard")
    monkeypatch.setattr(commands, "console", Console(width=80))
    (tmp_path / "README.md").write_text("<!-- leaderboard -->\n<!-- /leaderboard -->\n")
    return tmp_path


def leaderboard(folder: str | None, *places: Path) -> None:
    commands.leaderboard(Namespace(folder=folder, add=[str(place) for place in places]))


@pytest.mark.parametrize("folder", [None, "leaderboard", "./other/../leaderboard"])
def test_readme_follows_the_projects_own_folder_however_it_is_named(
    project: Path, folder: str | None
) -> None:
    (project / "other").mkdir()
    leaderboard(folder, run(project / "run", ROW))
    assert "| cheetah-vel-v1 | standard | mixed | macaw |" in (project / "README.md").read_text()


def test_readme_does_not_follow_another_folder(project: Path) -> None:
    leaderboard("board", run(project / "run", ROW))
    assert "macaw" not in (project / "README.md").read_text()
    assert (project / "board" / "leaderboard.csv").exists()


def test_the_printed_table_can_be_read_at_80_columns(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    leaderboard(None, run(project / "run", replace(ROW, settings="advantage_head=False")))
    _, shown = capsys.readouterr().out.split("leaderboard: ")
    assert max(map(len, shown.splitlines())) <= 80
    assert "nan" not in shown
    for text in (
        "cheetah-vel-v1",
        "algorithm",
        "un-adapted",
        "expert",
        "macaw",
        "advantage_head=False",
        "-100.0 ± -",
    ):
        assert text in shown


def test_only_files_that_change_are_called_updated(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    known, new = run(project / "known", ROW), run(project / "new", replace(ROW, family="cheetah-dir-v1"))
    leaderboard(None, known)
    capsys.readouterr()
    leaderboard(None, known)
    again = capsys.readouterr().out
    assert "updated" not in again
    assert again.startswith("all of these runs are there already\n")
    leaderboard(None, known, new)
    updated = [line for line in capsys.readouterr().out.splitlines() if line.startswith("updated")]
    assert updated == [
        f"updated {project}/leaderboard/{part}/cheetah-dir/macaw.csv" for part in ("curves", "results")
    ]


def test_unfinished_runs_are_named(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(project / "runs" / "seed-0", ROW)
    folder = unfinished(project / "runs" / "seed-1")
    leaderboard(None, project / "runs")
    assert f"not finished, left out: {folder}\n" in capsys.readouterr().out


def test_nothing_is_written_if_the_sum_of_all_is_refused(project: Path) -> None:
    other_task = run(project / "other", replace(ROW, seed=1, task=7))
    with pytest.raises(ResultError, match="tested on different tasks"):
        leaderboard(None, run(project / "run", ROW), other_task)
    write_metrics(other_task, 5)
    with pytest.raises(ResultError, match="ends at step 5"):
        leaderboard(None, run(project / "run", ROW), other_task)
    assert not (project / "leaderboard").exists()


def test_a_folder_that_cannot_be_written_gets_one_message(project: Path) -> None:
    (project / "file").write_text("")
    with pytest.raises(RunError, match="the folder file cannot be written"):
        leaderboard("file", run(project / "run", ROW))


def test_two_at_once_lose_nothing(project: Path) -> None:
    """The second waits with reading until the first has written."""
    first, second = (run(project / f"seed-{seed}", replace(ROW, seed=seed)) for seed in (0, 1))
    with ThreadPoolExecutor(1) as pool:
        with claimed(project / "leaderboard"):
            before = read_board(project / "leaderboard")
            adding = pool.submit(leaderboard, None, second)
            time.sleep(2)  # without the lock the second would write now, and its rows be written over
            write_changes(before, add_runs(before, find_runs([first])[0]))
        adding.result(timeout=60)
    rows = pd.read_csv(project / "leaderboard" / "results" / "cheetah-vel" / "macaw.csv")
    assert sorted(rows["seed"]) == [0, 1]


def test_who_waits_too_long_is_told(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "PATIENCE", 0.1)
    with claimed(project / "leaderboard"), pytest.raises(InUseError, match="another process works in"):
        leaderboard(None, run(project / "run", ROW))
