"""Data sets larger than memory: portions are written to files one after another, and then mapped.

portion, portion, ...  --appended-->  a file per column in a temporary folder  --mapped-->  Dataset
                                      the folder is removed; the disk is free again when the arrays are
"""

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import IO, Any

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
    shapes: dict[str, tuple[int, ...]] = {}
    with ExitStack() as stack:
        with _writing(identity):
            cache.root().mkdir(parents=True, exist_ok=True)
            files = {name: stack.enter_context(tempfile.TemporaryFile(dir=cache.root())) for name in COLUMNS}
        for columns in portions:
            with _writing(identity):
                _append(files, columns, shapes)
        mapped = {
            name: np.memmap(file, COLUMNS[name], "r", shape=shapes[name]) for name, file in files.items()
        }
        dataset = Dataset(identity, **mapped)
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


def _append(files: Mapping[str, IO[bytes]], columns: Columns, shapes: dict[str, tuple[int, ...]]) -> None:
    """Put the columns at the end of their files, and count their rows."""
    for name, kind in COLUMNS.items():
        rows, *rest = columns[name].shape
        files[name].write(raw_bytes(columns[name], kind))
        files[name].flush()
        shapes[name] = (shapes.get(name, (0,))[0] + rows, *rest)
