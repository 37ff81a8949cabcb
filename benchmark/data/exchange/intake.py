"""Taking data in that are not the standard's: under a name of their own, stored as the standard's are.

    imported/<family>/<name>-v0      Minari data set with what it is, where it comes from, what was checked;
                                     flat cache by content hash

Tasks arrive one after another and are spooled to files, so that memory holds one of them at a time. Who acted is
not known: `log_probs` are NaN and `snapshots` UNKNOWN, so no content of this kind can have a hash of the standard.
"""

import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from minari.dataset.minari_storage import MinariStorage
from numpy.typing import NDArray

from benchmark import families
from benchmark.data import cache, store
from benchmark.data.dataset import COLUMNS, Dataset
from benchmark.data.exchange.checks import Check, joined
from benchmark.data.spool import Columns, spooled
from benchmark.errors import ConfigError, DataError
from benchmark.families import FAMILIES
from benchmark.families.family import Family

NAMESPACE = "imported"
NAME = r"[a-z0-9]+(-[a-z0-9]+)*"
LONGEST_NAME = 100
"""What a name may be: nothing that leads to another folder."""
UNKNOWN = -2
"""Number of the snapshot where it is not known who acted."""


@dataclass(frozen=True)
class Portion:
    """The data of one task."""

    columns: Columns
    """As in a data set, all of one task."""
    checks: Sequence[Check] = ()
    """What was checked of them."""


def imported_id(family: Family, name: str) -> str:
    """The identity of imported data; ConfigError where the name does not fit in one."""
    if not re.fullmatch(NAME, name) or len(name) > LONGEST_NAME:
        raise ConfigError(
            f"--name '{name}' does not fit: it takes small letters, digits and single hyphens, {LONGEST_NAME} at most, "
            f"such as published-mixed; the data set is then {NAMESPACE}/{family.name}/published-mixed-v0."
        )
    return f"{NAMESPACE}/{family.name}/{name}-v0"


def assigned(family: Family, paths: Sequence[Path], tasks: Sequence[int]) -> dict[int, Path]:
    """One file per task, in order of tasks; ConfigError unless the tasks are some of the family's, each once."""
    if len(paths) != len(tasks):
        raise ConfigError(
            f"{len(paths)} files for the tasks {' '.join(map(str, tasks))}: one file for each task is needed. "
            "Say --tasks, in the order of the files."
        )
    for task in tasks:
        both = [str(path) for path, other in zip(paths, tasks, strict=True) if other == task]
        if len(both) > 1:
            raise ConfigError(
                f"{' and '.join(both)} are all of task {task}: one file for each task is needed. Leave the others "
                "out, or, if they are of other tasks, say --tasks, in the order of the files."
            )
    beyond = [task for task in tasks if task not in range(family.tasks)]
    if beyond:
        raise ConfigError(
            f"{family.id} has no task {beyond[0]}; its tasks are 0 to {family.tasks - 1}. Say --tasks, in the "
            "order of the files."
        )
    return dict(sorted(zip(tasks, paths, strict=True)))


def columns_of(
    task: int, observations: NDArray[np.floating], actions: NDArray[np.floating], rewards: NDArray[np.floating],
    lengths: NDArray[np.integer], terminated: NDArray[np.bool_],
) -> Columns:  # fmt: skip
    """Columns of one task's episodes; see `Dataset` for the shapes."""
    episodes = len(lengths)
    return {
        "observations": observations,
        "actions": actions,
        "rewards": rewards,
        "log_probs": np.full(len(rewards), np.nan),
        "tasks": np.full(episodes, task),
        "snapshots": np.full(episodes, UNKNOWN),
        "lengths": lengths,
        "terminated": terminated,
    }


def as_dataset(identity: str, columns: Columns) -> Dataset:
    """The columns in the types of a data set."""
    return Dataset(
        identity, **{name: columns[name].astype(kind, copy=False) for name, kind in COLUMNS.items()}
    )


def take_in(
    family: Family, name: str, portions: Iterator[Portion], origin: Mapping[str, Any]
) -> tuple[Dataset, list[Check]]:
    """Store portions, in rising order of tasks, as imported data; returns them and what was checked.

    Raises DataError where there are data of that name, or the very same under another name, or the disk does not
    take them; ConfigError for a name that does not fit. Nothing is left behind by a failure.
    """
    identity = imported_id(family, name)
    checks: list[Check] = []
    if store.present(identity):
        raise DataError(
            f"{identity} is there already ({store.folder_of(identity)}); choose another --name, or delete that "
            "folder first."
        )

    def columns() -> Iterator[Columns]:
        for portion in portions:
            checks.extend(portion.checks)
            yield portion.columns

    dataset = spooled(identity, columns())
    return _stored(family, dataset, joined(checks), origin), joined(checks)


def _stored(family: Family, dataset: Dataset, checks: list[Check], origin: Mapping[str, Any]) -> Dataset:
    """Write cache and Minari form, both or none; returns the cached data set.

    A cache of imported data without a Minari form was left behind: by a kill, or by who deleted the Minari form.
    """
    content_hash = dataset.content_hash
    folder = cache.folder_of(content_hash)
    if other := next((one for one in imported() if store.stored_hash(one) == content_hash), None):
        raise DataError(
            f"the very same data are here under another name: {other}. Use them, or delete "
            f"{store.folder_of(other)} first."
        )
    shutil.rmtree(folder, ignore_errors=True)
    try:
        cache.write(dataset)
        store.write(family, dataset, _describe(family, content_hash, checks, origin))
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return cache.load(dataset.id, content_hash)


def _describe(
    family: Family, content_hash: str, checks: list[Check], origin: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "algorithm_name": "unknown",
        "author": {"see the origin"},
        "description": (
            f"NOT data of the standard: imported or relabelled data for the task family {family.id}. infos hold "
            f"task, snapshot ({UNKNOWN}: unknown) and log_prob (NaN: unknown)."
        ),
        "standard": False,
        "origin": dict(origin),
        "checks": [asdict(check) for check in checks],
        "licence": "that of the origin",
        "family": family.id,
        "content_hash": content_hash,
        "task_parameter": family.parameter,
        "task_parameters": family.parameters.tolist(),
        "splits": {key: asdict(split) for key, split in family.splits.items()},
    }


def check_choice(family: Family, identity: str, size: str = "small", tiers: Sequence[str] = ()) -> None:
    """Whether imported data of that identity can stand in for the family's of that size and those tiers.

    They need not be here. Raises ConfigError where the identity is not one of imported data, or they have no such size
    or tier; DataError where they are of another family.
    """
    named = re.fullmatch(rf"{NAMESPACE}/({'|'.join(FAMILIES)})/{NAME}-v0", identity)
    if not named:
        raise ConfigError(
            f"data '{identity}' is not imported data: their names are {NAMESPACE}/<family>/<name>-v0, as data list "
            "shows them. Data of the standard are chosen by tier and size."
        )
    if named[1] != family.name:
        raise _of_another(families.family(named[1]).id, family, identity)
    if size != "small":
        raise ConfigError(
            f"{identity} is of one size: leave size away, which chooses among the standard's data."
        )
    for tier in tiers:
        if tier != "mixed":
            raise ConfigError(
                f"{identity} has no tier '{tier}': imported data stand in for 'mixed' alone, also as contexts. "
                "Leave tier away, and choose contexts among mixed, early, middle, late, other, online."
            )


def _of_another(made_for: str, family: Family, identity: str) -> DataError:
    return DataError(f"{identity} is data of {made_for}, not of {family.id}; choose the family accordingly.")


def open_imported(family: Family, identity: str) -> Dataset:
    """Imported data of a family, memory-mapped from the cache, which is made anew from Minari where it is gone.

    Raises the errors of `check_choice`; DataError where the data are not here, or damaged.
    """
    check_choice(family, identity)
    if not store.present(identity):
        here = ", ".join(imported()) or "none"
        raise DataError(f"{identity} is not here. Imported data sets: {here}.")
    made_for, content_hash = _identified(identity)
    if made_for != family.id:
        raise _of_another(made_for, family, identity)
    if not cache.present(content_hash):
        cache.write(store.ingest(identity))
    return cache.load(identity, content_hash)


def imported_opener(family: Family, identity: str, size: str = "small") -> Callable[[str], Dataset]:
    """Gives imported data in place of the family's tier `mixed`; ConfigError for the other tiers and sizes."""
    check_choice(family, identity, size)
    dataset = open_imported(family, identity)

    def open_data(tier: str) -> Dataset:
        check_choice(family, identity, size, [tier])
        return dataset

    return open_data


def _identified(identity: str) -> tuple[str, str]:
    """Family identity and content hash that the Minari form says, every byte of it sound; DataError otherwise."""
    store.verify_files(identity)
    try:
        metadata = MinariStorage.read(store.folder_of(identity) / "data").metadata
        return str(metadata["family"]), str(metadata["content_hash"])
    except store.UNREADABLE as error:
        raise DataError(
            f"{store.folder_of(identity)} is not imported data ({error}). Import it: data import."
        ) from error


def verify(identity: str) -> None:
    """Raise DataError unless imported data are sound, in both forms as far as they are here."""
    _, content_hash = _identified(identity)
    if store.ingest(identity).content_hash != content_hash:
        raise DataError(
            f"{store.folder_of(identity)} does not have the content hash that its metadata say. Delete this "
            "folder, and import the data again."
        )
    if cache.present(content_hash):
        cache.load(identity, content_hash)


def imported() -> list[str]:
    """Identities of all imported data that are here."""
    root = store.folder_of(NAMESPACE)
    return sorted(
        f"{NAMESPACE}/{path.parent.name}/{path.name}"
        for path in root.glob("*/*-v0")
        if not path.name.startswith(".")
    )
