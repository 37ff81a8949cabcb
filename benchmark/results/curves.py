"""Learning curves: one run's from its `metrics.csv`, all runs' in `leaderboard/curves/`."""

import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmark.errors import ResultError
from benchmark.results.rows import KEY, TEXTS, refuse_non_numbers

CURVE_KEY = [name for name in KEY if name not in ("steps", "online_steps")]
POINTS = ["step", "unadapted_return", "adapted_return", "score"]
REFERENCES = ["random_return", "blind_return", "expert_return"]
SECONDS, MEMORY, DEVICE = "seconds", "peak_memory_mib", "device"
TIMING = [SECONDS, MEMORY, DEVICE]
"""Wall-clock since the run began, evaluations included; the process's peak memory by then; and where it was trained,
`cpu` or `cuda`: columns of files with a run that has a `timing.csv`, empty at steps that were not timed."""
PROCESSOR = "cpu"
LAST_TESTS = 10
"""Tests at the end of a curve that are averaged over where a single one may be luck."""


def run_curve(result: Path, rows: pd.DataFrame) -> pd.DataFrame:
    """The learning curve of the run whose `result.csv` holds these rows.

    Raises ResultError where the run has no readable metrics.csv, where that does not end at the rows' step, or where
    there is a timing.csv that cannot be read.
    """
    path = result.with_name("metrics.csv")
    try:
        metrics = pd.read_csv(path)[POINTS]
    except (OSError, ValueError, KeyError) as error:
        raise ResultError(f"{path} cannot be read as a learning curve: {error}") from error
    refuse_non_numbers(metrics, path)
    first, last = rows.iloc[0], metrics["step"].iloc[-1]
    if last != first["steps"]:
        raise ResultError(
            f"{path} ends at step {last}, but the rows of {result} were made at step {first['steps']}: "
            "the run was extended and is not finished. Go on with it by --resume."
        )
    same = (rows[[*KEY]] == first[[*KEY]]).all(axis=1)
    new = metrics.assign(**{name: first[name] for name in (*CURVE_KEY, "seed")})
    new = new.assign(**{name: rows.loc[same, name].mean() for name in REFERENCES})
    return _with_timing(new[[*CURVE_KEY, "seed", *POINTS, *REFERENCES]], result.with_name("timing.csv"))


def _with_timing(curve: pd.DataFrame, path: Path) -> pd.DataFrame:
    """The curve with wall-clock and memory of its steps, and the device, where the run has any."""
    if not path.exists():
        return curve
    try:
        timing = pd.read_csv(path)[["step", SECONDS, MEMORY]]
    except pd.errors.EmptyDataError:  # a run shorter than the steps between two evaluations
        return curve
    except (OSError, ValueError, KeyError) as error:
        raise ResultError(
            f"{path} cannot be read as the run's timing: {error}. Mend or remove it; without it the run is added "
            "without its wall-clock."
        ) from error
    refuse_non_numbers(timing, path)
    timing = timing.drop_duplicates("step", keep="last").set_index("step")
    timed = {name: curve["step"].map(timing[name]) for name in (SECONDS, MEMORY)}
    return curve.assign(**timed, **{DEVICE: _device(path.with_name("config.toml"))})


def _device(path: Path) -> str:
    """Where the run of this configuration was trained; raises ResultError where it cannot be read."""
    try:
        return str(tomllib.loads(path.read_text(encoding="utf-8")).get("device", PROCESSOR))
    except (OSError, ValueError) as error:
        raise ResultError(f"{path} cannot be read: {error}") from error


def with_curve(curves: pd.DataFrame | None, new: pd.DataFrame) -> pd.DataFrame:
    """All curves with a run's; one of the same key and seed is replaced, unless it is the longer part of the run."""
    if curves is not None:
        same = (curves[[*CURVE_KEY, "seed"]] == new[[*CURVE_KEY, "seed"]].iloc[0]).all(axis=1)
        if curves.loc[same, "step"].max() > new["step"].max():
            return curves
        new = pd.concat([curves[~same], new])
        columns = [*CURVE_KEY, "seed", *POINTS, *REFERENCES, *TIMING]
        new = new[[name for name in columns if name in new]]
    return new.sort_values([*CURVE_KEY, "seed", "step"], kind="stable")


def last_scores(curves: pd.DataFrame, rows: pd.DataFrame) -> NDArray[np.float64] | None:
    """The mean score (seed,) of the last `LAST_TESTS` tests that each seed of a result had while it was trained.

    None where the result is of another context than the curves or of learning on online, or where a curve is not twice
    as long as that: the mean would reach back to where a method begins.
    """
    first = rows.iloc[0]
    if first["online_steps"]:
        return None
    same = (curves[[*CURVE_KEY]] == first[[*CURVE_KEY]]).all(axis=1) & (curves["step"] <= first["steps"])
    found = []
    for seed in sorted(rows["seed"].unique()):
        curve = curves[same & (curves["seed"] == seed)].sort_values("step")
        if len(curve) < 2 * LAST_TESTS or curve["step"].iloc[-1] != first["steps"]:
            return None
        found.append(curve["score"].tail(LAST_TESTS).mean())
    return np.array(found)


def read_curves(path: Path) -> pd.DataFrame:
    """Read a file of curves; raises ResultError if it is not one."""
    try:
        frame = pd.read_csv(path, dtype=dict.fromkeys(TEXTS, str), keep_default_na=False)
        timed = [name for name in TIMING if name in frame]
        frame = frame[[*CURVE_KEY, "seed", *POINTS, *REFERENCES, *timed]]
        numbers = [name for name in timed if name != DEVICE]
        frame = frame.assign(**{name: pd.to_numeric(frame[name].replace("", None)) for name in numbers})
    except (OSError, ValueError, KeyError) as error:
        raise ResultError(f"{path} cannot be read as learning curves: {error}") from error
    refuse_non_numbers(frame[["seed", *POINTS, *REFERENCES]], path)
    return frame
