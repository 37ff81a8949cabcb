"""Tables and numbers of data cards."""

from collections.abc import Sequence


def table(head: Sequence[str], lines: Sequence[Sequence[object]]) -> str:
    """A Markdown table."""
    rows = [head, ["---"] * len(head), *([str(cell) for cell in line] for line in lines)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def number(value: float) -> str:
    """A return, as cards show it."""
    return f"{value:.1f}"


def percent(rate: float) -> str:
    """A success rate or a share, from 0 to 1, as cards show it."""
    return f"{100 * rate:.0f} %"
