"""All figures of a leaderboard folder, each as CSV, SVG and PNG side by side."""

from collections.abc import Collection, Iterator
from pathlib import Path

import pandas as pd

from benchmark.files import write_text
from benchmark.results.board import Board
from benchmark.results.figures import aggregate, own, paper, table_1
from benchmark.results.figures.drawn import as_read
from benchmark.results.figures.figure import Figure
from benchmark.results.rows import table_text
from benchmark.results.style import method_colours

FIGURES: tuple[Figure, ...] = (*paper.FIGURES, *own.FIGURES, *aggregate.FIGURES)
LEARNING_CURVES = "learning-curves"
"""The figure that README shows."""


def tables(board: Board) -> dict[str, str]:
    """The CSV of every figure, and of table 1, by name."""
    found = {figure.name: table_text(figure.table(board)) for figure in FIGURES}
    return found | {table_1.NAME: table_text(table_1.table(board))}


def regenerate(board: Board, only: Collection[str] = ()) -> Iterator[Path]:
    """Write the figures of these names (default: all) to FOLDER/figures; yields each CSV when its pictures are there.

    A picture shows what its CSV says, as it is read back, and nothing else.
    """
    from benchmark.results.figures.drawing import draw, save, style

    folder, colours = board.folder / "figures", method_colours(algorithms(board))
    for figure in FIGURES:
        if only and figure.name not in only:
            continue
        text = table_text(figure.table(board))
        with style():
            save(draw(figure, as_read(text), colours), folder, figure.name)
        write_text(folder / f"{figure.name}.csv", text)
        yield folder / f"{figure.name}.csv"
    if not only or table_1.NAME in only:
        yield table_1.write(board, folder)


def algorithms(board: Board) -> set[str]:
    """Names of all methods of the board: a method has one colour in all pictures of it."""
    files = [*board.results.values(), *board.curves.values()]
    return set(pd.concat([table["algorithm"] for table in files])) if files else set()
