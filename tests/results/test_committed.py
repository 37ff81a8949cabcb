"""The results in git: well formed, complete, and what is generated from them is not out of date.

Marks of submissions are earned anew here: one that somebody wrote himself does not pass.
"""

from pathlib import Path

import pytest

from benchmark import families
from benchmark.data.catalog import entry, references
from benchmark.files import LEADERBOARD, PROJECT
from benchmark.results.board import read_board
from benchmark.results.leaderboard import leaderboard
from benchmark.results.rows import KEY, normalised_score, read_rows, write_table
from benchmark.results.tables import readme_table, under_usual_conditions
from benchmark.submissions.claims import check_claims
from benchmark.submissions.measure import measure
from benchmark.submissions.verify import largest_difference

FILES = sorted((LEADERBOARD / "results").glob("*/*.csv"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_committed_rows_are_complete_and_follow_from_the_catalog(path: Path) -> None:
    rows = read_rows(path)
    family = families.family(path.parent.name)
    known = references(family.name)
    hashes = {value for tiers in entry(family).hashes.values() for value in tiers.values()}
    assert (rows["family"] == family.id).all()
    assert (rows["algorithm"] == path.stem).all()
    assert set(rows["data_hash"]) <= hashes
    for key, group in rows.groupby(list(KEY)):
        split = family.split(key[1])
        for _, seed in group.groupby("seed"):
            assert tuple(sorted(seed["task"])) == tuple(sorted(split.test))
    for row in rows.to_dict("records"):
        random, expert = known.random[row["task"]], known.expert[row["task"]]
        assert row["random_return"] == pytest.approx(random, abs=1e-3)
        assert row["expert_return"] == pytest.approx(expert, abs=1e-3)
        assert row["score"] == pytest.approx(
            normalised_score(row["adapted_return"], random, expert), abs=2e-3
        )


def test_leaderboard_is_up_to_date(tmp_path: Path) -> None:
    frame = leaderboard(read_board(LEADERBOARD))
    write_table(tmp_path / "leaderboard.csv", frame)
    assert (tmp_path / "leaderboard.csv").read_text() == (LEADERBOARD / "leaderboard.csv").read_text()


def test_readme_table_is_up_to_date() -> None:
    table = readme_table(under_usual_conditions(leaderboard(read_board(LEADERBOARD))))
    assert f"<!-- leaderboard -->\n{table}\n<!-- /leaderboard -->" in (PROJECT / "README.md").read_text()


def refuse_false_marks(folder: Path) -> None:
    """Raise a BenchmarkError where a submission's claims or its mark are not so; keys that are there twice are, too."""
    board = read_board(folder)
    for submission in board.submissions:
        check_claims(submission)
        if board.trust[submission.name] != "self-reported" and not submission.not_exported:
            largest_difference(submission, measure(submission, lambda done, total: None))


def test_committed_submissions_are_what_their_marks_say() -> None:
    refuse_false_marks(LEADERBOARD)
