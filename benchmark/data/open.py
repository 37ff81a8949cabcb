"""Opening a data set: from the flat cache, else its Minari form, else recorded anew; checked every time.

flat cache there?  --yes--------------------------------------------.
   no: Minari data set there?  --yes--> ingest --.                  |
          no: record from the shipped behaviour --+--> check hash --+--> cache, memory-mapped
"""

from benchmark import families
from benchmark.data import cache, catalog, store
from benchmark.data.dataset import SIZES, Dataset, Progress, dataset_id, no_progress
from benchmark.data.record import Recording, record
from benchmark.data.references import medium_snapshots, read_snapshot_returns, returns_path
from benchmark.data.shipped import shipped_behaviour
from benchmark.errors import DataError
from benchmark.families.family import Family


def open_dataset(
    family_name: str, tier: str = "mixed", size: str = "small", progress: Progress = no_progress
) -> Dataset:
    """The data set of a family, recorded first where it is not here yet.

    Raises DataError where anything is missing, damaged or not what the catalog says; SimulatorVersionError
    where another simulator is installed, or none; UnknownNameError for unknown names.
    """
    family = families.family(family_name)
    identity = dataset_id(family, tier, size)
    expected = catalog.expected_hash(family, tier, size)
    if not cache.present(expected):
        if store.present(identity):
            dataset = store.ingest(identity)
            _check_hash(dataset, expected, f"the Minari data set {store.folder_of(identity)}")
        else:
            dataset = record_standard(family, tier, size, progress)
            _check_hash(dataset, expected, "what was just recorded")
            if not store.present(identity):  # another process may have recorded it meanwhile
                store.write(family, dataset, store.describe(family, tier, dataset.content_hash))
        cache.write(dataset)
        del dataset
    return cache.load(identity, expected)


def record_dataset(
    family_name: str, tier: str = "mixed", size: str = "small", progress: Progress = no_progress
) -> Dataset:
    """The same, and its Minari form is there afterwards too, also where only the cache was."""
    family = families.family(family_name)
    dataset = open_dataset(family_name, tier, size, progress)
    if not store.present(dataset.id):
        store.write(family, dataset, store.describe(family, tier, dataset.content_hash))
    return dataset


def _check_hash(dataset: Dataset, expected: str, what: str) -> None:
    if dataset.content_hash != expected:
        raise DataError(
            f"{what} is not the standard's {dataset.id}: its content hash is {dataset.content_hash}, and "
            f"{catalog.catalog_path()} says {expected}. Nothing was kept. Restore datasets/ "
            "(git checkout -- datasets) and delete a Minari data set of that name. If that does not help, "
            "this machine rounds otherwise than the standard's (a processor without AVX2 and FMA, or another "
            "C library): record on another one and copy its Minari data set."
        )


def standard_recording(family: Family, tier: str, size: str) -> Recording:
    """What the standard's data set is recorded from; raises DataError where a shipped file is not right."""
    family.require_simulator()
    behaviour = shipped_behaviour(family)
    medium = medium_snapshots(read_snapshot_returns(returns_path(family.name))) if tier == "medium" else ()
    return Recording(family, behaviour, tier, SIZES[size], medium)


def record_standard(family: Family, tier: str, size: str, progress: Progress = no_progress) -> Dataset:
    """Record the standard's data set, without storing it."""
    catalog.check_behaviour(family)
    catalog.check_returns(family)
    return record(standard_recording(family, tier, size), dataset_id(family, tier, size), progress=progress)
