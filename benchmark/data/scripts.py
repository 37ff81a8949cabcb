"""Scripted behaviour: the experts that Meta-World ships, made stochastic at several levels from near random to expert.

    u = skill * artanh(clip(script's action, -0.97, 0.97)) + noise * N(0, 1)          action = tanh(u)

A script sees the observation as it is recorded, in 32 bits, with the goal shown in its last three numbers. Levels take
the place of snapshots, and their shares that of a training life; nothing is trained, and no file is shipped: level and
package determine the behaviour.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from benchmark.data.snapshots import UNIFORM
from benchmark.families.ml45 import METAWORLD_VERSION, MetaWorld45
from benchmark.families.stepping import Array

LARGEST = 0.97
"""Scripts ask for actions of any size; this is the largest mean that is taken."""


@dataclass(frozen=True)
class Level:
    """How well a script is followed."""

    skill: float
    """Factor of the script's action, before the tanh."""
    noise: float
    """Standard deviation before the tanh."""
    share: float
    """Share of the data of tier `mixed`."""


UNIFORM_SHARE = 0.05
LEVELS = (
    Level(skill=0.1, noise=1.0, share=0.10),
    Level(skill=0.3, noise=1.0, share=0.15),
    Level(skill=0.6, noise=1.0, share=0.15),
    Level(skill=1.0, noise=1.0, share=0.15),
    Level(skill=1.0, noise=0.5, share=0.20),
    Level(skill=1.0, noise=0.1, share=0.20),
)
"""Near random to expert; part of every data set's identity."""


@dataclass(frozen=True)
class Scripts:
    """The behaviour policies of `ml45`."""

    family: MetaWorld45
    levels: tuple[Level, ...] = LEVELS
    tile: ClassVar[int] = 1
    """A script acts for one lane at a time."""

    @property
    def family_id(self) -> str:
        """Identity of the family."""
        return self.family.id

    @property
    def tasks(self) -> int:
        """Number of tasks."""
        return self.family.tasks

    @property
    def numbers(self) -> range:
        """Numbers of the levels, near random to expert."""
        return range(len(self.levels))

    @property
    def last(self) -> int:
        """Number of the expert's level."""
        return len(self.levels) - 1

    @property
    def measured_means(self) -> range:
        """The expert's alone: levels of one skill have one mean."""
        return range(self.last, self.last + 1)

    @property
    def life_shares(self) -> dict[int, float]:
        """Share of tier `mixed` of each level; the rest is uniformly random."""
        shares = {number: level.share for number, level in enumerate(self.levels)}
        return {UNIFORM: UNIFORM_SHARE, **shares}

    def age(self, number: int) -> int:
        """Levels have no age but their order."""
        return number + 1

    def policy(self, tasks: NDArray[np.int64], numbers: NDArray[np.int64]) -> "ScriptedPolicies":
        """The policies of these (task, level) pairs; raises SimulatorVersionError without `metaworld`."""
        return ScriptedPolicies(self.family, tasks.tolist(), [self.levels[number] for number in numbers])

    @property
    def fingerprint(self) -> str:
        """SHA-256 of what determines the behaviour."""
        content = {
            "metaworld": METAWORLD_VERSION,
            "largest": LARGEST,
            "uniform_share": UNIFORM_SHARE,
            "levels": [asdict(level) for level in self.levels],
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


class ScriptedPolicies:
    """Tanh-Gaussian policies around the scripts of several (task, level) pairs."""

    def __init__(self, family: MetaWorld45, tasks: Sequence[int], levels: Sequence[Level]) -> None:
        scripts = {task: family.script(task) for task in dict.fromkeys(tasks)}
        self._scripts = [scripts[task] for task in tasks]
        self._skill = np.array([level.skill for level in levels])[:, None, None]
        self._noise = np.array([level.noise for level in levels])[:, None, None]

    def distribution(self, observations: NDArray[np.floating], hidden: Array) -> tuple[Array, Array]:
        """Mean and std before the tanh, (group, lane, 4).

        Of observations (group, lane, 39) and where the goal is (group, lane, 3).
        """
        from benchmark.families.metaworld_arena import acting_quietly

        shown = np.asarray(observations, dtype=np.float32).astype(np.float64)
        shown[..., -3:] = hidden
        with acting_quietly():
            wanted = np.array(
                [[script(one) for one in group] for script, group in zip(self._scripts, shown, strict=True)]
            )
        mean = self._skill * np.arctanh(np.clip(wanted, -LARGEST, LARGEST))
        return mean, np.broadcast_to(self._noise, mean.shape).copy()
