"""What data sets there are, which are recorded here, and whether they are sound."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmark import families
from benchmark.data import cache, catalog, store
from benchmark.data.dataset import SIZES, Progress, dataset_id, no_progress
from benchmark.data.exchange import intake
from benchmark.data.references import returns_path
from benchmark.data.shipped import is_in_a_file, shipped_behaviour
from benchmark.data.snapshots import shipped_path
from benchmark.errors import BenchmarkError, DataError
from benchmark.families.family import Family


@dataclass(frozen=True)
class Listed:
    """One data set of the standard."""

    id: str
    """Identity, such as `omrl/cheetah-vel/mixed-v1`."""
    family: str
    tier: str
    size: str
    transitions: int
    """Of all tasks together; about as many, where episodes are of different lengths."""
    content_hash: str
    """What the catalog says."""
    stored: bool
    """Whether its Minari form is on this machine."""
    cached: bool
    """Whether its flat cache is on this machine."""


@dataclass(frozen=True)
class Finding:
    """What verifying one thing gave."""

    what: str
    """Such as `Minari data set omrl/cheetah-dir/mixed-v1`."""
    where: Path
    present: bool
    """Whether there is anything to verify; data sets need not be recorded."""
    problem: str | None = None
    """What is wrong and what to do; None where all is well."""


def listing() -> list[Listed]:
    """All data sets of the catalog; families that are not standardised yet are left out."""
    return [
        Listed(
            id=dataset_id(family, tier, size),
            family=family.name,
            tier=tier,
            size=size,
            transitions=family.tasks * SIZES[size],
            content_hash=content_hash,
            stored=store.present(dataset_id(family, tier, size)),
            cached=cache.present(content_hash),
        )
        for family in map(families.family, families.FAMILIES)
        if catalog.has_entry(family)
        for size, tiers in catalog.entry(family).hashes.items()
        for tier, content_hash in tiers.items()
    ]


def verify(family_name: str, tier: str, size: str) -> list[Finding]:
    """Check what a data set is made from, and its Minari form and cache where they are here.

    Raises UnknownNameError for unknown names, DataError where the catalog does not have the data set.
    """
    family = families.family(family_name)
    catalog.expected_hash(family, tier, size)
    return [*_verify_shipped(family), *_verify_recorded(family, tier, size)]


def verify_all(progress: Progress = no_progress) -> list[Finding]:
    """The same for all families of the catalog, all their data sets that are on this machine, and imported data."""
    known = [family for family in map(families.family, families.FAMILIES) if catalog.has_entry(family)]
    here = [listed for listed in listing() if listed.stored or listed.cached]
    findings = [finding for family in known for finding in _verify_shipped(family)]
    for done, listed in enumerate(here):
        progress(done, len(here))
        findings += _verify_recorded(families.family(listed.family), listed.tier, listed.size)
    progress(len(here), len(here))
    return findings + [_verify_imported(identity) for identity in intake.imported()]


def _finding(what: str, where: Path, present: bool, check: Callable[[], object]) -> Finding:
    if not present:
        return Finding(what, where, present)
    try:
        check()
    except BenchmarkError as error:
        return Finding(what, where, present, str(error))
    return Finding(what, where, present)


def _verify_imported(identity: str) -> Finding:
    folder = store.folder_of(identity)
    return _finding(f"imported data set {identity}", folder, True, lambda: intake.verify(identity))


def _verify_shipped(family: Family) -> list[Finding]:
    """The behaviour and the table of its returns; they ship with the project, so must be there."""
    path, table = shipped_path(family.name), returns_path(family.name)
    what = "behaviour snapshots"
    if not is_in_a_file(family):
        path, what = catalog.catalog_path(), "fingerprint of the scripted behaviour"

    def behaviour() -> None:
        catalog.check_behaviour(family)
        shipped_behaviour(family)

    return [
        _finding(f"{what} of {family.id}", path, True, behaviour),
        _finding(f"snapshot returns of {family.id}", table, True, lambda: catalog.check_returns(family)),
    ]


def _verify_recorded(family: Family, tier: str, size: str) -> list[Finding]:
    identity, expected = dataset_id(family, tier, size), catalog.expected_hash(family, tier, size)
    folder = store.folder_of(identity)

    def minari() -> None:
        found = store.ingest(identity).content_hash
        if found != expected:
            raise DataError(
                f"{folder} has the content hash {found}; {catalog.catalog_path()} says {expected}. Delete "
                f"this folder: {identity} is recorded again when it is next opened."
            )

    cached = cache.folder_of(expected)
    return [
        _finding(f"Minari data set {identity}", folder, folder.exists(), minari),
        _finding(
            f"flat cache of {identity}",
            cached,
            cache.present(expected),
            lambda: cache.load(identity, expected),
        ),
    ]
