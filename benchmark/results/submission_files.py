"""The files of a submission, as untrusted input: which there may be, how large, and no link among them.

Sizes are looked at before anything is read, and no more than them is ever read. Nothing is unpacked.
"""

import hashlib
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from benchmark.errors import SubmissionError

KIB, MIB = 2**10, 2**20
POLICY_BYTES = 16 * MIB
NUMBER = r"(0|[1-9][0-9]{0,8})"
KINDS = {
    r"submission\.toml": 16 * KIB,
    r"verification\.toml": 256 * KIB,
    r"rows\.csv": MIB,
    rf"configs/seed-{NUMBER}\.toml": 64 * KIB,
    rf"policies/seed-{NUMBER}/[a-z]{{1,20}}-{NUMBER}-(adapted(-task-{NUMBER})?|unadapted)\.onnx": POLICY_BYTES,
}
"""Patterns of the paths there may be, and the most bytes each file has."""
MAXIMUM_FILES = 1000
MAXIMUM_BYTES = 64 * MIB
"""Of all files together: a submission lies in git."""
DEPTH = 3


def list_files(folder: Path) -> dict[str, int]:
    """Relative paths and the most bytes to read of each, sorted; raises SubmissionError for anything unexpected."""
    if folder.is_symlink() or not folder.is_dir():
        raise SubmissionError(f"{folder} is not a folder. Give the folder of a submission.")
    found: dict[str, int] = {}
    total = 0
    try:
        for path, size in _walk(folder, DEPTH):
            name = path.relative_to(folder).as_posix()
            limit = next((most for kind, most in KINDS.items() if re.fullmatch(kind, name)), None)
            if limit is None:
                raise SubmissionError(f"{folder}: {ascii(name)} is no file of a submission. Take it out.")
            if size > limit:
                raise SubmissionError(f"{path} has {size} bytes; such a file has {limit} at the most.")
            found[name], total = limit, total + size
            if len(found) > MAXIMUM_FILES or total > MAXIMUM_BYTES:
                raise SubmissionError(
                    f"{folder} is too large: a submission has {MAXIMUM_FILES} files and "
                    f"{MAXIMUM_BYTES // MIB} MiB at the most. Submit fewer contexts."
                )
    except OSError as error:
        raise SubmissionError(f"{folder} cannot be read: {error}.") from error
    return dict(sorted(found.items()))


def _walk(folder: Path, depth: int) -> Iterator[tuple[Path, int]]:
    """Regular files below the folder and their sizes."""
    with os.scandir(folder) as entries:
        for number, entry in enumerate(entries):
            path = Path(entry.path)
            if number > MAXIMUM_FILES:
                raise SubmissionError(f"{folder} has more than {MAXIMUM_FILES} entries. Take them out.")
            mode = entry.stat(follow_symlinks=False).st_mode
            if stat.S_ISDIR(mode) and depth > 1:
                yield from _walk(path, depth - 1)
            elif stat.S_ISREG(mode):
                yield path, entry.stat(follow_symlinks=False).st_size
            else:
                raise SubmissionError(
                    f"{folder}: {ascii(entry.name)} is a link, a special file or a folder too deep. A submission "
                    "has plain files alone."
                )


def read_file(folder: Path, name: str, limit: int) -> bytes:
    """The bytes of a file that `list_files` named; raises SubmissionError where it is a link or longer than that."""
    path = folder / name
    try:
        with open(path, "rb", opener=lambda file, flags: os.open(file, flags | os.O_NOFOLLOW)) as file:  # noqa: PTH123
            content = file.read(limit + 1)
    except OSError as error:
        raise SubmissionError(f"{path} cannot be read: {error}.") from error
    if len(content) > limit:
        raise SubmissionError(f"{path} has more than {limit} bytes.")
    return content


def sha256(content: bytes) -> str:
    """Hexadecimal SHA-256 of these bytes."""
    return hashlib.sha256(content).hexdigest()
