"""What the verbs on committed results do."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.console import console
from benchmark.errors import ConfigError, ResultError
from benchmark.files import LEADERBOARD, PROJECT, write_text
from benchmark.locks import claimed

if TYPE_CHECKING:
    import pandas as pd

    from benchmark.results.board import Board

PATIENCE = 60.0
"""Seconds within which another process that changes the leaderboard must be done."""


def compare(options: argparse.Namespace) -> None:
    """Print how two results differ, per family and over families, and whether their seeds suffice to tell."""
    from benchmark.results.board import read_board
    from benchmark.results.comparison import compare as compared
    from benchmark.results.comparison_text import printed_comparison
    from benchmark.results.selection import Choice

    board = read_board(Path(options.folder) if options.folder else LEADERBOARD)
    choice = Choice(options.family, options.split, options.context)
    found = compared(board, options.first, options.second, choice)
    text = "\n\n\n".join(printed_comparison(options.first, options.second, one) for one in found)
    marks = _submitted(board, options.first, options.second)
    console.print("\n\n".join([*marks, text]), highlight=False, soft_wrap=True)


def _submitted(board: "Board", *names: str) -> list[str]:
    """How far results that were submitted are to be trusted, a line each."""
    algorithms = {name.partition(":")[0] for name in names}
    return [
        f"{one.rows['algorithm'].iloc[0]} was submitted as {one.name}: {board.trust[one.name]}"
        for one in board.submissions
        if one.rows["algorithm"].iloc[0] in algorithms
    ]


def leaderboard(options: argparse.Namespace) -> None:
    """Add runs, aggregate, write leaderboard.csv, the curves' picture and README's table, print."""
    from benchmark.results import board, tables

    folder = Path(options.folder) if options.folder else LEADERBOARD
    finished, unfinished = board.find_runs(Path(place) for place in options.add)
    with claimed(folder, PATIENCE):
        frame = _updated(folder, finished)
    if unfinished:
        names = ", ".join(map(str, unfinished))
        console.print(f"not finished, left out: {names}", highlight=False, soft_wrap=True)
    console.print("leaderboard: mean over test tasks, then over seeds\n", highlight=False)
    console.print(tables.printed_table(frame), highlight=False, soft_wrap=True)


def _updated(folder: Path, finished: Sequence[Path]) -> "pd.DataFrame":
    """The leaderboard with those runs, written; its folder is this process's."""
    from benchmark.results import board, tables
    from benchmark.results.figures.regenerate import LEARNING_CURVES, regenerate
    from benchmark.results.leaderboard import leaderboard as aggregate
    from benchmark.results.rows import write_table

    before = board.read_board(folder)
    if before.submissions:
        from benchmark.submissions.claims import check_claims

        for submission in before.submissions:
            check_claims(submission)
    after = board.add_runs(before, finished)
    frame = aggregate(after)
    readme = PROJECT / "README.md" if folder.resolve() == LEADERBOARD.resolve() else None
    with board.writing_errors(folder):
        if readme:
            table = tables.readme_table(tables.under_usual_conditions(frame))
            text = tables.replace_between_markers(readme.read_text(), "leaderboard", table)
        changed = board.write_changes(before, after)
        for path in changed:
            console.print(f"updated {path}", highlight=False, soft_wrap=True)
        if finished and not changed:
            console.print("all of these runs are there already", highlight=False)
        write_table(folder / "leaderboard.csv", frame)
        if finished:
            list(regenerate(board.read_board(folder), [LEARNING_CURVES]))  # of the digits that are written
        if readme:
            write_text(readme, text)
    return frame


def level_off(options: argparse.Namespace) -> None:
    """Print at which step the runs of each folder have levelled off; seeds beside one another are averaged."""
    from benchmark.results.level_off import levelled_off, mean_curve

    groups: dict[Path, list[Path]] = {}
    for place in options.runs:
        for path in sorted(Path(place).rglob("metrics.csv")):
            groups.setdefault(path.parent.parent, []).append(path)
    if not groups:
        raise ResultError(f"no metrics.csv in {', '.join(options.runs)}: give folders of runs.")
    for folder, paths in groups.items():
        steps, scores = mean_curve(paths)
        found = levelled_off(steps, scores)
        verdict = f"levelled off at step {found}" if found else f"not levelled off within {steps[-1]} steps"
        console.print(f"{folder}, {len(paths)} seed(s): {verdict}", highlight=False, soft_wrap=True)


def figures(options: argparse.Namespace) -> None:
    """Draw all figures of the leaderboard anew, each as CSV, SVG and PNG."""
    from benchmark.results.board import read_board, writing_errors
    from benchmark.results.figures.regenerate import regenerate

    folder = Path(options.folder) if options.folder else LEADERBOARD
    board = read_board(folder)
    if not board.results:
        raise ResultError(
            f"{folder / 'results'} holds no results to draw: choose another --folder, or add some with "
            "python -m benchmark leaderboard --add RUN."
        )
    with writing_errors(folder):
        for path in regenerate(board):
            console.print(f"drew {path.with_suffix('')}", highlight=False, soft_wrap=True)


def site(options: argparse.Namespace) -> None:
    """Write the leaderboard as one HTML file that needs nothing else."""
    from benchmark.results.board import read_board, writing_errors
    from benchmark.results.leaderboard import leaderboard as aggregate
    from benchmark.results.page.write import page

    if options.add:
        raise ConfigError(
            "the page shows the leaderboard as it is: first leaderboard --add, then leaderboard site."
        )
    folder = Path(options.folder) if options.folder else LEADERBOARD
    path = Path(options.out) if options.out else folder / "site" / "index.html"
    board = read_board(folder)
    text = page(board, aggregate(board))
    with writing_errors(path.parent):
        write_text(path, text)
    console.print(f"wrote {path}", highlight=False, soft_wrap=True)
