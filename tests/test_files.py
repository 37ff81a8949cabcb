"""Files are replaced in one step, and what killed writers leave goes when the same file is written again."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmark import files
from benchmark.files import ABANDONED, PROJECT, replacing, write_text

WRITE = """
import sys, time
from pathlib import Path
from benchmark.files import replacing
with replacing(Path(sys.argv[1])) as temporary:
    temporary.mkdir()
    (temporary / "large").write_text("half")
    print("writing", flush=True)
    time.sleep(600)
"""


def parts(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob(".*"))


def age(path: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then))


def test_what_a_killed_writer_left_goes_and_what_a_living_one_writes_stays(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITE, str(tmp_path / "expert-v1")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=PROJECT) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "writing\n"
        left = parts(tmp_path)
        age(tmp_path / left[0], 2 * ABANDONED)
        write_text(tmp_path / "expert-v1", "whole")
        assert parts(tmp_path) == left
        other.kill()
    assert len(parts(tmp_path)) == 1
    write_text(tmp_path / "expert-v2", "whole")
    assert len(parts(tmp_path)) == 1, "that of another file is not looked at"
    write_text(tmp_path / "expert-v1", "whole")
    assert parts(tmp_path) == []


def test_a_part_of_another_machine_goes_after_a_day_without_a_change(tmp_path: Path) -> None:
    """Also one of before a restart, and one of an older version, whose name does not say where it was written."""
    folder, file = tmp_path / ".a.deadbeef.7.part", tmp_path / ".a.7.part"
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "large").touch()
    file.touch()
    for path in (folder, folder / "data", file):
        age(path, 2 * ABANDONED)
    write_text(tmp_path / "a", "")
    assert parts(tmp_path) == [folder.name], "it is still written to"
    age(folder / "data" / "large", 0.9 * ABANDONED)
    write_text(tmp_path / "a", "")
    assert parts(tmp_path) == [folder.name]
    age(folder / "data" / "large", 1.1 * ABANDONED)
    write_text(tmp_path / "a", "")
    assert parts(tmp_path) == []


def test_files_that_are_named_alike_stay(tmp_path: Path) -> None:
    alike = [".a.b.7.part", ".a.b.deadbeef.7.part", ".a.x.part", ".a.-1.part", ".ab.7.part", ".a.7.part.bak"]
    for name in alike:
        (tmp_path / name).touch()
        age(tmp_path / name, 2 * ABANDONED)
    write_text(tmp_path / "a", "")
    assert parts(tmp_path) == sorted(alike)
    (tmp_path / ".[a].7.part").touch()
    age(tmp_path / ".[a].7.part", 2 * ABANDONED)
    write_text(tmp_path / "[a]", "")
    assert parts(tmp_path) == sorted(alike)


def test_what_cannot_be_removed_does_not_hinder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def remove(path: Path) -> None:
        if ".7." in path.name:
            raise PermissionError("another user's")

    (tmp_path / ".a.7.part").touch()
    age(tmp_path / ".a.7.part", 2 * ABANDONED)
    monkeypatch.setattr(files, "_remove", remove)
    write_text(tmp_path / "a", "whole")
    assert (tmp_path / "a").read_text() == "whole"


def test_a_failed_block_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    write_text(tmp_path / "a", "old")
    with pytest.raises(KeyError), replacing(tmp_path / "a") as temporary:
        temporary.write_text("new")
        raise KeyError
    assert (tmp_path / "a").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
