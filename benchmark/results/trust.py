"""How far a submission's rows are to be trusted: its mark, which holds for the files that were verified and no others.

`verify` writes SUBMISSION/verification.toml: the mark, what was found, and the SHA-256 of every file. Whatever is
edited, added or taken away afterwards makes the rows self-reported again. The file is not signed, so a submitter could
write one; what stops him is said in CONTRIBUTING.md: the project's tests verify every marked submission anew.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import tomli_w

from benchmark.errors import SubmissionError
from benchmark.files import write_text
from benchmark.results.submission import VERIFICATION, Submission
from benchmark.results.submission_fields import parse_toml
from benchmark.results.submission_files import list_files, read_file

Mark = Literal["self-reported", "policies-verified", "rerun-verified"]
"""Form alone was checked; the policies reached the returns; the runs were made again and gave the same rows."""
OWN = "project"
"""Stands in the place of the mark where rows are the project's own."""


@dataclass(frozen=True)
class Verification:
    """What `verify` found."""

    mark: Mark
    protocol: int
    mujoco: str
    rows: int
    """Rows that were measured anew."""
    largest_difference: float
    """Of a return claimed and the one measured, over all rows."""
    files: Mapping[str, str]
    """SHA-256 of what was verified, by path."""


def write_verification(submission: Submission, verification: Verification) -> None:
    """Put what was found beside the submission; raises SubmissionError where it cannot be written."""
    try:
        write_text(submission.folder / VERIFICATION, tomli_w.dumps(asdict(verification)))
    except OSError as error:
        raise SubmissionError(
            f"{submission.folder / VERIFICATION} cannot be written: {error}. Free some space, and verify again."
        ) from error


def withdraw_verification(submission: Submission) -> None:
    """Take away what an earlier verification found."""
    (submission.folder / VERIFICATION).unlink(missing_ok=True)


def read_mark(submission: Submission) -> Mark:
    """The mark that its files have now; raises SubmissionError for a verification that is none."""
    found = read_verification(submission)
    return "self-reported" if found is None else found.mark


def read_verification(submission: Submission) -> Verification | None:
    """What was found of its files as they are now; None where that is nothing. Raises SubmissionError likewise."""
    limit = list_files(submission.folder).get(VERIFICATION)
    if limit is None:
        return None
    path = submission.folder / VERIFICATION
    found = _checked(parse_toml(read_file(submission.folder, VERIFICATION, limit), path))
    if found is None:
        raise SubmissionError(f"{path} is not what verify writes. Delete it, and verify again.")
    first = submission.rows.iloc[0]
    current = (
        found.files == submission.digests
        and (found.protocol, found.mujoco) == (first["protocol"], first["mujoco"])
        and (found.mark == "self-reported" or found.rows == len(submission.rows))
    )
    without_policies = found.mark == "policies-verified" and submission.not_exported
    return found if current and not without_policies else None


def _checked(found: Mapping[str, Any]) -> Verification | None:
    """The verification in a parsed file; None where it has other keys or types."""
    types = {
        "mark": str,
        "protocol": int,
        "mujoco": str,
        "rows": int,
        "largest_difference": float,
        "files": dict,
    }
    if {name: type(value) for name, value in found.items()} != types or found["mark"] not in get_args(Mark):
        return None
    return Verification(**found)
