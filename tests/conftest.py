"""Options of the whole suite, shape checking of annotated functions while tests run, and small data."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from jaxtyping import install_import_hook
from xdist.scheduler import LoadFileScheduling

SHARING_RUNS = ("tests/submissions/", "tests/sweep/")

torch.set_num_threads(1)  # the tensors of tests are small: threads would only wait for each other
install_import_hook(["macaw", "baselines"], "beartype.beartype")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--golden",
        type=Path,
        default=Path(__file__).parent / "golden",
        help="folder of recordings of the authors' program to replay (default: the shipped ones)",
    )


class TogetherWhereRunsAreShared(LoadFileScheduling):
    """The tests of a file run in one process (`--dist loadfile`), and those of a folder that all need the same runs."""

    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        return next((folder for folder in SHARING_RUNS if file.startswith(folder)), file)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling | None:
    return TogetherWhereRunsAreShared(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.fixture(autouse=True, scope="session")
def data_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recorded data of this test session go to a folder of their own, not to the user's."""
    home = tmp_path_factory.mktemp("data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMRL_CACHE", str(home / "cache"))
        patch.setenv("MINARI_DATASETS_PATH", str(home / "minari"))
        yield home


@pytest.fixture(scope="session")
def point_robot_data(data_home: Path) -> object:
    """The standard's smallest data set, in the cache alone: its 20 thousand episodes take Minari a while."""
    from benchmark import families
    from benchmark.data import cache
    from benchmark.data.open import open_dataset, record_standard

    cache.write(record_standard(families.family("point-robot"), "mixed", "small"))
    return open_dataset("point-robot")


@pytest.fixture
def tiny_data() -> Callable[[str], object]:
    """Opens a made-up data set of cheetah-dir: three episodes per task, the same for every tier."""
    from benchmark.data.dataset import Dataset

    random = np.random.default_rng(0)
    episodes, horizon, tasks = 3, 200, 2
    rows = tasks * episodes * horizon
    dataset = Dataset(
        id="omrl/cheetah-dir/mixed-v1",
        observations=random.normal(size=(rows + tasks * episodes, 20)).astype(np.float32),
        actions=random.uniform(-1, 1, size=(rows, 6)).astype(np.float32),
        rewards=random.normal(size=rows).astype(np.float32),
        log_probs=np.zeros(rows, np.float32),
        tasks=np.repeat(np.arange(tasks, dtype=np.int32), episodes),
        snapshots=np.zeros(tasks * episodes, np.int32),
        lengths=np.full(tasks * episodes, horizon, np.int32),
        terminated=np.zeros(tasks * episodes, np.bool_),
    )
    return lambda tier: dataset
