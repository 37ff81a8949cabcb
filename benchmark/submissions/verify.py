"""A submission's rows held against what is measured anew on this machine."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from benchmark.errors import SubmissionError
from benchmark.registry import BUILT_IN
from benchmark.results.rows import KEY, SUCCESSES, as_frame
from benchmark.results.submission import OF_A_CONTEXT, Submission
from benchmark.results.trust import (
    Mark,
    Verification,
    read_verification,
    withdraw_verification,
    write_verification,
)
from benchmark.run_config import from_stored
from benchmark.submissions.claims import check_claims
from benchmark.submissions.measure import export_run, measure
from benchmark.submissions.submit import OpenRun
from benchmark.training import Run

TOLERANCE = 0.002
"""Half of the interval around a return measured anew in which the return claimed must lie, in units of return.

A deterministic policy in a deterministic simulator, from the same initial states, in double precision (`policy.py`):
nothing is left that could differ but the third decimal, at which rows are cut. The interval is not widened for chaos,
as that would allow some per cent of any return to be made up; where arithmetic differs nonetheless, a single episode
goes another way, and verifying on a machine that records the standard's data, bit for bit, decides.
"""
MEASURED = ("unadapted_return", "adapted_return", "score")
IDENTITY = [*OF_A_CONTEXT, "seed", "task"]
Report = Callable[[int, int], None]
"""Called with what is done and how much there is."""


def verify(submission: Submission, report: Report) -> Verification:
    """Check the claims, measure the policies anew where there are any, and write what was found.

    What a rerun found of these very files stays. Raises SubmissionError where anything is not as claimed; where returns
    are not, a verification of before is withdrawn.
    """
    check_claims(submission)
    earlier = read_verification(submission)
    rerun_before = earlier is not None and earlier.mark == "rerun-verified"
    if submission.not_exported:
        return earlier if earlier and rerun_before else _found(submission, "self-reported", 0, 0.0)
    try:
        largest = largest_difference(submission, measure(submission, report))
    except SubmissionError:
        withdraw_verification(submission)
        raise
    mark: Mark = "rerun-verified" if rerun_before else "policies-verified"
    return _found(submission, mark, len(submission.rows), largest)


def rerun(
    submission: Submission, out: Path, open_run: OpenRun, train: Callable[[Run], object]
) -> Verification:
    """Make every run of a built-in method again in OUT/seed-<k>, resuming what lies there, and compare the rows.

    `train` finishes a run that is prepared. Raises SubmissionError for another method, whose code is not run, and where
    rows are not found again: training is bit for bit the same only with the torch and the kind of processor it was made
    with.
    """
    check_claims(submission)
    specification = submission.configs[min(submission.configs)]["algorithm"]
    if specification not in BUILT_IN:
        raise SubmissionError(
            f"{submission.folder} is of the method {ascii(specification)[:80]}; only built-in ones "
            f"({', '.join(BUILT_IN)}) are run again. Verify its policies: leave --rerun out."
        )
    frames = []
    for seed, stored in sorted(submission.configs.items()):
        run = open_run(
            from_stored(stored, submission.folder / f"configs/seed-{seed}.toml"), out / f"seed-{seed}"
        )
        run.prepare(resume=True)
        train(run)
        frames.append(_rows_of(run, exported=not submission.not_exported))
    largest = largest_difference(submission, pd.concat(frames, ignore_index=True))
    return _found(submission, "rerun-verified", len(submission.rows), largest)


def _rows_of(run: Run, exported: bool) -> pd.DataFrame:
    """The rows that `submit` would make of the run."""
    rows = []
    for choice in run.config.contexts:
        evaluation = (
            export_run(run, choice)[0] if exported else run.evaluator.evaluate(run.tested.now(), choice)
        )
        rows += run.score(evaluation, run.settings)
    return as_frame(rows)


def largest_difference(submission: Submission, measured: pd.DataFrame) -> float:
    """Of a return claimed and the one measured; raises SubmissionError unless all rows were found again."""
    claimed = submission.rows
    names = [*MEASURED, *(name for name in SUCCESSES if name in claimed)]
    both: pd.DataFrame = claimed.merge(measured, on=IDENTITY, suffixes=("", " measured"), validate="1:1")
    others = [name for name in (*KEY, "seed") if name not in IDENTITY]
    strange = [name for name in others if not (both[name] == both[f"{name} measured"]).all()]
    if len(both) != len(claimed) or len(both) != len(measured) or strange:
        raise SubmissionError(
            f"{submission.folder}: other rows are found than it has ({', '.join(strange) or 'tasks'} differ)."
        )
    largest = 0.0
    for name in names:
        away = (both[name] - both[f"{name} measured"]).abs()
        # a score is a return over the distance of expert and random, times 100; a rate has two decimals
        slack = TOLERANCE if name != "score" else _score_slack(both)
        wrong = both[~(away <= slack)]
        if len(wrong):
            raise SubmissionError(_difference(submission, name, wrong.iloc[0], len(wrong)))
        if name in MEASURED[:2]:
            largest = max(largest, float(away.max()))
    return largest


def _score_slack(rows: pd.DataFrame) -> "pd.Series[float]":
    return TOLERANCE + 100 * TOLERANCE / (rows["expert_return"] - rows["random_return"]).abs()


def _difference(submission: Submission, name: str, row: "pd.Series[float]", count: int) -> str:
    measured = row[f"{name} measured"]
    return (
        f"{submission.folder}: seed {row['seed']}, task {row['task']}, context {row['context']} claims {name} "
        f"{row[name]:.3f}, but {measured:.3f} is measured here, and within {TOLERANCE} of that it must lie "
        f"({count} of {len(submission.rows)} rows are wrong in this column). If all are a little wrong, this machine "
        "may round otherwise than the standard's: see whether it records the standard's data (data record)."
    )


def _found(submission: Submission, mark: Mark, rows: int, largest: float) -> Verification:
    first = submission.rows.iloc[0]
    verification = Verification(
        mark, int(first["protocol"]), str(first["mujoco"]), rows, round(largest, 6), dict(submission.digests)
    )
    write_verification(submission, verification)
    return verification
