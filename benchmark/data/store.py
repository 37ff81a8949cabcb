"""The published form: one Minari HDF5 data set per family, tier and size; `minari.load_dataset` reads it.

    $MINARI_DATASETS_PATH/omrl/<family>/<tier>-v<version>/data/main_data.hdf5     episodes
                                                               metadata.json      task table, references, hash
                                                               SHA256SUMS         of these two files

Each episode's `infos` hold `task`, `snapshot` (-1: uniformly random actions) and `log_prob`, one per action.
The folder is built under a hidden name and renamed: a writer that is killed leaves nothing that loads.
"""

import json
import os
import platform
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import gymnasium
import minari
import numpy as np
from minari.dataset.minari_storage import MinariStorage
from minari.namespace import create_namespace, list_local_namespaces
from minari.storage import get_dataset_path
from numpy.typing import NDArray

from benchmark.data import catalog
from benchmark.data.behaviour import Behaviour
from benchmark.data.dataset import Dataset
from benchmark.data.episode_file import write_episodes
from benchmark.data.scripts import Scripts
from benchmark.data.shipped import shipped_behaviour
from benchmark.data.snapshots import Snapshots
from benchmark.data.spool import Columns, spooled
from benchmark.errors import DataError
from benchmark.families.family import Family
from benchmark.files import replacing, sha256_of_file

EPISODES = "main_data.hdf5"
FILES = (EPISODES, "metadata.json")
SUMS = "SHA256SUMS"
LICENCE = "MIT"
AT_ONCE = 500
"""Episodes that are read into memory together."""
BYTES_OF_AN_EPISODE = 5_000
"""What HDF5 needs for an episode's folders beside its numbers; measured 4,600 to 4,650."""
UNREADABLE = (
    OSError, KeyError, IndexError, ValueError, RuntimeError, TypeError, AttributeError, AssertionError,
)  # fmt: skip
"""What Minari and h5py raise for files that are not as they were written."""


def folder_of(identity: str) -> Path:
    """Where the Minari data set of this identity lies, or would; DataError where no folder can be there."""
    try:
        return Path(get_dataset_path(identity))
    except OSError as error:
        raise DataError(
            f"Minari's folder cannot be used: {error}. Set MINARI_DATASETS_PATH to one that can be written."
        ) from error


def present(identity: str) -> bool:
    """Whether there is a Minari data set of this identity, sound or not; DataError for a name that no disk takes."""
    try:
        return folder_of(identity).exists()
    except OSError as error:
        raise DataError(f"there can be no data set named {identity}: {error}.") from error


def describe(family: Family, tier: str, content_hash: str) -> dict[str, Any]:
    """Metadata of a data set of the standard: everything a reader needs who does not have this project."""
    known = catalog.entry(family)
    behaviour = shipped_behaviour(family)
    references = asdict(known.references)
    if references["successes"] is None:
        del references["successes"]
    return {
        **_words(family, tier, behaviour),
        "author": {"the maintainers of offline-meta-rl-benchmark"},
        "requirements": [
            f"mujoco=={known.mujoco}", f"gymnasium=={gymnasium.__version__}", *family.further_requirements,
        ],
        "licence": LICENCE,
        "family": family.id,
        "tier": tier,
        "content_hash": content_hash,
        "mujoco_version": known.mujoco,
        "task_parameter": family.parameter,
        "task_parameters": family.parameters.tolist(),
        "splits": {name: asdict(split) for name, split in family.splits.items()},
        "references": references,
        "recipe": {
            "snapshots_sha256": known.snapshots,
            **_recipe(behaviour),
            "life_shares": {str(number): share for number, share in behaviour.life_shares.items()},
        },
        "recorded_on": platform.machine(),
    }  # fmt: skip


def _words(family: Family, tier: str, behaviour: Behaviour) -> dict[str, Any]:
    """What acted, for a reader."""
    about = f"Offline meta-reinforcement learning, family {family.id}, tier {tier}: behaviour of "
    if isinstance(behaviour, Scripts):
        return {
            "algorithm_name": "scripted experts of Meta-World with noise",
            "description": (
                f"{about}one scripted expert per task, followed at several levels from near random to expert. infos "
                "hold task, snapshot (the level; -1: uniformly random actions) and log_prob, the log-density of each "
                "action under it."
            ),
            "task_names": [family.task_text(task) for task in range(family.tasks)],
        }
    return {
        "algorithm_name": "soft actor-critic",
        "description": (
            f"{about}soft actor-critic agents, recorded from snapshots of their training life in each task. infos hold "
            "task, snapshot (-1: uniformly random actions) and log_prob, the log-density of each action under it."
        ),
    }


def _recipe(behaviour: Behaviour) -> dict[str, Any]:
    """What tells the behaviour's numbers apart."""
    if isinstance(behaviour, Scripts):
        return {"levels": [asdict(level) for level in behaviour.levels]}
    assert isinstance(behaviour, Snapshots)
    return {"snapshot_steps": list(behaviour.steps), "random_steps": behaviour.random_steps}


def write(family: Family, dataset: Dataset, metadata: Mapping[str, Any]) -> Path:
    """Store the data set in Minari's form; returns its folder.

    Raises DataError where one of that name is there already, or the disk does not take it.
    """
    folder = folder_of(dataset.id)
    if folder.exists():
        raise DataError(f"{folder} is there already; delete it to store {dataset.id} anew.")
    try:
        with replacing(folder) as temporary:
            (temporary / "data").mkdir(parents=True)
            _require_space(temporary / "space", dataset)
            _fill(family, dataset, metadata, temporary / "data")
            _seal(temporary / "data")
        _name_space(dataset.id)
    except (OSError, RuntimeError) as error:
        if folder.exists():  # another process was faster
            if stored_hash(dataset.id) == dataset.content_hash:
                return folder
            raise DataError(f"other data were stored as {dataset.id} meanwhile ({folder}).") from error
        raise DataError(
            f"the Minari data set {folder} cannot be written: {error}. Free some space, or set "
            "MINARI_DATASETS_PATH to another folder."
        ) from error
    return folder


def stored_hash(identity: str) -> str:
    """The content hash that the Minari data set's metadata say; empty where it is not here, or does not say."""
    try:
        text = (folder_of(identity) / "data" / "metadata.json").read_text(encoding="utf-8")
        return str(json.loads(text)["content_hash"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _require_space(placeholder: Path, dataset: Dataset) -> None:
    """Raises OSError unless a file as large as the data set's can be there: HDF5 crashes where a disk becomes full."""
    numbers = sum(array.nbytes for array in dataset.columns.values()) + 2 * dataset.rows
    with placeholder.open("wb") as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, numbers + BYTES_OF_AN_EPISODE * dataset.episodes)
    placeholder.unlink()


def _fill(family: Family, dataset: Dataset, metadata: Mapping[str, Any], folder: Path) -> None:
    """Write the metadata and the episodes."""
    spec = gymnasium.spec(family.id)
    environment = gymnasium.make(spec)
    storage = MinariStorage.new(
        folder, environment.observation_space, environment.action_space, env_spec=spec, data_format="hdf5"
    )
    environment.close()
    storage.update_metadata({"dataset_id": dataset.id, "minari_version": minari.__version__, **metadata})
    write_episodes(folder / EPISODES, dataset)
    counts = {"total_episodes": dataset.episodes, "total_steps": dataset.rows}
    storage.update_metadata({**counts, "dataset_size": storage.get_size()})


def _seal(folder: Path) -> None:
    """Write down the SHA-256 of the files, as `sha256sum --check` reads it, and flush all to disk."""
    lines = [f"{sha256_of_file(folder / name)}  {name}\n" for name in FILES]
    (folder / SUMS).write_text("".join(lines), encoding="utf-8")
    for name in (*FILES, SUMS):
        with (folder / name).open("rb") as file:
            os.fsync(file.fileno())


def _name_space(identity: str) -> None:
    """Tell Minari of the folders above the data set; another process may have done so at the same time."""
    name = identity.rpartition("/")[0]
    if name not in list_local_namespaces():
        with suppress(ValueError):
            create_namespace(name)


def verify_files(identity: str) -> None:
    """Raise DataError unless every byte of the Minari data set is as it was written."""
    folder = folder_of(identity) / "data"
    try:
        text = (folder / SUMS).read_text(encoding="utf-8")
        found = "".join(f"{sha256_of_file(folder / name)}  {name}\n" for name in FILES)
    except (OSError, ValueError) as error:
        raise _damaged(identity, f"it cannot be read: {error}") from error
    if text != found:
        wrong = [
            name
            for name, line in zip(FILES, found.splitlines(), strict=True)
            if line not in text.splitlines()
        ]
        raise _damaged(
            identity, f"{' and '.join(wrong) or SUMS} changed since it was written (see {folder / SUMS})"
        )


def ingest(identity: str) -> Dataset:
    """Read a Minari data set into flat arrays; raises DataError where it is damaged or not of this form."""
    verify_files(identity)
    try:
        storage = MinariStorage.read(folder_of(identity) / "data")
        found = storage.metadata["dataset_id"]
        if found != identity:
            raise ValueError(f"it calls itself {found}")
        total = storage.total_episodes
        pieces = (range(start, min(start + AT_ONCE, total)) for start in range(0, total, AT_ONCE))
        return spooled(identity, (columns_of_episodes(storage.get_episodes(piece)) for piece in pieces))
    except UNREADABLE as error:
        raise _damaged(identity, f"it cannot be read: {error}") from error


def columns_of_episodes(episodes: Iterable[Mapping[str, Any]]) -> Columns:
    """The columns of episodes as Minari gives them."""
    take: dict[str, Callable[[Mapping[str, Any]], Any]] = {
        "observations": lambda one: one["observations"],
        "actions": lambda one: one["actions"],
        "rewards": lambda one: one["rewards"],
        "log_probs": lambda one: one["infos"]["log_prob"],
        "tasks": lambda one: one["infos"]["task"],
        "snapshots": lambda one: one["infos"]["snapshot"],
        "lengths": lambda one: len(one["rewards"]),
        "terminated": lambda one: one["terminations"][-1],
    }
    columns: dict[str, list[NDArray[Any]]] = {name: [] for name in take}
    for one in episodes:
        for name, function in take.items():
            columns[name].append(np.atleast_1d(function(one)))
    return {name: np.concatenate(column) for name, column in columns.items()}


def _damaged(identity: str, what: str) -> DataError:
    again = (
        "is recorded again when it is next opened" if identity.startswith("omrl/") else "can be got anew then"
    )
    return DataError(
        f"the Minari data set {folder_of(identity)} is damaged: {what}. Delete this folder; {identity} {again}."
    )
