"""The terminal: one console and one kind of progress bar for all commands."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

console = Console(markup=False)
"""What it prints is not of this project alone: square brackets in paths and messages stay what they are."""


@contextmanager
def progress_bar(text: str, total: int | None = None) -> Iterator[tuple[Progress, TaskID]]:
    """A progress bar and its task number."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        yield progress, progress.add_task(text, total=total)
