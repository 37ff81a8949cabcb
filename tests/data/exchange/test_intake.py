"""How imported data are named, stored and opened; MACAW's buffers stand for any of them."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from benchmark import families
from benchmark.data import cache, spool, store
from benchmark.data.exchange import intake
from benchmark.errors import BenchmarkError, ConfigError, DataError
from benchmark.families.family import Family
from tests.data.exchange.conftest import taken


def test_without_the_cache_it_is_made_anew(paths: list[Path], cheetah: Family) -> None:
    content_hash = taken(cheetah, paths)[0].content_hash
    for path in cache.folder_of(content_hash).iterdir():
        path.unlink()
    cache.folder_of(content_hash).rmdir()
    assert intake.open_imported(cheetah, "imported/cheetah-dir/theirs-v0").content_hash == content_hash


def test_names_are_kept_apart_and_nothing_is_overwritten(paths: list[Path], cheetah: Family) -> None:
    taken(cheetah, paths)
    with pytest.raises(DataError, match="is there already"):
        taken(cheetah, paths)
    with pytest.raises(DataError, match="very same data are here under another name"):
        taken(cheetah, paths, "again")
    for name in ("omrl/x", "../x", "X", "", "a--b", "a b"):
        with pytest.raises(ConfigError, match="does not fit"):
            taken(cheetah, paths, name)
    assert intake.imported() == ["imported/cheetah-dir/theirs-v0"]


def test_the_very_same_data_are_found_without_their_cache(paths: list[Path], cheetah: Family) -> None:
    first, _ = taken(cheetah, paths)
    shutil.rmtree(cache.root())
    with pytest.raises(
        DataError, match="very same data are here under another name: imported/cheetah-dir/theirs-v0"
    ):
        taken(cheetah, paths, "again")
    assert intake.open_imported(cheetah, first.id).content_hash == first.content_hash


def test_of_two_imports_at_once_under_one_name_the_later_is_refused(
    paths: list[Path], cheetah: Family, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill = store._fill

    def meanwhile(*given: Any) -> None:
        monkeypatch.setattr(store, "_fill", fill)
        taken(cheetah, paths[:2])
        fill(*given)

    monkeypatch.setattr(store, "_fill", meanwhile)
    with pytest.raises(DataError, match="other data were stored as imported/cheetah-dir/theirs-v0 meanwhile"):
        taken(cheetah, paths)
    assert intake.open_imported(cheetah, "imported/cheetah-dir/theirs-v0").tasks.max() == 0


def test_a_name_that_no_disk_takes_is_refused(paths: list[Path], cheetah: Family) -> None:
    with pytest.raises(ConfigError, match="100 at most"):
        taken(cheetah, paths, "a" * 101)
    taken(cheetah, paths)
    with pytest.raises(DataError, match="there can be no data set named"):
        store.present(f"imported/cheetah-dir/{'a' * 300}-v0")


@pytest.mark.parametrize("name", ["theirs", "again"])
def test_who_deletes_the_minari_form_can_import_again(paths: list[Path], cheetah: Family, name: str) -> None:
    """The cache of the import before lies there still."""
    data, _ = taken(cheetah, paths)
    shutil.rmtree(store.folder_of(data.id))
    again, _ = taken(cheetah, paths, name)
    assert intake.open_imported(cheetah, again.id).content_hash == data.content_hash
    assert intake.imported() == [f"imported/cheetah-dir/{name}-v0"]


def test_the_standard_and_other_families_are_refused_as_imported_data(
    paths: list[Path], cheetah: Family
) -> None:
    taken(cheetah, paths)
    for name in (
        "omrl/cheetah-dir/mixed-v1", "imported/", "imported/cheetah-dir", "imported/cheetah-dir/theirs-v0/data",
        "imported/../imported/cheetah-dir/theirs-v0", "imported/cheetah-dir/../../omrl-v0", "imported/theirs/theirs-v0",
        "imported/cheetah-dir/theirs-v0\n",
    ):  # fmt: skip
        with pytest.raises(ConfigError, match="is not imported data"):
            intake.open_imported(cheetah, name)
    with pytest.raises(DataError, match="is data of cheetah-dir-v1, not of cheetah-vel-v1"):
        intake.open_imported(families.family("cheetah-vel"), "imported/cheetah-dir/theirs-v0")
    with pytest.raises(DataError, match="is not here. Imported data sets: imported/cheetah-dir/theirs-v0"):
        intake.open_imported(cheetah, "imported/cheetah-dir/thers-v0")


def test_damage_to_what_was_imported_is_found(paths: list[Path], cheetah: Family) -> None:
    data, _ = taken(cheetah, paths)
    path = store.folder_of(data.id) / "data" / "main_data.hdf5"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="damaged"):
        intake.open_imported(cheetah, data.id)


def test_episodes_without_rows_are_damage(paths: list[Path], cheetah: Family) -> None:
    data, _ = taken(cheetah, paths)
    folder = store.folder_of(data.id) / "data"
    with h5py.File(folder / "main_data.hdf5", "r+") as file:
        del file["episode_0/terminations"]
        file["episode_0/terminations"] = np.zeros(0, bool)
    store._seal(folder)
    with pytest.raises(DataError, match="is damaged: it cannot be read"):
        intake.verify(data.id)


@pytest.mark.parametrize("where", ["_seal", "cache", "spool"])
def test_a_disk_that_is_full_leaves_nothing(
    paths: list[Path], cheetah: Family, nothing_kept: Callable[[], None], monkeypatch: pytest.MonkeyPatch, where: str
) -> None:  # fmt: skip
    def full(*_: object) -> None:
        raise OSError("No space left on device")

    if where == "spool":
        monkeypatch.setattr(spool, "_append", full)
    else:
        monkeypatch.setattr(*{"_seal": (store, "_seal"), "cache": (cache, "_write_column")}[where], full)
    with pytest.raises(BenchmarkError, match="No space left"):
        taken(cheetah, paths)
    nothing_kept()
