"""The picture of a data card: returns per task and tier, the training life, and what the experts do."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize, PowerNorm
from matplotlib.figure import Figure, SubFigure

from benchmark.data.dataset import Dataset
from benchmark.data.references import SnapshotReturns
from benchmark.families.cheetah import CheetahVelocity, HalfCheetah
from benchmark.families.family import Array, Family

MANY_TASKS = 8
"""From this number of tasks on, a heat map takes the place of histograms."""
BINS = 60
FORWARD_VELOCITY = 8
"""Index of the root's forward velocity in the observation of a half-cheetah."""
COLOURS = {"mixed": "#000000", "random": "#D55E00", "medium": "#E69F00", "expert": "#0072B2"}
"""One colour per tier, told apart by the colour-blind too (Okabe and Ito's palette)."""
STYLE: dict[Any, Any] = {
    "font.size": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9,
}


def draw(family: Family, data: Mapping[str, Dataset], rows: Sequence[SnapshotReturns], path: Path) -> None:
    """Write the picture (PNG) of these data sets, by tier, and of the returns of the snapshots."""
    with rc_context(STYLE):
        many = family.tasks >= MANY_TASKS
        figure = Figure(figsize=(10, 9 if many else 7), layout="constrained")
        figure.suptitle(f"{family.id}; task parameter: {family.parameter}", fontsize=9)
        panels: Any = figure.subfigures(2, 1, height_ratios=[1.5, 1] if many else [1, 1])
        upper, lower = panels
        (_heat_maps if many else _histograms)(upper, family, data)
        axes = lower.subplots(1, 2)
        (_levels if family.has_success else _life)(axes[0], family, rows)
        if isinstance(family, HalfCheetah):
            _velocities(axes[1], family, data["expert"])
        elif family.has_success:
            _mean_success(axes[1], family, rows)
        else:
            axes[1].set_visible(False)
        if many:
            lower.colorbar(_scale(family), ax=axes, label="task", shrink=0.8)
        else:
            axes[0].legend(frameon=False)
        figure.savefig(path, format="png", dpi=110)


def _edges(data: Mapping[str, Dataset]) -> Array:
    returns = np.concatenate([one.episode_returns() for one in data.values()])
    edges: Array = np.linspace(returns.min(), returns.max(), BINS + 1)
    return edges


def _heat_maps(figure: SubFigure, family: Family, data: Mapping[str, Dataset]) -> None:
    """One panel per tier: a line per task, the share of its episodes in each range of returns as colour."""
    edges = _edges(data)
    axes = figure.subplots(1, len(data), sharex=True, sharey=True, squeeze=False)[0]
    for axis, (tier, one) in zip(axes, data.items(), strict=True):
        returns = one.episode_returns()
        shares = np.stack([np.histogram(returns[one.tasks == t], edges)[0] for t in range(family.tasks)])
        shares = np.where(shares > 0, shares / shares.sum(1, keepdims=True), np.nan)
        extent = (edges[0], edges[-1], family.tasks - 0.5, -0.5)
        image = axis.imshow(
            shares,
            aspect="auto",
            extent=extent,
            cmap="magma_r",
            norm=PowerNorm(0.5, 0, 1),
            interpolation="none",
        )
        axis.set_title(tier)
        axis.set_xlabel("return of an episode")
    axes[0].set_ylabel("task")
    figure.colorbar(image, ax=axes, label="share of the task's episodes", shrink=0.8)


def _histograms(figure: SubFigure, family: Family, data: Mapping[str, Dataset]) -> None:
    """One panel per task: the returns of its episodes in each tier."""
    edges = _edges(data)
    axes = figure.subplots(1, family.tasks, sharey=True)
    for task, axis in enumerate(axes):
        for tier, one in data.items():
            returns = one.episode_returns()[one.tasks == task]
            weights = np.full(len(returns), 1 / len(returns))
            style = {"color": COLOURS[tier], "label": tier, "linewidth": 1.4}
            axis.hist(returns, edges, weights=weights, histtype="step", **style)
        axis.set_title(_label(family, task))
        axis.set_xlabel("return of an episode")
    axes[0].set_ylabel("share of episodes")
    axes[-1].legend(frameon=False)


def _label(family: Family, task: int) -> str:
    return f"task {task}: {family.task_text(task)}"


def _scale(family: Family) -> ScalarMappable:
    """Colours of the tasks, without the palest, which white paper swallows."""
    palette = ListedColormap(colormaps["viridis"](np.linspace(0, 0.88, 256)))
    return ScalarMappable(Normalize(0, family.tasks - 1), palette)


def _colours(family: Family) -> list[Any]:
    return list(_scale(family).to_rgba(np.arange(family.tasks)))


def _life(axis: Axes, family: Family, rows: Sequence[SnapshotReturns]) -> None:
    """Return of each task's stochastic behaviour over its training."""
    for task, colour in enumerate(_colours(family)):
        own = [row for row in rows if row.task == task]
        steps = [row.step / 1000 for row in own]
        style = {
            "color": colour,
            "label": _label(family, task),
            "linewidth": 1,
            "marker": ".",
            "markersize": 3,
        }
        axis.plot(steps, [row.stochastic_return for row in own], **style)
    axis.set_title("behaviour over its training life")
    axis.set_xlabel("thousand environment steps")
    axis.set_ylabel("mean return")


def _levels(axis: Axes, family: Family, rows: Sequence[SnapshotReturns]) -> None:
    """Return of each task's scripted behaviour over its levels."""
    for task, colour in enumerate(_colours(family)):
        own = [row for row in rows if row.task == task]
        levels, returns = [row.snapshot for row in own], [row.stochastic_return for row in own]
        label = _label(family, task)
        axis.plot(levels, returns, color=colour, label=label, linewidth=1, marker=".", markersize=3)
    axis.set_title("behaviour, from random actions (-1) to the expert")
    axis.set_xlabel("level")
    axis.set_ylabel("mean return")


def _mean_success(axis: Axes, family: Family, rows: Sequence[SnapshotReturns]) -> None:
    """Success rate over the levels: mean of the train tasks, and every test task."""
    split, levels = family.split("standard"), sorted({row.snapshot for row in rows})
    rates = {(row.task, row.snapshot): row.stochastic_success or 0.0 for row in rows}
    means = [np.mean([rates[task, level] for task in split.train]) for level in levels]
    axis.plot(levels, means, color="black", linewidth=2, label="train tasks, mean")
    for task in split.test:
        axis.plot(levels, [rates[task, level] for level in levels], linewidth=1, label=family.task_text(task))
    axis.set_title("success rate of the test tasks, and of the train tasks on average")
    axis.set_xlabel("level")
    axis.legend(frameon=False, fontsize=6)


def _velocities(axis: Axes, family: HalfCheetah, expert: Dataset) -> None:
    """Forward velocity of the experts over an episode, mean of all episodes; target velocities as dashes."""
    count = min(family.tasks, 6)
    colours = _colours(family)
    shown = np.linspace(0, family.tasks - 1, count).round().astype(int)
    times = np.arange(family.horizon + 1) * family.control_step
    for task in shown:
        episodes = [expert.episode(number)["observations"] for number in expert.episodes_of_task(int(task))]
        velocity = np.mean([episode[:, FORWARD_VELOCITY] for episode in episodes], axis=0)
        axis.plot(times, velocity, color=colours[task], linewidth=1.2)
        if isinstance(family, CheetahVelocity):
            axis.axhline(float(family.parameters[task]), color=colours[task], linestyle="--", linewidth=0.8)
    dashes = " (dashes: their targets)" if isinstance(family, CheetahVelocity) else ""
    axis.set_title(f"what the experts do{dashes}")
    axis.set_xlabel("seconds")
    axis.set_ylabel("forward velocity in m/s")
