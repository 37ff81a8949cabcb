"""Making a family's behaviour the standard: measure it, record it, and write what the catalog says of it."""

from collections.abc import Sequence

from benchmark import families
from benchmark.data import catalog
from benchmark.data.dataset import TIERS, Progress, no_progress
from benchmark.data.open import record_standard
from benchmark.data.references import (
    EPISODES,
    measure_references,
    measure_snapshots,
    returns_path,
    write_snapshot_returns,
)
from benchmark.data.shipped import fingerprint, shipped_behaviour
from benchmark.families.family import MUJOCO_VERSION
from benchmark.files import sha256_of_file


def measure(family_name: str, episodes: int = EPISODES, progress: Progress = no_progress) -> catalog.Entry:
    """Measure the shipped behaviour anew; write the table of its returns and its catalog entry when all is measured.

    The entry keeps its content hashes where it was made with this simulator, behaviour and table; where one of them is
    another, they would be untrue, and it has none until `add_hashes` records the data sets. The standard's entries are
    measured with the default number of episodes. DataError where the catalog or the behaviour is damaged.
    """
    family = families.family(family_name)
    family.require_simulator()
    catalog.entry_before(family)  # a damaged entry is said before minutes of measuring
    behaviour = shipped_behaviour(family)
    rows = measure_snapshots(family, behaviour, episodes, progress)
    references = measure_references(family, behaviour, rows, episodes, progress)
    write_snapshot_returns(returns_path(family.name), rows)
    made_with = (MUJOCO_VERSION, fingerprint(family), sha256_of_file(returns_path(family.name)))
    return catalog.write_measured(family, catalog.Entry(*made_with, hashes={}, references=references))


def add_hashes(
    family_name: str,
    sizes: Sequence[str] = ("small",),
    tiers: Sequence[str] = TIERS,
    progress: Progress = no_progress,
) -> catalog.Entry:
    """Record these data sets and write their content hashes into the family's catalog entry.

    Those that the entry has are left as they are. DataError where a shipped file is not the entry's.
    """
    family = families.family(family_name)
    current = catalog.entry(family)
    for size in sizes:
        for tier in tiers:
            if tier not in current.hashes.get(size, {}):
                dataset = record_standard(family, tier, size, progress)
                current = catalog.add_hash(family, current.made_with, size, tier, dataset.content_hash)
    return current
