"""Opening: cache, else Minari, else recording; and never anything but what the catalog says."""

import shutil
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import pytest

from benchmark import files
from benchmark.data import cache, catalog, store
from benchmark.data import open as opening
from benchmark.data.dataset import Dataset
from benchmark.data.open import open_dataset, record_dataset
from benchmark.data.record import record
from benchmark.data.snapshots import UNIFORM, Snapshots, shipped_path
from benchmark.errors import BenchmarkError, DataError, SimulatorVersionError, UnknownNameError
from benchmark.families.family import Family
from tests.data.synthetic import random_snapshots

ID = "omrl/cheetah-dir/mixed-v1"


@pytest.fixture
def no_recording(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> Dataset:
        raise AssertionError("recorded although the data are here")

    monkeypatch.setattr(opening, "record", refuse)


def test_first_recorded_then_kept_in_both_forms(small_standard: Family) -> None:
    seen: list[tuple[int, int]] = []
    data = open_dataset("cheetah-dir", progress=lambda done, total: seen.append((done, total)))
    assert data.id == ID
    assert data.rows == 2400
    assert seen[-1] == (2, 2)
    assert store.present(ID)
    assert isinstance(data.observations, np.memmap)


def test_second_time_it_comes_from_the_cache(small_standard: Family, request: pytest.FixtureRequest) -> None:
    first = open_dataset("cheetah-dir")
    shutil.rmtree(store.folder_of(ID))
    request.getfixturevalue("no_recording")
    assert open_dataset("cheetah-dir-v1").content_hash == first.content_hash


def test_without_the_cache_it_comes_from_minari(
    small_standard: Family, request: pytest.FixtureRequest
) -> None:
    first = open_dataset("cheetah-dir").content_hash
    shutil.rmtree(cache.root())
    request.getfixturevalue("no_recording")
    assert open_dataset("cheetah-dir").content_hash == first


def test_recording_what_is_cached_brings_minaris_form_back(
    small_standard: Family, request: pytest.FixtureRequest
) -> None:
    first = open_dataset("cheetah-dir").content_hash
    shutil.rmtree(store.folder_of(ID))
    request.getfixturevalue("no_recording")
    assert record_dataset("cheetah-dir").content_hash == first
    assert store.ingest(ID).content_hash == first


@pytest.mark.parametrize("tier", ["random", "medium", "expert"])
def test_every_tier_opens(small_standard: Family, tier: str) -> None:
    numbers = set(open_dataset("cheetah-dir", tier).snapshots.tolist())
    if tier == "medium":
        assert UNIFORM not in numbers
    else:
        assert numbers == {UNIFORM if tier == "random" else 2}


def test_a_damaged_cache_is_reported_and_left_alone(small_standard: Family) -> None:
    folder = cache.folder_of(open_dataset("cheetah-dir").content_hash)
    (folder / "rewards.npy").unlink()
    with pytest.raises(DataError, match="damaged") as caught:
        open_dataset("cheetah-dir")
    assert str(folder) in str(caught.value)
    assert (folder / "actions.npy").exists()
    shutil.rmtree(folder)
    assert open_dataset("cheetah-dir").rows == 2400


def test_a_damaged_minari_data_set_is_reported_and_left_alone(small_standard: Family) -> None:
    open_dataset("cheetah-dir")
    shutil.rmtree(cache.root())
    path = store.folder_of(ID) / "data" / "main_data.hdf5"
    with path.open("r+b") as file:
        file.seek(-5, 2)
        file.write(b"\xff\x00\xff")
    with pytest.raises(DataError, match="damaged") as caught:
        open_dataset("cheetah-dir")
    assert str(path.parents[1]) in str(caught.value)
    assert path.exists()
    assert not cache.root().exists()


def test_what_is_recorded_must_be_what_the_catalog_says(small_standard: Family) -> None:
    known = catalog.entry(small_standard)
    catalog.write_entry(small_standard, known.with_hash("small", "mixed", "0" * 64))
    with pytest.raises(DataError, match="content hash") as caught:
        open_dataset("cheetah-dir")
    assert str(catalog.catalog_path()) in str(caught.value)
    assert not store.present(ID)
    assert not list(cache.root().iterdir())


def test_sound_minari_data_of_other_content_are_refused(small_standard: Family) -> None:
    open_dataset("cheetah-dir")
    known = catalog.entry(small_standard)
    catalog.write_entry(small_standard, known.with_hash("small", "mixed", "0" * 64))
    with pytest.raises(DataError, match="content hash") as caught:
        open_dataset("cheetah-dir")
    assert str(store.folder_of(ID)) in str(caught.value)


def test_other_snapshots_are_refused_before_anything_is_recorded(
    small_standard: Family, no_recording: None
) -> None:
    random_snapshots(small_standard, seed=5).save(shipped_path("cheetah-dir"))
    with pytest.raises(DataError, match="are not those") as caught:
        open_dataset("cheetah-dir")
    assert str(shipped_path("cheetah-dir")) in str(caught.value)


@pytest.mark.parametrize("content", [None, b"", b"x" * 100])
def test_missing_and_damaged_snapshots_are_named(small_standard: Family, content: bytes | None) -> None:
    path = shipped_path("cheetah-dir")
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        open_dataset("cheetah-dir")
    assert str(path) in str(caught.value)
    assert "git checkout" in str(caught.value)


@pytest.mark.parametrize("kept", [0.0, 0.01, 0.5, 0.999])
def test_a_truncated_snapshot_file_is_damaged(small_standard: Family, kept: float) -> None:
    path = shipped_path("cheetah-dir")
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(DataError, match="damaged") as caught:
        Snapshots.load(path)
    assert str(path) in str(caught.value)


def test_another_simulator_does_not_record(small_standard: Family, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mujoco, "__version__", "9.9.9")
    with pytest.raises(SimulatorVersionError, match=r"9\.9\.9.*pip install mujoco==3\.3\.0"):
        open_dataset("cheetah-dir")
    assert not store.present(ID)


def test_two_processes_may_record_at_once(small_standard: Family, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other one finishes while this one records."""
    first = True

    def meanwhile(*arguments: Any, **named: Any) -> Dataset:
        nonlocal first
        if first:
            first = False
            open_dataset("cheetah-dir")
        return record(*arguments, **named)

    monkeypatch.setattr(opening, "record", meanwhile)
    assert open_dataset("cheetah-dir").rows == 2400


def test_names_there_are_not_get_a_hint(small_standard: Family) -> None:
    for arguments, hint in (
        (("cheetah-di",), "Did you mean 'cheetah-dir'"),
        (("cheetah-dir", "mixt"), "Did you mean 'mixed'"),
        (("cheetah-dir", "mixed", "smal"), "Did you mean 'small'"),
    ):
        with pytest.raises(UnknownNameError, match=hint):
            open_dataset(*arguments)


def test_what_is_not_standardised_says_how_to_make_it_so(small_standard: Family) -> None:
    with pytest.raises(DataError, match="data catalog --family cheetah-dir"):
        open_dataset("cheetah-dir", "mixed", "full")
    with pytest.raises(DataError, match="cheetah-vel is not trained yet.*data collect --family cheetah-vel"):
        open_dataset("cheetah-vel")
    catalog.catalog_path().write_text("")
    with pytest.raises(DataError, match="no entry for cheetah-dir-v1.*data catalog --family cheetah-dir"):
        open_dataset("cheetah-dir")


@pytest.mark.parametrize("damage", ["", "[cheetah-dir-v1]\n", "not toml", "cheetah-dir-v1 = 3\n", None])
def test_a_damaged_catalog_is_named(small_standard: Family, damage: str | None) -> None:
    catalog.catalog_path().unlink()
    if damage is not None:
        catalog.catalog_path().write_text(damage)
    with pytest.raises(DataError) as caught:
        open_dataset("cheetah-dir")
    assert str(catalog.catalog_path()) in str(caught.value)


def test_a_disk_that_is_full_is_one_message(
    small_standard: Family, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a-file").write_text("")
    for variable in ("MINARI_DATASETS_PATH", "OMRL_CACHE"):
        with monkeypatch.context() as patch:
            patch.setenv(variable, str(tmp_path / "a-file" / "below"))
            with pytest.raises(BenchmarkError, match=variable):
                open_dataset("cheetah-dir")
        shutil.rmtree(tmp_path / "minari", ignore_errors=True)


def test_tests_do_not_write_into_the_project(small_standard: Family) -> None:
    assert files.DATASETS != files.PROJECT / "datasets"
