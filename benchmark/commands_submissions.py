"""What the verbs on submissions do."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.console import console, progress_bar
from benchmark.errors import SubmissionError
from benchmark.files import LEADERBOARD

if TYPE_CHECKING:
    from benchmark.results.trust import Verification
    from benchmark.run_config import RunConfig
    from benchmark.training import Run


def submit(options: argparse.Namespace) -> None:
    """Make a submission of finished runs."""
    from benchmark.results.board import find_runs, read_board
    from benchmark.submissions.submit import About, read_finished
    from benchmark.submissions.submit import submit as make

    about = About(options.name, options.authors, options.url)
    folder = Path(options.folder) if options.folder else LEADERBOARD
    finished, unfinished = find_runs(Path(place) for place in options.runs)
    if unfinished:
        raise SubmissionError(
            f"not finished: {', '.join(map(str, unfinished))}. Go on with it by --resume, or name the other runs."
        )
    runs = [read_finished(result) for result in finished]
    made = make(about, runs, read_board(folder), _open_run, _say)
    _say(f"submission: {made.folder}, {len(made.rows)} rows, {made.rows['seed'].nunique()} seeds")
    if made.not_exported:
        _say(f"without policies, so it stays self-reported: {made.not_exported}")
    _say(f"next: python -m benchmark verify {made.folder}")


def verify(options: argparse.Namespace) -> None:
    """Verify a submission and write what was found beside it."""
    from benchmark.results.board import read_board
    from benchmark.results.submission import read_submission
    from benchmark.submissions import verify as verifying

    submission = read_submission(Path(options.submission))
    if submission.folder.resolve().parent.name == "submissions":
        read_board(submission.folder.resolve().parents[1])  # refuses a key that is there already
    if options.rerun:
        out = Path(options.out) / submission.name
        _report(verifying.rerun(submission, out, _open_run, _train), submission.folder)
        return
    with progress_bar("measuring policies") as (progress, task):
        found = verifying.verify(
            submission, lambda done, total: progress.update(task, completed=done, total=total)
        )
    _report(found, submission.folder)
    if submission.not_exported:
        _say(f"there are no policies to measure: {submission.not_exported}")


def _report(found: "Verification", folder: Path) -> None:
    measured = f"{found.rows} rows measured anew, largest difference {found.largest_difference:.4f}"
    _say(f"{folder}: {found.mark} ({measured if found.rows else 'form, key, references and scores'})")


def _open_run(config: "RunConfig", folder: Path) -> "Run":
    from benchmark.commands import standard_opener
    from benchmark.training import Run

    return Run(config, folder, standard_opener(config.family, config.size))


def _train(run: "Run") -> None:
    with progress_bar(f"meta-training, seed {run.config.seed}", run.config.steps) as (progress, task):
        run.train(lambda now: progress.update(task, completed=now.step))


def _say(text: str) -> None:
    console.print(text, highlight=False, soft_wrap=True)
