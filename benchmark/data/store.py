"""Minari form of a data set (written next; until then nothing is stored in it)."""

from pathlib import Path
from typing import Any

from benchmark.data.dataset import Dataset
from benchmark.families.family import Family


def folder_of(identity: str) -> Path:
    """Where the data set lies."""
    return Path(identity)


def present(identity: str) -> bool:
    """Whether it is there."""
    return False


def ingest(identity: str) -> Dataset:
    """Read it."""
    raise NotImplementedError


def describe(family: Family, tier: str, size: str, content_hash: str) -> dict[str, Any]:
    """Metadata."""
    return {}


def write(dataset: Dataset, metadata: dict[str, Any]) -> None:
    """Store it."""
