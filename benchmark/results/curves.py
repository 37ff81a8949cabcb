"""Learning curves: collected from runs into `leaderboard/curves/<family>/<algorithm>.csv`, and drawn."""

from pathlib import Path

import pandas as pd

from benchmark.errors import ResultError
from benchmark.results.rows import KEY, read_rows, write_table

CURVE_KEY = [name for name in KEY if name != "steps"]
POINTS = ["step", "unadapted_return", "adapted_return", "score"]
REFERENCES = ["random_return", "blind_return", "expert_return"]
COLOURS = {"macaw": "#0072B2", "multitask-awr": "#E69F00", "meta-bc": "#009E73", "offline-pearl": "#CC79A7"}
"""One colour per method everywhere, told apart by the colour-blind too (Okabe and Ito's palette)."""


def add_curve(curves: Path, result: Path) -> Path:
    """Add the learning curve of the run whose `result.csv` this is; returns the file that holds it.

    A curve of the same key and seed is replaced. Raises ResultError where the run has no readable metrics.csv.
    """
    rows = read_rows(result)
    first = rows[rows["context"] == rows["context"].iloc[0]]
    try:
        metrics = pd.read_csv(result.with_name("metrics.csv"))[POINTS]
    except (OSError, ValueError, KeyError) as error:
        raise ResultError(
            f"{result.with_name('metrics.csv')} cannot be read as a learning curve: {error}"
        ) from error
    key = first[[*CURVE_KEY, "seed"]].iloc[0]
    new = metrics.assign(**key.to_dict(), **first[REFERENCES].mean().to_dict())
    new = new[[*CURVE_KEY, "seed", *POINTS, *REFERENCES]]
    path = curves / str(key["family"]).rpartition("-v")[0] / f"{key['algorithm']}.csv"
    if path.exists():
        old = read_curves(path)
        same = (old[[*CURVE_KEY, "seed"]] == key).all(axis=1)
        new = pd.concat([old[~same], new])
    write_table(path, new.sort_values([*CURVE_KEY, "seed", "step"], kind="stable"))
    return path


def read_curves(path: Path) -> pd.DataFrame:
    """Read a file of curves; raises ResultError if it is not one."""
    try:
        frame = pd.read_csv(
            path, dtype={"settings": str, "data_hash": str, "mujoco": str}, keep_default_na=False
        )
        return frame[[*CURVE_KEY, "seed", *POINTS, *REFERENCES]]
    except (OSError, ValueError, KeyError) as error:
        raise ResultError(f"{path} cannot be read as learning curves: {error}") from error


def draw_curves(curves: Path, picture: Path) -> None:
    """Draw, per family, the adapted return of every method over meta-training (PNG): mean and range of seeds.

    Only runs of split `standard`, context `mixed` and default settings are drawn.
    """
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    families = sorted(folder for folder in curves.iterdir() if folder.is_dir())
    with pyplot.rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        figure, axes = pyplot.subplots(1, len(families), figsize=(4.6 * len(families), 3.4), squeeze=False)
        for axis, family in zip(axes[0], families, strict=True):
            frame = pd.concat([read_curves(path) for path in sorted(family.glob("*.csv"))])
            chosen = (
                (frame["split"] == "standard") & (frame["context"] == "mixed") & (frame["settings"] == "")
            )
            _draw_family(axis, family.name, frame[chosen])
        figure.tight_layout()
        picture.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(picture, dpi=150, metadata={"Software": None})
        pyplot.close(figure)


def _draw_family(axis: "object", name: str, frame: pd.DataFrame) -> None:
    from matplotlib.axes import Axes

    assert isinstance(axis, Axes)
    for algorithm, part in frame.groupby("algorithm"):
        colour = COLOURS.get(str(algorithm), "#555555")
        seeds = part["seed"].nunique()
        adapted = part.groupby("step")["adapted_return"].agg(["mean", "min", "max"])
        axis.plot(adapted.index, adapted["mean"], color=colour, label=f"{algorithm}, adapted ({seeds} seeds)")
        axis.fill_between(adapted.index, adapted["min"], adapted["max"], color=colour, alpha=0.2, linewidth=0)
        unadapted = part.groupby("step")["unadapted_return"].mean()
        axis.plot(unadapted.index, unadapted, color=colour, linestyle=":", label=f"{algorithm}, un-adapted")
    for column, style in (("expert_return", "--"), ("blind_return", "-."), ("random_return", (0, (1, 3)))):
        label = column.removesuffix("_return")
        axis.axhline(frame[column].mean(), color="black", linewidth=0.8, linestyle=style, label=label)
    axis.set(title=name, xlabel="meta-training steps", ylabel="return, mean over test tasks")
    axis.legend(fontsize=7, frameon=False)
