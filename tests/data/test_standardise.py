"""Measuring again: hashes stay while they are true, and an interruption leaves nothing half-true."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmark.cli import main
from benchmark.data import catalog, standardise
from benchmark.data.dataset import Dataset
from benchmark.data.references import returns_path
from benchmark.data.snapshots import Snapshots, shipped_path
from benchmark.errors import DataError
from benchmark.families.family import Family
from tests.data.synthetic import random_snapshots

FULL = "f" * 64


@pytest.fixture
def with_full(small_standard: Family) -> catalog.Entry:
    """An entry that has a full data set too, as if one had been recorded."""
    entry = catalog.entry(small_standard).with_hash("full", "mixed", FULL)
    catalog.write_entry(small_standard, entry)
    return entry


def interrupted(*_: object, **__: object) -> Dataset:
    raise KeyboardInterrupt


def other_behaviour(family: Family) -> Snapshots:
    made = random_snapshots(family, seed=1)
    made.save(shipped_path(family.name))
    return made


def test_hashes_stay_where_nothing_changed(with_full: catalog.Entry, small_standard: Family) -> None:
    before = catalog.catalog_path().read_text()
    assert standardise.measure(small_standard.name, episodes=1) == with_full
    assert standardise.add_hashes(small_standard.name) == with_full
    assert catalog.catalog_path().read_text() == before


def test_the_command_loses_no_size_that_it_was_not_asked_about(
    with_full: catalog.Entry, small_standard: Family, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def once(family_name: str, **options: Callable[..., None]) -> catalog.Entry:
        return measure(family_name, episodes=1)

    measure = standardise.measure
    monkeypatch.setattr(standardise, "measure", once)
    assert main(["data", "catalog", "--family", small_standard.name, "--sizes", "small"]) == 0
    assert catalog.entry(small_standard) == with_full
    assert "small: mixed, random, medium, expert; full: mixed" in capsys.readouterr().out


@pytest.mark.parametrize("changed", ["behaviour", "returns"])
def test_hashes_of_what_has_changed_go(
    with_full: catalog.Entry, small_standard: Family, changed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if changed == "behaviour":
        other_behaviour(small_standard)
    entry = standardise.measure(small_standard.name, episodes=1 if changed == "behaviour" else 2)
    assert entry.hashes == {}
    with monkeypatch.context() as patch:  # what is left says so, and the rest can be made up for
        patch.setattr(standardise, "record_standard", interrupted)
        with pytest.raises(KeyboardInterrupt):
            standardise.add_hashes(small_standard.name)
    assert catalog.entry(small_standard) == entry
    again = standardise.add_hashes(small_standard.name).hashes
    assert list(again) == ["small"]
    assert (again["small"]["mixed"] == with_full.hashes["small"]["mixed"]) == (changed == "returns")


def test_an_interruption_before_all_is_measured_changes_nothing(
    with_full: catalog.Entry, small_standard: Family, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = catalog.catalog_path(), returns_path(small_standard.name)
    before = [path.read_bytes() for path in paths]
    other_behaviour(small_standard)
    monkeypatch.setattr(standardise, "measure_references", interrupted)
    with pytest.raises(KeyboardInterrupt):
        standardise.measure(small_standard.name, episodes=1)
    assert [path.read_bytes() for path in paths] == before


def test_a_damaged_entry_is_said_before_anything_is_measured(
    small_standard: Family, monkeypatch: pytest.MonkeyPatch
) -> None:
    path: Path = catalog.catalog_path()
    path.write_text(path.read_text().replace("mujoco =", "mujocco ="))
    monkeypatch.setattr(standardise, "measure_snapshots", interrupted)
    with pytest.raises(DataError, match="is damaged"):
        standardise.measure(small_standard.name)


def test_hashes_that_others_write_meanwhile_stay(
    small_standard: Family, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = catalog.entry(small_standard).made_with
    record = standardise.record_standard

    def slowly(family: Family, tier: str, *rest: Any) -> Dataset:
        catalog.add_hash(
            family, measured, "full", tier, FULL
        )  # another process, in the hours that recording takes
        return record(family, tier, *rest)

    catalog.write_entry(small_standard, replace(catalog.entry(small_standard), hashes={}))
    monkeypatch.setattr(standardise, "record_standard", slowly)
    found = standardise.add_hashes(small_standard.name, tiers=["mixed", "random"])
    assert found == catalog.entry(small_standard)
    assert {size: list(tiers) for size, tiers in found.hashes.items()} == {
        "full": ["mixed", "random"],
        "small": ["mixed", "random"],
    }


def test_measuring_anew_loses_no_hash_that_others_write_meanwhile(
    with_full: catalog.Entry, small_standard: Family, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure = standardise.measure_references

    def slowly(*rest: Any) -> Any:
        catalog.add_hash(small_standard, with_full.made_with, "full", "random", FULL)
        return measure(*rest)

    monkeypatch.setattr(standardise, "measure_references", slowly)
    entry = standardise.measure(small_standard.name, episodes=1)
    assert entry == catalog.entry(small_standard) == with_full.with_hash("full", "random", FULL)


def test_hashes_of_what_was_measured_anew_meanwhile_are_not_written(small_standard: Family) -> None:
    before = catalog.entry(small_standard)
    catalog.write_entry(small_standard, replace(before, snapshot_returns="0" * 64, hashes={}))
    with pytest.raises(DataError, match="measured anew while its data were recorded"):
        catalog.add_hash(small_standard, before.made_with, "full", "mixed", FULL)
    assert catalog.entry(small_standard).hashes == {}
