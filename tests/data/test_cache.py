"""The flat cache: equal arrays, and no damage goes unnoticed."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmark.data import cache
from benchmark.data.dataset import COLUMNS, Dataset
from benchmark.errors import DataError


def test_what_is_loaded_equals_what_was_written(falling_data: Dataset, homes: Path) -> None:
    folder = cache.write(falling_data)
    loaded = cache.load(falling_data.id, falling_data.content_hash)
    assert folder == homes / "cache" / falling_data.content_hash
    for name, column in falling_data.columns.items():
        assert np.array_equal(getattr(loaded, name), column)
        assert np.array_equal(np.load(folder / f"{name}.npy"), column)
        assert isinstance(getattr(loaded, name), np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        loaded.rewards[0] = 1


def _flip(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 0x10
    path.write_bytes(content)


@pytest.mark.parametrize("name", [*(f"{column}.npy" for column in COLUMNS), "manifest.json"])
@pytest.mark.parametrize("where", [0.0, 0.02, 0.3, 0.7, 0.999])
def test_one_flipped_byte_anywhere_is_found(falling_data: Dataset, name: str, where: float) -> None:
    path = cache.write(falling_data) / name
    _flip(path, int(where * path.stat().st_size))
    with pytest.raises(DataError, match="damaged") as caught:
        cache.load(falling_data.id, falling_data.content_hash)
    assert str(path.parent) in str(caught.value)
    assert "Delete this folder" in str(caught.value)
    assert path.exists()


@pytest.mark.parametrize("name", ["observations.npy", "lengths.npy", "manifest.json"])
def test_truncated_and_missing_files_are_found(falling_data: Dataset, name: str) -> None:
    path = cache.write(falling_data) / name
    content = path.read_bytes()
    for kept in (0, 1, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:kept])
        with pytest.raises(DataError, match="damaged"):
            cache.load(falling_data.id, falling_data.content_hash)
    path.write_bytes(content + b"\0")
    with pytest.raises(DataError, match="damaged"):
        cache.load(falling_data.id, falling_data.content_hash)
    path.unlink()
    with pytest.raises(DataError, match="damaged"):
        cache.load(falling_data.id, falling_data.content_hash)


def test_sound_files_of_other_content_are_found(falling_data: Dataset, cheetah_data: Dataset) -> None:
    folder = cache.write(falling_data)
    cache.write(cheetah_data).rename(folder.with_name("other"))
    for path in folder.iterdir():
        path.write_bytes((folder.with_name("other") / path.name).read_bytes())
    manifest = json.loads((folder / cache.MANIFEST).read_text())
    manifest |= {"id": falling_data.id, "content_hash": falling_data.content_hash}
    (folder / cache.MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")
    with pytest.raises(DataError, match=cheetah_data.content_hash):
        cache.load(falling_data.id, falling_data.content_hash)


def test_a_writer_that_dies_leaves_nothing_that_loads(
    falling_data: Dataset, homes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> str:
        raise OSError("No space left on device")

    monkeypatch.setattr(cache, "_manifest", full)
    with pytest.raises(DataError, match="No space left.*OMRL_CACHE"):
        cache.write(falling_data)
    assert not cache.present(falling_data.content_hash)
    assert list((homes / "cache").iterdir()) == []
