"""Data sets put together from portions: the same as in memory, nothing left behind."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from benchmark.data import cache
from benchmark.data.dataset import COLUMNS, Dataset
from benchmark.data.spool import Columns, spooled
from benchmark.errors import DataError


def portion(task: int, episodes: int = 2, length: int = 3) -> Columns:
    rows = episodes * length
    return {
        "observations": np.full((rows + episodes, 4), task, np.float64),
        "actions": np.full((rows, 2), task, np.float64),
        "rewards": np.arange(rows, dtype=np.float64),
        "log_probs": np.zeros(rows),
        "tasks": np.full(episodes, task),
        "snapshots": np.arange(episodes),
        "lengths": np.full(episodes, length),
        "terminated": np.zeros(episodes, np.bool_),
    }


def test_portions_become_one_data_set(homes: Path) -> None:
    made: list[int] = []

    def portions() -> Iterator[Columns]:
        for task in range(3):
            made.append(task)
            yield portion(task)

    found = spooled("some", portions())
    joined = {
        name: np.concatenate([portion(task)[name] for task in range(3)]).astype(kind)
        for name, kind in COLUMNS.items()
    }
    assert found.content_hash == Dataset("some", **joined).content_hash
    assert made == [0, 1, 2]
    assert not list(cache.root().iterdir()), "the files of the portions are left behind"


def test_what_does_not_fit_together_is_refused(homes: Path) -> None:
    with pytest.raises(ValueError, match="not in task order"):
        spooled("some", iter([portion(1), portion(0)]))
    assert not list(cache.root().iterdir())


def test_a_failure_leaves_nothing_behind(homes: Path) -> None:
    def portions() -> Iterator[Columns]:
        yield portion(0)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        spooled("some", portions())
    assert not list(cache.root().iterdir())


def test_a_folder_that_cannot_be_used_gets_one_message(homes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (homes / "file").write_text("in the way")
    monkeypatch.setenv("OMRL_CACHE", str(homes / "file"))
    with pytest.raises(
        DataError, match="some cannot be put together in .*Free some space, or set OMRL_CACHE"
    ):
        spooled("some", iter([portion(0)]))
