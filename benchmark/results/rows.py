"""Result rows: one per (seed, test task, context source). Rows of different keys are never averaged together."""

import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import pandas as pd

from benchmark.errors import ResultError
from benchmark.files import write_text

KEY = (
    "family", "split", "data", "data_hash", "context", "context_size", "protocol", "mujoco",
    "algorithm", "algorithm_version", "settings", "steps",
)  # fmt: skip
"""What must be equal for rows to be averaged; seeds and test tasks are what is averaged over."""


@dataclass(frozen=True)
class ResultRow:
    """Returns are undiscounted means over the protocol's episodes."""

    family: str
    """Identity with version."""
    split: str
    data: str
    """Identity of the data set that was meta-trained on."""
    data_hash: str
    """SHA-256 of its content."""
    context: str
    """Source of the context."""
    context_size: int
    """Transitions of context."""
    protocol: int
    mujoco: str
    algorithm: str
    algorithm_version: int
    settings: str
    """Settings that differ from the method's defaults, `key=value` joined by `;`."""
    steps: int
    """Meta-training steps."""
    seed: int
    task: int
    """Number of the test task."""
    unadapted_return: float
    adapted_return: float
    score: float
    """100 (adapted - random) / (expert - random)."""
    random_return: float
    blind_return: float
    """Return on this task of the single train expert that is best on average over the test tasks."""
    expert_return: float


def normalised_score(value: float, random: float, expert: float) -> float:
    """100 (R - R_random) / (R_expert - R_random): the random policy scores 0 and the task's expert 100."""
    return 100.0 * (value - random) / (expert - random)


def as_frame(rows: Sequence[ResultRow]) -> pd.DataFrame:
    """Rows as a table, columns in the order of `ResultRow`."""
    return pd.DataFrame([asdict(row) for row in rows], columns=[field.name for field in fields(ResultRow)])


def write_table(path: Path, frame: pd.DataFrame) -> None:
    """Write any table of results as CSV in one step; returns and scores have three decimals."""
    buffer = io.StringIO()
    frame.to_csv(buffer, index=False, float_format="%.3f", lineterminator="\n")
    write_text(path, buffer.getvalue())


def read_rows(path: Path) -> pd.DataFrame:
    """Read a table of rows; raises ResultError if it is not one."""
    try:
        frame = pd.read_csv(
            path, dtype={"settings": str, "data_hash": str, "mujoco": str}, keep_default_na=False
        )
    except (OSError, ValueError) as error:
        raise ResultError(f"{path} cannot be read as result rows: {error}") from error
    names = [field.name for field in fields(ResultRow)]
    if list(frame.columns) != names:
        raise ResultError(f"{path} has the columns {list(frame.columns)}, but result rows have {names}.")
    for field in fields(ResultRow):
        if field.type is not str and not pd.api.types.is_numeric_dtype(frame[field.name]):
            raise ResultError(f"{path}: column {field.name} holds something that is not a number.")
    return frame
