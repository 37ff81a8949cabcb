"""A submission: someone else's result rows, their runs' configurations, and the policies that reached the returns.

    SUBMISSION/submission.toml              who, where the method is, and why there are no policies if there are none
    SUBMISSION/rows.csv                     result rows, one per seed, test task and context
    SUBMISSION/configs/seed-0.toml          the configuration of every run
    SUBMISSION/policies/seed-0/             ONNX files: mixed-256-adapted.onnx, mixed-256-unadapted.onnx
    SUBMISSION/verification.toml            what `verify` found (`trust.py`); no part of what was submitted

Read as untrusted input: what is not as it must be gets one SubmissionError. Here is what can be known without the
families and the catalog; `benchmark.submissions` checks the rest.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.errors import SubmissionError
from benchmark.results.rows import KEY
from benchmark.results.submission_fields import (
    check_authors,
    check_name,
    check_reason,
    check_url,
    parse_rows,
    parse_toml,
)
from benchmark.results.submission_files import POLICY_BYTES, list_files, read_file, sha256

FORMAT = 1
VERIFICATION = "verification.toml"
OF_A_CONTEXT = ("context", "context_size")
ONE_VALUE = tuple(name for name in KEY if name not in OF_A_CONTEXT)
"""Columns of the key that have one value in a submission: its runs differ in their seeds alone."""
CONFIG = {
    "family_id": "family", "split": "split", "data": "data", "data_hash": "data_hash", "protocol": "protocol",
    "mujoco": "mujoco", "algorithm_name": "algorithm", "algorithm_version": "algorithm_version", "steps": "steps",
}  # fmt: skip
"""Keys of a run's configuration, and the column of its rows that says the same."""
OF_A_SEED = ("seed", "device", "threads", "torch")
"""Keys of the configuration in which the runs of a submission may differ."""


@dataclass(frozen=True)
class PolicyFile:
    """One ONNX file: the policies of these test tasks, as one seed's run adapted them together."""

    seed: int
    context: str
    context_size: int
    tasks: tuple[int, ...]
    adapted: bool
    """False for the policy adapted to nothing."""

    @property
    def path(self) -> str:
        """Where it lies in the submission. An agent that gathers its context adapts to one task at a time."""
        kind = "adapted" if self.adapted else "unadapted"
        if self.adapted and self.context == "online":
            kind = f"adapted-task-{self.tasks[0]}"
        return f"policies/seed-{self.seed}/{self.context}-{self.context_size}-{kind}.onnx"


@dataclass(frozen=True)
class Submission:
    """What was submitted."""

    folder: Path
    name: str
    authors: str
    url: str
    not_exported: str
    """Why there are no policies; empty where there are."""
    rows: pd.DataFrame
    configs: Mapping[int, Mapping[str, Any]]
    """By seed."""
    digests: Mapping[str, str]
    """SHA-256 of every file but verification.toml, by path."""

    def policy(self, file: PolicyFile) -> bytes:
        """The bytes of a policy; raises SubmissionError where they are not those that `digests` are of."""
        content = read_file(self.folder, file.path, POLICY_BYTES)
        if sha256(content) != self.digests[file.path]:
            raise SubmissionError(
                f"{self.folder / file.path} was changed while it was read. Verify it again."
            )
        return content


def read_submission(folder: Path, name: str | None = None) -> Submission:
    """Read a submission; `name` is what it must be called (default: as its folder).

    Raises SubmissionError or ResultError for anything that is not as it must be.
    """
    limits = list_files(folder)
    limits.pop(VERIFICATION, None)
    contents = {path: read_file(folder, path, limit) for path, limit in limits.items()}
    for needed in ("submission.toml", "rows.csv"):
        if needed not in contents:
            raise SubmissionError(f"{folder} has no {needed}. Make it by: python -m benchmark submit RUNS")
    about = _about(parse_toml(contents["submission.toml"], folder / "submission.toml"), folder)
    wanted = folder.resolve().name if name is None else name
    if about["name"] != wanted:
        raise SubmissionError(f"{folder} calls itself '{about['name']}': folder and name must be the same.")
    configs = {
        int(path.removeprefix("configs/seed-").removesuffix(".toml")): parse_toml(content, folder / path)
        for path, content in contents.items()
        if path.startswith("configs/")
    }
    rows = parse_rows(contents["rows.csv"], folder / "rows.csv")
    digests = {path: sha256(content) for path, content in contents.items()}
    submission = Submission(folder, **about, rows=rows, configs=configs, digests=digests)
    check_form(submission)
    _check_policies_are_there(submission)
    return submission


def _about(found: Mapping[str, Any], folder: Path) -> dict[str, str]:
    needed = {"format", "name", "authors", "url"}
    if set(found) - {"not_exported"} != needed or found["format"] != FORMAT:
        raise SubmissionError(
            f"{folder / 'submission.toml'} must have format = {FORMAT}, name, authors, url, and not_exported where "
            f"there are no policies; it has {ascii(sorted(found))[:200]}."
        )
    return {
        "name": check_name(found["name"]),
        "authors": check_authors(found["authors"]),
        "url": check_url(found["url"]),
        "not_exported": check_reason(found["not_exported"]) if "not_exported" in found else "",
    }


def check_form(submission: Submission) -> None:
    """Raise SubmissionError unless the runs are of one kind, and rows and configurations say the same of them."""
    rows, where = submission.rows, submission.folder
    for name in ONE_VALUE:
        if rows[name].nunique() > 1:
            raise SubmissionError(
                f"{where}: its rows have more than one {name} ({ascii(list(rows[name].unique()))[:200]}). The runs of "
                "a submission differ in their seeds alone: make a submission of each."
            )
    repeated = rows[rows.duplicated([*OF_A_CONTEXT, "seed", "task"])]
    if len(repeated):
        raise SubmissionError(
            f"{where}: seed {repeated.iloc[0]['seed']} has two rows of one task and context."
        )
    if sorted(submission.configs) != sorted(rows["seed"].unique()):
        raise SubmissionError(
            f"{where} has configurations of the seeds {sorted(submission.configs)}, and rows of the seeds "
            f"{sorted(int(seed) for seed in rows['seed'].unique())}."
        )
    for seed, config in submission.configs.items():
        _check_config(submission, seed, config)


def _check_config(submission: Submission, seed: int, config: Mapping[str, Any]) -> None:
    """Raise SubmissionError unless the configuration says what the rows say, and what the other seeds' say."""
    where = submission.folder / f"configs/seed-{seed}.toml"
    first = submission.rows.iloc[0]
    wanted = {key: first[column] for key, column in CONFIG.items()} | {"seed": seed}
    for key, value in wanted.items():
        if config.get(key) != value:
            raise SubmissionError(
                f"{where} has {key} = {ascii(config.get(key))[:80]}, but its rows have {value}."
            )
    reference = next(iter(submission.configs.values()))
    for key in sorted({*config, *reference} - {*OF_A_SEED}):
        if config.get(key) != reference.get(key):
            raise SubmissionError(
                f"{where} has another {ascii(key)} than the first seed's. The runs of a submission have the same "
                "budget and settings."
            )


def policy_files(rows: pd.DataFrame) -> list[PolicyFile]:
    """The files that hold all policies behind these rows."""
    found = []
    for _, part in rows.groupby(["seed", *OF_A_CONTEXT]):
        tasks = tuple(sorted(int(task) for task in part["task"]))
        groups = [(task,) for task in tasks] if part["context"].iloc[0] == "online" else [tasks]
        kind = int(part["seed"].iloc[0]), str(part["context"].iloc[0]), int(part["context_size"].iloc[0])
        found += [PolicyFile(*kind, group, True) for group in groups] + [PolicyFile(*kind, tasks, False)]
    return found


def _check_policies_are_there(submission: Submission) -> None:
    """Raise SubmissionError unless there are all policies or, with a reason, none; and no two seeds share one."""
    present = {path for path in submission.digests if path.startswith("policies/")}
    files = policy_files(submission.rows)
    expected = set() if submission.not_exported else {file.path for file in files}
    if present != expected:
        listed = ", ".join(sorted(present ^ expected)[:3])
        raise SubmissionError(
            f"{submission.folder} has policies that its rows do not name, or lacks some ({listed}). It must have all, "
            "or none and say why (not_exported)."
        )
    seeds: dict[str, int] = {}
    for file in files if expected else ():
        digest = submission.digests[file.path]
        if seeds.setdefault(digest, file.seed) != file.seed:
            raise SubmissionError(
                f"{submission.folder}: seeds {seeds[digest]} and {file.seed} have the very same policy, so they are "
                "not two runs."
            )


def read_submissions(folder: Path) -> tuple[Submission, ...]:
    """All submissions in the folder, by name; hidden folders are what a stopped `submit` left."""
    if not folder.exists():
        return ()
    return tuple(read_submission(one) for one in sorted(folder.iterdir()) if not one.name.startswith("."))
