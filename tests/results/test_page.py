"""The leaderboard's page as text: every result is on it, strangers' names are text, and it needs nothing else."""

import re
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import pytest

from benchmark import commands_results as commands
from benchmark.cli import main
from benchmark.errors import ResultError
from benchmark.results.board import read_board
from benchmark.results.leaderboard import leaderboard
from benchmark.results.page import content
from benchmark.results.page.write import page
from benchmark.results.rows import ResultRow
from tests.results.helpers import ROW, SOLVED, add, averaged, run

HOSTILE = "<img src=x onerror=alert(1)>\"'&"
SEEDS = [replace(ROW, seed=seed, score=50.0 + seed) for seed in range(3)]


def written(folder: Path, *rows: ResultRow) -> str:
    frame = averaged(folder, *rows)
    return page(read_board(folder / "board"), frame)


def test_names_of_strangers_are_text(tmp_path: Path) -> None:
    rows = [
        replace(ROW, settings=f"note={HOSTILE}"),
        replace(ROW, split=HOSTILE),
        replace(ROW, context=HOSTILE),
    ]
    text = written(tmp_path, *rows, *SEEDS)
    assert "<img" not in text
    assert text.count("&lt;img src=x onerror=alert(1)&gt;&#34;&#39;&amp;") >= 3


def test_the_page_names_nothing_to_load(tmp_path: Path) -> None:
    text = written(tmp_path, *SEEDS)
    assert "default-src 'none'" in text
    assert re.findall(r"(?:src|href|url)\s*[=(]\s*[\"']?([^\"'\s>)]+)", text) == ["data:,", "#results"]


def test_the_same_results_make_the_same_page(tmp_path: Path) -> None:
    frame = averaged(tmp_path, *SEEDS, SOLVED)
    assert page(read_board(tmp_path / "board"), frame) == page(read_board(tmp_path / "board"), frame)


def test_marks_of_trust_are_the_projects_own_where_there_are_none(tmp_path: Path) -> None:
    frame = averaged(tmp_path, ROW, replace(ROW, algorithm="other"))
    assert set(content.with_trust(frame)["trust"]) == {"project"}
    frame = frame.assign(trust=["self-reported", ""])
    assert content.with_trust(frame)["trust"].tolist() == ["self-reported", "project"]
    assert content.MARKS["self-reported"][1] in page(read_board(tmp_path / "board"), frame)
    unknown = page(read_board(tmp_path / "board"), frame.assign(trust="sworn"))
    assert "an unknown mark" in unknown


def test_the_mean_over_families_counts_each_once(tmp_path: Path) -> None:
    other = [replace(row, family="cheetah-dir-v1", score=row.score + 20) for row in SEEDS]
    frame = content.with_trust(averaged(tmp_path, *SEEDS, *other, replace(ROW, algorithm="pearl")))
    first, second = content.overall(frame, (0.0, 100.0))
    assert (first.algorithm, first.families, first.missing) == ("macaw", 2, [])
    assert first.score.value == pytest.approx(61)
    reach = (
        2.776445 / 3**0.5 / 2**0.5
    )  # of Student's t with Welch's four degrees of freedom, two of each family
    assert (first.score.low, first.score.high) == pytest.approx((61 - reach, 61 + reach), abs=0.03)
    assert (second.algorithm, second.families, second.missing) == ("pearl", 1, ["cheetah-dir-v1"])
    assert not second.score.has_interval


def test_of_two_lengths_the_longer_counts_and_of_two_data_none_is_picked(tmp_path: Path) -> None:
    rows = [*SEEDS, replace(ROW, steps=20, score=90.0), replace(ROW, family="cheetah-dir-v1"),
            replace(ROW, family="cheetah-dir-v1", data_hash="cd")]  # fmt: skip
    (line,) = content.overall(content.with_trust(averaged(tmp_path, *rows)), (0.0, 100.0))
    assert (line.score.value, line.missing) == (90.0, ["cheetah-dir-v1"])


def test_only_ordinary_conditions_are_averaged_over_families(tmp_path: Path) -> None:
    rows = [replace(ROW, split="half"), replace(ROW, settings="x=1"), replace(ROW, context_size=64),
            replace(ROW, data="omrl/cheetah-vel/expert-v1")]  # fmt: skip
    assert content.overall(content.with_trust(averaged(tmp_path, *rows)), (0.0, 100.0)) == []
    assert "No results with split standard" in page(
        read_board(tmp_path / "board"), leaderboard(read_board(tmp_path / "board"))
    )


def test_imported_data_are_named_with_their_whole_identity(tmp_path: Path) -> None:
    assert "data imported/cheetah-vel/mixed-v0" in written(
        tmp_path, replace(ROW, data="imported/cheetah-vel/mixed-v0")
    )


def test_scores_beyond_the_scale_widen_the_axis(tmp_path: Path) -> None:
    frame = averaged(tmp_path, replace(ROW, score=-50.0), replace(ROW, algorithm="other", score=150.0))
    scale = content.score_scale(frame)
    assert scale == (-50.0, 150.0)
    assert content.Score(50.0, 0.0, 0.0, scale).place(50.0) == 50.0


def test_the_command_writes_one_file(tmp_path: Path) -> None:
    add(tmp_path / "board", *(run(tmp_path / f"{row.seed}", row) for row in SEEDS))
    commands.site(Namespace(add=[], folder=str(tmp_path / "board"), out=None))
    assert (tmp_path / "board" / "site" / "index.html").read_text().startswith("<!DOCTYPE html>")
    commands.site(Namespace(add=[], folder=str(tmp_path / "board"), out=str(tmp_path / "page.html")))
    assert (tmp_path / "page.html").exists()


def test_an_empty_leaderboard_or_a_bad_place_gets_one_message(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match="holds no results yet"):
        commands.site(Namespace(add=[], folder=str(tmp_path), out=None))
    add(tmp_path / "board", run(tmp_path / "run", ROW))
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultError, match="cannot be written"):
        commands.site(
            Namespace(add=[], folder=str(tmp_path / "board"), out=str(tmp_path / "file" / "page.html"))
        )


def test_runs_to_be_added_are_not_forgotten(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["leaderboard", "--add", "runs", "--folder", "board", "site"]) == 2
    assert "first leaderboard --add, then leaderboard site" in capsys.readouterr().err
