"""One process at a time in a folder: a lock that the system takes back when its process ends, however it ends."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmark.errors import InUseError, RunError
from benchmark.files import remove_leftovers

LOCK = ".lock"
LOOK_EVERY = 0.2
"""Seconds between two attempts to get a lock that another process holds."""


@contextmanager
def claimed(folder: Path, patience: float = 0.5) -> Iterator[None]:
    """Within the block this process alone works in the folder, which is made where it is missing.

    The lock is the system's (flock), on the file `.lock`: a killed process leaves the file, but holds nothing, and what
    it was writing is removed. A folder that is empty at the end does not stay, nor do those made for it. Raises
    InUseError where another process holds the folder for longer than `patience` seconds, RunError where it cannot be
    written or the file system has no locks.
    """
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    descriptor = _wait_for(folder, time.monotonic() + patience)
    try:
        remove_leftovers(folder)
        yield
    finally:
        # the file goes while it is still locked: who waits for it looks whether it is there
        with suppress(OSError):
            (folder / LOCK).unlink()
        os.close(descriptor)
        with suppress(OSError):  # not empty, or gone
            for place in dict.fromkeys((folder, *made)):
                place.rmdir()


def in_use(folder: Path) -> bool:
    """Whether a process holds the folder at this moment."""
    try:
        descriptor = os.open(folder / LOCK, os.O_RDWR)
    except OSError:
        return False
    try:
        free = _locked(descriptor)
    except OSError:  # the file system has no locks: whoever claims the folder is told so
        return False
    os.close(descriptor)
    return not free


def _wait_for(folder: Path, deadline: float) -> int:
    """The descriptor of the folder's lock file, locked."""
    path = folder / LOCK
    try:
        while True:
            descriptor = _open(path)
            if _locked(descriptor) and _is_still(path, descriptor):
                return descriptor
            os.close(descriptor)
            if time.monotonic() > deadline:
                raise InUseError(
                    f"another process works in {folder}; nothing was changed. Wait until it ends."
                )
            time.sleep(LOOK_EVERY)
    except OSError as error:
        raise RunError(
            f"the folder {folder} cannot be written: it cannot be locked ({error}). Choose another one, on a "
            "file system that has locks."
        ) from error


def _open(path: Path) -> int:
    try:
        while True:
            path.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileNotFoundError):  # its last holder has just removed the empty folder
                return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise RunError(
            f"the folder {path.parent} cannot be written: {error}. Make it writable, or choose another one."
        ) from error


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        os.close(descriptor)
        raise
    return True


def _is_still(path: Path, descriptor: int) -> bool:
    """Whether the path leads to this very file: its last holder may have removed it before it was locked."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
