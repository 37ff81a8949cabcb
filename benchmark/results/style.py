"""How methods look, in every picture and on the page: one colour per method, told apart by the colour-blind too."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import cycle
from typing import Literal, TypeAlias

COLOURS = {
    "macaw": "#0072B2", "pearl": "#CC79A7", "multitask-awr": "#E69F00", "meta-bc": "#009E73",
    "behaviour-cloning": "#56B4E9", "nearest-expert": "#8C510A",
}  # fmt: skip
"""Of the built-in methods and references, from Okabe and Ito's palette, which has no brown."""
OTHER_COLOURS = ("#D55E00", "#888888", "#5D3A9B", "#1B1B1B")
"""For other methods, and for a second line of a method."""
MARKERS = {
    "macaw": "o", "meta-bc": "s", "multitask-awr": "^", "pearl": "D", "behaviour-cloning": "v", "nearest-expert": "P",
}  # fmt: skip
"""Of the built-in methods and references."""
OTHER_MARKERS = ("X", "*", "p", "h", "<", ">", "d", "8")
"""For other methods, and for a second line of a method."""
Dashes: TypeAlias = Literal["-"] | tuple[float, tuple[float, ...]]
DASHES: tuple[Dashes, ...] = ("-", (0, (4, 1.2)), (0, (1.2, 1.2)), (0, (4, 1.2, 1.2, 1.2)))
"""Solid for the first line of a method, then dashed, dotted and both."""


@dataclass(frozen=True)
class Look:
    """How one line is drawn: never told apart by its colour alone."""

    colour: str
    dashes: Dashes
    """A line style of matplotlib."""
    marker: str


def method_colours(algorithms: Iterable[str]) -> dict[str, str]:
    """A colour for each of the methods: its own where it is built in, the others' in the order of their names."""
    others = cycle(OTHER_COLOURS)
    return COLOURS | {name: next(others) for name in sorted(set(algorithms) - COLOURS.keys())}


def looks(series: Mapping[str, str], colours: Mapping[str, str]) -> dict[str, Look]:
    """How to draw the series, label to algorithm, in one picture.

    The one that is labelled with the method's name alone, else its first, looks as in every picture.
    """
    spare = cycle([one for one in OTHER_COLOURS if one not in {colours[name] for name in series.values()}]
                  or OTHER_COLOURS)  # fmt: skip
    found: dict[str, Look] = {}
    drawn: dict[str, int] = {}
    others = cycle(OTHER_MARKERS)
    for label, algorithm in sorted(series.items(), key=lambda item: item[0] != item[1]):
        before = drawn.get(algorithm, 0)
        colour = next(spare) if before else colours[algorithm]
        marker = next(others) if before or algorithm not in MARKERS else MARKERS[algorithm]
        found[label] = Look(colour, DASHES[before % len(DASHES)], marker)
        drawn[algorithm] = before + 1
    return {label: found[label] for label in series}
