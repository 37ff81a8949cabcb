"""The Minari form: equal arrays back, readable without this project, no damage goes unnoticed."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import minari
import numpy as np
import pytest

from benchmark import files
from benchmark.data import catalog, store
from benchmark.data.dataset import Dataset
from benchmark.errors import DataError
from benchmark.families.family import Family
from tests.data.conftest import full_disk


@pytest.fixture
def metadata(small_standard: Family, cheetah_data: Dataset) -> dict[str, object]:
    return store.describe(small_standard, "mixed", cheetah_data.content_hash)


@pytest.fixture(scope="session")
def original(
    tmp_path_factory: pytest.TempPathFactory, cheetah: Family, cheetah_data: Dataset, standard_folder: Path
) -> Path:
    """Folder of all Minari data sets, holding the one of `cheetah_data`."""
    folder = tmp_path_factory.mktemp("minari")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "DATASETS", standard_folder)
        patch.setenv("MINARI_DATASETS_PATH", str(folder))
        store.write(cheetah, cheetah_data, store.describe(cheetah, "mixed", cheetah_data.content_hash))
    return folder


@pytest.fixture
def stored(original: Path, homes: Path, small_standard: Family, cheetah_data: Dataset) -> Path:
    """A copy of it that may be damaged; the folder of its files."""
    shutil.copytree(original, homes / "minari")
    return store.folder_of(cheetah_data.id) / "data"


def test_ingested_again_it_is_the_same(stored: Path, cheetah_data: Dataset) -> None:
    again = store.ingest(cheetah_data.id)
    assert again.content_hash == cheetah_data.content_hash
    for name, column in cheetah_data.columns.items():
        assert np.array_equal(getattr(again, name), column)


def test_true_terminations_survive(
    falling: Family, falling_data: Dataset, metadata: dict[str, object]
) -> None:
    folder = store.write(falling, falling_data, metadata)
    assert store.ingest(falling_data.id).content_hash == falling_data.content_hash
    for number, episode in enumerate(minari.MinariDataset(folder / "data")):
        assert bool(episode.terminations[-1]) == bool(falling_data.terminated[number])
        assert bool(episode.truncations[-1]) != bool(falling_data.terminated[number])
        assert not episode.terminations[:-1].any()
        assert not episode.truncations[:-1].any()


def test_minari_alone_reads_it(stored: Path, cheetah_data: Dataset) -> None:
    program = """
import sys, json, minari
data = minari.load_dataset(sys.argv[1])
one = data[9]
print(json.dumps({
    "modules": [name for name in sys.modules if name.split(".")[0] == "benchmark"],
    "episodes": data.total_episodes, "steps": data.total_steps,
    "shapes": [one.observations.shape, one.actions.shape, one.infos["log_prob"].shape],
    "task": int(one.infos["task"]), "snapshot": int(one.infos["snapshot"]), "reward": float(one.rewards[17]),
    "listed": list(minari.list_local_datasets()),
}))
"""
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, cheetah_data.id],
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(run.stdout)
    assert found == {
        "modules": [],
        "episodes": cheetah_data.episodes,
        "steps": cheetah_data.rows,
        "shapes": [[201, 20], [200, 6], [200]],
        "task": int(cheetah_data.tasks[9]),
        "snapshot": int(cheetah_data.snapshots[9]),
        "reward": float(cheetah_data.episode(9)["rewards"][17]),
        "listed": [cheetah_data.id],
    }


def test_the_environment_comes_back(stored: Path, cheetah_data: Dataset) -> None:
    environment = minari.load_dataset(cheetah_data.id).recover_environment()
    assert environment.spec is not None
    assert environment.spec.id == "cheetah-dir-v1"
    _, info = environment.reset(seed=0, options={"task": 1})
    assert info["task"] == 1


def test_metadata_tell_what_a_reader_needs(stored: Path, cheetah: Family, cheetah_data: Dataset) -> None:
    content = minari.load_dataset(cheetah_data.id).storage.metadata
    known = catalog.references("cheetah-dir")
    assert content["task_parameters"] == [1.0, -1.0]
    assert content["references"]["expert"] == list(known.expert)
    assert content["references"]["blind"]["standard"]["expert"] == known.blind["standard"].expert
    assert content["mujoco_version"] == "3.3.0"
    assert content["content_hash"] == cheetah_data.content_hash
    assert content["licence"] == "MIT"
    assert set(content["recipe"]) == {"snapshots_sha256", "snapshot_steps", "random_steps", "life_shares"}


@pytest.mark.parametrize("name", [*store.FILES, store.SUMS])
@pytest.mark.parametrize("where", [0.0, 0.1, 0.5, 0.77, 0.9999])
def test_one_flipped_byte_anywhere_is_found(
    stored: Path, cheetah_data: Dataset, name: str, where: float
) -> None:
    content = bytearray((stored / name).read_bytes())
    content[int(where * len(content))] ^= 0x04
    (stored / name).write_bytes(content)
    with pytest.raises(DataError, match="damaged") as caught:
        store.ingest(cheetah_data.id)
    assert str(stored.parent) in str(caught.value)


@pytest.mark.parametrize("name", [*store.FILES, store.SUMS])
def test_truncated_and_missing_files_are_found(stored: Path, cheetah_data: Dataset, name: str) -> None:
    content = (stored / name).read_bytes()
    for kept in (0, len(content) // 2, len(content) - 1):
        (stored / name).write_bytes(content[:kept])
        with pytest.raises(DataError, match="damaged"):
            store.ingest(cheetah_data.id)
    (stored / name).unlink()
    with pytest.raises(DataError, match="damaged"):
        store.ingest(cheetah_data.id)


def test_damage_from_before_the_sums_were_made_is_found(stored: Path, cheetah_data: Dataset) -> None:
    path = stored / "main_data.hdf5"
    content = path.read_bytes()
    for position in range(0, len(content), len(content) // 12):
        path.write_bytes(content[:position] + bytes(64) + content[position + 64 :])
        store._seal(stored)
        try:
            assert store.ingest(cheetah_data.id).content_hash != ""  # readable, and then the hash tells
        except DataError as error:
            assert str(stored.parent) in str(error)


def test_a_writer_that_dies_leaves_nothing_that_loads(
    cheetah: Family,
    cheetah_data: Dataset,
    metadata: dict[str, object],
    homes: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(store, "_seal", full)
    with pytest.raises(DataError, match="No space left.*MINARI_DATASETS_PATH"):
        store.write(cheetah, cheetah_data, metadata)
    assert not store.present(cheetah_data.id)
    assert minari.list_local_datasets() == {}
    assert [path for path in (homes / "minari").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("size", [1_000, 40_000, 100_000, 300_000])
def test_a_disk_that_is_full_in_truth_is_one_message(
    cheetah: Family, cheetah_data: Dataset, metadata: dict[str, object], homes: Path, size: int
) -> None:
    with (
        full_disk(size),
        pytest.raises(DataError, match=r"cannot be written: .*MINARI_DATASETS_PATH"),
    ):
        store.write(cheetah, cheetah_data, metadata)
    assert [path for path in (homes / "minari").rglob("*") if path.is_file()] == []


def test_the_space_that_is_asked_for_is_what_it_takes(
    stored: Path, cheetah_data: Dataset, tmp_path: Path
) -> None:
    size = (stored / "main_data.hdf5").stat().st_size
    with full_disk(size), pytest.raises(OSError, match="large"):
        store._require_space(tmp_path / "space", cheetah_data)
    with full_disk(int(1.2 * size)):
        store._require_space(tmp_path / "space", cheetah_data)
    assert not (tmp_path / "space").exists()


def test_what_a_killed_writer_leaves_is_not_seen(
    cheetah: Family,
    cheetah_data: Dataset,
    metadata: dict[str, object],
    homes: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(store, "_seal", killed)
        patch.setattr(files, "_remove", lambda path: None)
        with pytest.raises(KeyboardInterrupt):
            store.write(cheetah, cheetah_data, metadata)
    assert [path.name for path in (homes / "minari").rglob("*.hdf5")] == ["main_data.hdf5"]
    assert minari.list_local_datasets() == {}
    assert not store.present(cheetah_data.id)
    store.write(cheetah, cheetah_data, metadata)
    assert store.ingest(cheetah_data.id).content_hash == cheetah_data.content_hash


def test_nothing_is_overwritten(stored: Path, cheetah: Family, cheetah_data: Dataset) -> None:
    before = (stored / "main_data.hdf5").read_bytes()
    with pytest.raises(DataError, match="is there already"):
        store.write(cheetah, cheetah_data, {})
    assert (stored / "main_data.hdf5").read_bytes() == before
