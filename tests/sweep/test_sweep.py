"""Sweeps on one machine: the same files as `run`, whatever kills, fills or fails in the middle."""

import json
import os
import re
import resource
import shutil
import signal
import threading
import time
from pathlib import Path

import pytest

from benchmark import commands_sweep
from benchmark.cli import main
from benchmark.errors import InUseError, RunError
from benchmark.interruption import Interrupted
from benchmark.locks import claimed
from benchmark.sweep import work
from benchmark.workers import Ending
from tests.sweep.conftest import EXPERIMENT, FOLDERS, assert_same, checkpoints, driver, wait_until
from tests.worker_processes import running, workers_of

ONE_RUN = EXPERIMENT.replace(', "meta-bc"', "")


def test_a_sweep_gives_what_the_same_run_gives(
    undisturbed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--family", "point-robot", "--steps", "210", "--evaluate-every", "50", "--threads", "1"]
    sizes = ["hidden_size=8", "hidden_layers=2", "latent_size=4", "inner_batch=16", "outer_batch=16"]
    assert main(["run", "--algo", "macaw", *options, "--set", *sizes, "--out", str(tmp_path / "tiny")]) == 0
    for name in ("result.csv", "metrics.csv", "config.toml"):
        assert (tmp_path / FOLDERS[0] / name).read_bytes() == (undisturbed / FOLDERS[0] / name).read_bytes()
    capsys.readouterr()
    board = ["leaderboard", "--folder", str(tmp_path / "board"), "--add", str(undisturbed)]
    assert main(board) == 0
    assert len(list((tmp_path / "board" / "results").rglob("*.csv"))) == 2


def test_what_is_finished_is_skipped_and_listed(
    undisturbed: Path, experiment: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.stat().st_mtime_ns for path in undisturbed.rglob("*")}
    assert main(["sweep", str(experiment), "--out", str(undisturbed)]) == 0
    assert "meta-bc/seed-0" in capsys.readouterr().out
    longer = experiment.with_name("longer.toml")
    longer.write_text(EXPERIMENT.replace("210", "300") + EXPERIMENT.replace("[0]", "[1]"))
    assert main(["sweep", str(longer), "--out", str(undisturbed), "--list"]) == 0
    listed = capsys.readouterr().out
    assert f"unfinished      210 of      300 steps  {FOLDERS[0]}" in listed
    assert "4 runs in" in listed
    assert "0 finished, 2 unfinished, 2 missing" in listed
    assert {path: path.stat().st_mtime_ns for path in undisturbed.rglob("*")} == before


def test_a_list_names_what_is_refused_behind_all_others(
    undisturbed: Path, experiment: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    experiment.write_text(EXPERIMENT.replace("steps = 210", "steps = { macaw = 200, meta-bc = 210 }"))
    assert main(["sweep", str(experiment), "--out", str(undisturbed), "--list"]) == 2
    output = capsys.readouterr()
    assert "1 finished, 0 unfinished, 0 missing" in output.out
    assert f"{FOLDERS[0]}: {undisturbed / FOLDERS[0]} has already done 210 steps" in output.err


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("latent_size = 4", "latent_size = 5", r"holds another run \(latent_size: 4 there, 5 here\).*--out"),
        ("evaluate_every = 50", "evaluate_every = 25", r"holds another run \(evaluate_every: 50 there, 25"),
        ("steps = 210", "steps = 200", "has already done 210 steps, more than the 200 asked for"),
    ],
)
def test_other_runs_in_a_folder_are_refused_before_anything_starts(
    undisturbed: Path, experiment: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, message: str
) -> None:
    experiment.write_text(EXPERIMENT.replace(old, new))
    assert main(["sweep", str(experiment), "--out", str(undisturbed)]) == 2
    output = capsys.readouterr()
    assert not output.out
    assert output.err.startswith("error: ")
    assert re.search(message, output.err)


def test_all_folders_that_hold_other_runs_are_named(
    undisturbed: Path, experiment: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    experiment.write_text(EXPERIMENT.replace("steps = 210", "steps = 200"))
    assert main(["sweep", str(experiment), "--out", str(undisturbed)]) == 2
    refused = capsys.readouterr().err
    for folder in FOLDERS:
        assert f"{folder}: {undisturbed / folder} has already done 210 steps" in refused


def test_a_damaged_result_stops_no_other_run(
    undisturbed: Path, experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, (damaged, other) = tmp_path / "out", FOLDERS
    shutil.copytree(undisturbed / damaged, out / damaged)
    result = out / damaged / "result.csv"
    result.write_text("half a")
    assert main(["sweep", str(experiment), "--out", str(out), "--workers", "1"]) == 2
    output = capsys.readouterr()
    assert f"finished: {other}" in output.out
    assert_same(out, undisturbed, [other])
    assert "1 of 2 runs is not finished; the others are." in output.err
    assert re.search(f"{damaged}: {result} has the columns .* Delete {result}: the same command", output.err)
    assert result.read_text() == "half a"


def test_a_killed_worker_is_replaced(undisturbed: Path, experiment: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    experiment.write_text(ONE_RUN)
    with driver(str(experiment), "--out", str(out), "--workers", "2") as process:
        wait_until(lambda: bool(checkpoints(out)), "a checkpoint")
        (worker,) = workers_of(process.pid)
        os.kill(worker, signal.SIGKILL)
        output, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors
    assert f"finished: {FOLDERS[0]}" in output
    assert_same(out, undisturbed, FOLDERS[:1])


def test_a_driver_that_is_killed_then_interrupted_goes_on(
    undisturbed: Path, experiment: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"

    def steps() -> list[int]:
        return [json.loads(one.read_text())["step"] for one in checkpoints(out)]

    saved: set[int] = set()
    for number, status in ((signal.SIGKILL, -9), (signal.SIGINT, 130)):
        before = sum(steps())
        with driver(str(experiment), "--out", str(out), "--workers", "1") as process:
            wait_until(lambda before=before: sum(steps()) > before, "a checkpoint")
            workers = workers_of(process.pid)
            if number == signal.SIGINT:
                os.killpg(process.pid, number)  # as a terminal does: to the workers as well
            else:
                process.kill()
            _, errors = process.communicate(timeout=240)
        assert process.returncode == status
        assert "Traceback" not in errors
        wait_until(lambda workers=workers: not any(running(one) for one in workers), "the workers end")
        saved |= {step for step in steps() if step % 50 and step < 210}
    assert saved  # the steps under way, not only those of the evaluations
    assert f"their checkpoints lie in {out}. The same command goes on." in errors
    assert main(["sweep", str(experiment), "--out", str(out), "--workers", "2"]) == 0
    assert_same(out, undisturbed)


def test_a_full_disk_is_reported_and_nothing_is_lost(
    undisturbed: Path, experiment: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    experiment.write_text(ONE_RUN)

    def fill_the_disk() -> None:  # writes fail half way, as on a full disk
        resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, resource.RLIM_INFINITY))

    options = (str(experiment), "--out", str(out), "--workers", "2")
    with driver(*options, preexec_fn=fill_the_disk) as process:
        output, errors = process.communicate(timeout=240)
    assert process.returncode == 2
    assert "1 of 1 runs is not finished.\n" in errors, "there are no others"
    assert f"{FOLDERS[0]}: the checkpoint of step 50 cannot be written to" in errors
    assert "Free some space; then `run --resume`, or the same `sweep`, goes on." in errors
    assert "Once these reasons are gone, the same command goes on with what is not finished." in errors
    assert "Traceback" not in errors
    assert "leaderboard" not in output, "no run is finished"
    assert main(["sweep", *options]) == 0
    assert_same(out, undisturbed, FOLDERS[:1])


BROKEN = """
import torch
from benchmark.algorithm import Algorithm

class Broken(Algorithm):
    name = "broken"
    def __init__(self, config, family, device, random):
        self.actions = family.action_size
    def update(self, data):
        return {"loss": torch.tensor(float("nan"))}
    def adapt(self, context):
        return lambda observations: torch.zeros(*observations.shape[:2], self.actions)
    def state(self):
        return {}
    def load_state(self, state):
        pass
"""


def test_failing_runs_do_not_stop_the_others(
    undisturbed: Path, experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken.py").write_text(BROKEN)
    table = '[[runs]]\nalgorithm = "{}"\nfamily = "{}"\nseeds = 0\nsteps = 5\n'
    too_much = table.format("meta-bc", "point-robot") + 'contexts = ["mixed:999999"]\n'
    experiment.write_text(table.format(f"{tmp_path}/broken.py:Broken", "point-robot") + too_much + EXPERIMENT)
    out = tmp_path / "out"
    assert main(["sweep", str(experiment), "--out", str(out), "--workers", "2"]) == 2
    output = capsys.readouterr()
    assert "NOT finished: point-robot/broken/seed-0" in output.out
    assert "2 of 4 runs are not finished; the others are." in output.err
    assert f"leaderboard --add {out}" in output.out
    assert "point-robot/broken/seed-0: state/sums/loss is not finite at step 5" in output.err
    assert "point-robot/meta-bc/seed-0: " in output.err
    assert_same(out, undisturbed)


def test_two_sweeps_of_one_folder_share_the_work(undisturbed: Path, experiment: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    options = (str(experiment), "--out", str(out), "--workers", "1")
    with driver(*options) as first, driver(*options) as second:
        ended = [one.communicate(timeout=240) for one in (first, second)]
    statuses = [one.returncode for one in (first, second)]
    assert 0 in statuses, "the one that ends last finds all runs finished"
    for status, (output, errors) in zip(statuses, ended, strict=True):
        left = re.findall(r"^(\S+): another process works in", errors, re.MULTILINE)
        assert status == (2 if left else 0), errors
        for folder in left:
            assert f"      -  {folder}" in output, "no run has a score and is said not to be finished"
    assert main(["sweep", *options]) == 0
    assert_same(out, undisturbed)


def test_a_run_that_another_process_works_on_is_left_alone(
    experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands_sweep, "GRACE", 0.5)
    with claimed(tmp_path / "out" / FOLDERS[0]), claimed(tmp_path / "out" / FOLDERS[1]):
        assert main(["sweep", str(experiment), "--out", str(tmp_path / "out")]) == 2
    assert f"{FOLDERS[0]}: another process works in" in capsys.readouterr().err
    assert not list((tmp_path / "out").rglob("config.toml"))


def test_a_run_that_another_process_has_finished_meanwhile_is_finished(
    undisturbed: Path, experiment: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = FOLDERS
    in_use = InUseError("another process works in it")
    for errors, status in (({one: in_use}, 0), ({one: in_use, other: RunError("no memory")}, 2)):
        monkeypatch.setattr(commands_sweep, "_work", lambda *arguments, errors=errors: Ending(errors, None))
        assert main(["sweep", str(experiment), "--out", str(undisturbed)]) == status
        said = capsys.readouterr().err
        assert "another process" not in said
        assert ("no memory" in said) == (status == 2)


def test_workers_of_a_machine_record_missing_data_one_after_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once: list[int] = []
    inside: list[int] = []

    def record(*arguments: str) -> None:
        inside.append(1)
        at_once.append(len(inside))
        time.sleep(0.05)
        inside.pop()

    monkeypatch.setenv("OMRL_CACHE", str(tmp_path))
    monkeypatch.setattr(work, "open_dataset", record)
    opened = work._opened.__wrapped__  # type: ignore[attr-defined]
    threads = [threading.Thread(target=opened, args=("point-robot", "small", "mixed")) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert at_once == [1, 1, 1]
    assert not list(tmp_path.iterdir())


def test_no_run_that_was_not_finished_is_passed_over(
    experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that was stopped alone is named; where the whole sweep was stopped, only those that failed before are."""
    one, other = FOLDERS
    errors = {one: Interrupted(signal.SIGTERM, "at step 7"), other: RunError("the loss is not finite")}
    for stopped, status in ((None, 2), (signal.SIGINT, 130)):
        ending = Ending(errors, stopped)
        monkeypatch.setattr(commands_sweep, "_work", lambda *arguments, ending=ending: ending)
        assert main(["sweep", str(experiment), "--out", str(tmp_path / "out")]) == status
        said = capsys.readouterr().err
        assert f"{other}: the loss is not finite" in said
        assert (f"{one}: stopped by SIGTERM at step 7" in said) == (stopped is None)


def test_a_run_whose_files_are_lost_meanwhile_is_named_beside_those_that_failed(
    experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lost, other = FOLDERS
    folder = tmp_path / "out" / lost

    def work(*arguments: object) -> Ending:
        folder.mkdir(parents=True)
        (folder / "result.csv").touch()
        return Ending({lost: None, other: RunError("the loss is not finite")}, None)

    monkeypatch.setattr(commands_sweep, "_work", work)
    assert main(["sweep", str(experiment), "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert f"{lost}: {folder} holds what is left of a run without its config.toml" in said
    assert f"{other}: the loss is not finite" in said


def test_wrong_numbers_of_workers_are_refused_before_data_are_recorded(
    experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands_sweep, "_prepare_data", lambda runs: pytest.fail("data are asked for"))
    assert main(["sweep", str(experiment), "--out", str(tmp_path / "out"), "--workers", "0"]) == 2
    assert "the number of processes is 0" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_one_message_before_anything_starts(
    experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands_sweep, "_prepare_data", lambda runs: pytest.fail("data are asked for"))
    out = tmp_path / "out"
    out.symlink_to(tmp_path / "gone")
    assert main(["sweep", str(experiment), "--out", str(out)]) == 2
    output = capsys.readouterr()
    assert output.err.startswith(f"error: the folder {out} cannot be written: ")
    assert output.err.endswith("Choose another --out.\n")
    assert not output.out
