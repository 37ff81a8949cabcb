"""What tests do with files in D4RL's layout."""

from pathlib import Path
from typing import Any

import h5py

from benchmark.data.dataset import Dataset
from benchmark.data.exchange import d4rl, intake
from benchmark.data.exchange.checks import Check
from benchmark.data.references import Blind, References
from benchmark.families.family import Family
from tests.data.exchange.conftest import by_name

REFERENCES = References((-10.0, -20.0), (1000.0, 2000.0), (0.0, 0.0), {"standard": Blind(0, (1.0, 2.0))})


def taken(family: Family, files: dict[int, Path], name: str = "theirs") -> tuple[Dataset, dict[str, Check]]:
    data, checks = intake.take_in(family, name, d4rl.read_portions(family, files), {"format": "d4rl"})
    return data, by_name(checks)


def loaded(path: Path) -> dict[str, Any]:
    """All columns by their full names, as a reader of the layout collects them."""
    found: dict[str, Any] = {}

    def collect(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = item[()]

    with h5py.File(path) as file:
        file.visititems(collect)
    return found
