"""How far a planned run is, by what lies in its folder; nothing is trained or opened for it."""

import json
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from benchmark import families
from benchmark.data import catalog
from benchmark.data.dataset import dataset_id
from benchmark.errors import DataError, ResultError, RunError
from benchmark.results.rows import read_rows
from benchmark.run_config import as_toml, differences
from benchmark.sweep.plan import PlannedRun

State = Literal["finished", "unfinished", "missing"]


@dataclass(frozen=True)
class Standing:
    """Where a run stands."""

    state: State
    step: int
    """Of its last checkpoint; all steps where it is finished."""


@dataclass(frozen=True)
class Outcome:
    """What a finished run tells of itself."""

    adapted_return: float
    """Mean over the test tasks, with the first context."""
    score: float
    seconds: float
    """Wall-clock of training, evaluations included; NaN where none was timed."""
    peak_memory_mib: float


def standing(run: PlannedRun) -> Standing:
    """How far the run is.

    Raises RunError where another run lies in its folder, or one that is longer than asked for, or it cannot be read
    whose run lies there; ResultError where it is this run, but its result cannot be read.
    """
    stored = _stored(run.folder)
    if stored is None:
        return Standing("missing", 0)
    wanted = tomllib.loads(
        as_toml({**run.config.full_identity(run.kind, run.settings), **_data_identity(run)})
    )
    different = differences({key: stored.get(key) for key in wanted}, wanted)
    if different:
        raise RunError(
            f"{run.folder} holds another run ({'; '.join(different)}); nothing was changed. Choose another --out, or "
            "move it away."
        )
    step, asked = reached(run), run.config.steps
    if step > asked:
        raise RunError(
            f"{run.folder} has already done {step} steps, more than the {asked} asked for; nothing was changed. Raise "
            "steps, or choose another --out."
        )
    return Standing("finished", asked) if _has_result(run) else Standing("unfinished", step)


def reached(run: PlannedRun) -> int:
    """Steps of the run's last checkpoint, 0 where there is none that can be read: the run itself says what is wrong."""
    try:
        return int(json.loads((run.folder / "checkpoint" / "latest.json").read_text())["step"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def outcome(run: PlannedRun) -> Outcome:
    """What a finished run reached; raises ResultError where its rows cannot be read."""
    rows = _rows(run.folder / "result.csv")
    first, own = run.config.contexts[0], rows["settings"] == rows["settings"].iloc[0]
    rows = rows[own & (rows["context"] == first.source) & (rows["context_size"] == first.size)]
    rows = rows[rows["online_steps"] == rows["online_steps"].max()]
    try:
        last = pd.read_csv(run.folder / "timing.csv").iloc[-1]
        seconds, memory = float(last["seconds"]), float(last["peak_memory_mib"])
    except (OSError, ValueError, KeyError, IndexError):  # the run was shorter than the first evaluation
        seconds = memory = float("nan")
    return Outcome(float(rows["adapted_return"].mean()), float(rows["score"].mean()), seconds, memory)


def _stored(folder: Path) -> dict[str, Any] | None:
    """What config.toml says of the run in the folder; None where there is no run."""
    path = folder / "config.toml"
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if (folder / "result.csv").exists() or (folder / "checkpoint").exists():
            raise RunError(
                f"{folder} holds what is left of a run without its config.toml. Choose another --out, or move it away; "
                "`run --resume` with the same options takes up a checkpoint that lies there."
            ) from None
        return None
    except (OSError, ValueError) as error:
        raise RunError(
            f"{path} cannot be read ({error}). Choose another --out, or delete {folder}."
        ) from error


def _data_identity(run: PlannedRun) -> dict[str, str]:
    """Which data the run is trained on, as far as that is known without opening them."""
    if run.data:
        return {"data": run.data}
    family = families.family(run.config.family)
    here = {"data": dataset_id(family, run.config.tier, run.config.size)}
    try:
        return here | {"data_hash": catalog.expected_hash(family, run.config.tier, run.config.size)}
    except DataError:  # not in the standard yet: opening them says so
        return here


def _has_result(run: PlannedRun) -> bool:
    """Whether there are rows of all steps and of every context that is asked for; there may be more."""
    path = run.folder / "result.csv"
    if not path.exists():
        return False
    rows = _rows(path)
    contexts = set(zip(rows["context"], rows["context_size"], strict=True))
    asked = {(one.source, one.size) for one in run.config.contexts}
    learned_on = not run.config.online or bool(rows["online_steps"].any())
    return bool((rows["steps"] == run.config.steps).all()) and asked <= contexts and learned_on


def _rows(path: Path) -> pd.DataFrame:
    try:
        return read_rows(path)
    except ResultError as error:
        raise ResultError(f"{error} Delete {path}: the same command makes it again.") from error
