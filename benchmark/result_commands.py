"""What the verbs on committed results do."""

import argparse
from pathlib import Path

from benchmark.commands import console
from benchmark.files import LEADERBOARD


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
    console.print(text, highlight=False, markup=False, soft_wrap=True)
