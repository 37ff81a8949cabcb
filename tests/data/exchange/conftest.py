"""Imports of small files."""

from collections.abc import Callable
from pathlib import Path

import pytest

from benchmark.data import cache, store
from benchmark.data.exchange.checks import Check


@pytest.fixture
def nothing_kept(homes: Path) -> Callable[[], None]:
    """Asserts that no data set, whole or half, is there."""

    def check() -> None:
        assert not list(store.folder_of("imported").rglob("*.hdf5"))
        assert not cache.root().exists() or not list(cache.root().iterdir())

    return check


def by_name(checks: list[Check]) -> dict[str, Check]:
    return {check.what: check for check in checks}
