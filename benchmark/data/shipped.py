"""The behaviour of a family as it ships: trained snapshots in a file, or scripted experts that no file holds."""

from benchmark import files
from benchmark.data.behaviour import Behaviour
from benchmark.data.scripts import Scripts
from benchmark.data.snapshots import Snapshots, shipped_path
from benchmark.families.family import Family
from benchmark.families.ml45 import MetaWorld45


def shipped_behaviour(family: Family) -> Behaviour:
    """The family's behaviour; raises DataError where its file is missing or damaged."""
    return Scripts(family) if isinstance(family, MetaWorld45) else Snapshots.load(shipped_path(family.name))


def is_in_a_file(family: Family) -> bool:
    """Whether the behaviour is trained and ships as a file, rather than scripted."""
    return not isinstance(family, MetaWorld45)


def is_shipped(family: Family) -> bool:
    """Whether the family has behaviour to record."""
    return not is_in_a_file(family) or shipped_path(family.name).exists()


def fingerprint(family: Family) -> str:
    """SHA-256 of the snapshot file, which must be there, or of what determines scripted behaviour."""
    if isinstance(family, MetaWorld45):
        return Scripts(family).fingerprint
    return files.sha256_of_file(shipped_path(family.name))
