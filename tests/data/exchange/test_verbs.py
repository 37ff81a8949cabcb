"""The verbs import, export and relabel, and runs on what they made, as a user meets them."""

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import minari
import pandas as pd
import pytest
from rich.console import Console

from benchmark import cli, commands, commands_data, console
from benchmark.data import cache, store
from benchmark.data.dataset import Dataset
from benchmark.data.exchange.checks import Check
from benchmark.families.family import Family
from tests.data.exchange.writers import act_out, cheetah_buffers, write_gymnasium, write_macaw

TINY = ["--set", "hidden_size=8", "hidden_layers=2", "latent_size=4", "inner_batch=16", "outer_batch=16"]
RUN = ["run", "--algo", "macaw", "--threads", "1", "--steps", "2", "--evaluate-every", "2", *TINY]
THEIRS = "imported/cheetah-dir/theirs-v0"


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (commands, commands_data, console):
        monkeypatch.setattr(module, "console", Console(width=200))


@pytest.fixture
def buffers(tmp_path: Path, cheetah_data: Dataset) -> list[str]:
    return list(map(str, write_macaw(tmp_path / "buffers", cheetah_data, "direction", {0: 1, 1: -1})))


def take(buffers: list[str], *more: str) -> int:
    return cli.main(
        ["data", "import", "--from", "macaw", "--family", "cheetah-dir", "--name", "theirs", *buffers, *more]
    )


def test_an_import_reports_what_it_checked_and_is_listed(
    buffers: list[str], small_standard: Family, capsys: pytest.CaptureFixture[str]
) -> None:
    assert take(buffers) == 0
    shown = capsys.readouterr().out
    for text in (
        "disagree",
        "largest deviation",
        "Monte-Carlo returns",
        "0 of 3,200 disagree",
        f"run --data {THEIRS}",
        "not data of",
    ):
        assert text in shown
    assert cli.main(["data", "list"]) == 0
    shown = capsys.readouterr().out
    assert "imported/cheetah-dir/theirs-v0  imported, not the standard's" in shown
    assert "omrl/cheetah-dir/mixed-v1" in shown


def test_what_could_not_be_checked_says_why_and_nothing_else(
    cheetah_data: Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    checks = [Check("rewards", "not checkable: no place is seen"), Check("lengths", "200 steps", 3, 1, 5.0)]
    commands_data._print_taken(cheetah_data, checks)
    lines = capsys.readouterr().out.splitlines()
    assert lines[1:3] == [
        "    rewards  not checkable: no place is seen",
        "    lengths  1 of 3 disagree, against 200 steps; largest deviation 5, tolerance 0",
    ]


KILLED = """
import os, signal, sys
from benchmark import cli
from benchmark.data import store
store._seal = lambda folder: os.kill(os.getpid(), signal.SIGKILL)
cli.main(sys.argv[1:])
"""


def test_an_import_that_was_killed_can_be_done_again(buffers: list[str], small_standard: Family) -> None:
    """Its cache is there already, its Minari form is not."""
    verb = ["data", "import", "--from", "macaw", "--family", "cheetah-dir", "--name", "theirs", *buffers]
    assert subprocess.run([sys.executable, "-c", KILLED, *verb]).returncode == -signal.SIGKILL
    assert (len(list(cache.root().iterdir())), store.present(THEIRS)) == (1, False)
    assert take(buffers) == 0
    assert cli.main(["data", "verify", "--all"]) == 0


def test_verifying_all_verifies_imported_data(
    buffers: list[str], small_standard: Family, capsys: pytest.CaptureFixture[str]
) -> None:
    assert take(buffers) == 0
    assert cli.main(["data", "verify", "--all"]) == 0
    assert f"good      imported data set {THEIRS}" in capsys.readouterr().out
    (store.folder_of(THEIRS) / "data" / "main_data.hdf5").write_bytes(b"")
    assert cli.main(["data", "verify", "--all"]) == 2
    assert f"DAMAGED   imported data set {THEIRS}" in capsys.readouterr().out


def test_a_run_trains_on_imported_data_and_its_rows_say_so(
    buffers: list[str], small_standard: Family, tmp_path: Path
) -> None:
    assert take(buffers) == 0
    out = ["--out", str(tmp_path / "runs"), "--data", THEIRS, "--contexts", "mixed:64", "late:64", "other:64"]
    assert cli.main([*RUN, *out]) == 0
    rows = pd.read_csv(tmp_path / "runs" / "cheetah-dir" / "macaw" / "seed-0" / "result.csv")
    assert set(rows["data"]) == {THEIRS}
    assert sorted(set(rows["context"])) == ["late", "mixed", "other"]
    assert not store.present("omrl/cheetah-dir/mixed-v1")  # the standard's were not even recorded


def test_a_run_on_imported_data_is_not_resumed_on_the_standard(
    buffers: list[str], small_standard: Family, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert take(buffers) == 0
    out = ["--out", str(tmp_path / "runs")]
    assert cli.main([*RUN, *out, "--data", THEIRS]) == 0
    capsys.readouterr()
    assert cli.main([*RUN, *out, "--resume"]) == 2
    assert "data" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--data", THEIRS, "--tier", "expert"],
            "has no tier 'expert': imported data stand in for 'mixed' alone",
        ),
        (["--data", THEIRS, "--contexts", "mixed", "random"], "has no tier 'random'"),
        (["--data", THEIRS, "--size", "full"], "is of one size: leave size away"),
        (["--data", "imported/cheetah-dir/thers-v0"], f"is not here. Imported data sets: {THEIRS}"),
        (["--data", "omrl/cheetah-dir/mixed-v1"], "is not imported data"),
        (["--data", "imported/cheetah-dir"], "is not imported data"),
        (["--data", THEIRS, "--family", "cheetah-vel"], "is data of cheetah-dir-v1"),
    ],
)
def test_mistakes_with_imported_data_get_one_message(
    buffers: list[str], small_standard: Family, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str],
    message: str,
) -> None:  # fmt: skip
    assert take(buffers) == 0
    assert cli.main([*RUN, "--out", str(tmp_path / "runs"), *options]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_data_that_lack_a_task_of_the_split_are_refused(
    buffers: list[str], small_standard: Family, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert take(buffers[:2]) == 0
    assert "no split has its train and test tasks among 0:" in capsys.readouterr().out
    assert cli.main([*RUN, "--out", str(tmp_path / "runs"), "--data", THEIRS]) == 2
    assert f"{THEIRS} has no episodes of task 1, only of 0. Choose a --split" in capsys.readouterr().err


def test_export_and_import_again(
    small_standard: Family, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    export = ["data", "export", "--family", "cheetah-dir", "--tier", "expert", "--to"]
    paths = [str(tmp_path / f"task-{task}.hdf5") for task in (1, 0)]
    for path, task in zip(paths, "10", strict=True):
        assert cli.main([*export, path, "--task", task]) == 0
    assert "task 0 of omrl/cheetah-dir/expert-v1 in D4RL's layout" in capsys.readouterr().out
    take_back = ["data", "import", "--from", "d4rl", "--family", "cheetah-dir", "--name", "back", *paths]
    assert cli.main([*take_back, "--tasks", "0", "1"]) == 2
    assert "says that it is of task 1" in capsys.readouterr().err
    assert cli.main(take_back) == 0
    back = store.ingest("imported/cheetah-dir/back-v0")
    ours = store.ingest("omrl/cheetah-dir/expert-v1")
    assert (back.rewards == ours.rewards).all()
    assert (back.observations == ours.observations).all()
    assert cli.main([*export, paths[0], "--task", "1"]) == 2
    assert "is there already" in capsys.readouterr().err
    assert cli.main([*export, str(tmp_path / "new.hdf5"), "--task", "2"]) == 2
    assert "has no task 2" in capsys.readouterr().err


def test_relabelled_data_are_minaris_and_say_where_they_come_from(
    small_standard: Family, capsys: pytest.CaptureFixture[str]
) -> None:
    seen = act_out(small_standard, [0, 0], 400)
    write_gymnasium("mujoco/halfcheetah/made-up-v0", "HalfCheetah-v5", cheetah_buffers(seen))
    relabel = [
        "data",
        "relabel",
        "--from",
        "mujoco/halfcheetah/made-up-v0",
        "--family",
        "cheetah-dir",
        "--name",
        "theirs",
    ]
    assert cli.main(relabel) == 0
    assert "velocities from rewards" in capsys.readouterr().out
    opened = minari.load_dataset(THEIRS)
    assert opened.total_steps == 1600
    assert [int(one.infos["task"]) for one in opened] == [0] * 4 + [1] * 4
    assert opened.storage.metadata["origin"]["relabelled_from"] == "mujoco/halfcheetah/made-up-v0"
    assert cli.main([*relabel[:-1], "less", "--tasks", "1", "--transitions", "400"]) == 0
    assert minari.load_dataset("imported/cheetah-dir/less-v0").total_steps == 400


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("import --from macaw --family cheetah --name a b_0.hdf5", "Did you mean 'cheetah-"),
        ("import --from macaw --family cheetah-dir --name omrl/a b_0.hdf5", "does not fit"),
        ("import --from macaw --family cheetah-dir --name a b_0.hdf5", "cannot be read as HDF5"),
        ("import --from d4rl --family cheetah-dir --name a b.hdf5", "cannot be read as HDF5"),
        ("export --family cheetah-dir --task 0 --tier exprt --to a.hdf5", "Did you mean 'expert'"),
        ("relabel --from mujoco/none-v0 --family cheetah-dir --name a", "there is no Minari data set"),
        ("relabel --from mujoco/none-v0 --family cheeta-dir --name a", "Did you mean 'cheetah-dir'"),
    ],
)
def test_mistakes_get_one_message_and_leave_nothing(
    arguments: str, message: str, tmp_path: Path, small_standard: Family, nothing_kept: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert cli.main(["data", *arguments.split()]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.glob("*.hdf5"))
    nothing_kept()
