"""Runs on their way to a leaderboard folder: all or none, nothing overwritten, nothing left out in silence."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from benchmark.cli import main
from benchmark.errors import ResultError
from benchmark.results.board import find_runs, read_board, writing_errors
from benchmark.results.rows import ResultRow, write_table
from tests.results.helpers import ROW, add, run, unfinished, write_metrics, written


def test_rows_and_curve_of_a_run_are_filed_by_family_and_algorithm(tmp_path: Path) -> None:
    results, curves = sorted(add(tmp_path / "board", run(tmp_path / "run", ROW)), reverse=True)
    assert results == tmp_path / "board" / "results" / "cheetah-vel" / "macaw.csv"
    assert curves == tmp_path / "board" / "curves" / "cheetah-vel" / "macaw.csv"
    assert pd.read_csv(curves)["step"].tolist() == [5, 10]


def test_adding_a_run_twice_changes_nothing(tmp_path: Path) -> None:
    source = run(tmp_path / "run", ROW)
    paths = add(tmp_path / "board", source)
    before = [path.read_bytes() for path in paths]
    add(tmp_path / "board", source)
    assert [path.read_bytes() for path in paths] == before


def test_learning_curves_are_drawn_of_the_digits_that_are_written(tmp_path: Path) -> None:
    """Not of a run's own, which are more."""
    for seed, value in enumerate((-100.0004, -100.0004, -100.0014)):
        source = run(tmp_path / f"{seed}", replace(ROW, seed=seed))
        metrics = pd.read_csv(source / "metrics.csv")
        metrics["adapted_return"] = value
        metrics.to_csv(source / "metrics.csv", index=False)
    folder = ["--folder", str(tmp_path / "board")]
    assert main(["leaderboard", *folder, "--add", *(str(tmp_path / name) for name in "012")]) == 0
    drawn = (tmp_path / "board" / "figures" / "learning-curves.csv").read_bytes()
    assert main(["figures", *folder]) == 0
    assert (tmp_path / "board" / "figures" / "learning-curves.csv").read_bytes() == drawn


def test_the_curve_of_an_extended_run_replaces_the_shorter_one(tmp_path: Path) -> None:
    source = run(tmp_path / "run", ROW)
    add(tmp_path / "board", source, run(tmp_path / "other", replace(ROW, seed=1)))
    run(source, replace(ROW, steps=20))
    add(tmp_path / "board", source)
    curves = pd.read_csv(tmp_path / "board" / "curves" / "cheetah-vel" / "macaw.csv")
    assert curves[["seed", "step"]].to_numpy().tolist() == [[0, 10], [0, 20], [1, 5], [1, 10]]


def conflict(folder: Path) -> None:
    run(folder, replace(ROW, seed=1), replace(ROW, seed=1, adapted_return=-1.0))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (conflict, "2 rows have the key of another row but other returns"),
        (lambda folder: (folder / "metrics.csv").unlink(), r"metrics\.csv cannot be read as a learning curve"),
        (lambda folder: (folder / "metrics.csv").write_text("step\n10\n"), "cannot be read as a learning curve"),
        (lambda folder: write_metrics(folder), r"metrics\.csv has no rows|not a number"),
        (lambda folder: write_metrics(folder, 5, 10, 15), "ends at step 15, .* made at step 10: the run was extended"),
        (lambda folder: (folder / "result.csv").write_text("what"), r"result\.csv has the columns"),
        (lambda folder: run(folder, ROW, replace(ROW, steps=20)), "more than one steps"),
        (lambda folder: run(folder, ROW, replace(ROW, algorithm="other")), "more than one algorithm"),
    ],
)  # fmt: skip
def test_one_bad_run_and_none_is_added(tmp_path: Path, spoil: Callable[[Path], object], message: str) -> None:
    add(tmp_path / "board", run(tmp_path / "there", replace(ROW, seed=2)))
    before = {path: path.read_bytes() for path in (tmp_path / "board").rglob("*.csv")}
    good, bad = run(tmp_path / "a", ROW), run(tmp_path / "b", replace(ROW, seed=1))
    spoil(bad)
    with pytest.raises(ResultError, match=message):
        add(tmp_path / "board", good, bad)
    assert {path: path.read_bytes() for path in (tmp_path / "board").rglob("*.csv")} == before


def test_the_same_row_with_other_numbers_is_refused(tmp_path: Path) -> None:
    add(tmp_path / "board", run(tmp_path / "a", ROW))
    with pytest.raises(ResultError, match="2 rows have the key of another row"):
        add(tmp_path / "board", run(tmp_path / "b", replace(ROW, adapted_return=-1.0)))


def test_curves_that_cannot_be_read_are_named_before_anything_is_written(tmp_path: Path) -> None:
    other = tmp_path / "board" / "curves" / "cheetah-dir" / "macaw.csv"
    write_table(other, pd.DataFrame({"step": [1]}))
    with pytest.raises(ResultError, match="cannot be read as learning curves"):
        add(tmp_path / "board", run(tmp_path / "run", ROW))
    assert not (tmp_path / "board" / "results").exists()


def test_a_run_without_results_is_named(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match="holds no result.csv"):
        find_runs([tmp_path])
    folder = unfinished(tmp_path / "runs" / "seed-3")
    with pytest.raises(ResultError, match=f"Not finished: {folder}"):
        find_runs([tmp_path / "runs"])


def test_unfinished_runs_beside_finished_ones_are_told_apart(tmp_path: Path) -> None:
    finished = run(tmp_path / "runs" / "seed-0", ROW)
    folder = unfinished(tmp_path / "runs" / "seed-1")
    assert find_runs([tmp_path / "runs", finished]) == ([finished / "result.csv"], [folder])


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "board").write_text("a file")
    with pytest.raises(ResultError, match="board cannot be written"), writing_errors(tmp_path / "board"):
        add(tmp_path / "board", run(tmp_path / "run", ROW))


def test_every_file_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add(tmp_path / "board", run(tmp_path / "run", ROW))
    import benchmark.results.board as module

    read: list[Path] = []
    real = module.read_rows

    def counted(path: Path) -> pd.DataFrame:
        read.append(path)
        return real(path)

    monkeypatch.setattr(module, "read_rows", counted)
    module.add_runs(read_board(tmp_path / "board"), [tmp_path / "run" / "result.csv"])
    assert len(read) == len(set(read)) == 2


def test_rows_are_kept_as_they_are(tmp_path: Path) -> None:
    settings = "advantage_head=False"
    rows: list[ResultRow] = [ROW, replace(ROW, seed=1, settings=settings)]
    add(tmp_path / "board", *(run(tmp_path / str(row.seed), row) for row in rows))
    (table,) = read_board(tmp_path / "board").results.values()
    assert table.to_dict("records") == [written(row) for row in rows]
