"""Broken and hostile submissions: each is refused in one message, whatever is broken; none is accepted."""

import os
import shutil
import tempfile
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.cli import main
from benchmark.errors import BenchmarkError
from benchmark.results import submission as reading
from benchmark.results.submission import read_submission
from benchmark.submissions.verify import verify

POLICY = "policies/seed-1/mixed-256-adapted.onnx"
Draw = Callable[[st.SearchStrategy[Any]], Any]
CONFIG = "configs/seed-1.toml"


def cell(column: str, value: str, line: int = 3) -> Callable[[Path], object]:
    """Puts a value into a column of rows.csv."""

    def change(folder: Path) -> None:
        path = folder / "rows.csv"
        lines = [text.split(",") for text in path.read_text().splitlines()]
        lines[line][lines[0].index(column)] = value
        path.write_text("\n".join(",".join(cells) for cells in lines) + "\n")

    return change


def everywhere(column: str, value: str) -> Callable[[Path], object]:
    """Puts a value into a column of all rows."""
    return lambda folder: [cell(column, value, line)(folder) for line in range(1, 21)]


def text(path: str, old: str, new: str) -> Callable[[Path], object]:
    """Replaces text in a file."""

    def change(folder: Path) -> None:
        before = (folder / path).read_text()
        assert old in before
        (folder / path).write_text(before.replace(old, new, 1))

    return change


def link(path: str) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        shutil.move(folder / path, folder.parent / "elsewhere")
        (folder / path).symlink_to(folder.parent / "elsewhere")

    return change


def sparse(path: str, size: int) -> Callable[[Path], object]:
    """A file of this size that takes no room on the disk."""

    def change(folder: Path) -> None:
        with (folder / path).open("wb") as file:
            file.truncate(size)

    return change


def without_lines(words: str) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        lines = (folder / "rows.csv").read_text().splitlines(keepends=True)
        (folder / "rows.csv").write_text("".join(line for line in lines if words not in line))

    return change


def repeated(folder: Path) -> None:
    with (folder / "rows.csv").open("a") as file:
        file.write((folder / "rows.csv").read_text().splitlines()[2] + "\n")


def million(folder: Path) -> None:
    (folder / "rows.csv").write_text("\n" * 1_000_000)


def fewer_seeds(folder: Path) -> None:
    without_lines(",30,0,3,")(folder)
    (folder / "configs/seed-3.toml").unlink()
    shutil.rmtree(folder / "policies/seed-3")


def same_policy(folder: Path) -> None:
    shutil.copy(folder / POLICY, folder / POLICY.replace("seed-1", "seed-2"))


BROKEN = {
    "no rows": (lambda folder: (folder / "rows.csv").unlink(), "has no rows.csv"),
    "a script": (lambda folder: (folder / "run.py").touch(), "'run.py' is no file of a submission"),
    "an archive": (lambda folder: (folder / "policies.zip").touch(), "is no file of a submission"),
    "leading zero": (lambda folder: (folder / "configs/seed-01.toml").touch(), "is no file of a submission"),
    "a link": (link("rows.csv"), "a link, a special file"),
    "a link to a folder": (link("policies"), "a link, a special file"),
    "a pipe": (lambda folder: os.mkfifo(folder / "verification.toml"), "a link, a special file"),
    "a deep folder": (lambda folder: (folder / "a/b/c/d").mkdir(parents=True), "a folder too deep"),
    "a huge policy": (sparse(POLICY, 2**40), "has 1099511627776 bytes"),
    "a huge text": (sparse("submission.toml", 2**20), "has 1048576 bytes"),
    "huge together": (lambda folder: [sparse(f"policies/seed-{seed}/mixed-{size}-adapted.onnx", 2**24)(folder)
                                      for seed in range(4) for size in range(2)], "is too large"),
    "a million rows": (million, "has 1000000 lines"),
    "a row too few": (without_lines(",30,0,2,12,"), "seed 2 with context mixed has rows of the tasks [1, 6, 15, 18]"),
    "three seeds": (fewer_seeds, "has 3 seeds; a submission needs 4"),
    "a row twice": (repeated, "has two rows of one task and context"),
    "a cell too many": (lambda folder: text("rows.csv", ",0,1,", ",0,1,1,")(folder), "is not a table"),
    "a cut line": (lambda folder: os.truncate(folder / "rows.csv", 3000), "cut off"),
    "not a number": (cell("adapted_return", "nan"), "is not a number"),
    "infinite": (cell("adapted_return", "inf"), "not a finite number"),
    "overflow": (cell("score", "1e999"), "not a finite number"),
    "huge": (cell("score", "1e20"), "is not within"),
    "half a seed": (cell("seed", "0.5"), "not a finite number of its kind"),
    "negative": (cell("task", "-1"), "is not within"),
    "a truth": (everywhere("seed", "True"), "not a finite number of its kind"),
    "a formula": (everywhere("settings", "=HYPERLINK(1)"), "which cannot stand there"),
    "a plus": (everywhere("settings", "+1"), "which cannot stand there"),
    "an at": (everywhere("algorithm", "@SUM"), "which cannot stand there"),
    "markup in a name": (everywhere("algorithm", "<script>x"), "which cannot stand there"),
    "a table in a name": (everywhere("algorithm", "a|b"), "which cannot stand there"),
    "a link in settings": (everywhere("settings", "a=[x](y)"), "which cannot stand there"),
    "other steps": (cell("steps", "40"), "more than one steps"),
    "another family": (everywhere("family", "point-robot-v2"), "has family_id = 'point-robot-v1', but its rows have"),
    "other data": (lambda folder: [text(f"configs/seed-{seed}.toml", "data_hash = \"", "data_hash = \"0")(folder)
                                   for seed in range(4)], "has data_hash = "),
    "a built-in name": (lambda folder: [everywhere("algorithm", "macaw")(folder)] + [
        text(f"configs/seed-{seed}.toml", "algorithm_name = \"ridge-cloning", "algorithm_name = \"macaw")(folder)
        for seed in range(4)], "is called 'macaw', but was run as"),
    "another budget": (text(CONFIG, "evaluate_every = 500", "evaluate_every = 50"), "another 'evaluate_every' than"),
    "another setting": (text(CONFIG, "hidden_size = 16", "hidden_size = 32"), "another 'algorithm_settings' than"),
    "a missing configuration": (lambda folder: (folder / CONFIG).unlink(), "has configurations of the seeds [0, 2, 3]"),
    "nested": (lambda folder: (folder / CONFIG).write_text("a = " + "[" * 30_000), "is not TOML: RecursionError"),
    "not text": (lambda folder: (folder / CONFIG).write_bytes(b"a = \"\xff\""), "is not TOML"),
    "another's name": (text("submission.toml", "\"ridge\"", "\"other\""), "folder and name must be the same"),
    "a path for a name": (text("submission.toml", "\"ridge\"", "\"../ridge\""), "cannot be a submission's"),
    "markup in authors": (text("submission.toml", "Ada", "<b>Ada"), "are not names"),
    "a formula in authors": (text("submission.toml", "\"Ada", "\"=Ada"), "are not names"),
    "a script for a url": (text("submission.toml", "https:", "javascript:"), "is not a plain address"),
    "a key too many": (text("submission.toml", "format", "mark = \"gold\"\nformat"), "must have format = 1"),
    "a missing policy": (lambda folder: (folder / POLICY).unlink(), "or lacks some"),
    "a policy too many": (lambda folder: shutil.copy(folder / POLICY, folder / POLICY.replace("256", "64")),
                          "do not name"),
    "one policy twice": (same_policy, "seeds 1 and 2 have the very same policy"),
    "policies and a reason not to have them": (text("submission.toml", "format", "not_exported = \"x\"\nformat"),
                                               "do not name, or lacks some"),
    "a better reference": (cell("random_return", "-99.0"), "it follows from the catalog"),
    "a better score": (cell("score", "99.0"), "it follows from the catalog"),
    "not ONNX": (lambda folder: (folder / POLICY).write_bytes(b"GIF89a"), "mixed-256-adapted.onnx is no valid ONNX"),
    "empty": (lambda folder: (folder / POLICY).write_bytes(b""), "mixed-256-adapted.onnx: it is of the operator sets"),
    "a verification that is none": (lambda folder: (folder / "verification.toml").write_text("mark = \"gold\""),
                                    "is not what verify writes"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_is_refused_in_one_message(
    submission: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    damage, message = BROKEN[name]
    damage(submission)
    assert main(["verify", str(submission)]) == 2
    errors = capsys.readouterr().err
    assert errors.startswith("error: ")
    assert message in errors
    assert len(errors.splitlines()) == 1
    assert len(errors) < 1500


def test_rows_of_another_standard_are_refused(submission: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for column, value in (("protocol", "7"), ("mujoco", "3.2.0"), ("data_hash", "0" * 64)):
        copy = Path(shutil.copytree(submission, submission.parents[1] / column / "ridge"))
        everywhere(column, value)(copy)
        (old,) = {line for line in (copy / CONFIG).read_text().splitlines() if line.startswith(f"{column} ")}
        new = f'{column} = "{value}"' if column != "protocol" else f"{column} = {value}"
        for seed in range(4):
            text(f"configs/seed-{seed}.toml", old, new)(copy)
        assert main(["verify", str(copy)]) == 2
        assert f"its rows have {column} {value}, but this standard has" in capsys.readouterr().err


def test_a_submission_of_a_broken_neighbour_is_named_on_the_leaderboard(
    board: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cell("score", "99.0")(board / "submissions" / "ridge")
    assert main(["leaderboard", "--folder", str(board)]) == 2
    assert "submissions/ridge: seed 0, task 12 has score 99.0" in capsys.readouterr().err
    assert not (board / "leaderboard.csv").exists()


NASTY_CELLS = st.sampled_from(
    ["", "nan", "inf", "-inf", "1e999", "0x1", "1_0", "=1", "+1", "-", "@x", "<b>", "a\tb", "é", "'", '"', '"a', "a,b",
     "None", "True", "[]", "9" * 40, "-1", "1.5", "\x00", "\r", "\n", "\ud7ff", "x" * 3000]
)  # fmt: skip
NASTY_VALUES = st.one_of(
    NASTY_CELLS.filter(lambda value: value != "\ud7ff"), st.integers(-(2**62), 2**62), st.floats(), st.booleans(),
    st.lists(st.integers(0, 9), max_size=2), st.dictionaries(st.sampled_from("ab"), st.integers(0, 9), max_size=2),
)  # fmt: skip


def replaced_cell(draw: Draw, folder: Path) -> None:
    path = folder / "rows.csv"
    lines = [one.split(",") for one in path.read_text().splitlines()]
    line, column = draw(st.integers(0, len(lines) - 1)), draw(st.integers(0, len(lines[0]) - 1))
    value = draw(NASTY_CELLS.filter(lambda value: value != lines[line][column]))
    if value == "-1" and lines[line][column].startswith("-1."):
        value = ""
    lines[line][column] = value
    path.write_bytes(("\n".join(",".join(cells) for cells in lines) + "\n").encode())


def replaced_value(draw: Draw, folder: Path) -> None:
    path = folder / draw(st.sampled_from(["submission.toml", CONFIG]))
    found = tomllib.loads(path.read_text())
    # device, threads and torch may differ from run to run; most texts are a name
    key = draw(st.sampled_from(sorted({*found, "more"} - {"device", "threads", "torch", "authors"})))
    found[key] = draw(NASTY_VALUES.filter(lambda value: value != found.get(key)))
    path.write_text(tomli_w.dumps(found))


def cut_file(draw: Draw, folder: Path) -> None:
    path = folder / draw(st.sampled_from(["submission.toml", "rows.csv", CONFIG, POLICY]))
    content = path.read_bytes()
    path.write_bytes(content[: draw(st.integers(0, len(content) - 6))])


def moved_return(draw: Draw, folder: Path) -> None:
    path = folder / "rows.csv"
    lines = [one.split(",") for one in path.read_text().splitlines()]
    line = draw(st.integers(1, len(lines) - 1))
    place = lines[0].index(draw(st.sampled_from(["adapted_return", "unadapted_return"])))
    by = draw(st.sampled_from([-1, 1])) * draw(st.floats(0.01, 50))
    cell(lines[0][place], f"{float(lines[line][place]) + by:.3f}", line)(folder)


def misplaced_file(draw: Draw, folder: Path) -> None:
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    moved = folder / draw(st.sampled_from(files))
    name = draw(
        st.sampled_from(["a", "rows.csv.gz", "policies/x.onnx", "configs/seed-9.toml", "..x", "rows.CSV"])
    )
    moved.rename(folder / name)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(data=st.data())
def test_no_broken_submission_is_accepted_or_crashes(submitted: Path, data: st.DataObject) -> None:
    kinds = [replaced_cell, replaced_value, cut_file, moved_return, misplaced_file]
    damage = data.draw(st.sampled_from(kinds))
    with tempfile.TemporaryDirectory() as place:
        folder = Path(shutil.copytree(submitted / "submissions" / "ridge", Path(place) / "ridge"))
        damage(data.draw, folder)
        with pytest.raises(BenchmarkError) as refused:
            verify(read_submission(folder), lambda done, total: None)
        assert 20 < len(str(refused.value)) < 1500
        assert not (folder / "verification.toml").exists()


def test_files_are_measured_before_they_are_read(submission: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "read_file", lambda *arguments: pytest.fail("was read"))
    sparse(POLICY, 2**40)(submission)
    with pytest.raises(BenchmarkError, match="has 1099511627776 bytes"):
        read_submission(submission)
