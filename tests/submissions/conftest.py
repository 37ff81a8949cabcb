"""A tiny standard of `point-robot`, four runs of the README's method on it, and their submission, to be damaged."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmark import families, files
from benchmark.cli import main
from benchmark.data import dataset, standardise
from benchmark.data.snapshots import shipped_path
from tests.data.synthetic import random_snapshots

EXAMPLE = Path(__file__).parents[2] / "examples" / "ridge_cloning.py"
RUN = ["--family", "point-robot", "--seeds", "0", "1", "2", "3", "--threads", "1"]
ABOUT = ["--authors", "Ada Lovelace, Ōe Kenzaburō", "--url", "https://example.org/ridge"]


@contextmanager
def in_place(folder: Path) -> Iterator[None]:
    """Within the block the standard in this folder stands in place of the project's, and of recorded data."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "DATASETS", folder / "datasets")
        patch.setitem(dataset.SIZES, "small", 400)
        patch.setenv("MINARI_DATASETS_PATH", str(folder / "minari"))
        patch.setenv("OMRL_CACHE", str(folder / "cache"))
        yield


@pytest.fixture(scope="session")
def tiny_standard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Behaviour of random weights, and 400 transitions per task."""
    folder = tmp_path_factory.mktemp("standard")
    family = families.family("point-robot")
    with in_place(folder):
        random_snapshots(family).save(shipped_path(family.name))
        standardise.measure(family.name, episodes=2)
        standardise.add_hashes(family.name, tiers=("mixed",))
    return folder


@pytest.fixture(autouse=True)
def standing_in(tiny_standard: Path) -> Iterator[None]:
    """For the time of a test; the tests of other folders have the project's own standard."""
    with in_place(tiny_standard):
        yield


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory, tiny_standard: Path) -> Path:
    """Four finished runs of the example, which lies in a folder of its own."""
    folder = tmp_path_factory.mktemp("someone")
    shutil.copy(EXAMPLE, folder / "my_method.py")
    algo = f"{folder / 'my_method.py'}:RidgeCloning"
    command = ["run", "--algo", algo, "--steps", "30", "--set", "hidden_size=16", *RUN]
    with in_place(tiny_standard):
        assert main([*command, "--out", str(folder / "runs")]) == 0
    return folder / "runs"


@pytest.fixture(scope="session")
def submitted(tmp_path_factory: pytest.TempPathFactory, tiny_standard: Path, runs: Path) -> Path:
    """A leaderboard folder with one submission, as its author made it."""
    board = tmp_path_factory.mktemp("submitted") / "leaderboard"
    with in_place(tiny_standard):
        assert main(["submit", str(runs), "--name", "ridge", *ABOUT, "--folder", str(board)]) == 0
    return board


@pytest.fixture
def board(tmp_path: Path, submitted: Path) -> Path:
    """A copy of that folder."""
    return Path(shutil.copytree(submitted, tmp_path / "leaderboard"))


@pytest.fixture
def submission(board: Path) -> Path:
    """The submission in it."""
    return board / "submissions" / "ridge"
