"""Files at the edge: written to a temporary name and renamed, so that a reader never sees half of one.

    .NAME.SPACE.PID.part      what process PID writes, to be renamed to NAME

SPACE tells machines, their boots and containers apart, where the same number is another process.
"""

import hashlib
import os
import platform
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from glob import escape
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
"""The checkout this package runs from; `datasets/` and `leaderboard/` lie here."""
DATASETS = PROJECT / "datasets"
LEADERBOARD = PROJECT / "leaderboard"

ABANDONED = 24 * 3600.0
"""Seconds without a change after which a part is left behind, where its writer cannot be looked for."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`, renamed to it when the block ends well and removed when it does not.

    What killed processes left when they were writing `path` is removed first.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{_space()}.{os.getpid()}.part")
    _remove(temporary)  # a killed process of the same number may have left it
    for part in _left_behind(path):
        with suppress(OSError):  # another user's: not worth failing for
            _remove(part)
    try:
        yield temporary
        if temporary.is_file():
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        _remove(temporary)


def remove_leftovers(folder: Path, pattern: str = ".*.part") -> None:
    """Remove what killed processes were writing here; nobody may be writing what is of this pattern."""
    for path in list(folder.rglob(pattern)):
        _remove(path)


@cache
def _space() -> str:
    """Eight digits that two processes share only where their numbers tell them apart."""
    known = [platform.node()]
    with suppress(OSError):  # these are Linux's: which boot of which machine, and which container
        known.append(Path("/proc/sys/kernel/random/boot_id").read_text())
        known.append(str(Path("/proc/self/ns/pid").readlink()))
    return hashlib.sha256("\n".join(known).encode()).hexdigest()[:8]


def _left_behind(path: Path) -> list[Path]:
    """Parts of this file or folder that nobody writes any more; in doubt a part is not among them.

    A part of this space is, where no process of its number runs (a later process that got the number keeps it). Whether
    a process of another space runs cannot be seen: one of another machine, of another container, of this machine before
    it was started anew. Its part, and one without a space, of an older version, is once it has not changed for a day.
    """
    form = re.compile(rf"\.{re.escape(path.name)}\.(?:([0-9a-f]{{8}})\.)?([0-9]+)\.part")
    found = []
    for part in path.parent.glob(f".{escape(path.name)}.*.part"):
        named = form.fullmatch(part.name)
        if named is None:  # of another file, whose name begins alike
            continue
        alive = _is_running(int(named[2])) if named[1] == _space() else _is_recent(part)
        if not alive:
            found.append(part)
    return found


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # another user's, or no number of a process
        return True
    return True


def _is_recent(part: Path) -> bool:
    """Whether anything of a file or folder has changed within a day, or just now."""
    try:
        changed = max(path.lstat().st_mtime for path in (part, *part.rglob("*")))
    except OSError:  # renamed while it was looked at
        return True
    return time.time() - changed < ABANDONED


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Call `write` with a temporary path and rename what it wrote to `path`."""
    with replacing(path) as temporary:
        write(temporary)


def write_text(path: Path, text: str) -> None:
    """Replace the file by this text in one step."""
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def sha256_of_file(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
