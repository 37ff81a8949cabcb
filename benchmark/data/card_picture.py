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
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from benchmark.data.dataset import Dataset
from benchmark.data.references import SnapshotReturns
from benchmark.families.family import Array, Family

MANY_TASKS = 8
"""From this number of tasks on, a heat map takes the place of histograms."""
BINS = 60
SHOWN_TASKS = 6
FORWARD_VELOCITY = {"cheetah-dir": 8, "cheetah-vel": 8, "walker-params": 8, "hopper-params": 5}
"""Index of the root's forward velocity in the observation."""
PLANE_VELOCITY = {"ant-dir": 13, "humanoid-dir": 22}
"""Index of the torso's velocity in the plane, two numbers, where the place itself is not observed."""
PLACE = {"ant-goal": 0, "point-robot": 0}
"""Index of the place in the plane, two numbers."""
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
        if family.name in FORWARD_VELOCITY:
            _velocities(axes[1], family, data["expert"])
        elif family.name in {**PLANE_VELOCITY, **PLACE}:
            _paths(axes[1], family, data["expert"])
        elif family.has_success:
            _mean_success(axes[1], family, rows)
        else:
            axes[1].set_visible(False)
        if many:
            lower.colorbar(_scale(family), ax=axes, label="task", shrink=0.8, ticks=MaxNLocator(integer=True))
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
    axes[0].yaxis.set_major_locator(MaxNLocator(integer=True))
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


def _shown(family: Family) -> list[int]:
    """A few tasks, spread over all."""
    count = min(family.tasks, SHOWN_TASKS)
    return [int(task) for task in np.linspace(0, family.tasks - 1, count).round()]


def _velocities(axis: Axes, family: Family, expert: Dataset) -> None:
    """Forward velocity of the experts over an episode, mean of all episodes; target velocities as dashes."""
    colours, index = _colours(family), FORWARD_VELOCITY[family.name]
    times = np.arange(family.horizon + 1) * family.control_step
    for task in _shown(family):
        total, count = np.zeros(family.horizon + 1), np.zeros(family.horizon + 1)
        for number in expert.episodes_of_task(task):
            velocity = expert.episode(number)["observations"][:, index]
            total[: len(velocity)] += velocity
            count[: len(velocity)] += 1
        seen = count > 0  # an episode may end early
        axis.plot(times[seen], total[seen] / count[seen], color=colours[task], linewidth=1.2)
        if family.name == "cheetah-vel":
            axis.axhline(float(family.parameters[task]), color=colours[task], linestyle="--", linewidth=0.8)
    dashes = " (dashes: their targets)" if family.name == "cheetah-vel" else ""
    axis.set_title(f"what the experts do{dashes}")
    axis.set_xlabel("seconds")
    axis.set_ylabel("forward velocity in m/s")


def _paths(axis: Axes, family: Family, expert: Dataset) -> None:
    """Where the experts go in the plane in a few episodes; goals as crosses, headings as dashes."""
    colours, reach = _colours(family), 1.0
    for task in _shown(family):
        for number in list(expert.episodes_of_task(task))[:5]:
            path = _path(family, expert.episode(number)["observations"])
            reach = max(reach, float(np.abs(path).max()))
            axis.plot(path[:, 0], path[:, 1], color=colours[task], linewidth=0.8)
    for task in _shown(family):
        wanted = np.atleast_1d(family.parameters[task])
        if len(wanted) == 2:
            axis.plot(*wanted, "x", color=colours[task], markersize=7, markeredgewidth=2)
        else:
            end = reach * np.array([np.cos(wanted[0]), np.sin(wanted[0])])
            axis.plot([0, end[0]], [0, end[1]], "--", color=colours[task], linewidth=0.8)
    marks = "crosses: their goals" if family.name in PLACE else "dashes: their headings"
    axis.set_title(f"where the experts go ({marks})")
    axis.set_xlabel("x in m")
    axis.set_ylabel("y in m")
    axis.set_aspect("equal", adjustable="datalim")


def _path(family: Family, observations: NDArray[np.float32]) -> Array:
    """Places (step, 2) in the plane: as observed, or summed up from the velocity."""
    if family.name in PLACE:
        start = PLACE[family.name]
        return np.asarray(observations[:, start : start + 2], np.float64)
    start = PLANE_VELOCITY[family.name]
    velocity = observations[:, start : start + 2].astype(np.float64)
    return np.asarray(np.cumsum(velocity, axis=0) * family.control_step)
