"""SIGINT and SIGTERM, noted while a step is under way and acted on when it is done."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from benchmark.errors import BenchmarkError


class Interrupted(BenchmarkError):
    """Work was asked to stop by a signal; what is done is kept, and the message says how to go on."""

    def __init__(self, number: int, what_stays: str) -> None:
        self.exit_code = 128 + number
        super().__init__(f"stopped by {signal.Signals(number).name} {what_stays}")


def ignoring_sigint() -> None:
    """Make this process deaf to Ctrl-C, which reaches all processes of a terminal: its parent decides what it means."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def noticed_signals() -> Iterator[list[int]]:
    """Within the block SIGINT and SIGTERM are only noted; a second one of them acts as usual."""
    received: list[int] = []
    before: dict[int, Any] = {}

    def note(number: int, frame: FrameType | None) -> None:
        received.append(number)
        signal.signal(number, before[number])

    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, note)
    except ValueError:  # not the main thread: signals go elsewhere
        pass
    try:
        yield received
    finally:
        for noted, handler in before.items():
            signal.signal(noted, handler)
