"""Result rows: one per (seed, test task, context source). Rows of different keys are never averaged together."""

import io
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmark.errors import ResultError
from benchmark.files import write_text

KEY = (
    "family", "split", "data", "data_hash", "context", "context_size", "protocol", "mujoco",
    "algorithm", "algorithm_version", "settings", "steps", "online_steps",
)  # fmt: skip
"""What must be equal for rows to be averaged; seeds and test tasks are what is averaged over."""
OF_A_TEST = ("context", "context_size", "settings", "online_steps")
"""Columns of the key in which the tests of one run may differ; the first row's settings are the run's own."""
BELONGS_TO = {"data": "family", "data_hash": "data", "algorithm_version": "algorithm"}
"""Columns of the key whose values can be compared only where another column is the same."""

USUAL_DATA = "mixed"
"""The standard's data that go without saying."""


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
    """Transitions of context that were asked for; `online` gathers as many full episodes, less where they end early."""
    protocol: int
    mujoco: str
    algorithm: str
    algorithm_version: int
    settings: str
    """Settings that differ from the method's defaults, `key=value` joined by `;`."""
    steps: int
    """Meta-training steps."""
    online_steps: int
    """Environment steps of online fine-tuning in each test task; 0 in the standard protocol."""
    seed: int
    task: int
    """Number of the test task."""
    unadapted_return: float
    adapted_return: float
    score: float
    """100 (adapted - random) / (expert - random) of returns; where the family knows success, its rate in percent."""
    random_return: float
    blind_return: float
    """Return on this task of the single train expert that is best on average over the test tasks."""
    expert_return: float
    unadapted_success: float | None = None
    """Success rates, from 0 to 1, of the same episodes as the returns; None where the family does not know success."""
    adapted_success: float | None = None
    random_success: float | None = None
    blind_success: float | None = None
    expert_success: float | None = None


SUCCESSES = tuple(field.name for field in fields(ResultRow) if field.name.endswith("_success"))
"""Columns that a table has only where its families know success."""
TEXTS = tuple(field.name for field in fields(ResultRow) if field.type is str)
WHOLE_NUMBERS = tuple(field.name for field in fields(ResultRow) if field.type is int)


def normalised_score(value: float, random: float, expert: float) -> float:
    """100 (R - R_random) / (R_expert - R_random): the random policy scores 0 and the task's expert 100."""
    return 100.0 * (value - random) / (expert - random)


def as_frame(rows: Sequence[ResultRow]) -> pd.DataFrame:
    """Rows as a table, columns in the order of `ResultRow`; without those of success where no row has any."""
    frame = pd.DataFrame([asdict(row) for row in rows], columns=[field.name for field in fields(ResultRow)])
    return frame if frame["adapted_success"].notna().any() else frame.drop(columns=list(SUCCESSES))


def score_matrix(rows: pd.DataFrame, column: str = "score") -> NDArray[np.float64]:
    """Scores, or another column, (seed, task) of the rows of one key, seeds and tasks in rising order.

    Raises ResultError if the rows are of several keys, or if seeds were tested on different tasks.
    """
    keys = rows[list(KEY)].drop_duplicates()
    if len(keys) > 1:
        apart = ", ".join(name for name in KEY if keys[name].nunique() > 1)
        raise ResultError(
            f"rows that differ in {apart} have different keys and are never mixed: choose one key."
        )
    tasks = rows.groupby("seed")["task"].apply(lambda numbers: tuple(sorted(numbers)))
    if tasks.nunique() != 1:
        key = keys.to_dict("records")[0]
        raise ResultError(f"seeds of {key} were tested on different tasks: {tasks.to_dict()}")
    return rows.pivot(index="seed", columns="task", values=column).to_numpy(dtype=np.float64)


def data_label(data: str) -> str:
    """Such as `mixed` or `mixed-full` for the standard's data, and the whole identity for imported data."""
    return data.rpartition("/")[2].rpartition("-v")[0] if data.startswith("omrl/") else data


def to_show(frame: pd.DataFrame, columns: Iterable[str]) -> list[str]:
    """The `differing` ones, and the data wherever any are not the usual, lest they are mistaken for the standard's."""
    columns = list(columns)
    shown = set(differing(frame, columns))
    if (frame["data"].map(data_label) != USUAL_DATA).any():
        shown.add("data")
    return [name for name in columns if name in shown]


def differing(frame: pd.DataFrame, columns: Iterable[str]) -> list[str]:
    """Those columns of the key a reader must see to tell these rows apart.

    They are those of more than one value; for data and versions, of more than one in a family or for an algorithm.
    """

    def values(name: str) -> int:
        if name in BELONGS_TO:
            return int(frame.groupby(BELONGS_TO[name])[name].nunique().max())
        return frame[name].nunique()

    return [name for name in columns if values(name) > 1]


def table_text(frame: pd.DataFrame) -> str:
    """Any table of results as CSV; returns and scores have three decimals."""
    buffer = io.StringIO()
    frame.to_csv(buffer, index=False, float_format="%.3f", lineterminator="\n")
    return buffer.getvalue()


def write_table(path: Path, frame: pd.DataFrame) -> None:
    """Write any table of results as CSV in one step."""
    write_text(path, table_text(frame))


def read_rows(path: Path, text: str | None = None) -> pd.DataFrame:
    """Read a table of rows, from `text` where that was read already; raises ResultError if it is not one."""
    source = path if text is None else io.StringIO(text)
    try:
        frame = pd.read_csv(source, dtype=dict.fromkeys(TEXTS, str), keep_default_na=False)
    except (OSError, ValueError) as error:
        raise ResultError(f"{path} cannot be read as result rows: {error}") from error
    names = [field.name for field in fields(ResultRow)]
    least = [name for name in names if name not in SUCCESSES]
    if list(frame.columns) not in (names, least):
        raise ResultError(f"{path} has the columns {list(frame.columns)}, but result rows have {names}.")
    refuse_non_numbers(frame.drop(columns=list(TEXTS)), path)
    return frame


def refuse_non_numbers(frame: pd.DataFrame, path: Path) -> None:
    """Raise ResultError where a column read from `path` has no values, or one that is missing or not a number."""
    for name in frame.columns:
        if not pd.api.types.is_numeric_dtype(frame[name]) or frame[name].isna().any():
            raise ResultError(f"{path}: column {name} holds something that is not a number.")
    if frame.empty:
        raise ResultError(f"{path} has no rows.")
