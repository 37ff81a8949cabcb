"""Imports of small files."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.data import cache, store
from benchmark.data.dataset import Dataset
from benchmark.data.exchange import intake, macaw
from benchmark.data.exchange.checks import Check
from benchmark.families.family import Family
from tests.data.exchange.writers import write_macaw


@pytest.fixture
def paths(tmp_path: Path, cheetah_data: Dataset) -> list[Path]:
    """MACAW's buffers and pickles of both tasks of cheetah-dir."""
    return write_macaw(tmp_path / "buffers", cheetah_data, "direction", {0: 1, 1: np.int64(-1)})


@pytest.fixture
def nothing_kept(homes: Path) -> Callable[[], None]:
    """Asserts that no data set, whole or half, is there."""

    def check() -> None:
        assert not list(store.folder_of("imported").rglob("*.hdf5"))
        assert not cache.root().exists() or not list(cache.root().iterdir())

    return check


def by_name(checks: list[Check]) -> dict[str, Check]:
    return {check.what: check for check in checks}


def taken(family: Family, paths: list[Path], name: str = "theirs", tasks: Any = None) -> Any:
    """MACAW's buffers as imported data, and what was checked by name."""
    files = macaw.find_tasks(family, paths, tasks)
    data, checks = intake.take_in(family, name, macaw.read_portions(family, files), {"format": "macaw"})
    return data, by_name(checks)
