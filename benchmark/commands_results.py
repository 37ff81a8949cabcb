"""What the verbs on committed results do."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.console import console
from benchmark.files import LEADERBOARD, PROJECT, write_text

if TYPE_CHECKING:
    from benchmark.results.board import Board


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
    console.print("\n\n".join([*marks, text]), highlight=False, markup=False, soft_wrap=True)


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
    from benchmark.results.curves import draw_curves
    from benchmark.results.leaderboard import leaderboard as aggregate
    from benchmark.results.rows import write_table

    folder = Path(options.folder) if options.folder else LEADERBOARD
    finished, unfinished = board.find_runs(Path(place) for place in options.add)
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
            table = tables.readme_table(frame)
            text = tables.replace_between_markers(readme.read_text(), "leaderboard", table)
        for changed in board.write_changes(before, after):
            console.print(f"updated {changed}", highlight=False, markup=False, soft_wrap=True)
        write_table(folder / "leaderboard.csv", frame)
        if finished:
            draw_curves(list(after.curves), folder / "figures" / "learning-curves.png")
        if readme:
            write_text(readme, text)
    if unfinished:
        names = ", ".join(map(str, unfinished))
        console.print(f"not finished, left out: {names}", highlight=False, markup=False, soft_wrap=True)
    console.print("leaderboard: mean over test tasks, then over seeds\n", highlight=False)
    console.print(tables.printed_table(frame), highlight=False, markup=False, soft_wrap=True)
