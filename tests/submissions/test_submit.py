"""Making a submission: all or none, and what it refuses."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmark.cli import main
from tests.submissions.conftest import ABOUT, RUN

PROJECT = Path(__file__).parents[2]
HISTORY = """
from benchmark.algorithm import Algorithm, AlgorithmConfig
import torch


class Remembering(Algorithm):
    name = "remembering"

    def __init__(self, config, family, device, random):
        self.random = random

    def update(self, data):
        return {"loss": torch.zeros(())}

    def adapt(self, context):
        shift = 0.1 * torch.rand((), generator=self.random)
        steps = []

        def act(observations):
            steps.append(None)
            pushed = observations[..., :2] * 0.5 + shift
            return pushed if len(steps) < 12 else -pushed

        return act

    def state(self):
        return {}

    def load_state(self, state):
        pass
"""


def submit(board: Path, *places: Path, name: str = "ridge") -> int:
    return main(["submit", *map(str, places), "--name", name, *ABOUT, "--folder", str(board)])


def refused(
    capsys: pytest.CaptureFixture[str], message: str, board: Path, *places: Path, name: str = "ridge"
) -> None:
    assert submit(board, *places, name=name) == 2
    errors = capsys.readouterr().err
    assert message in errors
    assert errors.startswith("error: ")
    assert len(errors.splitlines()) == 1
    assert not list(board.rglob("rows.csv"))


@pytest.fixture
def own_runs(tmp_path: Path, runs: Path) -> Path:
    return Path(shutil.copytree(runs, tmp_path / "runs"))


def seeds(folder: Path) -> list[Path]:
    return sorted((folder / "point-robot" / "ridge-cloning").iterdir())


def test_runs_that_make_no_submission_are_refused(
    tmp_path: Path, own_runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    board = tmp_path / "board"
    refused(capsys, "holds no result.csv", board, tmp_path / "nowhere")
    refused(capsys, "has 3 seeds; a submission needs 4", board, *seeds(own_runs)[:3])
    refused(capsys, "the name '../up' cannot be", board, own_runs, name="../up")
    refused(capsys, "two of the runs have the same seed", board, own_runs,
            shutil.copytree(seeds(own_runs)[0], tmp_path / "again"))  # fmt: skip
    (seeds(own_runs)[1] / "result.csv").unlink()
    refused(capsys, "not finished: ", board, own_runs)


def test_a_run_without_its_checkpoint_cannot_be_submitted(
    tmp_path: Path, own_runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(seeds(own_runs)[2] / "checkpoint")
    refused(capsys, "seed-2 has no checkpoint of step 30", tmp_path / "board", own_runs)


def test_rows_whose_run_went_on_are_refused(
    tmp_path: Path, own_runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in seeds(own_runs)[:1]:
        text = (folder / "result.csv").read_text()
        (folder / "result.csv").write_text(text.replace(",30,0,", ",20,0,"))
    refused(capsys, "more than one steps", tmp_path / "board", own_runs)


def test_a_name_or_key_that_is_there_already_is_refused(
    board: Path, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(path for path in board.rglob("*"))
    assert submit(board, runs) == 2
    assert "is there already" in capsys.readouterr().err
    assert submit(board, runs, name="another") == 2
    assert "with the very key of rows in" in capsys.readouterr().err
    assert main(["leaderboard", "--folder", str(board), "--add", str(runs)]) == 2
    assert "with the very key of rows in" in capsys.readouterr().err
    assert sorted(path for path in board.rglob("*")) == before


def test_a_policy_with_a_history_is_submitted_without_policies_and_says_so(
    tmp_path: Path, tiny_standard: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "method.py").write_text(HISTORY)
    algo = f"{tmp_path / 'method.py'}:Remembering"
    assert main(["run", "--algo", algo, "--steps", "1", *RUN, "--out", str(tmp_path / "runs")]) == 0
    assert submit(tmp_path / "board", tmp_path / "runs", name="remembering") == 0
    folder = tmp_path / "board" / "submissions" / "remembering"
    assert not (folder / "policies").exists()
    assert "at step 12 of an episode" in (folder / "submission.toml").read_text()
    assert main(["verify", str(folder)]) == 0
    assert "remembering: self-reported" in capsys.readouterr().out


def test_a_missing_package_is_named(submission: Path) -> None:
    program = (
        "import sys\nsys.modules['onnxruntime'] = None\n"
        f"from benchmark.cli import main\nsys.exit(main(['verify', {str(submission)!r}]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=300, cwd=PROJECT
    )
    assert done.returncode == 2
    assert "pip install -e '.[submissions]' -c constraints.txt" in done.stderr
    assert "Traceback" not in done.stderr
