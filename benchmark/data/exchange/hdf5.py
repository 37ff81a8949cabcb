"""Columns of HDF5 files that strangers wrote: every one is checked before it is used."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from benchmark.errors import DataError
from benchmark.families.family import Family

MOST_ROWS = 10_000_000
"""Rows of a file, which is all of one task's: fifty times what the standard's largest data hold of one."""
LARGEST_ACTION = 2.0
"""Absolute value of an action beyond which it is taken for one in other units; what noise adds to one is less."""


@contextmanager
def opened(path: Path, keys: tuple[str, ...]) -> Iterator[h5py.File]:
    """The file, open for reading; DataError where it is missing, damaged or lacks one of these keys.

    Nothing but reading belongs in the body: an error that h5py may raise is taken for damage of the file there.
    """
    try:
        with h5py.File(path, "r") as file:
            missing = [key for key in keys if not isinstance(file.get(key), h5py.Dataset)]
            if missing:
                raise DataError(
                    f"{path} has no {' and no '.join(missing)}; it has {', '.join(file) or 'nothing'}. "
                    "Check that it is of the format given by --from."
                )
            yield file
    except (
        OSError,
        RuntimeError,
        KeyError,
        ValueError,
        TypeError,
    ) as error:  # what h5py raises for damaged files
        raise DataError(
            f"{path} cannot be read as HDF5: {error}. Check the path, or get the file anew."
        ) from error


def column(file: h5py.File, key: str, rows: int, width: int | None = None) -> NDArray[np.float32]:
    """A column of numbers, (rows, width), or (rows,) where `width` is None and the file may say (rows, 1).

    Raises DataError where it is a folder, has another shape or type, or holds what is not finite in 32 bits.
    """
    found = file.get(key)
    if not isinstance(found, h5py.Dataset):
        raise DataError(
            f"{file.filename}: {key} is not a column of numbers. Check that the file is as --from says."
        )
    wanted = [(rows, width)] if width is not None else [(rows,), (rows, 1)]
    if found.shape not in wanted:
        raise DataError(
            f"{file.filename}: {key} has the shape {found.shape} instead of {wanted[0]}. Check that --family is "
            "the one these data are of. Gymnasium's half-cheetahs and ants are seen otherwise: data relabel takes "
            "them, from Minari data sets."
        )
    if found.dtype.kind not in "biuf":
        raise DataError(f"{file.filename}: {key} is of type {found.dtype}, not of numbers.")
    with np.errstate(over="ignore"):
        values: NDArray[np.float32] = found[()].astype(np.float32).reshape(wanted[0])
    broken = np.flatnonzero(~np.isfinite(values).reshape(rows, -1).all(1))
    if len(broken):
        raise DataError(
            f"{file.filename}: {key} holds {len(broken)} row(s) that are not finite numbers, the first is row "
            f"{broken[0]}. Leave them out of the file."
        )
    return values


def action_column(file: h5py.File, rows: int, width: int) -> NDArray[np.float32]:
    """The column `actions`, (rows, width); DataError where one is so far out of the range that it is in other units."""
    values = column(file, "actions", rows, width)
    sizes = np.abs(values).max(1)
    beyond = np.flatnonzero(sizes > LARGEST_ACTION)
    if len(beyond):
        raise DataError(
            f"{file.filename}: actions must be in (-1, 1), but in {len(beyond):,} row(s) absolute values are above "
            f"{LARGEST_ACTION:g}: the first is row {beyond[0]} with {sizes[beyond[0]]:.4g}, the largest is "
            f"{sizes.max():.4g}. They may be in other units: divide them by the actuators' range."
        )
    return values


def flags(file: h5py.File, key: str, rows: int) -> NDArray[np.bool_]:
    """A column of yes and no, (rows,); DataError where it holds anything but 0 and 1."""
    values = column(file, key, rows)
    if not np.isin(values, (0, 1)).all():
        raise DataError(f"{file.filename}: {key} holds other values than 0 and 1.")
    return values.astype(np.bool_)


def row_count(file: h5py.File, key: str) -> int:
    """Number of rows of a column; DataError where there are none, or more than MOST_ROWS."""
    shape: tuple[Any, ...] = file[key].shape
    if not shape or shape[0] == 0:
        raise DataError(f"{file.filename}: {key} has no rows.")
    if shape[0] > MOST_ROWS:
        raise DataError(
            f"{file.filename}: {key} has {shape[0]:,} rows, and {MOST_ROWS:,} are the most that are taken in of a "
            "task. Get the file anew if it should not have so many, else leave some out."
        )
    return int(shape[0])


def check_lengths(path: Path, family: Family, lengths: NDArray[np.integer], advice: str) -> None:
    """Raise DataError, with this advice, where an episode (episode,) is longer than the family's horizon."""
    if lengths.max() > family.horizon:
        raise DataError(
            f"{path}: it has an episode of {lengths.max():,} steps, and those of {family.id} have {family.horizon} at "
            f"most. {advice}"
        )
