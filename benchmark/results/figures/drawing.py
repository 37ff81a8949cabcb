"""Draws a figure from its table. Files are the same byte for byte: no dates, fixed identifiers, the shipped font."""

import math
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.style import context
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

from benchmark.files import replacing
from benchmark.results.figures.figure import Figure
from benchmark.results.style import Look, looks

WIDTH = 3.35
"""Inches of one column of a two-column paper: all pictures are made for it, and can be read there."""
PANEL_HEIGHT = 1.45
DOTS_PER_INCH = 300
SMALL = 5.5
"""Points of the smallest text."""
LINE = 1.2 * SMALL
"""Points from one line of it to the next."""
STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans", "font.size": 6.5, "axes.titlesize": 7, "axes.labelsize": 6.5,
    "xtick.labelsize": 6, "ytick.labelsize": 6, "legend.fontsize": 6, "legend.frameon": False,
    "axes.spines.top": False, "axes.spines.right": False, "axes.linewidth": 0.6, "axes.ymargin": 0.12,
    "lines.linewidth": 1.1, "lines.markersize": 3, "xtick.major.width": 0.6, "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5, "xtick.minor.size": 1.5, "ytick.minor.size": 1.5, "svg.hashsalt": "figures",
    "svg.fonttype": "path", "text.parse_math": False,
}  # fmt: skip
GREY = "#767676"
MINUS = "\N{MINUS SIGN}"
FEW_POINTS = 12
"""Up to so many points of a line are marked."""
OTHER_LINES: dict[str, tuple[str, dict[str, Any]]] = {
    "un-adapted": ("un-adapted", {"linestyle": (0, (1, 1.5)), "linewidth": 0.7}),
    "published": ("published", {"linestyle": (0, (5, 2)), "linewidth": 0.8}),
    "older run": ("published, an older run", {"linestyle": (0, (5, 2, 1, 2)), "linewidth": 0.8}),
    "reference": ("reference", {"linestyle": (0, (1, 3)), "linewidth": 0.7}),
}
"""Kinds of lines that are not a series: their name in the legend, and how they are drawn."""
CLOSE = 0.12
"""Share of a panel's height within which a label would touch the next one's line, and is put under its own."""
AT_A_PLACE: dict[str, Any] = {"linestyle": "", "marker": "_", "markersize": 9, "markeredgewidth": 1.2}
"""How a published value is drawn on an axis of names."""
OF_A_SEED: dict[str, Any] = {"linestyle": "", "marker": ".", "markersize": 3, "alpha": 0.6}
"""How one seed's value is drawn, at a point that is the mean of two."""
Looks: TypeAlias = tuple[Mapping[str, Look], Mapping[str, str]]
"""Of the series, and the colours of the methods."""
LONGEST_ENTRY = 32
"""Characters of a legend's entry in one line: two of them fit beside each other."""
LEVEL_NAMES = 24
"""Characters that the names on an axis may have together to stand level below a panel."""


def save(canvas: Canvas, folder: Path, name: str) -> None:
    """Write the picture as SVG and PNG."""
    for kind, metadata in (("svg", {"Date": None, "Creator": None}), ("png", {"Software": None})):
        with replacing(folder / f"{name}.{kind}") as path:
            canvas.savefig(path, format=kind, dpi=DOTS_PER_INCH, metadata=metadata)


def style() -> Any:
    """The one style of all pictures, as a context; it starts from matplotlib's defaults, not from the user's file."""
    return context(["default", STYLE])


def draw(figure: Figure, table: pd.DataFrame, colours: Mapping[str, str]) -> Canvas:
    """The picture of this table, within `style()`; `colours` are the methods'."""
    panels = dict(list(table.groupby("panel", sort=False)))
    columns = min(len(panels), 2)
    lines = -(-len(panels) // columns)
    measured = table[table["kind"] == "line"]
    drawn = looks(dict(zip(measured["series"], measured["algorithm"], strict=True)), colours)
    height = PANEL_HEIGHT if columns > 1 else 1.4 * PANEL_HEIGHT
    remarks = [_remarks(part, columns) for part in panels.values() if not part["y"].isna().all()]
    above = LINE / 72 * max((text.count("\n") + 1 for text in remarks if text), default=0)
    canvas = Canvas(figsize=(WIDTH, 0.65 + lines * (height + above)), layout="constrained")
    axes = canvas.subplots(lines, columns, squeeze=False).flatten()
    for axis, (name, part) in zip(axes, panels.items(), strict=False):
        _panel(axis, figure, str(name), part, (drawn, colours))
    for axis in axes[len(panels) :]:
        axis.set_visible(False)
    seeds = "; small dots: single seeds" * bool((table["kind"] == "seed").any())
    below = (
        f"{figure.x_label}\n({figure.conditions};\n95 % intervals over seeds, where there are three{seeds})"
    )
    canvas.supxlabel(below, fontsize=6, linespacing=1.15)
    canvas.supylabel(figure.y_label, fontsize=6.5)
    handles = _legend(figure, table, (drawn, colours))
    if handles:
        columns = 2 if max(len(str(one.get_label())) for one in handles) > 21 else 3
        for one in handles:
            one.set_label(textwrap.fill(str(one.get_label()), LONGEST_ENTRY, break_on_hyphens=False))
        canvas.legend(handles=handles, loc="outside upper center", ncols=columns, columnspacing=1.2)
    canvas.draw_without_rendering()
    canvas.set_layout_engine("none")  # laid out once for both files
    return canvas


def _legend(figure: Figure, table: pd.DataFrame, looked: Looks) -> list[Line2D]:
    """One entry per series, per method of which there are published values alone, and per kind of other line."""
    drawn, colours = looked
    handles = [
        Line2D([], [], color=one.colour, linestyle=one.dashes, marker=one.marker, markevery=[0], label=label)
        for label, one in drawn.items()
    ]
    if figure.x_scale == "category":
        published, own = (
            set(table.loc[table["kind"] == kind, "algorithm"]) for kind in ("published", "line")
        )
        handles += [
            Line2D([], [], color=colours[name], label=name, **AT_A_PLACE) for name in sorted(published - own)
        ]
    kinds = set(table["kind"])
    return handles + [
        Line2D([], [], color=GREY, label=label, **(looked if figure.x_scale != "category" else AT_A_PLACE))
        for kind, (label, looked) in OTHER_LINES.items()
        if kind in kinds - {"reference"}  # these have their name beside them
    ]


def _panel(axis: Axes, figure: Figure, name: str, part: pd.DataFrame, looked: Looks) -> None:
    columns = 1 if len(axis.figure.axes) == 1 else 2
    _title(axis, name, part, _remarks(part, columns))
    if part["y"].isna().all():
        return
    places = _places(figure, part)
    if places:
        long = sum(map(len, places)) > LEVEL_NAMES
        axis.set_xticks(list(places.values()), list(places), rotation=40 if long else 0,
                        ha="right" if long else "center", rotation_mode="anchor" if long else "default")  # fmt: skip
        axis.set_xlim(-0.5, len(places) - 0.5)
    elif figure.x_scale == "log" and (part["kind"] == "line").any():
        axis.set_xscale("log")
    lines = list(part[part["kind"].isin(["line", "un-adapted"])].groupby(["kind", "series"], sort=False))
    for number, ((kind, series), rows) in enumerate(lines):
        xs = [places[x] for x in rows["x"]] if places else rows["x"].astype(float)
        # beside each other, that none hides another
        room = (0.25 if figure.joined else 0.5) if places else 0.0
        shift = room * ((number + 0.5) / len(lines) - 0.5)
        look = looked[0][str(series)]
        _line(axis, [x + shift for x in xs], rows, kind == "line", look, figure)
        seeds = part[(part["kind"] == "seed") & (part["series"] == series)]
        if kind == "line" and len(seeds):
            axis.plot([places[x] + shift for x in seeds["x"]], seeds["y"], color=look.colour, **OF_A_SEED)
    _marks(axis, part, places, looked[1])
    axis.set_ylim(figure.y_limits)
    axis.yaxis.set_major_locator(MaxNLocator(5))
    if not places:
        axis.xaxis.set_major_formatter(FuncFormatter(_short))
        axis.xaxis.set_minor_formatter(NullFormatter())
        if axis.get_xscale() == "log" and len(lines) and not _spans_a_decade(part):
            axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    if not lines and not places:
        axis.set_xticks([])
        axis.xaxis.set_minor_locator(NullLocator())


def _spans_a_decade(part: pd.DataFrame) -> bool:
    """Whether the lines run from one power of ten beyond the next one, so that both have a tick."""
    xs = part.loc[part["kind"] == "line", "x"].astype(float)
    return math.floor(math.log10(xs.max())) > math.ceil(math.log10(xs.min()))


def _remarks(part: pd.DataFrame, columns: int) -> str:
    """What is missing in a panel, in lines as long as it is wide."""
    width = 76 if columns == 1 else 28
    remarks = part.loc[part["kind"] == "missing", "series"]
    return "\n".join(textwrap.fill(one, width, break_on_hyphens=False) for one in remarks)


def _title(axis: Axes, name: str, part: pd.DataFrame, text: str) -> None:
    """The panel's name and below it the remarks; in the middle of the panel where they are all there is."""
    looked: dict[str, Any] = {
        "transform": axis.transAxes, "fontsize": SMALL, "color": GREY, "linespacing": 1.1, "in_layout": False,
    }  # fmt: skip
    if part["y"].isna().all():
        axis.set_title(name, loc="left")
        axis.text(0.5, 0.5, text, ha="center", va="center", **looked)
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set(visible=True, color="#cccccc")
    else:
        axis.set_title(name, loc="left", pad=3 + LINE * (text.count("\n") + 1 if text else 0))
        axis.text(0, 1.02, text, va="bottom", **looked)


def _short(value: float, position: int | None = None) -> str:
    """A tick's label: 10k for 10000, whose digits would take the room of two ticks."""
    text = f"{value / 1000:g}k" if abs(value) >= 1000 else f"{value:g}"
    return text.replace("-", MINUS)


def _places(figure: Figure, part: pd.DataFrame) -> dict[str, int]:
    """Where the names of an axis of names lie."""
    if figure.x_scale != "category":
        return {}
    names = figure.categories or tuple(dict.fromkeys(part.loc[part["x"] != "", "x"]))
    return {name: place for place, name in enumerate(names)}


def _line(
    axis: Axes, xs: Sequence[float], rows: pd.DataFrame, adapted: bool, look: Look, figure: Figure
) -> None:
    """A series with its interval: a band along a line, bars at points of an axis of names."""
    if not adapted:
        axis.plot(xs, rows["y"], color=look.colour, linewidth=0.7, linestyle=(0, (1, 1.5)))
        return
    few = len(rows) <= FEW_POINTS
    axis.plot(
        xs, rows["y"], color=look.colour, linestyle=look.dashes if figure.joined else "",
        marker=look.marker if few else "",
    )  # fmt: skip
    if figure.x_scale == "category":
        below, above = rows["y"] - rows["low"], rows["high"] - rows["y"]
        axis.errorbar(
            xs, rows["y"], [below, above], fmt="none", ecolor=look.colour, elinewidth=0.8, capsize=1.5
        )
    else:
        axis.fill_between(xs, rows["low"], rows["high"], color=look.colour, alpha=0.18, linewidth=0)


def _marks(axis: Axes, part: pd.DataFrame, places: Mapping[str, int], colours: Mapping[str, str]) -> None:
    """Published values and references: at their place on an axis of names, else across the panel with a label.

    There is room for a label above the uppermost one.
    """
    across = part[part["kind"].isin(list(OTHER_LINES)) & part["y"].notna() & (part["x"] == "")].sort_values(
        "y"
    )
    edges = [*axis.get_ylim(), *across["y"]]
    under = (across["y"].diff(-1) > -CLOSE * (max(edges) - min(edges))).tolist()
    for number, (_, row) in enumerate(across.iterrows()):
        colour = colours.get(row["algorithm"], GREY)
        axis.axhline(row["y"], color=colour, zorder=1, **OTHER_LINES[row["kind"]][1])
        reference = row["kind"] == "reference"
        right = number % 2 == 0 and not reference  # curves end at the right, near the references
        text = row["series"] if reference else f"{row['kind']} {row['y']:g}".replace("-", MINUS)
        axis.annotate(
            text, (0.99 if right else 0.03, row["y"]), xycoords=("axes fraction", "data"),
            xytext=(0, -1.5 if under[number] else 1), textcoords="offset points",
            ha="right" if right else "left", va="top" if under[number] else "bottom", fontsize=SMALL, color=colour,
            path_effects=[withStroke(linewidth=1.5, foreground="white")], in_layout=False,
            zorder=1.5 if reference else 3,  # a name may lie below the curves, which its halo would break; a number not
        )  # fmt: skip
    for _, row in part[(part["x"] != "") & (part["kind"] == "published")].iterrows():
        axis.plot(places[row["x"]], row["y"], color=colours[row["algorithm"]], **AT_A_PLACE)
    labels_above = across["y"][[not one for one in under]]
    if len(labels_above):
        low, high = axis.get_ylim()
        axis.set_ylim(top=max(high, labels_above.max() + CLOSE * (high - low)))


def draw_cells(cells: Sequence[Sequence[str]], title: str) -> Canvas:
    """A table as a picture, within `style()`: lines of cells, the heading first; a line of one cell is a subheading."""
    full = [line for line in cells if len(line) > 1]
    widths = [max(len(line[column]) for line in full) + 1 for column in range(len(cells[0]))]
    starts = [sum(widths[:column]) / sum(widths) for column in range(len(widths))]
    caption = textwrap.fill(title, 76)
    above = caption.count("\n") + 1.4
    canvas = Canvas(figsize=(WIDTH, 0.14 * (len(cells) + above)))
    axis = canvas.add_axes((0.01, 0.02, 0.98, 0.96))
    axis.set(xlim=(0, 1), ylim=(len(cells), -above))
    axis.axis("off")
    axis.text(0, -above, caption, fontsize=SMALL, va="top")
    for number, line in enumerate(cells):
        weight = "bold" if number == 0 or len(line) == 1 else "normal"
        for start, text in zip(starts, line, strict=False):
            axis.text(start, number + 0.5, text, fontsize=SMALL + 0.3, va="center", weight=weight)
    for height, width in ((0.0, 0.8), (1.0, 0.5), (len(cells), 0.8)):
        axis.axhline(height, color="black", linewidth=width)
    return canvas
