"""Data sets larger than memory: portions are written to files one after another, and then mapped.

portion, portion, ...  --appended-->  a file per column in a temporary folder  --mapped-->  Dataset
                                      the folder is removed; the disk is free again when the arrays are
"""

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.data import cache
from benchmark.data.dataset import COLUMNS, Dataset, check_consistent, raw_bytes
from benchmark.errors import DataError

Columns = dict[str, NDArray[Any]]


def spooled(identity: str, portions: Iterable[Columns]) -> Dataset:
    """One data set from portions in the order of tasks, of which memory holds one at a time.

    Raises DataError where the disk does not take them, ValueError where episodes are not whole or not in task order.
    """
    with _writing(identity):
        cache.root().mkdir(parents=True, exist_ok=True)
        temporary = tempfile.TemporaryDirectory(prefix=".incoming-", dir=cache.root())
    with temporary as folder:
        shapes: dict[str, tuple[int, ...]] = {}
        for columns in portions:
            with _writing(identity):
                _append(Path(folder), columns, shapes)
        dataset = Dataset(
            identity, **{name: _mapped(Path(folder) / name, shapes[name], COLUMNS[name]) for name in COLUMNS}
        )
    check_consistent(dataset)
    return dataset


@contextmanager
def _writing(identity: str) -> Iterator[None]:
    """Turn what the disk refuses into a DataError; what goes wrong in making the portions is not its business."""
    try:
        yield
    except OSError as error:
        raise DataError(
            f"{identity} cannot be put together in {cache.root()}: {error}. Free some space, or set OMRL_CACHE to "
            "another folder."
        ) from error


def _append(folder: Path, columns: Columns, shapes: dict[str, tuple[int, ...]]) -> None:
    """Put the columns at the end of their files, and count their rows."""
    for name, kind in COLUMNS.items():
        rows, *rest = columns[name].shape
        with (folder / name).open("ab") as file:
            file.write(raw_bytes(columns[name], kind))
        shapes[name] = (shapes.get(name, (0,))[0] + rows, *rest)


def _mapped(path: Path, shape: tuple[int, ...], kind: str) -> NDArray[Any]:
    return np.memmap(path, dtype=kind, mode="r", shape=shape)
