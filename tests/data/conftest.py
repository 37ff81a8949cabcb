"""Small synthetic behaviour, and storage in temporary folders only."""

import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmark import families, files
from benchmark.data import dataset, standardise
from benchmark.data.record import Recording, record
from benchmark.data.snapshots import Snapshots, shipped_path
from benchmark.families.family import Family
from tests.data.synthetic import FallingCheetah, random_snapshots


@pytest.fixture(autouse=True)
def homes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test touches the user's data sets."""
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    monkeypatch.setenv("OMRL_CACHE", str(tmp_path / "cache"))
    return tmp_path


@pytest.fixture(scope="session")
def cheetah() -> Family:
    return families.family("cheetah-dir")


@pytest.fixture(scope="session")
def falling() -> Family:
    return FallingCheetah()


@pytest.fixture(scope="session")
def snapshots(cheetah: Family) -> Snapshots:
    return random_snapshots(cheetah)


@pytest.fixture(scope="session")
def falling_data(falling: Family, snapshots: Snapshots) -> dataset.Dataset:
    """Episodes of different lengths, most of them truly terminated."""
    return record(Recording(falling, snapshots, "mixed", 300), "omrl/falling/mixed-v1", threads=1)


@pytest.fixture(scope="session")
def cheetah_data(cheetah: Family, snapshots: Snapshots) -> dataset.Dataset:
    return record(Recording(cheetah, snapshots, "mixed", 1600), "omrl/cheetah-dir/mixed-v1", threads=1)


@pytest.fixture(scope="session")
def standard_folder(tmp_path_factory: pytest.TempPathFactory, cheetah: Family, snapshots: Snapshots) -> Path:
    """A `datasets` folder with a standard of its own: two tasks, 1,200 transitions each."""
    folder = tmp_path_factory.mktemp("standard") / "datasets"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "DATASETS", folder)
        patch.setitem(dataset.SIZES, "small", 1200)
        snapshots.save(shipped_path(cheetah.name))
        standardise.measure(cheetah.name, episodes=1)
        standardise.add_hashes(cheetah.name)
    return folder


@pytest.fixture
def small_standard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cheetah: Family, standard_folder: Path
) -> Family:
    """The small standard, in place of the project's, to be damaged at will."""
    shutil.copytree(standard_folder, tmp_path / "datasets")
    monkeypatch.setattr(files, "DATASETS", tmp_path / "datasets")
    monkeypatch.setitem(dataset.SIZES, "small", 1200)
    return cheetah


@contextmanager
def full_disk(size: int) -> Iterator[None]:
    """A file-size limit makes writes fail half way, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
