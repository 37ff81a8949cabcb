"""The command line as a user meets it: a real process, its exit status, what it prints and leaves."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from benchmark.cli import main

PROJECT = Path(__file__).parents[1]
TINY = ["--set", "hidden_size=8", "hidden_layers=2", "latent_size=4", "inner_batch=16", "outer_batch=16"]
RUN = ["run", "--algo", "macaw", "--threads", "1", *TINY]


def command(*arguments: str, cwd: Path = PROJECT) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(PROJECT), "COLUMNS": "200"}
    return subprocess.run(
        [sys.executable, "-m", "benchmark", *arguments], capture_output=True, text=True, cwd=cwd, env=environment,
        timeout=300, check=False,
    )  # fmt: skip


def test_help_explains_itself_at_once() -> None:
    fastest = min(timed_help() for _ in range(5))
    assert fastest < 0.3
    done = command("--help")
    for verb in ("run", "families", "algorithms", "data", "leaderboard", "figures", "compare", "examples:"):
        assert verb in done.stdout


def timed_help() -> float:
    start = time.perf_counter()
    command("--help")
    return time.perf_counter() - start


def test_families_and_algorithms_are_listed() -> None:
    shown = command("families").stdout
    assert re.search(r"cheetah-vel-v1 +40 tasks, target velocity", shown)
    assert "split standard        35 train,  5 test tasks (2 7 15 23 26)" in shown
    assert "split sixteenth        3 train, 37 test tasks (1-15 17-31 33-39)" in shown
    assert "split tuning          30 train,  5 test tasks (4 12 20 28 36), without 2 7 15 23 26" in shown
    assert "model's bodies, joints and geoms\n" in shown  # no line is broken
    assert "policy_outer_lr" in command("algorithms").stdout


def test_a_run_prints_its_table_writes_its_rows_and_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = [*RUN, "--evaluate-every", "2", "--out", str(tmp_path), "--contexts", "mixed", "online:200"]
    done = command(*options, "--steps", "2", "--seeds", "0", "1")
    assert done.returncode == 0, done.stderr
    for text in (
        "un-adapted",
        "adapted",
        "score",
        "random",
        "blind",
        "expert",
        "context online of 200 transitions",
    ):
        assert text in done.stdout
    folder = tmp_path / "cheetah-dir" / "macaw"
    rows = pd.read_csv(folder / "seed-1" / "result.csv")
    assert rows[["context", "task", "seed"]].to_numpy().tolist() == [
        ["mixed", 0, 1], ["mixed", 1, 1], ["online", 0, 1], ["online", 1, 1],
    ]  # fmt: skip
    capsys.readouterr()
    assert main([*options, "--steps", "2"]) == 2
    assert "holds a finished run" in capsys.readouterr().err
    assert command(*options, "--steps", "4", "--resume").returncode == 0
    assert pd.read_csv(folder / "seed-0" / "metrics.csv")["step"].tolist() == [2, 4]
    board = tmp_path / "board"
    added = [str(folder / "seed-0"), str(folder / "seed-1")]
    assert main(["leaderboard", "--folder", str(board), "--add", *added]) == 0
    assert len(pd.read_csv(board / "leaderboard.csv")) == 4
    assert (board / "figures" / "learning-curves.png").stat().st_size > 10_000
    assert sorted(pd.read_csv(board / "curves" / "cheetah-dir" / "macaw.csv")["step"]) == [2, 2, 4]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "--family", "cheeta-dir"], "unknown family 'cheeta-dir'. Did you mean 'cheetah-dir'"),
        (["run", "--split", "standrd"], "Did you mean 'standard'"),
        (["run", "--algo", "macaq"], "unknown algorithm 'macaq'. Did you mean 'macaw'"),
        (["run", "--set", "tasks_per_stp=3"], "Did you mean 'tasks_per_step'"),
        (["run", "--set", "tasks_per_step=many"], "tasks_per_step = 'many' has the wrong type"),
        (["run", "--set", "tasks_per_step=0"], "tasks_per_step"),
        (["run", "--tier", "mixd"], "Did you mean 'mixed'"),
        (["run", "--size", "smal"], "Did you mean 'small'"),
        (["data", "catalog", "--family", "cheetah-dir", "--sizes", "smal"], "Did you mean 'small'"),
        (["run", "--contexts", "mixd"], "Did you mean 'mixed'"),
        (["run", "--contexts", "mixed:many"], "a context is SOURCE or SOURCE:SIZE"),
        (["run", "--seeds", "one"], "--seeds takes whole numbers"),
        (["run", "--seeds", ","], "--seeds takes whole numbers"),
        (["run", "--seeds", "9" * 5000], "--seeds takes whole numbers"),
        (["run", "--contexts", "mixed:" + "9" * 5000], "a context is SOURCE or SOURCE:SIZE"),
        (["run", "--set", "discount=1" + "0" * 400], "discount = 10000000000000000000... is too large"),
        (["run", "--set", "tasks_per_step=" + "9" * 5000], "has the wrong type"),
        (["run", "--threads", "99999999999"], "threads = 99999999999 is too large"),
        (["run", "--contexts", "mixed", "mixed:999999"], "has 20000 in 'mixed'"),
        (["run", "--steps", "-3"], "steps = -3 is too small"),
        (["run", "--device", "abacus"], "device 'abacus' cannot be used here"),
        (["data", "record", "--family", "cheetah"], "unknown family 'cheetah'. Did you mean"),
        (["leaderboard", "--add", "no/such/run"], "holds no result.csv"),
        (["leaderboard", "site", "--folder", "no/such/board"], "no/such/board/results holds no results yet"),
        (["leaderboard", "--folder", "no/such/board", "site"], "no/such/board/results holds no results yet"),
        (["figures", "--folder", "no/such/board"], "holds no results to draw"),
        (["leaderboard", "--add", "a" * 300], "File name too long"),
        (["level-off", "a" * 300], "File name too long"),
        (["verify", "a" * 300], "File name too long"),
    ],
)
def test_mistakes_get_one_message_and_no_traceback(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if arguments[0] == "run":
        arguments = [*arguments, "--out", str(tmp_path / "runs")]
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert message in said.err
    assert said.err.startswith("error: ")
    assert "Traceback" not in said.err
    assert not (tmp_path / "runs").exists()


def test_square_brackets_in_a_path_are_no_markup(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "[bold]" / "[" / "a]"
    assert main([*RUN, "--steps", "1", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    for text in ("results in {}\n", "rows: {}/result.csv\n"):
        assert text.format(out / "cheetah-dir" / "macaw" / "seed-0") in said


def test_a_mistake_ends_the_process_with_its_message_and_no_traceback() -> None:
    done = command("run", "--family", "cheeta-dir")
    assert done.returncode == 2
    assert done.stderr.startswith("error: unknown family 'cheeta-dir'. Did you mean 'cheetah-dir'")
    assert "Traceback" not in done.stderr


def started(*options: str) -> subprocess.Popen[str]:
    """A run in a process of its own, given back when it has left its first checkpoint."""
    environment = os.environ | {"PYTHONPATH": str(PROJECT)}
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmark", *options], env=environment, stderr=subprocess.PIPE, text=True,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    folder = Path(options[options.index("--out") + 1]) / "cheetah-dir" / "macaw" / "seed-0"
    deadline = time.monotonic() + 120
    while not (folder / "checkpoint" / "latest.json").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    return process


def test_a_terminated_process_says_how_to_go_on(tmp_path: Path) -> None:
    process = started(*RUN, "--evaluate-every", "20", "--out", str(tmp_path), "--steps", "1000000")
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert re.search(r"stopped by SIGTERM at step (\d+)", errors)
    assert errors.splitlines()[-1].startswith("python -m benchmark run")
    assert errors.splitlines()[-1].endswith("--resume")


def test_killed_and_resumed_equals_undisturbed_byte_for_byte(tmp_path: Path) -> None:
    options = [*RUN, "--evaluate-every", "20", "--out"]
    process = started(*options, str(tmp_path / "killed"), "--steps", "1000000")
    process.kill()
    process.communicate(timeout=60)
    folders = [tmp_path / name / "cheetah-dir" / "macaw" / "seed-0" for name in ("killed", "whole")]
    step = json.loads((folders[0] / "checkpoint" / "latest.json").read_text())["step"]
    steps = str(step + 20)
    resumed = command(*options, str(tmp_path / "killed"), "--steps", steps, "--resume")
    assert resumed.returncode == 0, resumed.stderr
    assert command(*options, str(tmp_path / "whole"), "--steps", steps).returncode == 0
    for name in ("metrics.csv", "result.csv"):
        assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes()
    states = [
        torch.load(folder / "checkpoint" / f"step-{int(steps):08d}.pt", weights_only=True)
        for folder in folders
    ]
    for part in ("algorithm", "random", "data_random"):
        assert same(states[0][part], states[1][part])


def same(one: Any, other: Any) -> bool:
    """Whether two nested states are equal bit for bit."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return all(same(*pair) for pair in zip(one, other, strict=True))
    return bool(one == other)


EXAMPLE = PROJECT / "examples" / "ridge_cloning.py"


def test_the_readme_shows_the_example_as_it_stands() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (PROJECT / "README.md").read_text(), re.DOTALL)
    assert code == EXAMPLE.read_text()
    assert 40 <= len(code.splitlines()) <= 80


def test_anyones_method_goes_from_its_file_to_the_leaderboard(tmp_path: Path) -> None:
    (tmp_path / "my_method.py").write_text(EXAMPLE.read_text())
    algo = "my_method.py:RidgeCloning"
    done = command("run", "--algo", algo, "--steps", "300", "--out", "runs", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = pd.read_csv(tmp_path / "runs" / "cheetah-dir" / "ridge-cloning" / "seed-0" / "result.csv")
    assert rows["adapted_return"].mean() > rows["unadapted_return"].mean() + 100
    again = command("run", "--algo", algo, "--steps", "400", "--resume", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    board = command("leaderboard", "--add", "runs", "--folder", "board", cwd=tmp_path)
    assert board.returncode == 0, board.stderr
    assert "ridge-cloning" in board.stdout
    assert (tmp_path / "board" / "results" / "cheetah-dir" / "ridge-cloning.csv").exists()


def test_anyones_method_is_checked_against_the_contract(tmp_path: Path) -> None:
    text = EXAMPLE.read_text()
    (tmp_path / "sound.py").write_text(text)
    done = command("check", "sound.py:RidgeCloning", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ridge-cloning keeps the contract" in done.stdout
    broken = text.replace(".clamp(-1, 1)", "* 9").replace('"adam": self.adam.state_dict()', "")
    (tmp_path / "broken.py").write_text(broken)
    done = command("check", "broken.py:RidgeCloning", cwd=tmp_path)
    assert done.returncode == 2
    assert "BROKEN  adapts to any context" in done.stdout
    assert "BROKEN  resumes bit for bit" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_help_says_defaults_where_there_are_any(capsys: pytest.CaptureFixture[str]) -> None:
    for verb in (["run"], ["data", "collect"], ["leaderboard"], ["sweep"]):
        with pytest.raises(SystemExit):
            main([*verb, "--help"])
        said = capsys.readouterr().out
        assert "(default: None)" not in said.replace("\n", " ")
        assert "(default: False)" not in said
    with pytest.raises(SystemExit):
        main(["run", "--help"])
    assert "(default: cheetah-dir)" in capsys.readouterr().out
