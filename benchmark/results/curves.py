"""Learning curves: one run's from its `metrics.csv`, all runs' in `leaderboard/curves/`, and their picture."""

from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from benchmark.errors import ResultError
from benchmark.results.rows import KEY, differing, refuse_non_numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CURVE_KEY = [name for name in KEY if name not in ("steps", "online_steps")]
POINTS = ["step", "unadapted_return", "adapted_return", "score"]
REFERENCES = ["random_return", "blind_return", "expert_return"]
COLOURS = {"macaw": "#0072B2", "multitask-awr": "#E69F00", "meta-bc": "#009E73", "offline-pearl": "#CC79A7"}
"""One colour per method everywhere, told apart by the colour-blind too (Okabe and Ito's palette)."""
OTHER_COLOURS = ["#D55E00", "#56B4E9", "#555555", "#F0E442"]
"""For other methods, and for a second line of a method."""


@dataclass(frozen=True)
class Line:
    """The curves of one key, averaged over its seeds."""

    algorithm: str
    label: str
    """The algorithm, and what of its key differs from the other lines'."""
    seeds: int
    points: pd.DataFrame
    """Index `step`; mean, min and max of the adapted return, and the mean of the un-adapted one."""


def run_curve(result: Path, rows: pd.DataFrame) -> pd.DataFrame:
    """The learning curve of the run whose `result.csv` holds these rows.

    Raises ResultError where the run has no readable metrics.csv, or where that does not end at the rows' step.
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
    return new[[*CURVE_KEY, "seed", *POINTS, *REFERENCES]]


def with_curve(curves: pd.DataFrame | None, new: pd.DataFrame) -> pd.DataFrame:
    """All curves with a run's; one of the same key and seed is replaced."""
    if curves is not None:
        same = (curves[[*CURVE_KEY, "seed"]] == new[[*CURVE_KEY, "seed"]].iloc[0]).all(axis=1)
        new = pd.concat([curves[~same], new])
    return new.sort_values([*CURVE_KEY, "seed", "step"], kind="stable")


def read_curves(path: Path) -> pd.DataFrame:
    """Read a file of curves; raises ResultError if it is not one."""
    try:
        frame = pd.read_csv(
            path, dtype={"settings": str, "data_hash": str, "mujoco": str}, keep_default_na=False
        )
        frame = frame[[*CURVE_KEY, "seed", *POINTS, *REFERENCES]]
    except (OSError, ValueError, KeyError) as error:
        raise ResultError(f"{path} cannot be read as learning curves: {error}") from error
    refuse_non_numbers(frame[["seed", *POINTS, *REFERENCES]], path)
    return frame


def lines(frame: pd.DataFrame) -> list[Line]:
    """One line per key: curves of different keys are never averaged together, and labels say what differs."""
    shown = differing(frame, [name for name in CURVE_KEY if name != "algorithm"])
    found = []
    for key, part in frame.groupby(CURVE_KEY):
        values = dict(zip(CURVE_KEY, key, strict=True)) | {"data_hash": part["data_hash"].iloc[0][:12]}
        by_step = part.groupby("step")
        points = by_step["adapted_return"].agg(["mean", "min", "max"])
        points["unadapted"] = by_step["unadapted_return"].mean()
        label = ", ".join(
            [str(values["algorithm"]), *(f"{name} {values[name] or 'default'}" for name in shown)]
        )
        found.append(Line(str(values["algorithm"]), label, part["seed"].nunique(), points))
    return found


def draw_curves(files: list[Path], picture: Path) -> None:
    """Draw, per family, the adapted return of every method over meta-training (PNG): mean and range of seeds.

    Only runs of split `standard`, context `mixed` and default settings are drawn; a family without any says so.
    """
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    frame = pd.concat([read_curves(path) for path in files])
    families = dict(list(frame.groupby("family")))
    with pyplot.rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        figure, axes = pyplot.subplots(1, len(families), figsize=(4.6 * len(families), 3.4), squeeze=False)
        for axis, (name, part) in zip(axes[0], families.items(), strict=True):
            _draw_family(axis, str(name), part)
        figure.tight_layout()
        picture.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(picture, dpi=150, metadata={"Software": None})
        pyplot.close(figure)


def _draw_family(axis: "Axes", name: str, frame: pd.DataFrame) -> None:
    frame = frame[(frame["split"] == "standard") & (frame["context"] == "mixed") & (frame["settings"] == "")]
    axis.set(title=name, xlabel="meta-training steps", ylabel="return, mean over test tasks")
    if frame.empty:
        note = "no run of split standard, context mixed\nand default settings"
        axis.text(0.5, 0.5, note, ha="center", va="center", transform=axis.transAxes)
        return
    colours, others = dict(COLOURS), cycle(OTHER_COLOURS)
    for line in lines(frame):
        colour, points = colours.pop(line.algorithm, None) or next(others), line.points
        label = f"{line.label}, adapted ({line.seeds} seeds)"
        axis.plot(points.index, points["mean"], color=colour, label=label)
        axis.fill_between(points.index, points["min"], points["max"], color=colour, alpha=0.2, linewidth=0)
        axis.plot(
            points.index, points["unadapted"], color=colour, linestyle=":", label=f"{line.label}, un-adapted"
        )
    for column, style in (("expert_return", "--"), ("blind_return", "-."), ("random_return", (0, (1, 3)))):
        label = column.removesuffix("_return")
        for value in frame[column].unique():
            axis.axhline(value, color="black", linewidth=0.8, linestyle=style, label=label)
            label = "_"  # one entry in the legend
    axis.legend(fontsize=7, frameon=False)
