"""The catalog: what every data set's content must be, and what scores are measured against.

`datasets/catalog.toml` holds, per family identity: MuJoCo version, SHA-256 of the snapshot file (or of what determines
scripted behaviour), content hash per size and tier, reference returns and success rates.
`datasets/snapshots/<family>.csv` holds the returns of all snapshots.
"""

import tomllib
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import tomli_w

from benchmark import families, files
from benchmark.data.dataset import dataset_id
from benchmark.data.references import Blind, References, Successes, returns_path
from benchmark.data.shipped import fingerprint, is_in_a_file, is_shipped
from benchmark.data.snapshots import shipped_path
from benchmark.errors import DataError
from benchmark.families.family import Family
from benchmark.locks import claimed

PATIENCE = 60.0
"""Seconds to wait for another process to have written the catalog."""
HEADER = (
    "# Made by: python -m benchmark data catalog. Content hashes per size and tier; returns per task.\n\n"
)


@dataclass(frozen=True)
class Entry:
    """What the catalog says of one family."""

    mujoco: str
    """MuJoCo version that recorded."""
    snapshots: str
    """SHA-256 of the snapshot file, or of what determines scripted behaviour."""
    snapshot_returns: str
    """SHA-256 of the table of the snapshots' returns, which tier `medium` is chosen by."""
    hashes: Mapping[str, Mapping[str, str]]
    """Content hash by size and tier."""
    references: References
    """Reference returns."""

    @property
    def made_with(self) -> tuple[str, str, str]:
        """What the content hashes are true of: simulator, behaviour and table of returns."""
        return self.mujoco, self.snapshots, self.snapshot_returns

    def with_hash(self, size: str, tier: str, content_hash: str) -> "Entry":
        """The same with one content hash set."""
        return replace(self, hashes={**self.hashes, size: {**self.hashes.get(size, {}), tier: content_hash}})


def catalog_path() -> Path:
    """Where the catalog lies in the project."""
    return files.DATASETS / "catalog.toml"


def _read() -> dict[str, Any]:
    path = catalog_path()
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(
            f"the catalog {path} is missing or damaged ({error}). It ships with the project: "
            f"git checkout -- {path}"
        ) from error


def has_entry(family: Family) -> bool:
    """Whether the family is standardised; raises DataError where the catalog cannot be read."""
    return family.id in _read()


def entry(family: Family) -> Entry:
    """The family's entry; raises DataError where it is missing or damaged."""
    found = _read().get(family.id)
    if found is None and not is_shipped(family):
        raise DataError(
            f"the behaviour of {family.name} is not trained yet, so it has no data. Train it: "
            f"python -m benchmark data collect --family {family.name} (hours; see CONTRIBUTING.md), or choose a family "
            "with a data card: python -m benchmark families."
        )
    if found is None:
        raise DataError(
            f"{catalog_path()} has no entry for {family.id}: its data are not standardised yet. "
            f"Measure them with: python -m benchmark data catalog --family {family.name}"
        )
    try:
        blind = {name: Blind(one["expert"], tuple(one["returns"])) for name, one in found["blind"].items()}
        lists = {name: tuple(found["references"][name]) for name in ("random", "expert", "still")}
        texts = {name: found[name] for name in ("mujoco", "snapshots", "snapshot_returns")}
        rates, steps = found.get("successes"), found["references"].get("expert_steps")
        successes = None if rates is None else _successes(rates)
        return Entry(
            **texts,
            hashes=found["hashes"],
            references=References(
                **lists,
                blind=blind,
                successes=successes,
                expert_steps=None if steps is None else tuple(steps),
            ),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"the entry of {family.id} in {catalog_path()} is damaged (at {error}). Restore it: "
            f"git checkout -- {catalog_path()}"
        ) from error


def entry_before(family: Family) -> Entry | None:
    """The entry that measuring anew will replace, None where there is none yet; DataError where it is damaged."""
    return entry(family) if catalog_path().exists() and has_entry(family) else None


def _successes(found: Mapping[str, Any]) -> Successes:
    lists = {name: tuple(found[name]) for name in ("random", "expert", "still")}
    return Successes(**lists, blind={name: tuple(rates) for name, rates in found["blind"].items()})


def write_entry(family: Family, new: Entry) -> None:
    """Put the family's entry into the catalog, in one step; raises InUseError where others write it for too long."""
    with _locked():
        _write_entry(family, new)


def add_hash(family: Family, made_with: tuple[str, str, str], size: str, tier: str, found: str) -> Entry:
    """Add a content hash to the family's entry as it is now, and return that.

    Others may have written it since it was read. Raises DataError where it is not `made_with` these any more, and what
    was recorded is not its data.
    """
    with _locked():
        now = entry(family)
        if now.made_with != made_with:
            raise DataError(
                f"{family.id} was measured anew while its data were recorded: their hash is not written. Record them "
                "with the same command again."
            )
        new = now.with_hash(size, tier, found)
        _write_entry(family, new)
    return new


def write_measured(family: Family, new: Entry) -> Entry:
    """Put what was measured anew into the catalog, with the content hashes that its entry has by now, where they hold.

    They do where that was made with the same simulator, behaviour and table. Returns the entry as it is written.
    """
    with _locked():
        now = entry_before(family)
        if now is not None and now.made_with == new.made_with:
            new = replace(new, hashes=now.hashes)
        _write_entry(family, new)
    return new


def _locked() -> AbstractContextManager[None]:
    """What reads the catalog and writes it again does so alone."""
    return claimed(catalog_path().parent, PATIENCE)


def _write_entry(family: Family, new: Entry) -> None:
    catalog = _read() if catalog_path().exists() else {}
    references = asdict(new.references)
    blind, successes = references.pop("blind"), references.pop("successes")
    if references["expert_steps"] is None:
        del references["expert_steps"]
    catalog[family.id] = {
        "mujoco": new.mujoco,
        "snapshots": new.snapshots,
        "snapshot_returns": new.snapshot_returns,
        "hashes": new.hashes,
        "references": references,
        "blind": blind,
        **({} if successes is None else {"successes": successes}),
    }
    files.write_text(catalog_path(), HEADER + tomli_w.dumps(dict(sorted(catalog.items()))))


def references(family_name: str) -> References:
    """Reference returns of a family; raises DataError where the catalog does not have them."""
    return entry(families.family(family_name)).references


def expected_hash(family: Family, tier: str, size: str) -> str:
    """The content hash that this data set must have; raises DataError where the catalog has none."""
    identity = dataset_id(family, tier, size)
    found = entry(family).hashes.get(size, {}).get(tier)
    if found is None:
        raise DataError(
            f"{catalog_path()} has no content hash for {identity}: it is not standardised yet. Measure it: "
            f"python -m benchmark data catalog --family {family.name} --sizes {size} --hashes-only"
        )
    return found


def check_behaviour(family: Family) -> None:
    """Raise DataError unless the shipped behaviour is the one that the catalog was made with."""
    if is_in_a_file(family):
        _check_file("behaviour snapshots", shipped_path(family.name), entry(family).snapshots)
    elif fingerprint(family) != entry(family).snapshots:
        raise DataError(
            f"the scripted behaviour of {family.id} is not the one that {catalog_path()} was made with: its levels "
            "have changed. Restore them (git checkout -- benchmark/data/scripts.py), or raise the family's version."
        )


def check_returns(family: Family) -> None:
    """Raise DataError unless the table of snapshot returns is the one that the catalog was made with."""
    _check_file("snapshot returns", returns_path(family.name), entry(family).snapshot_returns)


def _check_file(what: str, path: Path, sha256: str) -> None:
    if not path.exists():
        raise DataError(
            f"{what} {path} are missing. They ship with the project: restore them (git checkout -- {path})."
        )
    if files.sha256_of_file(path) != sha256:
        raise DataError(
            f"{what} {path} are damaged, or are not those that {catalog_path()} was made with. "
            f"Restore both: git checkout -- {path} {catalog_path()}"
        )
