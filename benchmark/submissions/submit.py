"""From finished runs to the folder of a submission, written all or none."""

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import tomli_w

from benchmark.errors import AlgorithmError, SubmissionError
from benchmark.files import replacing
from benchmark.results.board import Board, refuse_taken_keys
from benchmark.results.rows import ResultRow, as_frame, read_rows, write_table
from benchmark.results.submission import FORMAT, Submission, read_submission
from benchmark.results.submission_fields import check_authors, check_name, check_url, plain_reason
from benchmark.run_config import RunConfig, from_stored
from benchmark.submissions.claims import check_claims
from benchmark.submissions.measure import export_run
from benchmark.training import Run

OpenRun = Callable[[RunConfig, Path], Run]
"""Builds a run of a configuration in its folder."""


@dataclass(frozen=True)
class About:
    """Who submits what."""

    name: str
    """Of the submission: its folder's."""
    authors: str
    url: str
    """Where the method can be found."""

    def __post_init__(self) -> None:
        check_name(self.name)
        check_authors(self.authors)
        check_url(self.url)


@dataclass(frozen=True)
class Finished:
    """A finished run, as its folder says."""

    folder: Path
    rows: pd.DataFrame
    stored: Mapping[str, Any]

    @property
    def config(self) -> RunConfig:
        """What the run was asked to do."""
        return from_stored(self.stored, self.folder / "config.toml")


def read_finished(result: Path) -> Finished:
    """The run whose `result.csv` this is; raises SubmissionError where its configuration cannot be read."""
    path = result.with_name("config.toml")
    try:
        stored = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SubmissionError(
            f"{path} cannot be read ({error}). A submission is made from the folders of runs: RUN/config.toml, "
            "result.csv and checkpoint."
        ) from error
    return Finished(result.parent, _submitted(read_rows(result)), stored)


def _submitted(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of the standard protocol with the run's own settings, which are those of the first row."""
    own: pd.DataFrame = rows[(rows["online_steps"] == 0) & (rows["settings"] == rows["settings"].iloc[0])]
    return own


def submit(
    about: About, runs: Sequence[Finished], board: Board, open_run: OpenRun, report: Callable[[str], None]
) -> Submission:  # fmt: skip
    """Make BOARD/submissions/<name> of these runs, one per seed; `report` is told what is going on.

    The rows are those of the exported policies: what anybody measures anew. Where a policy cannot be exported they are
    the runs' own, and the submission says why. Raises SubmissionError where the runs do not make a submission or the
    folder is there already; RunError and CheckpointError where a run's checkpoint is not.
    """
    folder = board.folder / "submissions" / about.name
    if folder.exists():
        raise SubmissionError(
            f"{folder} is there already. Choose another --name, or delete it; nothing was changed."
        )
    configs = {int(run.config.seed): _shareable(run.stored) for run in runs}
    if len(configs) < len(runs):
        listed = ", ".join(f"{run.folder} (seed {run.config.seed})" for run in runs)
        raise SubmissionError(f"two of the runs have the same seed: {listed}. Name one run per seed.")
    draft = Submission(
        folder, about.name, about.authors, about.url, "", pd.concat([run.rows for run in runs]), configs, {}
    )
    check_claims(draft)
    refuse_taken_keys(replace(board, submissions=(*board.submissions, draft)))
    contents: dict[str, bytes] = {}
    try:
        measured = []
        for run in runs:
            report(f"exporting the policies of {run.folder}")
            rows, files = _exported(run, open_run)
            measured.append(rows)
            contents |= files
        draft = replace(draft, rows=pd.concat(measured, ignore_index=True))
    except (SubmissionError, AlgorithmError) as error:
        contents, draft = {}, replace(draft, not_exported=plain_reason(str(error)))
    _write(draft, contents)
    return read_submission(folder)


def _exported(finished: Finished, open_run: OpenRun) -> tuple[pd.DataFrame, dict[str, bytes]]:
    """The rows that a run's exported policies give, and their files."""
    run = open_run(finished.config, finished.folder)
    run.restore()
    rows: list[ResultRow] = []
    contents: dict[str, bytes] = {}
    for choice in run.config.contexts:
        evaluation, files = export_run(run, choice)
        rows += run.score(evaluation, run.settings)
        contents |= files
    return as_frame(rows), contents


def _shareable(stored: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration without the folder that the method's file lay in."""
    source, colon, kind = str(stored.get("algorithm")).rpartition(":")
    return {**stored, "algorithm": f"{Path(source).name if source.endswith('.py') else source}{colon}{kind}"}


def _write(draft: Submission, contents: Mapping[str, bytes]) -> None:
    """Write the submission in one step, once it is read as it will be; raises SubmissionError where it cannot be."""
    about = {"format": FORMAT, "name": draft.name, "authors": draft.authors, "url": draft.url}
    texts = {"submission.toml": tomli_w.dumps(about | _reason(draft))}
    texts |= {
        f"configs/seed-{seed}.toml": tomli_w.dumps(dict(config)) for seed, config in draft.configs.items()
    }
    try:
        with replacing(draft.folder) as temporary:
            files = {**contents, **{name: text.encode() for name, text in texts.items()}}
            for name, content in files.items():
                (temporary / name).parent.mkdir(parents=True, exist_ok=True)
                (temporary / name).write_bytes(content)
            write_table(temporary / "rows.csv", draft.rows)
            check_claims(read_submission(temporary, draft.name))
    except OSError as error:
        raise SubmissionError(
            f"{draft.folder} cannot be written: {error}. Free some space, or choose another --folder."
        ) from error


def _reason(draft: Submission) -> dict[str, str]:
    return {"not_exported": draft.not_exported} if draft.not_exported else {}
