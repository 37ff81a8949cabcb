"""From a Python file to a verified row, by the commands of CONTRIBUTING.md; and a claim that is not so is caught."""

import re
import tomllib
from pathlib import Path

import pandas as pd
import pytest

from benchmark.cli import main
from benchmark.errors import SubmissionError
from benchmark.results.rows import normalised_score, write_table
from benchmark.results.submission import read_submission
from benchmark.results.trust import Verification, write_verification
from tests.results.test_committed import refuse_false_marks

PROJECT = Path(__file__).parents[2]


def shown_trust(board: Path) -> str:
    """The mark on the leaderboard."""
    assert main(["leaderboard", "--folder", str(board)]) == 0
    (line,) = pd.read_csv(board / "leaderboard.csv").to_dict("records")
    assert (line["submission"], line["algorithm"], line["seeds"]) == ("ridge", "ridge-cloning", 4)
    return str(line["trust"])


def edit_rows(submission: Path, change: object) -> None:
    assert callable(change)
    rows = pd.read_csv(submission / "rows.csv", keep_default_na=False)
    change(rows)
    rows.to_csv(submission / "rows.csv", index=False, float_format="%.3f", lineterminator="\n")


def raised(column: str, seed: int, task: int) -> object:
    """One return raised by a tenth, with the score that follows from it."""

    def change(rows: pd.DataFrame) -> None:
        place = (rows["seed"] == seed) & (rows["task"] == task)
        assert place.sum() == 1
        rows.loc[place, column] += 0.1 * rows.loc[place, column].abs()
        (row,) = rows[place].to_dict("records")
        rows.loc[place, "score"] = normalised_score(
            row["adapted_return"], row["random_return"], row["expert_return"]
        )

    return change


def test_a_submission_becomes_a_verified_row_of_the_leaderboard(
    board: Path, submission: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert shown_trust(board) == "self-reported"
    assert main(["verify", str(submission)]) == 0
    assert "policies-verified (20 rows measured anew" in capsys.readouterr().out
    assert shown_trust(board) == "policies-verified"
    assert "submission ridge: policies-verified" in capsys.readouterr().out


def test_the_rows_are_those_of_the_runs(runs: Path, submission: Path) -> None:
    """Measured anew in double precision: in `point-robot`, which has no contacts, nothing moves."""
    own = pd.concat(pd.read_csv(path) for path in sorted(runs.rglob("result.csv")))
    made = pd.read_csv(submission / "rows.csv")
    assert made.columns.tolist() == own.columns.tolist()
    for name in ("adapted_return", "unadapted_return", "score"):
        assert made[name].to_numpy() == pytest.approx(own[name].to_numpy(), abs=2e-3)
    assert (made["adapted_return"] - made["unadapted_return"]).abs().max() > 0.1


@pytest.mark.parametrize("column", ["adapted_return", "unadapted_return"])
def test_one_return_raised_by_a_tenth_is_caught(
    board: Path, submission: Path, column: str, capsys: pytest.CaptureFixture[str]
) -> None:
    edit_rows(submission, raised(column, 2, 12))
    assert main(["verify", str(submission)]) == 2
    errors = capsys.readouterr().err
    assert f"seed 2, task 12, context mixed claims {column}" in errors
    assert "1 of 20 rows" in errors
    assert shown_trust(board) == "self-reported"


def test_an_edit_after_verification_makes_rows_self_reported(board: Path, submission: Path) -> None:
    assert main(["verify", str(submission)]) == 0
    edit_rows(submission, raised("adapted_return", 0, 1))
    assert shown_trust(board) == "self-reported"


def test_a_mark_that_somebody_wrote_himself_does_not_pass_the_projects_tests(
    board: Path, submission: Path
) -> None:
    """With the right hashes it is shown; measuring anew is what finds it out, and takes it away."""
    edit_rows(submission, raised("adapted_return", 0, 1))
    forged = read_submission(submission)
    write_verification(forged, Verification("policies-verified", 1, "3.3.0", 20, 0.0, dict(forged.digests)))
    assert shown_trust(board) == "policies-verified"
    with pytest.raises(SubmissionError, match="seed 0, task 1, context mixed claims adapted_return"):
        refuse_false_marks(board)
    assert main(["verify", str(submission)]) == 2
    assert shown_trust(board) == "self-reported"
    refuse_false_marks(board)


def test_a_comparison_says_how_far_a_submission_is_to_be_trusted(
    board: Path, submission: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = pd.read_csv(submission / "rows.csv").assign(algorithm="own")
    write_table(board / "results" / "point-robot" / "own.csv", rows)
    names = [f"{name}:settings=hidden_size=16" for name in ("ridge-cloning", "own")]
    assert main(["compare", *names, "--folder", str(board)]) == 0
    assert "ridge-cloning was submitted as ridge: self-reported" in capsys.readouterr().out
    assert main(["leaderboard", "--folder", str(board)]) == 0
    shown = pd.read_csv(board / "leaderboard.csv", keep_default_na=False).set_index("algorithm")
    assert shown["trust"].to_dict() == {"own": "project", "ridge-cloning": "self-reported"}
    assert shown["submission"].to_dict() == {"own": "", "ridge-cloning": "ridge"}


def test_nothing_of_the_authors_machine_is_submitted(runs: Path, submission: Path) -> None:
    for path in submission.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert str(runs.parent).encode() not in content, path
            assert b"benchmark/submissions" not in content, path
            assert b"site-packages" not in content, path
    assert tomllib.loads((submission / "configs" / "seed-3.toml").read_text())["algorithm"] == (
        "my_method.py:RidgeCloning"
    )


def test_contributing_names_the_commands_of_this_test() -> None:
    text = (PROJECT / "CONTRIBUTING.md").read_text()
    (block,) = re.findall(r"goes from its Python\nfile to a verified row.*\n\n((?:    .*\n)+)", text)
    verbs = re.findall(r"python -m benchmark (\w+)", block)
    assert verbs == ["run", "submit", "verify", "leaderboard"]
    assert "--seeds 0 1 2 3" in block and "examples/ridge_cloning.py:RidgeCloning" in block
