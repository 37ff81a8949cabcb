"""Reading any Minari data set of a known body: Gymnasium's half-cheetah and ant, and data of this project's form."""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from minari.dataset.minari_storage import MinariStorage
from numpy.typing import NDArray

from benchmark import families
from benchmark.data import store
from benchmark.data.exchange.hdf5 import LARGEST_ACTION
from benchmark.data.exchange.intake import NAMESPACE
from benchmark.data.overview import listing
from benchmark.errors import DataError
from benchmark.families.family import Array, Family

BODIES = {"HalfCheetah": "half-cheetah", "Ant": "ant"}
"""Names of Gymnasium's environments without their version, and of the bodies."""
BODY_OF_FAMILY = {"cheetah-dir": "half-cheetah", "cheetah-vel": "half-cheetah", "ant-dir": "ant"}
"""Families that data can be relabelled into, and from, and their bodies."""
BODY_OF_SOURCE = {**BODY_OF_FAMILY, "ant-goal": "ant"}
"""Families that data can be relabelled from: the ant's place, which `ant-goal` observes, is lost in other data."""
WIDTHS = {"half-cheetah": (17,), "ant": (27, 105, 111)}
"""Lengths of Gymnasium's observations without the place; contact forces come last and are left out."""
CONTROL_COSTS = {"half-cheetah": 0.1, "ant": 0.5}
"""Gymnasium's weight of |a|^2 in the reward, where its environment does not say another."""
WEIGHTS = {"ctrl_cost_weight": 0.0, "forward_reward_weight": 1e-9, "healthy_reward": -1e9}
"""Settings that say how a reward is made up, and the least that each can be."""


@dataclass(frozen=True)
class SourceEpisode:
    """An episode as it was stored."""

    observations: Array
    """(step + 1, observation), without the place in the plane, but for a half-cheetah's of this project"""
    actions: Array
    """(step, action)"""
    rewards: Array
    """(step,)"""
    terminated: bool
    """Whether it ended in a true terminal state."""
    infos: Mapping[str, Any]
    """What the environment told beside, (step + 1, ...) or (step, ...)."""
    task: int | None
    """Task of the family that recorded it; None where there was none."""
    place: Array | None = None
    """(step + 1, 2), the root's in the plane, of an ant's that was observed."""


@dataclass(frozen=True)
class Source:
    """A Minari data set of a known body."""

    id: str
    body: str
    """`half-cheetah` or `ant`."""
    family: Family | None
    """The family of this project that it was recorded for, or None for Gymnasium's own environment."""
    settings: Mapping[str, Any]
    """Settings of Gymnasium's environment that differ from its defaults."""
    storage: Any
    """Minari's storage."""

    def summary(self) -> dict[str, str]:
        """What its metadata say of its origin, as texts."""
        metadata = dict(self.storage.metadata)
        names = (
            "algorithm_name",
            "author",
            "code_permalink",
            "content_hash",
            "licence",
            "env_spec",
            "checks",
        )
        return {name: str(metadata[name]) for name in names if metadata.get(name)}

    def episodes(self) -> Iterator[SourceEpisode]:
        """All episodes, in order; raises DataError where one is damaged or does not fit the body."""
        try:
            for one in self.storage.get_episodes(range(self.storage.total_episodes)):
                yield _episode(self, one)
        except store.UNREADABLE as error:
            raise DataError(
                f"the Minari data set {self.id} is damaged: {error}. Get it anew, from where it came."
            ) from error


def _how_to_get(identity: str) -> str:
    """What to do about a data set that is not here."""
    if Path(identity).is_file():
        return "What is relabelled is a Minari data set, by its name, such as mujoco/halfcheetah/expert-v0."
    origin, _, name = identity.partition("/")
    if origin == NAMESPACE or not name:
        return "Those that are here are listed by: data list"
    standard = re.fullmatch(r"omrl/([^/]+)/([^/]+?)(-full)?-v\d+", identity)
    if standard is None:
        return f"Get it with: minari download {identity}"
    family, tier, full = standard.groups()
    size = " --size full" if full else ""
    return f"Record it: python -m benchmark data record --family {family} --tier {tier}{size}"


def open_source(identity: str) -> Source:
    """The data set; raises DataError where it is not here, damaged, or of a body that is not known."""
    folder = store.folder_of(identity) / "data"
    if not store.present(identity) or not folder.exists():
        raise DataError(f"there is no Minari data set {identity} ({folder}). {_how_to_get(identity)}")
    if (folder / store.SUMS).exists():
        store.verify_files(identity)
    _check_standard(identity)
    try:
        storage = MinariStorage.read(folder)
        metadata = dict(storage.metadata)
        spec = metadata.get("env_spec") or "{}"
        spec = json.loads(spec) if isinstance(spec, str) else {}
        settings = spec.get("kwargs") or {}
        if not isinstance(settings, dict):
            raise ValueError(f"the environment's settings are {settings!r}")
        for name, least in WEIGHTS.items():
            if not least <= float(settings.get(name, 1.0)) < math.inf:
                raise ValueError(f"the environment's {name} is {settings[name]!r}")
    except ImportError as error:
        raise DataError(
            f"the Minari data set {folder} is of a format that needs more packages: {error}. "
            "Install what it names, such as: pip install 'minari[arrow]'"
        ) from error
    except store.UNREADABLE as error:
        raise DataError(
            f"the Minari data set {folder} is damaged: {error}. Get it anew, from where it came."
        ) from error
    family = _own_family(str(metadata.get("family", "")))
    body = BODY_OF_SOURCE[family.name] if family else _body_of(identity, str(spec.get("id")))
    changed = [name for name in ("frame_skip", "xml_file") if name in settings and family is None]
    if changed:
        raise DataError(
            f"the Minari data set {identity} was recorded with another {' and '.join(changed)} than the "
            f"{body}'s own: it has other physics, and cannot be relabelled."
        )
    return Source(identity, body, family, settings, storage)


def _check_standard(identity: str) -> None:
    """DataError where data have the name of a standard data set, but their content hash is not the catalog's."""
    named = next((one for one in listing() if one.id == identity), None)
    if named is not None and store.stored_hash(identity) != named.content_hash:
        raise DataError(
            f"the Minari data set {identity} ({store.folder_of(identity)}) is not the standard's: its content hash is "
            f"another than the catalog's. Delete that folder. {_how_to_get(identity)}"
        )


def _own_family(name: str) -> Family | None:
    """The family of this project that data say they were recorded for."""
    known = {families.family(short).id: short for short in BODY_OF_SOURCE}
    return families.family(known[name]) if name in known else None


def _body_of(identity: str, environment: str) -> str:
    found = re.fullmatch(r"(?:\w+/)*(\w+)-v\d+", environment)
    if not found or found.group(1) not in BODIES:
        raise DataError(
            f"the Minari data set {identity} is of the environment '{environment}'; what can be relabelled is "
            f"data of {' and '.join(BODIES)} in any version, and of {', '.join(BODY_OF_SOURCE)}."
        )
    return BODIES[found.group(1)]


def _episode(source: Source, one: Mapping[str, Any]) -> SourceEpisode:
    """The stored episode in 64 bits; DataError where its shapes do not fit the body or a number is not finite."""
    if isinstance(one["observations"], Mapping | tuple):
        raise DataError(
            f"the Minari data set {source.id} has observations of several parts; a body's own are one vector."
        )
    arrays = [np.asarray(one[key], np.float64) for key in ("observations", "actions", "rewards")]
    observations, actions, rewards = arrays
    steps, family = len(rewards), source.family
    widths = (family.observation_size,) if family else WIDTHS[source.body]
    actuators = 6 if source.body == "half-cheetah" else 8
    where = f"the Minari data set {source.id}, episode {one['id']}"
    fits = observations.shape in [(steps + 1, width) for width in widths] and actions.shape == (
        steps,
        actuators,
    )
    if steps == 0 or not fits:
        raise DataError(
            f"{where}: observations {observations.shape} and actions {actions.shape} are not those of the "
            f"{source.body} ({' or '.join(map(str, widths))} and {actuators} numbers), one observation more than "
            f"the {steps} actions. It was recorded with another body, or with the place in the observation."
        )
    if not all(np.isfinite(array).all() for array in arrays):
        raise DataError(f"{where} holds numbers that are not finite. Leave it out of the data set.")
    if np.abs(actions).max() > LARGEST_ACTION:
        raise DataError(
            f"{where} has actions as large as {np.abs(actions).max():.4g}; they must be in (-1, 1). They may be in "
            "other units: divide them by the actuators' range."
        )
    infos = one["infos"] or {}
    task = int(infos["task"]) if family and "task" in infos else None
    terminated, place = bool(np.asarray(one["terminations"])[-1]), None
    if family and family.name == "ant-goal":
        place, observations = observations[:, :2], observations[:, 2:]
    return SourceEpisode(observations, actions, rewards, terminated, infos, task, place)


def info(episode: SourceEpisode, name: str, steps: int) -> NDArray[np.float64] | None:
    """The last `steps` entries of an info, (steps, ...); None where it is absent, shorter or not finite."""
    if name not in episode.infos or isinstance(episode.infos[name], Mapping):
        return None
    values = np.asarray(episode.infos[name])
    if values.dtype.kind not in "iuf" or values.ndim == 0 or not len(values) >= steps:
        return None
    if len(values) > len(episode.rewards) + 1:
        return None
    chosen = values[-steps:].astype(np.float64)
    return chosen if np.isfinite(chosen).all() else None
