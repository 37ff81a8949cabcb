"""The flat cache: what training reads, memory-mapped, in a folder named after its content hash.

    $OMRL_CACHE/<content hash>/manifest.json                  identity, hash, shapes
                               observations.npy, actions.npy, ...      one file per column of a data set

At every load the hash is computed again from the files. A cache that is damaged is reported, never repaired.
"""

import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.data.dataset import COLUMNS, Dataset, check_consistent, raw_bytes
from benchmark.errors import DataError
from benchmark.files import replacing

MANIFEST = "manifest.json"


def root() -> Path:
    """The folder of all caches: $OMRL_CACHE, or ~/.cache/omrl-benchmark."""
    return Path(os.environ.get("OMRL_CACHE") or Path.home() / ".cache" / "omrl-benchmark")


def folder_of(content_hash: str) -> Path:
    """The cache folder of the data set of this content."""
    return root() / content_hash


def present(content_hash: str) -> bool:
    """Whether there is a cache of this content, sound or not; DataError where no folder can be there."""
    try:
        folder_of(content_hash).stat()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise DataError(
            f"the folder of caches {root()} cannot be used: {error}. Set OMRL_CACHE to one that can be written."
        ) from error
    return True


def write(dataset: Dataset) -> Path:
    """Write the data set's cache, unless there is one already; returns its folder.

    Raises DataError where the disk does not take it.
    """
    folder = folder_of(dataset.content_hash)
    if present(dataset.content_hash):
        return folder
    try:
        with replacing(folder) as temporary:
            temporary.mkdir()
            for name, array in dataset.columns.items():
                _write_column(temporary / f"{name}.npy", array, COLUMNS[name])
            shapes = {name: list(array.shape) for name, array in dataset.columns.items()}
            (temporary / MANIFEST).write_text(
                _manifest(dataset.id, dataset.content_hash, shapes), encoding="utf-8"
            )
    except OSError as error:
        if folder.exists():  # another process was faster
            return folder
        raise DataError(
            f"the cache {folder} of {dataset.id} cannot be written: {error}. Free some space, or set "
            "OMRL_CACHE to another folder."
        ) from error
    return folder


def load(identity: str, content_hash: str) -> Dataset:
    """The cached data set, memory-mapped, read-only; raises DataError where it is not what its name says."""
    folder = folder_of(content_hash)
    try:
        shapes = _read_manifest(folder / MANIFEST, identity, content_hash)
        columns = {
            name: _map_column(folder / f"{name}.npy", tuple(shapes[name]), dtype)
            for name, dtype in COLUMNS.items()
        }
        dataset = Dataset(identity, **columns)
        check_consistent(dataset)
        if dataset.content_hash != content_hash:
            raise ValueError(f"its content has the hash {dataset.content_hash}")
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise DataError(
            f"the cache {folder} of {identity} is damaged or incomplete: {error}. Delete this folder; it is "
            "made anew from the Minari data set, or recorded again, when it is next needed."
        ) from error
    return dataset


def _manifest(identity: str, content_hash: str, shapes: dict[str, Any]) -> str:
    content = {"id": identity, "content_hash": content_hash, "shapes": shapes}
    return json.dumps(content, indent=1) + "\n"


def _read_manifest(path: Path, identity: str, content_hash: str) -> dict[str, Any]:
    """Shapes of the columns; ValueError where one byte is not as written."""
    text = path.read_text(encoding="utf-8")
    shapes: dict[str, Any] = json.loads(text)["shapes"]
    if text != _manifest(identity, content_hash, shapes):
        raise ValueError(f"{path} is not the description of this data set")
    return shapes


def _header(shape: tuple[int, ...], dtype: str) -> bytes:
    buffer = io.BytesIO()
    content = {"descr": dtype, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(buffer, content)
    return buffer.getvalue()


def _write_column(path: Path, array: NDArray[Any], dtype: str) -> None:
    with path.open("wb") as file:
        file.write(_header(array.shape, dtype))
        file.write(raw_bytes(array, dtype))
        file.flush()
        os.fsync(file.fileno())


def _map_column(path: Path, shape: tuple[int, ...], dtype: str) -> NDArray[Any]:
    """The file's array, mapped; ValueError unless header and length are exactly those of this shape."""
    header = _header(shape, dtype)
    expected = len(header) + np.dtype(dtype).itemsize * int(np.prod(shape))
    if path.stat().st_size != expected:
        raise ValueError(f"{path} has {path.stat().st_size} bytes instead of {expected}")
    with path.open("rb") as file:
        if file.read(len(header)) != header:
            raise ValueError(f"{path} has another header than it was written with")
    return np.memmap(path, dtype=dtype, mode="r", offset=len(header), shape=shape)
