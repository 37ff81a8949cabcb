"""The lock of a folder: one process at a time, and nothing is left of one that was killed."""

import errno
import fcntl
import subprocess
import sys
from pathlib import Path

import pytest

from benchmark.errors import InUseError, RunError
from benchmark.locks import LOCK, claimed, in_use

HOLD = """
import sys, time
from pathlib import Path
from benchmark.locks import claimed
with claimed(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""
PROJECT = Path(__file__).parents[1]


def test_a_folder_is_held_by_one_process_until_it_ends_however_it_ends(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True, cwd=PROJECT
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        assert in_use(folder)
        with pytest.raises(InUseError, match=f"another process works in {folder}"), claimed(folder):
            pytest.fail("two processes in one folder")
        other.kill()
    assert (folder / LOCK).exists()
    assert not in_use(folder)
    with claimed(folder):
        assert in_use(folder)
    assert not (folder / LOCK).exists()


def test_a_folder_that_stays_empty_is_not_left_behind(tmp_path: Path) -> None:
    with pytest.raises(KeyError), claimed(tmp_path / "runs" / "seed-0"):
        raise KeyError
    assert not list(tmp_path.iterdir())
    with claimed(tmp_path / "runs" / "seed-0"):
        (tmp_path / "runs" / "seed-0" / "config.toml").touch()
    assert [path.name for path in (tmp_path / "runs" / "seed-0").iterdir()] == ["config.toml"]


def test_what_a_killed_process_was_writing_goes(tmp_path: Path) -> None:
    left = [tmp_path / ".result.csv.7.part", tmp_path / "checkpoint" / ".step-10.7.part"]
    left[1].mkdir(parents=True)
    left[0].touch()
    (tmp_path / "result.csv").touch()
    with claimed(tmp_path):
        assert not any(path.exists() for path in left)
    assert (tmp_path / "result.csv").exists()


def test_a_folder_that_cannot_be_written_is_named_without_a_word_of_locks(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refused = pytest.raises(
        RunError, match=r"file/run cannot be written: .*Make it writable, or choose another one\.$"
    )
    with refused, claimed(tmp_path / "file" / "run"):
        pytest.fail("locked")


def test_where_the_file_system_has_no_locks_no_folder_is_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(RunError, match="on a file system that has locks"), claimed(tmp_path / "run"):
        pytest.fail("claimed without a lock")
    (tmp_path / "run").mkdir(exist_ok=True)
    (tmp_path / "run" / LOCK).touch()
    assert not in_use(tmp_path / "run")
