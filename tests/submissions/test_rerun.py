"""Built-in methods made again from the configuration of a submission."""

from pathlib import Path

import pytest

from benchmark.cli import main
from benchmark.submissions import measure
from benchmark.submissions.export import NotExportable
from tests.submissions.conftest import ABOUT, RUN
from tests.submissions.test_from_file_to_row import edit_rows, raised

TINY = ["--set", "hidden_size=8", "hidden_layers=2", "latent_size=4", "inner_batch=16", "outer_batch=16"]


def unable(*arguments: object) -> bytes:
    raise NotExportable("not in this test, where it is the runs that matter.")


def test_runs_are_made_again_and_give_the_same_rows(
    tmp_path: Path, tiny_standard: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(measure, "to_onnx", unable)
    runs, board = tmp_path / "runs", tmp_path / "board"
    assert main(["run", "--algo", "macaw", "--steps", "3", *TINY, *RUN, "--out", str(runs)]) == 0
    assert main(["submit", str(runs), "--name", "mine", *ABOUT, "--folder", str(board)]) == 0
    folder = board / "submissions" / "mine"
    again = ["verify", str(folder), "--rerun", "--out", str(tmp_path / "again")]
    assert main(again) == 0
    assert "mine: rerun-verified (20 rows" in capsys.readouterr().out
    assert main(["leaderboard", "--folder", str(board)]) == 0
    assert "submission mine: rerun-verified" in capsys.readouterr().out
    assert main(["verify", str(folder)]) == 0
    assert "mine: rerun-verified" in capsys.readouterr().out
    edit_rows(folder, raised("adapted_return", 1, 6))
    assert main(again) == 2
    assert "seed 1, task 6, context mixed claims adapted_return" in capsys.readouterr().err


def test_code_of_others_is_not_run(
    submission: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", str(submission), "--rerun", "--out", str(tmp_path)]) == 2
    assert "only built-in ones" in capsys.readouterr().err
    assert not list(tmp_path.glob("ridge"))
